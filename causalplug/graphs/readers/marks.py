"""What the attributes of vertices and edges say: hidden, observed, selected, bidirected.

Attributes that only draw (colours, positions) are passed over. An attribute that may mean that a
variable is hidden, or that the rows were selected on it, and that is not understood is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from causalplug.errors import GraphError
from causalplug.wording import shortened

__all__ = ["FLAG", "edge_arrow", "hidden_of_graph", "is_hidden", "normal"]

FLAG = True
"""The value of an attribute that stands without one, as in dagitty's ``[latent]``."""

_HIDDEN = frozenset(
    [
        "latent",
        "latents",
        "l",
        "unobserved",
        "u",
        "hidden",
        "unmeasured",
        "unrecorded",
        "unobservable",
        "latentvariable",
        "unobservedconfounder",
        "latentconfounder",
        "hiddenconfounder",
        "unmeasuredconfounder",
    ]
)
_OBSERVED = frozenset(["observed", "observable", "measured", "recorded", "manifest", "visible"])
_SELECTED = frozenset(
    [
        "selected",
        "s",
        "selection",
        "selectionnode",
        "selectionvariable",
        "snode",
        "conditioned",
        "conditionedon",
    ]
)
_ANALYSIS = frozenset(
    [
        "exposure",
        "exposures",
        "e",
        "outcome",
        "outcomes",
        "o",
        "adjusted",
        "a",
        "adjustednode",
        "adjustment",
        "source",
        "target",
        "treatment",
        "treatments",
    ]
)
"""Roles in somebody's analysis; they say nothing about how the rows were recorded."""
_ROLE_KEYS = frozenset(
    [
        "type",
        "role",
        "roles",
        "kind",
        "status",
        "class",
        "nodetype",
        "vertextype",
        "variabletype",
        "vartype",
        "noderole",
        "variablerole",
        "visibility",
        "observability",
        "flag",
        "flags",
        "mark",
        "marks",
        "tag",
        "tags",
    ]
)
_PLAIN_WORDS = (
    _ANALYSIS
    | _OBSERVED
    | frozenset(
        [
            "mediator",
            "mediators",
            "covariate",
            "covariates",
            "instrument",
            "instruments",
            "collider",
            "endogenous",
            "continuous",
            "discrete",
            "categorical",
            "binary",
            "ordinal",
            "nominal",
            "numeric",
            "number",
            "integer",
            "int",
            "float",
            "double",
            "real",
            "bool",
            "boolean",
            "string",
            "str",
            "text",
            "image",
            "count",
            "node",
            "vertex",
            "variable",
            "nature",
            "default",
            "normal",
        ]
    )
)
_FILLERS = frozenset(
    ["variable", "node", "confounder", "confounders", "common", "cause", "causes", "factor"]
)
_SUSPECT = re.compile(
    "latent|hidden|unob|observ|unmeas|measur|unrec|record|censor|missing|confound|unseen|invisib"
)
_SUSPECT_SELECTION = re.compile("select|condition(?!al)")
_YES = frozenset({"yes", "true", "1", "1.0", "y", "t", "on"})
_NO = frozenset({"no", "false", "0", "0.0", "n", "f", "off"})

_EDGE_KINDS = {
    "directed": "->",
    "->": "->",
    "-->": "->",
    "causal": "->",
    "bidirected": "<->",
    "bi-directed": "<->",
    "<->": "<->",
    "<-->": "<->",
    "undirected": "--",
    "--": "--",
    "---": "--",
    "circle": "o-o",
    "o-o": "o-o",
    "o->": "o->",
    "<-o": "o->",
    "o-": "o-",
    "<-": "<-",
    "<--": "<-",
}
_EDGE_KIND_KEYS = frozenset(["type", "edgetype", "kind", "edge", "edgekind", "arrow", "marktype"])
_SUSPECT_EDGE = re.compile("latent|hidden|unob|unmeas|confound|circle|direct|select")


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
    for key, value in attributes.items():
        written = _attribute(key, value)
        found = _vertex_mark(name, normal(key), value)
        if found == "?":
            doubts.append(written)
        elif found:
            said.setdefault(found, written)
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
    for key, value in attributes.items():
        plain = normal(key)
        doubtful = _SUSPECT.search(plain) or _SUSPECT_SELECTION.search(plain)
        if plain not in _HIDDEN | _SELECTED and not doubtful:
            continue
        entries = list(map(str, _entries(value)))
        if not entries:
            continue
        if plain not in _HIDDEN or not known.issuperset(entries):
            raise _not_understood("the graph", _attribute(key, value))
        found += entries
    return found


