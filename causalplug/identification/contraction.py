"""Sums of products of arrays over named axes."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from causalplug.errors import DataError
from causalplug.identification.tables import MAX_CELLS
from causalplug.selection import positions_of, values_at

__all__ = ["Part", "contract"]

Part = tuple[np.ndarray, Sequence[Hashable]]
"""An array and the names of its axes."""


def contract(
    parts: Sequence[Part], kept: Sequence[Hashable], *, most_cells: int = MAX_CELLS
) -> np.ndarray:
    """The product of arrays, summed over all axes but ``kept``, in their order.

    One axis after another is summed over, always the one that needs the smallest array (Koller &
    Friedman 2009, Probabilistic Graphical Models, section 9.4).

    Raises:
        DataError: A step of it has more than ``most_cells`` cells.
    """
    elimination = _Elimination(parts, frozenset(kept), most_cells)
    while elimination.cost:
        elimination.sum_over(min(elimination.cost, key=elimination.cost.__getitem__))
    return elimination.product(elimination.left.values(), kept)


class _Elimination:
    """Arrays of which one axis after another is summed over.

    Attributes:
        left: The arrays, by number.
        cost: For every axis that is to be summed over, the cells of the product of all arrays that
            have it.
    """

    def __init__(self, parts: Sequence[Part], kept: frozenset[Hashable], most_cells: int):
        self.most_cells = most_cells
        self.left: dict[int, Part] = dict(enumerate(parts))
        self.sizes: dict[Hashable, int] = {}
        self.holders: dict[Hashable, set[int]] = defaultdict(set)
        for i, (array, axes) in self.left.items():
            self.sizes.update(zip(axes, array.shape, strict=True))
            for name in axes:
                self.holders[name].add(i)
        self.cost = {name: self._cost(name) for name in self.sizes if name not in kept}
        self._next = len(parts)

    def sum_over(self, name: Hashable) -> None:
        """Put the sum of their product in the place of all arrays that have an axis."""
        concerned = sorted(self.holders.pop(name))
        del self.cost[name]
        parts = [self.left.pop(i) for i in concerned]
        axes = [axis for axis in _union(parts) if axis != name]
        self.left[self._next] = self.product(parts, axes), axes
        for axis in axes:
            self.holders[axis].difference_update(concerned)
            self.holders[axis].add(self._next)
        for axis in axes:
            if axis in self.cost:
                self.cost[axis] = self._cost(axis)
        self._next += 1

    def _cost(self, name: Hashable) -> int:
        return self._cells(_union([self.left[i] for i in self.holders[name]]))

    def _cells(self, axes: Iterable[Hashable]) -> int:
        return math.prod([self.sizes[name] for name in axes])

    def product(self, parts: Iterable[Part], kept: Sequence[Hashable]) -> np.ndarray:
        """The product of some arrays, the smallest first, summed over all axes but ``kept``."""
        first, *others = sorted(parts, key=lambda part: part[0].size)
        axes = _union([first, *others])
        if self._cells(axes) > self.most_cells:
            raise DataError(
                f"A product over {len(axes)} variables at once cannot be worked out from tables: "
                f"it has {self._cells(axes):.1e} combinations of values. Ask about fewer "
                "variables, or coarsen the categories."
            )
        number = positions_of(axes)
        array, of = first[0], values_at(number, first[1])
        for other, more in others[:-1]:
            right = values_at(number, more)
            both = list(dict.fromkeys([*of, *right]))
            array, of = np.einsum(array, of, other, right, both), both
        operands: list[object] = [array, of]
        for other, more in others[-1:]:
            operands += [other, values_at(number, more)]
        return np.asarray(np.einsum(*operands, values_at(number, kept)))  # type: ignore[call-overload]


def _union(parts: Sequence[Part]) -> list[Hashable]:
    """All axes of some arrays, each once."""
    if len(parts) == 1:
        return list(parts[0][1])
    return list(dict.fromkeys(itertools.chain.from_iterable(axes for _, axes in parts)))
