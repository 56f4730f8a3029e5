"""``bounds``: from a graph, a query and tables to the smallest and largest answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from causalplug.checks.bound_data import BoundData, read_data, resampled
from causalplug.checks.bound_program import BoundProgram, Fitted
from causalplug.checks.bound_query import (
    compile_cells,
    named_values,
    outcomes_with_mean,
    solve_cell,
)
from causalplug.checks.bounds import Bounds, Resamples
from causalplug.checks.extremes import Extreme
from causalplug.checks.factor_rows import Sampled, rows_of, values_of
from causalplug.errors import DataError, QueryError
from causalplug.graphs.graph import CausalGraph, expect_graph
from causalplug.identification.assumptions import Assume, as_assumptions
from causalplug.identification.evaluate import evaluate
from causalplug.identification.factors import Model
from causalplug.identification.identification import identify
from causalplug.identification.query import Query
from causalplug.wording import listed

__all__ = ["bounds"]

_MISFIT = 4.0  # standard errors
_EXACT_MISFIT = 1e-6


def bounds(
    graph: CausalGraph,
    query: Query | str,
    data: Any,
    *,
    sources: Any = None,
    domains: Mapping[str, Sequence[Hashable]] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    assume: Assume | Iterable[Assume] = (),
    encoders: Mapping[str, Callable[[Any], Any]] | None = None,
    most_unknowns: int = 200_000,
    nodes: int = 2000,
    resamples: int = 300,
    seed: int = 0,
) -> Bounds:
    """The smallest and the largest answer to ``query`` that data and graph allow.

    Every model of the graph assigns a distribution to the response types of each c-component: what
    its variables would do at all settings of their parents. The data are linear equations on these.
    Where the query rests on one component that they do not determine, its extremes are found by
    linear programming and are sharp (Balke & Pearl 1997; Tian & Pearl 2000). Products of several
    such components are bounded by branch and bound. The variables of a component are taken to
    share one hidden cause if all pairs of them are confounded; where only some pairs are, the
    bounds hold, and narrower ones may exist.

    Args:
        graph: The causal graph.
        query: A :class:`Query` or its text, about discrete variables, on any layer. Of a continuous
            outcome without children the mean may be asked.
        data: The tables, one or a list: a DataFrame or a dict of arrays with one row per unit; a
            :class:`DataSource`; a pandas Series of probabilities indexed by the values; or an
            array of probabilities with one axis per variable of the graph.
        sources: What each table is a sample of, as for :func:`identify`; by default what a
            DataSource says of itself, and observations for others.
        domains: All values of some variables, in their order; by default those that occur, sorted.
        ranges: The smallest and the largest possible value of continuous outcomes; by default those
            that occur.
        assume: Declared assumptions, see :class:`Assume`.
        encoders: For an image or another vector, a function from its column to one class per row,
            which then stands for the variable. Without one it is projected out of the graph.
        most_unknowns: The largest number of response types of a component.
        nodes: The most linear programs for a query that is a product of unknowns.
        resamples: Resampled tables for :meth:`Bounds.interval`.
        seed: Seed of the resampling.

    Returns:
        A :class:`Bounds`. Its ``low`` and ``high`` are equal if the data determine the answer.

    Raises:
        QueryError: If the query or an assumption makes no sense for the graph, or if the program is
            too large; the message has the number of unknowns.
        DataError: If the tables cannot be read, or if exact distributions contradict the graph.
        GraphError, SourceError, UnknownVariableError: As for :func:`identify`.

    Example:
        >>> import numpy as np
        >>> bow = CausalGraph.parse("X -> Y; X <-> Y")
        >>> print(bounds(bow, "P(Y=1 | do(X=1))", np.array([[0.3, 0.1], [0.2, 0.4]])))
        P(Y=1 | do(X=1)): sharp
          [0.4, 0.8]
    """
    expect_graph(graph, "the query cannot be bounded")
    asked = Query.parse(query) if isinstance(query, str) else query
    if not isinstance(asked, Query):
        raise QueryError(f"{query!r} is not a query: give text such as 'P(Y | do(X=1))' or a Query")
    asked.check(graph.index)
    assumptions = as_assumptions(graph, assume)
    means, needed = outcomes_with_mean(asked)
    read = read_data(
        graph,
        data,
        sources=sources,
        domains=domains or {},
        means=means,
        needed=needed,
        ranges=ranges or {},
        encoders=encoders or {},
        values=named_values(asked),
    )
    work = _Bounding(asked, read, assumptions, most_unknowns, nodes)
    return work.answer(resamples, seed)


class _Bounding:
    """One query on some tables."""

    def __init__(
        self,
        query: Query,
        data: BoundData,
        assumptions: Sequence[Assume],
        most: int,
        nodes: int,
    ):
        self.query, self.data, self.assumptions, self.nodes = query, data, assumptions, nodes
        missing = [name for name in query.variables if name not in data.graph]
        if missing:
            raise DataError(
                f"{query} cannot be bounded: {listed(missing)} is in no table as a discrete "
                "column; give its column, or its values with domains="
            )
        lost = [a for a in assumptions if not {a.cause, a.effect} <= set(data.graph.variables)]
        if lost:
            raise DataError(
                f"{lost[0].kind} cannot be assumed of {lost[0].cause} on {lost[0].effect}: one of "
                "them is in no table as a discrete column"
            )
        self.sources = [sampled.source for sampled in data.tables]
        self.identification = identify(data.graph, query, self.sources, domains=data.domains)
        self.most = most
        self.notes = list(data.notes)

    def answer(self, count: int, seed: int) -> Bounds:
        """By the formula if there is one with support, else by the program."""
        formula = self._by_formula()
        return formula(count, seed) if formula is not None else self._by_program(count, seed)

    # --- determined ---

    def _by_formula(self) -> Callable[[int, int], Bounds] | None:
        if self.identification.estimand is None or self.assumptions:
            return None
        first = self._formula_values(self.data.tables)
        if first is None or np.isnan(first).any():
            return None

        def solve(tables: Sequence[Sampled]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            values = self._formula_values(tables)
            found = np.full(first.shape, np.nan) if values is None else values
            return np.zeros(0), found, found

        found = evaluate(
            self.identification.estimand,
            [sampled.table for sampled in self.data.tables],
            categories=self.data.domains,
        )
        cells = _grid(found.categories)

        def bounded(count: int, seed: int) -> Bounds:
            return self._bounds(
                "identified", found.axes, cells, first, first, 0, solve, count, seed
            )

        return bounded

    def _formula_values(self, tables: Sequence[Sampled]) -> np.ndarray | None:
        assert self.identification.estimand is not None
        found = evaluate(
            self.identification.estimand,
            [sampled.table for sampled in tables],
            categories=self.data.domains,
        )
        values = np.asarray(found.values, float).reshape(-1)
        coins = {t.outcomes[0].variable for _, t in self.query.terms if t.expectation}
        coins &= set(self.data.ranges)
        if not coins:
            return values
        if len(coins) > 1 or not all(term.expectation for _, term in self.query.terms):
            return None
        low, high = self.data.ranges[coins.pop()]
        return low * sum(c for c, _ in self.query.terms) + (high - low) * values

    # --- bounded ---

    def _by_program(self, count: int, seed: int) -> Bounds:
        model = Model(self.data.graph, self.data.domains)
        axes, cells = compile_cells(model, self.query, self.data.ranges)
        rows = rows_of(model, self.data.tables)
        polynomials = [p for cell in cells for p in cell.polynomials]
        program = BoundProgram(model, rows, polynomials, self.assumptions, self.most)
        values, counts = values_of(rows, self.data.tables)
        fitted = Fitted(program, values, counts)
        self._judge(fitted)
        ends = [solve_cell(fitted, cell, nodes=self.nodes) for cell in cells]
        lows, highs = (np.array([end[i].value for end in ends]) for i in (0, 1))

        def solve(tables: Sequence[Sampled]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            drawn, numbers = values_of(rows, tables)
            there = np.where(np.isnan(drawn), values, drawn)
            again = Fitted(program, there, np.where(np.isnan(drawn), counts, numbers))
            found = [solve_cell(again, cell, nodes=self.nodes) for cell in cells]
            low, high = (np.array([end[i].value for end in found]) for i in (0, 1))
            return there, low, high

        status = self._status(program, fitted, ends)
        places = tuple(cell.values for cell in cells)
        return self._bounds(status, axes, places, lows, highs, program.unknowns, solve, count, seed)

    def _judge(self, fitted: Fitted) -> None:
        """Say how far the tables are from what the graph allows."""
        exact = all(sampled.exact for sampled in self.data.tables)
        if exact and fitted.exact_misfit > _EXACT_MISFIT:
            raise DataError(
                f"{self.query} cannot be bounded: no model of the graph"
                f"{' and the assumptions' if self.assumptions else ''} has these distributions; "
                f"{fitted.worst} would have to change by {fitted.exact_misfit:.3g}. Check the "
                "graph against the data with causalplug.check_graph"
            )
        if not exact and fitted.misfit > _MISFIT:
            self.notes.append(
                f"the tables contradict the graph{' or the assumptions' if self.assumptions else ''}"
                f": {fitted.worst} is {fitted.misfit:.1f} standard errors from what it allows; see "
                "causalplug.check_graph"
            )

    def _status(
        self, program: BoundProgram, fitted: Fitted, ends: Sequence[tuple[Extreme, Extreme]]
    ) -> str:
        values = np.array([[low.value, high.value] for low, high in ends])
        if np.isnan(values).any():
            self.notes.append("the evidence of the query has probability zero in every model")
            return "undefined"
        if np.ptp(values, axis=1).max() <= 1e-7 and not fitted.misfit:
            return "identified"
        reasons = self._why_not_sharp(program, fitted)
        if not all(low.sharp and high.sharp for low, high in ends):
            reasons.append("a product of several unknowns was searched, and a gap is left")
        self.notes += [f"not proved sharp: {reason}" for reason in reasons]
        return "valid" if reasons else "sharp"

    def _why_not_sharp(self, program: BoundProgram, fitted: Fitted) -> list[str]:
        reasons = []
        graph = self.data.graph
        for number in program.blocks:
            names = program.model.components[number]
            if any(len(graph.siblings(name)) < len(names) - 1 for name in names):
                reasons.append(
                    f"in {', '.join(names)} some pairs share no hidden cause, which is not used"
                )
        if fitted.unused:
            reasons.append("tables of some of the variables are products of unknowns, left out")
        if any(a.kind == "additive" for a in self.assumptions):
            reasons.append("an additive effect says more than linear equations do")
        if self.data.projected:
            reasons.append(f"{listed(self.data.projected)} is not used")
        coins = {name for names in program.blocks for name in program.model.components[names]}
        for name in sorted(coins & set(self.data.ranges)):
            reasons.append(f"only the mean of {name} is used")
        return reasons

    # --- both ---

    def _bounds(
        self,
        status: str,
        axes: tuple[str, ...],
        cells: tuple[tuple[Hashable, ...], ...],
        lows: np.ndarray,
        highs: np.ndarray,
        unknowns: int,
        solve: Callable[[Sequence[Sampled]], tuple[np.ndarray, np.ndarray, np.ndarray]],
        count: int,
        seed: int,
    ) -> Bounds:
        exact = all(sampled.exact for sampled in self.data.tables)

        def resample() -> Resamples:
            random = np.random.default_rng(seed)
            found = []
            for _ in range(count):
                found.append(solve([resampled(sampled, random) for sampled in self.data.tables]))
            values, low, high = (np.array([one[i] for one in found]) for i in range(3))
            return Resamples(values, low, high)

        return Bounds(
            query=self.query.name or str(self.query),
            status=status,
            axes=axes,
            cells=cells,
            lows=lows,
            highs=highs,
            identification=self.identification,
            assumptions=tuple(str(a) for a in self.assumptions),
            notes=tuple(dict.fromkeys(self.notes)),
            unknowns=unknowns,
            resample=None if exact else resample,
        )


def _grid(categories: Sequence[Sequence[Hashable]]) -> tuple[tuple[Hashable, ...], ...]:
    import itertools

    return tuple(itertools.product(*categories))
