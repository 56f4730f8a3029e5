"""Effects with five recorded mixed covariates: error and CPU time beside double machine learning.

    python benchmarks/effects.py                                # five data sets of 20,000 rows
    python benchmarks/effects.py --rows 1000 20000 --sets 3
    python benchmarks/effects.py --only dose
    python benchmarks/effects.py --only ate --steps 150   # the correction needs no long training

- *ate*: a binary treatment, an outcome that is not linear in the covariates, an effect that differs
  between rows. Given are the root mean square error of ATE(Y, X) over the data sets, and CPU
  seconds of a fit and of an estimate. ``data=`` is the doubly robust estimate of the trained model
  with its rows; *partialling out* is the partially linear estimate of Chernozhukov et al. (2018)
  with boosted trees, five folds (what LinearDML of econml does without features of the effect: it
  weighs rows by their overlap where effects differ); *boosted scores* is augmented inverse
  probability weighting with the same trees (what LinearDRLearner does); *weighting* is by a
  logistic regression, which is well specified here; *efficient* is the smallest standard error that
  an estimator without bias can have (Hahn 1998).
- *dose*: a continuous treatment; root mean square error of E[Y | do(X=x)] at five doses, beside
  boosted trees of Y on the treatment and the covariates (an S-learner).
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

import causalplug as cp

GRAPH = cp.CausalGraph.parse("A, B, C, D, E -> X; A, B, C, D, E, X -> Y")
DOSES = (-1.0, -0.5, 0.0, 0.5, 1.0)
NOISE = 0.25
Table = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Rows, and what is known of them beside.

    Attributes:
        table: The columns.
        base: Y without the treatment and without noise.
        effect: Effect of one unit of X.
        chance: P(X=1 | covariates) of a binary treatment.
    """

    table: Table
    base: np.ndarray
    effect: np.ndarray
    chance: np.ndarray


def drawn(rows: int, seed: int, *, continuous: bool) -> Drawn:
    """Rows of the model."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, rows))
    e = rng.exponential(size=rows)
    c, d = (rng.random(rows) < 0.4).astype(int), rng.integers(0, 3, rows)
    score = 0.5 * a - 0.4 * b + 0.5 * c - 0.4 * (d == 2) + 0.2 * e - 0.2
    chance = 1 / (1 + np.exp(-score))
    if continuous:
        x = 0.7 * score + 0.6 * rng.normal(size=rows)
    else:
        x = (rng.random(rows) < chance).astype(int)
    effect = 1 + 0.2 * a + 0.2 * c
    base = np.sin(b) + 0.5 * a * c + 0.3 * d + 0.4 * np.sqrt(e)
    y = base + _response(x, effect, continuous) + NOISE * rng.normal(size=rows)
    table = {"A": a, "B": b, "C": c, "D": d, "E": e, "X": x, "Y": y}
    return Drawn(table, base, effect, chance)


def _response(x: np.ndarray | float, effect: np.ndarray, continuous: bool) -> np.ndarray:
    if continuous:
        return np.asarray(effect * np.tanh(x))
    return np.asarray(effect * x)


def untrained(*, continuous: bool) -> cp.DCM:
    """A model with its defaults."""
    kinds: dict[str, object] = {"C": cp.Discrete(2), "D": cp.Discrete(3)}
    if not continuous:
        kinds["X"] = cp.Discrete(2)
    return cp.DCM(GRAPH, {name: kinds.get(name, cp.Continuous()) for name in GRAPH.variables})


def design(table: Table) -> np.ndarray:
    """The covariates, categories by indicators."""
    numbers = [table[name] for name in ("A", "B", "C", "E")]
    return np.stack([*numbers, table["D"] == 1, table["D"] == 2], 1).astype(float)


def of_the_model(dcm: cp.DCM, table: Table) -> float:
    """The model's answer."""
    return dcm.estimate("ATE(Y, X)").value


def with_rows(dcm: cp.DCM, table: Table) -> float:
    """The doubly robust estimate of the model."""
    return dcm.estimate("ATE(Y, X)", data=table).value


def boosted_scores(dcm: cp.DCM, table: Table) -> float:
    """Augmented inverse probability weighting with boosted trees, five folds."""
    z, x, y = design(table), table["X"], table["Y"]
    trees = HistGradientBoostingClassifier(random_state=0)
    chance = cross_val_predict(trees, z, x, cv=5, method="predict_proba")[:, 1]
    total = np.zeros(len(x))
    for part in range(5):
        inside = np.arange(len(x)) % 5 == part
        for arm, sign in ((1, 1), (0, -1)):
            kept = ~inside & (x == arm)
            mean = HistGradientBoostingRegressor(random_state=0).fit(z[kept], y[kept])
            expected = mean.predict(z[inside])
            share = np.clip(chance[inside] if arm else 1 - chance[inside], 0.01, 1)
            rest = (x[inside] == arm) / share * (y[inside] - expected)
            total[inside] += sign * (expected + rest)
    return float(total.mean())


