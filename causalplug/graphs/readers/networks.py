"""The structure of Bayesian networks in BIF, Hugin's NET and bnlearn's model strings.
Tables of probabilities are not read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from causalplug.errors import GraphError
from causalplug.graphs.readers.blocks import Block, blocks, quoted_or_raw, scope
from causalplug.graphs.readers.declared import once, pair
from causalplug.graphs.readers.draft import Draft
from causalplug.graphs.readers.marks import hidden_of_graph
from causalplug.wording import check_known, shortened

__all__ = ["read_bif", "read_bnlearn", "read_net"]

_WHOLE_TYPE = re.compile(r"^[^\S\n]*type\b[^;{]*(?:\{[^{}]*\})?", re.MULTILINE)
_STATEMENT = re.compile(r'(?:"[^"]*"|[^;\n"])+')
_PROPERTY = re.compile(r"property\b\s*(.*)", re.IGNORECASE | re.DOTALL)
_NET_FIELD = re.compile(r'\b(\w+)\s*=\s*("[^"]*"|[^;"()]*)')
_TYPE = re.compile(r"^[^\S\n]*type\s+(\w+)", re.MULTILINE)
_MODEL_STRING = re.compile(r"\[([^\[\]|]+)(?:\|([^\[\]|]+))?\]\s*")


def read_bif(text: str) -> Draft:
    """A Bayesian network in the Bayesian Interchange Format (0.15 and the dialects of bnlearn,
    pgmpy and JavaBayes)."""
    draft = Draft()
    scopes: list[Block] = []
    own: dict[str, Any] = {}
    for block in blocks(text):
        keyword, *rest = block.header.split(None, 1) or [""]
        if keyword == "variable":
            name = quoted_or_raw("".join(rest))
            _declare(draft, name, block)
            _refuse_decision(name, block)
            draft.mark(name, dict(_properties(block.body)))
        elif keyword.startswith("probability"):
            scopes.append(block._replace(header=block.header.removeprefix("probability")))
        elif keyword == "network":
            own |= dict(_properties(block.body))
        else:
            raise _unknown_block(block, "network, variable and probability")
    if not draft.names:
        raise GraphError("the network cannot be read: it declares no variable; expected BIF text")
    draft.hide(*hidden_of_graph(own, draft.names))
    return _with_scopes(draft, scopes)


def read_net(text: str) -> Draft:
    """A Bayesian network in Hugin's NET format."""
    draft = Draft()
    scopes: list[Block] = []
    own: dict[str, Any] = {}
    for block in blocks(text, percent=True):
        *kinds, name = block.header.split() or [""]
        if block.header.startswith("potential"):
            scopes.append(block._replace(header=block.header.removeprefix("potential")))
        elif kinds in (["node"], ["discrete", "node"], ["continuous", "node"]):
            _declare(draft, name, block)
            draft.mark(name, {key: value.strip('"') for key, value in _net_fields(block.body)})
        elif [*kinds, name] == ["net"]:
            own |= {key: value.strip('"') for key, value in _net_fields(block.body)}
        else:
            raise _unknown_block(
                block, "net, node and potential (no decisions, utilities, classes)"
            )
    if not draft.names:
        raise GraphError("the network cannot be read: it declares no node; expected NET text")
    draft.hide(*hidden_of_graph(own, draft.names))
    return _with_scopes(draft, scopes)


def read_bnlearn(text: str) -> Draft:
    """A model string of the R package bnlearn, such as ``[A][B|A][C|A:B]``."""
    draft = Draft()
    edges: list[tuple[str, str]] = []
    text = text.strip().strip("\"'")
    position = 0
    while position < len(text):
        match = _MODEL_STRING.match(text, position)
        if match is None:
            raise GraphError(
                f"the model string cannot be read: {shortened(text[position : position + 50])!r} "
                f"(character {position + 1}) is no [variable|parent:parent]"
            )
        name = match[1].strip()
        if name in draft.names:
            raise GraphError(
                f"the model string cannot be read: {shortened(name)!r} stands there twice; give "
                "all its parents at once, as in [C|A:B]"
            )
        draft.name(name)
        edges += [(parent.strip(), name) for parent in (match[2] or "").split(":") if match[2]]
        position = match.end()
    draft.complete = True
    for name in draft.names:
        draft.mark(name, {})
    for parent, child in edges:
        draft.edge(parent, "->", child)
    return draft


def _refuse_decision(name: str, block: Block) -> None:
    kind = _TYPE.search(block.body)
    if kind and kind[1] not in ("discrete", "continuous"):
        raise GraphError(
            f"the network cannot be read: {shortened(name)!r} in line {block.line} is of the type "
            f"{shortened(kind[1])}, and only discrete and continuous nodes are variables"
        )


def _declare(draft: Draft, name: str, block: Block) -> None:
    if not name or name in draft.names:
        wrong = "a variable has no name"
        if name:
            wrong = f"{shortened(name)!r} is declared twice"
        raise GraphError(f"the network cannot be read: {wrong} (line {block.line})")
    draft.name(name)


def _with_scopes(draft: Draft, scopes: list[Block]) -> Draft:
    draft.complete = True
    seen: set[str] = set()
    for block in scopes:
        inside = block.header.strip()
        if not (inside.startswith("(") and inside.endswith(")")):
            raise GraphError(
                f"the network cannot be read: {shortened(inside)!r} in line {block.line} is no "
                "(child | parents) in parentheses"
            )
        children, parents = scope(inside[1:-1], draft.names)
        if len(children) != 1:
            raise GraphError(
                f"the network cannot be read: {shortened(inside)!r} in line {block.line} has "
                f"{len(children)} variables before the bar; it has to be one"
            )
        check_known([*children, *parents], draft.names, "the network cannot be read")
        once(children[0], seen)
        for parent in parents:
            draft.edge(parent, "->", children[0])
    return draft


def _properties(body: str) -> Iterator[tuple[str, object]]:
    """What the statements of a block say, with and without the word ``property``."""
    for written in _STATEMENT.findall(_WHOLE_TYPE.sub(" ", body)):
        statement = written.strip()
        match = _PROPERTY.match(statement)
        if match:
            statement = match[1].strip().strip('"')
        if statement:
            yield pair(statement)


def _net_fields(body: str) -> list[tuple[str, str]]:
    return [(key, value.strip()) for key, value in _NET_FIELD.findall(body)]


def _unknown_block(block: Block, known: str) -> GraphError:
    return GraphError(
        f"the network cannot be read: {shortened(block.header)!r} in line {block.line} starts no "
        f"block that is known; there are {known}"
    )
