"""Graphviz's DOT and dagitty's texts, which share one grammar: blocks of vertices, chains of
edges, attributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

from causalplug.errors import GraphError
from causalplug.graphs.readers.dot_tokens import DotTokens
from causalplug.graphs.readers.draft import Draft
from causalplug.graphs.readers.edge_marks import drawn_arrow, edge_arrow
from causalplug.graphs.readers.mark_texts import is_suspect_text
from causalplug.graphs.readers.mark_words import HIDDEN, SELECTED
from causalplug.graphs.readers.marks import FLAG, hidden_of_graph
from causalplug.values import Json
from causalplug.wording import listed, shortened

__all__ = ["read_dot"]

_GRAPHS = {"dag", "digraph", "graph", "pdag", "mag", "pag"}
_ANCESTRAL = {"mag", "pag"}
_CIRCLES = {"@->": "o->", "<-@": "o->", "@-@": "o-o", "--@": "o-", "@--": "o-"}
_DEEPEST = 50

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
            if tokens.take(";"):
                continue
            if tokens.take(","):
                self.check_comma()
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

    def check_role_word(self) -> None:
        """Refuse ``latent U``, which would declare two variables."""
        tokens = self.tokens
        if tokens.kind() != "name" or not tokens.same_line():
            return
        word = tokens.tokens[tokens.at][1].casefold()
        if len(word) > 1 and word in HIDDEN | SELECTED:
            tokens.fail(
                f"{word!r} would be a variable, and may say that what follows it is hidden or "
                "selected on; write U [latent] for a hidden variable,"
            )

    def check_comma(self) -> None:
        """Refuse ``X -> Y, Z``, where Graphviz knows no comma and a reader may mean two edges."""
        tokens = self.tokens
        after = tokens.kind(1)
        before = tokens.kind(-3) if tokens.at > 2 else ""
        if "edge" in (before, after):
            tokens.fail("a comma joins no vertices here; write X -> {Y Z},")

    def sets_defaults(self) -> bool:
        return self.tokens.peek("node", "edge", "graph") and self.tokens.peek("[", ahead=1)

    def defaults(self, vertex_default: Attributes, edge_default: Attributes) -> None:
        target = {"node": vertex_default, "edge": edge_default, "graph": self.own}
        target[self.tokens.word()].update(self.attributes())

    def chain(self, vertex_default: Attributes, edge_default: Attributes) -> list[str]:
        """One statement: a vertex or a group, or several joined by arrows, and attributes."""
        self.check_role_word()
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
        title = ""
        if tokens.peek("subgraph"):
            tokens.at += 1
            if not tokens.peek("{"):
                title = tokens.word()
        if tokens.take("{"):
            return self.subgraph(title, vertex_default, edge_default)
        name = tokens.word()
        while tokens.take(":"):
            tokens.word()
        # Defaults are those in force where a vertex occurs first, as in Graphviz.
        self.vertices.setdefault(name, dict(vertex_default))
        self.draft.name(name)
        return [name]

    def subgraph(
        self, title: str, vertex_default: Attributes, edge_default: Attributes
    ) -> list[str]:
        """A block inside the graph; its title or label may say that what it holds is hidden."""
        outer, self.own = self.own, {}
        named = self.block(vertex_default, edge_default)
        for key, value in [("subgraph", title.removeprefix("cluster")), *self.own.items()]:
            if is_suspect_text(str(value).replace("_", " ")):
                raise GraphError(
                    f"the graph cannot be read: {shortened(key)} {shortened(value)!r} may say that "
                    f"the vertices in it ({listed(named)}) are hidden or selected on; mark every "
                    'one of them, by observed="no" or observed="yes", and leave the title out'
                )
        self.draft.hide(*hidden_of_graph(self.own, named))
        self.own = outer
        return named

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
    """The edge as its attributes and Graphviz's drawing say."""
    if arrow in _CIRCLES:
        return _CIRCLES[arrow]
    if arrow != "->":
        return edge_arrow(attributes, arrow)
    return edge_arrow(attributes, drawn_arrow(attributes))
