"""Bounds of ratios and products, against closed forms and programs for differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import linprog

import causalplug as cp
from causalplug.checks import linear_program
from tests.scm import random_scm

BOW = cp.CausalGraph.parse("X -> Y; X <-> Y")
IV = cp.CausalGraph.parse("Z -> X -> Y; X <-> Y")
P = np.array([[0.3, 0.1], [0.2, 0.4]])  # P(X, Y)


def _risk(p: np.ndarray, x: int) -> tuple[float, float]:
    """Bounds of P(Y=1 | do(X=x)) in the bow (Tian & Pearl 2000); the two are free of each other."""
    return float(p[x, 1]), float(1 - p[x, 0])


def test_risk_and_odds_ratios_of_the_bow_have_a_closed_form() -> None:
    (a, b), (c, d) = _risk(P, 1), _risk(P, 0)
    ratio = cp.bounds(BOW, "RR(Y, X)", P)
    assert ratio.status == "sharp"
    assert (ratio.low, ratio.high) == pytest.approx((a / d, b / c), abs=1e-6)
    odds = cp.bounds(BOW, "OR(Y, X)", P)
    assert odds.low == pytest.approx(a / (1 - a) * (1 - d) / d, abs=1e-6)
    assert odds.high == pytest.approx(b / (1 - b) * (1 - c) / c, abs=1e-6)
    assert "bounded one by one" in str(odds)
    product = cp.bounds(BOW, "P(Y=1 | do(X=1)) * P(Y=1 | do(X=0))", P)
    assert (product.low, product.high) == pytest.approx((a * c, b * d), abs=1e-6)
    part = cp.bounds(BOW, "P(Y=1 | do(X=1)) / (P(Y=1 | do(X=1)) + P(Y=1 | do(X=0)))", P)
    assert (part.low, part.high) == pytest.approx((a / (a + d), b / (b + c)), abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_ends_of_a_ratio_are_where_a_difference_can_just_be_zero(seed: int) -> None:
    """A ratio may exceed r if and only if P1 - r P0 may be positive: another linear program."""
    scm = random_scm(IV, seed=seed)
    p = scm.joint({}, list(IV.variables))
    found = cp.bounds(IV, "RR(Y, X)", p)
    assert found.status == "sharp"
    high, low = (scm.probability(f"P(Y=1 | do(X={x}))") for x in (1, 0))
    assert found.low - 1e-6 <= float(high / low) <= found.high + 1e-6
    for end, name in ((found.low, "low"), (found.high, "high")):
        gap = cp.bounds(IV, f"P(Y=1 | do(X=1)) - {end:.12f} * P(Y=1 | do(X=0))", p)
        assert getattr(gap, name) == pytest.approx(0, abs=1e-6)


def test_a_risk_that_may_be_zero_leaves_the_ratio_open() -> None:
    p = np.array([[0.4, 0.0], [0.2, 0.4]])
    found = cp.bounds(BOW, "RR(Y, X)", p)
    assert found.high == math.inf
    assert found.low == pytest.approx(0.4 / 0.6, abs=1e-6)


def test_ratios_of_rows_have_confidence_limits_and_identified_ones_are_numbers() -> None:
    rng = np.random.default_rng(0)
    cell = rng.choice(4, size=2000, p=P.ravel())
    rows = {"X": cell // 2, "Y": cell % 2}
    found = cp.bounds(BOW, "RR(Y, X)", rows, resamples=40)
    low, high = found.interval(0.9)
    assert low < found.low < found.high < high
    known = cp.bounds(cp.CausalGraph.parse("X -> Y"), "RR(Y, X)", P)
    assert known.status == "identified"
    assert known.low == known.high == pytest.approx((0.4 / 0.6) / (0.1 / 0.4))


def test_ratios_of_means_keep_the_range_of_the_outcome() -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2, 500)
    rows = {"X": x, "Y": 2 + x + rng.random(500)}
    found = cp.bounds(
        BOW, "E[Y | do(X=1)] / E[Y | do(X=0)]", rows, ranges={"Y": (1.0, 5.0)}, resamples=0
    )
    share, means = x.mean(), [rows["Y"][x == v].mean() for v in (0, 1)]
    one = share * means[1] + (1 - share) * np.array([1.0, 5.0])
    zero = (1 - share) * means[0] + share * np.array([1.0, 5.0])
    assert (found.low, found.high) == pytest.approx((one[0] / zero[1], one[1] / zero[0]), abs=1e-4)


@pytest.mark.parametrize("query", ["P(Y_{X=0}=1 | X=1)", "E(Y_{X=0} | X=1)"])
def test_evidence_that_no_row_has_leaves_nothing_to_bound(query: str) -> None:
    rng = np.random.default_rng(0)
    z, x, y = rng.integers(0, 3, 999), 2 * rng.integers(0, 2, 999), rng.integers(0, 2, 999)
    graph = cp.CausalGraph.parse("Z -> X -> Y; X <-> Y")
    domains = {"X": [0, 1, 2]}
    found = cp.bounds(graph, query, {"Z": z, "X": x, "Y": y}, domains=domains, resamples=20)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


TWO = cp.CausalGraph.parse("A -> B -> C -> D; A <-> B; C <-> D")
SEEN = "C_{A=1}=0"


@pytest.mark.parametrize("impossible", [0.0, 0.25])
def test_a_conditional_probability_stays_one_where_its_evidence_may_be_impossible(
    impossible: float,
) -> None:
    """Two components are unknown, so that numerator and denominator are bounded one by one. C is
    never 0 where B is 1; with A=1, B is never 0 among the rows in the first case."""
    first = np.array([[0.3, 0.2], [impossible, 0.5 - impossible]])
    second = np.array([[[0.3, 0.2], [0.25, 0.25]], [[0.0, 0.0], [0.4, 0.6]]])
    p = np.einsum("ab,bcd->abcd", first, second)
    found = cp.bounds(TWO, f"P(D_{{A=1, C=1}}=1 | {SEEN})", p)
    assert 0 <= found.low < found.high == 1
    mean = cp.bounds(TWO, f"E[D_{{A=1, C=1}} | {SEEN}]", p, domains={"D": [2, 5]})
    assert 2 <= mean.low < mean.high == 5
    gap = f"P(D_{{A=1, C=1}}=1 | {SEEN}) - P(D_{{A=1, C=0}}=1 | {SEEN})"
    assert -1 <= cp.bounds(TWO, gap, p).low <= cp.bounds(TWO, gap, p).high <= 1
    # D with C=0 is the D that was seen: at least .2 of .5, so that the ratio is at most 1 / .4
    ratio = cp.bounds(TWO, gap.replace(" - ", " / "), p)
    assert ratio.low >= 0
    assert ratio.high == pytest.approx(2.5, abs=1e-6)


def test_a_resampled_ratio_takes_two_linear_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each end; rows that some model explains as they are need none to be moved."""
    cell = np.random.default_rng(0).choice(4, size=2000, p=P.ravel())
    found = cp.bounds(BOW, "RR(Y, X)", {"X": cell // 2, "Y": cell % 2}, resamples=20)
    solved = []

    def counted(*args: object, **options: object) -> object:
        solved.append(args)
        return linprog(*args, **options)

    monkeypatch.setattr(linear_program, "linprog", counted)
    assert found.low < found.interval()[1]
    assert len(solved) <= 2 * 20
