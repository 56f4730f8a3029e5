"""How often an interval holds the truth, how wide it is, and what it costs.

    python benchmarks/coverage.py --case front-door napkin --sets 60          # some minutes
    python benchmarks/coverage.py --sets 200 --rows 500 2000                  # hours
    python benchmarks/coverage.py --case adversarial --sets 20 --rows 1000

For every data set a model is trained and asked one question. Printed are, for the nominal 95 %
interval: the share of data sets in which it holds the truth, with its standard error; the mean
standard error over the estimate's standard deviation between the data sets; the width over that of
the bootstrap of a plug-in estimator on the same rows (the identified formula where all variables
are discrete, least squares on the covariates for the back-door); and the CPU time of the interval
as a share of the fit's.

The cases: the front-door and the napkin (binary; the answer from the model alone), the paper's F.7
from two tables that record parts of it, a back-door with five mixed covariates (doubly robust, with
its rows), the front-door behind an image whose generator is frozen (by likelihood), and the
front-door trained adversarially with 20 replicates.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import causalplug as cp
from causalplug.adapters.callable import CallableGenerator
from causalplug.identification.evaluate import evaluate
from causalplug.mechanisms.frozen.label_map import Label

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.scm import random_scm

SEVEN = "X0 -> W0; X0, X1, X2 -> W1; W0, W1 -> Y0; W1 -> Y1; X0 <-> Y0; X1 <-> X2; X2 <-> Y1"
PARTS = (("X0", "X1", "X2", "W0", "W1", "Y0"), ("X0", "X1", "X2", "W1", "Y1"))
BOOTSTRAP, BOOTSTRAPPED = 80, 20  # resamples of a data set, and data sets that are resampled

Tables = list[dict[str, np.ndarray]]


@dataclass(frozen=True)
class Case:
    """A question with a known answer.

    Attributes:
        query: What is asked.
        truth: The answer.
        draw: Tables from a number of rows and a seed.
        model: An untrained model.
        plug_in: Another estimator, whose bootstrap widths are compared with.
        with_rows: Hand the rows to the estimate.
        settings: Settings of the training.
    """

    query: str
    truth: float
    draw: Callable[[int, int], Tables]
    model: Callable[[], cp.DCM]
    plug_in: Callable[[Tables], float]
    with_rows: bool = False
    settings: tuple[tuple[str, Any], ...] = ()


def discrete(text: str, query: str, parts: Any = None, **settings: Any) -> Case:
    """A random binary model of a graph; the plug-in is the identified formula."""
    graph = cp.CausalGraph.parse(text)
    scm = random_scm(graph, 2, seed=3, floor=0.3)
    recorded = parts or (graph.variables,)
    sources = [cp.Source(names) for names in recorded]
    estimand = cp.identify(graph, query, sources).estimand
    categories = dict.fromkeys(graph.variables, (0, 1))

    def draw(rows: int, seed: int) -> Tables:
        tables = [scm.sample(rows, seed=1000 * k + seed) for k in range(len(recorded))]
        return [
            {name: table[name] for name in names}
            for names, table in zip(recorded, tables, strict=True)
        ]

    def model() -> cp.DCM:
        return cp.DCM(graph, {name: cp.Discrete(2) for name in graph.variables})

    def plug_in(tables: Tables) -> float:
        return float(evaluate(estimand, tables, categories=categories))

    truth = float(scm.probability(cp.Query.parse(query)))
    return Case(query, truth, draw, model, plug_in, settings=tuple(settings.items()))


def back_door() -> Case:
    """Five covariates, three of them numbers; the effect differs between rows."""
    graph = cp.CausalGraph.parse("A -> B; A -> C; A, B, C, D, E -> X; A, B, C, D, E, X -> Y")
    kinds = {"C": cp.Discrete(2), "D": cp.Discrete(3), "X": cp.Discrete(2)}
    variables = {name: kinds.get(name, cp.Continuous()) for name in graph.variables}

    def columns(rows: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        rng = np.random.default_rng(seed)
        a = rng.normal(size=rows)
        b = rng.normal(size=rows) + 0.5 * a
        c = (rng.random(rows) < 1 / (1 + np.exp(-a))).astype(int)
        d, e = rng.integers(0, 3, rows), rng.exponential(size=rows)
        logit = 0.6 * a - 0.5 * b + 0.8 * c - 0.4 * (d == 2) + 0.3 * e - 0.3
        x = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
        effect = 1 + 0.5 * np.tanh(a) + 0.3 * c
        y = effect * x + np.sin(b) + 0.5 * a * c + 0.3 * d + 0.4 * e
        y = y + 0.5 * rng.normal(size=rows)
        return {"A": a, "B": b, "C": c, "D": d, "E": e, "X": x, "Y": y}, effect

    def plug_in(tables: Tables) -> float:
        (t,) = tables
        covariates = np.stack([t["A"], t["B"], t["C"], t["D"] == 1, t["D"] == 2, t["E"]], 1)
        centred = covariates - covariates.mean(0)
        x = t["X"][:, None]
        design = np.hstack([np.ones_like(x), x, centred, x * centred])
        return float(np.linalg.lstsq(design, t["Y"], rcond=None)[0][1])

    truth = float(columns(2_000_000, 10**6)[1].mean())
    return Case(
        "ATE(Y, X)",
        truth,
        lambda rows, seed: [columns(rows, seed)[0]],
        lambda: cp.DCM(graph, variables),
        plug_in,
        with_rows=True,
    )


def behind_an_image() -> Case:
    """The front-door whose mediator is a picture: its brightness says D in four rows of five."""
    graph = cp.CausalGraph.parse("D -> I -> A; D <-> A")
    image = cp.Image(1, 8, 8)
    flips, of_a = 0.2, np.array([[0.2, 0.5], [0.6, 0.85]])  # P(A=1 | bright, hidden)

    def paint(labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
        bright = np.where(latent[:, 0] < flips, 1 - labels[:, 0], labels[:, 0])
        noise = 0.1 * (latent[:, 1:65].reshape(-1, 1, 8, 8) - 0.5)
        return np.clip(0.25 + 0.5 * bright[:, None, None, None] + noise, 0, 1).astype(np.float32)

    def draw(rows: int, seed: int) -> Tables:
        rng = np.random.default_rng(seed)
        hidden = (rng.random(rows) < 0.5).astype(int)
        d = (rng.random(rows) < 0.25 + 0.5 * hidden).astype(int)
        pictures = paint(d[:, None], rng.random((rows, 65)))
        bright = (pictures.mean((1, 2, 3)) > 0.5).astype(int)
        a = (rng.random(rows) < of_a[bright, hidden]).astype(int)
        return [{"D": d, "I": pictures, "A": a}]

    def model() -> cp.DCM:
        generator = CallableGenerator(
            paint,
            image,
            [Label("D", cp.Discrete(2))],
            latent_shape=(65,),
            distribution="uniform",
        )
        variables = {"D": cp.Discrete(2), "I": image, "A": cp.Discrete(2)}
        return cp.DCM(graph, variables, mechanisms={"I": generator})

    def plug_in(tables: Tables) -> float:
        (t,) = tables
        bright = (t["I"].mean((1, 2, 3)) > 0.5).astype(int)
        of_b = [np.mean(bright[t["D"] == 1] == b) for b in (0, 1)]
        inner = [
            sum(np.mean(t["D"] == d) * t["A"][(bright == b) & (t["D"] == d)].mean() for d in (0, 1))
            for b in (0, 1)
        ]
        return float(np.dot(of_b, inner))

    truth = float(flips * of_a[0].mean() + (1 - flips) * of_a[1].mean())
    by_likelihood = (("objective", "likelihood"),)
    return Case("P(A=1 | do(D=1))", truth, draw, model, plug_in, settings=by_likelihood)


CASES: dict[str, Callable[[], Case]] = {
    "front-door": lambda: discrete("X -> Z -> Y; X <-> Y", "P(Y=1 | do(X=1))"),
    "napkin": lambda: discrete("W -> R -> X -> Y; W <-> X; W <-> Y", "P(Y=1 | do(X=1))"),
    "seven": lambda: discrete(SEVEN, "P(Y1=1 | do(X0=1))", PARTS),
    "back-door": back_door,
    "image": behind_an_image,
    "adversarial": lambda: discrete(
        "X -> Z -> Y; X <-> Y", "P(Y=1 | do(X=1))", objective="adversarial", replicates=20
    ),
}


def study(case: Case, rows: int, sets: int, first: int = 0) -> dict[str, float]:
    """One line of the table."""
    found, errors, covered, shares, widths = [], [], [], [], []
    for seed in range(first, first + sets):
        tables = case.draw(rows, seed + 1)
        dcm = case.model()
        start = time.process_time()
        data = [cp.DataSource(table) for table in tables]
        cp.fit(dcm, data, progress=False, check_fit=False, **dict(case.settings))
        fitted = time.process_time()
        options = {"data": data} if case.with_rows else {}
        answer = dcm.estimate(case.query, n=20_000, **options)
        both = time.process_time()
        dcm.estimate(case.query, n=20_000, interval="none")
        alone = time.process_time() - both
        row = answer.table.iloc[0]
        found.append(row["estimate"])
        errors.append(row["standard_error"])
        covered.append(row["low"] <= case.truth <= row["high"])
        shares.append((both - fitted - alone) / (fitted - start))
        if seed - first < BOOTSTRAPPED:
            width = 2 * 1.96 * bootstrap(case, tables, seed)
            widths.append((row["high"] - row["low"]) / width)
    share = float(np.mean(covered))
    return {
        "coverage": share,
        "its se": (share * (1 - share) / sets) ** 0.5,
        "se / sd": float(np.mean(errors) / np.std(found, ddof=1)),
        "bias / sd": float((np.mean(found) - case.truth) / np.std(found, ddof=1)),
        "width / bootstrap": float(np.median(widths)),
        "cost / fit": float(np.median(shares)),
    }


def bootstrap(case: Case, tables: Tables, seed: int) -> float:
    """Standard deviation of the plug-in over resampled rows."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(BOOTSTRAP):
        drawn = []
        for table in tables:
            size = len(next(iter(table.values())))
            index = rng.integers(size, size=size)
            drawn.append({name: column[index] for name, column in table.items()})
        values.append(case.plug_in(drawn))
    return float(np.nanstd(values, ddof=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES)[:5])
    parser.add_argument("--rows", nargs="+", type=int, default=[1000])
    parser.add_argument("--sets", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in options.case:
        case = CASES[name]()
        for rows in options.rows:
            line = study(case, rows, options.sets)
            told = "  ".join(f"{key} {value:.3f}" for key, value in line.items())
            print(f"{name:<12} {rows:>6} rows  {options.sets} sets  {told}", flush=True)


if __name__ == "__main__":
    main()
