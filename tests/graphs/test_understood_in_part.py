"""What a reader understands only in part is an error: nothing is dropped without a word."""

from __future__ import annotations

import json

import networkx as nx
import pytest

from causalplug.errors import GraphError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.readers import guess_format

HIDDEN = CausalGraph.parse("X <-> Y")
GRAPHML = (
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns" '
    'xmlns:y="http://www.yworks.com/xml/graphml">{keys}'
    '<graph edgedefault="directed">{body}</graph></graphml>'
)
YED = '<key for="edge" id="d9" yfiles.type="edgegraphics"/>'


def node(name: str, inside: str = "") -> str:
    return f'<node id="{name}">{inside}</node>'


def edge(source: str, target: str, inside: str = "") -> str:
    return f'<edge source="{source}" target="{target}">{inside}</edge>'


def arrows(source: str, target: str, line: str = "line") -> str:
    return (
        f'<data key="d9"><y:PolyLineEdge><y:LineStyle type="{line}"/>'
        f'<y:Arrows source="{source}" target="{target}"/></y:PolyLineEdge></data>'
    )


def yed(inside: str) -> str:
    return GRAPHML.format(keys=YED, body=node("X") + node("Y") + edge("X", "Y", inside))


@pytest.mark.parametrize(
    "vertex",
    [
        "U [ghost]",
        "U [lat]",
        "U [exogenous]",
        "U [unknown]",
        "U [collected=no]",
        "U [available=false]",
        "U [in_data=false]",
        "U [style=dashed]",
        'U [style="filled,dotted"]',
        "U [shape=point]",
        'U [label="genes (latent)"]',
        "latent U",
        "latent {U}",
        "subgraph cluster_latent {U}",
        'subgraph cluster_0 {label="Unobserved"; U}',
        '"Unobserved Confounders" -> X',
        "U [sampled]",
        "U [included=yes]",
    ],
)
def test_marks_of_vertices_that_are_not_understood(vertex: str) -> None:
    with pytest.raises(GraphError, match="hidden or selected"):
        CausalGraph.parse(f"digraph {{ {vertex}\nU -> X; U -> Y }}", "dot")


@pytest.mark.parametrize(
    "marks",
    [
        "style=dashed",
        "style=dotted",
        "label=unobserved",
        "comment=confounded",
        "relation=confounding",
        'label="<->"',
        "class=latent",
        "confounding",
        "endpoint1=arrow",
    ],
)
def test_marks_of_edges_that_are_not_understood(marks: str) -> None:
    with pytest.raises(GraphError, match="of an edge is not understood"):
        CausalGraph.parse(f"digraph {{ X -> Y [{marks}] }}", "dot")


@pytest.mark.parametrize("marks", ["style=dashed, type=directed", "color=red, weight=2"])
def test_a_settled_edge_is_read(marks: str) -> None:
    graph = CausalGraph.parse(f"digraph {{ X -> Y [{marks}] }}", "dot")
    assert graph == CausalGraph.parse("X -> Y")


@pytest.mark.parametrize("statement", ["X -> Y, Z", "X, Z -> Y"])
def test_a_comma_that_would_lose_an_edge_is_refused(statement: str) -> None:
    with pytest.raises(GraphError, match="a comma joins no vertices"):
        CausalGraph.parse(f"digraph {{ {statement} }}", "dot")


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        (yed(arrows("standard", "standard")), "X <-> Y"),
        (yed(arrows("standard", "none")), "Y -> X"),
        (yed(arrows("none", "delta")), "X -> Y"),
        (yed(arrows("none", "none")), "is undirected"),
        (yed(arrows("circle", "standard")), "has a circle"),
        (yed(arrows("none", "standard", "dashed")), "is not understood"),
        (GRAPHML.format(keys="", body=node("X") + edge("X", "Y")), "is no node"),
        (GRAPHML.format(keys="", body=node("X", "<desc>latent</desc>")), "the description"),
        (
            GRAPHML.format(keys="", body=node("X", '<graph edgedefault="directed"/>')),
            "holds 2 graphs",
        ),
    ],
)
def test_what_yed_draws(text: str, edges: str) -> None:
    if "-" in edges:
        assert CausalGraph.parse(text, "graphml") == CausalGraph.parse(edges)
    else:
        with pytest.raises(GraphError, match=edges):
            CausalGraph.parse(text, "graphml")


