"""The two ways to a bound: the identifying formula, and the program over response types."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence
from itertools import chain

import numpy as np

from causalplug.checks.bound_data import BoundData, resampled
from causalplug.checks.bound_form import Form
from causalplug.checks.bound_program import BoundProgram, Fitted
from causalplug.checks.bound_query import compile_cells, solve_cell
from causalplug.checks.bounds import Resamples, Vertices
from causalplug.checks.extremes import Extreme
from causalplug.checks.factor_rows import Sampled, rows_of, values_of
from causalplug.errors import DataError
from causalplug.identification.assumptions import Assume
from causalplug.identification.estimand import Estimand
from causalplug.identification.evaluate import Estimate, evaluate
from causalplug.identification.factors import Model, Polynomial
from causalplug.identification.query import Query
from causalplug.selection import within
from causalplug.wording import listed

__all__ = ["Formula", "Program"]

_MISFIT = 4.0  # standard errors
_EXACT_MISFIT = 1e-6
_SOLVED = 30  # resamples that are solved for candidates


def draws_of(data: BoundData, count: int, seed: int) -> Iterator[list[Sampled]]:
    """Resampled tables."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield [resampled(sampled, random) for sampled in data.tables]


class Formula:
    """The identifying formula on tables.

    Attributes:
        axes, cells: What the query leaves open, and the values along it.
        values: The answers, one per cell; NaN where the formula has no support.
    """

    def __init__(self, query: Query, estimand: Estimand, data: BoundData):
        self.query, self.estimand, self.data = query, estimand, data
        found = self._evaluated(data.tables)
        self.axes = found.axes
        self.cells = tuple(itertools.product(*found.categories))
        self.values = self._scaled(found)

    def _evaluated(self, tables: Sequence[Sampled]) -> Estimate:
        plain = [sampled.table for sampled in tables]
        return evaluate(self.estimand, plain, categories=self.data.domains)

    def _scaled(self, found: Estimate) -> np.ndarray:
        """Means of coins as means of the outcomes that they stand for."""
        values = np.asarray(found.values, float).reshape(-1)
        terms = [term for _, term in self.query.terms]
        coins = {t.outcomes[0].variable for t in terms if t.expectation} & set(self.data.ranges)
        if not coins:
            return values
        mixed = self.query.formula is not None or len(coins) > 1
        if mixed or not all(term.expectation for term in terms):
            return np.full(values.shape, np.nan)
        low, high = self.data.ranges[coins.pop()]
        total = sum(weight for weight, _ in self.query.terms)
        return low * total + (high - low) * values

    def resample(self, count: int, seed: int) -> Resamples:
        """The answers of resampled tables."""
        found = []
        for t in draws_of(self.data, count, seed):
            found.append(self._scaled(self._evaluated(t)))
        values = np.array(found)
        return Resamples((self.values, self.values), values, values, values, True)


