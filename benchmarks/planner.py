"""Planning time and memory against the size of the graph; prints the table of docs/planning.md.

    python benchmarks/planner.py                  # all sizes, a minute or two
    python benchmarks/planner.py --largest 400    # a few seconds

Graphs are drawn uniformly: ordered pairs for directed edges, unordered ones for confounders.
Seconds are CPU time of ``plan(graph)`` with one observational source, the median of several graphs;
building the graph is timed apart.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
import tracemalloc

from causalplug.graphs.graph import CausalGraph
from causalplug.planning.plan import Plan, plan

__all__ = ["FAMILIES", "measure", "random_graph"]

FAMILIES = {
    "sparse": (
        "1.5 n causes, n/3 confounders",
        lambda n: (3 * n // 2, n // 3),
        (50, 100, 200, 400, 1000, 10_000),
    ),
    "medium": (
        "2 n causes, n/2 confounders",
        lambda n: (2 * n, n // 2),
        (50, 100, 200, 400, 1000, 10_000),
    ),
    "wide": (
        "3 n causes, 0.3 n confounders",
        lambda n: (3 * n, 3 * n // 10),
        (1000, 10_000, 30_000),
    ),
    "dense": (
        "0.4 of all pairs, causes and confounders",
        lambda n: (n * (n - 1) // 5,) * 2,
        (50, 100, 200, 400, 800),
    ),
    "few": (
        "0.4 of all pairs causes, n/20 confounders",
        lambda n: (n * (n - 1) // 5, n // 20),
        (100, 200, 400, 800),
    ),
}


def random_graph(size: int, directed: int, bidirected: int, seed: int) -> CausalGraph:
    """A graph with these numbers of edges, its topological order hidden from the declared one."""
    rng = random.Random(seed)
    names = [f"V{i}" for i in range(size)]
    order = rng.sample(names, size)
    edges = []
    for count in (directed, bidirected):
        drawn: set[tuple[int, int]] = set()
        while len(drawn) < count:
            i, j = rng.randrange(size), rng.randrange(size)
            if i != j:
                drawn.add((min(i, j), max(i, j)))
        edges.append([(order[i], order[j]) for i, j in sorted(drawn)])
    return CausalGraph.from_edges(*edges, variables=names)


def measure(
    size: int, directed: int, bidirected: int, repeats: int
) -> tuple[float, float, float, Plan]:
    """Median CPU seconds for building and for planning, peak MiB of planning, and the last plan."""
    building, planning = [], []
    for seed in range(repeats):
        start = time.process_time()
        graph = random_graph(size, directed, bidirected, seed)
        built = time.process_time()
        made = plan(graph)
        building.append(built - start)
        planning.append(time.process_time() - built)
    tracemalloc.start()
    plan(graph)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return statistics.median(building), statistics.median(planning), peak / 2**20, made


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--largest", type=int, default=30_000, help="leave out larger graphs")
    parser.add_argument("--repeats", type=int, default=5, help="graphs per row")
    parser.add_argument("--families", nargs="*", choices=FAMILIES, default=list(FAMILIES))
    options = parser.parse_args()
    print(
        "| graphs | variables | causes | confounders | modules | largest | build s | plan s | "
        "peak MiB |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for family in options.families:
        words, edges, sizes = FAMILIES[family]
        for size in sizes:
            if size > options.largest:
                continue
            directed, bidirected = edges(size)
            built, planned, peak, made = measure(size, directed, bidirected, options.repeats)
            largest = max(len(module.variables) for module in made.modules)
            print(
                f"| {words} | {size:,} | {directed:,} | {bidirected:,} | {len(made.modules):,} | "
                f"{largest:,} | {built:.3f} | {planned:.4f} | {peak:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
