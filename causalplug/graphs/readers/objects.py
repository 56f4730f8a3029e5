"""Graphs of other libraries, told apart by what they can do, so that none of these libraries is
needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from causalplug.errors import GraphError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.readers.draft import Draft, is_hidden, is_yes

__all__ = ["from_networkx", "from_object"]

_ENDS = {
    ("TAIL", "ARROW"): "->",
    ("ARROW", "TAIL"): "<-",
    ("ARROW", "ARROW"): "<->",
    ("TAIL", "TAIL"): "--",
}


def from_object(graph: Any, latents: str | Iterable[str] = ()) -> CausalGraph:
    """The causal graph that an object of another library stands for.

    Understood are networkx and pgmpy graphs, y0's NxMixedGraph, the ADMGs of ananke and
    pywhy-graphs, causal-learn's graphs, and dowhy's CausalGraph and CausalModel. ``latents`` are
    projected out besides those that are marked hidden.

    Raises:
        GraphError: the object is none of these, or has undirected or circle edges.
    """
    if isinstance(graph, CausalGraph):
        hidden = graph.positions(latents)
        return (
            graph.latent_projection(v for i, v in enumerate(graph.variables) if i not in hidden)
            if hidden
            else graph
        )
    if hasattr(graph, "di_edges") and hasattr(graph, "bi_edges"):
        return _ananke(graph).build(latents)
    if hasattr(graph, "get_graph_edges"):
        return _causal_learn(graph).build(latents)
    if hasattr(graph, "get_graphs") and hasattr(graph, "directed_edge_name"):
        return _pywhy(graph).build(latents)
    if hasattr(graph, "directed") and hasattr(graph, "undirected"):
        return _y0(graph).build(latents)
    if hasattr(graph, "adj") and hasattr(graph, "is_directed"):
        return _networkx(graph).build(latents)
    for inner in ("_graph", "G", "graph"):
        if hasattr(graph, inner):
            return from_object(getattr(graph, inner), latents)
    raise GraphError(
        f"the graph cannot be read: an object of {type(graph).__name__} is not known; pass a "
        "networkx DiGraph, or CausalGraph.from_edges(directed, bidirected)"
    )


def from_networkx(graph: Any, latents: str | Iterable[str] = ()) -> CausalGraph:
    """The causal graph in a networkx DiGraph or MultiDiGraph (pgmpy's included).

    An edge with ``bidirected=True``, ``type="bidirected"`` or ``dir="both"`` is bidirected, in
    whichever of its two directions it is given; vertices with ``observed="no"``, ``latent=True`` or
    ``hidden=True``, and those in the graph's own ``latents``, are projected out. Names that are not
    strings are written as strings.

    Raises:
        GraphError: an undirected graph, an undirected or circle edge, or two vertices whose names
            are written alike.
    """
    return from_object(
        graph, (latents,) if isinstance(latents, str) else [str(name) for name in latents]
    )


def _networkx(graph: Any) -> Draft:
    if not graph.is_directed():
        raise GraphError(
            "the graph cannot be read: it is undirected; pass a DiGraph or MultiDiGraph, with "
            "bidirected=True on the edges that stand for hidden common causes"
        )
    draft = Draft()
    for vertex, attributes in graph.nodes(data=True):
        name = str(vertex)
        if name in draft.names:
            raise GraphError(
                f"the graph cannot be read: two vertices are written {name!r}; rename one of them"
            )
        draft.name(name)
        if is_hidden(attributes):
            draft.hidden.add(name)
    draft.hidden.update(
        str(name) for name in getattr(graph, "latents", ()) if str(name) in draft.names
    )
    for left, right, attributes in graph.edges(data=True):
        draft.edge(str(left), _networkx_arrow(attributes), str(right))
    return draft


def _networkx_arrow(attributes: dict[str, Any]) -> str:
    kind = str(attributes.get("type", attributes.get("edge_type", ""))).casefold()
    direction = str(attributes.get("dir", "")).strip('"').casefold()
    if (
        is_yes(attributes.get("bidirected", False))
        or kind in ("bidirected", "<->")
        or direction == "both"
    ):
        return "<->"
    if (
        kind in ("undirected", "--")
        or direction == "none"
        or is_yes(attributes.get("undirected", False))
    ):
        return "--"
    if kind in ("circle", "o->", "o-o"):
        return "o-o"
    return "<-" if direction == "back" else "->"


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
            draft.hidden.add(node.get_name())
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


def _written(variable: Any) -> str:
    return str(getattr(variable, "name", variable))
