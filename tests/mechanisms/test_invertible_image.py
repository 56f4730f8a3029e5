"""The trained mechanism of an image whose noise is recovered."""

import pytest
import torch

import causalplug as cp
from causalplug.mechanisms.trainable.residual_vae import ResidualVAE, _Pixels
from causalplug.networks import initialised

PARENTS = {"D": cp.Discrete(3), "X": cp.Continuous(), "V": cp.Vector(2)}


def mechanism(variable, confounder_size=0):
    return initialised(
        lambda: ResidualVAE(variable, PARENTS, confounder_size=confounder_size, width=8), 0
    ).eval()


def parents(n):
    generator = torch.Generator().manual_seed(1)
    return {
        "D": torch.arange(n) % 3,
        "X": torch.randn(n, generator=generator),
        "V": torch.randn(n, 2, generator=generator),
    }


def images(variable, n):
    unit = torch.rand(n, *variable.event_shape, generator=torch.Generator().manual_seed(2))
    return variable.low + (variable.high - variable.low) * unit


@pytest.mark.parametrize(
    "variable", [cp.Image(1, 9, 10), cp.Image(3, 8, 8, low=-1.0), cp.Image(2, 5, 7, high=255.0)]
)
@pytest.mark.parametrize("confounder_size", [0, 2])
def test_an_image_is_what_its_recovered_noise_makes(variable, confounder_size):
    made, given, value = mechanism(variable, confounder_size), parents(6), images(variable, 6)
    confounder = None
    if confounder_size:
        confounder = torch.ones(6, confounder_size)
    with torch.no_grad():
        again = made(given, made.abduct(value, given, confounder), confounder)
    assert float((again - value).abs().max()) <= 1e-5 * (variable.high - variable.low)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch", [1, 4, 7])
def test_recovery_holds_in_every_precision_and_batch(kind, batch):
    variable = cp.Image(1, 8, 8)
    made, given, value = mechanism(variable).to(kind), parents(7), images(variable, 7)
    again = []
    with torch.no_grad():
        for start in range(0, 7, batch):
            part = {name: column[start : start + batch] for name, column in given.items()}
            noise = made.abduct(value[start : start + batch], part)
            assert all(found.dtype == torch.float32 for found in noise.values())
            again.append(made(part, noise))
    assert float((torch.cat(again) - value).abs().max()) < 1e-5


def test_other_parents_make_another_image():
    variable = cp.Image(1, 8, 8)
    made, given, value = mechanism(variable), parents(5), images(variable, 5)
    with torch.no_grad():
        noise = made.abduct(value, given)
        other = made({**given, "D": (given["D"] + 1) % 3}, noise)
    assert float((other - value).abs().max()) > 1e-3
    assert float(other.min()) >= 0.0
    assert float(other.max()) <= 1.0


def test_gradients_pass_where_pixels_are_cut_off():
    """Where they lead back inside; those that lead further out do not."""
    variable = cp.Image(1, 8, 8)
    made, given = mechanism(variable), parents(2)
    bright = made.waves.of(500 * torch.ones(2, 1, 8, 8)).detach()
    noise = {"latent": 50 * torch.ones(2, made.latent_size), "residual": bright}
    made(given, noise).sum().backward()
    assert float(made.decoder.out.bias.grad.abs().sum()) > 0
    made.zero_grad()
    (-made(given, noise)).sum().backward()
    assert float(made.decoder.out.bias.grad.abs().sum()) == 0


