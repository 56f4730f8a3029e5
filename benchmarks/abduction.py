"""What a draw given evidence costs, and how far it is from exact inference.

    python benchmarks/abduction.py [--rows 20000] [--sizes 5 10 20 50] [--seed 0]

Discrete networks of tables, with two parents a variable at most, two or three values each and one
hidden cause for every five variables. Evidence is put together, value by value, until its
probability is the one in the table, from 1e-1 to 1e-6; probabilities and the posterior of one
variable are exact, by variable elimination in numpy. "sample" is `DCM.sample(given=…)`, "estimate"
is `DCM.estimate`, and "rows" is `DCM.counterfactual` of 50 rows with all their values, one draw
each. Times are CPU microseconds of one thread for each accepted draw; "x" is that of sampling over
what a draw without evidence costs. The error is the largest distance of the sampled posterior from
the exact one, in standard errors of independent rows.
"""

from __future__ import annotations

import argparse
import string
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from causalplug.dcm import DCM
from causalplug.graphs.graph import CausalGraph
from causalplug.mechanisms.trainable.table import DiscreteTable
from causalplug.variables import Discrete

TARGETS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
Factor = tuple[tuple[str, ...], np.ndarray]


def network(size: int, rng: np.random.Generator) -> tuple[DCM, list[Factor]]:
    """A random network as a model, and the same as factors for exact inference."""
    names = [f"V{i}" for i in range(size)]
    parents = {
        name: sorted({names[i - 1 - int(d)] for d in rng.integers(0, min(i, 4), 2)} if i else set())
        for i, name in enumerate(names)
    }
    pairs = [(names[i], names[i + 2]) for i in range(0, size - 2, 5)]
    directed = [(parent, name) for name in names for parent in parents[name]]
    graph = CausalGraph.from_edges(directed, pairs, names)
    variables = {name: Discrete(int(rng.integers(2, 4))) for name in names}
    states = {pair: rng.dirichlet(np.ones(2) * 4) for pair in pairs}
    mechanisms, factors = {}, [((f"U{k}",), p) for k, p in enumerate(states.values())]
    for name in names:
        own = [pair for pair in pairs if name in pair]
        axes = (*graph.parents(name), *(f"U{pairs.index(pair)}" for pair in own))
        sizes = [variables[p].size for p in graph.parents(name)] + [2] * len(own)
        table = rng.dirichlet(np.ones(variables[name].size), size=tuple(sizes))
        mechanisms[name] = DiscreteTable(
            variables[name],
            {parent: variables[parent] for parent in graph.parents(name)},
            table,
            confounders=[states[pair] for pair in own],
        )
        factors.append(((*axes, name), table))
    return DCM(graph, variables, mechanisms=mechanisms), factors


def exact(factors: Sequence[Factor], evidence: Mapping[str, int], keep: str | None) -> np.ndarray:
    """Sum of the product of ``factors`` at ``evidence``, over all variables but ``keep``."""
    tables = [_at(factor, evidence) for factor in factors]
    left = {name for names, _ in tables for name in names} - {keep}
    while left:
        name = min(left, key=lambda one: len(_joined(tables, one)))
        inside = [table for table in tables if name in table[0]]
        tables = [table for table in tables if name not in table[0]]
        tables.append(_summed(inside, name))
        left.remove(name)
    return _summed(tables, None)[1]


def _at(factor: Factor, evidence: Mapping[str, int]) -> Factor:
    names, table = factor
    index = tuple(evidence.get(name, slice(None)) for name in names)
    return tuple(name for name in names if name not in evidence), table[index]


def _joined(tables: Sequence[Factor], name: str) -> set[str]:
    return {other for names, _ in tables if name in names for other in names}


def _summed(tables: Sequence[Factor], name: str | None) -> Factor:
    every = sorted({other for names, _ in tables for other in names})
    letters = dict(zip(every, string.ascii_letters, strict=False))
    kept = tuple(other for other in every if other != name)
    inputs = ",".join("".join(letters[n] for n in names) for names, _ in tables)
    text = f"{inputs}->{''.join(letters[n] for n in kept)}"
    return kept, np.einsum(text, *(table for _, table in tables))


def evidence_of(
    factors: Sequence[Factor], dcm: DCM, target: float, rng: np.random.Generator
) -> tuple[dict[str, int], float]:
    """Values of some variables whose probability together is about ``target``."""
    found: dict[str, int] = {}
    probability = 1.0
    for name in rng.permutation(list(dcm.graph.variables)[1:]):
        if probability <= 1.5 * target:
            break
        joint = exact(factors, found, str(name))
        allowed = np.flatnonzero(joint >= 0.5 * target)
        if len(allowed):
            value = int(allowed[np.argmin(joint[allowed])])
            found[str(name)], probability = value, float(joint[value])
    return found, probability


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, and what ``work`` returned."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5, 10, 20, 50])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| variables | P(evidence) | values | sample us | x | estimate us | rows us | error |")
    print("|---|---|---|---|---|---|---|---|")
    for size in options.sizes:
        rng = np.random.default_rng(options.seed + size)
        dcm, factors = network(size, rng)
        dcm.sample(100)
        plain, _ = cpu(lambda dcm=dcm: dcm.sample(options.rows))
        data = dcm.sample(50, seed=1)
        dcm.counterfactual(data, do={"V0": 1})
        rows, _ = cpu(lambda dcm=dcm, data=data: dcm.counterfactual(data, do={"V0": 1}))
        for target in TARGETS:
            given, probability = evidence_of(factors, dcm, target, rng)
            if probability > 3 * target:
                continue
            seconds, frame = cpu(lambda dcm=dcm, g=given: dcm.sample(options.rows, given=g))
            asked = next(name for name in dcm.graph.variables if name not in given)
            text = f"P({asked} | {', '.join(f'{k}={v}' for k, v in given.items())})"
            estimated, _ = cpu(lambda dcm=dcm, t=text: dcm.estimate(t, options.rows))
            truth = exact(factors, given, asked)
            truth = truth / truth.sum()
            share = np.bincount(frame[asked], minlength=len(truth)) / options.rows
            error = np.max(np.abs(share - truth) / np.sqrt(truth * (1 - truth) / options.rows))
            per = 1e6 / options.rows
            print(
                f"| {size} | {probability:.1e} | {len(given)} | {seconds * per:.1f} | "
                f"{seconds / plain:.2f} | {estimated * per:.1f} | {rows / 50 * 1e6:,.0f} | "
                f"{error:.1f} |"
            )


if __name__ == "__main__":
    main()
