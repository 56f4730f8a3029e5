"""How many mechanisms have to be trained together, against the number of variables: module by
module, and all at once. ``--help`` lists the options.

The graphs are those of the authors' published notebook (Musfiqshohan/Modular-DCM,
``modularScalability/h-graph_construction.ipynb``): n variables, a random acyclic graph with
n * floor(n / 3) edges, and floor(n / 3) pairs of variables that share a hidden cause. Only the
planner runs.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

import causalplug as cp
from recipes.common import Run, parser

SIZES = range(15, 51, 5)
# what the notebook prints, the mean of five graphs each, read on 30 November 2026
AUTHORS = {15: 5.6, 20: 5.4, 25: 8.2, 30: 12.6, 35: 12.8, 40: 17.6, 45: 19.6, 50: 22.0}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Plan random graphs; returns what it prints."""
    options = parser(__file__, __doc__)
    options.set_defaults(output_dir=Path("runs/large_graph_scalability"))
    options.add_argument("--graphs", type=int, default=50, help="graphs of every size")
    options.add_argument("--edges", type=float, help="edges per variable; default: floor(n / 3)")
    run = Run(__file__, options, arguments)
    chosen = run.options
    result: dict[str, Any] = {"sizes": {}}
    for n in SIZES:
        edges = n * (n // 3)
        if chosen.edges is not None:
            edges = round(n * chosen.edges)
        rng = np.random.default_rng([chosen.seed, n])
        graphs = [random_graph(n, edges, n // 3, rng) for _ in range(chosen.graphs)]
        result["sizes"][n] = trained_together(graphs) | {"joint": n, "edges": edges}
    run.lap("plans")
    draw(result["sizes"], chosen.output_dir, authors=chosen.edges is None)
    show(result["sizes"], authors=chosen.edges is None)
    return run.finish(result)


def random_graph(n: int, edges: int, hidden: int, rng: np.random.Generator) -> cp.CausalGraph:
    """An acyclic graph with ``edges`` edges in a random order, and ``hidden`` bidirected ones.

    Args:
        n: Number of variables.
        edges: Number of directed edges, any of the n (n - 1) / 2 that the order allows.
        hidden: Number of pairs that share a hidden cause, any of all pairs.
        rng: Source of randomness.
    """
    names = [f"X{i}" for i in rng.permutation(n) + 1]
    pairs = list(combinations(names, 2))
    directed = rng.choice(len(pairs), edges, replace=False)
    bidirected = rng.choice(len(pairs), hidden, replace=False)
    return cp.CausalGraph.from_edges(
        [pairs[i] for i in directed], [pairs[i] for i in bidirected], names
    )


def trained_together(graphs: list[cp.CausalGraph]) -> dict[str, float]:
    """Mean and standard error of the largest number of mechanisms that are trained at once."""
    largest = []
    for graph in graphs:
        modules = cp.plan(graph).modules
        largest.append(max(len(module.variables) for module in modules))
    error = np.std(largest, ddof=1) / np.sqrt(len(largest))
    return {"modular": float(np.mean(largest)), "standard_error": float(error)}


def draw(sizes: dict[int, dict[str, float]], folder: Path, *, authors: bool) -> None:
    """Write the figure: mechanisms trained at once against variables."""
    from causalplug.plots.style import SERIES, panels, plain

    figure, grid = panels(1, 1, 3.5, 2.3)
    axes, x = grid[0][0], list(sizes)
    modular = [row["modular"] for row in sizes.values()]
    axes.plot(x, x, color=SERIES["other"][0], linewidth=1.2, label="all at once")
    axes.plot(x, modular, color=SERIES["model"], linewidth=1.2, label="module by module")
    if authors:
        axes.plot(x, [AUTHORS[n] for n in x], "o", color="#6B6B6B", ms=3, label="the authors'")
    axes.set_xlabel("variables", **plain())
    axes.set_ylabel("mechanisms trained together, at most", **plain())
    axes.set(xlim=(0, None), ylim=(0, None))
    axes.legend(frameon=False, fontsize=6.5)
    figure.savefig(folder / "scalability.png", dpi=200)


def show(sizes: dict[int, dict[str, float]], *, authors: bool) -> None:
    """Print the table."""
    print(f"{'variables':>10}{'edges':>8}{'modular':>10}{'s.e.':>7}{'joint':>7}{'authors':>9}")
    for n, row in sizes.items():
        theirs = f"{AUTHORS[n]:9.1f}" if authors else ""
        numbers = f"{row['modular']:10.1f}{row['standard_error']:7.1f}{row['joint']:7}"
        print(f"{n:10}{row['edges']:8}{numbers}{theirs}")


if __name__ == "__main__":
    main()
