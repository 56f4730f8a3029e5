"""The structure of Bayesian networks: BIF, Hugin's NET, XMLBIF, GeNIe's XDSL and bnlearn's model
strings. Tables of probabilities are not read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from causalplug.errors import GraphError
from causalplug.graphs.readers.blocks import Block, blocks, quoted_or_raw, scope
from causalplug.graphs.readers.draft import Draft
from causalplug.graphs.readers.marks import hidden_of_graph
from causalplug.wording import check_known, shortened

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = [
    "parse_xml",
    "read_bif",
    "read_bnlearn",
    "read_net",
    "read_xdsl",
    "read_xmlbif",
    "without_namespace",
]

_PROPERTY = re.compile(r'\bproperty\s+("[^"]*"|[^;\n]+)')
_NET_FIELD = re.compile(r'\b(\w+)\s*=\s*("[^"]*"|[^;"()]*)')
_TYPE = re.compile(r"^\s*type\s+(\w+)", re.MULTILINE)
_MODEL_STRING = re.compile(r"\[([^\[\]|]+)(?:\|([^\[\]|]+))?\]\s*")
_XDSL_NODES = {"cpt", "noisymax", "noisyadder", "deterministic", "equation"}


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


def read_xmlbif(text: str) -> Draft:
    """A Bayesian network in XMLBIF 0.3."""
    root = _plain_xml(text)
    draft = Draft()
    declared: set[str] = set()
    for variable in root.iter("VARIABLE"):
        name = _inner(variable, "NAME")
        kind = variable.get("TYPE", "nature")
        if kind != "nature":
            raise GraphError(
                f"the network cannot be read: {shortened(name)!r} is a {shortened(kind)} node, and "
                "only those of nature are variables; leave it out"
            )
        _once(name, declared)
        draft.name(name)
        draft.mark(name, _xml_properties(variable.iter("PROPERTY")))
    if not draft.names:
        raise GraphError("the network cannot be read: it declares no variable; expected XMLBIF")
    draft.complete = True
    draft.hide(*hidden_of_graph(_xml_properties(root.findall("NETWORK/PROPERTY")), draft.names))
    defined: set[str] = set()
    for definition in (*root.iter("DEFINITION"), *root.iter("PROBABILITY")):
        child = _inner(definition, "FOR")
        _once(child, defined)
        for parent in definition.iter("GIVEN"):
            draft.edge((parent.text or "").strip(), "->", child)
    return draft


def read_xdsl(text: str) -> Draft:
    """A Bayesian network of GeNIe and SMILE."""
    root = _plain_xml(text)
    notes = {str(e.get("id")): e.findtext("name") for e in root.iterfind(".//genie//node")}
    draft = Draft()
    declared: set[str] = set()
    parents: list[tuple[str, str]] = []
    for node in _xdsl_nodes(root):
        name = node.get("id", "")
        if node.tag not in _XDSL_NODES or node.find("dynamic") is not None:
            raise GraphError(
                f"the network cannot be read: {shortened(name)!r} is a node of the kind "
                f"{shortened(node.tag)}; only chance nodes of one time are variables"
            )
        _once(name, declared)
        draft.name(name)
        entries: dict[str, object] = {}
        for e in node.iter("property"):
            entries[str(e.get("id"))] = e.text
        draft.mark(name, dict(node.attrib) | entries | {"name": notes.get(name)})
        above = node.findtext("parents") or ""
        parents += [(parent, name) for parent in above.split()]
    if not draft.names:
        raise GraphError("the network cannot be read: it has no node; expected XDSL")
    draft.complete = True
    for parent, child in parents:
        draft.edge(parent, "->", child)
    return draft


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
    for parent, child in edges:
        draft.edge(parent, "->", child)
    return draft


def parse_xml(text: str) -> Element:
    """The root of an XML text.

    Raises:
        GraphError: Malformed XML, or entities of its own, which may grow without bound.
    """
    from xml.etree import ElementTree

    if "<!ENTITY" in text:
        raise GraphError(
            "the graph cannot be read: its XML declares entities, which may be of any size; write "
            "the names out"
        )
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise GraphError(f"the graph cannot be read: it is no XML ({shortened(error)})") from error


def without_namespace(element: Element) -> str:
    """The tag of an element, without its namespace."""
    return str(element.tag).rpartition("}")[2]


def _plain_xml(text: str) -> Element:
    """The root of an XML text whose tags have lost their namespaces."""
    root = parse_xml(text)
    for element in root.iter():
        element.tag = without_namespace(element)
    return root


def _xml_properties(elements: Iterable[Element]) -> dict[str, object]:
    texts = [str(element.text or "") for element in elements]
    return dict(map(_pair, texts))


def _once(name: str, seen: set[str]) -> None:
    if name in seen:
        raise GraphError(
            f"the network cannot be read: {shortened(name)!r} is declared, or has its parents "
            "listed, twice; keep one"
        )
    seen.add(name)


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
        _once(children[0], seen)
        for parent in parents:
            draft.edge(parent, "->", children[0])
    return draft


def _properties(body: str) -> Iterator[tuple[str, object]]:
    for written in _PROPERTY.findall(body):
        yield _pair(written.strip('"'))


def _pair(text: str) -> tuple[str, object]:
    """``key = value``, ``key value`` or a flag."""
    key, equals, value = text.partition("=")
    if not equals:
        key, _, value = text.strip().partition(" ")
    return key.strip(), value.strip().strip('"') or True


def _net_fields(body: str) -> list[tuple[str, str]]:
    return [(key, value.strip()) for key, value in _NET_FIELD.findall(body)]


def _xdsl_nodes(root: Element) -> Iterator[Element]:
    pending = list(root.findall("nodes"))
    while pending:
        for node in pending.pop():
            if node.tag == "submodel":
                pending.append(node)
            elif node.get("id") is not None:
                yield node


def _inner(element: Element, tag: str) -> str:
    texts = [(inner.text or "").strip() for inner in element.findall(tag)]
    if len(texts) != 1 or not texts[0]:
        raise GraphError(
            f"the network cannot be read: a {element.tag} has {len(texts)} {tag}; it has to be "
            "one, with a text"
        )
    return texts[0]


def _unknown_block(block: Block, known: str) -> GraphError:
    return GraphError(
        f"the network cannot be read: {shortened(block.header)!r} in line {block.line} starts no "
        f"block that is known; there are {known}"
    )
