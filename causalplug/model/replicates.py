"""Refits of a model on resampled rows, kept beside its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor

from causalplug.errors import RepositoryError
from causalplug.model.model import Model
from causalplug.selection import values_at
from causalplug.tensors import copied

__all__ = ["as_replicate", "joined_replicates", "split_replicates"]


def joined_replicates(replicates: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of all refits under names of their own, ``<number>/<name>``."""
    found = {}
    for number, tensors in enumerate(replicates):
        for name, tensor in tensors.items():
            found[f"{number}/{name}"] = tensor
    return found


def split_replicates(
    tensors: Mapping[str, Tensor], like: Mapping[str, Tensor], where: str
) -> tuple[dict[str, Tensor], ...]:
    """Inverse of :func:`joined_replicates`.

    Args:
        tensors: What the file holds.
        like: The model's trained tensors.
        where: The repository, for messages.

    Raises:
        RepositoryError: The refits are not those of this model.
    """
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition("/")
        found.setdefault(number, {})[name] = tensor
    for number, own in found.items():
        wrong = [k for k, v in own.items() if k not in like or like[k].shape != v.shape]
        if wrong or not number.isdecimal() or own.keys() != next(iter(found.values())).keys():
            raise RepositoryError(
                f"cannot use the replicates of {where}: they are not those of this model. Save the "
                "model again"
            )
    return tuple(values_at(found, sorted(found, key=int)))


@contextmanager
def as_replicate(dcm: Model, number: int) -> Iterator[None]:
    """The model with the weights of a refit, and its own again afterwards."""
    own = copied(dcm.trained_tensors())
    try:
        dcm.load_trained({**own, **dcm.replicates[number]})
        yield
    finally:
        dcm.load_trained(own)
