"""Graph searches over integer adjacency lists, each linear in the size of the graph."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence

__all__ = ["components", "find_cycle", "m_connected", "project", "reach", "topological_order"]

Adjacency = Sequence[Sequence[int]]


def reach(
    start: Iterable[int],
    *edges: Adjacency,
    within: Collection[int] | None = None,
    stop: Collection[int] = (),
) -> set[int]:
    """Everything that can be reached from ``start`` (inclusive) along any of ``edges`` without
    leaving ``within`` and without going on from ``stop``."""
    seen = set(start)
    stack = list(seen)
    while stack:
        v = stack.pop()
        if v in stop:
            continue
        for adjacent in edges:
            for w in adjacent[v]:
                if w not in seen and (within is None or w in within):
                    seen.add(w)
                    stack.append(w)
    return seen


def topological_order(parents: Adjacency, children: Adjacency) -> list[int]:
    """Vertices with parents first, declared order where there is a choice; shorter than the
    graph if it has a cycle."""
    waiting = list(map(len, parents))
    ready = [v for v, count in enumerate(waiting) if not count]
    order = []
    while ready:
        v = heapq.heappop(ready)
        order.append(v)
        for w in children[v]:
            waiting[w] -= 1
            if not waiting[w]:
                heapq.heappush(ready, w)
    return order


def find_cycle(parents: Adjacency, children: Adjacency) -> list[int]:
    """The vertices of one directed cycle in the order of its edges, or an empty list."""
    left = set(range(len(parents))) - set(topological_order(parents, children))
    if not left:
        return []
    # Every vertex that is left has a parent that is left, so walking upwards must repeat itself.
    path: list[int] = []
    position: dict[int, int] = {}
    v = min(left)
    while v not in position:
        position[v] = len(path)
        path.append(v)
        v = min(p for p in parents[v] if p in left)
    cycle = path[position[v] :][::-1]
    first = cycle.index(min(cycle))
    return cycle[first:] + cycle[:first]


def components(neighbours: Adjacency) -> list[list[int]]:
    """Connected components of an undirected graph, each sorted, in the order of their first
    vertex."""
    seen: set[int] = set()
    found = []
    for v in range(len(neighbours)):
        if v not in seen:
            if neighbours[v]:
                component = reach([v], neighbours)
            else:
                component = {v}
            seen |= component
            found.append(sorted(component))
    return found


def m_connected(
    start: Iterable[int],
    given: Collection[int],
    parents: Adjacency,
    children: Adjacency,
    siblings: Adjacency,
) -> set[int]:
    """The vertices that some walk from ``start``, open given ``given``, ends in.

    A walk is open if its colliders are in An(``given``) and its other inner vertices are not in
    ``given``; a vertex is visited at most once per kind of edge end by which it was entered, so the
    search is linear (Shachter 1998, "Bayes-Ball"; bidirected edges after Richardson 2003, "Markov
    properties for ADMGs").
    """
    opened = reach(given, parents)
    entered_by_head: set[int] = set()
    entered_by_tail: set[int] = set()
    stack = [(v, False) for v in start]
    while stack:
        v, head = stack.pop()
        seen = entered_by_head if head else entered_by_tail
        if v in seen:
            continue
        seen.add(v)
        passes = v not in given
        if passes:
            stack.extend((w, True) for w in children[v])
        if v in opened if head else passes:
            stack.extend((w, False) for w in parents[v])
            stack.extend((w, True) for w in siblings[v])
    return entered_by_head | entered_by_tail


def project(
    hidden: Iterable[int], parents: Adjacency, children: Adjacency, siblings: Adjacency
) -> tuple[list[set[int]], list[set[int]]]:
    """Children and siblings of every vertex once the ``hidden`` ones are projected out (Verma &
    Pearl 1990).

    Hidden vertices are removed one by one, effects before causes. Removing h joins its parents to
    its children by directed edges, and its children to one another and to its siblings by
    bidirected ones. Hidden vertices end up without edges.

    Args:
        hidden: In reverse topological order.
    """
    ch, sib = (list(map(set, adjacency)) for adjacency in (children, siblings))
    for h in hidden:
        below, beside = ch[h], sib[h]
        for p in parents[h]:
            ch[p] |= below
            ch[p].discard(h)
        for c in below:
            sib[c] |= below | beside
            sib[c] -= {c, h}
        for s in beside:
            sib[s] |= below
            sib[s] -= {s, h}
        ch[h], sib[h] = set(), set()
    return ch, sib
