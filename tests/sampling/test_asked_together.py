"""Options, conditions and rows of data that meet in one question."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import causalplug as cp
from causalplug.mechanisms.trainable.table import DiscreteTable

COIN = cp.Discrete(2)


@pytest.fixture(scope="module")
def backdoor() -> cp.DCM:
    graph = cp.CausalGraph.parse("Z -> X; Z -> Y; X -> Y")
    outcome = [[[0.9, 0.1], [0.6, 0.4]], [[0.5, 0.5], [0.2, 0.8]]]
    return cp.DCM(
        graph,
        dict.fromkeys("ZXY", COIN),
        mechanisms={
            "Z": DiscreteTable(COIN, {}, [0.4, 0.6]),
            "X": DiscreteTable(COIN, {"Z": COIN}, [[0.8, 0.2], [0.3, 0.7]]),
            "Y": DiscreteTable(COIN, {"Z": COIN, "X": COIN}, outcome),
        },
    )


@pytest.mark.parametrize(("treated", "sign"), [(1, 1), ("1", 1), (0, -1), ("0", -1)])
def test_levels_of_an_effect_may_be_written_as_text(backdoor, treated, sign):
    """The other level is the one that is not meant, however it is written: .4 * .3 + .6 * .3."""
    found = backdoor.ate("Y", "X", treated=treated, n=40_000)
    assert found.value == pytest.approx(sign * 0.3, abs=0.01)


def test_terms_that_mean_the_same_cancel(backdoor):
    with pytest.raises(cp.errors.QueryError, match="asks nothing"):
        backdoor.estimate('P(Y=1 | do(X="1")) - P(Y=1 | do(X=1))')


def test_a_curve_checks_all_its_points_before_the_first(backdoor, monkeypatch):
    asked: list[object] = []
    monkeypatch.setattr("causalplug.sampling.estimate.estimate", lambda *a, **k: asked.append(a))
    with pytest.raises(cp.errors.DataError, match="'bad'"):
        backdoor.curve("Y", "X", [0, 1, "bad"])
    assert not asked


@pytest.mark.parametrize("rows", [np.array([[0, 1, 1]]), torch.tensor([3, 4])])
def test_rows_without_names_are_refused(backdoor, rows):
    with pytest.raises(cp.errors.QueryError, match="rows of a counterfactual cannot be read"):
        backdoor.counterfactual(rows, do={"X": 1})


@pytest.mark.parametrize("interval", ["none", "replicates"])
def test_a_correction_that_would_be_left_out_is_refused(backdoor, interval):
    rows = backdoor.sample(50)
    with pytest.raises(cp.errors.QueryError, match="one_step=True cannot be used with interval"):
        backdoor.estimate("P(Y=1 | do(X=1))", one_step=True, data=rows, interval=interval)


def test_rows_of_an_experiment_do_not_refute(backdoor):
    source = cp.DataSource(backdoor.sample(50, do={"X": 1}), do=["X"])
    with pytest.raises(cp.errors.QueryError, match="X was set"):
        backdoor.refute("ATE(Y, X)", source, n=100, steps=1)


def test_weights_of_one_world_hold_beside_rows_of_another():
    """One value of D for each row says what one value for all says."""
    graph = cp.CausalGraph.parse("D -> Y; X <-> Y")
    dcm = cp.DCM(graph, {"D": COIN, "X": COIN, "Y": cp.Continuous()}, seed=3)
    with torch.no_grad():
        for name in "XY":
            for parameter in dcm.mechanism(name).parameters():
                parameter.mul_(4)
    seen, n = cp.Evidence({"Y": 3.0}, do={"D": 0}), 400
    by_row = [seen, cp.Evidence({"D": np.ones(n, int)})]
    found = dcm.counterfactual(n, evidence=by_row, do={"D": 1}, variables=["X"])
    same = dcm.counterfactual(n, evidence=[seen, {"D": 1}], do={"D": 1}, variables=["X"])
    assert dcm.sample(4000)["X"].mean() < 0.85
    assert same["X"].mean() > 0.97
    assert found["X"].mean() > 0.97
    assert "log_weight" not in found.attrs.get("reconstruction_error", {})


@pytest.fixture(scope="module")
def counts() -> cp.DCM:
    return cp.DCM(cp.CausalGraph.parse("A -> C"), {"A": COIN, "C": cp.Count()}, seed=2)


@pytest.mark.parametrize(
    ("closed", "values"),
    [("both", {1, 2, 3}), ("right", {2, 3}), ("left", {1, 2}), ("neither", {2})],
)
def test_an_interval_of_pandas_holds_the_ends_that_it_says(counts, closed, values):
    interval = pd.Interval(1, 3, closed=closed)
    rows = counts.sample(300, given={"C": interval}, variables=["C"])
    assert set(rows["C"]) == values


def test_an_interval_without_a_value_is_refused(counts):
    with pytest.raises(cp.errors.QueryError, match=r"\(2.0, 2.0\]"):
        counts.sample(5, given={"C": pd.Interval(2, 2, closed="right")})


def test_a_range_beyond_the_rows_is_a_caveat_of_an_estimate(backdoor):
    dcm = cp.DCM(cp.CausalGraph.parse("Z -> X"), {"Z": cp.Continuous(), "X": COIN})
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"Z": random.normal(size=200), "X": random.integers(0, 2, 200)})
    cp.fit(dcm, rows, steps=5, progress=False)
    found = dcm.estimate("P(X=1 | Z > 3.5)", 2000, min_acceptance=1e-6, interval="none")
    assert "extrapolation" in [caveat.name for caveat in found.warnings]
    with torch.inference_mode():
        assert np.isfinite(dcm.estimate("P(X=1 | Z > 0)", 2000).standard_error)


def test_bounds_stand_beside_an_answer_that_was_allowed(backdoor):
    """Without rows their interval is as wide as the rows of the training make it."""
    bow = cp.DCM(cp.CausalGraph.parse("X -> Y; X <-> Y"), {"X": COIN, "Y": COIN})
    rows = backdoor.sample(600, variables=["X", "Y"])
    cp.fit(bow, rows, steps=60, progress=False)
    query = "P(Y=1 | do(X=1))"
    known = bow.estimate(query, 2000, bounds=True, data=rows).table.iloc[0]
    found = bow.estimate(query, 2000, bounds=True, allow_unidentified=True)
    row = found.table.iloc[0]
    assert np.isfinite(row["estimate"])
    assert row["low"] <= row["lower_bound"] < row["upper_bound"] <= row["high"]
    width, wanted = row["high"] - row["upper_bound"], known["high"] - known["upper_bound"]
    assert width == pytest.approx(wanted, rel=0.5)
    bow.history = {}
    bare = bow.estimate(query, 2000, bounds=True).table.iloc[0]
    assert (bare["low"], bare["high"]) == (bare["lower_bound"], bare["upper_bound"])


@pytest.mark.filterwarnings("ignore::causalplug.errors.ConvergenceWarning")
def test_all_tables_of_observations_enter_a_doubly_robust_estimate():
    random = np.random.default_rng(0)
    z = random.normal(size=1000)
    x = (random.random(1000) < 1 / (1 + np.exp(-z))).astype(int)
    rows = pd.DataFrame({"Z": z, "X": x, "Y": z + x + random.normal(size=1000)})
    parts = [cp.DataSource(rows[:100]), cp.DataSource(rows[100:].reset_index(drop=True))]
    graph = cp.CausalGraph.parse("Z -> X; Z -> Y; X -> Y")
    dcm = cp.DCM(graph, {"Z": cp.Continuous(), "X": COIN, "Y": cp.Continuous()})
    cp.fit(dcm, parts, steps=60, progress=False)
    found = [dcm.estimate("ATE(Y, X)", 5000, data=data) for data in (parts, parts[::-1])]
    whole = found[0]
    assert "doubly robust" in whole.interval
    assert found[1].value == pytest.approx(whole.value, abs=1e-6)
    assert whole.standard_error == pytest.approx(2 / np.sqrt(1000) * 1.1, rel=0.25)


def test_worlds_written_per_row_are_repeated_for_every_draw(backdoor):
    rows = pd.DataFrame({"X": [1, 0, 1], "Y": [1, 1, 0]})
    per_row = [0, 1, 0]
    alone = backdoor.counterfactual(rows, do={"X": per_row}, draws=4)
    among = backdoor.counterfactual(rows, worlds={"other": {"X": per_row}}, draws=4)
    assert among[("other", "Y")].tolist() == alone["Y"].tolist()


def test_the_suggested_category_is_written_as_declared():
    with pytest.raises(cp.errors.DataError, match=r"Did you mean 10\?"):
        cp.Discrete([10, 20]).encode(["10 "], name="X")
