"""Data sources as a plan sees them: what was recorded and what was set, no rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from causalplug.arguments import MAPPING, NAME, NAMES, takes
from causalplug.errors import SourceError
from causalplug.graphs.graph import CausalGraph
from causalplug.selection import by_name
from causalplug.values import Json, Named
from causalplug.wording import as_names, did_you_mean, listed

__all__ = ["Source", "as_sources"]


@dataclass(frozen=True, init=False, repr=False)
class Source:
    """A table of rows: the columns it has, and the variables that were set when it was collected.

    Args:
        recorded: Names of the recorded variables; the intervened ones count as recorded, their
            values being known.
        do: Names of the variables that were set from outside (their values may vary from row to
            row), or a mapping from name to the value or list of values that were set, if only those
            were (``None``: any value).
        name: How plans and messages call the source; by default its distribution, such as ``P(Mek |
            do(PKA))``.

    Raises:
        SourceError: Nothing is recorded, a name twice, or an intervention with an empty list of
            values.
    """

    recorded: frozenset[str]
    do: frozenset[str]
    values: Mapping[str, tuple[Any, ...]]
    name: str | None

    @takes(SourceError, recorded=NAMES, do=NAMES.or_else(MAPPING), name=NAME.or_none("none"))
    def __init__(
        self,
        recorded: Iterable[str],
        do: str | Iterable[str] | Named = (),
        *,
        name: str | None = None,
    ) -> None:
        if isinstance(recorded, str):
            columns = [recorded]
        else:
            columns = list(recorded)
        label = "the source"
        if name is not None:
            label = f"source {name!r}"
        _check_columns(columns, label)
        values: dict[str, tuple[object, ...]] = {}
        if isinstance(do, Mapping):
            values = _values_set(do, label)
        intervened = frozenset(as_names(do))
        if not columns and not intervened:
            raise SourceError(
                f"{label} cannot be declared: it records nothing; name its columns in recorded=[…]"
            )
        object.__setattr__(self, "recorded", frozenset(columns) | intervened)
        object.__setattr__(self, "do", intervened)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "name", name)

    def __hash__(self) -> int:
        return hash((self.recorded, self.do, self.name))

    @cached_property
    def observed(self) -> frozenset[str]:
        """The variables that are recorded and were not set."""
        return self.recorded - self.do

    def describe(self) -> str:
        """The distribution that the rows are drawn from, such as ``P(Mek | do(PKA=2))``."""
        inner = listed(sorted(self.observed), most=8)
        if not self.do:
            return f"P({inner})"
        set_to = list(map(self._set_to, sorted(self.do)))
        return f"P({inner} | do({listed(set_to, most=8)}))"

    def _set_to(self, variable: str) -> str:
        values = self.values.get(variable)
        if values is None:
            return variable
        if len(values) == 1:
            return f"{variable}={values[0]}"
        return f"{variable} in {{{listed(values)}}}"

    def __str__(self) -> str:
        if self.name:
            return f"{self.name}: {self.describe()}"
        return self.describe()

    def __repr__(self) -> str:
        parts = [repr(sorted(self.recorded))]
        if self.do:
            do = {}
            for variable in sorted(self.do):
                do[variable] = list(self.values.get(variable, ())) or None
            parts.append(f"do={do if self.values else list(do)!r}")
        if self.name is not None:
            parts.append(f"name={self.name!r}")
        return f"Source({', '.join(parts)})"

    def to_dict(self) -> Json:
        """What JSON can hold: ``recorded`` and ``do`` (sorted), ``values`` and ``name`` where
        given."""
        data: Json = {"recorded": sorted(self.recorded), "do": sorted(self.do)}
        if self.values:
            found = {}
            for variable in sorted(self.values):
                found[variable] = list(self.values[variable])
            data["values"] = found
        if self.name is not None:
            data["name"] = self.name
        return data

    @classmethod
    def from_dict(cls, data: Named) -> Source:
        """The inverse of :meth:`to_dict`.

        Raises:
            SourceError: Keys are missing or unknown, or the declaration makes no sense.
        """
        unknown = set(data) - {"recorded", "do", "values", "name"}
        if unknown or "recorded" not in data:
            wrong = "no key 'recorded'"
            if unknown:
                wrong = f"unknown keys {listed(sorted(unknown))}"
            raise SourceError(
                f"the source cannot be read: {wrong}; expected recorded, do, values and name"
            )
        values = data.get("values", {})
        do = by_name(values.get, data.get("do", ()))
        return cls(data["recorded"], do=do, name=data.get("name"))


def _check_columns(columns: Sequence[object], label: str) -> None:
    seen: set[str] = set()
    for column in columns:
        if not isinstance(column, str) or not column:
            raise SourceError(f"{label} cannot be declared: {column!r} is not a name of a variable")
        if column in seen:
            raise SourceError(
                f"{label} cannot be declared: column {column!r} is listed twice; list each one once"
            )
        seen.add(column)


def _values_set(do: Named, label: str) -> dict[str, tuple[object, ...]]:
    """The values that were set, by variable; without those that were set to any value."""
    values: dict[str, tuple[Any, ...]] = {}
    for variable, value in do.items():
        if value is None:
            continue
        values[variable] = (value,)
        if isinstance(value, Iterable) and not isinstance(value, str | bytes):
            values[variable] = tuple(dict.fromkeys(value))
        if not values[variable]:
            raise SourceError(
                f"{label} cannot be declared: do({variable}) has an empty list of values; give the "
                "values that were set, or None if any may occur"
            )
    return values


def as_sources(graph: CausalGraph, sources: object = None) -> tuple[Source, ...]:
    """The sources of a plan or a query, checked against ``graph`` and each with a name of its own.

    Args:
        graph: The causal graph.
        sources: None for one observational source of all variables; one source, a list of them, or
            a mapping from name to source. Anything with an attribute ``source`` (such as a table of
            rows) stands for that source.

    Returns:
        The sources in the given order. One without a name is called by its distribution, numbered
        if that is taken.

    Raises:
        SourceError: The list is empty, a column or an intervention is not in the graph, or two
            sources contradict each other (one name, two declarations).
    """
    if sources is None:
        return (Source(graph.variables, name="observational"),)
    if isinstance(sources, Source) or not isinstance(sources, Iterable):
        sources = [sources]
    if isinstance(sources, Mapping):
        pairs: Iterable[tuple[object, Any]] = sources.items()
    else:
        pairs = ((None, source) for source in sources)
    named: dict[str, Source] = {}
    for key, given in pairs:
        source = _checked(graph, getattr(given, "source", given))
        if key is not None and source.name not in (None, key):
            raise SourceError(
                f"the sources contradict each other: the entry {key!r} holds a source that is "
                f"named {source.name!r}; use one name, or leave out name="
            )
        if key is None:
            name = source.name
        else:
            name = str(key)
        if name is None:
            name = _free(source.describe(), named)
        elif name in named:
            same = (named[name].recorded, named[name].do, named[name].values) == (
                source.recorded,
                source.do,
                source.values,
            )
            if same:
                detail = "twice"
            else:
                detail = f"as {named[name].describe()} and as {source.describe()}"
            raise SourceError(
                f"the sources contradict each other: {name!r} is declared {detail}; give every "
                "source a name of its own"
            )
        named[name] = _renamed(source, name)
    if not named:
        raise SourceError(
            "nothing can be planned: the list of sources is empty; leave it out for one "
            "observational source of all variables, or declare what was recorded, as in "
            "Source(recorded=[…], do=[…])"
        )
    return tuple(named.values())


def _checked(graph: CausalGraph, source: object) -> Source:
    if not isinstance(source, Source):
        raise SourceError(
            f"{source!r} is not a data source; declare it as Source(recorded=[…], do=[…])"
        )
    for names, what in ((source.do, "intervenes on"), (source.observed, "records")):
        for name in sorted(names):
            if name not in graph:
                hint = (
                    did_you_mean(name, graph.variables)
                    or f"; its variables are {listed(graph.variables)}"
                )
                raise SourceError(
                    f"source {source} cannot be used: it {what} {name!r}, which is not in the "
                    f"graph{hint}; rename the column, drop it, or add the variable to the graph"
                )
    return source


def _renamed(source: Source, name: str) -> Source:
    do = by_name(source.values.get, source.do)
    if source.name == name:
        return source
    return Source(source.recorded, do=do, name=name)


def _free(name: str, taken: Named) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name} ({number})" in taken:
        number += 1
    return f"{name} ({number})"
