"""Beside the field: continuous models without hidden confounders, and how cost grows.

    python benchmarks/field.py                     # our side; a minute
    python benchmarks/field.py --only growth
    python benchmarks/field.py --only continuous --seed 2    # other rows
    pip install -r benchmarks/field-requirements.txt    # in an environment of its own
    python benchmarks/field.py --peers             # beside dowhy.gcm and causalflows

Everything runs in one thread on the same rows, and time is CPU time of the whole fit.

- *continuous*: seven models of the literature (``benchmarks/field_models.py``), 5,000 rows. ``do``
  is the root mean square error of E[Y | do(X=x)] over every X without parents, its descendants Y
  and five quantiles of X, in standard deviations of Y. ``counterfactual`` is the same over the
  values of descendants of 1,000 rows, had X been at its .9 quantile; the models' noise is one
  number for each variable that its mechanism is monotone in, which all sides assume.
- *growth*: CPU seconds of a fit of discrete variables against their number, of a path of
  bidirected edges, of the categories of a front-door, and of the first fit of a process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import causalplug as cp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.field_models import MODELS, Structural
from benchmarks.field_peers import PEERS, Side

ROWS, TRUTH_ROWS, COUNTERFACTUALS = 5000, 200_000, 1000
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


class Ours:
    """causalplug with its defaults."""

    name = "causalplug"

    def __init__(self, seed: int = 0, **settings: object):
        self.seed, self.settings = seed, settings

    def fit(self, model: Structural, rows: pd.DataFrame) -> None:
        graph = cp.CausalGraph.parse(model.graph)
        self.dcm = cp.DCM(graph, {v: cp.Continuous() for v in graph.variables}, seed=self.seed)
        self.report = cp.fit(self.dcm, rows, seed=self.seed, progress=False, **self.settings)

    def mean(self, do: dict[str, float], n: int) -> pd.Series:
        return self.dcm.sample(n, do=do, seed=1).mean()

    def counterfactual(self, rows: pd.DataFrame, do: dict[str, float]) -> pd.DataFrame:
        """By abduction: the noise of a row is read off its values exactly."""
        values = {v: torch.as_tensor(rows[v].to_numpy(np.float32)) for v in rows}
        noise = {}
        with torch.no_grad():
            for name, mechanism in self.dcm.mechanisms.items():
                parents = {p: values[p] for p in mechanism.parents}
                own = mechanism.abduct(values[name], parents)
                noise |= {f"{name}/{key}": found for key, found in own.items()}
            fixed = cp.Noise(len(rows), fixed=noise)
            told = {v: torch.full((len(rows),), float(x)) for v, x in do.items()}
            found = self.dcm(fixed, told)
        return pd.DataFrame({v: found[v].numpy() for v in rows})

    @property
    def remark(self) -> str:
        return "" if self.report.converged else "not converged"


def asked(model: Structural) -> Iterator[tuple[str, list[str]]]:
    """Every variable without parents, and its descendants.

    Where a variable nearly follows from its parents, rows say nothing of what it would cause
    without them, and an error would measure extrapolation.
    """
    graph = cp.CausalGraph.parse(model.graph)
    for x in (x for x in graph.variables if not graph.parents(x)):
        below = [y for y in graph.variables if y != x and y in graph.descendants([x])]
        if below:
            yield x, below


def do_error(model: Structural, side: Side, rows: pd.DataFrame) -> float:
    """Root mean square error of E[Y | do(X=x)], in standard deviations of Y."""
    noise, errors = model.noise(TRUTH_ROWS, seed=10_007), []
    for x, below in asked(model):
        for quantile in QUANTILES:
            value = float(rows[x].quantile(quantile))
            truth = pd.DataFrame(model.run(noise, {x: value}))[below].mean()
            found = side.mean({x: value}, 50_000)[below]
            errors += list((found - truth) / rows[below].std())
    return float(np.sqrt(np.mean(np.square(errors))))


def counterfactual_error(model: Structural, side: Side, rows: pd.DataFrame) -> float:
    """Root mean square error of rows' values had X been another, in standard deviations."""
    noise, errors = model.noise(COUNTERFACTUALS, seed=20_011), []
    seen = pd.DataFrame(model.run(noise))
    for x, below in asked(model):
        value = float(rows[x].quantile(0.9))
        truth = pd.DataFrame(model.run(noise, {x: value}))[below]
        found = side.counterfactual(seen, {x: value})[below]
        errors.append(((found - truth) / rows[below].std()).to_numpy().ravel())
    return float(np.sqrt(np.mean(np.square(np.concatenate(errors)))))


def continuous(sides: list[Callable[[], Side]], only: str | None, seed: int) -> None:
    """Print errors and CPU seconds of every side on the seven models, for rows of a seed."""
    print(f"{'model':26}{'side':14}{'CPU s':>8}{'do':>9}{'counterf.':>11}")
    totals: dict[str, list[tuple[float, float, float]]] = {}
    for title, model in MODELS.items():
        if only is not None and only not in title:
            continue
        rows = pd.DataFrame(model.run(model.noise(ROWS, seed=seed)))
        for make in sides:
            side = make()
            start = time.process_time()
            side.fit(model, rows)
            seconds = time.process_time() - start
            found = do_error(model, side, rows), counterfactual_error(model, side, rows)
            totals.setdefault(side.name, []).append((seconds, *found))
            print(
                f"{title:26}{side.name:14}{seconds:8.1f}{found[0]:9.4f}{found[1]:11.4f}  "
                f"{side.remark}",
                flush=True,
            )
    for name, measured in totals.items():
        seconds, *errors = np.array(measured).T
        means = [float(np.exp(np.log(e).mean())) for e in errors]
        print(f"{'all':26}{name:14}{seconds.sum():8.1f}{means[0]:9.4f}{means[1]:11.4f}")