def test_defaults_of_graphml_hold_for_every_vertex() -> None:
    keys = (
        '<key id="o" for="node" attr.name="observed" attr.type="string"><default>no</default></key>'
    )
    seen = '<data key="o">yes</data>'
    body = node("U") + node("X", seen) + node("Y", seen) + edge("U", "X") + edge("U", "Y")
    assert CausalGraph.parse(GRAPHML.format(keys=keys, body=body), "graphml") == HIDDEN


@pytest.mark.parametrize(
    ("graphics", "edges"),
    [
        ('arrow "both"', "X <-> Y"),
        ('arrow "first"', "Y -> X"),
        ('type "line" arrow "last" fill "#000000"', "X -> Y"),
        ('sourceArrow "standard" targetArrow "standard"', "X <-> Y"),
    ],
)
def test_arrows_in_the_graphics_of_gml(graphics: str, edges: str) -> None:
    text = (
        'graph [ directed 1 node [ id 0 label "X" ] node [ id 1 label "Y" ] '
        f"edge [ source 0 target 1 graphics [ {graphics} ] ] ]"
    )
    assert CausalGraph.parse(text, "gml") == CausalGraph.parse(edges)


NODES = [{"id": "U"}, {"id": "X"}, {"id": "Y"}]
LINKS = [{"source": "U", "target": "X"}, {"source": "U", "target": "Y"}]


@pytest.mark.parametrize(
    "mark",
    [
        {"data": {"latent": True}},
        {"metadata": {"observed": False}},
        {"attributes": {"observed": "no"}},
        {"classes": "latent"},
        {"obs": 0},
    ],
)
def test_marks_inside_marks(mark: dict[str, object]) -> None:
    nodes = [NODES[0] | mark, *NODES[1:]]
    assert CausalGraph.parse(json.dumps({"nodes": nodes, "links": LINKS}), "json") == HIDDEN
    graph = nx.DiGraph([("U", "X"), ("U", "Y")])
    graph.nodes["U"].update(mark)
    assert CausalGraph.from_networkx(graph) == HIDDEN


def test_classes_beside_the_data_of_cytoscape() -> None:
    nodes = [{"data": entry, "selected": True} for entry in NODES]
    nodes[0]["classes"] = "latent"
    elements = {"nodes": nodes, "edges": [{"data": link} for link in LINKS]}
    assert CausalGraph.parse(json.dumps({"elements": elements}), "json") == HIDDEN


def test_networkx_adjacency_is_read() -> None:
    graph = nx.MultiDiGraph([("A", "B"), ("B", "C")])
    graph.add_edge("A", "B", bidirected=True)
    text = json.dumps(nx.adjacency_data(graph))
    assert CausalGraph.parse(text, "json") == CausalGraph.parse("A -> B -> C; A <-> B")


@pytest.mark.parametrize(
    "more",
    [
        {"arrows": LINKS},
        {"directed_edges": [["X", "Y"]]},
        {"bidirected": [["X", "Y"]]},
        {"graph_class": "MAG"},
        {"adjacency": [["X"]]},
        {"links": [{"source": "U", "target": "X", "from": "X", "to": "U"}]},
        {"nodes": [{"id": "U", "observed": None}]},
    ],
)
def test_json_with_more_than_is_known(more: dict[str, object]) -> None:
    with pytest.raises(GraphError, match="cannot be read"):
        CausalGraph.parse(json.dumps({"nodes": NODES} | more), "json")


