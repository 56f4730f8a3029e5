"""Structural equation models in the syntax of the R package lavaan."""

from __future__ import annotations

import re
from collections.abc import Iterator

from causalplug.errors import GraphError
from causalplug.graphs.readers.draft import Draft
from causalplug.wording import shortened

__all__ = ["read_lavaan"]

_OPERATOR = re.compile(r"=~|<~|~\*~|~~|:=|==|~|<|>|\|")
_SKIPPED = (":=", "==", "<", ">", "|", "~*~")
_TOKEN = re.compile(r"\"[^\"]*\"|'[^']*'|[()+*]|[^\"'()+*]+|[\"']")
_ZERO = re.compile(r"[-+]?(?:0+(?:\.0*)?|\.0+)")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)")
_NAME = re.compile(r"(?=.*\w)[\w.]+")


def read_lavaan(text: str) -> Draft:
    """Regressions and covariances as in the R package lavaan.

    ``y ~ x1 + x2`` draws x1 -> y and x2 -> y, ``x ~~ y`` draws x <-> y, and ``f =~ x1 + x2`` makes
    f a hidden cause. A coefficient fixed at ``0*`` draws nothing. Variances (``x ~~ x``),
    intercepts, thresholds and constraints say nothing about edges and are skipped. Exogenous
    variables are independent unless a ``~~`` says otherwise.
    """
    draft = Draft()
    for statement in _statements(text):
        match = _OPERATOR.search(statement)
        if match is None:
            raise GraphError(
                f"the model cannot be read: {shortened(statement)!r} has no ~, ~~ or =~; expected "
                "lavaan's syntax"
            )
        if match.group() not in _SKIPPED:
            left, right = statement[: match.start()], statement[match.end() :]
            _draw(draft, left, match.group(), right)
    return draft


def _draw(draft: Draft, left: str, operator: str, right: str) -> None:
    causes = _variables(right)
    for a in _variables(left):
        if not a:
            raise GraphError(
                f"the model cannot be read: {shortened(left.strip())!r} stands on the left of "
                f"{operator}, where a variable belongs"
            )
        if operator == "<~":
            raise GraphError(
                f"the model cannot be read: {shortened(a)} <~ … defines a composite, which is no "
                "cause; leave it out"
            )
        if operator == "=~":
            draft.hide(a)
        draft.name(a)
        for b in causes:
            if b and b != a:
                draft.edge(*_edge(a, operator, b))


def _edge(a: str, operator: str, b: str) -> tuple[str, str, str]:
    return (a, {"=~": "->", "~": "<-", "~~": "<->"}[operator], b)


def _statements(text: str) -> Iterator[str]:
    pending: list[str] = []
    for raw in text.splitlines():
        line = re.split("[#!]", raw, maxsplit=1)[0].strip()
        if not line:
            continue
        if pending and not line.startswith("+") and not pending[-1].endswith(("+", "~", "*", ",")):
            yield from _parts(pending)
            pending = []
        pending.append(line)
    yield from _parts(pending)


def _parts(lines: list[str]) -> Iterator[str]:
    for part in " ".join(lines).split(";"):
        if part.strip():
            yield part.strip()


def _variables(text: str) -> list[str]:
    """The variables on one side: without coefficients and fixed zeros; the intercept yields
    ``""``."""
    names = []
    for *modifiers, name in _terms(text):
        if any(map(_ZERO.fullmatch, modifiers)):
            continue
        if _NUMBER.fullmatch(name):
            names.append("")
            continue
        if ":" in name:
            raise GraphError(
                f"the model cannot be read: {shortened(name)!r} is an interaction; a graph has an "
                "edge from each of the two"
            )
        if not _NAME.fullmatch(name):
            raise GraphError(
                f"the model cannot be read: {shortened(name)!r} is not a variable of lavaan; names "
                "are letters, digits, dots and underscores, joined by +"
            )
        names.append(name)
    return names


def _terms(text: str) -> list[list[str]]:
    """Terms between ``+``, each split at ``*``; what stands in parentheses stays together."""
    terms: list[list[list[str]]] = [[[]]]
    depth = 0
    for token in _TOKEN.findall(text):
        if token == "+" and not depth:
            terms.append([[]])
        elif token == "*" and not depth:
            terms[-1].append([])
        else:
            depth += {"(": 1, ")": -1}.get(token, 0)
            terms[-1][-1].append(token)
    found = []
    for term in terms:
        found.append(["".join(part).strip() for part in term])
    return found
