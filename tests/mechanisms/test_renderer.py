"""A renderer carries confounding through a generator that stays bit for bit as it is."""

from pathlib import Path

import pytest
import torch

from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.adapters.image_bank import ImageBank
from causalplug.errors import MechanismError
from causalplug.load import from_pretrained
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.mechanisms.frozen.renderer import Renderer
from causalplug.networks import initialised
from causalplug.noise import NoiseSpec
from causalplug.variables import Discrete, Image

IMAGE = Image(1, 4, 4)


def generator() -> ConditionalGAN:
    """Label k lights row k; the latent decides how bright."""
    layers = [
        {"type": "linear", "name": "0", "in_features": 5, "out_features": 16},
        {"type": "sigmoid"},
    ]
    weight = torch.full((16, 5), 0.0)
    for label in range(3):
        weight[4 * label : 4 * label + 4, 2 + label] = 6.0
    weight[:, 0] = 0.3
    tensors = {"0.weight": weight, "0.bias": torch.full((16,), -3.0)}
    return ConditionalGAN(IMAGE, [Label("row", 3)], 2, layers, tensors=tensors)


def renderer(**options: object) -> Renderer:
    return initialised(
        lambda: Renderer(generator(), IMAGE, {"D": Discrete(2)}, confounder_size=2, **options), 0
    )  # type: ignore[arg-type,return-value]


def draw(made: Renderer, n: int, picks: torch.Generator) -> tuple[dict, dict, torch.Tensor]:
    noise = {key: spec.draw(n, picks) for key, spec in made.noise.items()}
    return {"D": torch.randint(0, 2, (n,), generator=picks)}, noise, NoiseSpec((2,)).draw(n, picks)


def test_it_learns_what_the_confounder_says_and_the_generator_stays() -> None:
    made, picks = renderer(), torch.Generator().manual_seed(0)
    before = {key: value.clone() for key, value in made.generator.state_dict().items()}
    trainable = [p for p in made.parameters() if p.requires_grad]
    assert {id(p) for p in trainable} == {id(p) for p in made.network.parameters()}
    optimizer = torch.optim.Adam(trainable, lr=1e-2)
    for _ in range(200):
        parents, noise, confounder = draw(made, 128, picks)
        wanted = torch.where(confounder[:, 0] > 0, 2, parents["D"])
        lit = made(parents, noise, confounder)[:, 0].mean(-1)
        loss = torch.nn.functional.cross_entropy(8 * lit[:, :3], wanted)
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in trainable)
        optimizer.step()
    parents, noise, confounder = draw(made, 500, picks)
    shown = made(parents, noise, confounder)[:, 0, :3].mean(-1).argmax(-1)
    wanted = torch.where(confounder[:, 0] > 0, 2, parents["D"])
    assert float((shown == wanted).float().mean()) > 0.9
    assert all(
        torch.equal(before[key], value) for key, value in made.generator.state_dict().items()
    )


def test_round_trip(tmp_path: Path) -> None:
    made = renderer(shift=False)
    made.eval()
    inputs = draw(made, 5, torch.Generator().manual_seed(1))
    made.save_pretrained(tmp_path / "saved")
    assert torch.equal(from_pretrained(tmp_path / "saved")(*inputs), made(*inputs))


def test_a_black_box_cannot_be_a_renderer() -> None:
    bank = ImageBank(
        torch.zeros(2, 1, 4, 4, dtype=torch.uint8), [Label("a", 2)], torch.tensor([[0], [1]])
    )
    with pytest.raises(MechanismError, match="gradient"):
        Renderer(bank, IMAGE, {})
