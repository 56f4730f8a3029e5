"""Reading and writing graphs in the formats and objects of other tools; no hidden variable gets
lost on the way."""

from __future__ import annotations

import gzip
import json
import re
from enum import Enum
from pathlib import Path
from types import SimpleNamespace

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causalplug.errors import CycleError, GraphError, GraphFileError, UnknownVariableError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.readers import FORMATS, SUFFIXES, guess_format
from tests.graph_cases import NAMED, node_link, random_admg, shared

BOW = CausalGraph.parse("X -> Y; X <-> Y")

BOWS = {
    "text": "X -> Y; X <-> Y",
    "dot": "digraph { X -> Y; X -> Y [dir=both, style=dashed]; }",
    "dagitty": "dag { X -> Y\nX <-> Y }",
    "lavaan": "Y ~ X\nX ~~ Y",
    "cg": "<NODES>\nX\nY\n\n<EDGES>\nX -> Y\nX <-> Y",
    "tetrad": "Graph Nodes:\nX;Y\n\nGraph Edges:\n1. X --> Y\n2. X <-> Y\n",
    "json": json.dumps(
        {"variables": ["X", "Y"], "directed": [["X", "Y"]], "bidirected": [["X", "Y"]]}
    ),
    "gml": 'graph [ directed 1 multigraph 1 node [ id 0 label "X" ] node [ id 1 label "Y" ]'
    " edge [ source 0 target 1 key 0 ] edge [ source 0 target 1 key 1 bidirected 1 ] ]",
}
LATENT_BOWS = {
    "dot": 'digraph { U [observed="no"]; U -> X; U -> Y; X -> Y }',
    "dagitty": 'dag { U [latent,pos="0,0"]\nU -> {X Y}\nX -> Y }',
    "lavaan": "U =~ X + Y\nY ~ X",
    "tetrad": "Graph Nodes:\n(U);X;Y\n\nGraph Edges:\n1. (U) --> X\n2. (U) --> Y\n3. X --> Y\n",
    "json": json.dumps(
        {
            "directed": True,
            "nodes": [{"id": "U", "latent": True}, {"id": "X"}, {"id": "Y"}],
            "links": [{"source": "U", "target": end} for end in "XY"]
            + [{"source": "X", "target": "Y"}],
        }
    ),
    "gml": 'graph [ directed 1 node [ id 0 label "U" observed "no" ] node [ id 1 label "X" ]'
    ' node [ id 2 label "Y" ]'
    " edge [ source 0 target 1 ] edge [ source 0 target 2 ] edge [ source 1 target 2 ] ]",
}


@pytest.mark.parametrize("format", BOWS)
def test_the_bow_stays_a_bow(format: str, tmp_path: Path) -> None:
    assert CausalGraph.parse(BOWS[format], format) == BOW
    suffix = next((suffix for suffix, name in SUFFIXES.items() if name == format), ".txt")
    (tmp_path / f"graph{suffix}").write_text(BOWS[format])
    assert CausalGraph.read(tmp_path / f"graph{suffix}") == BOW
    (tmp_path / "other.txt.gz").write_bytes(gzip.compress(BOWS[format].encode()))
    if format != "gml":
        assert CausalGraph.read(tmp_path / "other.txt.gz") == BOW
    assert CausalGraph.read(tmp_path / "other.txt.gz", format=format) == BOW


@pytest.mark.parametrize("format", LATENT_BOWS)
def test_a_marked_latent_makes_a_bow(format: str) -> None:
    assert CausalGraph.parse(LATENT_BOWS[format], format) == BOW


def test_latents_may_be_named_by_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "net.bif"
    path.write_text(
        "network test {}\nvariable U { type discrete [2] { a, b }; }\nvariable X { }\nvariable Y "
        "{ }\n"
        "probability ( U ) { }\nprobability ( X | U ) { }\nprobability ( Y | U, X ) { table .1; }\n"
    )
    assert CausalGraph.read(path) == CausalGraph.parse("U -> X, Y; X -> Y")
    assert CausalGraph.read(path, latents=["U"]) == BOW
    assert (
        CausalGraph.from_networkx(nx.DiGraph([("U", "X"), ("U", "Y"), ("X", "Y")]), latents="U")
        == BOW
    )
    with pytest.raises(UnknownVariableError, match="latents"):
        CausalGraph.read(path, latents=["Z"])