class Program:
    """The program over response types on tables.

    Args:
        query: The query.
        data: The tables.
        assumptions: Declared ones.
        most: The largest number of response types of a component.
        nodes: The most linear programs where products of unknowns occur.

    Attributes:
        axes, cells: What the query leaves open, and the values along it.
        lows, highs: The bounds, one per cell.
        unknowns: The number of unknowns.

    Raises:
        QueryError: If the program is too large.
        DataError: If exact distributions contradict the graph.
    """

    def __init__(
        self, query: Query, data: BoundData, assumptions: Sequence[Assume], most: int, nodes: int
    ):
        self.query, self.data, self.assumptions = query, data, assumptions
        self.model = Model(data.graph, data.domains)
        self.axes, self.queries = compile_cells(self.model, query, data.ranges)
        self.cells: tuple[tuple[Hashable, ...], ...] = tuple(cell.values for cell in self.queries)
        self.rows = rows_of(self.model, data.tables)
        polynomials: list[Polynomial] = []
        for cell in self.queries:
            polynomials.extend(cell.polynomials)
        self.program = BoundProgram(self.model, self.rows, polynomials, assumptions, most)
        self.unknowns = self.program.unknowns
        self.nodes = max(20, nodes // (2 * max(len(self.queries), 1)))
        self.values, self.counts = values_of(self.rows, data.tables)
        self.fitted = Fitted(self.program, self.values, self.counts)
        self._refuse_contradiction()
        self.ends = self._solved(self.fitted)
        self.lows, self.highs = _numbers(self.ends)

    def _solved(self, fitted: Fitted) -> list[tuple[Extreme, Extreme]]:
        return [solve_cell(fitted, cell, nodes=self.nodes) for cell in self.queries]

    @property
    def _exact(self) -> bool:
        return all(sampled.exact for sampled in self.data.tables)

    @property
    def _what(self) -> str:
        if self.assumptions:
            return "the graph and the assumptions"
        return "the graph"

    def _refuse_contradiction(self) -> None:
        if self._exact and self.fitted.exact_misfit > _EXACT_MISFIT:
            raise DataError(
                f"{self.query} cannot be bounded: no model of {self._what} has these "
                f"distributions; {self.fitted.worst} would have to change by "
                f"{self.fitted.exact_misfit:.3g}. Check the graph with causalplug.check_graph"
            )

    def verdict(self) -> tuple[str, list[str]]:
        """The status of the bounds, and what is doubtful."""
        notes = []
        if not self._exact and self.fitted.misfit > _MISFIT:
            notes.append(
                f"the tables contradict {self._what}: {self.fitted.worst} is "
                f"{self.fitted.misfit:.1f} standard errors from what it allows; see "
                "causalplug.check_graph"
            )
        if np.isnan(self.lows).any():
            return "undefined", [*notes, "the evidence has probability zero in every model"]
        if (self.highs - self.lows).max(initial=0.0) <= 1e-7:
            return "identified", notes
        reasons = self._why_not_sharp()
        notes += [f"not proved sharp: {reason}" for reason in reasons]
        return "valid" if reasons else "sharp", notes

    def _why_not_sharp(self) -> list[str]:
        reasons = []
        for number in self.program.blocks:
            reasons += self._about_component(self.model.components[number])
        if self.fitted.unused:
            reasons.append("tables of some of the variables are products of unknowns, left out")
        if any(assumption.kind == "additive" for assumption in self.assumptions):
            reasons.append("an additive effect says more than linear equations do")
        if self.data.projected:
            reasons.append(f"{listed(self.data.projected)} is not used")
        gap = not all(low.sharp and high.sharp for low, high in self.ends)
        if gap and self.query.formula is not None:
            reasons.append("the parts of the formula were bounded one by one")
        elif gap:
            reasons.append("a product of several unknowns was searched, and a gap is left")
        return reasons

    def _about_component(self, names: tuple[str, ...]) -> list[str]:
        graph = self.data.graph
        reasons = []
        if any(len(graph.siblings(name)) < len(names) - 1 for name in names):
            reasons.append(
                f"in {', '.join(names)} some pairs share no hidden cause, which is not used"
            )
        outside = set(chain.from_iterable(map(graph.parents, names))) - set(names)
        coins = within(names, self.data.ranges)
        if coins and outside:
            reasons.append(f"of {listed(coins)} only the mean is used")
        return reasons

    # --- sampling error ---

    def resample(self, count: int, seed: int) -> Resamples | Vertices:
        """The bounds as the best of linear functions, if they are; else those of resamples."""
        tables = draws_of(self.data, count, seed)
        draws = np.array([self._filled(values_of(self.rows, one)[0]) for one in tables])
        if any(end.form is None for pair in self.ends for end in pair):
            return self._region(draws)
        solved = [self.ends, *(self._solved(self._refitted(d)) for d in draws[:_SOLVED])]
        sides = []
        for side in (0, 1):
            forms = []
            for cell in range(len(self.cells)):
                forms.append(_distinct([ends[cell][side].form for ends in solved]))
            sides.append(tuple(forms))
        return Vertices(self.values, draws, sides[0], sides[1])

    def _filled(self, drawn: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(drawn), self.values, drawn)

    def _refitted(self, values: np.ndarray) -> Fitted:
        return Fitted(self.program, values, self.counts)

    def _region(self, draws: np.ndarray) -> Resamples:
        ends = [_numbers(self._solved(self._refitted(values))) for values in draws]
        lows, highs = (np.array([end[i] for end in ends]) for i in (0, 1))
        return Resamples((self.lows, self.highs), draws, lows, highs, False)


def _numbers(ends: Sequence[tuple[Extreme, Extreme]]) -> tuple[np.ndarray, np.ndarray]:
    lows, highs = (np.array([end[i].value for end in ends]) for i in (0, 1))
    return lows, highs


def _distinct(forms: Sequence[Form | None]) -> tuple[Form, ...]:
    return tuple({form.key: form for form in forms if form is not None}.values())
