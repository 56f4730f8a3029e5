"""Marks in other places: lists of attributes, elements of XML, statements of BIF, sentences, the
ends of drawn arrows."""

from __future__ import annotations

import json

import pytest

from causalplug.errors import GraphError
from causalplug.graphs.graph import CausalGraph
from causalplug.values import Json

HIDDEN = CausalGraph.parse("X -> Y; X <-> Y")
NOT_UNDERSTOOD = "not understood|hidden or selected"


def node_link(vertex: Json | None = None, edge: Json | None = None, **more: object) -> str:
    nodes = [{"id": "U", **(vertex or {})}, {"id": "X"}, {"id": "Y"}]
    links = [{"source": "U", "target": "X"}, {"source": "U", "target": "Y"}]
    links.append({"source": "X", "target": "Y", **(edge or {})})
    return json.dumps({"directed": True, "nodes": nodes, "links": links, **more})


@pytest.mark.parametrize(
    "marks",
    [
        {"metadata": [{"latent": True}]},
        {"properties": [{"name": "latent", "value": True}]},
        {"properties": [{"key": "observed", "value": "no"}]},
        {"attrs": [["latent", True]]},
        {"data": {"more": [{"is_latent": 1}]}},
    ],
)
def test_marks_in_lists_of_attributes(marks: Json) -> None:
    graph = CausalGraph.parse(node_link(marks), "json")
    assert graph == HIDDEN
    assert graph.hidden == ("U",)


@pytest.mark.parametrize(
    "marks",
    [
        {"latent": {"value": True}},
        {"latent": {}},
        {"observed": [{"status": "no"}]},
        {"label": "not observed"},
        {"note": "never measured"},
        {"comment": "this is a latent variable"},
        {"description": "an unmeasured genotype"},
        {"label": "U: hidden"},
        {"label": "U<br/><i>latent</i>"},
        {"style": {"stroke-dasharray": "5,5"}},
        {"shapeProperties": {"borderDashes": True}},
        {"exogenous": True},
        {"endogenous": False},
        {"data": "missing"},
        {"hasData": "never"},
    ],
)
def test_marks_of_vertices_that_may_say_hidden(marks: Json) -> None:
    with pytest.raises(GraphError, match=NOT_UNDERSTOOD):
        CausalGraph.parse(node_link(marks), "json")


def test_a_doubt_is_settled_by_a_plain_mark() -> None:
    text = node_link({"comment": "an unmeasured genotype", "observed": "no"})
    assert CausalGraph.parse(text, "json") == HIDDEN


@pytest.mark.parametrize(
    "marks",
    [
        {"arrows": {"to": {"enabled": True}, "from": {"enabled": True}}},
        {"dashes": True},
        {"startArrow": "arrow", "endArrow": "arrow"},
        {"markerStart": "url(#head)"},
        {"source-arrow-shape": "triangle"},
        {"direction": "backward"},
        {"reversed": True},
        {"symmetric": True},
    ],
)
def test_marks_of_edges_that_may_say_another_kind(marks: Json) -> None:
    with pytest.raises(GraphError, match="of an edge is not understood"):
        CausalGraph.parse(node_link(edge=marks), "json")


@pytest.mark.parametrize(
    "marks",
    [
        {"direction": "positive", "arrowScale": 2, "source_arrow_color": "red"},
        {"dashes": False, "strokeDasharray": "none", "markerStart": "none"},
        {"arrowStrikethrough": False, "lag": 0, "symmetric": False, "direction": "forward"},
    ],
)
def test_looks_of_edges_are_passed_over(marks: Json) -> None:
    plain = CausalGraph.parse("U -> X; U -> Y; X -> Y")
    assert CausalGraph.parse(node_link(edge=marks), "json") == plain


def test_direction_of_an_edge() -> None:
    graph = CausalGraph.parse(node_link(edge={"direction": "both"}), "json")
    assert graph.bidirected == (("X", "Y"),)


@pytest.mark.parametrize(
    "more",
    [
        {"graph": {"bidirected": [["X", "Y"]]}},
        {"graph": {"confounders": [["X", "Y"]]}},
        {"edges": [["X", "U"]]},
    ],
)
def test_edges_that_stand_elsewhere(more: Json) -> None:
    with pytest.raises(GraphError, match="cannot be read"):
        CausalGraph.parse(node_link(**more), "json")


def test_elements_of_cytoscape_in_one_list() -> None:
    elements: list[Json] = [{"group": "nodes", "data": {"id": "U"}, "classes": ["latent"]}]
    elements += [{"data": {"id": name}} for name in "XY"]
    for pair in ("UX", "UY", "XY"):
        elements.append({"data": {"id": pair, "source": pair[0], "target": pair[1]}})
    graph = CausalGraph.parse(json.dumps({"elements": elements}), "json")
    assert graph == HIDDEN


