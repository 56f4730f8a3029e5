"""Influence of rows on answers that are given a number, or contrast numbers of several worlds."""

from __future__ import annotations

import pytest
import torch

import causalplug as cp
from causalplug.identification.query import Query
from causalplug.sampling.terms import compile_query
from causalplug.training.learner import trainable
from causalplug.uncertainty.gradient import NoGradient, answer_gradient
from causalplug.uncertainty.numbers import AnswerNumbers

GRAPH = cp.CausalGraph.parse("C, Z -> X; Z, X -> W; Z <-> C")


@pytest.fixture(scope="module")
def dcm() -> cp.DCM:
    """Mechanisms with random weights: nothing is trained."""
    kinds = dict.fromkeys("ZXW", cp.Continuous())
    model = cp.DCM(GRAPH, {**kinds, "C": cp.Discrete(2)}, hidden=(8,))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name in GRAPH.variables:
            for parameter in trainable(model.mechanism(name)):
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return model


def _value(dcm: cp.DCM, text: str) -> float:
    """The answer by many rows, on the same noise whatever the weights."""
    answer = dcm.estimate(text, n=20_000, interval="none", allow_unidentified=True)
    return answer.value


@pytest.mark.parametrize(
    "text",
    [
        "E[Z | X=0.5]",
        "P(C=1 | X=0.5)",
        "E[W | do(X=1.0), Z=0.5] - E[W | do(X=0.0), Z=-0.5]",
        "E[W | X=0.3, Z=0.2] - E[Z | X=-0.1]",
    ],
)
def test_gradients_are_those_of_finite_differences(dcm: cp.DCM, text: str) -> None:
    query = Query.parse(text)
    numbers = AnswerNumbers(dcm, compile_query(dcm, query), query.formula)
    parameters = {name: trainable(dcm.mechanism(name)) for name in GRAPH.variables}
    found = answer_gradient(dcm, numbers, parameters, rows=20_000)
    generator = torch.Generator().manual_seed(0)
    way = {
        n: [torch.randn(p.shape, generator=generator) for p in of] for n, of in parameters.items()
    }
    step, slope = 0.05, 0.0
    for sign in (1, -1):
        _move(parameters, way, sign * step)
        slope += sign * _value(dcm, text) / (2 * step)
        _move(parameters, way, -sign * step)
    along = sum(
        float(found[name][0] @ torch.cat([a.flatten() for a in way[name]]).double()) for name in way
    )
    assert abs(slope) > 0.01
    assert along == pytest.approx(slope, abs=0.03 + 0.06 * abs(slope))


def _move(parameters: dict, way: dict, step: float) -> None:
    with torch.no_grad():
        for name, own in parameters.items():
            for parameter, along in zip(own, way[name], strict=True):
                parameter.add_(along, alpha=step)


def test_a_number_whose_noise_is_needed_elsewhere_is_refused(dcm: cp.DCM) -> None:
    query = Query.parse("E[W_{X=1.0} | W=0.5]")
    numbers = AnswerNumbers(dcm, compile_query(dcm, query))
    with pytest.raises(NoGradient, match="the value of W is given"):
        answer_gradient(dcm, numbers, {}, rows=100)


def test_evidence_that_few_rows_explain_is_refused(dcm: cp.DCM) -> None:
    """The density of X at 30 is that of its few nearest rows."""
    numbers = AnswerNumbers(dcm, compile_query(dcm, Query.parse("E[Z | X=30.0]")))
    with pytest.raises(NoGradient, match="effectively"):
        answer_gradient(dcm, numbers, {}, rows=5000)