@pytest.mark.parametrize(
    ("format", "text", "expected"),
    [
        (
            "dot",
            "strict digraph { a -> b -> c; subgraph c0 { d; e } -> f [dir=back] }",
            "a -> b -> c; f -> d, e",
        ),
        (
            "dot",
            'digraph { node [shape=box]; edge [dir=both]; "a b" -> c /* x */; rankdir=LR }',
            '"a b" <-> c',
        ),
        (
            "dot",
            "digraph { a:n -> b:s [label=<x<i>y</i>>]; {c d} -> {a; b} }",
            "a -> b; c -> a, b; d -> a, b",
        ),
        (
            "dot",
            "digraph { a -> b [dir=both, arrowtail=none]; b -> c [bidirected=true] # end\n}",
            "a -> b; b <-> c",
        ),
        (
            "dot",
            'digraph { a; node [observed="no"] u; node [observed="yes"] b; u -> a; u -> b }',
            "a <-> b",
        ),
        (
            "dagitty",
            'dag { bb="0,0,1,1"\nx [exposure,pos="1,2"]\ny [outcome]\nx -> y [beta=".3"]\nz }',
            "x -> y; z",
        ),
        (
            "dagitty",
            "dag{ a -> { b c } <- d ; b <-> c <-> e }",
            "a -> b, c; d -> b, c; b <-> c; c <-> e",
        ),
        ("dagitty", "dag { u [u]\n u -> h ; h [latent] ; h -> a ; u -> b }", "a <-> b"),
        (
            "lavaan",
            "y ~ b*x1 + 0*x2\n x1 ~~ x3 # !\n y ~~ 0*x3; y ~~ y\n y ~ 1\n b > 0\n d := b*2",
            "x1 -> y; x1<->x3",
        ),
        ("lavaan", "y1 + y2 ~ x +\n  z", "x, z -> y1, y2"),
        ("lavaan", "f =~ a + b\n f ~ x\n y ~ f", "x -> a, b, y; a <-> b; a <-> y; b <-> y"),
        (
            "bif",
            'network "n" {}\n// c\nvariable "a b" {}\nvariable c {}\nprobability ( c | "a b" ) {}',
            '"a b" -> c',
        ),
        ("cg", "<NODES>\nA\nB\nC\n<EDGES>\nA -> B", "A -> B; C"),
        (
            "tetrad",
            "Graph Nodes:\nA,B,C\nGraph Edges:\n1. A --> B dd nl\n2. B <-> C\n",
            "A -> B; B <-> C",
        ),
    ],
)
def test_texts_are_read(format: str, text: str, expected: str) -> None:
    assert CausalGraph.parse(text, format) == CausalGraph.parse(expected)


