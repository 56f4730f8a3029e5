"""Causal graphs with directed and bidirected edges (ADMGs), and what can be read off them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from types import MappingProxyType
from typing import Any

from causalplug.arguments import NAMES, PATH, TEXT, Rule, takes
from causalplug.errors import CycleError, GraphError, UnknownVariableError
from causalplug.graphs.readers import read_file, read_text
from causalplug.graphs.readers.draft import Draft
from causalplug.graphs.readers.objects import object_draft
from causalplug.graphs.search import (
    components,
    find_cycle,
    m_connected,
    project,
    reach,
    topological_order,
)
from causalplug.graphs.text import quoted
from causalplug.selection import all_of_kind, positions_of, values_at, without
from causalplug.values import Json, Named
from causalplug.wording import as_names, check_known, did_you_mean, listed, shortened

__all__ = ["CausalGraph", "expect_graph"]

Names = str | Iterable[str]
Edge = tuple[str, str]


_PAIRS = Rule("pairs of names, such as [('X', 'Y')]", lambda pairs: _pairs(pairs))


def _pairs(value: object) -> object:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError
    found = list(value)
    if not all_of_kind(found, Iterable):
        raise TypeError
    return found


@dataclass(frozen=True, eq=False, repr=False)
class CausalGraph:
    """An acyclic directed mixed graph; ``X <-> Y`` stands for an unobserved confounder of exactly X
    and Y.

    Immutable and hashable. Two graphs are equal if they have the same variables and the same edges,
    whatever the order in which these were declared. Everything that is returned as a tuple of names
    is in the declared order.

    Args:
        variables: Names, each once.
        directed: Pairs ``(cause, effect)``; a pair given twice counts once.
        bidirected: Pairs in either order.
        hidden: Variables that were projected out on the way here, such as those that a file marks
            as latent; for information only.

    Raises:
        GraphError: A name twice, an edge that is not a pair, a bidirected edge from a variable to
            itself.
        UnknownVariableError: An edge to a name that is not in ``variables``.
        CycleError: The directed edges close a cycle; the message names its path.
    """

    variables: tuple[str, ...] = ()
    directed: tuple[Edge, ...] = ()
    bidirected: tuple[Edge, ...] = ()
    hidden: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        variables = tuple(self.variables)
        for name in variables:
            if not isinstance(name, str) or not name:
                raise GraphError(
                    f"the graph cannot be built: {shortened(repr(name))} is not a name; variables "
                    "are non-empty strings"
                )
        index = positions_of(variables)
        if len(index) < len(variables):
            twice = next(name for i, name in enumerate(variables) if index[name] != i)
            raise GraphError(
                f"the graph cannot be built: variable {shortened(twice)!r} is declared twice; name "
                "each one once"
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
        object.__setattr__(self, "hidden", tuple(as_names(self.hidden)))
        cycle = find_cycle(self.parent_lists, self.child_lists)
        if cycle:
            raise CycleError(_cycle_message(values_at(variables, cycle)))

    # --- reading and writing ---

    @classmethod
    @takes(GraphError, text=TEXT, format=TEXT, latents=NAMES)
    def parse(cls, text: str, format: str = "text", *, latents: Names = ()) -> CausalGraph:
        """The graph written in ``text``, such as ``"D -> I -> A; D <-> A"``.

        Statements are separated by ``;`` or line ends, chains and comma groups are allowed (``A, B
        -> C <-> D``), and a name alone is an isolated variable; see
        :func:`causalplug.graphs.text.parse_graph`.

        Args:
            text: The graph.
            format: The format of the text, one of those that :meth:`read` knows.
            latents: Variables to project out, besides those that the text marks as hidden.
        """
        return cls._built(read_text(text, format), latents)

    @classmethod
    @takes(GraphError, directed=_PAIRS, bidirected=_PAIRS, variables=NAMES)
    def from_edges(
        cls,
        directed: Iterable[Edge] = (),
        bidirected: Iterable[Edge] = (),
        variables: Iterable[str] = (),
    ) -> CausalGraph:
        """The graph with these edges.

        Args:
            directed: Pairs ``(cause, effect)``.
            bidirected: Pairs that share an unobserved confounder.
            variables: All variables in the order wanted, isolated ones too, or only the isolated
                ones. A list that names some end of an edge has to name them all, so that a misspelt
                end is found.
        """
        directed, bidirected, names = list(directed), list(bidirected), list(as_listed(variables))
        ends = list(dict.fromkeys(end for edge in [*directed, *bidirected] for end in edge))
        if not set(names).intersection(ends):
            names = [*ends, *names]
        return cls(tuple(names), tuple(directed), tuple(bidirected))

    @classmethod
    @takes(GraphError, path=PATH, format=TEXT.or_none("what the file says"), latents=NAMES)
    def read(
        cls, path: str | os.PathLike[str], format: str | None = None, *, latents: Names = ()
    ) -> CausalGraph:
        """The graph in a file, in a format that the suffix or the text tells, or that is named.

        Formats: text, DOT, dagitty, lavaan, BIF, XMLBIF, XDSL, NET, bnlearn's model strings,
        ``.cg``, Tetrad, GML, GraphML and JSON (see :mod:`causalplug.graphs.readers`). Variables
        that the file marks as hidden, and ``latents``, are projected out and named in ``hidden``.

        Raises:
            GraphFileError: There is no such file.
            GraphError: The text is not in the format, or has marks or edges that are not
                understood.
        """
        return cls._built(read_file(path, format), latents)

    @classmethod
    def from_networkx(cls, graph: object, latents: Names = ()) -> CausalGraph:
        """The graph of a networkx DiGraph or MultiDiGraph; ``latents`` are projected out.

        Objects of pgmpy, y0, ananke, pywhy-graphs, causal-learn and dowhy are understood as well
        (see :func:`causalplug.graphs.readers.objects.object_draft`).
        """
        if isinstance(latents, str):
            named: tuple[str, ...] = (latents,)
        else:
            named = tuple(map(str, latents))
        if isinstance(graph, CausalGraph):
            return graph._without(named)
        return cls._built(object_draft(graph), named)

    @classmethod
    def _built(cls, draft: Draft, latents: Names) -> CausalGraph:
        """The graph that a reader has drafted, over its observed variables."""
        draft.finish()
        whole = cls(tuple(draft.names), tuple(draft.directed), tuple(draft.bidirected))
        return whole._without((*draft.hidden, *as_names(latents)))

    def _without(self, latents: Names) -> CausalGraph:
        """The graph with ``latents`` projected out."""
        names = as_names(latents)
        check_known(names, self.index, "the latents cannot be projected out")
        hidden = set(names)
        if not hidden:
            return self
        return self.latent_projection(name for name in self.variables if name not in hidden)

    @classmethod
    def from_dict(cls, data: Named) -> CausalGraph:
        """The inverse of :meth:`to_dict`.

        Raises:
            GraphError: Keys are missing or unknown, or the edges are no acyclic graph.
        """
        unknown = set(data) - {"variables", "directed", "bidirected"}
        if unknown or "variables" not in data:
            wrong = "no key 'variables'"
            if unknown:
                wrong = f"unknown keys {listed(sorted(unknown))}"
            raise GraphError(
                f"the graph cannot be read: {wrong}; expected variables, directed and bidirected"
            )
        pairs = {key: data.get(key, ()) for key in ("variables", "directed", "bidirected")}
        for key, value in pairs.items():
            if isinstance(value, str) or not isinstance(value, Iterable):
                raise GraphError(
                    f"the graph cannot be read: {key} is {type(value).__name__}; it has to be a "
                    "list"
                )
        directed, bidirected = tuple(pairs["directed"]), tuple(pairs["bidirected"])
        return cls(tuple(pairs["variables"]), directed, bidirected)

    def to_dict(self) -> Json:
        """Lists that JSON can hold: ``variables``, ``directed``, ``bidirected``."""
        return {
            "variables": list(self.variables),
            "directed": list(map(list, self.directed)),
            "bidirected": list(map(list, self.bidirected)),
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
        ends = set(chain.from_iterable([*self.directed, *self.bidirected]))
        alone = [quoted(name) for name in self.variables if name not in ends]
        text = "; ".join([*alone, *statements])
        if not self.hidden:
            return text
        hidden = listed(map(quoted, self.hidden))
        return f"{text}  # hidden, projected out: {hidden}"

    def __repr__(self) -> str:
        size = (
            f"{len(self.variables)} variables, {len(self.directed)} directed, "
            f"{len(self.bidirected)} bidirected edges"
        )
        if len(self.variables) <= 30:
            return f"<CausalGraph {self}>"
        return f"<CausalGraph of {size}>"

    def plot(self, *, ax: object = None) -> Any:
        """A matplotlib figure of the graph; see :func:`causalplug.plots.plot_graph`."""
        from causalplug.plots import plot_graph

        return plot_graph(self, ax=ax)

    def _repr_svg_(self) -> str | None:
        from causalplug.plots.inline import as_svg

        if 0 < len(self.variables) <= 40:
            return as_svg(self.plot)
        return None

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CausalGraph):
            return self._key == other._key
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> tuple[object, ...]:
        return CausalGraph, (self.variables, self.directed, self.bidirected, self.hidden)

    def __contains__(self, name: object) -> bool:
        return name in self.index

    @cached_property
    def _key(self) -> tuple[frozenset[object], ...]:
        pairs = frozenset(map(frozenset, self.bidirected))
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

    def ancestors(self, variables: Names, *, do: Names = ()) -> frozenset[str]:
        """``variables`` and everything with a directed path to one of them.

        Args:
            variables: Names.
            do: What is set from outside, so that nothing has a path to it.
        """
        cut = self.positions(do)
        found = reach(self.positions(variables), self.parent_lists, stop=set(cut))
        return frozenset(values_at(self.variables, found))

    def descendants(self, variables: Names) -> frozenset[str]:
        """``variables`` and everything with a directed path from one of them."""
        return frozenset(
            values_at(self.variables, reach(self.positions(variables), self.child_lists))
        )

    def in_order(self, variables: Iterable[str]) -> tuple[str, ...]:
        """``variables`` with parents first, in the order of :meth:`topological_order`."""
        return tuple(sorted(variables, key=self.rank.__getitem__))

    @cached_property
    def rank(self) -> dict[str, int]:
        """Place of every variable in :meth:`topological_order`."""
        return positions_of(self.topological_order())

    def topological_order(self) -> tuple[str, ...]:
        """All variables, causes before effects; the declared order where there is a choice."""
        return tuple(values_at(self.variables, self.order))

    def c_components(self) -> tuple[frozenset[str], ...]:
        """The connected components of the bidirected part, in the order of their first variable."""
        found = []
        for c in components(self.sibling_lists):
            found.append(frozenset(values_at(self.variables, c)))
        return tuple(found)

    # --- derived graphs ---

    def do(self, variables: Names) -> CausalGraph:
        """The mutilated graph: all edges into ``variables``, directed and bidirected, are
        removed."""
        cut = set(values_at(self.variables, self.positions(variables)))
        if not cut:
            return self
        directed = tuple(edge for edge in self.directed if edge[1] not in cut)
        parts = []
        for edge in self.bidirected:
            if edge[0] not in cut and edge[1] not in cut:
                parts.append(edge)
        bidirected = tuple(parts)
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
        hidden = without(reversed(self.order), kept)
        children, siblings = project(
            hidden, self.parent_lists, self.child_lists, self.sibling_lists
        )
        order = sorted(kept)
        name = self.variables
        directed = tuple((name[v], name[c]) for v in order for c in sorted(children[v]))
        bidirected = tuple((name[v], name[s]) for v in order for s in sorted(siblings[v]) if v < s)
        gone = tuple(name[v] for v in range(len(name)) if v not in kept)
        variables = tuple(values_at(name, order))
        return CausalGraph(variables, directed, bidirected, (*self.hidden, *gone))

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
            return self.do(do).closure(values_at(self.variables, start - cut))
        above = reach(start, self.parent_lists)
        found = reach(start, self.child_lists, self.sibling_lists, within=above)
        return frozenset(values_at(self.variables, found))

    def m_separated(self, x: Names, y: Names, given: Names = ()) -> bool:
        """Whether every path between ``x`` and ``y`` is blocked by ``given``.

        Raises:
            GraphError: The three sets overlap.
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
        return MappingProxyType(positions_of(self.variables))

    def positions(self, variables: Names) -> list[int]:
        """The positions of ``variables``; raises UnknownVariableError for a name that the graph
        does not have."""
        names = as_names(variables)
        check_known(names, self.index, "the variables cannot be looked up")
        return values_at(self.index, names)

    def named(self, positions: Iterable[int]) -> tuple[str, ...]:
        """The names at ``positions``, in the declared order."""
        return tuple(values_at(self.variables, sorted(positions)))

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
        return tuple(map(_mask, self.parent_lists))

    @cached_property
    def child_masks(self) -> tuple[int, ...]:
        """:attr:`child_lists` as bit sets."""
        return tuple(map(_mask, self.child_lists))

    @cached_property
    def sibling_masks(self) -> tuple[int, ...]:
        """:attr:`sibling_lists` as bit sets."""
        return tuple(map(_mask, self.sibling_lists))

    def _lists(self, edges: Iterable[Edge]) -> tuple[tuple[int, ...], ...]:
        rows: list[list[int]] = [[] for _ in self.variables]
        for a, b in edges:
            rows[self.index[a]].append(self.index[b])
        return tuple(tuple(sorted(row)) for row in rows)

    def _adjacent(self, variable: str, lists: tuple[tuple[int, ...], ...]) -> tuple[str, ...]:
        position = self.index.get(variable) if isinstance(variable, str) else None
        if position is None:
            (position,) = self.positions((variable,))
        return tuple(values_at(self.variables, lists[position]))


