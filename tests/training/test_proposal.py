"""The Monte-Carlo likelihood of continuous variables against its closed form."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.data.source import DataSource
from causalplug.errors import ConvergenceWarning
from causalplug.training.config import TrainingConfig
from causalplug.training.factors import ConfounderDraws
from causalplug.training.learner import LikelihoodLearner
from causalplug.training.likelihood import Likelihood, mean
from causalplug.training.proposal import Proposal
from tests.sampling.toys import Linear

LOADING, SCALE = 1.0, 0.3


def chain(names):
    """Normal variables in a row, each the sum of what it shares with its neighbours and some
    noise; rows of them."""
    graph = cp.CausalGraph.from_edges([], [*pairwise(names)], tuple(names))
    made = {name: Linear({}, loading=LOADING, scale=SCALE, confounder_size=2) for name in names}
    dcm = cp.DCM(graph, dict.fromkeys(names, cp.Continuous()), mechanisms=made)
    links = np.array(
        [[int(i in (k, k + 1)) for k in range(len(names) - 1)] for i in range(len(names))]
    )
    covariance = LOADING**2 * links @ links.T + SCALE**2 * np.eye(len(names))
    rows = np.random.default_rng(0).multivariate_normal(np.zeros(len(names)), covariance, size=1000)
    normal = torch.distributions.MultivariateNormal(
        torch.zeros(len(names)), torch.tensor(covariance).float()
    )
    exact = float(normal.log_prob(torch.tensor(rows).float()).mean())
    return dcm, DataSource(dict(zip(names, rows.T, strict=True))).encode(dcm.variables), exact


@pytest.mark.parametrize("names", ["XY", "XYZ"])
def test_a_proposal_that_has_learned_makes_few_draws_exact(names):
    """Sixteen draws from the prior miss by a tenth of a nat or more; they lie below what they
    estimate."""
    dcm, rows, exact = chain(names)
    likelihood = Likelihood(dcm, list(names), [rows], TrainingConfig())
    assert [factor.draws.draws for factor in likelihood.factors] == [16]
    before = mean(likelihood.scores(0))
    optimizer = torch.optim.Adam(likelihood.proposals[0].parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        optimizer.zero_grad()
        likelihood.loss(generator).backward()
        optimizer.step()
    after = mean(likelihood.scores(0))
    assert exact - before > 0.1
    assert abs(after - exact) < 0.01


def test_weights_are_bounded_and_average_to_one_wherever_the_proposal_lies():
    draws = ConfounderDraws(["X <-> Y"], 2, 4096)
    rows = {"X": torch.linspace(-2, 2, 5)}
    proposal = Proposal({"X": cp.Continuous()}, rows, 2)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        proposal.network.rest[-1].weight.normal_(0, 0.3, generator=generator)
        proposal.network.rest[-1].bias.normal_(0, 1.0, generator=generator)
        drawn = proposal(rows, draws, generator)
    weights = drawn.log_weight.exp()
    assert weights.max() <= 16 * (1 + 1e-4)
    assert torch.allclose(weights.mean(0), torch.ones(5), atol=0.05)
    moment = (weights.unsqueeze(-1) * drawn.noise["X <-> Y"].square()).mean(0)
    assert torch.allclose(moment, torch.ones(5, 2), atol=0.1)  # of the prior


def test_a_single_draw_comes_from_the_prior():
    draws = ConfounderDraws(["X <-> Y"], 2, 1)
    rows = {"X": torch.linspace(-2, 2, 5)}
    drawn = Proposal({"X": cp.Continuous()}, rows, 2)(rows, draws, torch.Generator().manual_seed(0))
    assert torch.equal(drawn.log_weight, torch.zeros(1, 5))


def test_proposals_are_trained_averaged_and_kept_with_the_mechanisms_and_tables_need_none():
    graph = cp.CausalGraph.parse("D -> X -> Y; X <-> Y; D <-> E")
    dcm = cp.DCM(
        graph,
        {"D": cp.Discrete(2), "E": cp.Discrete(2), "X": cp.Continuous(), "Y": cp.Continuous()},
    )
    rng = np.random.default_rng(0)
    rows = DataSource(
        {
            "D": rng.integers(2, size=50),
            "E": rng.integers(2, size=50),
            **dict.fromkeys("XY", rng.normal(size=50)),
        }
    )
    encoded = rows.encode(dcm.variables)
    assert Likelihood(dcm, ["D", "E"], [encoded], TrainingConfig()).proposals == []
    likelihood = Likelihood(dcm, ["X", "Y"], [encoded], TrainingConfig())
    assert list(likelihood.proposals[0].network.parents) == ["X", "Y", "D"]
    assert likelihood.on([encoded]).proposals == likelihood.proposals


def front_door(n=200):
    rng = np.random.default_rng(0)
    u, x = rng.normal(size=(2, n))
    m = u + x + rng.normal(size=n)
    rows = {"X": u + x, "M": m, "Y": m + u}
    return cp.DCM(
        cp.CausalGraph.parse("X -> M -> Y; X <-> Y"), dict.fromkeys("XMY", cp.Continuous())
    ), rows


def fit(folder, **options):
    dcm, rows = front_door()
    settings = {
        "steps": 9,
        "save_every": 2,
        "validate_every": 3,
        "objective": "likelihood",
        "progress": False,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cp.fit(dcm, cp.DataSource(rows), output_dir=folder, **settings, **options)
    return dcm.trained_tensors()


def test_an_interrupted_run_goes_on_with_the_proposal_that_it_had(tmp_path, monkeypatch):
    whole = fit(tmp_path / "whole")
    steps = iter(range(1, 1000))
    original = LikelihoodLearner.step

    def interrupted(self, index, generator):
        if len(self.variables) == 2 and next(steps) == 7:
            raise KeyboardInterrupt
        return original(self, index, generator)

    with monkeypatch.context() as patched:
        patched.setattr(LikelihoodLearner, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "run")
    resumed = fit(tmp_path / "run", resume_from_checkpoint=True)
    assert all(torch.equal(resumed[key], value) for key, value in whole.items())


def test_half_precision_leaves_densities_whole():
    dcm, rows, _ = chain("XY")
    likelihood = Likelihood(dcm, ["X", "Y"], [rows], TrainingConfig())
    with torch.autocast("cpu", torch.bfloat16):
        loss = likelihood.loss(torch.Generator().manual_seed(0))
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(p.grad.isfinite().all() for p in likelihood.proposals[0].parameters())
