"""Graphs in JSON: our own lists of edges, and the nodes and links of networkx, D3, Cytoscape and
caugi."""

from __future__ import annotations

import json
from collections import Counter

from causalplug.errors import GraphError
from causalplug.graphs.readers.draft import Draft
from causalplug.graphs.readers.edge_marks import drawn_arrow, edge_arrow
from causalplug.graphs.readers.mark_texts import mark_text
from causalplug.graphs.readers.marks import (
    hidden_of_graph,
    lists_variables,
    normal,
)
from causalplug.selection import all_of_kind, drop, map_values
from causalplug.values import Json, JsonValue, Named
from causalplug.wording import check_known, listed, shortened

__all__ = ["parse_json", "read_json"]

_ENDS = (("source", "target"), ("from", "to"))
_NO_MARKS = frozenset(["source", "target", "from", "to", "id", "key"])
_PARTS = frozenset(["nodes", "links", "edges", "graph", "adjacency", "elements", "data"])
_OF_SCREEN = frozenset(
    ["data", "group", "position", "selected", "selectable", "locked", "grabbable"]
)
"""What Cytoscape says of an element beside its data, about the screen alone."""
_OTHER_CLASSES = frozenset(["mag", "pag", "pdag", "cpdag", "ug", "undirected"])


def read_json(text: str) -> Draft:
    """A JSON object with ``variables``, ``directed`` and ``bidirected``, or with ``nodes`` and
    ``links`` (or ``edges``).

    Nodes are texts or objects with ``id`` (or ``name``, where there is no ``id``). The ends of a
    link are ids. Where the ids are texts, numbers are positions, as networkx 1 and D3 3 write them.

    Raises:
        GraphError: Malformed JSON, an edge with one end or to no node, an undirected graph.
    """
    data = parse_json(text)
    if not isinstance(data, dict):
        raise GraphError(
            "the graph cannot be read: the JSON text is no object with variables or nodes"
        )
    elements = data.get("elements")
    if isinstance(elements, list):
        elements = _sorted_elements(elements)
    if isinstance(elements, dict) and "nodes" in elements:
        return _node_link(drop(data, ("elements",)) | map_values(_unwrapped, elements))
    if "nodes" in data:
        return _node_link(data)
    return _lists(data)


def parse_json(text: str) -> JsonValue:
    """The value of a JSON text.

    Raises:
        GraphError: It is malformed, too deep, has a key twice or a number of thousands of digits.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise GraphError("the graph cannot be read: its JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise GraphError(
            f"the graph cannot be read: it is no JSON ({error.msg}, line {error.lineno}, column "
            f"{error.colno})"
        ) from error
    except ValueError as error:
        if isinstance(error, GraphError):
            raise
        raise GraphError(
            "the graph cannot be read: a number in its JSON has too many digits"
        ) from error


def _once(pairs: list[tuple[str, JsonValue]]) -> Json:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise GraphError(
            f"the graph cannot be read: the key {shortened(twice)!r} stands twice in one JSON "
            "object; keep one"
        )
    return found


def _lists(data: Named) -> Draft:
    unknown = sorted(set(data) - {"variables", "directed", "bidirected"})
    if unknown or "variables" not in data:
        wrong = "no key 'variables'"
        if unknown:
            wrong = f"unknown keys {listed(unknown)}"
        raise GraphError(
            f"the graph cannot be read: {wrong}; expected variables, directed and bidirected, or "
            "nodes and links"
        )
    draft = Draft(complete=True)
    for name in _list(data, "variables"):
        if not isinstance(name, str) or not name or name in draft.names:
            raise GraphError(
                f"the graph cannot be read: the variable {shortened(name)!r} is no text, or stands "
                "there twice"
            )
        draft.name(name)
    for key, arrow in (("directed", "->"), ("bidirected", "<->")):
        for edge in _list(data, key):
            if not isinstance(edge, list) or len(edge) != 2:
                raise _no_edge(edge)
            draft.edge(str(edge[0]), arrow, str(edge[1]))
    return draft


def _node_link(data: Named) -> Draft:
    if data.get("directed", True) is False:
        raise GraphError(
            'the graph cannot be read: the JSON says "directed": false; write the directions, and '
            '"type": "bidirected" on the edges that stand for hidden common causes'
        )
    _refuse_other_parts(data)
    graph = data.get("graph")
    if isinstance(graph, dict):
        _refuse_other_parts(graph)
    draft = Draft()
    attributes = _nodes(draft, _list(data, "nodes"))
    draft.complete = True
    numbers = all_of_kind(attributes, int)
    places: list[str] | None = list(map(str, attributes))
    if numbers:
        places = None
    for edge in [*_list(data, "links"), *_list(data, "edges"), *_adjacent(data, attributes)]:
        left, right, marks = _link(edge)
        arrow = edge_arrow(marks, drawn_arrow(marks))
        draft.edge(_end(left, places, draft), arrow, _end(right, places, draft))
    draft.take_written_names({str(node): marks for node, marks in attributes.items()})
    draft.hide(*hidden_of_graph(_own(data), draft.names))
    return draft


def _own(data: Named) -> Json:
    """What the object says of the graph as a whole."""
    own = drop(data, _PARTS)
    for key in ("graph", "data"):
        inner = data.get(key)
        if isinstance(inner, dict):
            own |= inner
        elif isinstance(inner, list):  # networkx 1 and Cytoscape write pairs
            own |= {str(p[0]): p[1] for p in inner if isinstance(p, list) and len(p) == 2}
    return own


def _refuse_other_parts(data: Named) -> None:
    """Refuse lists beside the nodes and links, which may be edges of another kind, and classes of
    graphs whose arrows say something else."""
    if data.get("links") and data.get("edges"):
        raise GraphError(
            'the graph cannot be read: the JSON has "links" and "edges"; put all edges into one'
        )
    for key, value in data.items():
        plain = normal(key)
        if plain in ("class", "graphclass", "type", "kind") and mark_text(value) in _OTHER_CLASSES:
            raise GraphError(
                f"the graph cannot be read: the JSON says {key}={shortened(value)!r}, and only the "
                "edges of a DAG or an ADMG are direct causes and hidden common causes"
            )
        if key in _PARTS or lists_variables(plain) or not (value and isinstance(value, list)):
            continue
        raise GraphError(
            f"the graph cannot be read: {shortened(key)!r} is a list that is not known beside "
            "nodes and links; put all edges into links, those that stand for hidden common causes "
            'with "type": "bidirected"'
        )


def _adjacent(data: Named, nodes: Named) -> list[JsonValue]:
    """The links in networkx's ``adjacency``: for every node the list of those it points to."""
    rows = _list(data, "adjacency")
    if rows and len(rows) != len(nodes):
        raise GraphError(
            f'the graph cannot be read: "adjacency" has {len(rows)} entries and there are '
            f"{len(nodes)} nodes"
        )
    found = []
    for source, targets in zip(nodes, rows, strict=False):
        if not isinstance(targets, list) or not all(isinstance(t, dict) for t in targets):
            raise _no_edge(targets)
        for target in targets:
            marks = drop(target, ("id", "key"))
            found.append({"source": source, "target": target.get("id"), **marks})
    return found


