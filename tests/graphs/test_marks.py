"""Marks for hidden, selected and bidirected: every spelling is understood or refused."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import pytest

from causalplug.errors import GraphError
from causalplug.graphs.graph import CausalGraph

BOW = CausalGraph.parse("X -> Y; X <-> Y")
WHOLE = CausalGraph.parse("U -> X, Y; X -> Y")

HIDDEN_FLAGS = [
    "latent",
    "l",
    "unobserved",
    "u",
    "LATENT",
    "hidden",
    "unmeasured",
    "latent=1",
    "latent=true",
    "l=yes",
    'latent="yes"',
    "unobserved=1",
    "observed=no",
    'observed="0"',
    "observed=false",
    "measured=no",
    "is_latent=true",
    "observed=latent",
    "type=latent",
    'role="latent variable"',
    "status=unobserved",
    "exposure, latent",
    'pos="0,1", latent',
    '[latent], pos="0,1"',
    "style=dashed; l",
]
OBSERVED_FLAGS = [
    "exposure",
    "e",
    "outcome",
    "adjusted",
    "a",
    'pos="1,2"',
    "observed",
    "observed=yes",
    "latent=no",
    "hidden=0",
    "type=continuous",
    "role=exposure",
    'label="The latent heat of water"',
    "color=red",
    "censored=no",
]
SELECTED_FLAGS = [
    "selected",
    "s",
    "S",
    "selected=1",
    "selection=true",
    "type=selection",
    "conditioned",
    "selected=maybe",
    "role=selected",
]
DOUBTFUL_FLAGS = [
    "latent=perhaps",
    "observed=7",
    "unobservedness=2",
    "latent_class=3",
    "type=exogenous",
    "role=unseen",
    'comment="unobserved confounder"',
    'label="Unobserved Confounders"',
    "recorded_by=nobody",
    "censored",
    "conditioned_value=3",
    "invisible=true",
    "style=invis",
]
SHELLS = {
    "dag": "dag {{ U [{flag}]\nX [exposure] Y [outcome]\nU -> X\nU -> Y\nX -> Y }}",
    "digraph": "digraph {{ U [{flag}]; U -> {{X Y}}; X -> Y }}",
    "after": "digraph {{ U -> X -> Y; U -> Y; U [{flag}] }}",
    "nested": "digraph {{ subgraph c {{ {{ U }} [{flag}] }} U -> X; U -> Y; X -> Y }}",
    "quoted": "dag {{ \"U\" [{flag}] 'U' -> X U -> Y X -> Y }}",
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("flag", HIDDEN_FLAGS)
def test_hidden_in_every_spelling(shell: str, flag: str, tmp_path: Path) -> None:
    text = SHELLS[shell].format(flag=flag)
    for name in ("g.dot", "g.txt", "g.gv", "g.dagitty"):
        (tmp_path / name).write_text(text)
        graph = CausalGraph.read(tmp_path / name)
        assert graph == BOW
        assert graph.hidden == ("U",)


@pytest.mark.parametrize("flag", OBSERVED_FLAGS)
def test_marks_of_recorded_variables_change_nothing(flag: str) -> None:
    assert CausalGraph.parse(SHELLS["dag"].format(flag=flag), "dagitty") == WHOLE


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("flag", SELECTED_FLAGS)
def test_selection_is_refused(shell: str, flag: str) -> None:
    with pytest.raises(GraphError, match="selection bias is not supported"):
        CausalGraph.parse(SHELLS[shell].format(flag=flag), "dot")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("flag", DOUBTFUL_FLAGS)
def test_what_may_mean_hidden_and_is_not_understood_is_an_error(shell: str, flag: str) -> None:
    with pytest.raises(GraphError, match="not understood"):
        CausalGraph.parse(SHELLS[shell].format(flag=flag), "dot")


def test_a_plain_word_settles_a_doubt() -> None:
    for word, expected in (("no", BOW), ("yes", WHOLE)):
        flag = f'label="Unobserved Confounders", observed={word}'
        assert CausalGraph.parse(SHELLS["dag"].format(flag=flag), "dot") == expected


def test_marks_that_contradict_each_other_are_refused() -> None:
    for flag in ("latent, observed=yes", "observed=no, hidden=no"):
        with pytest.raises(GraphError, match="contradict each other"):
            CausalGraph.parse(SHELLS["dag"].format(flag=flag), "dot")
    with pytest.raises(GraphError, match="contradict each other"):
        CausalGraph.parse("digraph { X -> Y [type=directed, bidirected=true] }", "dot")


def test_defaults_hide_only_what_occurs_first_behind_them() -> None:
    text = "digraph { X; Y; node [latent]; U -> X; U -> Y; X -> Y }"
    assert CausalGraph.parse(text, "dot") == BOW


@pytest.mark.parametrize(
    ("edge", "expected"),
    [
        ("X -> Y [dir=both]", "X <-> Y"),
        ("X -> Y [bidirected]", "X <-> Y"),
        ('X -> Y [type="bi-directed"]', "X <-> Y"),
        ("X -> Y [dir=back]", "Y -> X"),
        ("X -> Y [type=directed, weight=3]", "X -> Y"),
        ("X -> Y [arrowhead=tee]", "X -> Y"),
        ("X -> Y [dir=both, arrowtail=none, arrowhead=normal]", "X -> Y"),
        ("X -> Y [description=U]; Y -> X [description=U]", "X <-> Y"),
        ("X -> Y; X -> Y [description=U]; Y -> X [description=U]", "X -> Y; X <-> Y"),
    ],
)
def test_marks_of_edges(edge: str, expected: str) -> None:
    assert CausalGraph.parse(f"digraph {{ {edge} }}", "dot") == CausalGraph.parse(expected)


@pytest.mark.parametrize(
    ("edge", "why"),
    [
        ("X -> Y [arrowhead=none]", "undirected"),
        ("X -> Y [dir=both, arrowtail=odot]", "circle"),
        ("X -> Y [dir=sideways]", "unknown kind 'dir=sideways'"),
        ("X -> Y [type=spurious]", "not understood"),
        ("X -> Y [confounded]", "not understood"),
        ("X -> Y [hidden=true]", "not understood"),
        ("X -> Y [style=invis]", "not understood"),
        ("X -> Y [directed=false]", "undirected"),
        ("X -> Y [description=U]", 'the description "U"'),
        ("X -> Y; Y -> X", "write an undirected edge so"),
    ],
)
def test_edges_that_are_no_arrows_are_refused(edge: str, why: str) -> None:
    with pytest.raises(GraphError, match=why):
        CausalGraph.parse(f"digraph {{ {edge} }}", "dot")


def test_ancestral_graphs_are_no_causal_graphs() -> None:
    with pytest.raises(GraphError, match="an arrow of a MAG says"):
        CausalGraph.parse("mag { X -> Y }", "dagitty")
    assert CausalGraph.parse("pdag { X -> Y }", "dagitty") == CausalGraph.parse("X -> Y")


def test_networkx_marks() -> None:
    edges = [("U", "X"), ("U", "Y"), ("X", "Y")]
    for mark in ({"latent": True}, {"observed": 0}, {"type": "latent"}, {"roles": {"latents"}}):
        graph = nx.DiGraph(edges)
        graph.nodes["U"].update(mark)
        assert CausalGraph.from_networkx(graph) == BOW
        graph.nodes["U"].clear()
        graph.graph["latents"] = ["U"]
        assert CausalGraph.from_networkx(graph) == BOW
    for mark in ({"selected": True}, {"observed": "who knows"}, {"latent": float("nan")}):
        graph = nx.DiGraph(edges)
        graph.nodes["U"].update(mark)
        with pytest.raises(GraphError, match=r"selection bias|not understood"):
            CausalGraph.from_networkx(graph)
    graph = nx.DiGraph(edges, selected_on=["U"])
    with pytest.raises(GraphError, match="not understood"):
        CausalGraph.from_networkx(graph)


@pytest.mark.parametrize(
    "data",
    [
        {
            "nodes": [{"id": "U", "latent": True}, "X", "Y"],
            "links": [["U", "X"], ["U", "Y"], ["X", "Y"]],
        },
        {"latents": ["U"], "nodes": ["U", "X", "Y"], "links": [["U", "X"], ["U", "Y"], ["X", "Y"]]},
        {
            "graph": {"hidden": "U"},
            "nodes": ["U", "X", "Y"],
            "links": [["U", "X"], ["U", "Y"], ["X", "Y"]],
        },
        {
            "nodes": [{"name": "U", "observed": "no"}, {"name": "X"}, {"name": "Y"}],
            "links": [
                {"source": 0, "target": 1},
                {"source": 0, "target": 2},
                {"source": 1, "target": 2},
            ],
        },
        {
            "nodes": [
                {"id": 0, "name": "U", "type": "latent"},
                {"id": 1, "name": "X"},
                {"id": 2, "name": "Y"},
            ],
            "links": [
                {"source": 0, "target": 1},
                {"source": 0, "target": 2},
                {"source": 1, "target": 2},
            ],
        },
        {
            "elements": {
                "nodes": [
                    {"data": {"id": "U", "latent": True}},
                    {"data": {"id": "X"}},
                    {"data": {"id": "Y"}},
                ],
                "edges": [{"data": {"id": "e", "source": "U", "target": e}} for e in "XY"]
                + [{"data": {"source": "X", "target": "Y"}}],
            }
        },
        {
            "graph_class": "ADMG",
            "nodes": ["X", "Y"],
            "edges": [
                {"from": "X", "to": "Y", "edge": "-->"},
                {"from": "X", "to": "Y", "edge": "<->"},
            ],
        },
    ],
)
def test_json_of_other_tools(data: dict[str, object]) -> None:
    assert CausalGraph.parse(json.dumps(data), "json") == BOW


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"nodes": ["X", "Y"], "links": [["X"]]}, "no edge with two ends"),
        ({"nodes": ["X", "Y"], "links": [{"source": "X", "target": 5}]}, "position 5"),
        ({"nodes": ["X", "Y"], "links": [{"source": "X", "target": -1}]}, "position -1"),
        ({"nodes": ["1", "0"], "links": [[0, 1]]}, "write the ends as texts"),
        ({"nodes": ["X", "Y"], "links": [["X", "Z"]]}, "'Z' is not a variable"),
        ({"nodes": [{"x": 1}], "links": []}, "has no"),
        ({"nodes": ["X", "X"], "links": []}, "written 'X'"),
        ({"nodes": 3}, "has to be a list"),
        ({"directed": False, "nodes": ["X"]}, "false"),
        ({"selected": ["X"], "nodes": ["X"]}, "not understood"),
        ({"nodes": ["X", "Y"], "edges": [{"from": "X", "to": "Y", "edge": "o->"}]}, "circle"),
        ({"variables": ["A", "B"], "directed": [["A"]]}, "no edge with two ends"),
        ({"variables": "AB"}, "has to be a list"),
        ({"variables": [1]}, "no text"),
    ],
)
def test_json_that_is_not_understood(data: dict[str, object], why: str) -> None:
    with pytest.raises((GraphError, LookupError), match=why):
        CausalGraph.parse(json.dumps(data), "json")


def test_a_key_twice_is_refused() -> None:
    with pytest.raises(GraphError, match="stands twice"):
        CausalGraph.parse('{"variables": ["A"], "variables": ["B"]}', "json")


@pytest.mark.parametrize("ids", [("0", "1"), ("n0", "n1"), ("node_1", "node_2")])
@pytest.mark.parametrize("key", ["name", "label"])
def test_names_are_taken_from_labels_where_ids_are_numbers(ids: tuple[str, str], key: str) -> None:
    a, b = ids
    text = f"digraph {{ {a} [{key}=X1]; {b} [{key}=X2]; {a} -> {b} [dir=both, arrowtail=none] }}"
    assert CausalGraph.parse(text, "dot") == CausalGraph.parse("X1 -> X2")
    with pytest.raises(GraphError, match="has none"):
        CausalGraph.parse(f"digraph {{ {a} [{key}=X1]; {a} -> {b} }}", "dot")
    with pytest.raises(GraphError, match="two vertices are called 'X'"):
        CausalGraph.parse(f"digraph {{ {a} [{key}=X]; {b} [{key}=X] }}", "dot")
    with pytest.raises(GraphError, match="keep one of the two"):
        CausalGraph.parse(f"digraph {{ {a} [name=X,label=Y]; {b} [name=Z] }}", "dot")
    assert CausalGraph.parse(f"digraph {{ {a} -> {b} }}", "dot").variables == ids
    kept = CausalGraph.parse('digraph { A [label="Age (years)"]; A -> B }', "dot")
    assert kept == CausalGraph.parse("A -> B")


def test_the_graph_says_what_was_hidden() -> None:
    graph = CausalGraph.parse(SHELLS["dag"].format(flag="latent"), "dagitty")
    assert str(graph) == "X -> Y; X <-> Y  # hidden, projected out: U"
    assert CausalGraph.parse(str(graph)) == graph == BOW
    assert "hidden" not in str(BOW)
    again = CausalGraph.from_networkx(nx.DiGraph([("U", "X"), ("V", "X")]), latents=["U", "V"])
    assert again.hidden == ("U", "V")


@pytest.mark.parametrize("format", ["text", "dot", "dagitty"])
def test_quotes_of_both_kinds(format: str) -> None:
    shell = "{}" if format == "text" else "dag {{ {} }}"
    text = shell.format("""'blood pressure' -> stroke; "blood sugar" -> 'stroke'; X' -> Y""")
    expected = [("blood pressure", "stroke"), ("blood sugar", "stroke"), ("X'", "Y")]
    assert CausalGraph.parse(text, format) == CausalGraph.from_edges(expected)
    with pytest.raises(GraphError):
        CausalGraph.parse(shell.format("'air quality -> asthma"), format)
