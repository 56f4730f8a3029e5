"""A second, exhaustive implementation of planning for graphs of a few variables, by definitions
only.

It shares no code with the package: graphs are sets of pairs, separation is decided by moralising
the ancestral graph with explicit latent variables, closures by trying all subsets, modules by
merging until nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, combinations
from typing import NamedTuple

from causalplug.graphs.graph import CausalGraph

__all__ = ["Oracle"]

Set = frozenset[str]


class Oracle(NamedTuple):
    """A graph as sets, with everything that a plan needs computed from definitions."""

    variables: Set
    directed: frozenset[tuple[str, str]]
    bidirected: frozenset[Set]

    @classmethod
    def of(cls, graph: CausalGraph) -> Oracle:
        return cls(
            frozenset(graph.variables),
            frozenset(graph.directed),
            frozenset(frozenset(edge) for edge in graph.bidirected),
        )

    def do(self, cut: Iterable[str]) -> Oracle:
        cut = frozenset(cut)
        return Oracle(
            self.variables,
            frozenset(edge for edge in self.directed if edge[1] not in cut),
            frozenset(edge for edge in self.bidirected if not edge & cut),
        )

    def parents(self, inside: Iterable[str]) -> Set:
        inside = frozenset(inside)
        return frozenset(a for a, b in self.directed if b in inside) - inside

    def ancestors(self, of: Iterable[str]) -> Set:
        found = frozenset(of)
        while self.parents(found):
            found |= self.parents(found)
        return found

    def separated(self, x: Set, y: Set, given: Set = frozenset()) -> bool:
        """m-separation by d-separation in the moral graph of the ancestors, with one latent per
        bidirected edge."""
        latent = {edge: "latent of " + " and ".join(sorted(edge)) for edge in self.bidirected}
        arrows = set(self.directed) | {
            (latent[edge], end) for edge in self.bidirected for end in edge
        }
        kept = set(x | y | given)
        while True:
            above = {a for a, b in arrows if b in kept} - kept
            if not above:
                break
            kept |= above
        inside = [(a, b) for a, b in arrows if b in kept]
        near: dict[str, set[str]] = {v: set() for v in kept}
        for a, b in inside:
            for c, d in inside:
                if b == d and a != c:
                    near[a].add(c)
            near[a].add(b)
            near[b].add(a)
        reached, todo = set(x), list(x)
        while todo:
            for w in near[todo.pop()] - reached - given:
                reached.add(w)
                todo.append(w)
        return not reached & y

    def exchangeable(self, inside: Set) -> bool:
        """Rule 2: P(W | do(Pa(W))) = P(W | Pa(W)), decided in the graph without the edges out of
        Pa(W)."""
        parents = self.parents(inside)
        below = self._replace(
            directed=frozenset(edge for edge in self.directed if edge[0] not in parents)
        )
        return not parents or below.separated(inside, parents)

    def closures(self, start: Iterable[str]) -> list[Set]:
        """Every smallest set around ``start`` that rule 2 holds for, by trying all sets of
        ancestors."""
        start = frozenset(start)
        rest = sorted(self.ancestors(start) - start)
        found: list[Set] = []
        for added in chain.from_iterable(combinations(rest, size) for size in range(len(rest) + 1)):
            candidate = start | frozenset(added)
            if not any(smaller <= candidate for smaller in found) and self.exchangeable(candidate):
                found.append(candidate)
        return found

    def closure(self, start: Iterable[str]) -> Set:
        (only,) = self.closures(start)
        return only

    def c_components(self) -> set[Set]:
        parts = {frozenset({v}) for v in self.variables}
        for edge in self.bidirected:
            joined = {part for part in parts if part & edge}
            parts = (parts - joined) | {frozenset().union(*joined)}
        return parts

    def modules(self) -> tuple[set[Set], set[tuple[Set, Set]]]:
        """The modules, and all pairs (earlier, later) such that the closure of the later one
        meets the earlier one."""
        parts = self.c_components()
        while True:
            closed = {part: self.closure(part) for part in parts}
            needs = {(s, t) for t in parts for s in parts if s != t and closed[t] & s}
            path = set(needs)
            for middle in parts:
                path |= {(s, t) for s, m in path if m == middle for m2, t in path if m2 == middle}
            tied = {
                part: {part} | {other for other in parts if {(part, other), (other, part)} <= path}
                for part in parts
            }
            if all(len(group) == 1 for group in tied.values()):
                return parts, needs
            parts = {frozenset().union(*group) for group in tied.values()}

    @staticmethod
    def reduced(pairs: set[tuple[Set, Set]]) -> set[tuple[Set, Set]]:
        """The transitive reduction of an acyclic relation, edge by edge."""

        def connected(edges: set[tuple[Set, Set]], start: Set, end: Set) -> bool:
            reached = {start}
            while True:
                further = {t for s, t in edges if s in reached} - reached
                if not further:
                    return end in reached
                reached |= further

        return {edge for edge in pairs if not connected(pairs - {edge}, *edge)}
