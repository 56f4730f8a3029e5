"""A renderer carries confounding through a generator that stays bit for bit as it is."""

from pathlib import Path

import pytest
import torch
from torch import nn

import causalplug as cp
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


class BlackBox(ConditionalGAN):
    """The same generator, which passes no gradients."""

    differentiable = False

    def generate(self, labels: torch.Tensor, noise: dict) -> torch.Tensor:
        with torch.no_grad():
            return super().generate(labels, noise)


def black_box(made: ConditionalGAN) -> ConditionalGAN:
    made.__class__ = BlackBox
    made.differentiable = False
    return made


def brightness(images: torch.Tensor) -> torch.Tensor:
    """What is to be large: ink in the first row, and less in the second."""
    rows = images[:, 0].mean(-1)
    return rows[:, 0] - 0.5 * rows[:, 1]


def gradient_of(made: Renderer, score: bool, times: int) -> torch.Tensor:
    """Estimates ``(times, parameters)`` of the gradient of the mean brightness, by gradients
    through the renderer, and by its choices where these are weighed."""
    picks, found = torch.Generator().manual_seed(0), []
    parameters = [p for p in made.network.parameters() if p.requires_grad]
    for _ in range(times):
        made.zero_grad()
        parents, noise, confounder = draw(made, 256, picks)
        shown = brightness(made(parents, noise, confounder))
        loss = shown.mean()
        if score:
            told = shown.detach() - shown.detach().mean()
            loss = loss + (told * made.choice_log_prob(parents, noise, confounder)).mean()
        loss.backward()
        found.append(torch.cat([p.grad.flatten() for p in parameters]))
    return torch.stack(found)


def exact_gradient(made: Renderer, times: int) -> torch.Tensor:
    """The same gradient with every label painted and weighed by its probability."""
    picks, found = torch.Generator().manual_seed(1), []
    parameters = [p for p in made.network.parameters() if p.requires_grad]
    for _ in range(times):
        made.zero_grad()
        parents, noise, confounder = draw(made, 256, picks)
        shares = torch.softmax(made.network(parents, confounder), -1)
        own = {"latent": noise["latent"]}
        for label in range(3):
            painted = made.generator.generate(torch.full((256, 1), label), own)
            (shares[:, label] * brightness(painted)).mean().backward(retain_graph=label < 2)
        found.append(torch.cat([p.grad.flatten() for p in parameters]))
    return torch.stack(found)


def agree(one: torch.Tensor, other: torch.Tensor) -> bool:
    error = (one.var(0) / len(one) + other.var(0) / len(other)).sqrt()
    far = (one.mean(0) - other.mean(0)).abs() > 5 * error + 1e-6
    return not bool(far.any()) and bool((one.mean(0).abs() > 5 * error).any())


def test_the_label_of_a_black_box_is_weighed_without_bias() -> None:
    """The truth is the sum over all labels."""
    made = initialised(
        lambda: Renderer(black_box(generator()), IMAGE, {"D": Discrete(2)}, confounder_size=2), 0
    )
    assert made.chooses
    assert made.shift is False  # no gradient reaches the latent
    assert agree(gradient_of(made, True, 150), exact_gradient(made, 40))


def unconditional() -> ConditionalGAN:
    layers = [
        {"type": "linear", "name": "0", "in_features": 2, "out_features": 16},
        {"type": "sigmoid"},
    ]
    weight = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    tensors = {"0.weight": weight, "0.bias": torch.zeros(16)}
    return ConditionalGAN(IMAGE, [], 2, layers, tensors=tensors)


def test_the_moved_latent_of_a_black_box_is_weighed_without_bias() -> None:
    """The truth is the gradient through the same generator."""
    parents = {"D": Discrete(2)}
    through = initialised(lambda: Renderer(unconditional(), IMAGE, parents, confounder_size=2), 0)
    assert not through.chooses
    made = initialised(
        lambda: Renderer(black_box(unconditional()), IMAGE, parents, confounder_size=2, shift=True),
        0,
    )
    assert made.chooses
    assert agree(gradient_of(made, True, 150), gradient_of(through, False, 40))


def test_what_has_neither_labels_nor_a_latent_to_move_cannot_be_a_renderer() -> None:
    bank = ImageBank(
        torch.zeros(2, 1, 4, 4, dtype=torch.uint8), [], torch.zeros(2, 0, dtype=torch.int64)
    )
    with pytest.raises(MechanismError, match="neither labels to choose nor a normal latent"):
        Renderer(bank, IMAGE, {})


def painter() -> nn.Module:
    class Rows(nn.Module):
        """Label k lights row k; the latent decides how bright."""

        def forward(self, latent: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
            lit = 6.0 * nn.functional.one_hot(row, 4).float() - 3.0 + 0.3 * latent[:, :1]
            return torch.sigmoid(lit)[:, None, :, None].expand(-1, 1, 4, 4)

    return Rows()


def test_a_wrapped_network_is_a_renderer(tmp_path: Path) -> None:
    conditions = [cp.Condition("row", cp.Discrete(3))]
    wrapped = cp.wrap(painter(), IMAGE, conditions=conditions, latent=2)
    made = initialised(lambda: Renderer(wrapped, IMAGE, {"D": Discrete(2)}, confounder_size=2), 0)
    assert made.chooses
    assert made.shift  # gradients reach the latent, and the label is weighed
    inputs = draw(made, 5, torch.Generator().manual_seed(1))
    made.eval()
    made.save_pretrained(tmp_path / "saved")
    assert torch.equal(from_pretrained(tmp_path / "saved")(*inputs), made(*inputs))


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ([cp.Condition("x", cp.Continuous())], "chooses among categories"),
        ([cp.Condition(name, cp.Discrete(70)) for name in "xy"], "4,900 joint values"),
    ],
)
def test_networks_that_a_code_cannot_choose_for_are_refused(conditions, message) -> None:
    class Flat(nn.Module):
        def forward(self, x: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
            return (x.float() * 0 + 0.5).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)

    wrapped = cp.wrap(Flat(), IMAGE, conditions=conditions)
    with pytest.raises(MechanismError, match=message):
        Renderer(wrapped)


def test_a_network_that_paints_nothing_is_refused() -> None:
    wrapped = cp.wrap(nn.Linear(2, 3), cp.Vector(3), latent=2)
    with pytest.raises(MechanismError, match="gives vector of 3 numbers cannot be one"):
        Renderer(wrapped)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("generator", nn.Linear(1, 2)),
        ("generator", "user/generator"),
        ("variable", Discrete(2)),
        ("shift", "yes"),
        ("confounder_size", -1),
        ("hidden", 8),
    ],
)
def test_a_wrong_argument_is_named(name: str, value: object) -> None:
    arguments = {"generator": generator(), "variable": IMAGE} | {name: value}
    with pytest.raises(MechanismError, match=f"{name}=.* cannot be used by Renderer"):
        Renderer(**arguments)
