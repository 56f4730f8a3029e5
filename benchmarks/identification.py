"""Identification: time against the size of the graph, and random cases against exact truths.

    python benchmarks/identification.py                  # seconds per query, a minute
    python benchmarks/identification.py --validate 2000  # 2,000 random estimands on exact tables

Times are CPU time of ``identify`` (the yes or no) and of the reason, medians over several graphs;
building the graph and its bit sets is not counted.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

from causalplug.graphs.bits import BitGraph
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.identification.identification import identify

__all__ = ["FAMILIES", "measure", "random_graph", "validate"]

FAMILIES = {
    "sparse": ("2 n causes, n/3 confounders", lambda n: (2 * n, n // 3), (50, 200, 1000, 2000)),
    "dense": (
        "0.4 of all pairs causes, n confounders",
        lambda n: (n * (n - 1) // 5, n),
        (50, 200, 500),
    ),
    "full": ("all pairs causes, no confounder", lambda n: (n * (n - 1) // 2, 0), (50, 200)),
}


def random_graph(size: int, directed: int, bidirected: int, seed: int) -> CausalGraph:
    """A graph over V0, V1, ... in topological order with these numbers of edges."""
    rng = random.Random(seed)
    pairs = [(f"V{i}", f"V{j}") for i in range(size) for j in range(i + 1, size)]
    return CausalGraph.from_edges(
        rng.sample(pairs, directed), rng.sample(pairs, bidirected), [f"V{i}" for i in range(size)]
    )


def queries(size: int) -> dict[str, str]:
    """One question of each kind: the effect of an early variable on the last one."""
    x, z, y = f"V{size // 4}", f"V{size // 2}", f"V{size - 1}"
    return {
        "P(Y | do(X))": f"P({y} | do({x}))",
        "P(Y | do(X), Z=1)": f"P({y} | do({x}), {z}=1)",
        "P(Y_{X=1} | X=0)": f"P({y}_{{{x}=1}} | {x}=0)",
        "partial": f"P({y} | do({x}))",
    }


def measure(
    size: int, directed: int, bidirected: int, repeats: int
) -> dict[str, tuple[float, float, Counter[str]]]:
    """Per kind of query, median CPU seconds of the decision and of its explanation, and how often
    it got which status.

    "partial" asks the first question of three sources that each leave out a seventh of the
    variables.
    """
    times: dict[str, list[tuple[float, float]]] = {}
    statuses: dict[str, Counter[str]] = {}
    for seed in range(repeats):
        graph = random_graph(size, directed, bidirected, seed)
        BitGraph.of(graph)
        ends = {f"V{size // 4}", f"V{size - 1}"}
        parts = [
            Source([v for i, v in enumerate(graph.variables) if i % 7 != k or v in ends])
            for k in range(3)
        ]
        for kind, text in queries(size).items():
            start = time.process_time()
            result = identify(graph, text, parts if kind == "partial" else None)
            decided = time.process_time()
            _ = result.reason
            explained = time.process_time()
            times.setdefault(kind, []).append((decided - start, explained - decided))
            statuses.setdefault(kind, Counter())[result.status] += 1
    return {
        kind: (
            statistics.median(t for t, _ in found),
            statistics.median(t for _, t in found),
            statuses[kind],
        )
        for kind, found in times.items()
    }


def validate(cases: int, largest: int) -> None:
    """Random identified queries: the formula on exact tables against the exact model."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import numpy as np

    from causalplug.identification.evaluate import evaluate
    from tests.random_cases import random_case
    from tests.scm import exact_tables, random_scm

    statuses: Counter[str] = Counter()
    worst, checked, seed = 0.0, 0, 0
    start = time.process_time()
    while checked < cases:
        seed += 1
        case = random_case(np.random.default_rng([61, seed]), n=(3, largest))
        result = identify(case.graph, case.query, case.sources, domains=case.domains)
        statuses[result.status] += 1
        if not result:
            continue
        scm = random_scm(case.graph, case.cardinality, seed)
        estimate = evaluate(
            result.estimand, exact_tables(scm, case.sources), categories=case.domains
        )
        error = np.nanmax(np.abs(scm.probability(case.query) - estimate.values), initial=0.0)
        worst, checked = max(worst, float(error)), checked + 1
        if error > 1e-9:
            print(f"off by {error:.1e}: {case}")
    seconds = time.process_time() - start
    print(f"{seed} random questions: {dict(statuses)}")
    print(
        f"{checked} formulas on exact tables, up to {largest} variables: largest error "
        f"{worst:.1e}; {seconds:.0f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--largest", type=int, default=10_000, help="leave out larger graphs")
    parser.add_argument("--repeats", type=int, default=5, help="graphs per size")
    parser.add_argument(
        "--validate", type=int, default=0, metavar="N", help="check N random formulas"
    )
    parser.add_argument(
        "--variables", type=int, default=7, help="variables of the largest graph of --validate"
    )
    arguments = parser.parse_args()
    print(f"{'graph':8} {'variables':>9}  " + "".join(f"{kind:>28}" for kind in queries(8)))
    for name, (edges, count, sizes) in FAMILIES.items():
        print(f"{name}: {edges}; ms to decide + ms to explain, and the share that is identifiable")
        for size in sizes:
            if size > arguments.largest:
                continue
            row = measure(size, *count(size), repeats=arguments.repeats)
            cells = [
                f"{1e3 * decide:.1f} + {1e3 * explain:.1f} "
                f"({found['identifiable'] / found.total():.1f})"
                for decide, explain, found in row.values()
            ]
            print(f"{'':8} {size:>9}  " + "".join(f"{cell:>28}" for cell in cells), flush=True)
    if arguments.validate:
        validate(arguments.validate, arguments.variables)


if __name__ == "__main__":
    main()
