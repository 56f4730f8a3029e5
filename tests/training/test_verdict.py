"""What the verdict of a training looks at: moments, and the joint distribution."""

import warnings

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.errors import ConvergenceWarning
from causalplug.training.moments import moments_off

N = 4000


def normal(n=N, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=n))


@pytest.mark.parametrize(
    ("fake", "words"),
    [
        (normal(20_000, 1) + 0.15, "the mean of K is"),
        (1.2 * normal(20_000, 1), "the standard deviation of K is"),
        (normal(20_000, 1).clamp(-2.2, 2.2), "of K lie below"),
    ],
)
def test_moments_that_are_off_are_named(fake, words):
    assert any(words in text for text in moments_off("K", normal(), fake))


def test_samples_of_one_distribution_are_not_off():
    draws = [moments_off("K", normal(N, s), normal(20_000, s + 100)) for s in range(20)]
    assert sum(bool(texts) for texts in draws) <= 1


def test_heavy_tails_are_called_so():
    far = torch.where(torch.arange(10_000) % 333 == 0, 50.0, 1.0) * normal(10_000).exp()
    (text, *_) = moments_off("cost", far, far.clamp(max=20))
    assert "tails are heavy" in text


def test_a_graph_without_an_edge_passes_its_modules_and_fails_as_a_whole():
    draw = np.random.default_rng(0)
    x = draw.integers(2, size=N)
    y = np.where(draw.random(N) < 0.8, x, 1 - x)
    rows = cp.DataSource({"X": x, "Y": y})
    kinds = {"X": cp.Discrete(2), "Y": cp.Discrete(2)}
    apart = cp.DCM(cp.CausalGraph.parse("X; Y"), kinds)
    with pytest.warns(ConvergenceWarning, match="The graph may leave an edge out"):
        report = cp.fit(apart, rows, check_graph=False, progress=False)
    assert [module.converged for module in report.modules] == [True, True]
    assert not report.converged
    assert not apart.history["joint_converged"]
    right = cp.DCM(cp.CausalGraph.parse("X -> Y"), kinds)
    assert cp.fit(right, rows, progress=False).converged


def test_the_whole_of_continuous_variables_is_compared():
    draw = np.random.default_rng(0)
    x = draw.normal(size=N)
    rows = cp.DataSource({"X": x, "Y": x + 0.5 * draw.normal(size=N)})
    apart = cp.DCM(cp.CausalGraph.parse("X; Y"), {"X": cp.Continuous(), "Y": cp.Continuous()})
    with pytest.warns(ConvergenceWarning, match=r"P\(X, Y\)"):
        cp.fit(apart, rows, steps=200, check_graph=False, progress=False)


def test_what_an_experiment_set_is_given():
    draw = np.random.default_rng(0)
    x = draw.integers(2, size=N)
    rows = cp.DataSource({"X": x, "Y": draw.integers(2, size=N) & x}, do=("X",))
    seen = draw.integers(2, size=N)
    both = [rows, cp.DataSource({"X": seen, "Y": draw.integers(2, size=N) & seen})]
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y"), {"X": cp.Discrete(2), "Y": cp.Discrete(2)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = cp.fit(dcm, both, progress=False)
    assert report.converged