@pytest.mark.parametrize(
    ("format", "text", "message"),
    [
        ("dot", "digraph { a -> b", "a '}' is missing"),
        ("dot", "digraph { a -> }", "'}' stands where a name was expected in line 1"),
        ("dot", "graph { a -- b }", "is undirected, as in a CPDAG"),
        ("dot", "digraph { a -> b [dir=none] }", "is undirected"),
        ("dot", "tree { a }", "'tree' is no graph"),
        ("dagitty", "pag { a @-> b }", "has a circle, as in a PAG"),
        ("dagitty", "pdag { a -- b }", "is undirected"),
        ("lavaan", "y + x", "has no ~"),
        ("lavaan", "y ~ a:b", "is an interaction"),
        ("lavaan", "c <~ a + b", "defines a composite"),
        ("bif", "nothing", "stands at its end, outside a block"),
        ("bif", "network n { }", "declares no variable"),
        ("bif", "variable A {}\nprobability ( A | B ) {}", "'B' is not a variable"),
        ("cg", "A -> B", "is in no section that is known"),
        ("cg", "<NODES>\nA\nB\n<EDGES>\nA -- B", "is undirected"),
        ("cg", "<NODES>\nAlpha\nB\n<EDGES>\nAlpa -> B", 'did you mean "Alpha"'),
        ("cg", "<NODES>\nA\n<EDGES>\nA", "is no edge"),
        ("tetrad", "Graph Nodes:\nA;B\nGraph Edges:\n1. A o-> B", "has a circle, as in a PAG"),
        ("tetrad", "Graph Nodes:\nA;B\nGraph Edges:\n1. A --- B", "is undirected"),
        ("json", "[1]", "no object"),
        ("json", "{", "it is no JSON"),
        ("json", '{"nodes": [{"id": 1}], "links": [{"source": 1}]}', "no node-link JSON"),
        ("gml", "graph [ node", "it is not in the gml format"),
        ("yaml", "a: b", "format 'yaml' is not known"),
        ("daggity", "dag {}", 'did you mean "dagitty"'),
        ("dot", "digraph { a -> b -> a }", "a -> b -> a"),
    ],
)
def test_what_cannot_be_read_is_named(format: str, text: str, message: str) -> None:
    with pytest.raises((GraphError, UnknownVariableError), match=re.escape(message)):
        CausalGraph.parse(text, format)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "graph.dot").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GraphError, match=r"graph\.dot cannot be read: it is no UTF-8"):
        CausalGraph.read(tmp_path / "graph.dot")


def test_a_file_that_cannot_be_opened_is_an_error_of_both_kinds(tmp_path: Path) -> None:
    for name in ("missing.dot", "missing.dot.gz", "no/such/folder.txt"):
        with pytest.raises(
            GraphFileError, match=f"{name} cannot be read: there is no such file"
        ) as caught:
            CausalGraph.read(tmp_path / name)
        assert isinstance(caught.value, FileNotFoundError)
        assert isinstance(caught.value, GraphError)
    (tmp_path / "folder.dot").mkdir()
    (tmp_path / "not.dot.gz").write_bytes(b"graph {}")
    (tmp_path / "cut.dot.gz").write_bytes(gzip.compress(b"digraph { X -> Y }" * 100)[:-20])
    for name, why in (
        ("folder.dot", "it is a folder"),
        ("not.dot.gz", "gzip"),
        ("cut.dot.gz", "end-of-stream"),
    ):
        with pytest.raises(GraphError, match=f"{name} cannot be read: .*{why}"):
            CausalGraph.read(tmp_path / name)
    with pytest.raises(GraphError, match="a path"):
        CausalGraph.read("a\0b")


@pytest.mark.parametrize("name", NAMED)
def test_what_is_written_is_read_back(name: str) -> None:
    graph = CausalGraph.parse(NAMED[name])
    assert CausalGraph.parse(graph.to_dot(), "dot") == graph
    assert CausalGraph.parse(graph.to_dagitty(), "dagitty") == graph
    assert CausalGraph.from_networkx(graph.to_networkx()) == graph
    assert CausalGraph.parse(json.dumps(node_link(graph.to_networkx())), "json") == graph
    assert CausalGraph.parse("\n".join(nx.generate_gml(graph.to_networkx())), "gml") == graph
    assert (
        CausalGraph.parse("\n".join(nx.generate_graphml(graph.to_networkx())), "graphml") == graph
    )
    assert {guess_format(text) for text in (graph.to_dot(), graph.to_dagitty())} == {
        "dot",
        "dagitty",
    }


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=4, unique=True),
    st.integers(0, 10**6),
)
def test_any_names_survive(names: list[str], seed: int) -> None:
    drawn = random_admg(seed, len(names), 0.5, 0.5)
    new = dict(zip(drawn.variables, names, strict=True))
    graph = CausalGraph.from_edges(
        [(new[a], new[b]) for a, b in drawn.directed],
        [(new[a], new[b]) for a, b in drawn.bidirected],
        names,
    )
    assert CausalGraph.parse(graph.to_dot(), "dot") == graph
    assert CausalGraph.parse(graph.to_dagitty(), "dagitty") == graph


