"""The one-step estimate of models that were trained in different ways on the same rows.

    python benchmarks/one_step.py              # some seconds

The front-door with three binary variables, 2,000 rows. Printed are, by objective, the model's own
answer to P(Y=1 | do(X=1)), the one-step estimate with its standard error, the front-door formula on
the rows, and the truth.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import torch

import causalplug as cp
from causalplug.identification.evaluate import evaluate

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.scm import random_scm

GRAPH = cp.CausalGraph.parse("X -> Z -> Y; X <-> Y")
QUERY = "P(Y=1 | do(X=1))"


def main() -> None:
    """Print one line for every objective."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    scm = random_scm(GRAPH, 2, seed=3, floor=0.3)
    rows = scm.sample(given.rows, seed=1)
    formula = float(evaluate(cp.identify(GRAPH, QUERY).estimand, rows))
    print(f"truth {scm.probability(cp.Query.parse(QUERY)):.4f}, formula on the rows {formula:.4f}")
    for objective in ("likelihood", "warm", "adversarial"):
        dcm = cp.DCM(GRAPH, dict.fromkeys(GRAPH.variables, cp.Discrete(2)))
        settings = {"check_fit": False, "check_graph": False, "progress": False}
        cp.fit(dcm, rows, objective=objective, steps=given.steps, **settings)
        own = dcm.estimate(QUERY, n=20_000, interval="none")
        step = dcm.estimate(QUERY, n=20_000, data=rows, one_step=True)
        print(
            f"{objective:<12} alone {own.value:.4f}   one step {step.value:.4f} "
            f"(standard error {step.standard_error:.4f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