def edge_arrow(attributes: Mapping[Any, object], arrow: str = "->") -> str:
    """The arrow of an edge that was drawn as ``arrow`` and has these attributes.

    Raises:
        GraphError: An attribute that may change the kind of the edge is not understood, or two
            contradict each other.
    """
    found: dict[str, str] = {}
    for key, value in attributes.items():
        kind = _edge_mark(key, value)
        if kind == "?":
            raise GraphError(
                f"the graph cannot be read: {_attribute(key, value)} of an edge is not "
                'understood; write type="bidirected" for a hidden common cause, or leave it out'
            )
        if kind is not None:
            found[arrow if kind == "->" and arrow == "<-" else kind] = _attribute(key, value)
    if arrow not in ("->", "<-"):
        found.setdefault(arrow, f"the arrow {shortened(arrow)}")
    if len(found) > 1:
        first, second = list(found.values())[:2]
        raise GraphError(
            f"the graph cannot be read: {first} and {second} of an edge contradict each other; "
            "keep one of the two"
        )
    return next(iter(found), arrow)


def _vertex_mark(name: str, key: str, value: object) -> str:
    """``"hidden"``, ``"observed"``, ``"selected"``, ``"?"`` for a doubt, or nothing."""
    if value is None or isinstance(value, Mapping):
        return ""
    if key in _HIDDEN:
        return _answer(value, yes="hidden", no="observed")
    if key in _OBSERVED:
        return _answer(value, yes="observed", no="hidden")
    if key in _SELECTED:
        return _answer(value, yes="selected", no="")
    if key in _ANALYSIS:
        return ""
    if key in _ROLE_KEYS:
        return _role(value)
    if _SUSPECT.search(key) or _SUSPECT_SELECTION.search(key):
        if _text(value) in _NO:
            return ""
        return "?"
    if key == "style":
        if "invis" in _text(value):
            return "?"
        return ""
    if str(value) != name and _is_suspect_text(value):
        return "?"
    return ""


def _answer(value: object, *, yes: str, no: str) -> str:
    text = _text(value)
    if value is FLAG or text in _YES:
        return yes
    if text in _NO:
        return no
    if text in _HIDDEN and len(text) > 1:
        if yes != "selected":
            return "hidden"
        return "?"
    if text in _OBSERVED:
        if yes != "selected":
            return "observed"
        return "?"
    if text in _SELECTED and yes == "selected":
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
    words = set(_words(value))
    if words & _SELECTED:
        return "selected"
    hidden = words & _HIDDEN
    if hidden and words <= _HIDDEN | _PLAIN_WORDS | _FILLERS:
        return "hidden"
    if words & _OBSERVED and words <= _PLAIN_WORDS | _FILLERS:
        return "observed"
    if words <= _PLAIN_WORDS:
        return ""
    return "?"


def _is_suspect_text(value: object) -> bool:
    """Whether a text says nothing but that something is hidden: ``"Unobserved Confounders"``."""
    words = {word for word in _words(value) if len(word) > 1}
    return bool(words & (_HIDDEN | _SELECTED)) and words <= _HIDDEN | _SELECTED | _FILLERS


def _edge_mark(key: object, value: object) -> str | None:
    plain, text = normal(key), _text(value)
    if value is None or isinstance(value, Mapping):
        return None
    if plain in _EDGE_KIND_KEYS:
        return _EDGE_KINDS.get(text, "?")
    if plain == "description" and text == "u":
        return "U"
    if not _SUSPECT_EDGE.search(plain) or plain.startswith("direction"):
        if plain == "style" and "invis" in text:
            return "?"
        return None
    yes = value is FLAG or text in _YES
    if not yes and text not in _NO:
        return "?"
    kinds = {("bidirected", True): "<->", ("undirected", True): "--", ("directed", False): "--"}
    known = plain in ("bidirected", "undirected", "directed")
    return kinds.get((plain, yes), None if known or not yes else "?")


def _entries(value: object) -> list[Any]:
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [part for part in re.split(r"[\s,;]+", value) if part]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    return [value]


def _words(value: object) -> list[str]:
    if isinstance(value, list | tuple | set | frozenset):
        entries = value
    else:
        entries = [value]
    return [word for entry in entries for word in re.findall(r"\w+", str(entry).casefold())]


def _text(value: object) -> str:
    return str(value)[:200].strip().strip("\"'").casefold()


def _attribute(key: object, value: object) -> str:
    written = shortened(key, 40)
    if value is FLAG:
        return f"[{written}]"
    return f"[{written}={shortened(value, 40)}]"


def _not_understood(name: str, mark: str) -> GraphError:
    return GraphError(
        f"the graph cannot be read: {mark} of {shortened(name)!r} is not understood, and may say "
        'that a variable is hidden or selected on; write observed="no" for a hidden variable, '
        'observed="yes" for a recorded one, or leave it out'
    )
