"""Graphs as lists of edges: ``.cg`` files and Tetrad's text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from causalplug.errors import GraphError
from causalplug.graphs.readers.draft import Draft
from causalplug.graphs.readers.edge_marks import edge_arrow
from causalplug.graphs.readers.marks import hidden_of_graph, is_hidden
from causalplug.wording import shortened

__all__ = ["read_cg", "read_tetrad"]

_ARROWS = {
    "<-->": "<->",
    "<->": "<->",
    "-->": "->",
    "->": "->",
    "<--": "<-",
    "<-": "<-",
    "o->": "o->",
    "o-->": "o->",
    "<-o": "o->",
    "<--o": "o->",
    "o-o": "o-o",
    "o--o": "o-o",
    "---": "--",
    "--": "--",
    "-": "--",
}
_TIGHT = re.compile(r"<-->|<->|-->|->|<--|<-|---|--")
_TAG = re.compile(r"<[^<>]*>")
_NUMBER = re.compile(r"\d+\.\s+")
_PROBABILITIES = re.compile(r"(?:\[[^\[\]]*\]\s*:\s*[\d.eE+-]+\s*;?\s*)+")
_NOTES = frozenset({"dd", "pd", "nl", "pl"})


def read_cg(text: str) -> Draft:
    """``<NODES>``, one name a line, then ``<EDGES>``, one ``X -> Y`` or ``X <-> Y`` a line."""
    draft = Draft()
    section = ""
    for number, line in _lines(text):
        if line.upper() in ("<NODES>", "<EDGES>"):
            section = line.upper()
        elif section == "<NODES>" and not _TAG.fullmatch(line):
            draft.name(line)
            draft.mark(line, {})
        elif section == "<EDGES>":
            draft.complete = True
            draft.edge(*_edge(line, number))
        else:
            raise GraphError(
                f"the graph cannot be read: line {number} ({shortened(line)!r}) is in no "
                "section that is known; there are <NODES> and <EDGES>"
            )
    return draft


def read_tetrad(text: str) -> Draft:
    """Tetrad's ``Graph Nodes:`` and ``Graph Edges:``.

    Names in parentheses are latent. Probabilities of edges from a bootstrap and the marks ``dd``,
    ``pd``, ``nl`` and ``pl`` are not used. A list of ambiguous triples has to be empty.
    """
    reader = _Tetrad()
    for number, line in _lines(text):
        if not reader.starts_section(line, number):
            reader.read(line, number)
    return reader.draft


@dataclass
class _Tetrad:
    draft: Draft = field(default_factory=Draft)
    section: str = ""

    def starts_section(self, line: str, number: int) -> bool:
        start = line.casefold()
        title = start.split(":")[0]
        if start.startswith("graph ") and ":" in start:
            self.section = title.removeprefix("graph ").strip()
            rest = line.partition(":")[2].strip()
            if rest:
                self.read(rest, number)
            return True
        if " triples" in title or title.endswith("triples"):
            self.section = "triples"
            rest = ""
            if ":" in line:
                rest = line.rpartition(":")[2].strip()
            if rest and not rest.endswith(")"):
                self.refuse_triple(rest)
            return True
        return False

    def read(self, line: str, number: int) -> None:
        if self.section == "nodes":
            self.read_nodes(line)
        elif self.section == "edges":
            self.draft.complete = True
            left, arrow, right = _edge(_bare_edge(line), number)
            self.draft.edge(self.name(left), arrow, self.name(right))
        elif self.section == "triples":
            self.refuse_triple(line)
        elif self.section == "node attributes":
            self.read_attribute(line)
        elif self.section == "attributes":
            key, _, value = line.partition(":")
            self.draft.hide(*hidden_of_graph({key: value.strip()}, self.draft.names))
        elif self.section == "edge attributes":
            self.refuse_edge_attribute(line)
        else:
            raise GraphError(
                f"the graph cannot be read: line {number} ({shortened(line)!r}) belongs to no "
                "section that is known; there are Graph Nodes: and Graph Edges:"
            )

    def read_nodes(self, line: str) -> None:
        for entry in re.split(r"[;,]", line):
            name = entry.strip()
            if not name:
                continue
            if name.startswith("(") and name.endswith(")") and len(name) > 2:
                name = name[1:-1]
                self.draft.hide(name)
            else:
                self.draft.mark(name, {})
            self.draft.name(name)

    def name(self, written: str) -> str:
        inside = ""
        if written.startswith("(") and written.endswith(")"):
            inside = written[1:-1]
        if inside in self.draft.hidden:
            return inside
        return written

    def read_attribute(self, line: str) -> None:
        """``key: [X1: value; X2: value]``"""
        key, _, entries = line.partition(":")
        for entry in entries.strip().strip("[]").split(";"):
            name, _, value = entry.partition(":")
            if name.strip() and is_hidden(name.strip(), {key: value.strip()}):
                self.draft.hide(name.strip())

    def refuse_edge_attribute(self, line: str) -> None:
        """``key: [X1 --> X2: value]``; only what says nothing of the kind of an edge is passed."""
        key, _, value = line.partition(":")
        kind = edge_arrow({key: value.strip()}, "->")
        if kind != "->":
            raise GraphError(
                f"the graph cannot be read: the attribute {shortened(line)!r} says that edges are "
                f"{kind}; write the edges so"
            )

    def refuse_triple(self, line: str) -> None:
        raise GraphError(
            f"the graph cannot be read: the triple {shortened(line)} is listed as ambiguous or "
            "underlined, so that the directions of its edges are not known; orient the edges and "
            "leave the list out"
        )


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers."""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line:
            yield number, line


def _bare_edge(line: str) -> str:
    """An edge of Tetrad without its number, its notes and its probabilities."""
    if match := _NUMBER.match(line):
        line = line[match.end() :]
    start = line.find(" [")
    if start >= 0 and _PROBABILITIES.fullmatch(line, start + 1):
        line = line[:start]
    words = line.split()
    while words and words[-1] in _NOTES:
        words.pop()
    return " ".join(words)


def _edge(line: str, number: int) -> tuple[str, str, str]:
    words = line.split()
    places = []
    for i, word in enumerate(words):
        if word in _ARROWS and 0 < i < len(words) - 1:
            places.append(i)
    if len(places) == 1:
        at = places[0]
        return " ".join(words[:at]), _ARROWS[words[at]], " ".join(words[at + 1 :])
    tight = []
    if not places:
        tight = list(_TIGHT.finditer(line))
    if len(tight) == 1 and line[: tight[0].start()].strip() and line[tight[0].end() :].strip():
        match = tight[0]
        return (
            line[: match.start()].strip(),
            _ARROWS[match.group()],
            line[match.end() :].strip(),
        )
    raise GraphError(
        f"the graph cannot be read: line {number} ({shortened(line)!r}) is no edge; write X -> Y "
        "or X <-> Y, one a line"
    )
