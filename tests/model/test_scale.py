"""Planning, building, sampling and a step of training cost in proportion to the variables."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import causalplug as cp
from tests.counting import calls

SIZES = (80, 320)
MOST = 5.0  # times, where the variables are four times as many; a square would be 16


def chain(size, hidden=False):
    names = [f"V{i}" for i in range(size)]
    edges = list(pairwise(names))
    return cp.CausalGraph.from_edges(edges, edges if hidden else [], names)


def plan(graph):
    cp.plan(
        graph,
        [cp.Source(recorded=graph.variables)],
        kinds=dict.fromkeys(graph.variables, "discrete"),
    )


def build(graph):
    return cp.DCM(graph, {name: cp.Discrete(2) for name in graph.variables}, hidden=(4,))


def sample(graph):
    dcm = build(graph)
    return calls(lambda: dcm.sample(20, progress=False))


def fit(graph):
    dcm, random = build(graph), np.random.default_rng(0)
    rows = {name: random.integers(0, 2, 60) for name in graph.variables}
    return calls(
        lambda: cp.fit(
            dcm,
            rows,
            steps=2,
            progress=False,
            objective="likelihood",
            check_graph=False,
            check_overlap=False,
        )
    )


WORK = {
    "plan": lambda graph: calls(lambda: plan(graph)),
    "build": lambda graph: calls(lambda: build(graph)),
    "sample": sample,
    "fit": fit,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("work", WORK)
def test_cost_is_in_proportion_to_the_variables(work):
    WORK[work](chain(4))  # what is imported on the way
    small, large = (WORK[work](chain(size)) for size in SIZES)
    assert large / small < MOST


@pytest.mark.parametrize("work", ["plan", "build"])
def test_a_component_of_many_variables_costs_in_proportion_to_them(work):
    WORK[work](chain(4, hidden=True))
    small, large = (WORK[work](chain(size, hidden=True)) for size in (100, 400))
    assert large / small < MOST


def test_ancestors_under_an_intervention_are_those_of_the_mutilated_graph():
    graph = cp.CausalGraph.parse("A -> B -> C -> D; E -> C; E -> D; A <-> D; F -> E")
    for do in ([], ["C"], ["B", "E"], ["D"], ["A", "C", "E"]):
        for name in graph.variables:
            assert graph.ancestors([name], do=do) == graph.do(do).ancestors([name])
    assert graph.in_order("DABF") == tuple(n for n in graph.topological_order() if n in "DABF")