def test_means_learn_sharply_whatever_the_scale():
    """In training the gradient of a mean is that of one small scale, and the value is the bound."""
    made = mechanism(cp.Image(1, 4, 4))
    images = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    mean, scale = torch.full_like(images, 0.5), torch.full_like(images, 0.3)
    mean.requires_grad_()
    scale.requires_grad_()
    density = made.train()._density(images, _Pixels(mean, scale, torch.ones(3, 1, 1, 1)))
    density.sum().backward()
    exact = torch.distributions.Normal(mean, scale).log_prob(images).flatten(1).sum(1)
    assert torch.allclose(density, exact)
    assert torch.allclose(mean.grad, (images - 0.5) / 0.07**2, rtol=1e-4)
    scale_alone = torch.autograd.grad(exact.sum(), scale)[0]
    torch.testing.assert_close(scale.grad, scale_alone)


def test_a_gate_shuts_out_the_residual_and_the_image_still_comes_back():
    variable = cp.Image(1, 8, 8)
    made, given, value = mechanism(variable), parents(5), images(variable, 5)
    with torch.no_grad():
        noise = made.abduct(value, given)
        made.tone[-1].bias[0] = -30
        other = made(given, noise)
        mean = made._pixels(noise["latent"], made._condition(given, None, 5)).mean
        again = made(given, made.abduct(value, given))
    assert float((other - mean).abs().max()) < 0.1  # it was up to 1 without the gate
    assert float((again - value).abs().max()) < 1e-5


def test_an_image_that_is_to_be_dark_has_no_bright_spots():
    """What is carried over from a bright image stays near the ceiling of the dark one, and comes
    back."""
    variable = cp.Image(2, 8, 8)
    made, given, value = mechanism(variable), parents(5), images(variable, 5)
    with torch.no_grad():
        noise = made.abduct(value, given)
        bright = made(given, noise)
        made.tone[-1].weight.zero_()
        made.tone[-1].bias.copy_(torch.tensor([0.0, -3.0, 30.0]))
        dark = made(given, noise)
        again = made(given, made.abduct(value, given))
    ceiling = 0.05 + 0.95 / 2
    assert float(bright[:, 0].max()) > 0.95
    assert float(dark[:, 0].max()) < ceiling + 0.1
    assert float(dark[:, 1].max()) > 0.9
    assert float((again - value).abs().max()) < 1e-5


def correlated(made, seed=0):
    """The mechanism with standard deviations of the waves that differ."""
    with torch.no_grad():
        drawn = torch.randn(
            made.waves.log_scale.shape, generator=torch.Generator().manual_seed(seed)
        )
        made.waves.log_scale.copy_(drawn)
    return made


def test_the_density_of_a_correlated_residual_is_the_normal_one():
    """Against the multivariate normal distribution with the covariance of the waves."""
    made = correlated(mechanism(cp.Image(2, 4, 3))).double()
    numbers = torch.Generator().manual_seed(0)
    images, mean = torch.rand(2, 3, 2, 4, 3, generator=numbers, dtype=torch.float64)
    scale = 0.1 + torch.rand(3, 2, 4, 3, generator=numbers, dtype=torch.float64)
    pixels = _Pixels(mean, scale, torch.ones(3, 1, 1, 1, dtype=torch.float64))
    with torch.no_grad():
        root = made.waves(torch.eye(24, dtype=torch.float64).view(24, 2, 4, 3)).flatten(1)
        found = made._density(images, pixels)
    for row in range(3):
        spread = root * scale[row].flatten()
        normal = torch.distributions.MultivariateNormal(mean[row].flatten(), spread.T @ spread)
        assert float(found[row] - normal.log_prob(images[row].flatten())) == pytest.approx(
            0, abs=1e-5
        )


def test_the_density_counts_what_the_ceiling_squeezes():
    """Of one pixel whose ceiling is in the middle: its mass is one, and drawn pixels fall below a
    threshold as often as the density says."""
    made = mechanism(cp.Image(1, 1, 1)).double()
    one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    pixels = _Pixels(0.45 * one, 0.1 * one, 0.5 * one)
    at = (torch.arange(40_000, dtype=torch.float64) + 0.5) / 20_000 - 0.5
    with torch.no_grad():
        density = made._density(at.view(-1, 1, 1, 1), pixels).exp() / 20_000
    assert float(density.sum()) == pytest.approx(1, abs=1e-3)
    normal = torch.distributions.Normal(0.45, 0.1)
    for threshold, before in ((0.4, 0.4), (0.51, 0.6)):
        share = float(density[at < threshold].sum())
        assert share == pytest.approx(float(normal.cdf(torch.tensor(before))), abs=1e-3)


