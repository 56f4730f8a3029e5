"""Large graphs: time, memory, and the modules' guarantees where an exhaustive check is out of reach."""

from __future__ import annotations

import random
import subprocess
import sys
import time
import tracemalloc
from itertools import pairwise

import pytest

from causalplug.causal.graph import CausalGraph
from causalplug.causal.plan import Plan, plan


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
    """Every module is a union of c-components and all of its closure is there before; closures are spot-checked."""
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
    ("size", "directed", "bidirected", "seconds"),
    [(400, 32_000, 160, 1.0), (400, 32_000, 32_000, 1.0), (400, 800, 200, 1.0), (10_000, 30_000, 3_000, 10.0)],
)
def test_time_stays_within_bounds(size: int, directed: int, bidirected: int, seconds: float) -> None:
    graph = random_graph(size, directed, bidirected)
    start = time.process_time()
    made = plan(graph)
    assert time.process_time() - start < seconds
    check(made)


def test_memory_is_in_proportion_to_the_graph() -> None:
    graph = random_graph(4_000, 12_000, 1_200)
    tracemalloc.start()
    made = plan(graph)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(made.modules) > 2_000
    assert held < 4_000 * 2**10
    assert peak < 4_000 * 2**12


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
        "from causalplug.causal.graph import CausalGraph\n"
        "from causalplug.causal.plan import plan\n"
        "made = plan(CausalGraph.parse('D -> I -> A; D <-> A'))\n"
        "str(made), made.explain('A'), made.to_markdown(), made.to_dot(), made.to_dict()\n"
        "heavy = {'torch', 'networkx', 'pandas', 'numpy', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
