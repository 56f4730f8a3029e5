"""The text form of a graph: what is understood, and where a mistake is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causalplug.errors import GraphError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.text import parse_graph

NAMES = st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=5, unique=True)


@pytest.mark.parametrize(
    ("text", "variables", "directed", "bidirected"),
    [
        ("D -> I -> A; D <-> A", "DIA", "DI IA", "DA"),
        ("A -> B <- C <-> D", "ABCD", "AB CB", "CD"),
        ("A, B -> C, D", "ABCD", "AC AD BC BD", ""),
        ("A\nB\n\nC <-> A", "ABC", "", "CA"),
        ("A ->\n  B,\n  C", "ABC", "AB AC", ""),
        ("# causes\nA -> B  // of B\n", "AB", "AB", ""),
        ("A→B↔C←D", "ABCD", "AB DC", "BC"),
        ("A --> B <-- C <--> D", "ABCD", "AB CB", "CD"),
        ("o->p<-q; o-o", "o p q o-o", "op qp", ""),
        ("", "", "", ""),
    ],
)
def test_texts_are_read(text: str, variables: str, directed: str, bidirected: str) -> None:
    pairs = [[tuple(edge) for edge in edges.split()] for edges in (directed, bidirected)]
    assert parse_graph(text) == (variables.split() if " " in variables else list(variables), *pairs)


def test_names_may_have_dots_dashes_digits_and_quotes() -> None:
    names, directed, _ = parse_graph(
        '"blood pressure" -> heart-rate -> y.1; 14 -> µ_3; "say \\"no\\"" -> x\''
    )
    assert names == ["blood pressure", "heart-rate", "y.1", "14", "µ_3", 'say "no"', "x'"]
    assert len(directed) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A -> B\nA -- B", "'--' at line 2, column 3 is an undirected edge"),
        ("A - B", "'-' at line 1, column 3 is an undirected"),
        ("A o-> B", "the edge at line 1, column 3 has a circle"),
        ("A <-o B", "the edge at line 1, column 7 has a circle"),
        ("A o-o B", "the edge at line 1, column 3 has a circle"),
        ("A ->", "no variable follows '->' at line 1, column 3"),
        ("A -> ; B", "no variable follows '->'"),
        ("A B", "'B' at line 1, column 3 stands where an arrow"),
        ("-> B", "'->' at line 1, column 1 stands where a variable"),
        ("A -> -> B", "stands where a variable"),
        ("A -> B & C", "unexpected '&' at line 1, column 8"),
    ],
)
def test_mistakes_are_located(text: str, message: str) -> None:
    with pytest.raises(GraphError, match=re.escape(message)):
        CausalGraph.parse(text)


@settings(max_examples=200, deadline=None)
@given(NAMES, st.data())
def test_any_names_round_trip(names: list[str], data: st.DataObject) -> None:
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    directed = [pair for pair in pairs if data.draw(st.booleans())]
    bidirected = [pair for pair in pairs if data.draw(st.booleans())]
    graph = CausalGraph(tuple(names), tuple(directed), tuple(bidirected))
    assert CausalGraph.parse(str(graph)) == graph
