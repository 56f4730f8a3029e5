"""Judges: frozen models that read a variable off an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from causalplug.dcm import DCM
from causalplug.encoders.encoders import Encoder
from causalplug.errors import QueryError
from causalplug.mechanisms.base import Mechanism
from causalplug.selection import pick, within, without
from causalplug.wording import check_known, listed

__all__ = ["Features", "Judge", "bound_judges", "features_of", "judged", "name_of"]

Features = Encoder | Callable[[Tensor], Tensor]
"""An encoder, or a function from images ``(n, channels, height, width)`` in the range of their
variable to features ``(n, d)``."""

Judge = Mechanism
"""A frozen mechanism whose variable is read and whose parents are the image and perhaps others."""

_BATCH = 500


def bound_judges(dcm: DCM, judges: Mapping[str, Judge]) -> dict[str, Mechanism]:
    """The judges as mechanisms of the model's variables.

    Raises:
        QueryError: A judge is no mechanism, or its variable is an image.
        UnknownVariableError: A name that is not a variable.
    """
    check_known(judges, dcm.graph.index, "the judges cannot be used")
    found = {}
    for name, judge in judges.items():
        variable = dcm.variables[name]
        if not isinstance(judge, Mechanism) or variable.needs_encoder:
            raise QueryError(
                f"the judge of {name!r} cannot be used: it has to be a frozen mechanism that gives "
                "a category or a number; wrap a network by cp.wrap(network, variable, "
                "conditions=[cp.Condition(…)])"
            )
        reads = within(judge.declared_inputs(), dcm.variables)
        others = [p for p in dcm.variables if p not in reads and p != name]
        parents = pick(dcm.variables, reads or others)
        found[name] = judge.for_variable(name, variable, parents).eval()
    return found


@torch.no_grad()
def judged(judge: Mechanism, rows: Mapping[str, Tensor]) -> Tensor:
    """What a judge reads off every row: the most probable category, or the number.

    Args:
        rows: Encoded values ``(n, …)``, images in the range of their variables.
    """
    missing = without(judge.parents, rows)
    if missing:
        raise QueryError(
            f"a judge cannot be asked: it reads {listed(missing)}, which the rows do not have"
        )
    parents = pick(rows, judge.parents)
    count = len(next(iter(parents.values())))
    parts = []
    for start in range(0, count, _BATCH):
        part = {name: value[start : start + _BATCH] for name, value in parents.items()}
        parts.append(_reading(judge, part))
    return torch.cat(parts)


def _reading(judge: Mechanism, parents: Mapping[str, Tensor]) -> Tensor:
    if judge.variable.is_discrete:
        return judge.logits(parents).argmax(-1)
    count = len(next(iter(parents.values())))
    still = {name: torch.zeros(count, *spec.shape) for name, spec in judge.noise.items()}
    return judge(parents, still)


@torch.no_grad()
def features_of(encoder: Features, images: Tensor) -> Tensor:
    """Features ``(n, d)`` of images, in batches; an encoder's before their scaling."""
    read: Any = encoder
    if isinstance(encoder, Encoder):
        read = encoder.eval().features
    parts = []
    for start in range(0, len(images), _BATCH):
        parts.append(read(images[start : start + _BATCH]).flatten(1))
    return torch.cat(parts).double()


def name_of(encoder: Features) -> str:
    """What an encoder is called in a table."""
    if isinstance(encoder, Encoder):
        return str(encoder.source or encoder.kind)
    named: Any = encoder
    return str(getattr(named, "__name__", type(encoder).__name__))