@pytest.mark.parametrize(
    "attributes",
    [{"bidirected": True}, {"type": "bidirected"}, {"dir": "both"}, {"edge_type": "<->"}],
)
def test_bidirected_edges_of_networkx(attributes: dict[str, object]) -> None:
    graph = nx.MultiDiGraph([("X", "Y")])
    graph.add_edge("Y", "X", **attributes)
    assert CausalGraph.from_networkx(graph) == BOW
    graph.add_edge("X", "Y", **attributes)
    assert CausalGraph.from_networkx(graph) == BOW


def test_networkx_graphs_that_are_no_causal_graphs() -> None:
    with pytest.raises(GraphError, match="it is undirected"):
        CausalGraph.from_networkx(nx.Graph([("X", "Y")]))
    with pytest.raises(CycleError, match="X -> Y -> X"):
        CausalGraph.from_networkx(nx.DiGraph([("X", "Y"), ("Y", "X")]))
    with pytest.raises(GraphError, match="two vertices are written '1'"):
        CausalGraph.from_networkx(nx.DiGraph([(1, "1")]))
    with pytest.raises(GraphError, match="is undirected"):
        CausalGraph.from_networkx(nx.DiGraph([("X", "Y", {"type": "undirected"})]))
    with pytest.raises(GraphError, match="an object of int is not known"):
        CausalGraph.from_networkx(3)
    assert CausalGraph.from_networkx(nx.DiGraph([(1, 2)])).variables == ("1", "2")


class End(Enum):
    TAIL, ARROW, CIRCLE = -1, 1, 2


def causal_learn(edges: list[tuple[str, End, End, str]], latent: str = "") -> SimpleNamespace:
    """What causal-learn's GeneralGraph answers."""
    nodes = {
        name: SimpleNamespace(
            get_name=lambda name=name: name,
            get_node_type=lambda name=name: (
                "NodeType.LATENT" if name == latent else "NodeType.MEASURED"
            ),
        )
        for edge in edges
        for name in (edge[0], edge[3])
    }
    listed = [
        SimpleNamespace(
            get_node1=lambda a=a: nodes[a],
            get_node2=lambda b=b: nodes[b],
            get_endpoint1=lambda m=m: m,
            get_endpoint2=lambda n=n: n,
        )
        for a, m, n, b in edges
    ]
    return SimpleNamespace(get_nodes=lambda: list(nodes.values()), get_graph_edges=lambda: listed)


def variable(name: str) -> str:
    return name


class PyWhy:
    """What pywhy-graphs' ADMG answers."""

    nodes = ("X", "Y")
    adj: dict[str, object] = {}  # noqa: RUF012
    directed_edge_name = "directed"

    def is_directed(self) -> bool:
        return False

    def get_graphs(self) -> dict[str, nx.Graph]:
        return {
            "directed": nx.DiGraph([("X", "Y")]),
            "bidirected": nx.Graph([("X", "Y")]),
            "undirected": nx.Graph(),
        }


class PgmpyDag(nx.DiGraph):
    """What pgmpy's DAG adds to networkx."""

    latents = frozenset({"U"})


OBJECTS = {
    "y0": SimpleNamespace(directed=nx.DiGraph([("X", "Y")]), undirected=nx.Graph([("X", "Y")])),
    "ananke": SimpleNamespace(
        vertices={"X": 0, "Y": 1}, di_edges={("X", "Y")}, bi_edges={("Y", "X")}
    ),
    "pywhy-graphs": PyWhy(),
    "pgmpy": PgmpyDag([("U", "X"), ("U", "Y"), ("X", "Y")]),
    "causal-learn": causal_learn(
        [("X", End.TAIL, End.ARROW, "Y"), ("X", End.ARROW, End.ARROW, "Y")]
    ),
    "causal-learn with a latent": causal_learn(
        [
            ("U", End.TAIL, End.ARROW, "X"),
            ("Y", End.ARROW, End.TAIL, "U"),
            ("X", End.TAIL, End.ARROW, "Y"),
        ],
        latent="U",
    ),
    "dowhy": SimpleNamespace(
        _graph=SimpleNamespace(_graph=nx.DiGraph([("U", "X"), ("U", "Y"), ("X", "Y")])),
    ),
    "causalplug": BOW,
}
OBJECTS["dowhy"]._graph._graph.nodes["U"]["observed"] = "no"


