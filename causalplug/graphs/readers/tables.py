"""Plain listings of graphs: BIF networks, ``.cg`` files, Tetrad's text and lavaan's model
syntax."""

from __future__ import annotations

import re

from causalplug.errors import GraphError
from causalplug.graphs.readers.draft import Draft

__all__ = ["read_bif", "read_cg", "read_lavaan", "read_tetrad"]

_BIF_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_BIF_VARIABLE = re.compile(r'\bvariable\s+("[^"]*"|[^\s{]+)\s*\{')
_BIF_PROBABILITY = re.compile(r"\bprobability\s*\(([^)]*)\)")
_EDGE = re.compile(r"(.+?)\s*(<-->|<->|-->|->|<--|<-|o->|<-o|o-o|---|--|-)\s*(.+)")
_ARROWS = {
    "<-->": "<->",
    "<->": "<->",
    "-->": "->",
    "->": "->",
    "<--": "<-",
    "<-": "<-",
    "o->": "o->",
    "<-o": "o->",
    "o-o": "o-o",
}


def read_bif(text: str) -> Draft:
    """The structure of a Bayesian network in the Bayesian Interchange Format; tables are not
    read."""
    text = _BIF_COMMENT.sub(" ", text)
    draft = Draft()
    draft.name(*(name.strip('"') for name in _BIF_VARIABLE.findall(text)))
    if not draft.names:
        raise GraphError("the network cannot be read: it declares no variable; expected BIF text")
    draft.complete = True
    for scope in _BIF_PROBABILITY.findall(text):
        child, _, given = scope.partition("|")
        for parent in re.findall(r'"[^"]*"|[^\s,]+', given):
            draft.edge(parent.strip('"'), "->", child.strip().strip('"'))
    return draft


def read_cg(text: str) -> Draft:
    """``<NODES>``, one name a line, then ``<EDGES>``, one ``X -> Y`` or ``X <-> Y`` a line."""
    draft = Draft()
    section = ""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line.upper() in ("<NODES>", "<EDGES>"):
            section = line.upper()
        elif line and section == "<NODES>":
            draft.name(line)
        elif line and section == "<EDGES>":
            draft.complete = True
            draft.edge(*_listed_edge(line, number))
        elif line:
            raise GraphError(
                f"the graph cannot be read: line {number} ({line!r}) stands before <NODES>"
            )
    return draft


def read_tetrad(text: str) -> Draft:
    """Tetrad's ``Graph Nodes:`` and ``Graph Edges:``; names in parentheses are latent and
    projected out."""
    draft = Draft()
    section = ""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line.casefold().startswith("graph "):
            section = line.casefold().rstrip(":").removeprefix("graph ")
        elif line and section == "nodes":
            for entry in filter(None, (part.strip() for part in re.split(r"[;,]", line))):
                name = entry[1:-1] if entry.startswith("(") and entry.endswith(")") else entry
                draft.name(name)
                if name != entry:
                    draft.hidden.add(name)
        elif line and section == "edges":
            draft.complete = True
            listed = re.sub(r"^\d+\.\s*", "", line)
            left, arrow, right = _listed_edge(re.sub(r"(\s+(dd|pd|nl|pl))+$", "", listed), number)
            draft.edge(left.strip("()"), arrow, right.strip("()"))
    return draft


def read_lavaan(text: str) -> Draft:
    """Regressions and covariances as in the R package lavaan.

    ``y ~ x1 + x2`` draws x1 -> y and x2 -> y, ``x ~~ y`` draws x <-> y, and ``f =~ x1 + x2`` makes
    f a hidden cause, which is projected out. A coefficient fixed at ``0*`` draws nothing. Variances
    (``x ~~ x``), intercepts, thresholds and constraints say nothing about edges and are skipped.
    Exogenous variables are independent unless a ``~~`` says otherwise.
    """
    draft = Draft()
    for statement in _lavaan_statements(text):
        match = re.match(r"(.+?)\s*(=~|<~|~~|~\*~|~)\s*(.*)", statement)
        if match is None or re.search(r":=|==|[<>](?!~)|\|", statement):
            if re.search(r":=|==|[<>]|\|", statement):
                continue
            raise GraphError(
                f"the model cannot be read: {statement!r} has no ~, ~~ or =~; expected lavaan's syntax"
            )
        left, operator, right = match.groups()
        for a in (term.strip() for term in left.split("+")):
            for b in _lavaan_terms(right):
                if operator == "~" and b:
                    draft.edge(b, "->", a)
                elif operator == "=~" and b:
                    draft.edge(a, "->", b)
                    draft.hidden.add(a)
                elif operator == "~~" and b != a:
                    draft.edge(a, "<->", b)
                elif operator == "<~":
                    raise GraphError(
                        f"the model cannot be read: {a} <~ … defines a composite, which is no cause; leave it out"
                    )
                else:
                    draft.name(a)
    return draft


def _lavaan_statements(text: str) -> list[str]:
    lines: list[str] = []
    for raw in text.splitlines():
        line = re.sub(r"[#!].*", "", raw).strip()
        if lines and (line.startswith("+") or re.search(r"(\+|~)$", lines[-1])):
            lines[-1] += " " + line
        elif line:
            lines.append(line)
    return [part.strip() for line in lines for part in line.split(";") if part.strip()]


def _lavaan_terms(text: str) -> list[str]:
    """The variables on a right-hand side: without coefficients, fixed zeros and the intercept
    (which yields ``""``)."""
    names = []
    for term in (part.strip() for part in text.split("+")):
        *modifiers, name = (part.strip() for part in term.split("*"))
        if any(re.fullmatch(r"[-+]?0*\.?0*", modifier) for modifier in modifiers if modifier):
            continue
        if ":" in name:
            raise GraphError(
                f"the model cannot be read: {name!r} is an interaction; a graph has an edge from each of the two"
            )
        names.append("" if re.fullmatch(r"[\d.]*", name) else name)
    return names


def _listed_edge(line: str, number: int) -> tuple[str, str, str]:
    match = _EDGE.fullmatch(line)
    if match is None:
        raise GraphError(
            f"the graph cannot be read: line {number} ({line!r}) is no edge; write X -> Y or X <-> Y"
        )
    left, arrow, right = match.groups()
    return left.strip(), _ARROWS.get(arrow, "--"), right.strip()
