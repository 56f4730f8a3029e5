"""How close trained models come to the truth: to P(V), and to every identifiable P(y | do(x)).

    python benchmarks/convergence.py                          # by likelihood: some minutes
    python benchmarks/convergence.py --objective adversarial --models 4
    python benchmarks/convergence.py --quick                  # two random models, seven variables

The bound of a case is max(0.03, 1.5 times the TVD of its training rows from what they are a sample
of). The models: Asia with smoke and bronc hidden (``--networks``: where asia.bif lies; a random
model of its graph without), the Sachs-like graph from observation and an experiment on PKA that
records Mek alone, the graph of the paper's F.7 from two sources that record a part each, the
low-dimensional graph of F.4 from P(V), P(V | do(X1=0)) and P(V | do(X1=1)), and random models of 4
to 8 variables with 2 to 4 states. Answers of the models are computed, not sampled.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import causalplug as cp
from causalplug.errors import ConvergenceWarning

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipes.networks import Network
from tests.sampling.exact import random_graph
from tests.scm import SCM, random_scm
from tests.training.truth import REFERENCES, do_gaps, joint, sampling_floor, tvd

CELLS = 20_000  # joint values of a random model, at most


@dataclass
class Case:
    """One exact model and the sources that it is learned from."""

    name: str
    graph: cp.CausalGraph
    variables: dict[str, cp.Discrete]
    exact: Any  # (do, keep) -> table
    sources: list[cp.DataSource]
    rows: int

    @property
    def bound(self) -> float:
        """The largest TVD of P(V) that is allowed."""
        return max(
            0.03, 1.5 * sampling_floor(self.exact({}, list(self.graph.variables)), self.rows)
        )


def from_scm(name: str, scm: SCM, sources: list[cp.DataSource], rows: int) -> Case:
    """A case whose truth is an SCM over codes."""
    variables = {v: cp.Discrete(int(scm.cardinalities[v])) for v in scm.graph.variables}
    return Case(name, scm.graph, variables, lambda do, keep: scm.joint(do, keep), sources, rows)


def asia(folder: Path, rows: int) -> Case:
    """The network's own tables where its file is there."""
    path = folder / "asia.bif"
    if not path.exists():
        graph = cp.CausalGraph.parse(
            "asia -> tub -> either; lung -> either -> xray, dysp; lung <-> dysp"
        )
        scm = random_scm(graph, 2, seed=1)
        return from_scm("asia's graph", scm, [cp.DataSource(scm.sample(rows, seed=0))], rows)
    network = Network.read_bif(path, hidden=["smoke", "bronc"])
    graph, names = network.graph(), network.categories
    variables = {name: cp.Discrete(names[name]) for name in graph.variables}

    def exact(do: dict[str, int], keep: list[str]) -> np.ndarray:
        return network.joint(keep, {name: names[name][code] for name, code in do.items()})

    return Case(
        "asia", graph, variables, exact, [cp.DataSource(network.sample(rows, seed=0))], rows
    )


