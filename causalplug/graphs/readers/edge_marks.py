"""What the attributes of edges say: their kind, or the arrow that is drawn."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from causalplug.errors import GraphError
from causalplug.graphs.readers.drawn_lines import draws_another_line, is_line_style
from causalplug.graphs.readers.mark_texts import mark_text
from causalplug.graphs.readers.mark_words import (
    EDGE_KIND_KEYS,
    EDGE_KINDS,
    NO,
    NOTHING,
    OF_LOOKS,
    SUSPECT_ARROW,
    SUSPECT_EDGE,
    SUSPECT_EDGE_TEXT,
    SUSPECT_END,
    YES,
)
from causalplug.graphs.readers.marks import FLAG, entries_of, normal, written_mark
from causalplug.wording import shortened

__all__ = ["drawn_arrow", "edge_arrow"]

_SILENT = frozenset(["dir", "arrowhead", "arrowtail", "sourcearrow", "targetarrow"])
"""What :func:`drawn_arrow` reads."""
_OTHER_WAY = re.compile("back|rev|bi|both|two|undir|mutual")
_DRAWN = {
    ("tail", "head"): "->",
    ("head", "tail"): "<-",
    ("head", "head"): "<->",
    ("tail", "tail"): "--",
}
_KNOWN_KINDS = {
    ("bidirected", True): "<->",
    ("bidirectional", True): "<->",
    ("undirected", True): "--",
    ("directed", False): "--",
}


def edge_arrow(attributes: Mapping[Any, object], arrow: str = "->") -> str:
    """The arrow of an edge that was drawn as ``arrow`` and has these attributes.

    Raises:
        GraphError: An attribute that may change the kind of the edge is not understood, or two
            contradict each other.
    """
    found, doubts = _collected(attributes, arrow)
    if len(found) > 1:
        first, second = list(found.values())[:2]
        raise GraphError(
            f"the graph cannot be read: {first} and {second} of an edge contradict each other; "
            "keep one of the two"
        )
    if doubts and not found:
        raise _not_understood(doubts[0])
    return next(iter(found), arrow)


def _collected(attributes: Mapping[Any, object], arrow: str) -> tuple[dict[str, str], list[str]]:
    """The kinds that are said, each with the mark that says so, and the marks that are doubtful."""
    found: dict[str, str] = {}
    doubts: list[str] = []
    for key, value in entries_of(attributes):
        kind = _edge_mark(key, value)
        if kind == "?":
            raise _not_understood(written_mark(key, value))
        if kind == "doubt":
            doubts.append(written_mark(key, value))
        elif kind == "->" and arrow == "<-":
            found[arrow] = written_mark(key, value)
        elif kind is not None:
            found[kind] = written_mark(key, value)
    if arrow not in ("->", "<-"):
        found.setdefault(arrow, f"the arrow {shortened(arrow)}")
    return found, doubts


def drawn_arrow(attributes: Mapping[Any, object]) -> str:
    """The arrow that is drawn for an edge ``->`` with these attributes.

    Graphviz's ``dir`` and the shapes of the heads decide over the operator, and so do the arrows
    of yEd, of which an edge has none where they are not said.
    """
    written = {normal(key): value for key, value in entries_of(attributes)}
    if "sourcearrow" in written or "targetarrow" in written:
        return _between(_end(written, "sourcearrow", "none"), _end(written, "targetarrow", "none"))
    head = _end(written, "arrowhead")
    tail = _end(written, "arrowtail")
    direction = mark_text(written.get("dir") or "forward")
    if direction not in ("forward", "back", "both", "none"):
        return f"dir={direction}"
    ends = {"forward": ("tail", head), "back": (tail, "tail"), "both": (tail, head)}
    return _between(*ends.get(direction, ("tail", "tail")))


def _between(tail: str, head: str) -> str:
    if tail == head == "circle":
        return "o-o"
    if "circle" in (tail, head):
        return "o->"
    return _DRAWN[tail, head]


def _end(attributes: Mapping[str, object], key: str, default: str = "normal") -> str:
    shape = mark_text(attributes.get(key) or default)
    if shape in ("none", "false", "no", "0"):
        return "tail"
    if "circle" in shape or shape in ("odot", "dot"):
        return "circle"
    return "head"


def _edge_mark(key: object, value: object) -> str | None:
    """An arrow, ``"?"`` for what is not understood, ``"doubt"`` for what another mark may settle,
    or None."""
    plain, text = normal(key), mark_text(value)
    if value is None or plain in _SILENT:
        return None
    if plain in EDGE_KIND_KEYS:
        return EDGE_KINDS.get(text, "?")
    if plain == "description" and text == "u":
        return "U"
    if plain == "direction":
        return _pointed(text)
    if SUSPECT_EDGE.search(plain) and not plain.startswith("direction"):
        return _answered(plain, value)
    return _doubtful(plain, value)


def _pointed(text: str) -> str | None:
    """What ``direction`` says; ``direction=positive`` says nothing of the arrow."""
    if text in EDGE_KINDS:
        return EDGE_KINDS[text]
    if _OTHER_WAY.search(text):
        return "?"
    return None


def _answered(plain: str, value: object) -> str | None:
    text = mark_text(value)
    yes = text in YES
    if not yes and text not in NO:
        return "?"
    if (plain, yes) in _KNOWN_KINDS:
        return _KNOWN_KINDS[plain, yes]
    if plain in ("bidirected", "bidirectional", "undirected", "directed") or not yes:
        return None
    return "?"


def _doubtful(plain: str, value: object) -> str | None:
    if value is FLAG:
        return "?"
    doubtful = _draws_an_end(plain, value)
    if is_line_style(plain):
        doubtful = draws_another_line(plain, value)
    elif isinstance(value, str) and SUSPECT_EDGE_TEXT.search(mark_text(value)):
        doubtful = True
    if doubtful:
        return "doubt"
    return None


def _draws_an_end(plain: str, value: object) -> bool:
    """Whether an attribute draws an arrow at one end of an edge in words that are not read, as
    ``startArrow`` and ``markerStart``."""
    if not SUSPECT_ARROW.search(plain) or OF_LOOKS.search(plain):
        return False
    return bool(SUSPECT_END.search(plain)) and mark_text(value) not in NO | NOTHING


def _not_understood(mark: str) -> GraphError:
    return GraphError(
        f"the graph cannot be read: {mark} of an edge is not understood; write "
        'type="bidirected" for a hidden common cause, type="directed" for a direct cause, or '
        "leave it out"
    )