def _nodes(draft: Draft, nodes: list[JsonValue]) -> dict[JsonValue, Named]:
    """The attributes of every node by its id; the names are declared."""
    found: dict[JsonValue, Named] = {}
    for node in nodes:
        if isinstance(node, dict):
            marks = node
        else:
            marks = {"id": node}
        key = marks.get("id", marks.get("name"))
        if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
            raise GraphError(
                f"the graph cannot be read: it is no node-link JSON; the node {shortened(node)} "
                'has no "id" that is a text or a whole number'
            )
        if str(key) in draft.names:
            raise GraphError(
                f"the graph cannot be read: two vertices are written {shortened(key)!r}; rename "
                "one of them"
            )
        draft.name(str(key))
        draft.mark(str(key), drop(marks, ("id",)))
        found[key] = marks
    return found


def _link(edge: object) -> tuple[JsonValue, JsonValue, Named]:
    if isinstance(edge, list) and len(edge) == 2:
        return edge[0], edge[1], {}
    if isinstance(edge, dict):
        pairs = [(edge.get(left), edge.get(right)) for left, right in _ENDS]
        given = [pair for pair in pairs if None not in pair]
        if given and given.count(given[0]) == len(given):
            marks = drop(edge, _NO_MARKS)
            return *given[0], marks
    raise _no_edge(edge)


def _end(end: object, places: list[str] | None, draft: Draft) -> str:
    """The vertex that one end of a link stands for; a number is a position where ids are
    texts."""
    if isinstance(end, bool) or not isinstance(end, str | int):
        raise _no_edge(end)
    if isinstance(end, int) and places is not None:
        return _at(end, places, draft)
    check_known([str(end)], draft.names, "the link cannot be read")
    return str(end)


def _at(position: int, places: list[str], draft: Draft) -> str:
    if not 0 <= position < len(places):
        raise GraphError(
            f"the graph cannot be read: a link ends at the position {position}, and there are "
            f"{len(places)} nodes, counted from 0"
        )
    found = places[position]
    if str(position) in draft.names and str(position) != found:
        raise GraphError(
            f"the graph cannot be read: a link ends at {position}, which is the position of "
            f"{shortened(found)!r} and the id of another node; write the ends as texts"
        )
    return found


def _list(data: Named, key: str) -> list[JsonValue]:
    value = data.get(key, [])
    if not isinstance(value, list):
        raise GraphError(
            f'the graph cannot be read: "{key}" is {type(value).__name__} in the JSON text, and '
            "has to be a list"
        )
    return value


def _sorted_elements(elements: list[JsonValue]) -> Json:
    """Cytoscape's list of elements, nodes and edges apart."""
    found: dict[str, list[JsonValue]] = {"nodes": [], "edges": []}
    for entry in elements:
        inner = _element(entry)
        kind = "nodes"
        if isinstance(inner, dict) and ("source" in inner or "target" in inner):
            kind = "edges"
        found[kind].append(inner)
    return dict(found)


def _unwrapped(value: object) -> JsonValue:
    """Cytoscape's elements: their data, with what is said beside it (``classes``)."""
    if not isinstance(value, list):
        return value
    return [_element(entry) for entry in value]


def _element(entry: JsonValue) -> JsonValue:
    if not isinstance(entry, dict) or not isinstance(entry.get("data"), dict):
        return entry
    return drop(entry, _OF_SCREEN) | entry["data"]


def _no_edge(edge: object) -> GraphError:
    return GraphError(
        f"the graph cannot be read: it is no node-link JSON; {shortened(edge)} is no edge with "
        'two ends, such as ["X", "Y"] or {"source": "X", "target": "Y"}'
    )