def partialling_out(dcm: cp.DCM, table: Table) -> float:
    """Chernozhukov et al. 2018, section 4.1."""
    z, x = design(table), table["X"]
    trees = HistGradientBoostingClassifier(random_state=0)
    chance = cross_val_predict(trees, z, x, cv=5, method="predict_proba")[:, 1]
    expected = cross_val_predict(HistGradientBoostingRegressor(random_state=0), z, table["Y"], cv=5)
    rest = x - chance
    return float(rest @ (table["Y"] - expected) / (rest @ rest))


def weighting(dcm: cp.DCM, table: Table) -> float:
    """Inverse probability weighting, normalised."""
    z, x, y = design(table), table["X"], table["Y"]
    chance = LogisticRegression(C=1e6, max_iter=1000).fit(z, x).predict_proba(z)[:, 1]
    treated, others = x / chance, (1 - x) / (1 - chance)
    return float(treated @ y / treated.sum() - others @ y / others.sum())


WAYS = {
    "the model": of_the_model,
    "data=": with_rows,
    "boosted scores": boosted_scores,
    "partialling out": partialling_out,
    "weighting": weighting,
}


def timed(work: object, *inputs: object) -> tuple[float, float]:
    """A number and its CPU seconds."""
    start = time.process_time()
    found = work(*inputs)  # type: ignore[operator]
    return float(found), time.process_time() - start


def ate(rows: int, sets: int, steps: int | None) -> None:
    """One line for every estimator of the effect."""
    whole = drawn(2_000_000, 10**6, continuous=False)
    truth = float(whole.effect.mean())
    odds = 1 / whole.chance + 1 / (1 - whole.chance)
    efficient = np.sqrt((whole.effect.var() + NOISE**2 * odds.mean()) / rows)
    errors: dict[str, list[tuple[float, float]]] = {}
    for seed in range(sets):
        table = drawn(rows, seed, continuous=False).table
        dcm = untrained(continuous=False)
        start = time.process_time()
        cp.fit(dcm, table, steps=steps, progress=False, check_fit=False, check_graph=False)
        seconds = time.process_time() - start
        for name, way in WAYS.items():
            found, spent = timed(way, dcm, table)
            errors.setdefault(name, []).append((found - truth, spent))
        errors.setdefault("(the fit)", []).append((np.nan, seconds))
    print(f"ATE, {rows:,} rows, {sets} sets; efficient {efficient:.4f}")
    for name, line in errors.items():
        _print(name, np.array(line))


def dose(rows: int, sets: int) -> None:
    """One line for every estimator of the dose-response."""
    whole = drawn(2_000_000, 10**6, continuous=True)
    truth = [float((whole.base + _response(x, whole.effect, True)).mean()) for x in DOSES]
    errors: dict[str, list[tuple[float, float]]] = {}
    for seed in range(sets):
        table = drawn(rows, seed, continuous=True).table
        dcm = untrained(continuous=True)
        start = time.process_time()
        cp.fit(dcm, table, progress=False, check_fit=False, check_graph=False)
        curve = dcm.curve("Y", "X", DOSES)["estimate"].to_numpy()
        ours = _error(curve, truth), time.process_time() - start
        start = time.process_time()
        features = np.column_stack([design(table), table["X"]])
        trees = HistGradientBoostingRegressor(random_state=0).fit(features, table["Y"])
        theirs = [_mean_at(trees, features, x) for x in DOSES]
        errors.setdefault("the model", []).append(ours)
        peer = _error(theirs, truth), time.process_time() - start
        errors.setdefault("boosted S-learner", []).append(peer)
    print(f"dose-response, {rows:,} rows, {sets} sets")
    for name, line in errors.items():
        _print(name, np.array(line))


def _mean_at(trees: HistGradientBoostingRegressor, features: np.ndarray, x: float) -> float:
    at = features.copy()
    at[:, -1] = x
    return float(trees.predict(at).mean())


def _error(found: object, truth: object) -> float:
    return float(np.sqrt(np.mean((np.asarray(found) - np.asarray(truth)) ** 2)))


def _print(name: str, line: np.ndarray) -> None:
    rmse = np.sqrt((line[:, 0] ** 2).mean())
    shown = "     -" if np.isnan(rmse) else f"{rmse:.4f}"
    print(f"  {name:<20} rmse {shown}   {line[:, 1].mean():6.2f} CPU s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rows", nargs="+", type=int, default=[20_000])
    parser.add_argument("--sets", type=int, default=5)
    parser.add_argument("--only", choices=["ate", "dose"])
    parser.add_argument(
        "--steps", type=int, help="Steps of training; default: as many as it takes."
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for rows in options.rows:
        if options.only != "dose":
            ate(rows, options.sets, options.steps)
        if options.only != "ate":
            dose(rows, options.sets)


if __name__ == "__main__":
    sys.exit(main())
