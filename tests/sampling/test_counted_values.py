"""Single values of counts in questions: they have probabilities, as categories have."""

import math

import numpy as np
import pytest
from scipy import stats

import causalplug as cp
from causalplug.errors import CausalPlugError

N = 6000


@pytest.fixture(scope="module")
def dcm():
    draw = np.random.default_rng(1)
    x = draw.integers(0, 2, N)
    k = draw.poisson(1 + 2 * x)
    y = draw.random(N) < 1 / (1 + np.exp(2.0 - k))
    kinds = {"X": cp.Discrete(2), "K": cp.Count(), "Y": cp.Discrete(2)}
    made = cp.DCM(cp.CausalGraph.parse("X -> K -> Y"), kinds, seed=0)
    cp.fit(made, {"X": x, "K": k, "Y": y.astype(int)}, seed=0, progress=False)
    return made


def share(of_k, x):
    return stats.poisson(1 + 2 * x).pmf(of_k)


MEAN = {k: (share(k, 0) + share(k, 1)) / 2 for k in range(30)}
QUESTIONS = {
    "P(K=1 | do(X=1))": share(1, 1),
    "P(K=0)": MEAN[0],
    "P(K!=0 | do(X=1))": 1 - share(0, 1),
    "P(X=1 | K!=0)": (1 - share(0, 1)) / (2 - share(0, 0) - share(0, 1)),
    "P(X=1 | K=0)": share(0, 1) / (share(0, 0) + share(0, 1)),
    "P(K=2, Y=1 | do(X=1))": share(2, 1) / 2,
    "P(K=0 | do(X=1)) - P(K=0 | do(X=0))": share(0, 1) - share(0, 0),
    "P(K=1 | do(X=0)) / P(K=1 | do(X=1))": share(1, 0) / share(1, 1),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_value_has_its_probability(dcm, question):
    found = dcm.estimate(question, n=50_000, seed=0)
    truth = QUESTIONS[question]
    assert abs(float(found) - truth) < 4 * found.standard_error
    assert 0 < found.standard_error < 0.08 * max(truth, 0.5)


@pytest.mark.parametrize(
    ("question", "match"),
    [
        ("P(K=1.5)", "not counts"),
        ("P(K=-1)", "not counts"),
        ("P(K!=2.5)", "not counts"),
        ("P(Y=1 | K!=-1)", "not counts"),
    ],
)
def test_what_is_no_count_is_refused(dcm, question, match):
    with pytest.raises(CausalPlugError, match=match):
        dcm.estimate(question, n=100)


def test_continuous_numbers_have_no_single_values():
    kinds = {"X": cp.Continuous(), "Y": cp.Continuous()}
    made = cp.DCM(cp.CausalGraph.parse("X -> Y"), kinds)
    with pytest.raises(CausalPlugError, match="at one value"):
        made.estimate("P(Y=1 | do(X=0))", n=100)
    with pytest.raises(CausalPlugError, match="takes no single value"):
        made.estimate("P(Y!=1 | do(X=0))", n=100)


def test_quantiles_of_counts_have_intervals_of_counts(dcm):
    """Of a share inside a step the interval is that count alone, and at a jump both counts."""
    table = dcm.estimate("P(K | do(X=1))", n=50_000, seed=0).table.iloc[0]
    for name in ("q05", "q25", "q50", "q75", "q95"):
        low, value, high = (table[f"{name}{end}"] for end in ("_low", "", "_high"))
        assert low <= value <= high
        assert low >= 0
        assert {low, high} <= set(range(20))
    assert stats.poisson(3).cdf(0) == pytest.approx(0.0498, abs=1e-4)  # q05 is 0 or 1
    assert (table.q05_low, table.q05_high) == (0, 1)
    assert (table.q50_low, table.q50, table.q50_high) == (3, 3, 3)
    assert math.isfinite(table.q05_se)


@pytest.mark.filterwarnings("ignore")
def test_cells_that_no_draw_has_are_left_open():
    draw = np.random.default_rng(0)
    x = draw.integers(0, 2, 1000)
    rows = {"X": x, "Z": np.where(draw.random(1000) < 0.004, 2, x), "K": draw.poisson(1 + x)}
    kinds = {"X": cp.Discrete(2), "Z": cp.Discrete(3), "K": cp.Count()}
    made = cp.DCM(cp.CausalGraph.parse("X -> Z; X -> K"), kinds, seed=0)
    cp.fit(made, rows, steps=50, seed=0, progress=False)
    table = made.estimate("P(K, Z | do(X=1))", n=20, seed=0).summaries["K"]
    empty = table["mean"].isna()
    assert empty.any()
    assert not empty.all()
    assert table.loc[empty, ["q50", "q50_low", "q50_high"]].isna().all(axis=None)
    assert table.loc[~empty, ["q50", "q50_low", "q50_high"]].notna().all(axis=None)
