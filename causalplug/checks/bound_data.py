"""Tables for bounds: rows, counts or exact distributions, as weighted cells of discrete variables.

A continuous outcome of which the mean is asked becomes a coin whose chance of heads is the place of
its value in its range: the coin's mean is that of the outcome, whatever the outcome's distribution
is. Any other column that is not discrete is projected out of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalplug.checks.factor_rows import Sampled
from causalplug.errors import DataError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source, as_sources
from causalplug.identification.tables import Table, common_categories
from causalplug.selection import all_of_kind, by_name, map_values, pick, within, without
from causalplug.values import Named
from causalplug.variables.columns import as_array
from causalplug.wording import listed, shortened

__all__ = [
    "BoundData",
    "are_rows",
    "checked_columns",
    "columns_of",
    "described_source",
    "in_clusters",
    "read_data",
    "resampled",
]

MOST_VALUES = 20
_SPELLINGS = {
    "tr": ("false", "true"),
    "fa": ("false", "true"),
    "TR": ("FALSE", "TRUE"),
    "FA": ("FALSE", "TRUE"),
}
Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class BoundData:
    """What the program reads.

    Attributes:
        tables: The sources, with cells over one set of categories.
        graph: The graph over the variables that are left.
        domains: Their values.
        ranges: Outcomes that were turned into coins, and their ranges.
        projected: Variables that were taken out.
        notes: What was decided, in sentences.
    """

    tables: tuple[Sampled, ...]
    graph: CausalGraph
    domains: Mapping[str, tuple[Hashable, ...]]
    ranges: Ranges
    projected: tuple[str, ...]
    notes: tuple[str, ...]


def columns_of(data: Any) -> Named:
    """The columns of rows, of any kind that a DataSource reads.

    Raises:
        DataError: If it is no table of rows.
    """
    if isinstance(data, Mapping):
        return by_name(lambda name: as_array(data[name], str(name)), data)
    from causalplug.data.plain import plain_columns
    from causalplug.data.source import DataSource  # loads torch, which a mapping does not need
    from causalplug.data.tables import table_of

    if isinstance(data, DataSource):
        return plain_columns(data.names, data.chunks())
    table = table_of(data)
    return plain_columns(table.names, table.read(None))


def read_data(
    graph: CausalGraph,
    data: object,
    *,
    sources: object,
    domains: Mapping[str, Sequence[Hashable]],
    means: Iterable[str],
    needed: Iterable[str],
    ranges: Ranges,
    encoders: Mapping[str, Callable[[Any], Any]],
    values: Mapping[str, Iterable[Hashable]],
) -> BoundData:
    """The data of a query on bounds, checked.

    Args:
        graph: The causal graph.
        data: A table, or a list of them.
        sources: What each is a sample of; by default what a DataSource says, else observations.
        domains: All values of some variables.
        means: Variables of which only the mean is asked.
        needed: Variables that have to be discrete, or outcomes with a mean.
        ranges: Ranges of continuous outcomes.
        encoders: By variable, a function from its column to codes or projections.
        values: Values that the query names.

    Raises:
        DataError: If the tables do not fit the sources, or a needed column is not discrete.
    """
    if isinstance(data, list | tuple):
        items = data
    else:
        items = [data]
    given = _sources(graph, items, sources)
    reader = _Reader(graph, domains, set(means), set(needed), ranges, encoders, _truths(values))
    read = [reader.table(item, source) for item, source in zip(items, given, strict=True)]
    tables = [table for table, _ in read]
    _check_values(common_categories(tables), values, domains)
    common = common_categories(tables, values)
    common.update({name: tuple(v) for name, v in domains.items() if name in graph})
    projected = tuple(within(graph.variables, reader.dropped))
    kept = without(graph.variables, reader.dropped)
    unseen = without(kept, common)
    kept = within(kept, common)
    sampled = []
    for (table, exact), source in zip(read, given, strict=True):
        names = within(table.categories, kept)
        inside = replace_source(source, names)
        recoded = _coded(_only(table, names), common)
        sampled.append(Sampled(inside, recoded, exact))
    smaller = graph
    if len(kept) < len(graph.variables):
        smaller = graph.latent_projection(kept)
    notes = list(reader.notes)
    if unseen:
        notes.append(f"no table records {listed(unseen)}, which count as hidden")
    return BoundData(
        tuple(sampled),
        smaller,
        pick(common, kept),
        reader.used,
        (*projected, *unseen),
        tuple(dict.fromkeys(notes)),
    )


def _check_values(
    recorded: Mapping[str, Sequence[Hashable]],
    asked: Mapping[str, Iterable[Hashable]],
    domains: Mapping[str, Sequence[Hashable]],
) -> None:
    """Refuse values that a query names and that neither occur nor are declared."""
    for name, values in asked.items():
        if name in domains or name not in recorded:
            continue
        odd = without(values, recorded[name])
        if odd:
            raise DataError(
                f"the bounds cannot be computed: {name}={shortened(odd[0])} never occurs; {name} "
                f"has the values {listed(recorded[name], most=8)}. Ask for one of them (effects "
                f"compare two, as in ATE(Y, {name}={recorded[name][-1]} vs {recorded[name][0]})), "
                "or declare all values: domains={" + f"{name!r}: […]" + "}"
            )


def _truths(values: Mapping[str, Iterable[Hashable]]) -> dict[str, tuple[str, str]]:
    """How a query spells False and True, by variable."""
    found: dict[str, tuple[str, str]] = {}
    for name, asked in values.items():
        for value in asked:
            if isinstance(value, str) and value.casefold() in ("true", "false"):
                found[name] = _SPELLINGS.get(value[:2], ("False", "True"))
    return found


def _spelled(column: np.ndarray, words: tuple[str, str]) -> np.ndarray:
    """A column of truth values as the query spells them; any other column as it is."""
    if column.dtype.kind == "O" and len(column) and all_of_kind(column, bool | np.bool_):
        column = column.astype(bool)
    if column.dtype.kind != "b":
        return column
    return np.where(column, words[1], words[0])


def checked_columns(
    columns: Named,
    names: Iterable[str],
    values: Mapping[str, Iterable[Hashable]],
    domains: Mapping[str, Sequence[Hashable]],
    ranges: Ranges,
) -> dict[str, np.ndarray]:
    """Some columns of rows, truth values as the query spells them.

    Args:
        columns: All columns.
        names: Those that are needed.
        values: Values that the query names.
        domains: All values of some variables.
        ranges: Ranges of outcomes.

    Raises:
        DataError: Missing values, values that the query names and that never occur, or values
            outside of a range.
    """
    truths = _truths(values)
    found = {}
    for name in names:
        column = np.asarray(columns[name])
        if name in truths:
            column = _spelled(column, truths[name])
        odd = column == None  # noqa: E711
        if column.dtype.kind == "f":
            odd = ~np.isfinite(column)
        if np.any(odd):
            raise DataError(f"{name!r} cannot be used: it has missing or infinite values")
        if name in ranges:
            _check_range(name, column, *ranges[name])
        found[name] = column
    recorded = {name: tuple(dict.fromkeys(found[name].tolist())) for name in within(values, found)}
    _check_values(recorded, values, domains)
    return found


def _check_range(name: str, column: np.ndarray, low: float, high: float) -> None:
    if column.min() < low or column.max() > high:
        raise DataError(f"{name!r} has values outside its range of {low:g} to {high:g}")


def replace_source(source: Source, names: Sequence[str]) -> Source:
    """``source`` with fewer columns."""
    do = {name: source.values.get(name) for name in source.do if name in names}
    return Source(without(names, do), do=do, name=source.name)


def are_rows(data: object) -> bool:
    """Whether ``data`` is one table of rows, and not counts, an array or a list of tables."""
    return not isinstance(data, np.ndarray | Table | list | tuple) and (
        type(data).__name__ != "Series"
    )


def in_clusters(item: Any) -> bool:
    """Whether ``item`` is a DataSource that says which of its rows are not independent."""
    return type(item).__name__ == "DataSource" and item.clustered


def described_source(graph: CausalGraph, item: object) -> Source:
    """What one table is a sample of, as far as it says so itself."""
    return as_sources(graph, [_source(graph, item)])[0]


def _sources(graph: CausalGraph, items: Sequence[object], sources: object) -> tuple[Source, ...]:
    if sources is not None:
        found = as_sources(graph, sources)
        if len(found) != len(items):
            raise DataError(
                f"the bounds cannot be computed: {len(items)} tables for {len(found)} sources; "
                "give one table for each"
            )
        return found
    return as_sources(graph, [_source(graph, item) for item in items])


def _source(graph: CausalGraph, item: object) -> Source:
    names, do = _names(graph, item)
    known = within(names, graph)
    if not known:
        raise DataError(
            f"the bounds cannot be computed: none of the columns {listed(names)} is in the graph; "
            f"its variables are {listed(graph.variables)}"
        )
    return Source(known, do=within(do, graph))


def _names(graph: CausalGraph, item: Any) -> tuple[list[str], tuple[str, ...]]:
    if isinstance(item, np.ndarray):
        return list(graph.variables), ()
    if isinstance(item, Table):
        return list(item.variables), ()
    if type(item).__name__ == "Series":
        return list(map(str, item.index.names)), ()
    if isinstance(item, Mapping):
        return list(map(str, item)), ()
    if type(item).__name__ == "DataFrame":
        return list(map(str, item.columns)), ()
    if type(item).__name__ == "DataSource":
        return list(item.names), item.do
    from causalplug.data.tables import table_of

    return list(table_of(item).names), ()


class _Reader:
    """Reads one table after the other, and remembers what became of the columns."""

    def __init__(
        self,
        graph: CausalGraph,
        domains: Mapping[str, Sequence[Hashable]],
        means: set[str],
        needed: set[str],
        ranges: Ranges,
        encoders: Mapping[str, Callable[[Any], Any]],
        truths: Mapping[str, tuple[str, str]],
    ):
        self.truths = truths
        self.graph, self.domains, self.means, self.needed = graph, domains, means, needed
        self.ranges, self.encoders = ranges, encoders
        self.dropped: set[str] = set()
        self.used: dict[str, tuple[float, float]] = {}
        self.notes: list[str] = []

    def table(self, item: object, source: Source) -> tuple[Table, bool]:
        """One item as cells, and whether their weights are probabilities."""
        known: Table | None = None
        if isinstance(item, Table):
            known = item
        elif isinstance(item, np.ndarray):
            known = Table.from_array(self.graph.variables, item, self.domains)
        elif type(item).__name__ == "Series":
            known = _from_series(item)
        if known is not None:
            return known, _is_exact(known, source)
        columns = columns_of(item)
        missing = without(sorted(source.recorded), columns)
        if missing:
            raise DataError(
                f"the bounds cannot be computed: {source} has no column {listed(missing)}; its "
                f"columns are {listed(columns)}"
            )
        kept = {n: columns[n] for n in self.graph.variables if n in source.recorded}
        for name in within(kept, self.truths):
            kept[name] = _spelled(np.asarray(kept[name]), self.truths[name])
        return self._rows(kept), False

    def _rows(self, columns: Named) -> Table:
        discrete: dict[str, np.ndarray] = {}
        coins: dict[str, np.ndarray] = {}
        for name, column in columns.items():
            if name in self.encoders:
                discrete[name] = self._encoded(name, column)
            elif name in self.ranges or not self._discrete(name, column):
                self._continuous(name, column, coins)
            else:
                discrete[name] = column
        return _with_coins(discrete, coins)

    def _discrete(self, name: str, column: np.ndarray) -> bool:
        if column.ndim != 1:
            return False
        if name in self.domains or column.dtype.kind in "OSUb":
            return column.dtype.kind != "O" or isinstance(column[0], str | int | float | bool)
        if column.dtype.kind == "f":
            most = MOST_VALUES
        else:
            most = 10 * MOST_VALUES
        return len(np.unique(column)) <= most

    def _continuous(self, name: str, column: np.ndarray, coins: dict[str, np.ndarray]) -> None:
        if name in self.means and column.ndim == 1 and not self.graph.children(name):
            coins[name] = self._scaled(name, np.asarray(column, float))
        elif name in self.needed:
            raise DataError(
                f"the bounds cannot be computed: the query needs values of {name}, which is not "
                "discrete; cut it into a few values, or ask for its mean, E[...], if it has no "
                "children in the graph"
            )
        else:
            self.dropped.add(name)
            self.notes.append(
                f"{name} is not discrete and was projected out: the bounds hold, and using it "
                "could narrow them"
            )

    def _scaled(self, name: str, column: np.ndarray) -> np.ndarray:
        if not np.isfinite(column).all():
            raise DataError(f"{name!r} cannot be used: it has missing or infinite values")
        if name not in self.ranges and name not in self.used:
            self.used[name] = (float(column.min()), float(column.max()))
            low, high = self.used[name]
            self.notes.append(
                f"{name} is taken to lie between the smallest and the largest value seen, {low:g} "
                f"and {high:g}; declare its range with ranges={{{name!r}: (low, high)}}"
            )
        elif name in self.ranges:
            self.used[name] = self.ranges[name]
        low, high = self.used[name]
        _check_range(name, column, low, high)
        if high > low:
            return (column - low) / (high - low)
        return np.zeros(len(column))

    def _encoded(self, name: str, column: Any) -> np.ndarray:
        codes = np.asarray(self.encoders[name](column))
        if codes.ndim == 2 and codes.shape[1] > 1:
            codes = codes.argmax(1)
        codes = codes.reshape(-1)
        if len(codes) != len(column) or not self._discrete(name, codes):
            raise DataError(
                f"the encoder of {name!r} cannot be used for bounds: it has to give one class, or "
                "one score per class, for every row"
            )
        self.notes.append(
            f"{name} stands for the class that its encoder gives: the bounds assume that what "
            f"{name} causes depends on that class alone"
        )
        return codes


def _from_series(item: Any) -> Table:
    """A pandas Series of probabilities or counts, indexed by the values."""
    names = list(map(str, item.index.names))
    if any(name == "None" for name in names):
        raise DataError(
            "the Series cannot be read as a distribution: name the levels of its index by the "
            "variables"
        )
    frame = item.index.to_frame(index=False)
    columns = {name: frame.iloc[:, i].to_numpy() for i, name in enumerate(names)}
    return Table.from_rows(columns, weights=item.to_numpy())


def _with_coins(discrete: Mapping[str, np.ndarray], coins: Mapping[str, np.ndarray]) -> Table:
    """Rows as cells; every coin splits a row in two, by its weight."""
    count = len(next(iter({**discrete, **coins}.values()), ()))
    columns = map_values(np.asarray, discrete)
    weights = np.ones(count)
    for name, chance in coins.items():
        columns = {n: np.concatenate([c, c]) for n, c in columns.items()}
        weights = np.concatenate([weights, weights])
        twice = np.tile(chance, len(weights) // (2 * count) or 1)
        weights = weights * np.concatenate([1 - twice, twice])
        columns[name] = np.repeat([0, 1], len(weights) // 2)
    table = Table.from_rows(columns, weights=weights)
    return Table({**table.categories, **dict.fromkeys(coins, (0, 1))}, table.codes, weights)


def _only(table: Table, names: Sequence[str]) -> Table:
    columns = [list(table.categories).index(name) for name in names]
    return Table(pick(table.categories, names), table.codes[:, columns], table.weights)


def _coded(table: Table, common: Mapping[str, tuple[Hashable, ...]]) -> Table:
    """The table over common categories, equal cells merged."""
    for name, values in table.categories.items():
        outside = without(values, common[name])
        if outside:
            raise DataError(
                f"{name!r} has the values {listed(outside)}, which are not among its declared "
                f"values {listed(common[name])}"
            )
    recoded = table.recoded(common)
    cells, inverse = np.unique(recoded.codes, axis=0, return_inverse=True)
    weights = np.bincount(inverse.reshape(-1), recoded.weights, len(cells))
    return Table(recoded.categories, cells, weights)


def _is_exact(table: Table, source: Source) -> bool:
    """Whether the weights are probabilities and not numbers of rows: they sum to one, at every
    value of what was set, and are not one row each."""
    groups = _settings(table, source)
    totals = np.bincount(groups, table.weights)
    positive = totals[totals > 0]
    counted = np.allclose(table.weights, np.rint(table.weights)) and len(table.weights) < 2
    return bool(np.allclose(positive, 1.0, atol=1e-6)) and not counted


def _settings(table: Table, source: Source) -> np.ndarray:
    """The number of the setting of every row."""
    columns = [i for i, name in enumerate(table.categories) if name in source.do]
    found = np.unique(table.codes[:, columns], axis=0, return_inverse=True)[1]
    return np.asarray(found).reshape(-1)


def resampled(sampled: Sampled, random: np.random.Generator) -> Sampled:
    """A table of as many rows, drawn with replacement, by what was set where something was."""
    if sampled.exact:
        return sampled
    table = sampled.table
    weights = np.zeros(len(table.weights))
    keys = _settings(table, sampled.source)
    for key in np.unique(keys):
        at = keys == key
        total = table.weights[at].sum()
        weights[at] = random.multinomial(round(total), table.weights[at] / total)
    return replace(sampled, table=Table(table.categories, table.codes, weights))
