"""Plug-in evaluation of an estimand on discrete tables: the classical answer to compare a model
with.

Every node becomes an array with one named axis per free symbol and a mask of the cells that are
undefined because what they are conditioned on was never observed. An undefined cell does no harm
where it is multiplied by zero; elsewhere it makes the result undefined, and the report says which
cells had no rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalplug.errors import DataError
from causalplug.identification.contraction import contract
from causalplug.identification.estimand import (
    Atom,
    Average,
    Cases,
    Constant,
    Estimand,
    Expression,
    Indicator,
    Number,
    Probability,
    Product,
    Ratio,
    Sum,
    Symbol,
    TermEstimand,
    Within,
)
from causalplug.identification.notation import walk
from causalplug.identification.tables import MAX_CELLS, Table, as_table, common_categories
from causalplug.selection import (
    map_values,
    of_kind,
    values_at,
    variables_of,
    within,
    without,
)
from causalplug.wording import listed

__all__ = ["Estimate", "Evaluator", "evaluate"]


@dataclass(frozen=True, eq=False)
class Estimate:
    """The value of an estimand.

    Attributes:
        query: The query in words.
        values: Array with one axis per entry of ``axes``; NaN where the answer is undefined.
        axes: Labels such as ``"Y"``, ``"Y_{X=1}"`` or ``"do(X)"``.
        categories: The values along each axis.
        unsupported: Combinations of values that the formula needs and that no row has, in words.
    """

    query: str
    values: np.ndarray
    axes: tuple[str, ...]
    categories: tuple[tuple[Hashable, ...], ...]
    unsupported: tuple[str, ...] = ()

    def __float__(self) -> float:
        return float(self.values)

    def __getitem__(self, at: Mapping[str, Hashable]) -> Any:
        """The value (or sub-array) at some values of some axes, such as ``estimate[{"Y": 1}]``."""
        index: list[Any] = [slice(None)] * len(self.axes)
        for label, value in at.items():
            if label not in self.axes or value not in self.categories[self.axes.index(label)]:
                raise DataError(
                    f"{label}={value} is not in the answer; its axes are {listed(self.axes)}"
                )
            position = self.axes.index(label)
            index[position] = self.categories[position].index(value)
        return self.values[tuple(index)]

    def to_frame(self) -> Any:
        """A pandas Series with one index level per axis."""
        import pandas as pd

        if not self.axes:
            return pd.Series([float(self.values)], name=self.query)
        index = pd.MultiIndex.from_product(self.categories, names=self.axes)
        return pd.Series(self.values.ravel(), index=index, name=self.query)


@dataclass(frozen=True, eq=False)
class _Named:
    """An array over ``symbols``; ``bad`` marks undefined cells, whose value is 0."""

    symbols: tuple[Symbol, ...]
    values: np.ndarray
    bad: np.ndarray


def evaluate(
    estimand: Estimand,
    tables: object,
    *,
    categories: Mapping[str, Sequence[Hashable]] | None = None,
) -> Estimate:
    """The value of ``estimand`` with the tables' relative frequencies in place of probabilities.

    Args:
        estimand: From :func:`causalplug.identify`.
        tables: One table per data source, in the order of ``estimand.sources``, or a mapping from
            their names; a single one if there is one source. A table is a DataFrame, a dict of
            arrays, or a :class:`Table`; one of an interventional source has columns for what was
            set.
        categories: All values of some variables, in the order wanted; by default those in the
            tables.

    Raises:
        DataError: A missing table or column; an expectation of values that are not numbers.
    """
    given = _by_source(estimand, tables)
    listed_values = map_values(list, categories or {})
    domains = common_categories(given, _constants(estimand, listed_values))
    domains |= map_values(tuple, listed_values)
    evaluator = Evaluator([table.recoded(domains) for table in given], domains)
    axes: dict[str, tuple[Hashable, ...]] = {}
    values: list[np.ndarray] = []
    for coefficient, term in estimand.terms:
        names, sizes, array = evaluator.term(term)
        if values and set(names) != set(axes):
            raise DataError(
                f"{estimand.query} cannot be evaluated: its terms are indexed by different "
                "variables"
            )
        axes |= dict(zip(names, sizes, strict=True))
        values.append(coefficient * np.transpose(array, list(map(names.index, axes))))
    total = np.zeros([])
    if values:
        with np.errstate(divide="ignore", invalid="ignore"):
            total = estimand.combined(values)
    return Estimate(
        estimand.query, total, tuple(axes), tuple(axes.values()), tuple(evaluator.unsupported)
    )


def _constants(
    estimand: Estimand, known: Mapping[str, Sequence[Hashable]]
) -> dict[str, list[Hashable]]:
    """Values of every variable that are known or that the formula names."""
    found = map_values(list, known)
    for _, term in estimand.terms:
        for node in walk(term.formula):
            for atom in _atoms(node):
                if isinstance(atom, Constant):
                    found.setdefault(atom.variable, []).append(atom.value)
    return found


def _by_source(estimand: Estimand, tables: object) -> list[Table]:
    if isinstance(tables, Mapping) and set(tables) == set(estimand.sources) and len(tables) > 1:
        tables = values_at(tables, estimand.sources)
    elif not isinstance(tables, list | tuple):
        tables = [tables]
    if len(tables) != len(estimand.sources):
        raise DataError(
            f"{estimand.query} cannot be evaluated: {len(tables)} tables for the "
            f"{len(estimand.sources)} sources {listed(estimand.sources)}; give one per source, in "
            "this order"
        )
    return list(map(as_table, tables))


def _atoms(node: Expression) -> tuple[Atom, ...]:
    match node:
        case Probability(of, given, do):
            return of + given + do
        case Indicator(left, right):
            return (left, right)
        case Within(atom, _):
            return (atom,)
        case _:
            return ()


class Evaluator:
    """Works expressions out on ``tables``, whose codes refer to ``domains``, in steps of at most
    ``most_cells`` combinations of values."""

    def __init__(
        self,
        tables: list[Table],
        domains: Mapping[str, tuple[Hashable, ...]],
        most_cells: int = MAX_CELLS,
    ):
        self.tables = tables
        self.domains = domains
        self.most_cells = most_cells
        self.unsupported: dict[str, None] = {}
        self.done: dict[int, _Named] = {}

    def term(
        self, term: TermEstimand
    ) -> tuple[tuple[str, ...], list[tuple[Hashable, ...]], np.ndarray]:
        """Labels, categories and values of one term."""
        result = self.at(term.formula)
        symbols = [symbol for _, symbol in term.axes]
        self._complain(result)
        unknown = without(variables_of(symbols), self.domains)
        if unknown:
            raise DataError(
                f"the answer cannot be tabulated: no table has a column {listed(unknown)}, so its "
                "values are not known; give them in categories=, or give one value in the query"
            )
        sizes = self._sizes(symbols)
        values = self._spread(
            np.where(result.bad, np.nan, result.values), result.symbols, symbols, sizes
        )
        labels = [label for label, _ in term.axes]
        categories = values_at(self.domains, variables_of(symbols))
        if term.expectation is not None:
            axis = labels.index(term.expectation)
            try:
                numbers = np.array(list(map(float, categories[axis])))  # type: ignore[arg-type]
            except (TypeError, ValueError):
                raise DataError(
                    f"the expectation of {term.expectation} cannot be taken: its values are "
                    f"{listed(categories[axis])}, which are not numbers; ask for P(...) instead"
                ) from None
            values = np.tensordot(values, numbers, axes=(axis, 0))
            del labels[axis], categories[axis]
        return tuple(labels), categories, values

    def weights(
        self, factors: Sequence[Expression], known: Sequence[Atom]
    ) -> tuple[tuple[Symbol, ...], np.ndarray]:
        """What the product of ``factors``, summed over all else, puts on each value of the symbols
        of ``known``.

        Undefined cells count as zero; symbols that the factors do not have are weighted evenly.
        """
        symbols = tuple(dict.fromkeys(of_kind(known, Symbol)))
        sizes = self._sizes(symbols)
        if not factors:
            return symbols, np.ones(sizes)
        parts = list(map(self.at, factors))
        every = _all_symbols(parts)
        kept = tuple(within(every, symbols))
        named = [(part.values, part.symbols) for part in parts]
        found = contract(named, kept, most_cells=self.most_cells)
        return symbols, np.array(self._spread(found, kept, symbols, sizes))

    def _spread(
        self,
        values: np.ndarray,
        have: tuple[Symbol, ...],
        want: Sequence[Symbol],
        sizes: Sequence[int],
    ) -> np.ndarray:
        """``values`` with the axes ``want``, constant along those that it does not have."""
        order = sorted(range(len(have)), key=lambda i: want.index(have[i]))
        shape = []
        for symbol, size in zip(want, sizes, strict=True):
            shape.append(size if symbol in have else 1)
        return np.broadcast_to(np.transpose(values, order).reshape(shape), tuple(sizes))

    def _sizes(self, symbols: Iterable[Symbol]) -> list[int]:
        """How many values each symbol may have."""
        return [len(self.domains[symbol.variable]) for symbol in symbols]

    def at(self, node: Expression) -> _Named:
        """The array of ``node``; shared nodes are worked out once."""
        if id(node) not in self.done:
            self.done[id(node)] = self._evaluate(node)
        return self.done[id(node)]

    def _evaluate(self, node: Expression) -> _Named:
        match node:
            case Number(value):
                return _Named((), np.array(value), np.array(False))
            case Probability():
                return self._probability(node)
            case Indicator(left, right):
                return self._slice(np.eye(len(self.domains[left.variable])), (left, right))
            case Within(atom, region):
                held = np.array([value in region for value in self.domains[atom.variable]], float)
                return self._slice(held, (atom,))
            case Product(factors):
                return self._contract(factors, node.free)
            case Sum(_, body):
                if isinstance(body, Product):
                    factors = body.factors
                else:
                    factors = (body,)
                return self._contract(factors, node.free)
            case Ratio(top, bottom):
                return self._ratio(self.at(top), self.at(bottom))
            case Average():
                return self._average(node)
            case Cases():
                return self._cases(node)
            case _:
                raise TypeError(f"{type(node).__name__} cannot be evaluated")

    def _probability(self, node: Probability) -> _Named:
        atoms = node.of + node.given + node.do
        names = variables_of(atoms)
        joint = sum(self.tables[i].margin(names) for i in node.sources)
        outcome_axes = tuple(range(len(node.of)))
        below = np.broadcast_to(np.sum(joint, axis=outcome_axes, keepdims=True), np.shape(joint))
        bad = below <= 0
        values = np.divide(joint, below, out=np.zeros(np.shape(joint)), where=~bad)
        return self._slice(values, atoms, bad)

    def _slice(
        self, values: np.ndarray, atoms: tuple[Atom, ...], bad: np.ndarray | None = None
    ) -> _Named:
        """Constants looked up, symbols kept as axes; one that stands twice is a diagonal."""
        if bad is None:
            bad = np.zeros(values.shape, bool)
        items = []
        for a in atoms:
            items.append(
                self.domains[a.variable].index(a.value) if isinstance(a, Constant) else slice(None)
            )
        index = tuple(items)
        values, bad = values[index], bad[index]
        symbols = of_kind(atoms, Symbol)
        unique = list(dict.fromkeys(symbols))
        if len(unique) < len(symbols):
            labels = list(map(unique.index, symbols))
            values = np.einsum(values, labels, list(range(len(unique))))
            bad = np.einsum(bad.astype(int), labels, list(range(len(unique)))) > 0
        return _Named(tuple(unique), values, bad)

    def _contract(self, factors: Sequence[Expression], free: frozenset[Symbol]) -> _Named:
        """The sum over all other symbols of the product of ``factors``."""
        parts = list(map(self.at, factors))
        symbols = _all_symbols(parts)
        kept = tuple(within(symbols, free))

        def total(arrays: list[np.ndarray]) -> np.ndarray:
            named = zip(arrays, (part.symbols for part in parts), strict=True)
            return contract(list(named), kept, most_cells=self.most_cells)

        values = total([part.values for part in parts])
        if not any(part.bad.any() for part in parts):
            return _Named(kept, values, np.zeros(values.shape, bool))
        # A product is undefined if some factor is and no other is zero; count those terms of the
        # sum.
        possible = [((part.values != 0) | part.bad).astype(float) for part in parts]
        certain = [((part.values != 0) & ~part.bad).astype(float) for part in parts]
        bad = np.asarray(total(possible) - total(certain)) > 0.5
        if bad.any():
            self._blame(factors, parts, possible)
        return _Named(kept, np.where(bad, 0.0, values), bad)

    def _blame(
        self,
        factors: Sequence[Expression],
        parts: list[_Named],
        possible: list[np.ndarray],
    ) -> None:
        """Note the cells without rows that are multiplied by something else than zero."""
        named = list(zip(possible, (part.symbols for part in parts), strict=True))
        for factor, part in zip(factors, parts, strict=True):
            if isinstance(factor, Probability) and part.bad.any():
                reached = contract(named, part.symbols, most_cells=self.most_cells) > 0
                self._note(factor, part, reached)

    def _value(self, atom: Atom, at: Mapping[Symbol, int]) -> Hashable:
        if isinstance(atom, Constant):
            return atom.value
        return self.domains[atom.variable][at[atom]]

    def _note(self, leaf: Probability, part: _Named, reached: np.ndarray, most: int = 20) -> None:
        known = leaf.given + leaf.do
        for cell in np.argwhere(part.bad & reached):
            at = dict(zip(part.symbols, cell, strict=True))
            words = [f"{a.variable}={self._value(a, at)}" for a in known]
            if len(self.unsupported) < most:
                self.unsupported.setdefault("no rows with " + ", ".join(words))

    def _complain(self, result: _Named) -> None:
        if result.bad.any() and not self.unsupported:
            self.unsupported.setdefault("the evidence has probability 0 in the data")

    def _ratio(self, top: _Named, bottom: _Named) -> _Named:
        symbols = tuple(dict.fromkeys(top.symbols + bottom.symbols))
        sizes = self._sizes(symbols)
        above, below = (self._spread(p.values, p.symbols, symbols, sizes) for p in (top, bottom))
        wrong_above, wrong_below = (
            self._spread(p.bad, p.symbols, symbols, sizes) for p in (top, bottom)
        )
        bad = wrong_above | wrong_below | (below <= 0)
        return _Named(symbols, np.divide(above, below, out=np.zeros(bad.shape), where=~bad), bad)

    def _average(self, node: Average) -> _Named:
        body = self.at(node.body)
        over = within(node.over, body.symbols)
        kept = tuple(without(body.symbols, over))
        names = variables_of(over)
        holders = []
        for i in node.sources:
            if set(names) <= set(self.tables[i].categories):
                holders.append(self.tables[i])
        shape = [len(self.domains[name]) for name in names]
        if holders:
            weights = sum((table.margin(names) for table in holders), start=np.zeros(shape))
        else:
            weights = np.ones(shape)
        order = list(map(body.symbols.index, (*kept, *over)))
        values, bad = np.transpose(body.values, order), np.transpose(body.bad, order)
        weights = np.where(bad, 0.0, weights)
        axes = tuple(range(len(kept), len(order)))
        mass = np.sum(weights, axis=axes)
        mean = np.divide(
            np.sum(weights * values, axis=axes), mass, out=np.zeros(np.shape(mass)), where=mass > 0
        )
        return _Named(kept, mean, np.asarray(mass <= 0))

    def _cases(self, node: Cases) -> _Named:
        symbols = tuple(sorted(node.free, key=lambda s: (s.variable, s.primes)))
        sizes = self._sizes(symbols)
        values, bad = np.zeros(sizes), np.ones(sizes, bool)
        for conditions, body in node.branches:
            index: list[Any] = [slice(None)] * len(symbols)
            holds = True
            for atom, value in conditions:
                if isinstance(atom, Constant):
                    holds &= atom.value == value
                elif value in self.domains[atom.variable]:
                    index[symbols.index(atom)] = self.domains[atom.variable].index(value)
                else:
                    holds = False
            if holds:
                part = self.at(body)
                values[tuple(index)] = self._spread(part.values, part.symbols, symbols, sizes)[
                    tuple(index)
                ]
                bad[tuple(index)] = self._spread(part.bad, part.symbols, symbols, sizes)[
                    tuple(index)
                ]
        return _Named(symbols, values, bad)


def _all_symbols(parts: Iterable[_Named]) -> list[Symbol]:
    """The symbols of all parts, in a fixed order."""
    found = set[Symbol]().union(*(part.symbols for part in parts))
    return sorted(found, key=lambda symbol: (symbol.variable, symbol.primes))
