"""Trained models against exact ones: P(V), and every identifiable P(y | do(x));
benchmarks/convergence.py has more."""

import warnings

import numpy as np
import pytest

import causalplug as cp
from benchmarks.convergence import random_case, sachs, seven
from causalplug.errors import ConvergenceWarning
from tests.training.truth import do_gaps, joint, tvd


@pytest.mark.parametrize(
    "case", [sachs(20_000), seven(20_000), random_case(1, 40_000)], ids=lambda c: c.name
)
def test_what_is_identifiable_is_answered_right(case):
    dcm = cp.DCM(case.graph, case.variables)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # what the held-out rows show; the truth is below
        cp.fit(dcm, case.sources, objective="likelihood", progress=False)
    assert tvd(joint(dcm, draws=1024), case.exact({}, list(case.graph.variables))) <= case.bound
    gaps = do_gaps(dcm, case.exact, dcm.sources, draws=1024)
    assert len(gaps) > 2
    assert max(gaps.values()) <= 0.03


def test_a_mixed_front_door_has_the_effect_of_its_closed_form():
    """X normal, M binary, Y normal: E[Y | do(X=x)] = 2 / (1 + exp(-1.5 x)); rows with X near 1
    show .6 more."""
    rng = np.random.default_rng(0)
    u = rng.normal(size=6000)
    x = u + rng.normal(size=6000)
    m = (rng.random(6000) < 1 / (1 + np.exp(-1.5 * x))).astype(int)
    y = 2.0 * m + 1.2 * u + 0.5 * rng.normal(size=6000)
    graph = cp.CausalGraph.parse("X -> M -> Y; X <-> Y")
    dcm = cp.DCM(graph, {"X": cp.Continuous(), "M": cp.Discrete(2), "Y": cp.Continuous()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cp.fit(
            dcm,
            cp.DataSource({"X": x, "M": m, "Y": y}),
            objective="likelihood",
            steps=150,
            progress=False,
        )
    naive = y[np.abs(x - 1) < 0.2].mean()
    answer = dcm.sample(30_000, do={"X": 1.0}, variables=["Y"], seed=1)["Y"].mean()
    truth = 2 / (1 + np.exp(-1.5))
    assert abs(answer - truth) < 0.2 < 0.4 < abs(naive - truth)


def test_a_normal_front_door_has_the_effect_of_its_closed_form():
    """X, M, Y normal: E[Y | do(X=x)] = .8 x; rows with X near 1 show 1.35. X leaves M half free.

    The product of two regression coefficients is what maximum likelihood makes of these rows.
    """
    rng = np.random.default_rng(0)
    u = rng.normal(size=6000)
    x = u + rng.normal(size=6000)
    m = x + rng.normal(size=6000)
    y = 0.8 * m + 1.1 * u + 0.5 * rng.normal(size=6000)
    dcm = cp.DCM(
        cp.CausalGraph.parse("X -> M -> Y; X <-> Y"), dict.fromkeys("XMY", cp.Continuous())
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cp.fit(
            dcm,
            cp.DataSource({"X": x, "M": m, "Y": y}),
            objective="likelihood",
            steps=150,
            progress=False,
        )
    low, high = (
        dcm.sample(30_000, do={"X": value}, variables=["Y"], seed=1)["Y"].mean()
        for value in (-1.0, 1.0)
    )
    best = np.polyfit(x, m, 1)[0] * np.linalg.lstsq(np.stack([m, x], 1), y, rcond=None)[0][0]
    naive = np.polyfit(x, y, 1)[0]
    assert abs((high - low) / 2 - best) < 0.03 < 0.5 < naive - best
    assert abs(best - 0.8) < 0.05
