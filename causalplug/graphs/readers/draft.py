"""What a reader collects before the graph is built: names, edges of both kinds, and which
variables are hidden."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from causalplug.errors import GraphError
from causalplug.graphs.readers.marks import is_hidden
from causalplug.wording import shortened

__all__ = ["Draft"]

_MOST_EDGES = 2_000_000
_REFUSED = {
    "--": "is undirected, as in a CPDAG",
    "o-o": "has circles, as in a PAG",
    "o->": "has a circle, as in a PAG",
    "o-": "has a circle, as in a PAG",
}
_TAG = re.compile(r"<[^<>]*>")
_NUMBERED = re.compile(r"\d+|n\d+(?:::n\d+)*|(?:node|vertex)[_ ]?\d+")


@dataclass
class Draft:
    """A graph while it is read. Hidden variables are kept and marked; the graph that is built
    from the draft projects them out."""

    names: dict[str, None] = field(default_factory=dict)
    directed: list[tuple[str, str]] = field(default_factory=list)
    bidirected: list[tuple[str, str]] = field(default_factory=list)
    hidden: dict[str, None] = field(default_factory=dict)
    halves: set[tuple[str, str]] = field(default_factory=set)
    """Edges marked ``description="U"``: two of them, one each way, are one bidirected edge."""
    complete: bool = False
    """Whether all variables have been declared, so that an edge to another name is an error."""

    def name(self, *names: str) -> None:
        """Declare variables, if they are not declared yet."""
        self.names.update(dict.fromkeys(names))

    def hide(self, *names: str) -> None:
        """Mark variables as unobserved."""
        self.hidden.update(dict.fromkeys(names))

    def mark(self, name: str, attributes: Mapping[Any, object]) -> None:
        """Hide ``name`` if its attributes say that it is unobserved."""
        if is_hidden(name, attributes):
            self.hide(name)

    def edge(self, left: str, arrow: str, right: str) -> None:
        """Add ``left -> right``, ``left <- right`` or ``left <-> right``; ``U`` is one half of a
        bidirected edge.

        Raises:
            GraphError: Any other kind of edge, with the reason.
        """
        if not self.complete:
            self.name(left, right)
        if arrow == "->":
            self.directed.append((left, right))
        elif arrow == "<-":
            self.directed.append((right, left))
        elif arrow == "<->":
            self.bidirected.append((left, right))
        elif arrow == "U":
            self.halves.add((left, right))
        else:
            why = _REFUSED.get(arrow, f"is of the unknown kind {shortened(arrow)!r}")
            raise GraphError(
                f"the graph cannot be read: the edge between {shortened(left)!r} and "
                f"{shortened(right)!r} {why}; a causal graph has only -> and <->, so orient the "
                "edge, or write <-> for a hidden common cause"
            )
        if len(self.directed) + len(self.bidirected) > _MOST_EDGES:
            raise GraphError(
                f"the graph cannot be read: it has more than {_MOST_EDGES:,} edges; leave out what "
                "the question does not need"
            )

    def finish(self) -> None:
        """Join the halves of bidirected edges.

        Raises:
            GraphError: A half without the other one.
        """
        for left, right in sorted(self.halves):
            if (right, left) not in self.halves:
                raise GraphError(
                    f"the graph cannot be read: the edge {shortened(left)} -> {shortened(right)} "
                    'has the description "U", which stands for a hidden common cause if a second '
                    f"edge {shortened(right)} -> {shortened(left)} has it too; add that edge, or "
                    "leave the description out"
                )
            if left < right:
                self.bidirected.append((left, right))
        self.halves.clear()

    def take_written_names(self, attributes: Mapping[str, Mapping[Any, object]]) -> None:
        """Name the variables by their attribute ``name`` or ``label`` where their own names are
        only numbers, as igraph, yEd and causal-learn write them.

        Raises:
            GraphError: Only some have such an attribute, two have the same one, or name and label
                differ.
        """
        if not self.names or not all(map(_NUMBERED.fullmatch, self.names)):
            return
        written = {}
        for name in self.names:
            written[name] = _written_name(name, attributes.get(name, {}))
        if not any(written.values()):
            return
        new = {name: text or "" for name, text in written.items()}
        if not all(new.values()):
            bare = next(name for name, text in new.items() if not text)
            raise GraphError(
                f"the graph cannot be read: some vertices have a name or label and {bare!r} has "
                "none; give every vertex one, or none"
            )
        if len(set(new.values())) < len(new):
            twice = Counter(new.values()).most_common(1)[0][0]
            raise GraphError(
                f"the graph cannot be read: two vertices are called {shortened(twice)!r}; rename "
                "one of them"
            )
        self._rename(new)

    def _rename(self, new: Mapping[str, str]) -> None:
        self.names = {new[name]: None for name in self.names}
        self.hidden = {new[name]: None for name in self.hidden}
        self.directed = [(new[a], new[b]) for a, b in self.directed]
        self.bidirected = [(new[a], new[b]) for a, b in self.bidirected]
        self.halves = {(new[a], new[b]) for a, b in self.halves}


def _without_tags(text: str) -> str:
    """The text of a label in HTML, ``<<b>dose</b>>``; any other text as it is."""
    if text.startswith("<") and text.endswith(">") and len(text) > 2:
        return html.unescape(_TAG.sub("", text[1:-1])).strip()
    return text


def _written_name(vertex: str, attributes: Mapping[Any, object]) -> str | None:
    """The name in the attributes ``name`` or ``label``; None if there is none."""
    texts = {}
    for key in ("name", "label"):
        if attributes.get(key) not in (None, "", r"\N"):
            texts[key] = _without_tags(str(attributes[key]).strip())
    if len(set(texts.values())) > 1:
        raise GraphError(
            f"the graph cannot be read: the vertex {vertex!r} has the name "
            f"{shortened(texts['name'])!r} and the label {shortened(texts['label'])!r}; keep one "
            "of the two"
        )
    return next(iter(texts.values()), None)
