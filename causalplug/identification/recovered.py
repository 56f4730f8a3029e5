"""Counterfactuals of variables whose noise is known from their values.

A number that rises with its own noise, one number which is no other variable's, has a mechanism
that its conditional distributions determine up to the name of the noise: the noise of a row is its
quantile given its causes (Nasr-Esfahany, Alizadeh & Shah 2023). What it would have been under other
causes is then determined as well. The mechanism of an image is not determined by its
distributions: there the mechanism itself is what is assumed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence

from causalplug.errors import QueryError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.identification.assumptions import RECOVERING, Assume
from causalplug.identification.events import Event, World
from causalplug.identification.query import Query
from causalplug.selection import of_kind, values_at

__all__ = ["by_recovered_noise", "check_numbers"]


def check_numbers(
    assumptions: Sequence[Assume], domains: Mapping[str, tuple[Hashable, ...]]
) -> None:
    """Refuse recovered noise of variables with finitely many values.

    Raises:
        QueryError: With the variable.
    """
    for assumption in assumptions:
        if assumption.kind in RECOVERING and assumption.effect in domains:
            raise QueryError(
                f"{assumption} cannot be assumed: {assumption.effect} has finitely many values, "
                "from which a noise cannot be recovered; assume a monotone effect of a cause"
            )


def by_recovered_noise(
    graph: CausalGraph,
    query: Query,
    assumptions: Sequence[Assume],
    sources: Sequence[Source],
) -> tuple[str, ...]:
    """The assumptions by which the query is determined, in sentences; none if they do not help.

    It is where no hidden cause is at work, but of variables that are seen and the same in all
    worlds, one table of observations has all that matters, and every variable of several worlds has
    its noise recovered. This may leave out what a cleverer argument would allow, never the other
    way round.

    Args:
        graph: The causal graph.
        query: What was asked.
        assumptions: Those declared.
        sources: The data sources.
    """
    declared = {a.effect: str(a) for a in assumptions if a.kind in RECOVERING}
    places = set(_places(graph, query))
    names = {name for name, _ in places}
    several = _several(places)
    settled = _seen(query) - set(several)
    if not declared or not _plain(graph, names, settled, sources):
        return ()
    if all(name in declared for name in several):
        return tuple(values_at(declared, several))
    return ()


def _several(places: set[tuple[str, Hashable]]) -> list[str]:
    """The variables that have more than one place."""
    counts = Counter(name for name, _ in places)
    return sorted(name for name, count in counts.items() if count > 1)


def _seen(query: Query) -> set[str]:
    """The variables whose own value, with nothing set, every term is given."""
    seen = []
    for _, term in query.terms:
        seen.append({event.variable for event in term.evidence if not event.do})
    return set.intersection(*seen) if seen else set()


def _plain(
    graph: CausalGraph, names: set[str], settled: set[str], sources: Sequence[Source]
) -> bool:
    """Whether no hidden cause is at work, but of variables that are seen and the same in all
    worlds, and one table of observations has all."""
    if any(names.intersection(graph.siblings(name)) for name in names - settled):
        return False
    return any(not source.do and names <= source.observed for source in sources)


def _places(graph: CausalGraph, query: Query) -> Iterator[tuple[str, Hashable]]:
    """Every variable that is computed, with what is set among its ancestors."""
    pending = [event for _, term in query.terms for event in term.events]
    while pending:
        event = pending.pop()
        pending += of_kind(event.do.values(), Event)
        yield from _of_world(graph, event.variable, event.do)


def _of_world(graph: CausalGraph, name: str, world: World) -> Iterator[tuple[str, Hashable]]:
    inside = graph.do(list(world))
    for above in set(inside.ancestors([name])) | {name}:
        if above not in world:
            near = set(inside.ancestors([above]))
            yield above, frozenset((n, str(world[n])) for n in world if n in near)
