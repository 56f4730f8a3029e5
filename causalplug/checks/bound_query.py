"""A query compiled for bounds: polynomials in c-factors, one pair per term and open values."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from causalplug.checks.bound_form import Form
from causalplug.checks.bound_formula import Fraction, formula_ends
from causalplug.checks.bound_program import Fitted
from causalplug.checks.extremes import Extreme, extreme, extreme_ratio
from causalplug.checks.linear_program import Infeasible
from causalplug.errors import QueryError
from causalplug.identification.arithmetic import Formula
from causalplug.identification.events import Bound, Event
from causalplug.identification.factors import Model, Polynomial, add, fill
from causalplug.identification.query import Axis, Query, Term
from causalplug.identification.regions import Region
from causalplug.wording import listed

__all__ = ["CellQuery", "compile_cells", "named_values", "outcomes_with_mean", "solve_cell"]

Cell = tuple[Hashable, ...]


@dataclass(frozen=True, eq=False)
class CellQuery:
    """The query at one value of everything that it leaves open.

    Attributes:
        values: Those values, in the order of the axes.
        parts: Coefficient, numerator and denominator of every term; None stands for one.
        formula: How a ratio or a product is worked out from the terms; None for their sum.
    """

    values: Cell
    parts: tuple[Fraction, ...]
    formula: Formula | None = None

    @property
    def polynomials(self) -> Iterable[Polynomial]:
        """Every polynomial in it."""
        for part in self.parts:
            yield part.above
            if part.below is not None:
                yield part.below


def outcomes_with_mean(query: Query) -> tuple[set[str], set[str]]:
    """The variables of which only the mean is asked, and all others that the query names."""
    means: set[str] = set()
    others: set[str] = set()
    for _, term in query.terms:
        rest = list(term.variables)
        if term.expectation:
            outcome = term.outcomes[0]
            means.add(outcome.variable)
            inside = set(chain.from_iterable(map(_all_names, term.evidence)))
            rest = [n for n in rest if n != outcome.variable or n in inside]
        others.update(rest)
    return means - others, others


def _all_names(event: Event) -> Iterable[str]:
    return Term((event,)).variables


def named_values(query: Query) -> dict[str, list[Hashable]]:
    """The values of variables that the query names."""
    found: dict[str, list[Hashable]] = {}
    waiting = [event for _, term in query.terms for event in term.events]
    while waiting:
        event = waiting.pop()
        pairs = [(event.variable, event.value), *event.do.items()]
        for name, value in pairs:
            if isinstance(value, Event):
                waiting.append(value)
            elif value is not None and not isinstance(value, Bound | Region):
                found.setdefault(name, []).append(value)
    return found


def compile_cells(
    model: Model, query: Query, ranges: Mapping[str, tuple[float, float]]
) -> tuple[tuple[str, ...], list[CellQuery]]:
    """The labels of the axes, and the query at every combination of values along them.

    Args:
        model: The graph and the values.
        query: The query.
        ranges: Ranges of outcomes that are coins, whose mean is to be scaled back.

    Raises:
        QueryError: If terms leave different things open, or an expectation is not of numbers.
    """
    open_axes = [[a for a in term.axes if not _averaged(term, a)] for _, term in query.terms]
    labels = {}
    for axes in open_axes:
        for axis in axes:
            labels[axis.label] = axis.variable
    if any(len(axes) != len(labels) for axes in open_axes):
        raise QueryError(
            f"{query} cannot be bounded: its terms leave different things open; give the values"
        )
    cells = []
    for values in itertools.product(*(model.domains[v] for v in labels.values())):
        chosen = dict(zip(labels, values, strict=True))
        fractions = []
        for coefficient, term in query.terms:
            fractions.append(_fraction(model, coefficient, term, chosen, ranges))
        parts = tuple(fractions)
        cells.append(CellQuery(values, parts, query.formula))
    return tuple(labels), cells


def _averaged(term: Term, axis: Axis) -> bool:
    return term.expectation and axis.key == term.outcomes[0]


def _fraction(
    model: Model,
    coefficient: float,
    term: Term,
    chosen: Mapping[str, Hashable],
    ranges: Mapping[str, tuple[float, float]],
) -> Fraction:
    known = {axis: chosen[axis.label] for axis in term.axes if axis.label in chosen}
    averaged = [axis for axis in term.axes if _averaged(term, axis) and axis not in known]
    below = None
    if term.evidence:
        spare = {axis: model.domains[axis.variable][0] for axis in averaged}
        below = model.probability(fill(term, {**known, **spare})[1])
    if not term.expectation:
        outcomes, evidence = fill(term, known)
        return Fraction(coefficient, model.probability((*outcomes, *evidence)), below)
    numbers = _numbers(model, averaged[0], ranges)
    above = _mean(model, term, known, averaged[0], numbers)
    return Fraction(coefficient, above, below, (min(numbers), max(numbers)))


def _mean(
    model: Model,
    term: Term,
    known: Mapping[Axis, Hashable],
    axis: Axis,
    numbers: Sequence[float],
) -> Polynomial:
    """The sum over values of the outcome, times the probability of each with the evidence."""
    parts = []
    for value, number in zip(model.domains[axis.variable], numbers, strict=True):
        outcomes, evidence = fill(term, {**known, axis: value})
        parts.append((number, model.probability((*outcomes, *evidence))))
    return add(*parts)


def _numbers(model: Model, axis: Axis, ranges: Mapping[str, tuple[float, float]]) -> list[float]:
    values = model.domains[axis.variable]
    if axis.variable in ranges:
        return list(ranges[axis.variable])
    try:
        return list(map(float, values))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise QueryError(
            f"the expectation of {axis.label} cannot be taken: its values are {listed(values)}, "
            "which are not numbers; ask for P(...) instead"
        ) from None


def solve_cell(fitted: Fitted, cell: CellQuery, *, nodes: int) -> tuple[Extreme, Extreme]:
    """The two ends; NaN where the evidence cannot happen."""
    try:
        if cell.formula is not None:
            return formula_ends(fitted, cell.formula, cell.parts, nodes=nodes)
        return _end(fitted, cell, 1, nodes), _end(fitted, cell, -1, nodes)
    except Infeasible:
        nothing = Extreme(np.nan, np.nan)
        return nothing, nothing


def _end(fitted: Fitted, cell: CellQuery, sign: int, nodes: int) -> Extreme:
    whole, rest = _grouped(fitted, cell.parts)
    ends = []
    for group in rest:
        end = extreme_ratio(fitted, group.above, group.below, sign, nodes=nodes)
        ends.append(end.within(group.limits))
    if not rest:
        found = extreme(fitted, whole.above, sign, nodes=nodes).within(whole.limits)
        return _with_denominator(fitted, cell, found)
    if len(rest) == 1 and not whole.above:
        return ends[0]
    ends.append(extreme(fitted, whole.above, sign, nodes=nodes).within(whole.limits))
    return Extreme(sum(end.value for end in ends), np.nan)


def _with_denominator(fitted: Fitted, cell: CellQuery, found: Extreme) -> Extreme:
    """The end with the right form where the terms share a known denominator."""
    below = [part.below for part in cell.parts]
    if found.form is None or all(part is None for part in below):
        return found
    first = below[0]
    if first is None or any(part != first for part in below):
        return Extreme(found.value, found.reached)
    scale = fitted.reduce(first).constant
    top = Form(found.form.constant * scale, found.form.weights * scale)
    return Extreme(found.value, found.reached, top.over(fitted.form_of(first)))


@dataclass(frozen=True, eq=False)
class _Group:
    """Terms with one denominator, added up.

    Attributes:
        above, below: Numerator and denominator.
        limits: What the sum of the terms lies between whatever the model.
    """

    above: Polynomial
    below: Polynomial
    limits: tuple[float, float] = (0.0, 0.0)

    def plus(self, coefficient: float, part: Fraction) -> _Group:
        """The group with one more term; its numerator is multiplied by ``coefficient``."""
        (low, high), (least, most) = self.limits, part.limits
        above = add((1.0, self.above), (coefficient, part.above))
        return _Group(above, self.below, (low + least, high + most))


def _grouped(fitted: Fitted, parts: Sequence[Fraction]) -> tuple[_Group, list[_Group]]:
    """What has a known denominator as one group, the others by their denominators."""
    whole = _Group({}, {frozenset(): 1.0})
    rest: dict[frozenset[tuple[object, float]], _Group] = {}
    for part in parts:
        if part.below is None:
            whole = whole.plus(part.coefficient, part)
            continue
        bottom = fitted.reduce(part.below)
        if bottom.known:
            if bottom.impossible:
                raise Infeasible("the evidence has probability zero")
            whole = whole.plus(part.coefficient / bottom.constant, part)
            continue
        key = frozenset(part.below.items())
        group = rest.get(key, _Group({}, part.below))
        rest[key] = group.plus(part.coefficient, part)
    return whole, list(rest.values())
