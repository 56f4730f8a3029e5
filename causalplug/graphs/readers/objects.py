"""Graphs of other libraries, told apart by what they can do, so that none of these libraries is
needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from causalplug.errors import GraphError
from causalplug.graphs.readers.draft import Draft
from causalplug.graphs.readers.edge_marks import drawn_arrow, edge_arrow
from causalplug.graphs.readers.marks import hidden_of_graph
from causalplug.selection import drop
from causalplug.wording import shortened

__all__ = ["networkx_draft", "object_draft"]

_ENDS = {
    ("TAIL", "ARROW"): "->",
    ("ARROW", "TAIL"): "<-",
    ("ARROW", "ARROW"): "<->",
    ("TAIL", "TAIL"): "--",
}


def object_draft(graph: object) -> Draft:
    """What an object of another library says.

    Understood are networkx and pgmpy graphs, y0's NxMixedGraph, the ADMGs of ananke and
    pywhy-graphs, causal-learn's graphs, and dowhy's CausalGraph and CausalModel.

    Raises:
        GraphError: The object is none of these, or has undirected or circle edges.
    """
    for names, read in _KNOWN:
        if all(hasattr(graph, name) for name in names):
            return read(graph)
    for inner in ("_graph", "G", "graph"):
        if hasattr(graph, inner):
            return object_draft(getattr(graph, inner))
    raise GraphError(
        f"the graph cannot be read: an object of {type(graph).__name__} is not known; pass a "
        "networkx DiGraph, or CausalGraph.from_edges(directed, bidirected)"
    )


def networkx_draft(graph: Any) -> Draft:
    """What a networkx DiGraph or MultiDiGraph (pgmpy's included) says.

    An edge with ``bidirected=True``, ``type="bidirected"`` or ``dir="both"`` is bidirected, in
    whichever of its two directions it is given. Vertices with ``observed="no"``, ``latent=True`` or
    the like are hidden, and those in the graph's own ``latents``. Names that are not strings are
    written as strings; where all are numbers, the attribute ``name`` or ``label`` names them.

    Raises:
        GraphError: An undirected graph, an undirected or circle edge, selection nodes, marks that
            are not understood, or two vertices whose names are written alike.
    """
    if not graph.is_directed():
        raise GraphError(
            "the graph cannot be read: it is undirected; pass a DiGraph or MultiDiGraph, with "
            "bidirected=True on the edges that stand for hidden common causes"
        )
    draft = Draft()
    vertices: dict[str, dict[Any, object]] = {}
    vertex_default = graph.graph.get("node_default", {})
    edge_default = graph.graph.get("edge_default", {})
    for vertex, written in graph.nodes(data=True):
        name, attributes = str(vertex), vertex_default | written
        if name in draft.names:
            raise GraphError(
                f"the graph cannot be read: two vertices are written {shortened(name)!r}; rename "
                "one of them"
            )
        draft.name(name)
        draft.mark(name, attributes)
        vertices[name] = attributes
    for hidden in getattr(graph, "latents", ()):
        if str(hidden) in draft.names:
            draft.hide(str(hidden))
    _refuse_undirected(graph)
    for left, right, attributes in graph.edges(data=True):
        marks = edge_default | attributes
        draft.edge(str(left), edge_arrow(marks, drawn_arrow(marks)), str(right))
    draft.take_written_names(vertices)
    draft.hide(*hidden_of_graph(_own(graph), draft.names))
    return draft


def _own(graph: Any) -> dict[Any, Any]:
    """The attributes of a whole graph, without the defaults of its vertices and edges."""
    return drop(graph.graph, ("node_default", "edge_default"))


def _refuse_undirected(graph: object) -> None:
    """Refuse a PDAG of pgmpy, which keeps an undirected edge as one edge each way."""
    undirected = getattr(graph, "undirected_edges", ())
    if callable(undirected):
        return
    for left, right in undirected:
        raise GraphError(
            f"the graph cannot be read: the edge between {shortened(left)!r} and "
            f"{shortened(right)!r} is undirected, as in a CPDAG; orient the edge, or write <-> for "
            "a hidden common cause"
        )


def _y0(graph: Any) -> Draft:
    draft = Draft()
    draft.name(*map(_written, graph.directed.nodes), *map(_written, graph.undirected.nodes))
    for left, right in graph.directed.edges:
        draft.edge(_written(left), "->", _written(right))
    for left, right in graph.undirected.edges:
        draft.edge(_written(left), "<->", _written(right))
    return draft


def _ananke(graph: Any) -> Draft:
    draft = Draft()
    draft.name(*map(str, graph.vertices))
    for arrow, edges in (
        ("->", graph.di_edges),
        ("<->", graph.bi_edges),
        ("--", getattr(graph, "ud_edges", ())),
    ):
        for left, right in sorted(edges):
            draft.edge(str(left), arrow, str(right))
    return draft


def _pywhy(graph: Any) -> Draft:
    draft = Draft()
    draft.name(*map(str, graph.nodes))
    arrows = {"directed": "->", "bidirected": "<->", "undirected": "--", "circle": "o-o"}
    for kind, part in graph.get_graphs().items():
        for left, right in part.edges:
            draft.edge(str(left), arrows.get(kind, kind), str(right))
    return draft


def _causal_learn(graph: Any) -> Draft:
    draft = Draft()
    for node in graph.get_nodes():
        draft.name(node.get_name())
        if str(node.get_node_type()).rsplit(".", 1)[-1] == "LATENT":
            draft.hide(node.get_name())
    for edge in graph.get_graph_edges():
        left, right = (
            str(end).rsplit(".", 1)[-1] for end in (edge.get_endpoint1(), edge.get_endpoint2())
        )
        draft.edge(
            edge.get_node1().get_name(),
            _ENDS.get((left, right), "o-o"),
            edge.get_node2().get_name(),
        )
    return draft


def _written(variable: object) -> str:
    return str(getattr(variable, "name", variable))


_KNOWN: tuple[tuple[tuple[str, ...], Callable[[Any], Draft]], ...] = (
    (("di_edges", "bi_edges"), _ananke),
    (("get_graph_edges",), _causal_learn),
    (("get_graphs", "directed_edge_name"), _pywhy),
    (("directed", "undirected"), _y0),
    (("adj", "is_directed"), networkx_draft),
)
