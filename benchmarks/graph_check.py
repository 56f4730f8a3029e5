"""How often ``check_graph`` rejects true graphs, and graphs that lack an edge.

    python -m benchmarks.graph_check             # 200 true graphs and 200 with one edge removed
    python -m benchmarks.graph_check --graphs 40

Random graphs of five to seven variables, a fifth of the pairs confounded, with linear Gaussian,
binary, mixed and non-linear mechanisms in turn; 2,000 rows each. An edge counts as one that the
rows can show if its removal makes a constraint whose association, in 100,000 rows, is at least .1.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter

import numpy as np

from causalplug.checks.graph_check import check_graph
from causalplug.graphs.graph import CausalGraph

KINDS = ("linear", "binary", "mixed", "non-linear")


def random_graph(random: np.random.Generator) -> CausalGraph:
    """Five to seven variables, four in ten pairs joined by an arrow, one in ten by a confounder."""
    names = [chr(ord("A") + i) for i in range(int(random.integers(5, 8)))]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    directed = [pair for pair in pairs if random.random() < 0.4]
    bidirected = [pair for pair in pairs if random.random() < 0.1]
    return CausalGraph.from_edges(directed, bidirected, names)


def rows_of(graph: CausalGraph, kind: str, count: int, seed: int, mechanisms: int):
    """Rows of a random model of ``graph``; ``mechanisms`` seeds the model, ``seed`` the rows."""
    model, random = np.random.default_rng(mechanisms), np.random.default_rng(seed)
    hidden = {edge: random.normal(size=count) for edge in graph.bidirected}
    columns: dict[str, np.ndarray] = {}
    for name in graph.topological_order():
        inputs = [columns[p] for p in graph.parents(name)]
        inputs += [values for edge, values in hidden.items() if name in edge]
        total = np.zeros(count)
        for values in inputs:
            weight = model.choice([-1, 1]) * model.uniform(0.4, 1.0)
            bent = kind == "non-linear" and model.random() < 0.5
            total += weight * (np.tanh(2 * values) * 1.2 if bent else values)
        discrete = kind == "binary" or (kind == "mixed" and model.random() < 0.5)
        if discrete:
            chance = 1 / (1 + np.exp(-1.5 * (total - total.mean())))
            columns[name] = (random.random(count) < chance).astype(float)
        else:
            columns[name] = total + random.normal(size=count)
    return {name: columns[name] for name in graph.variables}


def without_an_edge(graph: CausalGraph, kind: str, seed: int) -> CausalGraph | None:
    """The graph without one directed edge that the rows can show; None if there is none."""
    many = rows_of(graph, kind, 100_000, 10_000 + seed, seed)
    order = np.random.default_rng(seed).permutation(len(graph.directed))
    for at in order:
        edge = graph.directed[at]
        if edge in graph.bidirected or edge[::-1] in graph.bidirected:
            continue
        kept = tuple(other for other in graph.directed if other != edge)
        smaller = CausalGraph(graph.variables, kept, graph.bidirected)
        found = check_graph(smaller, many, most_rows=20_000)
        strengths = [
            result.association
            for result in found.results
            if {result.constraint.x, result.constraint.y} == set(edge)
        ]
        if strengths and strengths[0] >= 0.1:
            return smaller
    return None


def main() -> None:
    """Run both parts and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=int, default=200)
    parser.add_argument("--rows", type=int, default=2000)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    false, power, tests, seconds = Counter(), Counter(), [], []
    lacking = Counter()
    for seed in range(given.graphs):
        kind = KINDS[seed % len(KINDS)]
        graph = random_graph(np.random.default_rng(seed))
        rows = rows_of(graph, kind, given.rows, seed, seed)
        start = time.perf_counter()
        found = check_graph(graph, rows)
        seconds.append(time.perf_counter() - start)
        tests.append(len(found.results))
        false[kind] += not found
        smaller = without_an_edge(graph, kind, seed)
        if smaller is not None:
            lacking[kind] += 1
            power[kind] += not check_graph(smaller, rows)
    each = Counter(KINDS[seed % len(KINDS)] for seed in range(given.graphs))
    print(f"{given.graphs} graphs, {np.mean(tests):.1f} constraints, {np.mean(seconds):.2f} s each")
    for kind in KINDS:
        print(
            f"{kind:12} false alarms {false[kind] / max(each[kind], 1):.3f}   power "
            f"{power[kind] / max(lacking[kind], 1):.3f} ({lacking[kind]} graphs)"
        )
    print(
        f"{'all':12} false alarms {false.total() / given.graphs:.3f}   power "
        f"{power.total() / max(lacking.total(), 1):.3f} ({lacking.total()} graphs)"
    )


if __name__ == "__main__":
    main()
