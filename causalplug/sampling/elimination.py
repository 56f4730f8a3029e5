"""Exact sums over discrete variables: variable elimination for many rows at once.

Factors are tables of weights with a last axis of rows, or of length one where all rows share them.
Summing the variables out one by one gives the total weight of each row; drawing them in reverse
order gives a joint draw from the normalised product (Koller & Friedman 2009, chapter 9). Tables
are scaled, row by row, to a largest weight of one, and what they were divided by is kept as a log.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Elimination", "Factor", "Order"]

_TOGETHER = 8  # tables that are multiplied before the product is scaled


@dataclass(frozen=True, eq=False)
class Factor:
    """A table of weights.

    Attributes:
        names: Variables of its axes, in order.
        weights: Shape ``(*sizes, rows or 1)``, not negative, of float64.
        log_scale: ``(rows or 1,)``, what is to be added to the logs of the weights.
    """

    names: tuple[str, ...]
    weights: Tensor
    log_scale: Tensor

    @classmethod
    def of_logs(cls, names: Sequence[str], log: Tensor) -> Factor:
        """The factor of a table of log weights ``(*sizes, rows or 1)``."""
        top = log.reshape(-1, log.shape[-1]).amax(0)
        top = torch.where(top.isfinite(), top, 0.0)
        return cls(tuple(names), (log - top).exp(), top)

    def over(self, names: Sequence[str]) -> Tensor:
        """The table with axes ``names``; length one where it does not depend on a variable."""
        present = [self.names.index(name) for name in names if name in self.names]
        table = self.weights.permute(*present, -1)
        for axis, name in enumerate(names):
            if name not in self.names:
                table = table.unsqueeze(axis)
        return table

    def scaled(self) -> Factor:
        """The factor with a largest weight of one in every row; zeros stay."""
        top = self.weights.reshape(-1, self.weights.shape[-1]).amax(0)
        top = torch.where(top > 0, top, 1.0)
        return Factor(self.names, self.weights / top, self.log_scale + top.log())

    def times(self, other: Factor) -> Factor:
        """The product, over the variables of both."""
        names = (*self.names, *(name for name in other.names if name not in self.names))
        weights = self.over(names) * other.over(names)
        return Factor(names, weights, self.log_scale + other.log_scale)

    def without(self, name: str) -> Factor:
        """The sum over a variable."""
        axis = self.names.index(name)
        names = tuple(other for other in self.names if other != name)
        return Factor(names, self.weights.sum(axis), self.log_scale)


@dataclass(frozen=True)
class Order:
    """In which order variables are summed out, and what that takes.

    Attributes:
        names: The variables, first to last.
        largest: Entries of the largest table that arises, for one row.
        work: Entries of all tables that arise and that differ from row to row, for one row.
    """

    names: tuple[str, ...]
    largest: int
    work: int

    @classmethod
    def greedy(
        cls, scopes: Sequence[Sequence[str]], sizes: Mapping[str, int], varying: Sequence[bool]
    ) -> Order:
        """An order that makes a small table at every step; of two the one with less work.

        Args:
            scopes: The variables of every table.
            sizes: How many values each has.
            varying: Whether a table differs from row to row. Those that do not are joined once for
                all rows, so that one of the two orders begins with them.
        """
        orders = [_greedy(scopes, sizes, varying, first) for first in (False, True)]
        return min(orders, key=lambda order: order.work)


def _greedy(
    scopes: Sequence[Sequence[str]],
    sizes: Mapping[str, int],
    varying: Sequence[bool],
    shared_first: bool,
) -> Order:
    tables = [(frozenset(scope), differs) for scope, differs in zip(scopes, varying, strict=True)]
    left = {name for scope, _ in tables for name in scope}
    order: list[str] = []
    largest = max((_entries(scope, sizes) for scope, _ in tables), default=1)
    work = sum(_entries(scope, sizes) for scope, differs in tables if differs)
    while left:
        joined = {name: _joined(name, tables) for name in sorted(left)}
        name = min(
            joined,
            key=lambda one: (
                shared_first and joined[one][1],
                _entries(joined[one][0], sizes),
                one,
            ),
        )
        scope, differs = joined[name]
        entries = _entries(scope, sizes)
        largest = max(largest, entries)
        work += entries * differs
        tables = [table for table in tables if name not in table[0]]
        tables.append((scope - {name}, differs))
        order.append(name)
        left.remove(name)
    return Order(tuple(order), largest, work)


def _joined(
    name: str, tables: Sequence[tuple[frozenset[str], bool]]
) -> tuple[frozenset[str], bool]:
    """The variables of the product of all tables with ``name``, and whether it varies."""
    inside = [table for table in tables if name in table[0]]
    scope = frozenset().union(*(scope for scope, _ in inside))
    return scope, any(varies for _, varies in inside)


def _entries(scope: frozenset[str], sizes: Mapping[str, int]) -> int:
    return math.prod(sizes[name] for name in scope)


class Elimination:
    """The sums of a product of factors.

    Args:
        factors: The tables.
        order: All of their variables, in the order in which they are summed out.

    Attributes:
        total: Log of the sum over everything, ``(rows or 1,)``.
    """

    def __init__(self, factors: Sequence[Factor], order: Order):
        self._buckets: list[tuple[str, Factor]] = []
        tables = list(factors)
        for name in order.names:
            inside = [factor for factor in tables if name in factor.names]
            tables = [factor for factor in tables if name not in factor.names]
            bucket = _product(inside)
            self._buckets.append((name, bucket))
            tables.append(bucket.without(name).scaled())
        total = torch.zeros(1, dtype=torch.float64)
        for factor in tables:
            total = total.to(factor.weights.device) + factor.log_scale + factor.weights.log()
        self.total = total

    def draw(self, gumbel: Mapping[str, Tensor], place: Tensor | None = None) -> dict[str, Tensor]:
        """A joint draw for every row, or for the rows at ``place``; codes ``(n,)`` by variable.

        Args:
            gumbel: Standard Gumbel noise ``(n, size)`` by variable.
            place: Positions ``(n,)`` of rows, some of them several times.
        """
        found: dict[str, Tensor] = {}
        for name, bucket in reversed(self._buckets):
            noise = gumbel[name]
            if place is None:
                rows = torch.arange(len(noise), device=noise.device)
            else:
                rows = place.to(noise.device)
            if bucket.weights.shape[-1] == 1:
                rows = torch.zeros_like(rows)
            others = [other for other in bucket.names if other != name]
            table = bucket.over((*others, name)).movedim(-2, -1)
            cells = (*(found[other] for other in others), rows)
            weights = table[cells]
            found[name] = (weights.log() + noise).argmax(-1)
        return found


def _product(factors: Sequence[Factor]) -> Factor:
    """The product of factors, those of all rows first."""
    ordered = sorted(factors, key=lambda factor: factor.weights.shape[-1])
    found = ordered[0]
    for count, factor in enumerate(ordered[1:], 1):
        found = found.times(factor)
        if count % _TOGETHER == 0:
            found = found.scaled()
    return found
