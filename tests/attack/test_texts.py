"""Hostile graphs and questions: an error of ours, in bounded time, that quotes at most a line.

``CAUSALPLUG_EXHAUSTIVE=1`` tries 40,000 mutants of every format in place of 1,000.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable

import networkx as nx
import pytest

from causalplug.errors import CausalPlugError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.readers import FORMATS, guess_format
from causalplug.identification.query import Query
from tests.attack.mutations import EXHAUSTIVE, mutants, outcome, outcomes
from tests.graph_cases import node_link

COUNT = 40_000 if EXHAUSTIVE else 1000
_GRAPH = nx.DiGraph([("U", "X"), ("U", "Y"), ("X", "Y")])
_GRAPH.nodes["U"]["observed"] = "no"

SEEDS = {
    "text": ["X -> M -> Y; X <-> Y; A, B -> C # note", "\"a b\" <- 'c d' <-> X'; Z"],
    "dot": [
        'digraph g { rankdir=LR; node [shape=box]; U [observed="no"]; U -> {X Y} [dir=both] }',
        "strict digraph { a:n -> b [label=<x<i>y</i>>]; subgraph c { d; e } /* c */ // d\n }",
    ],
    "dagitty": ['dag { bb="0,0,1,1"\nU [latent,pos="0,1"]\nU -> {X Y}\nX <-> Y }'],
    "lavaan": ["f =~ a + b\ny ~ start(0.5)*x + 0*z\nx ~~ y # note\nb := a*c", "y + z ~ x +\n w"],
    "bif": [
        'network "n" { }\nvariable "a b" { type discrete [2] { y, n }; property "x = 1" ; }\n'
        'variable C { }\nprobability ( C | "a b" ) { ( y ) .1, .9; } // c\n'
    ],
    "cg": ["<NODES>\nA\nB\nC d\n<EDGES>\nA -> B\nB <-> C d\n"],
    "tetrad": ["Graph Nodes:\n(L);X1;X2\n\nGraph Edges:\n1. X1 --> X2 dd [X1 --> X2]:0.9;\n"],
    "json": [
        json.dumps({"variables": ["X", "Y"], "directed": [["X", "Y"]], "bidirected": []}),
        json.dumps(node_link(_GRAPH)),
        '{"elements": {"nodes": [{"data": {"id": "A"}}], "edges": []}, "latents": []}',
    ],
    "gml": ["\n".join(nx.generate_gml(_GRAPH)), 'graph [ directed 1 node [ id 0 name "x" ] ]'],
    "graphml": ["\n".join(nx.generate_graphml(_GRAPH))],
    "xmlbif": [
        '<BIF><NETWORK><VARIABLE TYPE="nature"><NAME>A</NAME></VARIABLE><DEFINITION><FOR>A</FOR>'
        "</DEFINITION></NETWORK></BIF>"
    ],
    "xdsl": ['<smile><nodes><cpt id="A"/><cpt id="B"><parents>A</parents></cpt></nodes></smile>'],
    "net": ['net { }\nnode A { states = ("y" "n"); label = "a"; }\npotential (A | ) { } % c\n'],
    "bnlearn": ["[A][S][T|A][L|S][E|T:L]"],
}
QUERIES = [
    "P(Y_{X=1, M_{X=0}}=1 | X=0, do(Z=2), W)",
    'E[Y | do("a b"=1)] - 0.5 * E[Y | do(X=-1.5e3)]',
    "ATE(Y=yes, X=2 vs 0 | Z=1) + PN(Y, X)",
    "P(Y_{M=$m} | M_{X=0}=$m)",
    "NDE(Y, X, M)",
    "P(Y=1 | do(X=1)) / P(Y=1 | do(X=0))",
    "P(18<=age<65, Y>=3 | do(X=1), M!=2)",
    "OR(Y=1, X=1 vs 0)",
]
LONG = 50_000 if EXHAUSTIVE else 20_000


def test_every_format_has_seeds() -> None:
    assert set(SEEDS) == set(FORMATS)


@pytest.mark.parametrize("format", SEEDS)
def test_mutated_graphs_end_in_errors_of_ours(format: str) -> None:
    found = outcomes(
        lambda text: CausalGraph.parse(text, format), mutants(SEEDS[format], COUNT, seed=1)
    )
    print(format, dict(found))
    assert set(found) <= {"answered", "refused"}, found
    assert found["refused"] > COUNT / 20


def test_mutated_texts_are_guessed_or_refused() -> None:
    texts = [text for seeds in SEEDS.values() for text in seeds]
    found = outcomes(
        lambda text: CausalGraph.parse(text, guess_format(text)), mutants(texts, COUNT)
    )
    assert set(found) <= {"answered", "refused"}, found


def test_mutated_questions_end_in_errors_of_ours() -> None:
    found = outcomes(Query.parse, mutants(QUERIES, 5 * COUNT, seed=2), longest=1500)
    print("query", dict(found))
    assert set(found) <= {"answered", "refused"}, found


HOSTILE = {
    "blanks": " " * LONG,
    "lines": "\n" * LONG,
    "open braces": "{" * LONG,
    "open brackets": "[" * LONG,
    "open parentheses": "(" * LONG,
    "subscripts": "_{" * LONG,
    "closed": "}" * LONG,
    "quotes": '"' * (LONG + 1),
    "single quotes": "'" * (LONG + 1),
    "digits": "1" * LONG,
    "digits and a letter": "1" * LONG + "x",
    "letters": "x" * LONG,
    "signs": "+-" * LONG,
    "stars": "*" * LONG,
    "comments": "/*" * LONG,
    "slashes": "/" * LONG,
    "html": "<" * LONG,
    "tags": "<a>" * LONG,
    "arrows": "->" * LONG,
    "tildes": "~" * LONG,
    "equal signs": "=~" * LONG,
    "pipes": "|" * LONG,
    "words": "a " * LONG,
    "lists": "[a|" * LONG,
    "dots": "." * LONG,
    "dollars": "$" * LONG,
    "escapes": "\\" * LONG,
    "numbered": "1. " * LONG,
    "notes": " dd" * LONG,
    "probabilities": "[a]:1;" * LONG,
    "properties": "property " * LONG,
}


def timed(door: Callable[[str], object], text: str) -> tuple[float, str]:
    """CPU seconds, and what the door makes of the text; without the collector, which looks at
    whatever other tests have left."""
    gc.disable()
    start = time.process_time()
    try:
        found = outcome(door, text, longest=1500)
    finally:
        gc.enable()
    return time.process_time() - start, found


@pytest.mark.parametrize("name", HOSTILE)
def test_long_runs_are_read_in_linear_time(name: str) -> None:
    run = HOSTILE[name]
    doors = {format: (lambda text, f=format: CausalGraph.parse(text, f)) for format in SEEDS}
    doors["query"] = Query.parse
    for format, door in doors.items():
        seed = SEEDS[format][0] if format in SEEDS else QUERIES[0]
        middle = len(seed) // 2
        for text in (run, seed + run, run + seed, seed[:middle] + run + seed[middle:]):
            spent, found = timed(door, text)
            if spent > 0.5:  # an eighth of it takes an eighth of the time, not a 64th
                part, _ = timed(door, text.replace(run, run[: len(run) // 8]))
                assert spent < 24 * part, (format, text[:40])
            assert found in ("answered", "refused"), (format, found[:300])


@pytest.mark.parametrize(
    ("format", "start", "middle", "end"),
    [
        ("dot", "digraph { ", "{", ""),
        ("dot", "digraph { a [label=", "<", ">"),
        ("json", "", '{"nodes": ', ""),
        ("json", '{"nodes": ', "[", ""),
        ("gml", "graph ", "[ a ", "]"),
        ("graphml", "<graphml>", "<a>", ""),
        ("xdsl", "<smile><nodes>", "<submodel>", ""),
        ("bif", "network n ", "{", "}"),
        ("lavaan", "y ~ ", "(", ")"),
    ],
)
def test_deep_nesting_is_refused(format: str, start: str, middle: str, end: str) -> None:
    text = start + middle * LONG + end * LONG
    with pytest.raises(CausalPlugError) as caught:
        CausalGraph.parse(text, format)
    assert len(str(caught.value)) < 500


def test_long_numbers_and_names_are_refused_or_read() -> None:
    number = "9" * 5000
    for text in ('{"nodes": [%s]}', '{"nodes": [0, 1], "links": [[0, %s]]}'):
        with pytest.raises(CausalPlugError, match="too many digits"):
            CausalGraph.parse(text % number, "json")
    with pytest.raises(CausalPlugError) as caught:
        CausalGraph.parse(f"{'x' * LONG} -> Y -> {'x' * LONG}")
    assert len(str(caught.value)) < 500
    long_cycle = " -> ".join([*(f"V{i}" for i in range(5000)), "V0"])
    with pytest.raises(CausalPlugError, match="4988 more") as caught:
        CausalGraph.parse(long_cycle)
    assert len(str(caught.value)) < 500


def test_groups_that_make_too_many_edges_are_refused() -> None:
    left, right = (", ".join(f"{side}{i}" for i in range(1500)) for side in "AB")
    for format, text in (
        ("text", f"{left} -> {right}"),
        ("dot", f"digraph {{ {{{left}}} -> {{{right}}} }}"),
    ):
        with pytest.raises(CausalPlugError, match="more than 2,000,000 edges"):
            CausalGraph.parse(text, format)
