"""Refits of a model on resampled rows, kept beside its weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from causalplug.errors import RepositoryError
from causalplug.hub.part import Part
from causalplug.model.deferred import Deferred
from causalplug.model.model import Model
from causalplug.selection import values_at
from causalplug.tensors import copied

__all__ = ["joined_replicates", "refitted_models", "split_replicates"]


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


def refitted_models(dcm: Model) -> Iterator[Model]:
    """A twin of the model with the weights of each refit in turn.

    The model itself is left alone, since other threads may ask it meanwhile; its frozen parts are
    shared and not copied.
    """
    own, twin = copied(dcm.trained_tensors()), _twin(dcm)
    for refit in dcm.replicates:
        twin.load_trained({**own, **refit})
        yield twin


def _twin(dcm: Model) -> Model:
    """A copy of what is trained, beside the same frozen parts."""
    shared: dict[int, object] = {id(dcm.replicates): (), id(dcm.history): dcm.history}
    for module in dcm.modules():
        if isinstance(module, Deferred) or (isinstance(module, Part) and module.frozen):
            shared[id(module)] = module
    return copy.deepcopy(dcm, shared)
