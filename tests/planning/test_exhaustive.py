"""Closures, modules, order and coverage against an exhaustive second implementation, on random
graphs and sources."""

from __future__ import annotations

import os
import random

import pytest

from causalplug.errors import PlanError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.planning.plan import Plan, plan
from tests.graph_cases import NAMED, random_admg, ring
from tests.planning.oracle import Oracle

CASES = 20_000 if os.environ.get("CAUSALPLUG_EXHAUSTIVE") else 2000
BLOCK = 100


def random_case(seed: int) -> tuple[CausalGraph, list[Source]]:
    rng = random.Random(seed)
    size = rng.randint(1, 9)
    graph = random_admg(seed, size, rng.uniform(0.1, 0.5), rng.uniform(0.05, 0.35))
    sources = []
    for _ in range(rng.randint(1, 4)):
        kept = rng.random() < 0.6
        recorded = [v for v in graph.variables if kept or rng.random() < 0.8] or list(
            graph.variables
        )
        do = [v for v in graph.variables if rng.random() < rng.choice([0.0, 0.15, 0.3])]
        sources.append(Source(recorded, do=do))
    if rng.random() < 0.7:
        sources.insert(rng.randrange(len(sources) + 1), Source(graph.variables))
    return graph, sources


def offers(truth: Oracle, module: frozenset[str], source: Source) -> frozenset[str]:
    """T for one source by THEORY's definition, or the empty set if the source cannot serve the
    module."""
    inside = module & source.do
    start = (module - source.do) & source.recorded if inside else module
    if not start:
        return frozenset()
    cut = truth.do(source.do)
    target = cut.closure(start)
    return target if target | cut.parents(target) <= source.recorded else frozenset()


def check_order(made: Plan, truth: Oracle) -> None:
    parts, needs = truth.modules()
    assert {frozenset(module.variables) for module in made.modules} == parts
    assert {(frozenset(a), frozenset(b)) for a, b in made.edges} == Oracle.reduced(needs)
    there: set[str] = set()
    for module in made.modules:
        closed = truth.closure(module.variables)
        assert set(module.ancestors) == closed - set(module.variables)
        assert set(module.parents) == truth.parents(closed)
        assert set(module.ancestors) <= there, "something frozen is trained later"
        for target in module.targets:
            assert set(target.frozen) <= there
        there.update(module.variables)
    earlier: set[str] = set()
    for generation in made.generations:
        assert all(set(module.ancestors) <= earlier for module in generation)
        earlier.update(v for module in generation for v in module.variables)


def check_targets(made: Plan, truth: Oracle) -> None:
    for module in made.modules:
        members = frozenset(module.variables)
        possible = {str(source.name): offers(truth, members, source) for source in made.sources}
        own = [s for s in made.sources if possible[str(s.name)] and not members & s.do]
        fewest = min(len(possible[str(s.name)] - members) for s in own)
        first = next(s for s in own if len(possible[str(s.name)] - members) == fewest)
        frozen = possible[str(first.name)] - members
        expected = {str(s.name) for s in own if possible[str(s.name)] - members == frozen}
        expected |= {str(s.name) for s in made.sources if possible[str(s.name)] and members & s.do}
        assert {target.source for target in module.targets} == expected
        for target in module.targets:
            source = made.source(target.source)
            found = possible[target.source]
            parents = truth.do(source.do).parents(found)
            assert set(target.variables) == found
            assert set(target.parents) == parents
            assert set(target.given) == parents | source.do
            assert set(target.do) == source.do
            assert set(target.updated) == found & members
            assert set(target.frozen) == found - members
            assert target.role == ("further" if members & source.do else "own")


@pytest.mark.parametrize("start", range(0, CASES, BLOCK))
def test_random_cases_agree(start: int) -> None:
    covered = 0
    for seed in range(start, start + BLOCK):
        graph, sources = random_case(seed)
        truth = Oracle.of(graph)
        parts, _ = truth.modules()
        served = all(
            any(offers(truth, part, s) and not part & s.do for s in sources) for part in parts
        )
        if served:
            made = plan(graph, sources)
            check_order(made, truth)
            check_targets(made, truth)
            covered += 1
        else:
            with pytest.raises(PlanError, match="no source gives its own c-factor"):
                plan(graph, sources)
    assert covered >= BLOCK // 3, "too few cases with enough data to mean anything"


@pytest.mark.parametrize("start", range(0, CASES, BLOCK))
def test_closures_of_any_set_agree_and_are_unique(start: int) -> None:
    for seed in range(start, start + BLOCK):
        rng = random.Random(seed)
        graph = random_admg(seed, rng.randint(2, 9), rng.uniform(0.1, 0.5), rng.uniform(0.05, 0.35))
        truth = Oracle.of(graph)
        wanted = [v for v in graph.variables if rng.random() < 0.3] or [graph.variables[0]]
        cut = [v for v in graph.variables if rng.random() < 0.2]
        closures = truth.do(cut).closures(set(wanted) - set(cut))
        assert closures == [graph.closure(wanted, do=cut)]


@pytest.mark.parametrize("name", NAMED)
def test_named_graphs_agree(name: str) -> None:
    graph = CausalGraph.parse(NAMED[name])
    check_order(plan(graph), Oracle.of(graph))


@pytest.mark.parametrize("size", range(3, 13))
def test_rings_merge_into_one_module(size: int) -> None:
    graph = ring(size)
    parts = graph.c_components()
    met = [
        [i for i, other in enumerate(parts) if other != part and graph.closure(part) & other]
        for part in parts
    ]
    assert len(parts) == size
    assert all(len(row) == 1 for row in met), "every component meets exactly one other"
    walked = [0]
    while (step := met[walked[-1]][0]) not in walked:
        walked.append(step)
    assert len(walked) == size, "there is no smaller circle"
    made = plan(graph)
    assert [set(module.variables) for module in made.modules] == [set(graph.variables)]
    assert made.edges == ()
