"""Counts: their probabilities, their noise, and what a model makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

import causalplug as cp
from causalplug.errors import DataError
from causalplug.mechanisms.trainable.count import CountSpline
from causalplug.noise import Noise
from causalplug.variables import variable_from_dict


@pytest.fixture(scope="module")
def made():
    """A mechanism with weights of no special kind, at counts of about 3 where X is 0."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = CountSpline(cp.Count(), {"X": cp.Continuous()}, confounder_size=2)
        for parameter in found.parameters():
            torch.nn.init.normal_(parameter, std=0.15)
    found.standardise(torch.tensor([0.0, 1.0, 3.0, 5.0, 9.0]))
    return found.requires_grad_(False)


@pytest.mark.parametrize("x", [-2.0, 0.0, 2.0])
def test_the_probabilities_sum_to_one_and_are_those_of_the_samples(made, x):
    confounder = torch.tensor([[0.3, -0.2]])
    counts = torch.arange(200_000.0)
    n = len(counts)
    parents = {"X": torch.full((n,), x)}
    log_probs = made.log_prob(counts, parents, confounder.expand(n, -1)).double()
    assert log_probs.exp().sum() == pytest.approx(1, abs=1e-3)
    noise = {"normal": Noise(n, seed=1).draw("a", made.noise["normal"])}
    drawn = made(parents, noise, confounder.expand(n, -1))
    assert torch.equal(drawn, drawn.floor())
    few = torch.bincount(drawn.long(), minlength=8)[:8] / n
    assert torch.allclose(few.double(), log_probs[:8].exp(), atol=0.005)


def test_draws_of_the_confounder_broadcast(made):
    counts, x = torch.arange(5.0), torch.linspace(-1, 1, 5)
    draws = torch.randn(3, 1, 2, generator=torch.Generator().manual_seed(0))
    together = made.log_prob(counts, {"X": x}, draws)
    assert together.shape == (3, 5)
    for s in range(3):
        alone = made.log_prob(counts, {"X": x}, draws[s].expand(5, -1))
        assert torch.allclose(together[s], alone, atol=1e-5)


def test_noise_is_recovered_and_larger_noise_never_gives_a_smaller_count(made):
    n = 2000
    parents, confounder = {"X": torch.zeros(n)}, torch.zeros(n, 2)
    normal = torch.linspace(-4, 4, n)
    counts = made(parents, {"normal": normal}, confounder)
    assert bool((counts.diff() >= 0).all())
    for prior in (None, {"normal": normal.flip(0)}):
        found = made.abduct(counts, parents, confounder, prior=prior)
        assert torch.equal(made(parents, found, confounder), counts)
    posterior = made.abduct(
        torch.full((n,), 3.0),
        parents,
        confounder,
        prior={"normal": Noise(n, 0).draw("a", made.noise["normal"])},
    )["normal"]
    low, high = (
        float(end[0]) for end in made._interval(torch.tensor([3.0] * n), parents, confounder)
    )
    expected = stats.truncnorm(low, high)
    assert stats.kstest(posterior.numpy(), expected.cdf).pvalue > 1e-3


