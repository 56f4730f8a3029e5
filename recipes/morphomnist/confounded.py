"""A hidden cause of thickness and digit: what setting the thickness does to the digit, which is
nothing, by a model that knows of the hidden cause and by one that takes thickness for the cause.
``--help`` lists the options.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import causalplug as cp
from recipes.common import tvd
from recipes.morphomnist.strokes import SHAPES

GRAPHS = {
    "hidden cause": "thickness -> intensity; digit; thickness <-> digit",
    "no hidden cause": "thickness -> intensity; thickness -> digit",
}
SHARES = {0: [0.7, 0.2, 0.1], 1: [0.1, 0.2, 0.7]}
"""Of the shapes, by the hidden cause."""


def rows(n: int, seed: int) -> dict[str, Any]:
    """Rows in which thick strokes are mostly crosses, because of something hidden."""
    rng = np.random.default_rng(seed)
    hidden = rng.integers(0, 2, n)
    digit = np.array(SHAPES)[[rng.choice(3, p=SHARES[u]) for u in hidden]]
    thickness = 2 + 2 * rng.beta(2 + 3 * hidden, 5 - 3 * hidden)
    intensity = 1 / (1 + np.exp(-(rng.normal(0, 0.5, n) + 1.5 * (thickness - 2.7))))
    return {"digit": digit, "thickness": thickness, "intensity": intensity}


def answers(graph: str, columns: dict[str, Any], seed: int) -> dict[str, list[float]]:
    """P(digit | do(thickness)) for thin and thick strokes."""
    variables = {
        "thickness": cp.Continuous(),
        "intensity": cp.Continuous(),
        "digit": cp.Discrete(SHAPES),
    }
    dcm = cp.DCM(cp.CausalGraph.parse(graph), variables, seed=seed)
    cp.fit(dcm, columns, seed=seed, progress=False, check_graph=False)
    found = {}
    for thickness in (2.4, 3.6):
        drawn = dcm.sample(20_000, do={"thickness": thickness}, variables=["digit"], seed=seed)
        shares = drawn["digit"].value_counts(normalize=True)
        found[f"thickness={thickness}"] = [float(shares.get(shape, 0.0)) for shape in SHAPES]
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Fit both models; returns the distances from the truth."""
    made = argparse.ArgumentParser(
        prog="python -m recipes.morphomnist.confounded", description=__doc__
    )
    made.add_argument("--rows", type=int, default=4000, help="default: %(default)s")
    made.add_argument("--seed", type=int, default=0, help="of everything random")
    made.add_argument("--output-dir", type=Path, help="folder for result.json; default: none")
    chosen = made.parse_args(arguments)
    columns = rows(chosen.rows, chosen.seed)
    truth = np.mean(list(SHARES.values()), 0)
    result: dict[str, Any] = {}
    for name, graph in GRAPHS.items():
        found = answers(graph, columns, chosen.seed)
        result[name] = {setting: tvd(shares, truth) for setting, shares in found.items()}
        for setting, shares in found.items():
            text = ", ".join(f"{s} {p:.3f}" for s, p in zip(SHAPES, shares, strict=True))
            distance = result[name][setting]
            print(f"{name}: P(digit | do({setting})) = {text}; TVD {distance:.3f}")
    if chosen.output_dir is not None:
        chosen.output_dir.mkdir(parents=True, exist_ok=True)
        (chosen.output_dir / "result.json").write_text(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    main()
