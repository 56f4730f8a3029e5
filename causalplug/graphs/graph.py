"""Causal graphs with directed and bidirected edges (ADMGs), and what can be read off them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from causalplug.errors import CycleError, GraphError, UnknownVariableError
from causalplug.graphs.search import (
    components,
    find_cycle,
    m_connected,
    project,
    reach,
    topological_order,
)
from causalplug.graphs.text import parse_graph, quoted
from causalplug.wording import as_names, check_known, did_you_mean, listed

__all__ = ["CausalGraph", "expect_graph"]

Names = str | Iterable[str]
Edge = tuple[str, str]


@dataclass(frozen=True, eq=False, repr=False)
class CausalGraph:
    """An acyclic directed mixed graph; ``X <-> Y`` stands for an unobserved confounder of exactly X
    and Y.

    Immutable and hashable. Two graphs are equal if they have the same variables and the same edges,
    whatever the order in which these were declared. Everything that is returned as a tuple of names
    is in the declared order.

    Args:
        variables: names, each once.
        directed: pairs ``(cause, effect)``; a pair given twice counts once.
        bidirected: pairs in either order.

    Raises:
        GraphError: a name twice, an edge that is not a pair, a bidirected edge from a variable to
            itself.
        UnknownVariableError: an edge to a name that is not in ``variables``.
        CycleError: the directed edges close a cycle; the message names its path.
    """

    variables: tuple[str, ...] = ()
    directed: tuple[Edge, ...] = ()
    bidirected: tuple[Edge, ...] = ()

    def __post_init__(self) -> None:
        variables = tuple(self.variables)
        for name in variables:
            if not isinstance(name, str) or not name:
                raise GraphError(
                    f"the graph cannot be built: {name!r} is not a name; variables are non-empty strings"
                )
        index = {name: i for i, name in enumerate(variables)}
        if len(index) < len(variables):
            twice = next(name for i, name in enumerate(variables) if index[name] != i)
            raise GraphError(
                f"the graph cannot be built: variable {twice!r} is declared twice; name each one once"
            )
        directed = _edges(self.directed, index, "->")
        bidirected = _edges(self.bidirected, index, "<->")
        for left, right in bidirected:
            if left == right:
                raise GraphError(
                    f"the graph cannot be built: {left} <-> {left} joins a variable to itself; a "
                    f"hidden cause of {left} alone is its own noise and needs no edge"
                )
        bidirected = [(a, b) if index[a] < index[b] else (b, a) for a, b in bidirected]
        object.__setattr__(self, "variables", variables)
        object.__setattr__(self, "directed", tuple(dict.fromkeys(directed)))
        object.__setattr__(self, "bidirected", tuple(dict.fromkeys(bidirected)))
        cycle = find_cycle(self.parent_lists, self.child_lists)
        if cycle:
            path = " -> ".join(variables[v] for v in [*cycle, cycle[0]])
            raise CycleError(
                f"the directed edges close a cycle: {path}; a causal graph has none, so drop or "
                "turn one of these edges, or write <-> if the two share a hidden cause"
            )

    # --- reading and writing ---

    @classmethod
    def parse(cls, text: str) -> CausalGraph:
        """The graph written in ``text``, such as ``"D -> I -> A; D <-> A"``.

        Statements are separated by ``;`` or line ends, chains and comma groups are allowed (``A, B
        -> C <-> D``), and a name alone is an isolated variable; see
        :func:`causalplug.graphs.text.parse_graph`.
        """
        return cls(*map(tuple, parse_graph(text)))  # type: ignore[arg-type]

    @classmethod
    def from_edges(
        cls,
        directed: Iterable[Edge] = (),
        bidirected: Iterable[Edge] = (),
        variables: Iterable[str] = (),
    ) -> CausalGraph:
        """The graph with these edges.

        Args:
            directed: pairs ``(cause, effect)``.
            bidirected: pairs that share an unobserved confounder.
            variables: all variables in the order wanted, isolated ones too, or only the isolated
                ones. A list that names some end of an edge has to name them all, so that a misspelt
                end is found.
        """
        directed, bidirected, names = list(directed), list(bidirected), list(as_listed(variables))
        ends = list(dict.fromkeys(end for edge in [*directed, *bidirected] for end in edge))
        if not set(names).intersection(ends):
            names = [*ends, *names]
        return cls(tuple(names), tuple(directed), tuple(bidirected))

    @classmethod
    def read(
        cls, path: str | os.PathLike[str], format: str | None = None, *, latents: Names = ()
    ) -> CausalGraph:
        """The graph in a file, in a format that the suffix tells or that is named; ``latents`` are
        projected out.

        Formats: text, DOT, dagitty, lavaan, BIF, ``.cg``, Tetrad, GML, GraphML and JSON (see
        :func:`causalplug.graphs.readers.read_graph`).
        """
        from causalplug.graphs.readers import read_graph

        return read_graph(path, format=format, latents=latents)

    @classmethod
    def from_networkx(cls, graph: Any, latents: Names = ()) -> CausalGraph:
        """The graph of a networkx DiGraph or MultiDiGraph; ``latents`` are projected out.

        Objects of pgmpy, y0, ananke, pywhy-graphs, causal-learn and dowhy are understood as well
        (see :func:`causalplug.graphs.readers.from_object`).
        """
        from causalplug.graphs.readers import from_networkx

        return from_networkx(graph, latents=latents)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CausalGraph:
        """The inverse of :meth:`to_dict`.

        Raises:
            GraphError: keys are missing or unknown, or the edges are no acyclic graph.
        """
        unknown = set(data) - {"variables", "directed", "bidirected"}
        if unknown or "variables" not in data:
            wrong = f"unknown keys {listed(sorted(unknown))}" if unknown else "no key 'variables'"
            raise GraphError(
                f"the graph cannot be read: {wrong}; expected variables, directed and bidirected"
            )
        edges = (
            tuple((str(a), str(b)) for a, b in data.get(key, ()))
            for key in ("directed", "bidirected")
        )
        return cls(tuple(data["variables"]), *edges)

    def to_dict(self) -> dict[str, Any]:
        """Lists that JSON can hold: ``variables``, ``directed``, ``bidirected``."""
        return {
            "variables": list(self.variables),
            "directed": [list(edge) for edge in self.directed],
            "bidirected": [list(edge) for edge in self.bidirected],
        }

    def to_dot(self) -> str:
        """Graphviz text; bidirected edges are dashed with two heads."""
        from causalplug.graphs.writers import to_dot

        return to_dot(self)

    def to_dagitty(self) -> str:
        """The text that dagitty.net and the R package read."""
        from causalplug.graphs.writers import to_dagitty

        return to_dagitty(self)

    def to_networkx(self) -> Any:
        """A networkx MultiDiGraph; a bidirected edge is a pair of edges with
        ``bidirected=True``."""
        from causalplug.graphs.writers import to_networkx

        return to_networkx(self)

    def __str__(self) -> str:
        statements = [f"{quoted(a)} -> {quoted(b)}" for a, b in self.directed]
        statements += [f"{quoted(a)} <-> {quoted(b)}" for a, b in self.bidirected]
        ends = {end for edge in [*self.directed, *self.bidirected] for end in edge}
        return "; ".join(
            [*(quoted(name) for name in self.variables if name not in ends), *statements]
        )

    def __repr__(self) -> str:
        size = f"{len(self.variables)} variables, {len(self.directed)} directed, {len(self.bidirected)} bidirected edges"
        return f"<CausalGraph {self}>" if len(self.variables) <= 30 else f"<CausalGraph of {size}>"

    def plot(self, *, ax: Any = None) -> Any:
        """A matplotlib figure of the graph; see :func:`causalplug.plots.plot_graph`."""
        from causalplug.plots import plot_graph

        return plot_graph(self, ax=ax)

    def _repr_svg_(self) -> str | None:
        from causalplug.plots.inline import as_svg

        return as_svg(self.plot) if 0 < len(self.variables) <= 40 else None

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, CausalGraph) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> tuple[Any, ...]:
        return CausalGraph, (self.variables, self.directed, self.bidirected)

    def __contains__(self, name: object) -> bool:
        return name in self.index

    @cached_property
    def _key(self) -> tuple[frozenset[Any], ...]:
        pairs = frozenset(frozenset(edge) for edge in self.bidirected)
        return frozenset(self.variables), frozenset(self.directed), pairs

    # --- neighbours, by name ---

    def parents(self, variable: str) -> tuple[str, ...]:
        """The direct causes of ``variable``."""
        return self._adjacent(variable, self.parent_lists)

    def children(self, variable: str) -> tuple[str, ...]:
        """The direct effects of ``variable``."""
        return self._adjacent(variable, self.child_lists)

    def siblings(self, variable: str) -> tuple[str, ...]:
        """The variables that share a bidirected edge with ``variable``."""
        return self._adjacent(variable, self.sibling_lists)

    def parents_of(self, variables: Names) -> tuple[str, ...]:
        """Pa(W): the parents of the set ``variables`` that lie outside it."""
        inside = set(self.positions(variables))
        return self.named({p for v in inside for p in self.parent_lists[v]} - inside)

    def ancestors(self, variables: Names) -> frozenset[str]:
        """``variables`` and everything with a directed path to one of them."""
        return frozenset(
            self.variables[v] for v in reach(self.positions(variables), self.parent_lists)
        )

    def descendants(self, variables: Names) -> frozenset[str]:
        """``variables`` and everything with a directed path from one of them."""
        return frozenset(
            self.variables[v] for v in reach(self.positions(variables), self.child_lists)
        )

    def topological_order(self) -> tuple[str, ...]:
        """All variables, causes before effects; the declared order where there is a choice."""
        return tuple(self.variables[v] for v in self.order)

    def c_components(self) -> tuple[frozenset[str], ...]:
        """The connected components of the bidirected part, in the order of their first variable."""
        return tuple(
            frozenset(self.variables[v] for v in c) for c in components(self.sibling_lists)
        )

    # --- derived graphs ---

    def do(self, variables: Names) -> CausalGraph:
        """The mutilated graph: all edges into ``variables``, directed and bidirected, are
        removed."""
        cut = {self.variables[v] for v in self.positions(variables)}
        directed = tuple(edge for edge in self.directed if edge[1] not in cut)
        bidirected = tuple(
            edge for edge in self.bidirected if edge[0] not in cut and edge[1] not in cut
        )
        return CausalGraph(self.variables, directed, bidirected)

    def subgraph(self, variables: Names) -> CausalGraph:
        """The graph over ``variables`` with the edges among them; nothing is projected."""
        kept = self.named(self.positions(variables))
        inside = set(kept)
        directed, bidirected = (
            tuple(edge for edge in edges if inside.issuperset(edge))
            for edges in (self.directed, self.bidirected)
        )
        return CausalGraph(kept, directed, bidirected)

    def latent_projection(self, keep: Names) -> CausalGraph:
        """The graph over ``keep`` when all other variables are unobserved (Verma & Pearl 1990).

        Directed paths through hidden variables become directed edges, hidden common causes become
        bidirected edges (a clique, if one hidden variable has several children).
        """
        kept = set(self.positions(keep))
        hidden = [v for v in reversed(self.order) if v not in kept]
        children, siblings = project(
            hidden, self.parent_lists, self.child_lists, self.sibling_lists
        )
        order = sorted(kept)
        name = self.variables
        directed = tuple((name[v], name[c]) for v in order for c in sorted(children[v]))
        bidirected = tuple((name[v], name[s]) for v in order for s in sorted(siblings[v]) if v < s)
        return CausalGraph(tuple(name[v] for v in order), directed, bidirected)

    # --- the questions that planning asks ---

    def closure(self, variables: Names, *, do: Names = ()) -> frozenset[str]:
        """The smallest set W around ``variables`` with P(W | do(Pa(W))) = P(W | Pa(W)) in the graph
        under ``do``.

        W is closed when no other ancestor of W is a descendant of W or joined to W by a bidirected
        edge. It never meets ``do``, and ``variables`` in ``do`` are left out. With A =
        An(``variables``), W is what can be reached from ``variables`` inside A along directed edges
        forwards and bidirected edges: two graph searches.
        """
        start = set(self.positions(variables))
        cut = set(self.positions(do))
        if cut:
            return self.do(do).closure([self.variables[v] for v in start - cut])
        above = reach(start, self.parent_lists)
        found = reach(start, self.child_lists, self.sibling_lists, within=above)
        return frozenset(self.variables[v] for v in found)

    def m_separated(self, x: Names, y: Names, given: Names = ()) -> bool:
        """Whether every path between ``x`` and ``y`` is blocked by ``given``.

        Raises:
            GraphError: the three sets overlap.
        """
        xs, ys, zs = (set(self.positions(names)) for names in (x, y, given))
        shared = (xs & ys) | (xs & zs) | (ys & zs)
        if shared:
            raise GraphError(
                f"m-separation cannot be decided: {listed(self.named(shared))} is in two of the "
                "three sets; x, y and given must be disjoint"
            )
        return not ys & m_connected(xs, zs, self.parent_lists, self.child_lists, self.sibling_lists)

    # --- positions and bit sets, for fast code ---

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The position of every variable in the declared order."""
        return MappingProxyType({name: i for i, name in enumerate(self.variables)})

    def positions(self, variables: Names) -> list[int]:
        """The positions of ``variables``; raises UnknownVariableError for a name that the graph
        does not have."""
        names = as_names(variables)
        check_known(names, self.index, "the variables cannot be looked up")
        return [self.index[name] for name in names]

    def named(self, positions: Iterable[int]) -> tuple[str, ...]:
        """The names at ``positions``, in the declared order."""
        return tuple(self.variables[v] for v in sorted(positions))

    @cached_property
    def parent_lists(self) -> tuple[tuple[int, ...], ...]:
        """Sorted positions of every variable's parents."""
        return self._lists([(b, a) for a, b in self.directed])

    @cached_property
    def child_lists(self) -> tuple[tuple[int, ...], ...]:
        """Sorted positions of every variable's children."""
        return self._lists(self.directed)

    @cached_property
    def sibling_lists(self) -> tuple[tuple[int, ...], ...]:
        """Sorted positions of the variables that share a bidirected edge with each variable."""
        return self._lists([*self.bidirected, *((b, a) for a, b in self.bidirected)])

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Positions in topological order."""
        return tuple(topological_order(self.parent_lists, self.child_lists))

    @cached_property
    def parent_masks(self) -> tuple[int, ...]:
        """:attr:`parent_lists` as bit sets over the declared order."""
        return tuple(_mask(row) for row in self.parent_lists)

    @cached_property
    def child_masks(self) -> tuple[int, ...]:
        """:attr:`child_lists` as bit sets."""
        return tuple(_mask(row) for row in self.child_lists)

    @cached_property
    def sibling_masks(self) -> tuple[int, ...]:
        """:attr:`sibling_lists` as bit sets."""
        return tuple(_mask(row) for row in self.sibling_lists)

    def _lists(self, edges: Iterable[Edge]) -> tuple[tuple[int, ...], ...]:
        rows: list[list[int]] = [[] for _ in self.variables]
        for a, b in edges:
            rows[self.index[a]].append(self.index[b])
        return tuple(tuple(sorted(row)) for row in rows)

    def _adjacent(self, variable: str, lists: tuple[tuple[int, ...], ...]) -> tuple[str, ...]:
        (position,) = self.positions((variable,))
        return tuple(self.variables[v] for v in lists[position])


def as_listed(variables: Iterable[str]) -> Iterable[str]:
    """``variables`` with repetitions kept, so that they can be reported; a bare string is one
    name."""
    return (variables,) if isinstance(variables, str) else variables


def _mask(positions: Iterable[int]) -> int:
    mask = 0
    for v in positions:
        mask |= 1 << v
    return mask


def _edges(edges: Iterable[Edge], index: Mapping[str, int], arrow: str) -> list[Edge]:
    checked = []
    for edge in edges:
        if isinstance(edge, str) or len(edge) != 2:
            raise GraphError(
                f"the graph cannot be built: {edge!r} is not a pair of names; write edges as ('X', 'Y')"
            )
        left, right = edge
        for end in (left, right):
            if end not in index:
                raise UnknownVariableError(
                    f"the edge {left} {arrow} {right} cannot be drawn: {end!r} is not a variable of the graph"
                    + (did_you_mean(end, index) or f"; the variables are {listed(index)}")
                )
        checked.append((left, right))
    return checked


def expect_graph(graph: object, cannot: str) -> None:
    """Refuse what is no graph, or has no variables.

    Raises:
        GraphError: starts with ``cannot``, such as ``"the graph cannot be planned"``.
    """
    if not isinstance(graph, CausalGraph) or not graph.variables:
        wrong = (
            "it has no variables"
            if isinstance(graph, CausalGraph)
            else f"{type(graph).__name__} is no CausalGraph"
        )
        raise GraphError(
            f"{cannot}: {wrong}; write one with CausalGraph.parse('D -> I -> A; D <-> A')"
        )
