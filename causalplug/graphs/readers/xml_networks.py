"""The structure of Bayesian networks in XML: XMLBIF and GeNIe's XDSL. Tables of probabilities are
not read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from causalplug.errors import GraphError
from causalplug.graphs.readers.declared import once, pair
from causalplug.graphs.readers.draft import Draft
from causalplug.graphs.readers.marks import hidden_of_graph
from causalplug.selection import drop
from causalplug.wording import shortened

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["parse_xml", "read_xdsl", "read_xmlbif", "without_namespace"]

_XMLBIF_ELEMENTS = frozenset(["NAME", "OUTCOME", "VALUE"])
_XDSL_ELEMENTS = frozenset(["state", "parents", "probabilities", "property", "definition"])
_XDSL_NODES = {"cpt", "noisymax", "noisyadder", "deterministic", "equation"}


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
        once(name, declared)
        draft.name(name)
        draft.mark(name, _xml_marks(variable))
    if not draft.names:
        raise GraphError("the network cannot be read: it declares no variable; expected XMLBIF")
    draft.complete = True
    draft.hide(*hidden_of_graph(_xml_properties(root.findall("NETWORK/PROPERTY")), draft.names))
    defined: set[str] = set()
    for definition in (*root.iter("DEFINITION"), *root.iter("PROBABILITY")):
        child = _inner(definition, "FOR")
        once(child, defined)
        for parent in definition.iter("GIVEN"):
            draft.edge((parent.text or "").strip(), "->", child)
    return draft


def read_xdsl(text: str) -> Draft:
    """A Bayesian network of GeNIe and SMILE."""
    root = _plain_xml(text)
    notes = {str(e.get("id")): e for e in root.iterfind(".//genie//node")}
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
        once(name, declared)
        draft.name(name)
        draft.mark(name, dict(node.attrib) | _xdsl_marks(node) | _xdsl_notes(notes.get(name)))
        above = node.findtext("parents") or ""
        parents += [(parent, name) for parent in above.split()]
    if not draft.names:
        raise GraphError("the network cannot be read: it has no node; expected XDSL")
    draft.complete = True
    for parent, child in parents:
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
    return dict(map(pair, texts))


def _xml_marks(variable: Element) -> dict[str, object]:
    """What XMLBIF says of a variable: attributes, properties, and elements that it does not
    know."""
    found: dict[str, object] = dict(drop(variable.attrib, ("TYPE",)))
    for element in variable:
        tag = str(element.tag).upper()
        if tag == "PROPERTY":
            found |= _xml_properties([element])
        elif tag not in _XMLBIF_ELEMENTS:
            found[tag] = (element.text or "").strip() or True
        found |= element.attrib
    return found


def _xdsl_marks(node: Element) -> dict[str, object]:
    """The properties of a node, and elements that SMILE does not know."""
    found: dict[str, object] = {}
    for element in node.iter():
        if element.tag == "property":
            found[str(element.get("id"))] = element.text
    for element in node:
        if not len(element) and element.tag not in _XDSL_ELEMENTS:
            found[str(element.tag)] = (element.text or "").strip() or True
    return found


def _xdsl_notes(note: Element | None) -> dict[str, object]:
    """What GeNIe shows of a node: its name and a comment."""
    if note is None:
        return {}
    return {"name": note.findtext("name"), "comment": note.findtext("comment")}


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
