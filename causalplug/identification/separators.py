"""Minimal separators of a mixed graph: all of them, one after the other in polynomial time each.

Minimal m-separators are the minimal vertex separators of an undirected graph, the augmented graph
of the ancestors (Richardson 2003; van der Zander, Liśkiewicz & Textor 2014). These are found from
one another by moving one of their vertices to the other side (Shen & Liang 1997).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from causalplug.graphs.graph import CausalGraph
from causalplug.selection import without

__all__ = ["augmented", "minimal_separators"]

Neighbours = dict[str, set[str]]


def minimal_separators(
    graph: CausalGraph,
    x: Collection[str],
    y: Collection[str],
    allowed: Collection[str],
    given: Collection[str] = (),
) -> Iterator[frozenset[str]]:
    """The minimal sets Z within ``allowed`` for which Z and ``given`` m-separate ``x`` and ``y``.

    They come in no particular order; there may be exponentially many. Each takes time polynomial
    in the graph.
    """
    neighbours = augmented(graph, {*x, *y, *given})
    for name in given:
        _remove(neighbours, name)
    for name in list(neighbours):
        if name not in x and name not in y and name not in allowed:
            _bridge(neighbours, name)
    start, end = _merged(neighbours, x), _merged(neighbours, y)
    if set(x) & end or set(y) & start:
        return
    yield from _Separators(neighbours, start, end, frozenset(x), frozenset(y)).all()


def augmented(graph: CausalGraph, names: Collection[str]) -> Neighbours:
    """The augmented graph of the ancestors of ``names``: two vertices are neighbours where a
    path of colliders joins them."""
    inside = graph.ancestors(names)
    part = graph.subgraph(inside)
    neighbours: Neighbours = {name: set() for name in part.variables}
    for district in part.c_components():
        clique = district.union(part.parents_of(district))
        for name in clique:
            neighbours[name] |= clique - {name}
    return neighbours


@dataclass(frozen=True)
class _Separators:
    """The minimal separators of two sets of vertices of an undirected graph.

    Attributes:
        neighbours: The graph without the two sets.
        start: The neighbours of the first set.
        end: The neighbours of the second set.
        first: The first set.
        second: The second set.
    """

    neighbours: Neighbours
    start: set[str]
    end: set[str]
    first: frozenset[str]
    second: frozenset[str]

    def all(self) -> Iterator[frozenset[str]]:
        """Every minimal separator once."""
        near = self._towards(self.start)
        found = {near}
        pending = [near]
        while pending:
            separator = pending.pop()
            yield separator
            for name in sorted(separator - self.end):
                moved = self._moved(separator, name)
                if moved not in found:
                    found.add(moved)
                    pending.append(moved)

    def _moved(self, separator: frozenset[str], name: str) -> frozenset[str]:
        """The separator next to the first set's side of ``separator`` with ``name`` in it."""
        side = self._reached(self.start, separator) | {name}
        around = {n for inside in side for n in self.neighbours[inside]} - side
        return self._towards(around | (self.start - side))

    def _towards(self, wall: Iterable[str]) -> frozenset[str]:
        """The part of a separating ``wall`` that the second set's side touches."""
        wall = set(wall)
        side = self._reached(self.end, wall)
        touched = {n for inside in side for n in self.neighbours[inside]} & wall
        return frozenset(touched | (self.end & wall))

    def _reached(self, start: set[str], wall: Collection[str]) -> set[str]:
        found = set(without(start, wall))
        pending = list(found)
        while pending:
            for name in self.neighbours[pending.pop()]:
                if name not in wall and name not in found:
                    found.add(name)
                    pending.append(name)
        return found


def _remove(neighbours: Neighbours, name: str) -> None:
    for other in neighbours.pop(name, set()):
        neighbours[other].discard(name)


def _bridge(neighbours: Neighbours, name: str) -> None:
    """Take out a vertex that may not be in a separator: its neighbours become neighbours."""
    around = neighbours[name]
    _remove(neighbours, name)
    for other in around:
        neighbours[other] |= around - {other}


def _merged(neighbours: Neighbours, names: Collection[str]) -> set[str]:
    """Take out ``names``; returns what they were next to."""
    around = {other for name in names for other in neighbours.get(name, ())}
    for name in names:
        _remove(neighbours, name)
    return around - set(names)
