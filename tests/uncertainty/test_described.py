"""Intervals of means, deviations and quantiles of numbers that an answer leaves open."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

import causalplug as cp
from causalplug.sampling.answers import DESCRIBED, QUANTILES

ROWS = 2000
EXACT = {
    "mean": 1 / math.sqrt(ROWS),
    "sd": 1 / math.sqrt(2 * ROWS),
    **{
        f"q{round(100 * q):02d}": math.sqrt(q * (1 - q) / ROWS)
        / NormalDist().pdf(NormalDist().inv_cdf(q))
        for q in QUANTILES
    },
}
"""Standard errors of a standard normal sample."""


@pytest.fixture(scope="module")
def fitted() -> tuple[cp.DCM, dict[str, np.ndarray]]:
    rng = np.random.default_rng(2)
    z = rng.normal(size=ROWS)
    x = rng.integers(0, 2, ROWS)
    rows = {"Z": z, "X": x, "W": z + x + rng.normal(size=ROWS)}
    graph = cp.CausalGraph.parse("Z -> W; X -> W")
    kinds = {"Z": cp.Continuous(), "X": cp.Discrete(2), "W": cp.Continuous()}
    dcm = cp.DCM(graph, kinds)
    cp.fit(dcm, rows, progress=False, check_fit=False, steps=150, held_out=0.0)
    return dcm, rows


def test_errors_are_those_of_normal_samples(
    fitted: tuple[cp.DCM, dict[str, np.ndarray]],
) -> None:
    dcm, rows = fitted
    answer = dcm.estimate("P(Z)", data=rows)
    (line,) = answer.summaries["Z"].to_dict("records")
    for name, exact in EXACT.items():
        assert line[f"{name}_se"] == pytest.approx(exact, rel=0.2), name
        assert line[f"{name}_low"] < line[name] < line[f"{name}_high"]
    ordered = np.quantile(rows["Z"], QUANTILES)
    for name, value in zip(DESCRIBED[2:], ordered, strict=True):
        assert line[name] == pytest.approx(value, abs=0.04), name
    assert line["sd"] == pytest.approx(rows["Z"].std(), abs=0.01)
    assert "doubly robust" in answer.interval
    assert answer.table is answer.summaries["Z"]


def test_the_model_alone_tells_about_as_much(
    fitted: tuple[cp.DCM, dict[str, np.ndarray]],
) -> None:
    dcm, _ = fitted
    narrow, wide = (dcm.estimate("P(W | do(X=1))", n=5000, level=v) for v in (0.5, 0.95))
    (first,), (second,) = (a.summaries["W"].to_dict("records") for a in (narrow, wide))
    assert first["mean_se"] == pytest.approx(math.sqrt(3 / ROWS), rel=0.4)
    assert first["q50_se"] > first["q50_mc"] > 0
    widths = [line["q50_high"] - line["q50_low"] for line in (first, second)]
    assert widths[1] / widths[0] == pytest.approx(1.96 / 0.6745, rel=1e-3)
    assert "95% intervals" in str(wide)
    assert "q05" in str(wide)


def test_within_values_of_another_outcome(
    fitted: tuple[cp.DCM, dict[str, np.ndarray]],
) -> None:
    """Cells of an affected outcome are ratios, which the doubly robust formula is not of."""
    dcm, rows = fitted
    answer = dcm.estimate("P(X, W | do(Z=0.5))", data=rows, n=5000)
    lines = answer.summaries["W"].to_dict("records")
    columns = np.stack([np.ones(ROWS), rows["Z"], rows["X"]], 1)
    fit, *_ = np.linalg.lstsq(columns, rows["W"], rcond=None)  # W is linear in Z and X
    for line, x in zip(lines, (0, 1), strict=True):
        assert line["X"] == x
        assert 0 < line["mean_se"] < 0.15
        assert line["mean"] == pytest.approx(fit @ [1, 0.5, x], abs=0.15)
    assert (answer.table["standard_error"] > 0).all()


def test_without_an_interval_the_ends_are_open(
    fitted: tuple[cp.DCM, dict[str, np.ndarray]],
) -> None:
    dcm, _ = fitted
    plain = dcm.estimate("P(W)", n=2000, interval="none").summaries["W"]
    assert plain["q50_low"].isna().all()
    assert (plain["q50_mc"] > 0).all()
    untrained = cp.DCM(dcm.graph, dcm.variables).estimate("P(W)", n=500)
    assert untrained.summaries["W"]["mean_se"].isna().all()
    assert "No interval" in untrained.interval


def test_an_ensemble_takes_a_level(fitted: tuple[cp.DCM, dict[str, np.ndarray]]) -> None:
    dcm, rows = fitted
    ensemble = cp.Ensemble([dcm, dcm], level=0.9)
    text = "E[W | do(X=1)]"
    answers = [ensemble.estimate(text, 1000, data=rows, level=level) for level in (0.5, None)]
    assert [answer.level for answer in answers] == [0.5, 0.9]
    first, second = ((a.table["high"] - a.table["low"]).item() for a in answers)
    assert second / first == pytest.approx(1.645 / 0.6745, rel=0.05)
