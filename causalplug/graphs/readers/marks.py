"""What the attributes of vertices and of whole graphs say: hidden, observed, selected.

Attributes that only draw (colours, positions) are passed over. An attribute that may mean that a
variable is hidden, or that the rows were selected on it, and that is not understood is an error.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from causalplug.errors import GraphError
from causalplug.graphs.readers.drawn_lines import draws_another_line, is_line_style
from causalplug.graphs.readers.mark_texts import (
    is_suspect_name,
    is_suspect_text,
    mark_text,
    words_of,
)
from causalplug.graphs.readers.mark_words import (
    ANALYSIS,
    ARROWS,
    DRAWING,
    FILLERS,
    HIDDEN,
    NO,
    NOTHING,
    OBSERVED,
    PLAIN_WORDS,
    ROLE_KEYS,
    SELECTED,
    SUSPECT,
    SUSPECT_RECORDED,
    SUSPECT_SELECTION,
    YES,
)
from causalplug.wording import shortened

__all__ = [
    "FLAG",
    "Flag",
    "entries_of",
    "hidden_of_graph",
    "is_hidden",
    "lists_variables",
    "normal",
    "written_mark",
]


class Flag(Enum):
    """The value of an attribute that stands without one, as in dagitty's ``[latent]``."""

    SET = "yes"

    def __str__(self) -> str:
        return "yes"


FLAG = Flag.SET
_MOST_MARKS = 100_000


def normal(key: object) -> str:
    """A key without case, signs and the prefix ``is``: ``"is_latent"`` is ``"latent"``."""
    letters = re.sub(r"[\W_]+", "", str(key).casefold())
    if len(letters) > 3:
        return letters.removeprefix("is")
    return letters


def is_hidden(name: str, attributes: Mapping[Any, object]) -> bool:
    """Whether the vertex ``name`` with these attributes is unobserved.

    Raises:
        GraphError: The rows were selected on it, its marks contradict each other, or a mark that
            may say so is not understood.
    """
    said: dict[str, str] = {}
    doubts: list[str] = []
    for key, value in entries_of(attributes):
        found = _vertex_mark(name, normal(key), value)
        if found == "?":
            doubts.append(written_mark(key, value))
        elif found:
            said.setdefault(found, written_mark(key, value))
    if is_suspect_name(name):
        doubts.append("the name")
    if "selected" in said:
        raise GraphError(
            f"the graph cannot be read: {said['selected']} says that the rows were selected on "
            f"{shortened(name)!r}, and selection bias is not supported; leave the mark out if all "
            "units were recorded"
        )
    if "hidden" in said and "observed" in said:
        raise GraphError(
            f"the graph cannot be read: {said['hidden']} and {said['observed']} of "
            f"{shortened(name)!r} contradict each other; keep one of the two"
        )
    if doubts and not said:
        raise _not_understood(name, doubts[0])
    return "hidden" in said


def hidden_of_graph(attributes: Mapping[Any, object], names: Iterable[str]) -> list[str]:
    """The variables that the attributes of a whole graph list as hidden, as ``latents: [U]``.

    Raises:
        GraphError: An attribute that may list hidden or selected variables is not understood.
    """
    known = set(names)
    found: list[str] = []
    for key, value in entries_of(attributes):
        plain = normal(key)
        if not lists_variables(plain):
            continue
        entries = list(map(str, _entries(value)))
        if not entries:
            continue
        if plain not in HIDDEN or not known.issuperset(entries):
            raise _not_understood("the graph", written_mark(key, value))
        found += entries
    return found


def entries_of(attributes: Mapping[Any, object]) -> Iterator[tuple[object, object]]:
    """The attributes with those of lists inside them; of what only draws, arrows and lines."""
    pending = deque(attributes.items())
    for _ in range(_MOST_MARKS):
        if not pending:
            return
        key, value = pending.popleft()
        inside = _inside(value)
        if not isinstance(value, Mapping) or _says_more_than_its_parts(normal(key)):
            yield key, value
            pending.extend(inside)
        elif normal(key) in DRAWING:
            yield from ((k, v) for k, v in inside if _draws_a_mark(normal(k)))
        else:
            pending.extend(inside)
    raise GraphError(
        f"the graph cannot be read: a vertex or an edge has more than {_MOST_MARKS:,} attributes; "
        "leave out what the question does not need"
    )


def written_mark(key: object, value: object) -> str:
    """An attribute as messages quote it."""
    written = shortened(key, 40)
    if value is FLAG:
        return f"[{written}]"
    return f"[{written}={shortened(value, 40)}]"


