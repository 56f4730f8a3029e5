"""Bounds by a back-door set with numbers: the columns are read as other bounds read them."""

from __future__ import annotations

import numpy as np
import pytest

import causalplug as cp
from causalplug.errors import DataError

GRAPH = cp.CausalGraph.parse("Z -> X; Z -> Y; X -> Y")


@pytest.fixture(scope="module")
def rows() -> dict[str, np.ndarray]:
    """Where Z does not matter, the chance of Y is .7 with X and .3 without."""
    random = np.random.default_rng(0)
    x = np.repeat([True, False], 100)
    y = np.concatenate([np.arange(100) < 70, np.arange(100) < 30])
    return {"Z": random.normal(size=200), "X": x, "Y": y}


@pytest.fixture(autouse=True)
def no_trees(monkeypatch):
    """Weights and expectations of rows that are alike, in place of boosted trees."""
    home = "causalplug.checks.adjustment_bounds."
    monkeypatch.setattr(home + "_ratio", lambda features, had, at, seed: np.ones(len(at)))
    monkeypatch.setattr(home + "_odds", lambda features, others, at, seed: np.ones(len(at)))

    class Mean:
        def fit(self, features, outcome):
            self.mean = outcome.mean()
            return self

        def predict(self, features):
            return np.full(len(features), self.mean)

    monkeypatch.setattr(home + "_regressor", lambda seed: Mean())


@pytest.mark.parametrize("value", ["True", "true", "1"])
@pytest.mark.parametrize("outcome", ["True", "1"])
def test_truth_values_may_be_spelled_in_each_way(rows, value, outcome):
    found = cp.bounds(GRAPH, f"P(Y={outcome} | do(X={value}))", rows)
    assert found.low == pytest.approx(0.7, abs=0.02)
    assert found.high == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("query", ["P(Y=7 | do(X=1))", "P(Y=1 | do(X=7))"])
def test_values_that_never_occur_are_refused(rows, query):
    with pytest.raises(DataError, match="=7 never occurs"):
        cp.bounds(GRAPH, query, rows)


def test_columns_that_cannot_be_used(rows):
    for name in ("Y", "Z"):
        odd = rows[name].astype(float)
        odd[3] = np.nan
        with pytest.raises(DataError, match=f"'{name}' cannot be used: it has missing"):
            cp.bounds(GRAPH, "E[Y | do(X=1)]", {**rows, name: odd})
    with pytest.raises(DataError, match="outside its range of 0 to 1"):
        cp.bounds(GRAPH, "E[Y | do(X=1)]", {**rows, "Y": 5.0 * rows["Y"]}, ranges={"Y": (0, 1)})
    with pytest.raises(DataError, match="are no numbers"):
        cp.bounds(GRAPH, "E[Y | do(X=1)]", {**rows, "Y": rows["Y"].astype(str)})


def test_a_threshold_of_zero_takes_all_rows_as_supported(rows):
    found = cp.bounds(GRAPH, "P(Y=1 | do(X=1))", rows, threshold=0)
    assert found.low == found.high