def test_a_correlated_residual_is_recovered_and_changes_no_counterfactual():
    """The covariance is that of fresh images: what is carried over stays what it was."""
    variable = cp.Image(1, 8, 8)
    made, given, value = mechanism(variable), parents(5), images(variable, 5)
    other = {**given, "D": (given["D"] + 1) % 3}
    with torch.no_grad():
        plain = made(other, made.abduct(value, given))
        correlated(made)
        assert float((made(given, made.abduct(value, given)) - value).abs().max()) < 1e-5
        assert float((made(other, made.abduct(value, given)) - plain).abs().max()) < 1e-5


def test_the_bound_is_below_the_log_density():
    """Against the density itself, by many draws of the prior, of images that the model made."""
    variable = cp.Image(1, 4, 4)
    made = initialised(
        lambda: ResidualVAE(variable, {"D": cp.Discrete(2)}, latent_size=1, width=4), 0
    ).eval()
    given = {"D": torch.tensor([1])}
    noise = {"latent": torch.tensor([[0.3]]), "residual": torch.zeros(1, 1, 4, 4)}
    with torch.no_grad():
        value = made(given, noise)
        bound = float(made.log_prob(value, given))
        draws = torch.special.ndtri((torch.arange(4000) + 0.5) / 4000)[:, None]
        several = {"D": given["D"].expand(4000)}
        pixels = made._pixels(draws, made._condition(several, None, 4000))
        log = torch.distributions.Normal(pixels.mean, pixels.scale).log_prob(value)
        log = log.flatten(1).sum(1)
    truth = float(log.double().logsumexp(0)) - torch.log(torch.tensor(4000.0)).item()
    assert bound <= truth + 1.0
    assert bound > truth - 50.0


def test_a_model_builds_it_and_gives_it_back(tmp_path):
    graph = cp.CausalGraph.parse("D -> I; X -> I")
    variables = {"D": cp.Discrete(2), "X": cp.Continuous(), "I": cp.Image(1, 6, 6)}
    dcm = cp.DCM(graph, variables, mechanisms={"I": cp.InvertibleImage(latent_size=3, width=4)})
    rows = {"D": [0, 1], "X": [0.5, -1.0], "I": images(variables["I"], 2)}
    dcm.save_pretrained(tmp_path / "model")
    loaded = cp.from_pretrained(tmp_path / "model")
    both = [
        model.counterfactual(rows, do={"D": 1}, variables=["I"], seed=3) for model in (dcm, loaded)
    ]
    for one, other in zip(both[0]["I"], both[1]["I"], strict=True):
        assert torch.equal(one, other)
    still = loaded.counterfactual(rows, do={}, variables=["I"])
    assert float((torch.stack(list(still["I"])) - rows["I"]).abs().max()) < 1e-6
    # a row whose value is set to what it has is itself again
    assert float((both[0]["I"][1] - rows["I"][1]).abs().max()) < 1e-5
    assert both[0].attrs["reconstruction_error"]["I"] < 1e-5


def test_it_is_refused_for_other_kinds():
    graph = cp.CausalGraph.parse("D -> Y")
    with pytest.raises(cp.MechanismError, match="it makes images"):
        cp.DCM(
            graph,
            {"D": cp.Discrete(2), "Y": cp.Continuous()},
            mechanisms={"Y": cp.InvertibleImage()},
        )
    with pytest.raises(cp.MechanismError, match="latent_size=0"):
        ResidualVAE(cp.Image(1, 4, 4), PARENTS, latent_size=0)
