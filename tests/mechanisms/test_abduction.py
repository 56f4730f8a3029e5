"""Recovered noise: Gumbel noise given the choice, latents of a GAN by search, labels told from
the image."""

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.adapters.callable import CallableGenerator
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.errors import MechanismError
from causalplug.mechanisms.frozen.abduction import gumbel_given
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.noise import NoiseSpec
from causalplug.variables import Discrete, Image

IMAGE = Image(1, 4, 4, low=-1.0, high=1.0)


def generator() -> ConditionalGAN:
    """Label k lights row k by as much as the latent says; each latent number has a column of its
    own."""
    weight = torch.zeros(16, 6)
    for label in range(3):
        weight[4 * label : 4 * label + 4, 3 + label] = 2.0
    for column in range(3):
        weight[column::4, column] = 0.4
    tensors = {"0.weight": weight, "0.bias": torch.full((16,), -1.0)}
    layers = [
        {"type": "linear", "name": "0", "in_features": 6, "out_features": 16},
        {"type": "tanh"},
    ]
    return ConditionalGAN(IMAGE, [Label("row", 3)], 3, layers, tensors=tensors)


def test_gumbel_noise_given_the_choice_has_the_right_distribution() -> None:
    """Drawing the choice and then noise given it is drawing the noise: compared with rejection."""
    log = torch.tensor([0.5, 0.3, 0.2, 0.0]).log()
    draw, n = torch.Generator().manual_seed(0), 200_000
    prior = NoiseSpec((4,), "gumbel").draw(n, draw)
    free = NoiseSpec((4,), "gumbel").draw(n, draw)
    chosen = (log + free).argmax(-1)
    for choice in range(3):
        rejected = free[chosen == choice]
        made = gumbel_given(
            log.expand(len(rejected), -1),
            torch.full((len(rejected),), choice),
            prior[: len(rejected)],
        )
        assert bool(((log + made).argmax(-1) == choice).all())
        for share in (0.05, 0.25, 0.5, 0.75, 0.95):
            below = (made < rejected.quantile(share, 0)).double().mean(0)
            error = (2 * share * (1 - share) / len(rejected)) ** 0.5
            assert float((below - share).abs().max()) < 4.5 * error


def test_the_latent_of_a_gan_is_found_row_by_row() -> None:
    made = generator()
    latent = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(6) % 3
    painted = made({"row": labels}, {"latent": latent})
    found = made.abduct(painted, {"row": labels})
    assert torch.allclose(found["latent"], latent, atol=0.1)
    alone = made.abduct(painted[2:3], {"row": labels[2:3]})
    assert torch.allclose(alone["latent"], found["latent"][2:3], atol=1e-3)


def test_a_label_that_the_parents_leave_open_is_told_from_the_image() -> None:
    table = {0: {0: 0.5, 1: 0.5}, 1: {1: 0.25, 2: 0.75}}
    made = generator().bind("I", Image(1, 4, 4), {"D": Discrete(2)}, table)
    noise = {
        key: spec.draw(8, torch.Generator().manual_seed(2)) for key, spec in made.noise.items()
    }
    parents = {"D": torch.arange(8) % 2}
    painted, label = made(parents, noise), made.joint_labels(parents, noise)
    prior = {
        key: spec.draw(8, torch.Generator().manual_seed(3)) for key, spec in made.noise.items()
    }
    found = made.abduct(painted, parents, prior=prior)
    assert torch.equal(made.joint_labels(parents, found), label)
    assert float((made(parents, found) - painted).abs().max()) < 0.02
    with pytest.raises(MechanismError, match="prior="):
        made.abduct(painted, parents)


def test_a_given_image_under_an_intervention() -> None:
    """The counterfactual of a picture keeps its latent and moves its label; the error of its
    noise is reported."""
    graph = cp.CausalGraph.parse("D -> I")
    dcm = cp.DCM(graph, {"D": Discrete(3), "I": IMAGE}, mechanisms={"I": generator()})
    latent = torch.tensor([[0.5, -1.0, 1.5]])
    seen, truth = (generator()({"row": torch.tensor([d])}, {"latent": latent}) for d in (0, 2))
    answer = dcm.counterfactual({"D": 0, "I": seen.numpy()}, do={"D": 2}, variables=["I"])
    assert np.abs(np.stack(list(answer["I"])) - truth.numpy()).max() < 0.05
    assert 0 < answer.attrs["reconstruction_error"]["I"] < 0.02


def test_what_cannot_be_inverted_is_refused() -> None:
    def paint(labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
        return np.zeros((len(labels), 1, 4, 4), np.float32)

    graph = cp.CausalGraph.parse("D -> I")
    black_box = CallableGenerator(paint, IMAGE, [Label("row", 3)])
    dcm = cp.DCM(graph, {"D": Discrete(3), "I": IMAGE}, mechanisms={"I": black_box})
    with pytest.raises(MechanismError, match=r"'I' cannot be recovered.*declares no abduction"):
        dcm.counterfactual(
            {"D": 0, "I": np.zeros((1, 1, 4, 4), np.float32)}, do={"D": 2}, variables=["I"]
        )
    resized = generator().asked(transform="resize").bind("I", Image(1, 8, 8), {"D": Discrete(3)})
    assert resized.abduction is None
    turned = (
        generator().asked(transform=["invert", "pad"]).bind("I", Image(1, 6, 6), {"D": Discrete(3)})
    )
    parents, noise = (
        {"D": torch.arange(3)},
        {"latent": torch.randn(3, 3, generator=torch.Generator().manual_seed(4))},
    )
    painted = turned(parents, noise)
    assert float((turned(parents, turned.abduct(painted, parents)) - painted).abs().max()) < 0.02
