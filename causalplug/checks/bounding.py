"""``bounds``: from a graph, a query and tables to the smallest and largest answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from causalplug.arguments import COUNT, DOMAINS, ENCODERS, MAPPING, ROWS, SEED, number, takes, whole
from causalplug.checks.adjustment_bounds import (
    arms_of,
    bound_arms,
    how_adjusted,
    needs_adjustment,
)
from causalplug.checks.bound_data import (
    BoundData,
    are_rows,
    checked_columns,
    columns_of,
    described_source,
    in_clusters,
    read_data,
)
from causalplug.checks.bound_query import named_values, outcomes_with_mean
from causalplug.checks.bound_solver import Formula, Program
from causalplug.checks.bounds import Bounds, ConfidenceEnds
from causalplug.errors import DataError, QueryError
from causalplug.graphs.graph import CausalGraph, expect_graph
from causalplug.graphs.source import as_sources
from causalplug.identification.assumptions import BOUNDING, Assume, as_assumptions
from causalplug.identification.identification import Identification, identify
from causalplug.identification.query import Query, as_query
from causalplug.identification.status import Status
from causalplug.selection import keep, without
from causalplug.wording import check_known, listed

__all__ = ["bounds"]


@takes(
    QueryError,
    data=ROWS,
    domains=DOMAINS.or_none("what occurs"),
    ranges=MAPPING.or_none("what occurs"),
    encoders=ENCODERS.or_none("none"),
    threshold=number(low=0, below=1),
    most_unknowns=COUNT,
    nodes=COUNT,
    resamples=whole(0, 10_000_000),
    seed=SEED,
)
def bounds(
    graph: CausalGraph,
    query: Query | str,
    data: object,
    *,
    sources: object = None,
    domains: Mapping[str, Sequence[Hashable]] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    assume: Assume | Iterable[Assume] = (),
    encoders: Mapping[str, Callable[[Any], Any]] | None = None,
    threshold: float = 0.1,
    most_unknowns: int = 200_000,
    nodes: int = 1000,
    resamples: int = 1000,
    seed: int = 0,
) -> Bounds:
    """The smallest and the largest answer to ``query`` that data and graph allow.

    Every model of the graph assigns a distribution to the response types of each c-component: what
    its variables would do at all settings of their parents. The data are linear equations on these.
    Where the query rests on one component that they do not determine, its extremes are found by
    linear programming and are sharp (Balke & Pearl 1997; Tian & Pearl 2000), as are ratios of
    sums of probabilities; of other formulas the parts are bounded one by one. Products of several
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
        threshold: For effects that a back-door set with continuous covariates determines: a
            treatment is without support on a unit where it is less than so many times as likely as
            overall, and the unit's outcome is then bounded by its range.
        most_unknowns: The largest number of response types of a component.
        nodes: The most linear programs for a query that is a product of unknowns, over all its
            open values.
        resamples: Resampled tables for :meth:`Bounds.interval`.
        seed: Seed of the resampling and of cross-fitting.

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
    asked = as_query(query)
    asked.check(graph.index)
    for what, named in (("domains", domains), ("ranges", ranges), ("encoders", encoders)):
        check_known(named or (), graph.index, f"{what}= cannot be used")
    assumptions = as_assumptions(graph, assume, kinds=BOUNDING)
    adjusted = _by_adjustment(
        graph, asked, data, sources, domains or {}, ranges or {}, assumptions, threshold, seed
    )
    if adjusted is not None:
        return adjusted
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
    _check_columns(asked, read, assumptions)
    described = [sampled.source for sampled in read.tables]
    identification = identify(read.graph, asked, described, domains=read.domains)
    formula: Formula | None = None
    hidden = assumptions or _evidence_is_hidden(identification)
    if identification.estimand is not None and not hidden:
        formula = Formula(asked, identification.estimand, read)
    solver: Formula | Program
    if formula is not None and not np.isnan(formula.values).any():
        solver, status, notes = formula, "identified", list[str]()
        lows = highs = formula.values
        unknowns = 0
    else:
        solver = Program(asked, read, assumptions, most_unknowns, nodes)
        lows, highs, unknowns = solver.lows, solver.highs, solver.unknowns
        status, notes = solver.verdict()
    if isinstance(data, list | tuple):
        clustered = any(map(in_clusters, data))
    else:
        clustered = in_clusters(data)
    resample: Callable[[], ConfidenceEnds] | None = partial(solver.resample, resamples, seed)
    if all(sampled.exact for sampled in read.tables):
        resample = None
    elif clustered:
        resample = _refuse_clusters
    return Bounds(
        query=asked.name or str(asked),
        status=status,
        axes=solver.axes,
        cells=solver.cells,
        lows=lows,
        highs=highs,
        identification=identification,
        assumptions=tuple(map(str, assumptions)),
        notes=(*read.notes, *notes),
        unknowns=unknowns,
        resample=resample,
    )


def _refuse_clusters() -> ConfidenceEnds:
    raise DataError(
        "the bounds have no interval: their rows come in clusters, and it takes rows as "
        "independent. Give one row of each cluster, or resample whole clusters and bound each"
    )


def _by_adjustment(
    graph: CausalGraph,
    query: Query,
    data: object,
    sources: object,
    domains: Mapping[str, Sequence[Hashable]],
    ranges: Mapping[str, tuple[float, float]],
    assumptions: Sequence[Assume],
    threshold: float,
    seed: int,
) -> Bounds | None:
    """The bounds by a back-door set with covariates that are no categories; None where the query
    or the data are of another kind."""
    if assumptions or not are_rows(data):
        return None
    columns = columns_of(data)
    if sources is not None:
        source = as_sources(graph, sources)[0]
    else:
        source = described_source(graph, data)
    if source.do:
        return None
    arms = arms_of(graph, query, keep(columns, source.recorded))
    if arms is None or not needs_adjustment(arms, columns, domains):
        return None
    names: set[str] = set()
    for arm in arms:
        names |= {arm.outcome, arm.treatment, *arm.covariates}
    columns = checked_columns(columns, sorted(names), named_values(query), domains, ranges)
    ends, notes = bound_arms(arms, columns, ranges, threshold=threshold, seed=seed)
    return Bounds(
        query=query.name or str(query),
        status="valid",
        axes=(),
        cells=((),),
        lows=np.array([ends.low]),
        highs=np.array([ends.high]),
        identification=identify(graph, query, [source]),
        notes=(*notes, how_adjusted(arms)),
        resample=_refuse_clusters if in_clusters(data) else lambda: ends,
    )


def _check_columns(query: Query, data: BoundData, assumptions: Sequence[Assume]) -> None:
    """Refuse what needs a variable that no table has as a discrete column."""
    missing = without(query.variables, data.graph)
    if missing:
        raise DataError(
            f"{query} cannot be bounded: {listed(missing)} is in no table as a discrete column; "
            "give its column, or its values with domains="
        )
    for assumption in assumptions:
        if not {assumption.cause, assumption.effect} <= set(data.graph.variables):
            raise DataError(
                f"{assumption.kind} cannot be assumed of {assumption.cause} on "
                f"{assumption.effect}: one of them is in no table as a discrete column"
            )


def _evidence_is_hidden(identification: Identification) -> bool:
    """Whether the formula is a plain 0 that does not show whether its evidence can happen."""
    evidence = any(term.evidence for _, term in identification.query.terms)
    return evidence and identification.status is Status.ZERO
