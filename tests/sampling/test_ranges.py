"""Ratios, products and ranges of values: estimates against exact models."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.errors import QueryError
from causalplug.noise import NoiseSpec
from tests.sampling.exact import as_dcm
from tests.scm import random_scm

N = 20_000


@pytest.fixture(scope="module")
def model() -> tuple:
    graph = cp.CausalGraph.parse("Z -> X -> Y; X <-> Y")
    scm = random_scm(graph, cardinalities={"Z": 3, "X": 2, "Y": 4}, seed=4)
    return scm, as_dcm(scm)


def joint(scm: object, text: str) -> np.ndarray:
    return scm.probability(text)  # type: ignore[attr-defined]


def truths(scm: object) -> dict[str, float]:
    p = joint(scm, "P(Y, Z | do(X=1))")
    q = joint(scm, "P(Y, Z | do(X=0))")
    one, zero = p.sum(1), q.sum(1)
    return {
        "P(Y>=2 | do(X=1))": one[2:].sum(),
        "P(1<=Y<3 | do(X=1), Z<2)": p[1:3, :2].sum() / p[:, :2].sum(),
        "P(Y=2 | do(X=1), Z!=1)": p[2, [0, 2]].sum() / p[:, [0, 2]].sum(),
        "E[Y | do(X=1), Z>0, Z<=1.5]": np.arange(4) @ p[:, 1] / p[:, 1].sum(),
        "P(Y>2.5 | do(X=1)) - P(Y>2.5 | do(X=0))": one[3] - zero[3],
        "P(Y=1 | do(X=1)) / P(Y=1 | do(X=0))": one[1] / zero[1],
        "RR(Y=2, X)": one[2] / zero[2],
        "OR(Y, X=1 vs 0)": one[1] / (1 - one[1]) / (zero[1] / (1 - zero[1])),
        "1 - RR(Y=3, X)": 1 - one[3] / zero[3],
        "P(Y=1 | do(X=1)) * P(Y=2 | do(X=0))": one[1] * zero[2],
        "(P(Y<2 | do(X=1)) - P(Y<2 | do(X=0))) / P(Z=0)": (
            (one[:2].sum() - zero[:2].sum()) / p[:, 0].sum()
        ),
    }


def test_estimates_of_ranges_and_ratios(model: tuple) -> None:
    scm, dcm = model
    for text, truth in truths(scm).items():
        answer = dcm.estimate(text, n=N, seed=1)
        assert answer.table["monte_carlo_error"][0] > 0, text
        assert abs(answer.value - truth) < 4 * answer.table["monte_carlo_error"][0], text


def test_the_error_of_a_ratio_is_that_of_repeated_draws(model: tuple) -> None:
    scm, dcm = model
    truth = truths(scm)["OR(Y, X=1 vs 0)"]
    answers = [dcm.estimate("OR(Y, X)", n=2000, seed=seed) for seed in range(200)]
    errors = np.array([answer.table["monte_carlo_error"][0] for answer in answers])
    scores = (np.array([answer.value for answer in answers]) - truth) / errors
    assert 0.8 < scores.std() < 1.2
    assert abs(scores.mean()) < 0.35


def test_open_axes_of_a_ratio(model: tuple) -> None:
    scm, dcm = model
    answer = dcm.estimate("P(Y | do(X=1)) / P(Y | do(X=0))", n=N)
    exact = joint(scm, "P(Y | do(X=1))") / joint(scm, "P(Y | do(X=0))")
    assert np.allclose(answer.table["estimate"], exact, rtol=0.1)
    assert answer.table["Y"].tolist() == [0, 1, 2, 3]


def test_given_takes_ranges(model: tuple) -> None:
    _, dcm = model
    drawn = dcm.sample(500, given={"Y": cp.Interval(1, 3, includes_high=False)}, seed=0)
    assert set(drawn["Y"]) == {1, 2}
    drawn = dcm.sample(500, given={"Z": cp.Except(1)}, seed=0)
    assert set(drawn["Z"]) == {0, 2}


class Step(cp.Mechanism):
    """Half of the values are 0, the others uniform: a number with an atom."""

    def __init__(self) -> None:
        super().__init__()
        self.variable, self.parents = cp.Continuous(), ()
        self.noise = {"u": NoiseSpec(distribution="uniform")}

    def forward(self, parents, noise, confounder=None):  # type: ignore[no-untyped-def]
        return torch.relu(noise["u"] - 0.5)


def test_strict_bounds_leave_the_bound_out() -> None:
    graph = cp.CausalGraph.parse("N")
    dcm = cp.DCM(graph, {"N": cp.Continuous()}, mechanisms={"N": Step()})
    for text, truth in (("P(N>0)", 0.5), ("P(N>=0)", 1.0), ("P(0<N<=0.25)", 0.25)):
        answer = dcm.estimate(text, n=N, allow_unidentified=True)
        assert answer.value == pytest.approx(truth, abs=0.02), text
    assert dcm.sample(200, given={"N": cp.Interval(low=0, includes_low=False)})["N"].min() > 0
    answer = dcm.estimate("E[N | N>0]", n=N, allow_unidentified=True)
    assert answer.value == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("P(Y>7)", "none of the values of Y lies in it"),
        ("P(Z | Y>7)", "none of the values of Y lies in it"),
        ("P(Z | Y>2, Y<1)", "holds no number"),
        ("P(W>1)", "names without an order"),
        ("P(N!=1)", "takes no single value"),
        ("P(I>1)", "has no order"),
    ],
)
def test_ranges_that_make_no_sense(text: str, why: str) -> None:
    kinds = {
        "Y": cp.Discrete(4),
        "Z": cp.Discrete(2),
        "W": cp.Discrete(["a", "b"]),
        "N": cp.Continuous(),
        "I": cp.Image(1, 4, 4),
    }
    dcm = cp.DCM(cp.CausalGraph.parse("Y; Z; W; N; I"), kinds)
    with pytest.raises(QueryError, match=why):
        dcm.estimate(text, allow_unidentified=True)
