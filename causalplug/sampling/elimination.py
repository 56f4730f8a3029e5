"""Exact sums over discrete variables: variable elimination for many rows at once.

Factors are tables of log weights with a leading axis of rows, or of length one where all rows share
them. Summing the variables out one by one gives the total weight of each row; drawing them in
reverse order gives a joint draw from the normalised product (Koller & Friedman 2009, chapter 9).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Elimination", "Factor", "Order"]


@dataclass(frozen=True, eq=False)
class Factor:
    """A table of log weights.

    Attributes:
        names: Variables of its axes, in order.
        log: Shape ``(rows or 1, *sizes)``.
    """

    names: tuple[str, ...]
    log: Tensor

    def over(self, names: Sequence[str]) -> Tensor:
        """The table with axes ``names``; length one where it does not depend on a variable."""
        present = [self.names.index(name) for name in names if name in self.names]
        table = self.log.permute(0, *(1 + axis for axis in present))
        for axis, name in enumerate(names, 1):
            if name not in self.names:
                table = table.unsqueeze(axis)
        return table


@dataclass(frozen=True)
class Order:
    """In which order variables are summed out, and what that takes.

    Attributes:
        names: The variables, first to last.
        largest: Entries of the largest table that arises, for one row.
    """

    names: tuple[str, ...]
    largest: int

    @classmethod
    def greedy(cls, scopes: Sequence[Sequence[str]], sizes: Mapping[str, int]) -> Order:
        """The order that makes the smallest table at every step."""
        left = {name for scope in scopes for name in scope}
        tables = [frozenset(scope) for scope in scopes]
        order: list[str] = []
        largest = max((_entries(scope, sizes) for scope in tables), default=1)
        while left:
            joined = {
                name: frozenset().union(*(scope for scope in tables if name in scope))
                for name in sorted(left)
            }
            name = min(joined, key=lambda one: (_entries(joined[one], sizes), one))
            largest = max(largest, _entries(joined[name], sizes))
            tables = [scope for scope in tables if name not in scope]
            tables.append(joined[name] - {name})
            order.append(name)
            left.remove(name)
        return cls(tuple(order), largest)


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
            bucket = _product(inside, first=name)
            self._buckets.append((name, bucket))
            tables.append(Factor(bucket.names[1:], torch.logsumexp(bucket.log, 1)))
        total = torch.zeros(1, dtype=torch.float64)
        for factor in tables:
            total = total.to(factor.log.device) + factor.log
        self.total = total

    def draw(self, gumbel: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A joint draw for every row, codes ``(n,)`` by variable.

        Args:
            gumbel: Standard Gumbel noise ``(n, size)`` by variable.
        """
        found: dict[str, Tensor] = {}
        for name, bucket in reversed(self._buckets):
            noise = gumbel[name]
            rows = torch.arange(len(noise), device=noise.device)
            if len(bucket.log) == 1:
                rows = torch.zeros_like(rows)
            others = [found[other] for other in bucket.names[1:]]
            table = bucket.log.movedim(1, -1)
            cells = (rows, *others)
            weights = table[cells]
            found[name] = (weights + noise).argmax(-1)
        return found


def _product(factors: Sequence[Factor], first: str) -> Factor:
    """The product of factors, with ``first`` as its first axis."""
    others = sorted({name for factor in factors for name in factor.names} - {first})
    names = (first, *others)
    log = factors[0].over(names)
    for factor in factors[1:]:
        log = log + factor.over(names)
    sizes = [1] * len(names)
    for factor in factors:
        for axis, name in enumerate(names):
            if name in factor.names:
                sizes[axis] = factor.log.shape[1 + factor.names.index(name)]
    return Factor(names, log.expand(len(log), *sizes))
