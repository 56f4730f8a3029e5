"""GML and GraphML, parsed by networkx."""

from __future__ import annotations

from typing import Any

from causalplug.errors import GraphError
from causalplug.graphs.readers.draft import Draft
from causalplug.graphs.readers.graphml import prepared_graphml
from causalplug.graphs.readers.objects import networkx_draft
from causalplug.wording import shortened

__all__ = ["read_gml", "read_graphml"]

_DEEPEST = 50


def read_gml(text: str) -> Draft:
    """A graph in GML, as networkx and igraph write it."""
    import networkx as nx

    if _depth(text) > _DEEPEST:
        raise GraphError(
            f"the graph cannot be read: its GML has more than {_DEEPEST} lists inside each other"
        )
    graph = _parsed(lambda: nx.parse_gml(text, label="id"), "gml")
    _refuse_groups(graph)
    return networkx_draft(graph)


def read_graphml(text: str) -> Draft:
    """A graph in GraphML, as networkx, igraph and yEd write it."""
    import networkx as nx

    prepared = prepared_graphml(text)
    return networkx_draft(_parsed(lambda: nx.parse_graphml(prepared), "graphml"))


def _refuse_groups(graph: Any) -> None:
    """Refuse yEd's groups, which are no variables."""
    for vertex, attributes in graph.nodes(data=True):
        if str(attributes.get("isGroup", 0)) not in ("0", "false"):
            raise GraphError(
                f"the graph cannot be read: its vertex {shortened(vertex)!r} is a group of others "
                "(isGroup); ungroup the vertices and save the graph again"
            )


def _parsed(parse: Any, format: str) -> Any:
    try:
        return parse()
    except Exception as error:  # whatever networkx's parser raises on a malformed text
        raise GraphError(
            f"the graph cannot be read: it is not in the {format} format ({shortened(error)})"
        ) from error


def _depth(text: str) -> int:
    depth = deepest = 0
    for sign in text:
        depth += (sign == "[") - (sign == "]")
        deepest = max(deepest, depth)
    return deepest