@pytest.mark.parametrize("library", OBJECTS)
def test_objects_of_other_libraries(library: str) -> None:
    assert CausalGraph.from_networkx(OBJECTS[library]) == BOW
    assert CausalGraph.from_networkx(OBJECTS[library]) == BOW


def test_objects_with_other_edges_are_refused() -> None:
    with pytest.raises(GraphError, match="has circles"):
        CausalGraph.from_networkx(causal_learn([("X", End.CIRCLE, End.ARROW, "Y")]))
    with pytest.raises(GraphError, match="is undirected"):
        CausalGraph.from_networkx(causal_learn([("X", End.TAIL, End.TAIL, "Y")]))
    with pytest.raises(GraphError, match="is undirected"):
        CausalGraph.from_networkx(
            SimpleNamespace(
                vertices={"X": 0, "Y": 1}, di_edges=set(), bi_edges=set(), ud_edges={("X", "Y")}
            )
        )


# --- the graphs and networks beside the checkout ---

COUNTS = {
    "alarm": (37, 46),
    "asia": (8, 8),
    "cancer": (5, 4),
    "child": (20, 25),
    "earthquake": (5, 4),
    "hailfinder": (56, 66),
    "insurance": (27, 52),
    "munin1": (186, 273),
    "sachs": (11, 17),
    "survey": (6, 6),
    "water": (32, 66),
    "win95pts": (76, 112),
}


def test_networks_of_the_shared_folder() -> None:
    files = sorted(shared("data", "networks").glob("*.bif*"))
    found = {file.name.split(".")[0]: CausalGraph.read(file) for file in files}
    assert {
        name: (len(graph.variables), len(graph.directed)) for name, graph in found.items()
    } == COUNTS
    asia = CausalGraph.read(files[1], latents=["smoke", "bronc"])
    assert asia == CausalGraph.parse(NAMED["asia"])


def test_graphs_of_the_shared_folder() -> None:
    known = {
        "frontdoor": "X -> M -> Y; X <-> Y",
        "frontdoor_latent": "X -> M -> Y; X <-> Y",
        "napkin": NAMED["napkin"],
        "bow": "X -> Y; X <-> Y",
        "m_bias": "X <-> Z <-> Y; X -> Y",
        "quoted_names": '"blood pressure" -> "heart-rate (bpm)" -> y.1; "blood pressure" <-> y.1',
        "double_bow": "X -> Z -> Y; X <-> Z <-> Y",
        "gid_b": "X1 -> W; X2 -> Y; W -> Y; W <-> X1 <-> X2 <-> Y; W <-> X2",
        "chain": "X -> Z -> Y",
    }
    files = sorted(shared("data", "graphs").glob("*/*"))
    compared = set()
    for file in files:
        graph = CausalGraph.read(file)
        if file.stem in known:
            assert graph == CausalGraph.parse(known[file.stem]), file.name
            compared.add((file.stem, file.suffix))
        if file.suffix == ".cg":
            arrows = [line for line in file.read_text().splitlines() if "->" in line]
            assert len(arrows) == len(graph.directed) + len(graph.bidirected)
    assert len(compared) >= 11
    assert len(files) >= 38


def test_the_consensus_graph_of_sachs() -> None:
    graph = CausalGraph.read(shared("data", "sachs", "sachs_consensus_graph.txt"))
    assert (len(graph.variables), len(graph.directed), graph.bidirected) == (11, 20, ())
    assert set(graph.parents("akt")) == {"pip3", "erk", "pka"}


def test_all_formats_are_covered_here() -> None:
    elsewhere = {"bif", "graphml", "xmlbif", "xdsl", "net", "bnlearn"}
    assert set(FORMATS) == set(BOWS) | elsewhere