def discrete_rows(
    graph: cp.CausalGraph, sizes: int, n: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Rows of a random discrete model: a hidden coin behind every bidirected edge."""
    draw = np.random.default_rng(seed)
    coins = {edge: draw.integers(0, 2, n) for edge in graph.bidirected}
    values: dict[str, np.ndarray] = {}
    for name in graph.topological_order():
        causes = [values[p] for p in graph.parents(name)]
        causes += [coin for edge, coin in coins.items() if name in edge]
        logits = draw.normal(size=(1, sizes)).repeat(n, 0)
        for cause in causes:
            logits = logits + 1.2 * draw.normal(size=(max(2, sizes), sizes))[cause]
        values[name] = (logits + draw.gumbel(size=(n, sizes))).argmax(-1)
    return values


def random_graph(n: int, seed: int = 0) -> cp.CausalGraph:
    """At most two parents a variable, and a third as many bidirected edges as variables."""
    draw = np.random.default_rng(seed)
    names = [f"V{i}" for i in range(n)]
    directed = []
    for i in range(1, n):
        chosen = draw.choice(i, int(draw.integers(1, min(i, 2) + 1)), replace=False)
        directed += [(names[j], names[i]) for j in chosen]
    bidirected = {tuple(sorted(draw.choice(n, 2, replace=False))) for _ in range(n // 3)}
    pairs = [(names[a], names[b]) for a, b in bidirected]
    return cp.CausalGraph.from_edges(directed, pairs, names)


def fit_discrete(graph: cp.CausalGraph, sizes: int = 2, n: int = 20_000) -> tuple[float, bool]:
    """CPU seconds of a fit by likelihood, and whether it converged."""
    rows = discrete_rows(graph, sizes, n)
    dcm = cp.DCM(graph, {v: cp.Discrete(sizes) for v in graph.variables})
    start = time.process_time()
    report = cp.fit(dcm, cp.DataSource(rows), objective="likelihood", progress=False)
    return time.process_time() - start, report.converged


_FIRST = """
import time, numpy as np, causalplug as cp
kinds = {{"x": cp.{kind}, "y": cp.{kind}}}
draw = np.random.default_rng(0)
rows = {{"x": draw.{rows}, "y": draw.{rows}}}
def fit():
    start = time.process_time()
    dcm = cp.DCM(cp.CausalGraph.parse("x -> y; x <-> y"), kinds)
    cp.fit(dcm, rows, objective="likelihood", steps=100, progress=False)
    return time.process_time() - start
import torch, accelerate, pandas
first = fit(); print(first - fit())
"""


def growth() -> None:
    """Print CPU seconds against the size of a problem."""
    fit_discrete(random_graph(5))
    for n in (5, 20, 50, 100):
        seconds, converged = fit_discrete(random_graph(n))
        print(f"{n:4} binary variables{seconds:22.1f} s  {'' if converged else 'not converged'}")
    for n in (4, 8, 12):
        path = "; ".join(f"V{i} <-> V{i + 1}; V{i} -> V{i + 1}" for i in range(n - 1))
        seconds, converged = fit_discrete(cp.CausalGraph.parse(path))
        print(f"bidirected path of {n:2}{seconds:22.1f} s  {'' if converged else 'not converged'}")
    for k in (2, 5, 10, 30):
        graph = cp.CausalGraph.parse("D -> I -> A; D <-> A")
        seconds, converged = fit_discrete(graph, k)
        print(f"{k:2} categories{seconds:29.1f} s  {'' if converged else 'not converged'}")
    for kind, rows in (
        ("Discrete(2)", "integers(0, 2, 2000)"),
        ("Continuous()", "normal(size=2000)"),
    ):
        code = _FIRST.format(kind=kind, rows=rows)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        print(f"first fit over the second, {kind:12}{float(done.stdout.split()[-1]):9.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["continuous", "growth"])
    parser.add_argument("--model", help="part of the name of a continuous model")
    parser.add_argument("--steps", type=int, help="of our fits, in place of the default")
    parser.add_argument("--seed", type=int, default=0, help="of the rows and of our fits")
    parser.add_argument("--peers", action="store_true", help="those that can be imported, too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    settings = {} if options.steps is None else {"steps": options.steps}
    sides: list[Callable[[], Side]] = [lambda: Ours(options.seed, **settings)]
    if options.peers:
        sides += [peer for peer in PEERS if peer.available()]
        absent = [peer.name for peer in PEERS if not peer.available()]
        print(f"not installed: {', '.join(absent) or 'none'}")
    if options.only != "growth":
        continuous(sides, options.model, options.seed)
    if options.only != "continuous":
        growth()


if __name__ == "__main__":
    main()
