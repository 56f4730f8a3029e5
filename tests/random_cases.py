"""Random graphs, data sources and queries, for tests that compare with an exact truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.identification.query import Event, Query, World

__all__ = ["Case", "random_case", "random_graph", "random_query", "random_sources"]


@dataclass(frozen=True)
class Case:
    """One question: which graph, which data, what is asked, how many values every variable has."""

    graph: CausalGraph
    sources: list[Source]
    query: Query
    cardinality: int

    @property
    def domains(self) -> dict[str, tuple[int, ...]]:
        """All values of all variables."""
        return {v: tuple(range(self.cardinality)) for v in self.graph.variables}

    def __str__(self) -> str:
        return (
            f"{self.graph} | {[str(s) for s in self.sources]} | {self.query} | {self.cardinality} "
            "values"
        )


def random_graph(
    rng: np.random.Generator,
    n: int,
    directed: float,
    bidirected: float,
    most_confounders: int = 1000,
) -> CausalGraph:
    """A graph over A, B, C, ... in topological order with edges drawn independently, up to
    ``most_confounders``."""
    names = [chr(ord("A") + i) for i in range(n)]
    pairs = [(names[i], names[j]) for i in range(n) for j in range(i + 1, n)]
    confounded = [pair for pair in rng.permutation(pairs).tolist() if rng.random() < bidirected][
        :most_confounders
    ]
    return CausalGraph.from_edges(
        [pair for pair in pairs if rng.random() < directed], [(a, b) for a, b in confounded], names
    )


def random_sources(
    rng: np.random.Generator, graph: CausalGraph, *, partial: bool, limited: bool, cardinality: int
) -> list[Source]:
    """One to three sources; the first is observational more often than not.

    Args:
        partial: leave out recorded variables at random.
        limited: interventions at one or two values only.
    """
    names = list(graph.variables)
    sources = []
    for i in range(int(rng.integers(1, 4))):
        size = 0 if i == 0 and rng.random() < 0.7 else int(rng.integers(1, 3))
        chosen = sorted(rng.choice(names, min(size, len(names) - 1), replace=False).tolist())
        rest = [v for v in names if v not in chosen and not (partial and rng.random() < 0.35)]
        if not rest:
            rest = [v for v in names if v not in chosen][:1]
        do: dict[str, list[int] | None] = dict.fromkeys(chosen)
        if limited:
            for v in chosen:
                if rng.random() < 0.7:
                    do[v] = sorted(
                        rng.choice(
                            cardinality, int(rng.integers(1, cardinality)), replace=False
                        ).tolist()
                    )
        sources.append(Source(rest, do, name=f"s{i}"))
    return sources


def random_query(
    rng: np.random.Generator, graph: CausalGraph, layer: int, cardinality: int
) -> Query:
    """A query of the layer; values are given or left open at random."""
    names = list(graph.variables)

    def value() -> int | None:
        return int(rng.integers(cardinality)) if rng.random() < 0.6 else None

    def pick(pool: Sequence[str], low: int, high: int) -> list[str]:
        return rng.permutation(list(pool)).tolist()[
            : int(rng.integers(low, min(high, len(pool)) + 1))
        ]

    if layer == 3:
        return (_counterfactual if rng.random() < 0.5 else _textbook)(rng, names, cardinality)
    do = {v: value() for v in pick(names[:-1], 1, 2)} if layer == 2 else {}
    left = [v for v in names if v not in do]
    outcomes = pick(left, 1, 2)
    left = [v for v in left if v not in outcomes]
    given = {v: value() for v in pick(left, 1, 2)} if left and rng.random() < 0.5 else {}
    return Query({v: value() for v in outcomes}, do=do, given=given)


def _textbook(rng: np.random.Generator, names: list[str], cardinality: int) -> Query:
    """The effect on the treated, within a stratum, a nested effect, necessity or sufficiency,
    for random variables."""
    x, *between, y = sorted(
        rng.choice(names, int(rng.integers(2, min(4, len(names)) + 1)), replace=False).tolist()
    )
    low, high = rng.permutation(cardinality)[:2].tolist()
    value = int(rng.integers(cardinality)) if rng.random() < 0.5 else None
    other = int(rng.integers(cardinality))
    kind = rng.choice(
        ["treated", "stratum", "nested", "nested treated", "necessity", "both", "world"]
    )
    nested = World({x: high} | {m: Event(m, None, World({x: low})) for m in between})
    match kind:
        case "treated":
            given = {x: low} | {m: other for m in between[:1] if rng.random() < 0.5}
            return Query(Event(y, value, World({x: high})), given=given)
        case "stratum":
            return Query(
                Event(y, value, World({x: high})), given=dict.fromkeys(between or [x], other)
            )
        case "nested":
            return Query(Event(y, value, nested))
        case "nested treated":
            return Query(Event(y, value, nested), given={x: high})
        case "necessity":
            return Query(Event(y, other, World({x: low})), given={x: high, y: other})
        case "both":
            return Query([Event(y, high, World({x: high})), Event(y, low, World({x: low}))])
    known = [Event(m, other, World({x: low})) for m in between] or [Event(x, low)]
    return Query(Event(y, value, World({x: high})), given=known)


def _counterfactual(rng: np.random.Generator, names: list[str], cardinality: int) -> Query:
    def value() -> int:
        return int(rng.integers(cardinality))

    def world(variable: str) -> World:
        others = [v for v in names if v != variable]
        chosen = rng.choice(
            others, int(rng.integers(0, min(3, len(others) + 1))), replace=False
        ).tolist()
        do: dict[str, object] = {}
        for v in chosen:
            if rng.random() < 0.15:
                inner = [u for u in others if u != v]
                do[v] = Event(v, None, World({rng.choice(inner): value()}) if inner else World())
            else:
                do[v] = value()
        return World(do)

    def event() -> Event:
        variable = str(rng.choice(names))
        return Event(variable, None if rng.random() < 0.25 else value(), world(variable))

    outcomes = [event() for _ in range(int(rng.integers(1, 3)))]
    given = [event() for _ in range(int(rng.integers(1, 3)))] if rng.random() < 0.6 else []
    # One event per variable and world: a second one either repeats or contradicts the first.
    seen: set[tuple[str, World]] = set()
    kept: list[list[Event]] = [[], []]
    for i, events in enumerate((outcomes, given)):
        for e in events:
            if (e.variable, e.do) not in seen:
                seen.add((e.variable, e.do))
                kept[i].append(e)
    return Query(kept[0], given=kept[1])


def random_case(
    rng: np.random.Generator,
    *,
    layers: Sequence[int] = (1, 2, 3),
    n: tuple[int, int] = (3, 5),
    most_confounders: int = 1000,
) -> Case:
    """A graph, sources and a query of one of ``layers``, with three values per variable on layer
    3 and two below."""
    layer = int(rng.choice(list(layers)))
    cardinality = 3 if layer == 3 else 2
    size = int(rng.integers(n[0], n[1] + 1))
    graph = random_graph(
        rng, size, float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.1, 0.45)), most_confounders
    )
    kind = rng.random()
    limited, partial = kind < 0.25, kind > 0.65
    if limited:
        cardinality = 3
    sources = random_sources(rng, graph, partial=partial, limited=limited, cardinality=cardinality)
    return Case(graph, sources, random_query(rng, graph, layer, cardinality), cardinality)
