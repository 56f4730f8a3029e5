"""``check_graph``: do the rows contradict the graph?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalplug.arguments import COUNT, ENCODERS, ROWS, SEED, SHARE, takes, whole
from causalplug.checks.bound_data import columns_of, in_clusters
from causalplug.checks.graph_report import GraphCheck, TestedConstraint
from causalplug.checks.independence import Column, IndependenceTests, Outcome, column_of
from causalplug.checks.reweighting import Reweighting
from causalplug.errors import DataError
from causalplug.graphs.graph import CausalGraph, expect_graph
from causalplug.graphs.source import Source, as_sources
from causalplug.identification.implied import Constraint, implied_constraints
from causalplug.selection import within
from causalplug.values import Named
from causalplug.wording import check_known, listed

__all__ = ["check_graph", "tables_to_test"]

Encoder = Callable[[Any], Any]
_FEWEST = 30  # rows
_SOURCE = "source"


@takes(
    DataError,
    data=ROWS,
    encoders=ENCODERS.or_none("none"),
    level=SHARE,
    most_rows=COUNT,
    most_tests=COUNT,
    most_fixed=whole(0, 100),
    seed=SEED,
)
def check_graph(
    graph: CausalGraph,
    data: object,
    *,
    sources: object = None,
    encoders: Mapping[str, Encoder] | None = None,
    level: float = 0.05,
    most_rows: int = 5000,
    most_tests: int = 500,
    most_fixed: int = 3,
    seed: int = 0,
) -> GraphCheck:
    """Test what ``graph`` implies about the distribution of the rows.

    Each pair of variables without an edge gives at most one constraint: an independence given a
    smallest separating set, or a Verma constraint, which is an independence after reweighting. Each
    experiment is compared with the first table as well: what it did not change has to agree. All
    p-values are adjusted together by Holm's method, so that a true graph is rejected with
    probability ``level`` at most.

    Not to be rejected is no proof: a graph with more edges implies less, and a complete graph
    implies nothing.

    Args:
        graph: The causal graph.
        data: The rows, one table or a list: a DataFrame, a dict of arrays or a
            :class:`DataSource`.
        sources: What each table is a sample of, as for :func:`identify`; by default what a
            DataSource says of itself, and observations for others.
        encoders: For an image or another vector, a function from its column to projections
            ``(n, d)``. Without one an image is projected out of the graph.
        level: The chance of rejecting any constraint of a true graph.
        most_rows: The most rows for tests that need regressions, drawn at random.
        most_tests: The most constraints; further ones are not tested, and a note says so.
        most_fixed: The most variables that are fixed for a Verma constraint.
        seed: Seed of the draw and of the tests.

    Returns:
        A :class:`GraphCheck`.

    Raises:
        DataError: If a table cannot be read, has missing values, has none of the variables, or its
            rows come in clusters.
        GraphError, SourceError: If the graph or the sources do not fit.

    Example:
        >>> import numpy as np
        >>> random = np.random.default_rng(0)
        >>> x = random.normal(size=500)
        >>> rows = {"X": x, "Z": random.normal(size=500), "Y": x + random.normal(size=500)}
        >>> bool(check_graph(CausalGraph.parse("X -> Z -> Y"), rows))
        False
    """
    expect_graph(graph, "the graph cannot be checked")
    check_known(encoders or (), graph.index, "encoders= cannot be used")
    if isinstance(data, list | tuple):
        items = data
    else:
        items = [data]
    tables = tables_to_test(graph, items, sources, encoders or {}, most_rows, seed)
    notes = [note for table in tables for note in table.notes]
    plans = [_within(table, most_fixed) for table in tables]
    plans += [_between(tables[0], other, most_fixed) for other in tables[1:]]
    found: list[tuple[Constraint, str, str, Outcome]] = []
    silent: list[tuple[str, str]] = []
    for plan in plans:
        silent += plan.silent
        for constraint in plan.constraints:
            if len(found) >= most_tests:
                notes.append(f"constraints beyond the first {most_tests}; raise most_tests=")
                break
            outcome = plan.outcome(constraint, seed, notes)
            if outcome is not None:
                found.append((constraint, plan.kind or constraint.kind, plan.name, outcome))
    results = _adjusted(found, level)
    return GraphCheck(graph, results, level, tuple(silent), tuple(dict.fromkeys(notes)))


@dataclass(frozen=True, eq=False)
class _Table:
    """The columns of a source that can be tested, and the graph over them."""

    name: str
    source: Source
    graph: CausalGraph
    columns: Mapping[str, Column]
    plain: Mapping[str, np.ndarray]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Plan:
    """Constraints to test on some columns."""

    name: str
    kind: str
    constraints: Sequence[Constraint]
    silent: Sequence[tuple[str, str]]
    columns: Mapping[str, Column]

    def outcome(self, constraint: Constraint, seed: int, notes: list[str]) -> Outcome | None:
        """The outcome; None with a note where it cannot be tested."""
        tester = IndependenceTests(self.columns, seed)
        weights = None
        if constraint.fixed:
            reweighting = Reweighting(self.columns, constraint.fixed)
            if reweighting.problem:
                notes.append(f"{constraint} in {self.name}: {reweighting.problem}")
                return None
            weights = reweighting.weights
        return tester.compare(constraint.x, constraint.y, constraint.given, weights)


def tables_to_test(
    graph: CausalGraph,
    items: Sequence[object],
    sources: object,
    encoders: Mapping[str, Encoder],
    most_rows: int,
    seed: int,
) -> list[_Table]:
    """The tables as tests read them, each with the graph over its columns; arguments as for
    :func:`check_graph`."""
    if any(map(in_clusters, items)):
        raise DataError(
            "the graph cannot be checked: the rows come in clusters, and the tests take rows as "
            "independent; give one row of each cluster"
        )
    read = list(map(columns_of, items))
    described = as_sources(
        graph, sources if sources is not None else _described(graph, items, read)
    )
    if len(described) != len(read):
        raise DataError(
            f"the graph cannot be checked: {len(read)} tables for {len(described)} sources; give "
            "one table for each"
        )
    found = []
    for columns, source in zip(read, described, strict=True):
        found.append(_table(graph, columns, source, encoders, most_rows, seed))
    return found


def _described(graph: CausalGraph, items: Sequence[Any], read: Sequence[Named]) -> list[Source]:
    found = []
    for item, columns in zip(items, read, strict=True):
        known = within(columns, graph)
        if not known:
            raise DataError(
                f"the graph cannot be checked: none of the columns {listed(columns)} is in it; its "
                f"variables are {listed(graph.variables)}"
            )
        do: Collection[str] = ()
        if type(item).__name__ == "DataSource":
            do = item.do
        found.append(Source(known, do=within(do, graph)))
    return found


def _table(
    graph: CausalGraph,
    columns: Named,
    source: Source,
    encoders: Mapping[str, Encoder],
    most_rows: int,
    seed: int,
) -> _Table:
    names = [name for name in graph.variables if name in source.recorded and name in columns]
    if not names:
        raise DataError(
            f"the graph cannot be checked: {source} has none of its columns; the table's are "
            f"{listed(columns)}"
        )
    count = len(columns[names[0]])
    if count < _FEWEST:
        raise DataError(
            f"the graph cannot be checked on fewer than {_FEWEST} rows; the table has {count}"
        )
    plain: dict[str, np.ndarray] = {}
    notes = []
    for name in names:
        if name in encoders:
            plain[name] = np.asarray(encoders[name](columns[name]), float).reshape(count, -1)
        elif _testable(columns[name]):
            plain[name] = np.asarray(columns[name])
        else:
            notes.append(f"{name} is not one number or category per row; give its encoder")
    for name, values in plain.items():
        _refuse_missing(name, values)
    kept = {name: column_of(name, values) for name, values in plain.items()}
    if count > most_rows and any(column.codes is None for column in kept.values()):
        some = np.random.default_rng(seed).permutation(count)[:most_rows]
        plain = {name: values[some] for name, values in plain.items()}
        kept = {name: column_of(name, values) for name, values in plain.items()}
    mutilated = graph.do(within(source.do, graph))
    smaller = mutilated.latent_projection(list(kept))
    return _Table(str(source.name), source, smaller, kept, plain, tuple(notes))


def _testable(values: object) -> bool:
    array = np.asarray(values)
    plain = array.dtype.kind != "O" or isinstance(array[0], str | int | float | bool)
    return array.ndim == 1 and plain


def _refuse_missing(name: str, values: object) -> None:
    array = np.asarray(values)
    missing = int(np.sum(array != array)) + int(np.sum(array == None))  # noqa: E711
    if missing:
        raise DataError(
            f"the graph cannot be checked: {name!r} has {missing} missing values; drop those rows"
        )


def _within(table: _Table, most_fixed: int) -> _Plan:
    """What one table has to show."""
    observed = table.source.do
    constraints, silent = implied_constraints(table.graph, most_fixed=most_fixed)
    kept = [c for c in constraints if not {c.x, c.y} <= observed]
    pairs = [pair for pair in silent if not set(pair) <= observed]
    return _Plan(table.name, "", kept, pairs, table.columns)


def _between(first: _Table, second: _Table, most_fixed: int) -> _Plan:
    """What an experiment leaves as it is: in the rows of both, what the label of the source is
    independent of."""
    common = within(first.columns, second.columns)
    changed = {n for n in common if (n in first.source.do) != (n in second.source.do)}
    always = [n for n in common if n in first.source.do and n in second.source.do]
    label = _SOURCE
    while label in common:
        label += "'"
    if len(common) > 1:
        graph = first.graph.latent_projection(common)
    else:
        graph = CausalGraph(tuple(common))
    if first.source.do and not second.source.do:
        graph = second.graph.latent_projection(common)
    joined = CausalGraph(
        (label, *graph.variables),
        (*graph.directed, *((label, name) for name in (*sorted(changed), *always))),
        graph.bidirected,
    )
    pairs = [(label, name) for name in common if name not in changed and name not in always]
    constraints, silent = implied_constraints(joined, pairs, most_fixed=most_fixed)
    columns = dict(_pooled(first, second, common, label))
    name = f"{first.name} and {second.name}"
    return _Plan(name, "experiment", constraints, silent, columns)


def _pooled(
    first: _Table, second: _Table, common: Sequence[str], label: str
) -> Iterator[tuple[str, Column]]:
    sizes = [len(next(iter(table.columns.values())).scores) for table in (first, second)]
    yield label, column_of(label, np.repeat([0, 1], sizes))
    for name in common:
        yield name, column_of(name, np.concatenate([first.plain[name], second.plain[name]]))


def _adjusted(
    found: Sequence[tuple[Constraint, str, str, Outcome]], level: float
) -> tuple[TestedConstraint, ...]:
    """The results by p-value, adjusted by Holm's method."""
    ordered = sorted(found, key=lambda item: item[3].p_value)
    results = []
    largest = 0.0
    for place, (constraint, kind, name, outcome) in enumerate(ordered):
        largest = max(largest, min(1.0, outcome.p_value * (len(ordered) - place)))
        results.append(
            TestedConstraint(
                constraint,
                kind,
                name,
                outcome.p_value,
                largest,
                outcome.association,
                outcome.method,
                largest <= level,
            )
        )
    return tuple(results)
