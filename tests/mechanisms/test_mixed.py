"""Numbers with atoms and heavy tails: probabilities, densities, noise that gives a value."""

import math
import warnings

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.errors import ConvergenceWarning, MarginalWarning
from causalplug.mechanisms.frozen.abduction import gumbel_given
from causalplug.mechanisms.trainable.marginal import Marginal
from causalplug.mechanisms.trainable.mixed import MixedSpline
from causalplug.training.columns import atoms_of, heavy_tailed

DRAW = np.random.default_rng(0)
LOOSE = torch.as_tensor(DRAW.lognormal(0, 1.5, 4000), dtype=torch.float32)
ZEROS = torch.where(torch.arange(4000) % 5 < 2, 0.0, LOOSE)


@pytest.fixture
def mechanism():
    torch.manual_seed(0)
    made = MixedSpline(cp.Continuous(), {"T": cp.Discrete(2)}, atoms=[0.0, 2.0], knots=32)
    made.standardise(ZEROS)
    made.start_at(ZEROS)
    return made


def test_atoms_and_density_make_one_distribution(mechanism):
    """The density integrates to what the atoms leave."""
    grid = torch.cat(
        [-torch.logspace(3, -4, 40_000).double(), torch.logspace(-4, 5, 200_000).double()]
    )
    mechanism.double()
    parents = {"T": torch.ones(1, dtype=torch.int64)}
    with torch.no_grad():
        density = mechanism.log_prob(grid, parents).exp()
        mass = mechanism.log_prob(torch.tensor([0.0, 2.0]).double(), parents).exp().sum()
    assert float(torch.trapezoid(density, grid) + mass) == pytest.approx(1, abs=0.01)
    assert float(mass) == pytest.approx(0.4, abs=0.2)


def test_noise_is_recovered_from_a_value(mechanism):
    n = 500
    draw = torch.Generator().manual_seed(1)
    noise = {
        "normal": torch.randn(n, generator=draw),
        "gumbel": -torch.empty(n, 3).exponential_(generator=draw).log(),
    }
    parents = {"T": torch.arange(n) % 2}
    with torch.no_grad():
        value = mechanism(parents, noise)
        prior = {key: torch.flip(drawn, [0]) for key, drawn in noise.items()}
        found = mechanism.abduct(value, parents, prior=prior)
        again = mechanism(parents, found)
    assert float((value == 0).float().mean()) == pytest.approx(0.4, abs=0.15)
    torch.testing.assert_close(again, value, atol=1e-3, rtol=1e-3)
    at_atom = value == 0
    assert torch.equal(found["normal"][at_atom], prior["normal"][at_atom])


def test_posterior_gumbel_noise_has_the_law_of_accepted_draws():
    scores = torch.tensor([0.5, -1.0, 0.2])
    draw = torch.Generator().manual_seed(0)
    prior = -torch.empty(200_000, 3).exponential_(generator=draw).log()
    kept = prior[(scores + prior).argmax(-1) == 1]
    log_probs = torch.log_softmax(scores, -1).expand(200_000, 3)
    found = gumbel_given(log_probs, torch.ones(200_000, dtype=torch.int64), prior)
    assert ((scores + found).argmax(-1) == 1).all()
    torch.testing.assert_close(found.mean(0), kept.mean(0), atol=0.03, rtol=0)
    torch.testing.assert_close(found.std(0), kept.std(0), atol=0.03, rtol=0)


def test_normal_scores_are_normal_and_invertible():
    marginal = Marginal(64)
    marginal.fit(LOOSE)
    units, log_slope = marginal(LOOSE)
    assert float(units.mean()) == pytest.approx(0, abs=0.02)
    assert float(units.std()) == pytest.approx(1, abs=0.02)
    torch.testing.assert_close(marginal.inverse(units), LOOSE, atol=1e-3, rtol=1e-3)
    step = 1e-3 * LOOSE.double()
    numeric = (
        (marginal.double()(LOOSE.double() + step)[0] - marginal(LOOSE.double())[0]) / step
    ).log()
    close = (numeric - log_slope.double()).abs() < 0.01
    assert float(close.float().mean()) > 0.9  # the others are beside a knot


def test_atoms_are_values_that_occur_again_and_again():
    assert atoms_of(ZEROS).tolist() == [0.0]
    assert atoms_of(torch.as_tensor(DRAW.poisson(2, 5000)).float()).tolist()[:6] == [
        0,
        1,
        2,
        3,
        4,
        5,
    ]
    assert atoms_of(torch.randn(5000).clamp(max=1.0)).tolist() == [1.0]
    assert len(atoms_of(torch.randn(100_000))) == 0
    assert len(atoms_of((torch.randn(5000) * 10).round() / 10)) > 20
    assert len(atoms_of((torch.randn(20_000) * 1000).round() / 1000)) == 0
    rounded = ((torch.randn(20_000) * 60).round() / 60).clamp(max=1.0)
    assert atoms_of(rounded).tolist() == [1.0]