def bif(statement: str) -> str:
    text = "network n {}\n"
    for name in "UXY":
        said = statement if name == "U" else ""
        text += f"variable {name} {{\n  type discrete [ 2 ] {{ hidden, b }};\n  {said}\n}}\n"
    return text + "probability (U) {}\nprobability (X | U) {}\nprobability (Y | U, X) {}\n"


@pytest.mark.parametrize(
    "statement",
    ["PROPERTY latent = yes ;", "latent = yes;", "latent;", "observed = no;", "Property hidden;"],
)
def test_statements_of_bif(statement: str) -> None:
    assert CausalGraph.parse(bif(statement), "bif") == HIDDEN


def test_harmless_statements_of_bif() -> None:
    plain = CausalGraph.parse("U -> X; U -> Y; X -> Y")
    assert CausalGraph.parse(bif("property position = (1, 2);"), "bif") == plain
    lines = bif("").replace("discrete [ 2 ] {", "discrete\n[ 2 ]\n{")
    assert CausalGraph.parse(lines, "bif") == plain


def xmlbif(start: str, inside: str) -> str:
    text = "<BIF VERSION='0.3'><NETWORK><NAME>n</NAME>"
    for name in "UXY":
        first = f"<VARIABLE TYPE='nature' {start if name == 'U' else ''}><NAME>{name}</NAME>"
        text += first + f"{inside if name == 'U' else ''}</VARIABLE>"
    for child, parents in (("U", ""), ("X", "U"), ("Y", "UX")):
        given = "".join(f"<GIVEN>{parent}</GIVEN>" for parent in parents)
        text += f"<DEFINITION><FOR>{child}</FOR>{given}</DEFINITION>"
    return text + "</NETWORK></BIF>"


@pytest.mark.parametrize(
    ("start", "inside"),
    [
        ("LATENT='yes'", ""),
        ("", "<LATENT/>"),
        ("", "<OBSERVED>no</OBSERVED>"),
        ("", "<property>latent</property>"),
        ("", "<Property>latent = true</Property>"),
    ],
)
def test_marks_in_xmlbif(start: str, inside: str) -> None:
    assert CausalGraph.parse(xmlbif(start, inside), "xmlbif") == HIDDEN


def test_descriptions_in_xmlbif() -> None:
    with pytest.raises(GraphError, match=NOT_UNDERSTOOD):
        CausalGraph.parse(xmlbif("", "<DESCRIPTION>latent</DESCRIPTION>"), "xmlbif")
    described = xmlbif("", "<DESCRIPTION>Age in years</DESCRIPTION><COLOR>red</COLOR>")
    assert CausalGraph.parse(described, "xmlbif").variables == ("U", "X", "Y")


@pytest.mark.parametrize(
    ("inside", "note"), [("<latent/>", ""), ("", "<name>U</name><comment>hidden</comment>")]
)
def test_marks_in_xdsl(inside: str, note: str) -> None:
    text = f"""<smile><nodes><cpt id="U"><state id="a"/>{inside}<probabilities>1</probabilities>
      </cpt><cpt id="X"><parents>U</parents></cpt><cpt id="Y"><parents>U X</parents></cpt></nodes>
      <extensions><genie><node id="U">{note}<interior color="fff"/></node></genie></extensions>
      </smile>"""
    if note:
        with pytest.raises(GraphError, match=NOT_UNDERSTOOD):
            CausalGraph.parse(text, "xdsl")
    else:
        assert CausalGraph.parse(text, "xdsl") == HIDDEN


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("[latent U][X|latent U]", "bnlearn"),
        ("[genes (unobserved)][X|genes (unobserved)]", "bnlearn"),
        ("Graph Nodes:\nX;genes (latent)\n\nGraph Edges:\n", "tetrad"),
        ('digraph { subgraph cluster_0 { label="Latent variables"; U } U -> X }', "dot"),
        ("digraph { U [label=<U<br/><i>latent</i>>]; U -> X }", "dot"),
    ],
)
def test_names_and_titles_that_say_hidden(text: str, format: str) -> None:
    with pytest.raises(GraphError, match="hidden or selected"):
        CausalGraph.parse(text, format)


def test_groups_and_lists_in_gml() -> None:
    text = 'graph [ directed 1 {own} node [ id 0 label "U" {more} ] node [ id 1 label "X" ] '
    text += 'node [ id 2 label "Y" ] edge [ source 0 target 1 ] edge [ source 0 target 2 ] ]'
    listed = CausalGraph.parse(text.replace("{own}", 'latents "U"').replace("{more}", ""), "gml")
    assert listed == CausalGraph.parse("X <-> Y")
    with pytest.raises(GraphError, match="a group of others"):
        CausalGraph.parse(text.replace("{own}", "").replace("{more}", "isGroup 1"), "gml")