def sachs(rows: int) -> Case:
    """Observation, and an experiment that records little."""
    graph = cp.CausalGraph.parse(
        "PKA -> Mek -> Erk -> Akt; PKA -> Erk, Akt; Mek -> Akt; PKA <-> Mek"
    )
    scm = random_scm(graph, 3, seed=2)
    sources = [cp.DataSource(scm.sample(rows, seed=0), name="seen")]
    set_to = [scm.sample(rows // 3, do={"PKA": level}, seed=level + 1) for level in range(3)]
    columns = {name: np.concatenate([part[name] for part in set_to]) for name in ("PKA", "Mek")}
    sources.append(cp.DataSource(columns, do=["PKA"], name="PKA set"))
    return from_scm("sachs-like, do(PKA)", scm, sources, rows)


def seven(rows: int) -> Case:
    """Neither source records everything."""
    scm = REFERENCES["seven"]
    parts = ("X0 X1 X2 W0 W1 Y0", "X0 X1 X2 W1 Y1")
    sources = []
    for number, part in enumerate(parts):
        table = scm.sample(rows, seed=number)
        sources.append(
            cp.DataSource({name: table[name] for name in part.split()}, name=f"part {number + 1}")
        )
    return from_scm("seven, two partial sources", scm, sources, rows)


def mnist(rows: int) -> Case:
    """The digits' causes, without images."""
    graph = cp.CausalGraph.parse("X1 -> X2; X1, X2 -> W -> Y1, Y2, Thick; X1 <-> X2 <-> Color")
    sizes = {"X1": 2, "X2": 3, "W": 4, "Y1": 3, "Y2": 3, "Thick": 2, "Color": 3}
    scm = random_scm(graph, sizes, seed=4)
    sources = [cp.DataSource(scm.sample(rows, seed=0), name="seen")]
    for value in (0, 1):
        sources.append(
            cp.DataSource(
                scm.sample(rows, {"X1": value}, seed=1 + value),
                do=["X1"],
                name=f"X1 set to {value}",
            )
        )
    return from_scm("F.4, do(X1=0), do(X1=1)", scm, sources, rows)


def random_case(seed: int, rows: int) -> Case:
    """4 to 8 variables, 2 to 4 states."""
    rng = np.random.default_rng(1000 + seed)
    graph = random_graph(rng, 4 + seed % 5)
    while True:
        sizes = {name: int(rng.integers(2, 5)) for name in graph.variables}
        if math.prod(sizes.values()) <= CELLS:
            break
    scm = random_scm(graph, sizes, seed=seed)
    name = f"random {seed}: {len(graph.variables)} variables, {math.prod(sizes.values())} cells"
    return from_scm(name, scm, [cp.DataSource(scm.sample(rows, seed=0))], rows)


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """The cases that were asked for, one at a time."""
    wanted = ("seven",) if options.quick else ("asia", "sachs", "seven", "mnist")
    makers = {
        "asia": lambda n: asia(options.networks, n),
        "sachs": sachs,
        "seven": seven,
        "mnist": mnist,
    }
    for name in options.only or wanted:
        if name in makers:
            yield makers[name](options.rows)
    for seed in range(options.first, options.first + options.models):
        yield random_case(seed, options.rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--objective", default="likelihood", choices=("likelihood", "adversarial", "warm")
    )
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--models", type=int, default=20, help="random models")
    parser.add_argument("--first", type=int, default=0, help="seed of the first of them")
    parser.add_argument("--only", nargs="*", help="of asia, sachs, seven, mnist")
    parser.add_argument("--networks", type=Path, default=Path("../shared/data/networks"))
    parser.add_argument("--steps", type=int)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.models = min(options.models, 2)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(
        f"{'case':44s} {'P(V)':>7s} {'bound':>7s} {'do':>7s}  {'worst query':26s} {'CPU s':>6s}  "
        "not converged"
    )
    missed = 0
    for case in cases(options):
        dcm = cp.DCM(case.graph, case.variables, seed=0)
        start = time.process_time()
        report = cp.fit(
            dcm, case.sources, objective=options.objective, steps=options.steps, progress=False
        )
        seconds = time.process_time() - start
        names = list(case.graph.variables)
        truth = case.exact({}, names)
        draws = max(256, min(4096, 2**23 // truth.size))
        whole = tvd(joint(dcm, draws=draws), truth)
        gaps = do_gaps(dcm, case.exact, dcm.sources, draws=draws) or {"none": 0.0}
        worst = max(gaps, key=lambda query: gaps[query])
        fails = whole > case.bound or gaps[worst] > 0.03
        missed += fails
        doubted = ", ".join(
            module.name for module in report.modules if module.converged is not True
        )
        print(
            f"{case.name:44s} {whole:7.4f} {case.bound:7.4f} {gaps[worst]:7.4f}  {worst:26s} "
            f"{seconds:6.1f}  {doubted}{'  MISSED' if fails else ''}",
            flush=True,
        )
    print(f"{missed} of the cases missed a bound.")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
