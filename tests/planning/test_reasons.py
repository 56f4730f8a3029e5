"""Explanations: the paths that they draw are in the graph, and the sentences name what the plan
uses."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.planning.plan import plan
from causalplug.planning.reasons import confounding_paths, returning_path
from tests.graph_cases import NAMED, random_admg, ring


def edges_of(path: str) -> list[tuple[str, str, str]]:
    parts = re.split(r" (<->|<-) ", path)
    return [(parts[i], parts[i + 1], parts[i + 2]) for i in range(0, len(parts) - 2, 2)]


def check_path(graph: CausalGraph, path: str, members: tuple[str, ...], through: set[str]) -> None:
    """The path starts and ends in the module, runs outside it, and begins with a directed path."""
    steps = edges_of(path)
    for left, arrow, right in steps:
        assert (
            (right, left) in graph.directed if arrow == "<-" else left in graph.siblings(right)
        ), path
    inner = {step[2] for step in steps[:-1]}
    assert steps[0][0] in members
    assert steps[-1][2] in members
    assert inner & through
    assert not inner & set(members)
    assert inner <= graph.closure(members)
    directed = [i for i, step in enumerate(steps) if step[1] == "<->"] or [len(steps)]
    assert directed[0] > 0, "it returns along a directed edge"


def test_returning_paths_of_random_plans_are_in_the_graph() -> None:
    drawn = 0
    for seed in range(300):
        graph = random_admg(seed, 9, 0.3, 0.2)
        made = plan(graph)
        for module in made.modules:
            for other in made.requires(module.variables) if module.action == "train" else ():
                through = set(module.ancestors) & set(other.variables)
                check_path(
                    graph,
                    returning_path(graph, module.variables, through),
                    module.variables,
                    through,
                )
                drawn += 1
    assert drawn > 60


def test_confounding_paths_reach_the_whole_component() -> None:
    for seed in range(100):
        graph = random_admg(seed, 9, 0.2, 0.3)
        for part in graph.c_components():
            for start in part:
                paths = [path.split(" <-> ") for path in confounding_paths(graph, start, part)]
                assert {v for path in paths for v in path} | {start} == part
                for path in paths:
                    assert path[0] == start
                    assert all(b in graph.siblings(a) for a, b in pairwise(path))


def test_the_front_door_in_sentences() -> None:
    graph = CausalGraph.parse(NAMED["front-door"])
    made = plan(
        graph,
        [Source(list("DIA"), name="survey"), Source(list("DI"), name="images")],
        available={"I": "someone/mnist"},
    )
    assert made.explain("A").splitlines() == [
        "Module 2 of 2, generation 2 (TRAIN): D, A.",
        "A is trained together with what hidden confounders tie to it: A <-> D.",
        "It waits for {I} and is trained through all of it, frozen: A <- I <- D leaves it and "
        "returns.",
        "Source survey gives P(D, I, A), its own c-factor (compared: D, I, A; frozen: I).",
        "Source images is not used: it does not record A.",
    ]
    assert made.explain("I").splitlines() == [
        "Module 1 of 2, generation 1 (PULL): I.",
        "I is a module of its own: no bidirected edge touches it.",
        "It has to be there before {D, A}.",
        "I from someone/mnist: pulled, for no hidden confounder touches I, so its mechanism is "
        "P(I | D) and any generator of that will do; its labels are checked when it is loaded.",
        "It is not trained, so it needs no data.",
    ]


def test_a_merge_is_explained_by_both_paths() -> None:
    text = plan(CausalGraph.parse(NAMED["two that need each other"])).explain("Z2")
    assert "Z2 <-> Z1" in text
    assert "{Z1, Z2} is trained through {X1, X2} (Z2 <- X2 <- Z1)" in text
    assert "{X1, X2} is trained through {Z1, Z2} (X2 <- Z1 <- X1)" in text


@pytest.mark.parametrize("size", [3, 5, 12])
def test_a_ring_is_explained_once_around(size: int) -> None:
    text = plan(ring(size)).explain("A1")
    assert text.count("is trained through") == size
    assert "Neither can come first" in text


def test_every_use_of_a_source_has_its_reason() -> None:
    graph = CausalGraph.parse(NAMED["sachs"])
    sources = [
        Source(graph.variables, name="obs"),
        Source(["Mek"], do=["PKA"], name="experiment"),
        Source(["Erk"], name="part"),
        Source(["Akt"], do=["PKA", "Mek"], name="both"),
        Source(graph.variables, do={"Mek": 1}, name="fixed"),
    ]
    made = plan(graph, sources)
    lines = {
        line.split()[1]: line
        for line in made.explain("Mek").splitlines()
        if line.startswith("Source")
    }
    assert "its own c-factor" in lines["obs"]
    assert "a further c-factor, since PKA was set there" in lines["experiment"]
    assert "does not record PKA, Mek" in lines["part"]
    assert "it sets PKA, Mek and records nothing else" in lines["both"]
    assert "sets Mek to certain values only" in made.explain("Erk")
    front = CausalGraph.parse(NAMED["front-door"])
    text = plan(
        front, [Source(list("DIA"), name="obs"), Source(list("DIA"), do=["I"], name="do(I)")]
    ).explain("A")
    assert "Source obs is not used: 1 variable would have to be frozen instead of 0." in text


def test_explanations_of_every_module_of_random_plans() -> None:
    for seed in range(40):
        graph = random_admg(seed, 9, 0.3, 0.3)
        made = plan(graph)
        for name in graph.variables:
            lines = made.explain(name).splitlines()
            assert lines[0].startswith("Module ")
            assert all(line.endswith((".", ":")) for line in lines)
