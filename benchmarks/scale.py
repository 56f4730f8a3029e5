"""Cost against the number of variables: planning, building, sampling, and a short training.

    python benchmarks/scale.py --variables 1000 3000 10000
    python benchmarks/scale.py --variables 150 300 --shape component --steps 3

A chain ``V0 -> V1 -> …`` of binary variables; ``--shape component`` adds a hidden cause of every
two neighbours, so that all variables are one c-component. CPU seconds, imports left out.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import numpy as np

import causalplug as cp

_R = TypeVar("_R")
ROWS = 200


def timed(call: Callable[[], _R]) -> tuple[float, _R]:
    """CPU seconds of a call, and what it returns."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def costs(variables: int, shape: str, steps: int) -> dict[str, float]:
    """CPU seconds by what is done, for a graph of so many variables."""
    names = [f"V{i}" for i in range(variables)]
    edges = list(pairwise(names))
    hidden = edges if shape == "component" else []
    found = {}
    found["graph"], graph = timed(lambda: cp.CausalGraph.from_edges(edges, hidden, names))
    kinds = dict.fromkeys(names, "discrete")
    source = cp.Source(recorded=names)
    found["plan"], _ = timed(lambda: cp.plan(graph, [source], kinds=kinds))
    declared = {name: cp.Discrete(2) for name in names}
    found["build"], dcm = timed(lambda: cp.DCM(graph, declared, hidden=(8,)))
    found["sample"], _ = timed(lambda: dcm.sample(100, progress=False))
    if steps:
        random = np.random.default_rng(0)
        rows = {name: random.integers(0, 2, ROWS) for name in names}
        settings = {"check_graph": False, "check_overlap": False, "objective": "likelihood"}
        found["fit"], _ = timed(lambda: cp.fit(dcm, rows, steps=steps, progress=False, **settings))
    return found


def main() -> None:
    """Print one line for every number of variables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variables", type=int, nargs="+", default=[1000, 3000, 10_000])
    parser.add_argument("--shape", choices=["chain", "component"], default="chain")
    parser.add_argument("--steps", type=int, default=0, help="of a training; none by default")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    costs(3, given.shape, given.steps)  # what is imported on the way
    for variables in given.variables:
        found = costs(variables, given.shape, given.steps)
        words = ", ".join(f"{name} {seconds:.2f}" for name, seconds in found.items())
        print(f"{variables} variables ({given.shape}): {words} CPU s", flush=True)


if __name__ == "__main__":
    main()