def test_probabilities_far_out_keep_their_digits(made):
    lower, upper = torch.tensor([8.0, -9.0]), torch.tensor([8.5, -8.0])
    from causalplug.mechanisms.trainable.count import _log_mass

    exact = [stats.norm.logsf(8), stats.norm.logcdf(-8)]
    found = _log_mass(lower, upper)
    assert found[0] == pytest.approx(
        exact[0] + np.log1p(-np.exp(stats.norm.logsf(8.5) - exact[0])), rel=1e-4
    )
    assert found[1] == pytest.approx(exact[1], rel=1e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.5, 2], "not counts, the first 1.5"),
        ([-1, 2], "not counts, the first -1"),
        ([np.inf], "not counts"),
        ([2**25], "above 16,777,216"),
        (["a"], "must be numbers"),
        ([None, 1], "missing"),
        ([[1, 2]], "one count per row"),
    ],
)
def test_what_is_no_count_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        cp.Count().encode(values, "K")


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.float32, bool, object])
def test_counts_of_every_type_come_back_as_integers(kind):
    values = np.array([0, 1, 1, 0]).astype(kind)
    back = cp.Count().decode(cp.Count().encode(values))
    assert back.dtype == np.int64
    assert back.tolist() == [0, 1, 1, 0]
    assert variable_from_dict(cp.Count().to_dict()) == cp.Count()


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    n = 4000
    u = rng.normal(size=n)
    t = (u + rng.normal(size=n) > 0).astype(int)
    k = rng.poisson(np.exp(0.5 + 0.4 * u + 0.6 * t))
    y = (rng.random(n) < 1 / (1 + np.exp(2 - k))).astype(int)
    graph = cp.CausalGraph.parse("T -> K; T <-> K; K -> Y")
    dcm = cp.DCM(graph, {"T": cp.Discrete(2), "K": cp.Count(), "Y": cp.Discrete(2)})
    rows = {"T": t, "K": k, "Y": y}
    report = cp.fit(dcm, cp.DataSource(rows), steps=200, progress=False)
    return dcm, rows, report


def test_a_model_learns_counts_by_their_likelihood(trained):
    dcm, rows, report = trained
    assert {m.objective for m in report.modules} == {"likelihood"}
    assert report.converged
    drawn = dcm.sample(40_000, variables=["K", "Y"], seed=0)
    assert drawn["K"].dtype == np.int64
    assert abs(drawn["K"].mean() - rows["K"].mean()) < 0.05 * rows["K"].std()
    assert abs(drawn["K"].std() / rows["K"].std() - 1) < 0.1
    shares = [np.bincount(k, minlength=40)[:40] / len(k) for k in (drawn["K"], rows["K"])]
    assert 0.5 * np.abs(shares[0] - shares[1]).sum() < 0.04


def test_counts_are_set_conditioned_on_and_asked_for(trained):
    dcm, rows, _ = trained
    done = dcm.estimate("E[Y | do(K=6)]", n=20_000, seed=0)
    seen = rows["Y"][rows["K"] == 6].mean()
    assert abs(float(done.table["estimate"].iloc[0]) - seen) < 0.05
    assert set(dcm.sample(50, given={"K": (2, 3)}, variables=["K"], seed=0)["K"]) <= {2, 3}
    assert set(dcm.sample(50, given={"K": 4}, variables=["K"], seed=0)["K"]) == {4}
    assert set(dcm.sample(4, do={"K": [1, 2, 3, 4]}, variables=["K"])["K"]) == {1, 2, 3, 4}
    with pytest.raises(DataError, match="not counts"):
        dcm.sample(4, do={"K": 1.5})


def test_a_saved_model_gives_the_same_counts(trained, tmp_path):
    dcm, _, _ = trained
    dcm.save_pretrained(tmp_path / "model")
    again = cp.from_pretrained(tmp_path / "model")
    assert again.sample(50, seed=3).equals(dcm.sample(50, seed=3))
    assert "count" in (tmp_path / "model" / "README.md").read_text()


def test_a_count_is_trained_by_critics_too():
    rng = np.random.default_rng(1)
    x = rng.integers(2, size=3000)
    k = rng.poisson(1 + 2 * x)
    dcm = cp.DCM(cp.CausalGraph.parse("X -> K"), {"X": cp.Discrete(2), "K": cp.Count()})
    source = cp.DataSource({"X": x, "K": k})
    cp.fit(dcm, source, objective={"K": "adversarial"}, steps=200, progress=False)
    for value in (0, 1):
        drawn = dcm.sample(5000, do={"X": value}, variables=["K"], seed=0)["K"]
        assert abs(drawn.mean() - (1 + 2 * value)) < 0.35
