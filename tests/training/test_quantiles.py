"""The maximum of a marginal likelihood, beside closed forms."""

import numpy as np
import pytest
import torch
from scipy import stats

import causalplug as cp
from causalplug.mechanisms.trainable.continuous import ContinuousSpline
from causalplug.mechanisms.trainable.spline import RationalQuadraticSpline
from causalplug.training import quantiles
from causalplug.training.quantiles import fit_marginal


def fitted(values):
    mechanism = ContinuousSpline(cp.Continuous(), {})
    values = torch.tensor(values, dtype=torch.float32)
    mechanism.standardise(values)
    return mechanism, fit_marginal(mechanism, values)


def divergence(distribution, mechanism):
    """KL divergence in nats, from draws of their own."""
    draws = distribution.rvs(20_000, random_state=1)
    with torch.no_grad():
        ours = mechanism.log_prob(torch.tensor(draws, dtype=torch.float32), {})
    return distribution.logpdf(draws).mean() - float(ours.mean())


@pytest.mark.parametrize(
    "distribution",
    [stats.norm(3, 2), stats.lognorm(1.0), stats.t(3), stats.gamma(2)],
    ids=lambda one: one.dist.name,
)
def test_a_number_without_parents_is_fitted_as_a_whole(distribution):
    mechanism, iterations = fitted(distribution.rvs(5000, random_state=0))
    assert iterations > 0
    assert divergence(distribution, mechanism) < 0.02


def test_more_iterations_gain_little(monkeypatch):
    values = stats.gamma(2).rvs(2000, random_state=0)
    rows = torch.tensor(values, dtype=torch.float32)
    few, first = fitted(values)
    monkeypatch.setattr(quantiles, "_STOPS", {"maxiter": 500, "ftol": 1e-12})
    many, iterations = fitted(values)
    assert iterations > 2 * first
    with torch.no_grad():
        gain = many.log_prob(rows, {}).mean() - few.log_prob(rows, {}).mean()
    assert float(gain) < 0.005


def test_many_rows_are_fitted_as_well_as_few():
    """A hundred times as many rows are represented by as many points, at a smaller error."""
    few, _ = fitted(stats.gamma(2).rvs(2000, random_state=0))
    many, _ = fitted(stats.gamma(2).rvs(200_000, random_state=0))
    assert divergence(stats.gamma(2), many) < min(0.004, divergence(stats.gamma(2), few))


def test_few_rows_and_parents_are_left_to_early_stopping():
    mechanism, iterations = fitted(np.random.default_rng(0).normal(size=100))
    assert iterations == 0
    assert not mechanism.network.bias.any()
    with_parent = ContinuousSpline(cp.Continuous(), {"X": cp.Continuous()})
    assert fit_marginal(with_parent, torch.randn(5000)) == 0


def test_the_numbers_of_a_spline_give_its_pieces():
    widths = torch.tensor([4.0, 1.0, 2.0, 3.0])
    heights = torch.tensor([3.0, 2.0, 1.0, 4.0])
    slopes = torch.tensor([0.5, 1.0, 2.0])
    spline = RationalQuadraticSpline(RationalQuadraticSpline.numbers(widths, heights, slopes), 4)
    knots = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    found = torch.stack([spline(x) for x in knots])
    torch.testing.assert_close(found, torch.tensor([-2.0, 0.0, 1.0]), atol=1e-5, rtol=0)


def test_a_fit_uses_it():
    rows = {"X": stats.gamma(2).rvs(3000, random_state=0)}
    dcm = cp.DCM(cp.CausalGraph.parse("X"), {"X": cp.Continuous()}, seed=0)
    report = cp.fit(dcm, rows, seed=0, progress=False)
    assert 0 < report.modules[0].steps <= 200
    assert divergence(stats.gamma(2), dcm.mechanism("X")) < 0.02
