"""The one-step estimate of models that were not trained by likelihood."""

from __future__ import annotations

import math

import pytest

import causalplug as cp
from causalplug.identification.evaluate import evaluate
from tests.scm import random_scm

GRAPH = cp.CausalGraph.parse("X -> Z -> Y; X <-> Y")
QUERY = "P(Y=1 | do(X=1))"
ROWS = random_scm(GRAPH, 2, seed=3, floor=0.3).sample(2000, seed=1)


def trained(objective: str, steps: int) -> cp.DCM:
    dcm = cp.DCM(GRAPH, dict.fromkeys(GRAPH.variables, cp.Discrete(2)))
    settings = {"check_fit": False, "check_graph": False, "progress": False, "tolerance": 1.0}
    cp.fit(dcm, ROWS, objective=objective, steps=steps, **settings)
    return dcm


@pytest.mark.parametrize(("objective", "steps"), [("warm", 150), ("adversarial", 250)])
def test_it_does_not_depend_on_how_a_model_was_trained(objective, steps):
    """With the rows, it is the efficient estimate: here the front-door formula on the rows."""
    dcm = trained(objective, steps)
    alone = dcm.estimate(QUERY, n=5000)
    assert math.isnan(alone.standard_error)
    assert "give data= the rows" in alone.interval
    answer = dcm.estimate(QUERY, n=50_000, data=ROWS)
    formula = float(evaluate(cp.identify(GRAPH, QUERY).estimand, ROWS))
    assert 0.009 < answer.standard_error < 0.015
    assert abs(answer.value - formula) < 0.3 * answer.standard_error
    assert "one-step" in answer.interval
    assert math.isnan(dcm.estimate(QUERY, n=5000, data=ROWS, one_step=False).standard_error)


def test_a_model_that_is_far_from_the_rows_has_none():
    answer = trained("adversarial", 10).estimate(QUERY, n=5000, data=ROWS)
    assert math.isnan(answer.standard_error)
    assert "so far from the rows" in answer.interval
    assert "replicates=20" in answer.interval
