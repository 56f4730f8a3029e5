"""Bayesian networks and edge lists of other tools, in the dialects that they are written in."""

from __future__ import annotations

import pytest

from causalplug.errors import GraphError, UnknownVariableError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.readers import guess_format

VARIABLES = "variable A { type discrete [2] { a, b }; }\nvariable B { }\nvariable C { }\n"


def bif(scope: str, names: tuple[str, ...] = ("A", "B", "C")) -> str:
    declared = "".join(
        f"variable {name} {{\n type discrete [2] {{ a, b }};\n}}\n" for name in names
    )
    return f"network n {{\n}}\n{declared}probability {scope} {{\n table .1, .9 ;\n}}\n"


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("( C | A, B )", "A, B -> C"),
        ("(C|A,B)", "A, B -> C"),
        ('( "C" "A" "B" )', "A, B -> C"),
        ('( "C" | "A" "B" )', "A, B -> C"),
        ("( C A B )", "A, B -> C"),
        ("( C, A, B )", "A, B -> C"),
        ("( C | A\n  B )", "A, B -> C"),
        ("( C ) // | A", "A; B; C"),
        ("( C | /* A, */ B )", "B -> C; A"),
    ],
)
def test_separators_of_bif_are_optional(scope: str, expected: str) -> None:
    scope = scope.replace("// | A", "// | A\n")
    assert CausalGraph.parse(bif(scope), "bif") == CausalGraph.parse(expected)


@pytest.mark.parametrize(
    "name",
    ["Body mass", "age (years)", '"age (years)"', "x//y", '"x//y"', "probability", "variable",
     '"a,b"', '"a | b"', "Größe", "a.b-c", "x:y"],
)  # fmt: skip
def test_names_of_bif(name: str) -> None:
    plain = name.strip('"')
    text = bif(f"( B | {name} )", ("B", name))
    graph = CausalGraph.parse(text, "bif")
    assert graph.directed == ((plain, "B"),)
    assert graph.variables == ("B", plain)
    alone = CausalGraph.parse(bif(f"( {name} )", ("B", name)), "bif")
    assert alone.variables == ("B", plain)


def test_names_with_blanks_that_stand_in_a_row() -> None:
    names = ("Y", "Body mass", "age")
    graph = CausalGraph.parse(bif("( Y Body mass age )", names), "bif")
    assert set(graph.directed) == {("Body mass", "Y"), ("age", "Y")}
    with pytest.raises(GraphError, match="several rows of variables"):
        CausalGraph.parse(bif("( Y | a b c )", ("Y", "a", "b c", "a b", "c")), "bif")


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        (bif("( C | D )"), UnknownVariableError, "'D' is not a variable"),
        (bif("( D )"), UnknownVariableError, "'D' is not a variable"),
        (bif("( C B | A )"), GraphError, "2 variables before the bar"),
        (bif("( C | A | B )"), GraphError, "more than one"),
        (bif("C | A"), GraphError, "in parentheses"),
        (bif("( C | A )") + "}", GraphError, "without a '{'"),
        (bif("( C | A )")[:-3], GraphError, "is missing"),
        (bif('( C | "A )'), GraphError, "a quote that is not closed"),
        (bif("( C | /* A )"), GraphError, "a comment that is not closed"),
        (bif("( C | A )", ("A", "A", "C")), GraphError, "declared twice"),
        ("network n { } utility U { }", GraphError, "starts no block"),
        (VARIABLES.replace("{ }", "{ property latent = perhaps ; }"), GraphError, "not understood"),
        (VARIABLES.replace("{ }", '{ property "selected" ; }'), GraphError, "selection bias"),
    ],
)
def test_bif_that_is_not_understood(text: str, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        CausalGraph.parse(text, "bif")


def test_properties_of_bif_may_hide() -> None:
    text = (
        "network n { }\nvariable U { property latent = true ; }\nvariable X { }\n"
        'variable Y { property "position = (73, 165)" ; property weight = None ; }\n'
        "probability ( X | U ) { }\nprobability ( Y | U, X ) { }\n"
    )
    assert CausalGraph.parse(text, "bif") == CausalGraph.parse("X -> Y; X <-> Y")


XMLBIF = (
    '<?xml version="1.0"?><BIF VERSION="0.3"><NETWORK><NAME>n</NAME>'
    '<VARIABLE TYPE="nature"><NAME>A b</NAME><PROPERTY>position = (1,2)</PROPERTY></VARIABLE>'
    '<VARIABLE TYPE="nature"><NAME>B</NAME></VARIABLE>'
    "<DEFINITION><FOR>B</FOR><GIVEN>A b</GIVEN><TABLE>1</TABLE></DEFINITION></NETWORK></BIF>"
)
XDSL = (
    '<?xml version="1.0"?><smile version="1.0"><nodes><cpt id="A"><state id="y"/></cpt>'
    '<submodel id="S"><noisymax id="B"><parents>A</parents></noisymax></submodel>'
    '<deterministic id="C"><parents>A B</parents></deterministic></nodes></smile>'
)
NET = (
    "% a comment { \nnet { node_size = (80 40); }\n"
    'node A { label = "x % y"; states = ("y" "n"); }\n'
    'discrete node B { states = ("y" "n"); }\ncontinuous node C { }\n'
    "potential (A) { data = (.1 .9); }\npotential (B | A) { data = ((.1 .9) (.2 .8)); }\n"
    "potential (C | A B) { }\n"
)


@pytest.mark.parametrize(
    ("text", "format", "expected"),
    [
        (XMLBIF, "xmlbif", '"A b" -> B'),
        (XDSL, "xdsl", "A -> B, C; B -> C"),
        (NET, "net", "A -> B, C; B -> C"),
        ("[A][S][T|A][L|S][E|T:L]", "bnlearn", "A -> T; S -> L; T, L -> E"),
        ("[A]\n[B x|A]", "bnlearn", 'A -> "B x"'),
    ],
)
def test_networks_of_other_tools(text: str, format: str, expected: str) -> None:
    assert CausalGraph.parse(text, format) == CausalGraph.parse(expected)
    assert guess_format(text.split("\n", 1)[1] if format == "net" else text) == format


@pytest.mark.parametrize(
    ("text", "format", "why"),
    [
        (XMLBIF.replace("nature", "decision"), "xmlbif", "decision"),
        (XMLBIF.replace("position = (1,2)", "latent = maybe"), "xmlbif", "not understood"),
        (XMLBIF.replace("<?xml", "<!DOCTYPE b [<!ENTITY a 'b'>]><?xml"), "xmlbif", "entities"),
        (XMLBIF[:-4], "xmlbif", "it is no XML"),
        (XDSL.replace("deterministic", "utility"), "xdsl", "only chance nodes"),
        (NET.replace("discrete node", "decision"), "net", "starts no block"),
        ("[A][B|A", "bnlearn", "character 4"),
        ("[A][B|A][A]", "bnlearn", "twice"),
    ],
)
def test_networks_that_are_not_understood(text: str, format: str, why: str) -> None:
    with pytest.raises(GraphError, match=why):
        CausalGraph.parse(text, format)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("*Vertices 2\n1 A", "Pajek"),
        ("<xmi><model/></xmi>", "XML of a kind that is not known"),
    ],
)
def test_formats_that_are_not_read_are_named(text: str, why: str) -> None:
    with pytest.raises(GraphError, match=f"{why}.*the formats are text, dot"):
        guess_format(text)


