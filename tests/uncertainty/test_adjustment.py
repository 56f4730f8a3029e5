"""Doubly robust estimates: exact where the model is the truth, right where half of it is wrong."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.identification.query import Query
from causalplug.mechanisms.trainable.table import DiscreteTable
from causalplug.sampling.terms import compile_query
from causalplug.uncertainty.adjustment import adjusted, adjustment_names
from causalplug.uncertainty.numbers import AnswerNumbers
from tests.scm import random_scm

GRAPH = cp.CausalGraph.parse("Z -> X; Z -> Y; X -> Y")
OF_Z, OF_X = [0.4, 0.6], [[0.8, 0.2], [0.3, 0.7]]
OF_Y = [[[0.9, 0.1], [0.5, 0.5]], [[0.6, 0.4], [0.2, 0.8]]]  # [z][x][y]


def _model(of_x: list, of_y: list) -> cp.DCM:
    two = cp.Discrete(2)
    tables = {
        "Z": DiscreteTable(two, {}, OF_Z),
        "X": DiscreteTable(two, {"Z": two}, of_x),
        "Y": DiscreteTable(two, {"Z": two, "X": two}, of_y),
    }
    return cp.DCM(GRAPH, dict.fromkeys(GRAPH.variables, two), mechanisms=tables)


def _rows(n: int, seed: int = 0) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    z = (rng.random(n) < OF_Z[1]).astype(int)
    x = (rng.random(n) < np.array(OF_X)[z, 1]).astype(int)
    y = (rng.random(n) < np.array(OF_Y)[z, x, 1]).astype(int)
    return {name: torch.as_tensor(value) for name, value in (("Z", z), ("X", x), ("Y", y))}


def _numbers(dcm: cp.DCM, text: str) -> AnswerNumbers:
    return AnswerNumbers(dcm, compile_query(dcm, Query.parse(text)))


MEAN = np.array(OF_Y)[:, :, 1]
ATE = float(np.dot(OF_Z, MEAN[:, 1] - MEAN[:, 0]))
_treated = np.array(OF_Z) * np.array(OF_X)[:, 1]
ETT = float(np.dot(_treated / _treated.sum(), MEAN[:, 1] - MEAN[:, 0]))
FLAT = [[0.5, 0.5], [0.5, 0.5]]
CASES = [("ATE(Y, X)", ATE), ("ETT(Y, X)", ETT), ("P(Y=1 | do(X=1), Z=0)", MEAN[0, 1])]


@pytest.mark.parametrize(("text", "truth"), CASES)
@pytest.mark.parametrize(
    ("of_x", "of_y"), [(OF_X, OF_Y), (FLAT, OF_Y), (OF_X, [FLAT, FLAT])], ids=["both", "Y", "X"]
)
def test_one_of_two_is_enough(text: str, truth: float, of_x: list, of_y: list) -> None:
    dcm = _model(of_x, of_y)
    numbers = _numbers(dcm, text)
    assert adjustment_names(dcm, numbers) == {"X", "Y", "Z"}
    found = adjusted(dcm, numbers, _rows(40_000), 0)
    error = float(found.influence.std() / 200)
    assert float(found.estimate) == pytest.approx(truth, abs=4 * error)
    assert float(found.influence.mean()) == pytest.approx(0, abs=1e-9)
    assert error < 0.01


def test_the_standard_error_is_the_efficient_one() -> None:
    """Hahn 1998: Var(mu1 - mu0) + E[var1 / e + var0 / (1 - e)]."""
    dcm = _model(OF_X, OF_Y)
    found = adjusted(dcm, _numbers(dcm, "ATE(Y, X)"), _rows(40_000), 0)
    e, spread = np.array(OF_X)[:, 1], MEAN * (1 - MEAN)
    effect = MEAN[:, 1] - MEAN[:, 0]
    inner = (effect - ATE) ** 2 + spread[:, 1] / e + spread[:, 0] / (1 - e)
    assert float(found.influence.var()) == pytest.approx(float(np.dot(OF_Z, inner)), rel=0.04)


@pytest.mark.parametrize(
    ("graph", "text"),
    [
        ("Z -> X; Z -> Y; X -> Y; X <-> Y", "ATE(Y, X)"),
        ("X -> M -> Y; Z -> X; Z <-> M", "ATE(Y, X)"),
        ("Z -> X; X -> Y", "P(Y_{X=1}=1, Y_{X=0}=0)"),
        ("Z -> X; X -> Y", "P(Y_{X=1}=1 | Y=0)"),
    ],
)
def test_it_is_not_used_where_it_does_not_hold(graph: str, text: str) -> None:
    parsed = cp.CausalGraph.parse(graph)
    dcm = cp.DCM(parsed, {name: cp.Discrete(2) for name in parsed.variables})
    assert adjustment_names(dcm, _numbers(dcm, text)) is None


@pytest.mark.parametrize("kind", [cp.Continuous(), cp.Count()], ids=["number", "count"])
def test_a_network_runs_once_for_all_nodes(kind: cp.Variable) -> None:
    """And the estimate is that of a mechanism of one's own, which runs at every node."""
    rng = np.random.default_rng(0)
    variables = {"Z": cp.Continuous(), "X": cp.Discrete(2), "Y": kind}
    dcm = cp.DCM(GRAPH, variables)
    rows = {
        "Z": torch.tensor(rng.normal(size=40), dtype=torch.float32),
        "X": torch.as_tensor(rng.integers(2, size=40)),
        "Y": torch.as_tensor(rng.integers(9, size=40)).float(),
    }
    numbers, mechanism = _numbers(dcm, "ATE(Y, X)"), dcm.mechanism("Y")
    runs: list[object] = []
    mechanism.network.register_forward_hook(lambda *run: runs.append(run))
    together = adjusted(dcm, numbers, rows, 0)
    assert len(runs) == len(numbers.terms) == 2
    mechanism.__class__ = type("Own", (type(mechanism),), {})
    apart = adjusted(dcm, numbers, rows, 0)
    assert len(runs) > 20
    torch.testing.assert_close(together.estimate, apart.estimate, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(together.influence, apart.influence, rtol=1e-5, atol=1e-6)


def test_a_mixed_back_door_is_doubly_robust_by_default() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=1500)
    x = (rng.random(1500) < 1 / (1 + np.exp(-z))).astype(int)
    y = x + np.sin(2 * z) + 0.5 * rng.normal(size=1500)
    graph = cp.CausalGraph.parse("Z -> X; Z -> Y; X -> Y")
    variables = {"Z": cp.Continuous(), "X": cp.Discrete(2), "Y": cp.Continuous()}
    dcm = cp.DCM(graph, variables)
    rows = {"Z": z, "X": x, "Y": y}
    cp.fit(dcm, rows, steps=120, check_fit=False, progress=False)
    answer = dcm.estimate("ATE(Y, X)", n=5000, data=rows)
    alone = dcm.estimate("ATE(Y, X)", n=5000)
    plain = dcm.estimate("ATE(Y, X)", n=5000, data=rows, one_step=False)
    assert abs(answer.value - 1) < 4 * answer.standard_error
    assert "doubly robust" in answer.interval
    assert plain.value == alone.value != answer.value
    efficient = np.sqrt(0.25 * np.mean(2 + np.exp(z) + np.exp(-z)) / 1500)
    assert answer.standard_error == pytest.approx(efficient, rel=0.2)
    assert alone.standard_error == pytest.approx(answer.standard_error, rel=0.25)


def test_intervals_hold_the_truth() -> None:
    """A short form of ``benchmarks/coverage.py``: errors in standard errors are standard normal."""
    sets = 40 if os.environ.get("CAUSALPLUG_EXHAUSTIVE") else 8
    graph = cp.CausalGraph.parse("X -> Z -> Y; X <-> Y")
    scm = random_scm(graph, 2, seed=3, floor=0.3)
    truth = float(scm.probability("P(Y=1 | do(X=1))"))
    scores = []
    for seed in range(sets):
        dcm = cp.DCM(graph, {name: cp.Discrete(2) for name in graph.variables})
        rows = scm.sample(800, seed=seed + 50)
        cp.fit(dcm, rows, steps=120, check_fit=False, progress=False)
        answer = dcm.estimate("P(Y=1 | do(X=1))", n=50_000)
        scores.append((answer.value - truth) / answer.standard_error)
    size = float(np.mean(np.square(scores)))
    low, high = (0.55, 1.6) if sets > 8 else (0.17, 2.75)  # chi-square, 99 %
    assert low < size < high
