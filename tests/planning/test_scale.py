"""Large graphs: time, memory, and the modules' guarantees where an exhaustive check is out of
reach."""

from __future__ import annotations

import random
import subprocess
import sys
import tracemalloc
from itertools import pairwise

import pytest

from causalplug.graphs.graph import CausalGraph
from causalplug.planning.plan import Plan, plan
from tests.counting import calls


def random_graph(size: int, directed: int, bidirected: int, seed: int = 0) -> CausalGraph:
    """A graph with these numbers of edges between uniformly drawn pairs."""
    rng = random.Random(seed)
    names = [f"V{i}" for i in range(size)]
    order = rng.sample(names, size)
    pairs = []
    for count in (directed, bidirected):
        drawn: set[tuple[int, int]] = set()
        while len(drawn) < count:
            i, j = rng.randrange(size), rng.randrange(size)
            if i != j:
                drawn.add((min(i, j), max(i, j)))
        pairs.append([(order[i], order[j]) for i, j in sorted(drawn)])
    return CausalGraph.from_edges(*pairs, variables=names)


def check(made: Plan) -> None:
    """Every module is a union of c-components and all of its closure is there before; closures
    are spot-checked."""
    graph = made.graph
    part_of = {v: part for part in graph.c_components() for v in part}
    there: set[str] = set()
    for module in made.modules:
        members = set(module.variables)
        assert all(part_of[v] <= members for v in members)
        if len(members) > 1 and (module.ancestors or random.Random(len(there)).random() < 0.1):
            assert set(module.ancestors) == graph.closure(members) - members
        assert there.issuperset(module.ancestors)
        there |= members
    assert there == set(graph.variables)


@pytest.mark.parametrize(
    ("size", "directed", "bidirected"),
    [(400, 32_000, 160), (400, 32_000, 32_000), (400, 800, 200), (10_000, 30_000, 3_000)],
)
def test_the_cost_is_in_proportion_to_the_graph(size: int, directed: int, bidirected: int) -> None:
    graph = random_graph(size, directed, bidirected)
    made: list[Plan] = []
    assert calls(lambda: made.append(plan(graph))) < 100 * (size + directed + bidirected)
    check(made[0])


def test_memory_is_in_proportion_to_the_graph() -> None:
    graph = random_graph(4_000, 12_000, 1_200)
    tracemalloc.start()
    made = plan(graph)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(made.modules) > 2_000
    assert held < 4_000 * 2**10
    assert peak < 4_000 * 2**12


def merged_step_by_step(graph: CausalGraph) -> dict[frozenset[str], frozenset[str]]:
    """Every module with its closure, by the definition: components are merged two by two until
    none needs the other."""
    parts = list(graph.c_components())
    while True:
        closed = {part: graph.closure(part) for part in parts}
        needs = {
            part: {other for other in parts if other != part and closed[part] & other}
            for part in parts
        }
        reached = {part: set(near) for part, near in needs.items()}
        for middle in parts:
            for part in parts:
                if middle in reached[part]:
                    reached[part] |= reached[middle]
        tied = next(((a, b) for a in parts for b in reached[a] if a in reached[b] and a != b), None)
        if tied is None:
            return closed
        parts = [part for part in parts if part not in tied] + [tied[0] | tied[1]]


def test_larger_graphs_agree_with_merging_step_by_step() -> None:
    merged = frozen = 0
    for seed in range(600):
        rng = random.Random(seed)
        size = rng.randint(10, 30)
        graph = random_graph(size, rng.randint(size, 4 * size), rng.randint(3, size // 2), seed)
        expected = merged_step_by_step(graph)
        made = plan(graph)
        found = {frozenset(m.variables): frozenset(m.variables + m.ancestors) for m in made.modules}
        assert found == expected
        merged += len(graph.c_components()) - len(found)
        frozen += sum(len(m.ancestors) for m in made.modules)
    assert min(merged, frozen) > 200


def test_what_one_closure_passed_by_counts_once_two_are_merged() -> None:
    """L = {l1, l2, l3} and T = {t1, t2, t3} need each other; s is tied to r in closure(T) but is
    above L only."""
    graph = CausalGraph.parse(
        "l1 -> t3 -> l2; t1 -> r, w -> t2; w2 -> l3 -> t2; s -> l2;l1 <-> l2 <-> l3; t2 <-> t1 "
        "<-> t3; r <-> s; w <-> w2"
    )
    assert "s" not in graph.closure(["t1", "t2", "t3"]) | graph.closure(["l1", "l2", "l3"])
    for order in (graph.variables, sorted(graph.variables), sorted(graph.variables, reverse=True)):
        made = plan(CausalGraph.from_edges(graph.directed, graph.bidirected, order))
        assert set(made.module("t1").variables) == {"l1", "l2", "l3", "t1", "t2", "t3"}
        assert set(made.module("t1").ancestors) == {"r", "s", "w", "w2"}


def test_long_chains_with_nested_confounders() -> None:
    size = 1000
    names = [f"V{i}" for i in range(size)]
    nested = [(names[i], names[-1 - i]) for i in range(size // 2)]
    made = plan(CausalGraph.from_edges(list(pairwise(names)), nested))
    assert len(made.modules) == size // 2
    assert len(made.edges) == size // 2 - 1
    assert len(made.generations) == size // 2
    crossing = [(names[i], names[i + size // 2]) for i in range(size // 2)]
    assert len(plan(CausalGraph.from_edges(list(pairwise(names)), crossing)).modules) == 1


def test_planning_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from causalplug.graphs.graph import CausalGraph\n"
        "from causalplug.planning.plan import plan\n"
        "made = plan(CausalGraph.parse('D -> I -> A; D <-> A'))\n"
        "str(made), made.explain('A'), made.to_markdown(), made.to_dot(), made.to_dict()\n"
        "heavy = {'torch', 'networkx', 'pandas', 'numpy', 'matplotlib', 'scipy'} & "
        "set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
