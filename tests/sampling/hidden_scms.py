"""Structural causal models made from a seed, of the kinds that a table can be: mixed,
continuous, with counts, with a hidden cause of three, with doses that an experiment set, with
rare values.

The tables are so long that chance alone hardly takes a right estimate out of its bound: with 4,000
rows the best estimator that knows the equations leaves it at one question in ten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import causalplug as cp

__all__ = ["KINDS", "Made", "make"]

Columns = dict[str, np.ndarray]
World = Callable[[np.random.Generator, int, Mapping[str, float]], Columns]


@dataclass(frozen=True, eq=False)
class Made:
    """One model, and what can be asked of it.

    Attributes:
        graph: Its graph.
        variables: Declarations.
        world: Rows under an intervention: random numbers, number of rows, what is set.
        experiments: Tables that are recorded: number of rows, and values from which each row's
            value of a variable is drawn.
        questions: What is set, and the outcome whose mean is asked for.
    """

    graph: cp.CausalGraph
    variables: dict[str, Any]
    world: World
    experiments: list[tuple[int, dict[str, list[float]]]]
    questions: list[tuple[dict[str, float], str]]

    def sources(self, seed: int) -> list[cp.DataSource]:
        """The recorded tables."""
        rng = np.random.default_rng((seed, 1))
        found = []
        for rows, doses in self.experiments:
            set_to = {name: rng.choice(values, rows) for name, values in doses.items()}
            columns = self.world(rng, rows, set_to)
            found.append(cp.DataSource(pd.DataFrame(columns), do=tuple(doses)))
        return found

    def truth(self, do: Mapping[str, float], outcome: str, seed: int) -> tuple[float, float]:
        """Mean and standard deviation of the outcome under an intervention, from 400,000 rows."""
        column = self.world(np.random.default_rng((seed, 2)), 400_000, do)[outcome]
        return float(column.mean()), float(column.std())


def _coin(rng: np.random.Generator, chance: np.ndarray) -> np.ndarray:
    return (rng.random(len(chance)) < chance).astype(int)


def _logistic(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def _set(do: Mapping[str, Any], name: str, otherwise: np.ndarray) -> np.ndarray:
    if name not in do:
        return otherwise
    return np.broadcast_to(np.asarray(do[name]), otherwise.shape).astype(otherwise.dtype)


def mixed(draw: np.random.Generator) -> Made:
    """A covariate of each kind, a binary treatment, a number and a category as outcomes."""
    a, b, c = draw.uniform(0.4, 1.0, 3)

    def world(rng: np.random.Generator, n: int, do: Mapping[str, float]) -> Columns:
        z, k = rng.normal(size=n), rng.integers(3, size=n)
        t = _set(do, "T", _coin(rng, _logistic(a * z + 0.5 * (k - 1))))
        y = b * z + c * t * (k == 2) + 0.5 * t + rng.normal(size=n)
        return {"Z": z, "K": k, "T": t, "Y": y, "R": _coin(rng, _logistic(y - t))}

    variables = {"Z": cp.Continuous(), "K": cp.Discrete(3), "T": cp.Discrete(2)}
    variables |= {"Y": cp.Continuous(), "R": cp.Discrete(2)}
    graph = cp.CausalGraph.parse("Z, K -> T; Z, K, T -> Y; Y, T -> R")
    questions = [({"T": t}, outcome) for t in (0, 1) for outcome in ("Y", "R")]
    return Made(graph, variables, world, [(16_000, {})], questions)


def continuous(draw: np.random.Generator) -> Made:
    """A front door of numbers."""
    a, b, c = draw.uniform(0.5, 1.0, 3)

    def world(rng: np.random.Generator, n: int, do: Mapping[str, float]) -> Columns:
        u = rng.normal(size=n)
        x = _set(do, "X", c * u + rng.normal(size=n))
        m = a * x + rng.normal(size=n)
        return {"X": x, "M": m, "Y": np.tanh(b * m) + c * u + 0.5 * rng.normal(size=n)}

    graph = cp.CausalGraph.parse("X -> M -> Y; X <-> Y")
    variables = dict.fromkeys("XMY", cp.Continuous())
    return Made(graph, variables, world, [(16_000, {})], [({"X": x}, "Y") for x in (-0.5, 0.5)])


def counts(draw: np.random.Generator) -> Made:
    """A count is the covariate, and another one the outcome."""
    a, b = draw.uniform(0.3, 0.7, 2)

    def world(rng: np.random.Generator, n: int, do: Mapping[str, float]) -> Columns:
        k = rng.poisson(2.0, n)
        t = _set(do, "T", _coin(rng, _logistic(a * (k - 2))))
        return {"K": k, "T": t, "Y": rng.poisson(np.exp(0.2 * k + b * t))}

    graph = cp.CausalGraph.parse("K -> T; K, T -> Y")
    variables = {"K": cp.Count(), "T": cp.Discrete(2), "Y": cp.Count()}
    return Made(graph, variables, world, [(16_000, {})], [({"T": t}, "Y") for t in (0, 1)])


def clique(draw: np.random.Generator) -> Made:
    """A hidden cause of three binary variables around a front door."""
    a, b = draw.uniform(0.15, 0.3, 2)

    def world(rng: np.random.Generator, n: int, do: Mapping[str, float]) -> Columns:
        u = rng.integers(2, size=n)
        x = _set(do, "X", _coin(rng, 0.3 + 0.4 * u))
        m = _coin(rng, 0.2 + 0.6 * x)
        y = _coin(rng, 0.2 + a * u + b * m + 0.1 * u * m)
        return {"X": x, "M": m, "Y": y, "W": _coin(rng, 0.25 + 0.5 * u)}

    graph = cp.CausalGraph.parse("X -> M -> Y; X <-> Y; X <-> W; Y <-> W")
    variables = dict.fromkeys("XMYW", cp.Discrete(2))
    questions = [({"X": x}, "Y") for x in (0, 1)] + [({}, "W")]
    return Made(graph, variables, world, [(6000, {})], questions)


def doses(draw: np.random.Generator) -> Made:
    """A confounded treatment that an experiment set to three values."""
    a, b = draw.uniform(0.5, 1.0, 2)

    def world(rng: np.random.Generator, n: int, do: Mapping[str, float]) -> Columns:
        u = rng.normal(size=n)
        t = _set(do, "T", u + 0.7 * rng.normal(size=n))
        return {"T": t, "Y": np.sin(2 * a * t) + b * u + 0.5 * rng.normal(size=n)}

    graph = cp.CausalGraph.parse("T -> Y; T <-> Y")
    variables = dict.fromkeys("TY", cp.Continuous())
    experiments = [(16_000, {}), (16_000, {"T": [-1.0, 0.0, 1.0]})]
    return Made(graph, variables, world, experiments, [({"T": t}, "Y") for t in (-1.0, 0.0, 1.0)])


def rare(draw: np.random.Generator) -> Made:
    """A treatment of a few per cent that part of the rows can hardly have."""
    a, b = draw.uniform(0.5, 1.0, 2)

    def world(rng: np.random.Generator, n: int, do: Mapping[str, float]) -> Columns:
        z = rng.normal(size=n)
        t = _set(do, "T", _coin(rng, 0.12 * (z > 0)))
        return {"Z": z, "T": t, "Y": a * z + t * np.where(z > 0, b, -2 * b) + rng.normal(size=n)}

    graph = cp.CausalGraph.parse("Z -> T; Z, T -> Y")
    variables = {"Z": cp.Continuous(), "T": cp.Discrete(2), "Y": cp.Continuous()}
    return Made(graph, variables, world, [(5000, {})], [({"T": t}, "Y") for t in (0, 1)])


KINDS: dict[str, Callable[[np.random.Generator], Made]] = {
    "mixed": mixed,
    "continuous": continuous,
    "counts": counts,
    "clique": clique,
    "doses": doses,
    "rare": rare,
}


def make(kind: str, seed: int) -> Made:
    """A model of a kind; its coefficients follow from the seed."""
    return KINDS[kind](np.random.default_rng((seed, 0)))
