"""Which state of a training by likelihood to keep: the best validated, the last, or the last unless
it is beaten.

    python benchmarks/keeping.py                                                # some minutes
    python benchmarks/keeping.py --case sachs --seeds 5 --network sachs.bif

Each model is trained once, with a tenth of its rows held out. Then three states of its modules are
compared with the truth: the best validated, the last (averaged) one, and the one that is kept: the
last, unless the best is better by more than chance. Printed are means over the seeds: the
Kullback-Leibler divergence of P(V), and TVDs. The cases: the cells of ``recipes/sachs`` (random
tables of that graph without ``--network``), and random models of 4 to 8 variables with 2 to 4
states from 500 and from 3,000 rows, which the last state has learned by heart.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

import causalplug as cp
from causalplug.errors import ConvergenceWarning
from causalplug.training import run

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.convergence import random_case
from recipes.sachs.cells import GRAPH, LEVELS, PROTEINS, fitted_world, made_up_world, simulate_cells
from tests.training.truth import do_gaps, joint, tvd

RULES = {
    "best": 0.0,
    "kept": run._SIGNIFICANT,
    "last": float("inf"),
}  # standard errors that an earlier state needs
Measures = Callable[[cp.DCM], dict[str, float]]


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    """KL(p || q) in nats."""
    return float((p * np.log(np.clip(p, 1e-300, None) / np.clip(q, 1e-12, None))).sum())


def sachs(seed: int, network: str | None) -> tuple[cp.DCM, Sequence[cp.DataSource], Measures]:
    world = fitted_world(network) if network else made_up_world()
    cells = simulate_cells(world, "high", rows=20_000, treated=5000, seed=seed)
    dcm = cp.DCM(
        cp.CausalGraph.parse(GRAPH), dict.fromkeys(PROTEINS, cp.Discrete(LEVELS)), seed=seed
    )
    exact, do = world.joint(list(dcm.graph.variables)), {"PKA": LEVELS.index("high")}

    def measures(dcm: cp.DCM) -> dict[str, float]:
        found = {"divergence": divergence(exact, joint(dcm, draws=1024))}
        return found | {
            y: tvd(joint(dcm, do, [y], draws=1024), cells.exact[y]) for y in ("Akt", "Erk")
        }  # type: ignore[index]

    return dcm, cells.sources(), measures


def random(seed: int, rows: int) -> tuple[cp.DCM, Sequence[cp.DataSource], Measures]:
    case = random_case(seed + 1, rows)
    exact = case.exact({}, list(case.graph.variables))

    def measures(dcm: cp.DCM) -> dict[str, float]:
        model, gaps = (
            joint(dcm, draws=512),
            list(do_gaps(dcm, case.exact, dcm.sources, draws=512).values()),
        )
        found = {"divergence": divergence(exact, model), "P(V)": tvd(model, exact)}
        return found | {
            "worst P(y | do(x))": max(gaps, default=0.0),
            "mean": float(np.mean(gaps or [0.0])),
        }

    return cp.DCM(case.graph, case.variables, seed=seed), case.sources, measures


def compare(
    dcm: cp.DCM, sources: Sequence[cp.DataSource], measures: Measures, seed: int
) -> dict[str, dict[str, float]]:
    """Measures of the three states after one training."""
    found: dict[str, dict[str, float]] = {}
    states: list[Callable[[float], None]] = []
    original = run.Run._keep

    def keep(self: run.Run, learner, best, worse, seed, report):  # type: ignore[no-untyped-def]
        def by(bar: float, step: int = report.best_step) -> None:
            report.best_step, run._SIGNIFICANT = step, bar
            original(self, learner, best, worse, seed, report)

        states.append(by)
        by(RULES["kept"])

    run.Run._keep = keep  # type: ignore[method-assign]
    try:
        cp.fit(dcm, sources, objective="likelihood", progress=False, seed=seed)
        for name, bar in RULES.items():
            for choose in states:
                choose(bar)
            found[name] = measures(dcm)
    finally:
        run.Run._keep, run._SIGNIFICANT = original, RULES["kept"]  # type: ignore[method-assign]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=["sachs", "500", "3000"], help="default: all")
    parser.add_argument("--network", help="sachs.bif of bnlearn")
    parser.add_argument("--seeds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    warnings.simplefilter("ignore", ConvergenceWarning)
    for case in [options.case] if options.case else ["sachs", "500", "3000"]:
        start, found = time.process_time(), []
        for seed in range(options.seeds):
            made = sachs(seed, options.network) if case == "sachs" else random(seed, int(case))
            found.append(compare(*made, seed))
        print(f"{case}, {options.seeds} seeds, {time.process_time() - start:.0f} CPU s")
        for rule in RULES:
            means = {name: np.mean([each[rule][name] for each in found]) for name in found[0][rule]}
            print(f"  {rule}: " + ", ".join(f"{name} {value:.4f}" for name, value in means.items()))


if __name__ == "__main__":
    main()
