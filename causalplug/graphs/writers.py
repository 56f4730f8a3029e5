"""Writing causal graphs in the formats of other tools."""

from __future__ import annotations

import re
from typing import Any

from causalplug.plots.shapes import GraphShape

__all__ = ["to_dagitty", "to_dot", "to_networkx"]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_RESERVED = {"graph", "digraph", "subgraph", "node", "edge", "strict", "dag", "pdag", "mag", "pag"}


def to_dot(graph: GraphShape) -> str:
    """Graphviz text: confounders are dashed edges with two heads."""
    lines = ["digraph {", *(f"  {_quoted(name)};" for name in graph.variables)]
    lines += [f"  {_quoted(a)} -> {_quoted(b)};" for a, b in graph.directed]
    dashed = "[dir=both, style=dashed, constraint=false]"
    lines += [f"  {_quoted(a)} -> {_quoted(b)} {dashed};" for a, b in graph.bidirected]
    return "\n".join([*lines, "}", ""])


def to_dagitty(graph: GraphShape) -> str:
    """The text that dagitty.net and the R package dagitty read."""
    lines = ["dag {", *map(_quoted, graph.variables)]
    lines += [f"{_quoted(a)} -> {_quoted(b)}" for a, b in graph.directed]
    lines += [f"{_quoted(a)} <-> {_quoted(b)}" for a, b in graph.bidirected]
    return "\n".join([*lines, "}", ""])


def to_networkx(graph: GraphShape) -> Any:
    """A networkx MultiDiGraph; a confounder is a pair of edges, one each way, with
    ``bidirected=True``."""
    import networkx as nx

    written = nx.MultiDiGraph()
    written.add_nodes_from(graph.variables)
    written.add_edges_from(graph.directed, bidirected=False)
    for left, right in graph.bidirected:
        written.add_edge(left, right, bidirected=True)
        written.add_edge(right, left, bidirected=True)
    return written


def _quoted(name: str) -> str:
    if _PLAIN.fullmatch(name) and name.casefold() not in _RESERVED:
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