BIF = "network n { property latents = U ; }\n" + "".join(
    f"variable {name} {{ type discrete [ 2 ] {{ y, n }}; }}\n" for name in "UXY"
)
XMLBIF = "<BIF><NETWORK>{}</NETWORK></BIF>"


def xml_variables(names: str) -> str:
    return "".join(f"<VARIABLE><NAME>{name}</NAME></VARIABLE>" for name in names)


def given(tag: str) -> str:
    return "".join(f"<{tag}><FOR>{c}</FOR><GIVEN>U</GIVEN></{tag}>" for c in "XY")


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("bif", BIF + "probability ( X | U ) { }\nprobability ( Y | U ) { }"),
        (
            "xmlbif",
            XMLBIF.format(
                "<PROPERTY>latent = U</PROPERTY>" + xml_variables("UXY") + given("PROBABILITY")
            ),
        ),
        (
            "xdsl",
            '<smile><nodes><cpt id="U" observed="false"/><cpt id="X"><parents>U</parents></cpt>'
            '<cpt id="Y"><parents>U</parents></cpt></nodes></smile>',
        ),
        (
            "net",
            'net { latents = "U"; } node U {} node X {} node Y {} '
            "potential (X | U) {} potential (Y | U) {}",
        ),
        (
            "tetrad",
            "Graph Nodes: U;X;Y\nGraph Edges:\n1. U --> X\n2. U --> Y\nGraph Attributes:\n"
            "latent: U",
        ),
    ],
)
def test_networks_that_list_their_hidden_variables(format: str, text: str) -> None:
    assert CausalGraph.parse(text, format) == HIDDEN


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("xmlbif", XMLBIF.format(xml_variables("XX"))),
        (
            "xmlbif",
            XMLBIF.format(
                xml_variables("XY") + "<DEFINITION><FOR>X</FOR><FOR>Y</FOR></DEFINITION>"
            ),
        ),
        ("xdsl", '<smile><nodes><cpt id="X"/><cpt id="X"/></nodes></smile>'),
        ("bif", "variable X { type decision [2] {a, b}; }"),
        ("net", "net {} node X {} node Y {} potential (X | Y) {} potential (X) {}"),
        ("cg", "<NODES>\nA\n<LATENT>\nA\n<EDGES>\n"),
        (
            "tetrad",
            "Graph Nodes: A;B\nGraph Edges:\n1. A --> B\n"
            "Graph Edge Attributes:\nlatent: [A --> B: true]",
        ),
        ("lavaan", "y ~ ."),
        ("text", "from,to\na,b"),
    ],
)
def test_listings_that_are_understood_in_part(format: str, text: str) -> None:
    with pytest.raises(GraphError, match="cannot be read"):
        CausalGraph.parse(text, format)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("graph TD\nA --> B", "Mermaid"),
        ("flowchart LR\nA --> B", "Mermaid"),
        ("@startuml\nA --> B", "PlantUML"),
        ("g <- dagitty('dag { X -> Y }')", "R code"),
        ("dagify(y ~ x)", "R code"),
    ],
)
def test_other_languages_are_named(text: str, advice: str) -> None:
    with pytest.raises(GraphError, match=advice):
        guess_format(text)


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ('Creator "igraph"\nVersion 1\ngraph [ directed 1 ]', "gml"),
        ("# a comment\ngraph [ directed 1 ]", "gml"),
        ("'[A][B|A]'", "bnlearn"),
        ("graph lr { a }", "dot"),
    ],
)
def test_formats_behind_their_first_lines(text: str, format: str) -> None:
    assert guess_format(text) == format


def test_labels_in_html_are_names() -> None:
    text = 'digraph { 0 [label=<<b>dose</b>>]; 1 [label="relief"]; 0 -> 1 }'
    assert CausalGraph.parse(text, "dot") == CausalGraph.parse("dose -> relief")
