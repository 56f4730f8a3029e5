"""The nodes of a formula: probabilities, products, sums, ratios, indicators and averages.

A formula speaks of *symbols*, each standing for a value of one variable: free symbols are the axes
of the answer (or the values of a do() that were left open), bound ones are summed over. Subtrees
may be shared; nothing is ever changed in place.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property

from causalplug.identification.regions import Region
from causalplug.selection import of_kind

__all__ = [
    "ONE",
    "ZERO",
    "Atom",
    "Average",
    "Cases",
    "Constant",
    "Expression",
    "Indicator",
    "Number",
    "Probability",
    "Product",
    "Ratio",
    "Sum",
    "Symbol",
    "Within",
]


@dataclass(frozen=True)
class Symbol:
    """Some value of ``variable``; ``primes`` tells several such values apart."""

    variable: str
    primes: int = 0


@dataclass(frozen=True)
class Constant:
    """The value ``value`` of ``variable``."""

    variable: str
    value: Hashable


Atom = Symbol | Constant


class Expression:
    """Common face of the nodes."""

    @cached_property
    def free(self) -> frozenset[Symbol]:
        """The symbols on which the expression depends."""
        return frozenset().union(*(child.free for child in self.children))

    @property
    def children(self) -> tuple[Expression, ...]:
        """The expressions inside this one."""
        return ()


@dataclass(frozen=True, eq=False)
class Number(Expression):
    """A constant, 0 or 1 in practice."""

    value: float


@dataclass(frozen=True, eq=False)
class Probability(Expression):
    """``P(of | given, do(do))`` in the pooled rows of ``sources`` (positions in the list of
    sources)."""

    of: tuple[Atom, ...]
    given: tuple[Atom, ...] = ()
    do: tuple[Atom, ...] = ()
    sources: tuple[int, ...] = (0,)

    @cached_property
    def free(self) -> frozenset[Symbol]:
        return frozenset(of_kind(self.of + self.given + self.do, Symbol))


@dataclass(frozen=True, eq=False)
class Product(Expression):
    """The product of ``factors``."""

    factors: tuple[Expression, ...]

    @property
    def children(self) -> tuple[Expression, ...]:
        return self.factors


@dataclass(frozen=True, eq=False)
class Sum(Expression):
    """The sum of ``body`` over all values of ``over``."""

    over: tuple[Symbol, ...]
    body: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        return (self.body,)

    @cached_property
    def free(self) -> frozenset[Symbol]:
        return self.body.free - set(self.over)


@dataclass(frozen=True, eq=False)
class Ratio(Expression):
    """``top / bottom``; undefined where ``bottom`` is 0."""

    top: Expression
    bottom: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        return (self.top, self.bottom)


@dataclass(frozen=True, eq=False)
class Indicator(Expression):
    """1 where the two atoms are the same value, 0 elsewhere."""

    left: Atom
    right: Atom

    @cached_property
    def free(self) -> frozenset[Symbol]:
        return frozenset(of_kind((self.left, self.right), Symbol))


@dataclass(frozen=True, eq=False)
class Within(Expression):
    """1 where the atom's value lies in ``region``, 0 elsewhere."""

    atom: Atom
    region: Region

    @cached_property
    def free(self) -> frozenset[Symbol]:
        return frozenset([self.atom] if isinstance(self.atom, Symbol) else [])


@dataclass(frozen=True, eq=False)
class Average(Expression):
    """``body``, whose value is in theory the same for every value of ``over``: in data, the mean
    over those observed.

    The mean is weighted by the share of rows with these values in the pooled rows of ``sources``;
    values for which ``body`` is undefined do not count.
    """

    over: tuple[Symbol, ...]
    body: Expression
    sources: tuple[int, ...] = (0,)

    @property
    def children(self) -> tuple[Expression, ...]:
        return (self.body,)

    @cached_property
    def free(self) -> frozenset[Symbol]:
        return self.body.free - set(self.over)


@dataclass(frozen=True, eq=False)
class Cases(Expression):
    """One expression per combination of values, where different sources cover different values.

    Attributes:
        branches: Pairs of conditions ``((atom, value), ...)`` and the expression that holds under
            them. The value ``OTHER`` stands for every value that no other branch names.
    """

    branches: tuple[tuple[tuple[tuple[Atom, object], ...], Expression], ...]

    @property
    def children(self) -> tuple[Expression, ...]:
        return tuple(value for _, value in self.branches)

    @cached_property
    def free(self) -> frozenset[Symbol]:
        found = []
        for conditions, _ in self.branches:
            for a, _ in conditions:
                if isinstance(a, Symbol):
                    found.append(a)
        tested = frozenset(found)
        return tested.union(*(body.free for _, body in self.branches))


ONE = Number(1.0)


ZERO = Number(0.0)
