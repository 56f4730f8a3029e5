"""One confounder noise for every maximal clique of bidirected edges."""

import itertools
import random

import networkx as nx
import pytest

from causalplug.graphs.confounders import confounder_cliques, confounder_key
from causalplug.graphs.graph import CausalGraph


def bidirected(n: int, edges: list[tuple[int, int]]) -> CausalGraph:
    names = [f"V{i}" for i in range(n)]
    return CausalGraph.from_edges(
        directed=[], bidirected=[(names[a], names[b]) for a, b in edges], variables=names
    )


@pytest.mark.parametrize("seed", range(60))
def test_the_maximal_cliques_are_those_of_networkx(seed):
    draw = random.Random(seed)
    n = draw.randint(2, 9)
    density = draw.choice([0.2, 0.5, 0.9])
    edges = [pair for pair in itertools.combinations(range(n), 2) if draw.random() < density]
    graph = bidirected(n, edges)
    found = confounder_cliques(graph)
    expected = (
        {frozenset(c) for c in nx.find_cliques(nx.Graph(graph.bidirected))} if edges else set()
    )
    assert not found.covered
    assert len(found.cliques) == len(expected)
    assert {frozenset(clique) for clique in found.cliques} == expected


def test_very_many_cliques_are_covered_by_few():
    """Twenty pairs without an edge between the two of a pair: 2 ** 20 maximal cliques."""
    edges = [(a, b) for a, b in itertools.combinations(range(40), 2) if a // 2 != b // 2]
    graph = bidirected(40, edges)
    found = confounder_cliques(graph)
    assert found.covered == (graph.variables,)
    pairs = {frozenset(p) for clique in found.cliques for p in itertools.combinations(clique, 2)}
    assert pairs == {frozenset(edge) for edge in graph.bidirected}
    assert len(found.cliques) <= 80


def test_a_long_path_costs_time_in_proportion():
    graph = bidirected(3000, [(i, i + 1) for i in range(2999)])
    assert len(confounder_cliques(graph).cliques) == 2999


def test_the_noise_of_an_edge_keeps_its_name():
    assert confounder_key(("D", "A")) == "A<->D"
    assert confounder_key(("C", "A", "B")) == "A<->B<->C"
