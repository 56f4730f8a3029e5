"""Answers of models under declared assumptions."""

from __future__ import annotations

import numpy as np
import pytest

import causalplug as cp
from causalplug.errors import NotIdentifiableError, QueryError

MONOTONE = cp.Assume("monotone", cause="X", effect="Y")
NOISE = cp.Assume("monotone noise", effect="Y")


@pytest.fixture(scope="module")
def bow() -> cp.DCM:
    """Y is caused by X in units that need it; X by lot."""
    graph = cp.CausalGraph.parse("X -> Y")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, 3000)
    y = (rng.random(3000) < 0.2 + 0.5 * x).astype(int)
    dcm = cp.DCM(graph, {name: cp.Discrete(2) for name in "XY"})
    cp.fit(dcm, {"X": x, "Y": y}, progress=False, check_fit=False)
    return dcm


@pytest.fixture(scope="module")
def numbers() -> cp.DCM:
    graph = cp.CausalGraph.parse("X -> Y")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, 2000)
    dcm = cp.DCM(graph, {"X": cp.Discrete(2), "Y": cp.Continuous()})
    rows = {"X": x, "Y": x * 1.5 + (1 + x) * rng.normal(size=2000)}
    cp.fit(dcm, rows, progress=False, check_fit=False, steps=150)
    return dcm


def test_probabilities_of_causation_under_a_monotone_effect(bow: cp.DCM) -> None:
    with pytest.raises(NotIdentifiableError):
        bow.estimate("PNS(Y, X)")
    answer = bow.estimate("PNS(Y, X)", assume=MONOTONE)
    effect = bow.estimate("ATE(Y, X)")
    assert answer.value == pytest.approx(effect.value, abs=1e-9)
    assert answer.standard_error == pytest.approx(effect.standard_error, rel=1e-3)
    assert answer.query == "PNS(Y, X)"
    assert answer.assumptions == (str(MONOTONE),)
    assert "assumed: monotone X -> Y" in str(answer)
    assert answer.to_dict()["assumptions"] == [str(MONOTONE)]
    assert [caveat.name for caveat in answer.warnings] == ["assumption"]
    necessity = bow.estimate("PN(Y, X)", assume=MONOTONE)
    assert necessity.value == pytest.approx(0.5 / 0.7, abs=0.05)
    assert 0 < necessity.standard_error < 0.05
    assert bow.estimate("ATE(Y, X)", assume=MONOTONE).assumptions == ()


def test_bounds_in_place_of_a_refusal_heed_assumptions(bow: cp.DCM) -> None:
    other = cp.Assume("antitone", cause="X", effect="Y")
    text = "P(Y_{X=1}=1, Y_{X=0}=0)"
    free = bow.estimate(text, bounds=True)
    assert free.assumptions == ()
    narrow = bow.estimate(text, bounds=True, assume=MONOTONE)
    assert narrow.value == pytest.approx(0.5, abs=0.05)
    with pytest.raises(QueryError, match=r"give it to causalplug\.bounds"):
        bow.estimate("ATE(Y, X)", assume=cp.Assume("additive", "X", "Y"))
    assert bow.estimate(text, assume=other).value == 0


def test_counterfactuals_of_numbers_by_recovered_noise(numbers: cp.DCM) -> None:
    rows = {"X": np.zeros(3, int), "Y": np.array([-1.0, 0.0, 1.0])}
    with pytest.raises(NotIdentifiableError):
        numbers.counterfactual(rows, do={"X": 1}, variables=["Y"])
    found = numbers.counterfactual(rows, do={"X": 1}, variables=["Y"], assume=NOISE)
    assert np.allclose(found["Y"], 1.5 + 2 * rows["Y"], atol=0.4)
    assert found.attrs["assumptions"] == [str(NOISE)]
    assert found.attrs["warnings"][0]["name"] == "assumption"
    answer = numbers.estimate("E[Y_{X=1} | X=0, Y=1.0]", n=500, assume=NOISE)
    assert answer.value == pytest.approx(3.5, abs=0.4)
    assert answer.assumptions == (str(NOISE),)


def test_monotone_effects_are_no_way_to_draw_rows(bow: cp.DCM, numbers: cp.DCM) -> None:
    with pytest.raises(QueryError, match="cannot be used here"):
        bow.counterfactual(5, evidence={"X": 1, "Y": 1}, do={"X": 0}, assume=MONOTONE)
    with pytest.raises(QueryError, match="no map from one number"):
        numbers.estimate("ATE(Y, X)", assume=cp.Assume("monotone noise", effect="X"))
