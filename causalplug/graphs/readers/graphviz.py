"""Graphviz's DOT and dagitty's texts, which share one grammar: blocks of vertices, chains of
edges, attributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

from causalplug.errors import GraphError
from causalplug.graphs.readers.dot_tokens import DotTokens
from causalplug.graphs.readers.draft import Draft
from causalplug.graphs.readers.marks import FLAG, edge_arrow, hidden_of_graph
from causalplug.values import Json

__all__ = ["read_dot"]

_GRAPHS = {"dag", "digraph", "graph", "pdag", "mag", "pag"}
_ANCESTRAL = {"mag", "pag"}
_CIRCLES = {"@->": "o->", "<-@": "o->", "@-@": "o-o", "--@": "o-", "@--": "o-"}
_DEEPEST = 50
_DRAWN = {
    ("tail", "head"): "->",
    ("head", "tail"): "<-",
    ("head", "head"): "<->",
    ("tail", "tail"): "--",
}

Attributes = Json


def read_dot(text: str) -> Draft:
    """A ``digraph { … }`` of Graphviz or a ``dag { … }`` of dagitty.

    Vertices that are marked as unobserved are hidden, as a flag or with a value: ``[latent]``,
    ``[l]``, ``[unobserved]``, ``[u]``, ``[hidden=true]``, ``[observed="no"]``. ``dir=both`` or
    ``bidirected=true`` makes an edge bidirected, ``dir=back`` turns it. Subgraphs, chains, groups,
    defaults, ports and comments are understood; attributes that only draw are ignored.

    Raises:
        GraphError: Malformed text, selection nodes, marks that are not understood, edges that a
            causal graph does not have.
    """
    parser = _Parser(DotTokens(text))
    parser.graph()
    draft = parser.draft
    for name, attributes in parser.vertices.items():
        draft.mark(name, attributes)
    draft.hide(*hidden_of_graph(parser.own, draft.names))
    draft.take_written_names(parser.vertices)
    return draft


@dataclass
class _Parser:
    """Recursive descent over the tokens."""

    tokens: DotTokens
    draft: Draft = field(default_factory=Draft)
    vertices: dict[str, Attributes] = field(default_factory=dict)
    own: Attributes = field(default_factory=dict)
    """Attributes of the graph itself."""
    depth: int = 0

    def graph(self) -> None:
        tokens = self.tokens
        if not tokens.ended and tokens.tokens[0][1].casefold() == "strict":
            tokens.at += 1
        kind = tokens.word().casefold()
        if kind not in _GRAPHS:
            tokens.fail(f"{kind[:40]!r} is no graph", 0)
        if not tokens.peek("{"):
            tokens.word()
        if not tokens.take("{"):
            tokens.fail("no '{' after the graph's name")
        self.block({}, {})
        if not tokens.ended:
            tokens.fail("text after the graph's end")
        if kind in _ANCESTRAL and self.draft.directed:
            raise GraphError(
                f"the graph cannot be read: an arrow of a {kind.upper()} says that one variable is "
                "an ancestor of another, not that it is a direct cause without a hidden common "
                "cause; write the causal graph as dag { … }"
            )

    def block(self, vertex_default: Attributes, edge_default: Attributes) -> list[str]:
        """Statements up to the closing brace; returns the vertices that they name."""
        tokens = self.tokens
        self.depth += 1
        if self.depth > _DEEPEST:
            tokens.fail(f"more than {_DEEPEST} blocks inside each other")
        vertex_default, edge_default = dict(vertex_default), dict(edge_default)
        seen: dict[str, None] = {}
        while not tokens.take("}"):
            if tokens.ended:
                tokens.fail("a '}' is missing at the end")
            if tokens.take(";", ","):
                continue
            if self.sets_defaults():
                self.defaults(vertex_default, edge_default)
            elif tokens.kind() != "mark" and tokens.peek("=", ahead=1):
                key = tokens.word()
                tokens.take("=")
                self.own[key] = tokens.word()
            else:
                seen.update(dict.fromkeys(self.chain(vertex_default, edge_default)))
        self.depth -= 1
        return list(seen)

    def sets_defaults(self) -> bool:
        return self.tokens.peek("node", "edge", "graph") and self.tokens.peek("[", ahead=1)

    def defaults(self, vertex_default: Attributes, edge_default: Attributes) -> None:
        target = {"node": vertex_default, "edge": edge_default, "graph": self.own}
        target[self.tokens.word()].update(self.attributes())

    def chain(self, vertex_default: Attributes, edge_default: Attributes) -> list[str]:
        """One statement: a vertex or a group, or several joined by arrows, and attributes."""
        groups = [self.group(vertex_default, edge_default)]
        arrows = []
        while arrow := self.tokens.take_arrow():
            arrows.append(arrow)
            groups.append(self.group(vertex_default, edge_default))
        attributes = self.attributes()
        named = list(chain.from_iterable(groups))
        if not arrows:
            for name in named:
                self.vertices[name].update(attributes)
        for left, arrow, right in zip(groups, arrows, groups[1:], strict=False):
            kind = _arrow(arrow, edge_default | attributes)
            for a in left:
                for b in right:
                    self.draft.edge(a, kind, b)
        return named

    def group(self, vertex_default: Attributes, edge_default: Attributes) -> list[str]:
        tokens = self.tokens
        if tokens.peek("subgraph"):
            tokens.at += 1
            if not tokens.peek("{"):
                tokens.word()
        if tokens.take("{"):
            return self.block(vertex_default, edge_default)
        name = tokens.word()
        while tokens.take(":"):
            tokens.word()
        # Defaults are those in force where a vertex occurs first, as in Graphviz.
        self.vertices.setdefault(name, dict(vertex_default))
        self.draft.name(name)
        return [name]

    def attributes(self) -> Attributes:
        """All lists in brackets that follow; one may stand inside another."""
        found: Attributes = {}
        depth = 0
        while depth or self.tokens.peek("["):
            if self.tokens.take("["):
                depth += 1
            elif self.tokens.take("]"):
                depth -= 1
            elif self.tokens.ended:
                self.tokens.fail("a ']' is missing at the end")
            elif not self.tokens.take(",", ";"):
                key = self.tokens.word().casefold()
                if self.tokens.take("="):
                    found[key] = self.tokens.word()
                else:
                    found[key] = FLAG
        return found


def _arrow(arrow: str, attributes: Attributes) -> str:
    """The edge as its attributes and Graphviz's drawing say: ``dir`` and the shapes of the heads
    decide over the operator."""
    if arrow in _CIRCLES:
        return _CIRCLES[arrow]
    if arrow != "->":
        return edge_arrow(attributes, arrow)
    head = _end(attributes, "arrowhead")
    tail = _end(attributes, "arrowtail")
    direction = str(attributes.get("dir", "forward")).casefold()
    ends = {"forward": ("tail", head), "back": (tail, "tail"), "both": (tail, head)}
    shown = ends.get(direction, ("tail", "tail"))
    if direction not in (*ends, "none"):
        drawn = f"dir={direction}"
    elif "circle" in shown:
        drawn = "o->"
        if set(shown) == {"circle"}:
            drawn = "o-o"
    else:
        drawn = _DRAWN[shown]
    return edge_arrow(attributes, drawn)


def _end(attributes: Attributes, key: str) -> str:
    shape = str(attributes.get(key, "normal")).casefold()
    if shape in ("none", "false", "no", "0"):
        return "tail"
    if shape in ("odot", "dot", "circle"):
        return "circle"
    return "head"
