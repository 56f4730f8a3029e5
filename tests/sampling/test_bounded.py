"""Answers by bounds from a model: refused questions, and effects without overlap."""

import numpy as np
import pandas as pd
import pytest

import causalplug as cp
from causalplug.errors import NotIdentifiableError

BOW = cp.CausalGraph.parse("X -> Y; X <-> Y")


@pytest.fixture(scope="module")
def bow():
    random = np.random.default_rng(0)
    u = random.random(2000) < 0.5
    x = (random.random(2000) < 0.2 + 0.6 * u).astype(int)
    y = (random.random(2000) < 0.1 + 0.3 * x + 0.4 * u).astype(int)
    rows = pd.DataFrame({"X": x, "Y": y})
    dcm = cp.DCM(BOW, {"X": cp.Discrete(2), "Y": cp.Discrete(2)})
    cp.fit(dcm, rows, steps=150, objective="likelihood", progress=False)
    return dcm, rows


def test_a_refusal_says_how_to_get_bounds(bow):
    with pytest.raises(NotIdentifiableError, match="bounds=True"):
        bow[0].estimate("P(Y=1 | do(X=1))")


def test_a_refused_question_gets_the_bounds_of_the_rows(bow):
    dcm, rows = bow
    answer = dcm.estimate("P(Y=1 | do(X=1))", data=rows, bounds=True)
    right = cp.bounds(BOW, "P(Y=1 | do(X=1))", rows)
    line = answer.table.iloc[0]
    assert np.isnan(line["estimate"])
    assert (line["lower_bound"], line["upper_bound"]) == pytest.approx((right.low, right.high))
    assert line["low"] < line["lower_bound"] < line["upper_bound"] < line["high"]
    assert answer.marked
    assert "bounds" in str(answer)


def test_without_rows_the_model_stands_for_them(bow):
    dcm, rows = bow
    answer = dcm.estimate("P(Y | do(X))", bounds=True)
    right = cp.bounds(BOW, "P(Y | do(X))", rows)
    assert len(answer.table) == 4
    assert np.abs(answer.table["lower_bound"].to_numpy() - right.lows).max() < 0.05


def test_without_overlap_the_interval_holds_the_part_without_support():
    random = np.random.default_rng(1)
    x = random.normal(size=1500)
    t = ((x > 0) & (random.random(1500) < 0.6)).astype(int)
    rows = pd.DataFrame({"X": x, "T": t, "Y": np.clip(x + t + random.normal(size=1500), -5, 6)})
    graph = cp.CausalGraph.parse("X -> T; X -> Y; T -> Y")
    dcm = cp.DCM(graph, {"X": cp.Continuous(), "T": cp.Discrete(2), "Y": cp.Continuous()})
    cp.fit(dcm, rows, steps=60, progress=False)
    answer = dcm.estimate("ATE(Y, T)", 2000, data=rows, bounds=True)
    line = answer.table.iloc[0]
    assert line["low"] <= 1 <= line["high"]
    assert line["high"] - line["low"] > 2
    assert "no support" in answer.interval


@pytest.mark.filterwarnings(
    "ignore::causalplug.errors.ConvergenceWarning"
)  # the joint distribution tells of it as well
def test_a_graph_that_the_rows_contradict_is_told_of_when_it_is_trained():
    random = np.random.default_rng(2)
    x = random.integers(0, 2, 2000)
    rows = pd.DataFrame({"X": x, "Y": (random.random(2000) < 0.2 + 0.5 * x).astype(int)})
    graph = cp.CausalGraph.from_edges(variables=["X", "Y"])
    variables = {"X": cp.Discrete(2), "Y": cp.Discrete(2)}
    dcm = cp.DCM(graph, variables)
    with pytest.warns(cp.errors.GraphWarning, match="X ⊥ Y"):
        report = cp.fit(dcm, rows, steps=20, progress=False)
    told = [caveat.name for caveat in report.warnings]
    assert told.count("contradicted graph") == 1
    assert "contradicted graph" in str(dcm.estimate("P(Y=1)", 1000))
    quiet = cp.fit(cp.DCM(graph, variables), rows, steps=20, progress=False, check_graph=False)
    assert "contradicted graph" not in [caveat.name for caveat in quiet.warnings]
