"""What networkx's reader of GraphML would drop: yEd's arrows and lines, descriptions, graphs inside
graphs. The first become attributes, the others are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from causalplug.errors import GraphError
from causalplug.graphs.readers.mark_texts import is_suspect_text
from causalplug.graphs.readers.xml_networks import parse_xml, without_namespace
from causalplug.wording import shortened

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["prepared_graphml"]


def prepared_graphml(text: str) -> str:
    """The text with yEd's arrows and lines as attributes of edges and vertices.

    Raises:
        GraphError: Malformed XML, several graphs or one inside another, an edge to a vertex that
            is not declared, a description that may say that something is hidden.
    """
    root = parse_xml(text)
    graphs = [element for element in root.iter() if without_namespace(element) == "graph"]
    if len(graphs) > 1:
        raise GraphError(
            f"the graph cannot be read: its GraphML holds {len(graphs)} graphs, beside or inside "
            "each other (yEd's groups); keep one graph with all vertices"
        )
    _refuse_descriptions(root)
    changed = False
    for graph in graphs:
        _refuse_loose_ends(graph)
        for element in graph:
            for key, value in list(_drawn(element)):
                _write(root, element, key, value)
                changed = True
    if not changed:
        return text
    return ElementTree.tostring(root, encoding="unicode")


def _refuse_descriptions(root: Element) -> None:
    for element in root.iter():
        if without_namespace(element) == "desc" and is_suspect_text(element.text or ""):
            raise GraphError(
                f"the graph cannot be read: the description {shortened(element.text)!r} may say "
                "that a variable is hidden or selected on; write an attribute observed, yes or no"
            )


def _refuse_loose_ends(graph: Element) -> None:
    names = {element.get("id") for element in graph if without_namespace(element) == "node"}
    for element in graph:
        if without_namespace(element) != "edge":
            continue
        for end in (element.get("source"), element.get("target")):
            if end not in names:
                raise GraphError(
                    f"the graph cannot be read: an edge ends at {shortened(end)!r}, which is no "
                    "node of the GraphML"
                )


def _drawn(element: Element) -> Iterator[tuple[str, str]]:
    """What yEd draws for a vertex or an edge and networkx does not read."""
    labels = 0
    for inner in element.iter():
        kind = without_namespace(inner)
        if kind == "Arrows":
            yield "sourcearrow", inner.get("source", "none")
            yield "targetarrow", inner.get("target", "none")
        elif kind in ("LineStyle", "BorderStyle") and inner.get("type", "line") != "line":
            yield "linestyle", inner.get("type", "line")
        elif kind == "NodeLabel" and (inner.text or "").strip():
            labels += 1
    if labels > 1:
        raise GraphError(
            f"the graph cannot be read: the node {shortened(element.get('id'))!r} has {labels} "
            "labels; keep the one that is its name"
        )


def _write(root: Element, element: Element, key: str, value: str) -> None:
    """Give an element one attribute more, and declare it if it is new."""
    space = root.tag.removesuffix("graphml")
    kind = without_namespace(element)
    name = f"drawn-{kind}-{key}"
    if root[0].get("id") != name and all(declared.get("id") != name for declared in root):
        declared = ElementTree.Element(
            space + "key", {"id": name, "for": kind, "attr.name": key, "attr.type": "string"}
        )
        root.insert(0, declared)
    ElementTree.SubElement(element, space + "data", {"key": name}).text = value