def test_files_that_are_not_read_are_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for suffix in (".dne", ".rds", ".pkl", ".uai"):
        (tmp_path / f"g{suffix}").write_bytes(b"\x80")
        with pytest.raises(GraphError, match="export the graph as one of text"):
            CausalGraph.read(tmp_path / f"g{suffix}")


TETRAD = "Graph Nodes:\nX1;X2\n\nGraph Edges:\n"


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ("1. X1 --> X2 [X1 --> X2]:0.93;[no edge]:0.07;", "X1 -> X2"),
        ("1. X1 --> X2 dd nl [X1 --> X2]:0.9;[X1 <-> X2]:.1;", "X1 -> X2"),
        ("1. X1 --> X2\n\nAmbiguous triples (i.e. list of triples): \n", "X1 -> X2"),
        ("1. X1 --> X2\n\nGraph Attributes:\nBIC: -7.5\n", "X1 -> X2"),
        ("1. X1 --> X2\n\nGraph Node Attributes:\nBIC: [X1: 3.0;X2: 2.0]\n", "X1 -> X2"),
        ("1. X1-->X2", "X1 -> X2"),
        ("1. X1 <-- X2", "X2 -> X1"),
    ],
)
def test_texts_of_tetrad(edges: str, expected: str) -> None:
    assert CausalGraph.parse(TETRAD + edges, "tetrad") == CausalGraph.parse(expected)


@pytest.mark.parametrize(
    ("edges", "why"),
    [
        ("1. X1 --> X2\nAmbiguous triples:\n<X1, X2, X3>", "listed as ambiguous"),
        ("1. X1 --> X2\nUnderlined triples: <X1, X2, X3>", "listed as ambiguous"),
        ("1. X1 --> X2 --> X1", "is no edge"),
        ("1. X1 --> X2 [maybe", "is not a variable"),
        ("1. X1 o-o X2", "has circles"),
        ("1. X1 --> X2\nGraph Things:\nx", "belongs to no section"),
        ("1. X1 --> X2\nGraph Node Attributes:\nlatent: [X1: perhaps]", "not understood"),
    ],
)
def test_texts_of_tetrad_that_are_not_understood(edges: str, why: str) -> None:
    with pytest.raises((GraphError, UnknownVariableError), match=why):
        CausalGraph.parse(TETRAD + edges, "tetrad")


def test_names_with_hyphens_in_lists_of_edges() -> None:
    graph = CausalGraph.parse("<NODES>\na-b\nc d\n<EDGES>\na-b --> c d", "cg")
    assert graph.directed == (("a-b", "c d"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y ~ start(0.5)*x + c(a, b)*z", "x, z -> y"),
        ('f =~ x + equal("f=~x")*y', "x <-> y"),
        ("y ~\n  x +\n  z # note ~ w", "x, z -> y"),
        ("y ~ 1 + x; y ~~ y; x ~~ z", "x -> y; x <-> z"),
        ("y ~ -0.0*w + 00*v + x", "x -> y"),
    ],
)
def test_models_of_lavaan(text: str, expected: str) -> None:
    assert CausalGraph.parse(text, "lavaan") == CausalGraph.parse(expected)


@pytest.mark.parametrize("text", ["y ~ x1 x2", "1 ~ x", "y ~ x ~ z", "y ~ 'a b'", "y ~ x +"])
def test_models_of_lavaan_that_are_not_understood(text: str) -> None:
    with pytest.raises(GraphError, match="cannot be read"):
        CausalGraph.parse(text, "lavaan")
