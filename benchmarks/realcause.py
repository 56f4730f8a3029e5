"""The effect on the treated on real covariates: RealCause's samples of Lalonde's data.

    python benchmarks/realcause.py FOLDER          # lalonde_*_sample*.csv.gz of RealCause; minutes

Neal, Huang & Raghupathi (2020) publish both potential outcomes of every row, so that the effect on
the treated is known. Printed per file: the truth, the doubly robust estimate with its standard
error, whether the 95 % interval holds the truth, and the CPU seconds of the fit and the interval;
last the root mean square error. With --ate the effect on all follows, of which the controls show
hardly anything: the interval bounds the part without support by the range of the outcome, and the
warning names its share.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import causalplug as cp
from causalplug.sampling.answers import Estimate
from causalplug.uncertainty.intervals import with_intervals

BINARY = ("black", "hispanic", "married", "nodegree", "t")
COVARIATES = ("age", "education", "black", "hispanic", "married", "nodegree", "re74", "re75")


def ask(path: Path, steps: int, ate: bool) -> tuple[float, Estimate, list[float]]:
    """The truth, the answer, and CPU seconds of the fit and of the interval; with ``ate`` the
    effect on all is printed."""
    table = pd.read_csv(path)
    rows = table[[*COVARIATES, "t", "y"]].astype(dict.fromkeys(BINARY, int))
    edges = [(name, end) for name in COVARIATES for end in ("t", "y")]
    graph = cp.CausalGraph.from_edges(directed=[*edges, ("t", "y")], bidirected=[])
    variables = {name: cp.Discrete(2) if name in BINARY else cp.Continuous() for name in rows}
    start = time.process_time()
    dcm = cp.DCM(graph, variables)
    cp.fit(dcm, rows, steps=steps, check_fit=False, progress=False)
    fitted = time.process_time()
    model = dcm.estimate("ETT(y, t)", n=500, interval="none", min_acceptance=1e-5)
    before = time.process_time()
    answer = with_intervals(dcm, model, "ETT(y, t)", data=rows)
    if ate:
        _print_ate(dcm, rows, float(table["ite"].mean()))
    truth = float(table["ite"][table["t"] == 1].mean())
    return truth, answer, [fitted - start, time.process_time() - before]


def _print_ate(dcm: cp.DCM, rows: pd.DataFrame, truth: float) -> None:
    answer = dcm.estimate("ATE(y, t)", n=2000, data=rows, bounds=True)
    row = answer.table.iloc[0]
    held = "held" if row["low"] <= truth <= row["high"] else "missed"
    print(f"  ATE truth {truth:8.0f}  [{row['low']:.0f}, {row['high']:.0f}]  {held}")
    for caveat in answer.warnings:
        if caveat.name == "weak overlap":
            print(f"  {caveat}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--files", type=int, default=None, help="Of them, all by default.")
    parser.add_argument("--ate", action="store_true", help="The effect on all as well.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    errors = []
    for path in sorted(options.folder.glob("lalonde_*.csv.gz"))[: options.files]:
        truth, answer, seconds = ask(path, options.steps, options.ate)
        row = answer.table.iloc[0]
        held = "held" if row["low"] <= truth <= row["high"] else "missed"
        told = (
            f"truth {truth:8.0f}  estimate {row['estimate']:8.0f}  se {row['standard_error']:6.0f}"
        )
        print(
            f"{path.name:<32} {told}  {held}  fit {seconds[0]:.0f} s  interval {seconds[1]:.1f} s"
        )
        errors.append(row["estimate"] - truth)
    print(f"root mean square error {np.sqrt(np.mean(np.square(errors))):.0f}")


if __name__ == "__main__":
    main()