def test_heavy_tails_are_told_from_light_ones():
    assert heavy_tailed(LOOSE)
    assert heavy_tailed(
        torch.where(torch.arange(10_000) % 333 == 0, 50.0, 1.0) * torch.rand(10_000).exp()
    )
    for light in (torch.randn(10_000), torch.rand(10_000), torch.empty(10_000).exponential_()):
        assert not heavy_tailed(light)


def test_a_column_with_atoms_gets_a_mechanism_that_has_them(tmp_path):
    rows = {"X": np.arange(4000) % 2, "K": ZEROS.numpy()}
    kinds = {"X": cp.Discrete(2), "K": cp.Continuous()}
    dcm = cp.DCM(cp.CausalGraph.parse("X -> K"), kinds)
    cp.fit(dcm, cp.DataSource(rows), steps=100, progress=False)
    assert isinstance(dcm.mechanism("K"), MixedSpline)
    drawn = dcm.sample(20_000, seed=0).K
    assert (drawn == 0).mean() == pytest.approx(0.4, abs=0.03)
    assert drawn.quantile(0.99) == pytest.approx(float(ZEROS.quantile(0.99)), rel=0.25)
    loaded = cp.from_pretrained(dcm.save_pretrained(tmp_path / "dcm"))
    assert (loaded.sample(100, seed=0).K == dcm.sample(100, seed=0).K).all()


def test_what_was_trained_before_is_warned_about_by_name():
    kinds = {"X": cp.Discrete(2), "K": cp.Continuous()}
    dcm = cp.DCM(cp.CausalGraph.parse("X -> K"), kinds)
    smooth = {"X": np.arange(400) % 2, "K": np.random.default_rng(0).normal(size=400)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cp.fit(dcm, cp.DataSource(smooth), steps=5, progress=False)
    with (
        pytest.warns(ConvergenceWarning),
        pytest.warns(MarginalWarning, match=r"'K' has atoms \(repeated values such as 0\)"),
    ):
        cp.fit(
            dcm,
            cp.DataSource({"X": np.arange(4000) % 2, "K": ZEROS.numpy()}),
            steps=2,
            progress=False,
        )
    said = [caveat.name for caveat in dcm.estimate("E[K | do(X=1)]", 100).warnings]
    assert "atoms" in said


def test_the_log_probability_of_an_atom_is_its_share(mechanism):
    parents = {"T": torch.zeros(1, dtype=torch.int64)}
    with torch.no_grad():
        for parameter in mechanism.network.rest[-1:].parameters():
            parameter.mul_(0) if parameter.ndim == 2 else None
        found = mechanism.log_prob(torch.tensor([0.0]), parents)
    assert float(found) == pytest.approx(math.log(0.4), abs=0.01)


def test_a_density_ends_at_atoms_that_are_the_extremes():
    """Zeros and a cap: densities and masses make one distribution between them, noise is
    recovered, and nothing is drawn beyond."""
    torch.manual_seed(0)
    made = MixedSpline(cp.Continuous(), {"T": cp.Discrete(2)}, atoms=[0.0, 3.0], ends=(True, True))
    made.standardise(LOOSE[LOOSE < 3])
    made = made.double()
    again = MixedSpline.from_config(made.config()).double()
    again.load_state_dict(made.state_dict())
    draw = torch.Generator().manual_seed(1)
    noise = {"normal": torch.randn(4000, generator=draw).double()}
    noise["gumbel"] = -torch.empty(4000, 3).exponential_(generator=draw).log().double()
    parents = {"T": torch.arange(4000) % 2}
    grid = torch.linspace(0, 3, 20_001).double()[1:-1]
    one = {"T": torch.ones(1, dtype=torch.int64)}
    with torch.no_grad():
        value = again(parents, noise)
        inside = (value > 0) & (value < 3)
        found = again.abduct(value, parents, prior=noise)["normal"]
        density = again.log_prob(grid, one).exp()
        mass = again.log_prob(torch.tensor([0.0, 3.0]).double(), one).exp().sum()
    assert torch.equal(value, made(parents, noise).detach())
    assert ((value >= 0) & (value <= 3)).all()
    assert inside.any()
    torch.testing.assert_close(found[inside], noise["normal"][inside], atol=1e-3, rtol=1e-3)
    assert float(torch.trapezoid(density, grid) + mass) == pytest.approx(1, abs=0.002)


def test_a_mechanism_that_was_saved_without_ends_has_none():
    made = MixedSpline(cp.Continuous(), {}, atoms=[0.0])
    config = {key: value for key, value in made.config().items() if key != "ends"}
    assert MixedSpline.from_config(config).ends == (False, False)


def test_a_capped_column_has_no_draws_beyond_its_cap():
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    y = np.clip(x + rng.normal(size=2000), 0, 1.5)
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y"), {"X": cp.Continuous(), "Y": cp.Continuous()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cp.fit(dcm, {"X": x, "Y": y}, steps=150, progress=False)
    drawn = dcm.sample(20_000, seed=0)["Y"].to_numpy()
    cap = np.float32(1.5)
    assert drawn.min() == 0
    assert drawn.max() == cap
    assert np.mean(drawn == cap) == pytest.approx(np.mean(y == 1.5), abs=0.03)
    assert np.mean(drawn == 0) == pytest.approx(np.mean(y == 0), abs=0.03)
