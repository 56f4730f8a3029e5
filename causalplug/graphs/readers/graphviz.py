"""Graphviz's DOT and dagitty's texts, which share one grammar: blocks of vertices, chains of
edges, attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from causalplug.errors import GraphError
from causalplug.graphs.readers.draft import Draft, is_hidden, is_no, is_yes

__all__ = ["read_dagitty", "read_dot"]

_TOKEN = re.compile(
    r"""
      (?P<skip>\s+|//[^\n]*|\#[^\n]*|/\*.*?\*/)
    | (?P<quoted>"(?:[^"\\]|\\.)*")
    | (?P<edge><->|->|<-|--|@->|<-@|@-@|--@|@--)
    | (?P<mark>[{}\[\];,=:+])
    | (?P<html><(?:[^<>]|<[^<>]*>)*>)
    | (?P<name>(?:[^\W]|[.%'])(?:[\w.%']|-(?![->@]))*|-?\.?\d[\d.]*)
    """,
    re.VERBOSE | re.DOTALL,
)
_GRAPHS = {"dag", "digraph", "graph", "pdag", "mag", "pag"}
_CIRCLES = {"@->": "o->", "<-@": "o->", "@-@": "o-o", "--@": "o-", "@--": "o-"}

Attributes = dict[str, str]


def read_dot(text: str) -> Draft:
    """A Graphviz digraph.

    ``dir=both`` (or ``bidirected=true``) makes an edge bidirected, ``dir=back`` turns it; a vertex
    with ``observed="no"``, ``latent=true`` or ``hidden=true`` is projected out. Subgraphs, chains,
    groups, defaults, ports and comments are understood; layout attributes are ignored.
    """
    draft = Draft()
    for vertex, attributes in _events(draft, text):
        if is_hidden(attributes):
            draft.hidden.add(vertex)
    return draft


def read_dagitty(text: str) -> Draft:
    """A ``dag { … }`` of dagitty.net or its R package; vertices marked ``[latent]`` (or ``[u]``)
    are projected out."""
    draft = Draft()
    for vertex, attributes in _events(draft, text):
        if {"latent", "unobserved", "u"} & {key for key, value in attributes.items() if not value}:
            draft.hidden.add(vertex)
    return draft


def _events(draft: Draft, text: str) -> Iterator[tuple[str, Attributes]]:
    """Fill ``draft`` with vertices and edges; yields every vertex statement with its attributes."""
    parser = _Parser(text, draft)
    parser.graph()
    yield from parser.vertices


@dataclass
class _Parser:
    """Recursive descent over the tokens; positions are kept for the messages."""

    text: str
    draft: Draft
    vertices: list[tuple[str, Attributes]] = field(default_factory=list)
    tokens: list[tuple[str, str, int]] = field(default_factory=list)
    at: int = 0

    def __post_init__(self) -> None:
        position = 0
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None:
                self.fail(f"unexpected {self.text[position]!r}", position)
            if match.lastgroup != "skip":
                self.tokens.append((str(match.lastgroup), match.group(), position))
            position = match.end()

    def fail(self, problem: str, position: int | None = None) -> NoReturn:
        if position is None:
            position = self.tokens[self.at][2] if self.at < len(self.tokens) else len(self.text)
        line = self.text.count("\n", 0, position) + 1
        raise GraphError(
            f"the graph cannot be read: {problem} in line {line}; expected DOT or dagitty text"
        )

    def peek(self, *marks: str, ahead: int = 0) -> bool:
        kind, token, _ = (
            self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else ("", "", 0)
        )
        return kind != "quoted" and token in marks

    def take(self, *marks: str) -> bool:
        found = self.peek(*marks)
        self.at += found
        return found

    def word(self) -> str:
        kind, token, _ = self.tokens[self.at] if self.at < len(self.tokens) else ("", "the end", 0)
        if kind not in ("name", "quoted", "html"):
            self.fail(f"{token!r} stands where a name was expected")
        self.at += 1
        if kind != "quoted":
            return token
        word = token[1:-1]
        while self.peek("+") and self.tokens[self.at + 1][0] == "quoted":
            word += self.tokens[self.at + 1][1][1:-1]
            self.at += 2
        return re.sub(r'\\(["\\\n])', lambda escaped: escaped[1].replace("\n", ""), word)

    def graph(self) -> None:
        if self.at < len(self.tokens) and self.tokens[self.at][1].casefold() == "strict":
            self.at += 1
        kind = self.word().casefold()
        if kind not in _GRAPHS:
            self.fail(f"{kind!r} is no graph", 0)
        if not self.peek("{"):
            self.word()
        if not self.take("{"):
            self.fail("no '{' after the graph's name")
        self.block({}, {})
        if self.at < len(self.tokens):
            self.fail("text after the graph's end")

    def block(self, vertex_default: Attributes, edge_default: Attributes) -> list[str]:
        """Statements up to the closing brace; returns the vertices that they name."""
        vertex_default, edge_default = dict(vertex_default), dict(edge_default)
        seen: dict[str, None] = {}
        while not self.take("}"):
            if self.at >= len(self.tokens):
                self.fail("a '}' is missing at the end")
            if self.take(";", ","):
                continue
            if (
                self.tokens[self.at][0] == "name"
                and self.peek("node", "edge", "graph")
                and self.peek("[", ahead=1)
            ):
                target = {"node": vertex_default, "edge": edge_default}.get(
                    self.word().casefold(), {}
                )
                target.update(self.attributes())
            elif self.tokens[self.at][0] != "mark" and self.peek("=", ahead=1):
                self.at += 2
                self.word()
            else:
                seen.update(dict.fromkeys(self.chain(vertex_default, edge_default)))
        return list(seen)

    def chain(self, vertex_default: Attributes, edge_default: Attributes) -> list[str]:
        groups = [self.group(vertex_default, edge_default)]
        arrows = []
        while self.at < len(self.tokens) and self.tokens[self.at][0] == "edge":
            arrows.append(self.tokens[self.at][1])
            self.at += 1
            groups.append(self.group(vertex_default, edge_default))
        attributes = self.attributes()
        named = [name for group in groups for name in group]
        if not arrows:
            self.vertices += [(name, vertex_default | attributes) for name in named]
        else:
            self.vertices += [(name, vertex_default) for name in named]
        for left, arrow, right in zip(groups, arrows, groups[1:], strict=False):
            for a in left:
                for b in right:
                    self.draft.edge(a, _arrow(arrow, edge_default | attributes), b)
        return named

    def group(self, vertex_default: Attributes, edge_default: Attributes) -> list[str]:
        if self.tokens[self.at : self.at + 1] and self.peek("subgraph"):
            self.at += 1
            if not self.peek("{"):
                self.word()
        if self.take("{"):
            return self.block(vertex_default, edge_default)
        name = self.word()
        while self.take(":"):
            self.word()
        self.draft.name(name)
        return [name]

    def attributes(self) -> Attributes:
        found: Attributes = {}
        while self.take("["):
            while not self.take("]"):
                if self.take(",", ";"):
                    continue
                key = self.word().casefold()
                found[key] = self.word() if self.take("=") else ""
        return found


def _arrow(arrow: str, attributes: Attributes) -> str:
    """The edge as Graphviz draws it: ``dir`` and head shapes decide over the operator."""
    if arrow in _CIRCLES:
        return _CIRCLES[arrow]
    if (
        is_yes(attributes.get("bidirected", "no"))
        or attributes.get("type", "").casefold() == "bidirected"
    ):
        return "<->"
    direction = attributes.get("dir", "").casefold()
    if arrow != "->" or not direction or direction == "forward":
        return arrow
    head = not (
        attributes.get("arrowhead", "").casefold() == "none"
        or is_no(attributes.get("arrowhead", "yes"))
    )
    tail = attributes.get("arrowtail", "").casefold() != "none"
    both = {(True, True): "<->", (True, False): "->", (False, True): "<-", (False, False): "--"}
    return {"both": both[head, tail], "back": "<-" if tail else "--", "none": "--"}.get(
        direction, f"dir={direction}"
    )