def as_listed(variables: Iterable[str]) -> Iterable[str]:
    """``variables`` with repetitions kept, so that they can be reported; a bare string is one
    name."""
    if isinstance(variables, str):
        return (variables,)
    return variables


def _mask(positions: Iterable[int]) -> int:
    mask = 0
    for v in positions:
        mask |= 1 << v
    return mask


def _edges(edges: Iterable[Edge], index: Mapping[str, int], arrow: str) -> list[Edge]:
    checked = []
    for edge in edges:
        if not isinstance(edge, Iterable) or isinstance(edge, str) or len(tuple(edge)) != 2:
            raise GraphError(
                f"the graph cannot be built: {shortened(repr(edge))} is not a pair of names; write "
                "edges as ('X', 'Y')"
            )
        left, right = edge
        for end in (left, right):
            if not isinstance(end, str) or end not in index:
                hint = did_you_mean(end, index) or f"; the variables are {listed(index)}"
                raise UnknownVariableError(
                    f"the edge {shortened(left)} {arrow} {shortened(right)} cannot be drawn: "
                    f"{shortened(end)!r} is not a variable of the graph{hint}"
                )
        checked.append((left, right))
    return checked


def _cycle_message(names: list[str]) -> str:
    """What is wrong with a cycle; long ones are shown by their first variables."""
    shown = [shortened(name, 40) for name in names[:12]]
    rest = len(names) - len(shown)
    path = " -> ".join([*shown, *([f"… ({rest} more)"] if rest else []), shown[0]])
    note = ""
    if len(names) == 2:
        note = " (some tools write an undirected edge so)"
    return (
        f"the directed edges close a cycle: {path}{note}; a causal graph has none, so drop or turn "
        "one of these edges, or write <-> if the two share a hidden cause"
    )


def expect_graph(graph: object, cannot: str) -> None:
    """Refuse what is no graph, or has no variables.

    Raises:
        GraphError: Starts with ``cannot``, such as ``"the graph cannot be planned"``.
    """
    if not isinstance(graph, CausalGraph) or not graph.variables:
        if isinstance(graph, CausalGraph):
            wrong = "it has no variables"
        else:
            wrong = f"{type(graph).__name__} is no CausalGraph"
        raise GraphError(
            f"{cannot}: {wrong}; write one with CausalGraph.parse('D -> I -> A; D <-> A')"
        )
