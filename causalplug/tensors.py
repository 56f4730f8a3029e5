"""Rows of several tensors at once, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["copied", "first_rows", "rows_at", "unraveled"]

K = TypeVar("K")


def rows_at(values: Mapping[K, Tensor], index: Tensor) -> dict[K, Tensor]:
    """``value[index]`` of each tensor; the index may be on another device."""
    return {key: value[index.to(value.device)] for key, value in values.items()}


def first_rows(values: Mapping[K, Tensor], count: int) -> dict[K, Tensor]:
    """The first ``count`` rows of each tensor."""
    return {key: value[:count] for key, value in values.items()}


def copied(values: Mapping[K, Tensor]) -> dict[K, Tensor]:
    """Copies of tensors, without their gradients."""
    return {key: value.detach().clone() for key, value in values.items()}


def unraveled(joint: Tensor, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """Codes of several columns from joint codes, in which the last column varies fastest.

    ``torch.unravel_index`` says the same, but its first call imports sympy, which takes a third of
    a second.
    """
    found = []
    for size in reversed(sizes):
        found.append(joint % size)
        joint = joint // size
    return tuple(reversed(found))