def lists_variables(plain: str) -> bool:
    """Whether a graph's attribute of this name may list hidden or selected variables."""
    if plain in HIDDEN or plain in SELECTED:
        return True
    return bool(SUSPECT.search(plain) or SUSPECT_SELECTION.search(plain))


def _inside(value: object) -> list[tuple[Any, object]]:
    """The attributes in a mapping, or in a list of mappings or of pairs; none in a plain value.
    An object of a key and a value, ``{"name": "latent", "value": true}``, is that attribute."""
    if isinstance(value, Mapping):
        return list(value.items())
    if not isinstance(value, list | tuple):
        return []
    found: list[tuple[Any, object]] = []
    for entry in value:
        if isinstance(entry, Mapping):
            found += _named_entry(entry) or entry.items()
        elif isinstance(entry, list | tuple) and len(entry) == 2 and isinstance(entry[0], str):
            found.append((entry[0], entry[1]))
    return found


def _named_entry(entry: Mapping[Any, object]) -> list[tuple[Any, object]]:
    for key in ("name", "key", "id", "attribute"):
        if key in entry and "value" in entry:
            return [(entry[key], entry["value"])]
    return []


def _says_more_than_its_parts(plain: str) -> bool:
    """Whether an attribute is a mark whatever stands in it, as ``latent: {"value": true}``."""
    return plain in ARROWS or plain in HIDDEN or plain in OBSERVED or plain in SELECTED


def _draws_a_mark(plain: str) -> bool:
    return "arrow" in plain or "dash" in plain or plain.endswith("style")


def _vertex_mark(name: str, key: str, value: object) -> str:
    """``"hidden"``, ``"observed"``, ``"selected"``, ``"?"`` for a doubt, or nothing."""
    if value is None:
        return "?" if key in OBSERVED else ""
    if key in HIDDEN:
        return _answer(value, yes="hidden", no="observed")
    if key in OBSERVED:
        return _answer(value, yes="observed", no="hidden")
    if key in SELECTED:
        return _answer(value, yes="selected", no="")
    if key in ANALYSIS:
        return ""
    if key in ROLE_KEYS:
        return _role(value)
    if _is_doubtful(key, value) or (str(value) != name and is_suspect_text(value)):
        return "?"
    return ""


def _is_doubtful(key: str, value: object) -> bool:
    text = mark_text(value)
    if value is FLAG:
        return key not in PLAIN_WORDS
    if key == "description" and len(text) == 1:  # R's causaleffect
        return text in HIDDEN or text in SELECTED
    if SUSPECT.search(key) or SUSPECT_SELECTION.search(key):
        return text not in NO
    if SUSPECT_RECORDED.search(key):
        return text in NO or text in NOTHING
    if is_line_style(key):
        return draws_another_line(key, value)
    return key == "shape" and text == "point"


def _answer(value: object, *, yes: str, no: str) -> str:
    text = mark_text(value)
    if text in YES:
        return yes
    if text in NO:
        return no
    if text in HIDDEN and len(text) > 1:
        if yes != "selected":
            return "hidden"
        return "?"
    if text in OBSERVED:
        if yes != "selected":
            return "observed"
        return "?"
    if text in SELECTED and yes == "selected":
        return yes
    if yes != "selected":
        return "?"
    return _refuse_selection(value)


def _refuse_selection(value: object) -> str:
    raise GraphError(
        f"the graph cannot be read: a selection mark with the value {shortened(value)!r} is not "
        "understood; selection bias is not supported, so leave the mark out if all units were "
        "recorded"
    )


def _role(value: object) -> str:
    words = set(words_of(value))
    if words & SELECTED:
        return "selected"
    hidden = words & HIDDEN
    if hidden and words <= HIDDEN | PLAIN_WORDS | FILLERS:
        return "hidden"
    if words & OBSERVED and words <= PLAIN_WORDS | FILLERS:
        return "observed"
    if words <= PLAIN_WORDS:
        return ""
    return "?"


def _entries(value: object) -> list[object]:
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [part for part in re.split(r"[\s,;]+", value) if part]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    return [value]


def _not_understood(name: str, mark: str) -> GraphError:
    return GraphError(
        f"the graph cannot be read: {mark} of {shortened(name)!r} is not understood, and may say "
        'that a variable is hidden or selected on; write observed="no" for a hidden variable, '
        'observed="yes" for a recorded one, or leave it out'
    )
