"""Conditional normalisations by configuration, against networks written as they are published."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.testing import MechanismTester
from tests.adapters.test_gan_from_module import BigGAN, inputs_of, trained

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
IMAGE = cp.Image(3, 8, 8, low=-1.0)
LABELS = [cp.Label("class", 3)]


def linear(name: str, wide: int, features: int, **more: object) -> dict:
    return {"type": "linear", "name": name, "in_features": wide, "out_features": features} | more


def conv(name: str, wide: int, features: int, side: int = 3) -> dict:
    sizes = {"in_channels": wide, "out_channels": features, "kernel_size": side}
    return {"type": "conv2d", "name": name, "padding": side // 2} | sizes


def normalised(place: str, features: int, size: int) -> dict:
    norm = {"type": "batch_norm2d", "name": f"{place}.norm", "num_features": features}
    return {
        "type": "conditional_norm",
        "style": "block 0",
        "norm": norm | {"affine": False},
        "scale": [linear(f"{place}.gain", size, features)],
        "shift": [linear(f"{place}.bias", size, features)],
    }


SHARED = {"input": "class", "layers": [linear("shared", 3, 4, bias=False)]}
FIRST = [{"type": "narrow", "start": 0, "length": 4}]
SECOND = [{"type": "narrow", "start": 4, "length": 4}]
UP = {"type": "upsample", "scale_factor": 2}
RELU = {"type": "relu"}
ATTENTION = {"query": "theta", "key": "phi", "value": "values", "out": "out", "gamma": "gamma"}
BIGGAN = [
    linear("start", 4, 8 * 4 * 4),
    {"type": "unflatten", "dim": 1, "unflattened_size": [8, 4, 4]},
    {
        "type": "residual",
        "layers": [
            normalised("blocks.0.first", 8, 8),
            RELU,
            UP,
            conv("blocks.0.conv", 8, 8),
            normalised("blocks.0.second", 8, 8),
            RELU,
            conv("blocks.0.last", 8, 8),
        ],
        "shortcut": [UP],
    },
    {
        "type": "attention",
        "channels": 8,
        "query": 2,
        "value": 4,
        "pool": 2,
        "names": {key: f"attention.{name}" for key, name in ATTENTION.items()},
    },
    {"type": "batch_norm2d", "name": "norm", "num_features": 8},
    RELU,
    conv("out", 8, 3),
    {"type": "tanh"},
]


def biggan() -> tuple[nn.Module, ConditionalGAN]:
    """BigGAN with spectral and weight normalisation, and its configuration over its weights."""
    torch.manual_seed(0)
    network = trained(BigGAN())
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    tensors["attention.gamma"] = tensors["attention.gamma"].reshape(1)
    made = ConditionalGAN(
        IMAGE,
        LABELS,
        8,
        BIGGAN,
        inputs=[{"input": "latent", "layers": FIRST}],
        styles={"block 0": {"inputs": [SHARED, {"input": "latent", "layers": SECOND}]}},
        tensors=tensors,
    )
    return network, made


class Styled(nn.Module):
    """Adaptive instance normalisation by a mapped latent (Karras et al. 2019), then conditional
    batch normalisation by tables of gains and biases (de Vries et al. 2017)."""

    def __init__(self):
        super().__init__()
        self.map = nn.Sequential(nn.Linear(4, 5), nn.LeakyReLU(0.2))
        self.start = nn.Linear(4, 4 * 8 * 8)
        self.style = nn.Linear(5, 8)
        self.norm = nn.BatchNorm2d(4, affine=False)
        self.gains, self.biases = nn.Embedding(3, 4), nn.Embedding(3, 4)
        self.out = nn.Conv2d(4, 3, 1)

    def forward(self, z, y):
        x = self.start(z).view(-1, 4, 8, 8)
        scale, shift = self.style(self.map(z))[..., None, None].chunk(2, 1)
        x = nn.functional.instance_norm(x) * (1 + scale) + shift
        x = self.norm(x.relu()) * self.gains(y)[..., None, None] + self.biases(y)[..., None, None]
        return self.out(x).tanh()


def table(name: str) -> dict:
    return {"inputs": [{"input": "class", "encoding": "embedding", "size": 4, "name": name}]}


def styled() -> tuple[nn.Module, ConditionalGAN]:
    torch.manual_seed(1)
    network = trained(Styled(), size=4)
    tensors = dict(network.state_dict())
    for part, rows in (("scale", slice(0, 4)), ("shift", slice(4, 8))):
        tensors[f"{part}.weight"] = tensors["style.weight"][rows]
        tensors[f"{part}.bias"] = tensors["style.bias"][rows]
    layers = [
        linear("start", 4, 256),
        {"type": "unflatten", "dim": 1, "unflattened_size": [4, 8, 8]},
        {
            "type": "conditional_norm",
            "style": "w",
            "norm": {"type": "instance_norm2d", "num_features": 4},
            "scale": [linear("scale", 5, 4)],
            "shift": [linear("shift", 5, 4)],
        },
        RELU,
        {
            "type": "conditional_norm",
            "style": "gain",
            "norm": {
                "type": "batch_norm2d",
                "name": "norm",
                "num_features": 4,
                "affine": False,
            },
            "scale": [],
            "offset": 0.0,
        },
        {
            "type": "conditional_norm",
            "style": "bias",
            "norm": {"type": "identity"},
            "scale": [{"type": "affine", "scale": 0.0}],
            "shift": [{"type": "identity"}],
        },
        conv("out", 4, 3, 1),
        {"type": "tanh"},
    ]
    mapping = [linear("map.0", 4, 5), {"type": "leaky_relu", "negative_slope": 0.2}]
    made = ConditionalGAN(
        IMAGE,
        LABELS,
        4,
        layers,
        inputs=[{"input": "latent"}],
        styles={
            "w": {"inputs": [{"input": "latent"}], "layers": mapping},
            "gain": table("gains"),
            "bias": table("biases"),
        },
        tensors=tensors,
        ignore="style.*",
    )
    return network, made


@pytest.mark.parametrize("make", [biggan, styled])
def test_it_paints_what_the_published_network_paints(make, tmp_path: Path) -> None:
    network, made = make()
    latent = torch.randn(7, made.latent.size, generator=torch.Generator().manual_seed(1))
    codes = torch.arange(7) % 3
    with torch.no_grad():
        expected = network(latent, inputs_of(network, 7))
    painted = made.generate(codes[:, None], {"latent": latent})
    assert (painted - expected).abs().max() < 1e-5
    made.save_pretrained(tmp_path / "gan")
    again = cp.from_pretrained(tmp_path / "gan")
    assert torch.equal(again.generate(codes[:, None], {"latent": latent}), painted)
    relaxed = nn.functional.one_hot(codes, 3).float()
    assert torch.allclose(made.generate_relaxed(relaxed, {"latent": latent}), painted, atol=1e-6)


@pytest.mark.parametrize(
    ("styles", "match"),
    [
        (None, "reads the style 'block 0', which this generator does not have"),
        ({"block 0": {"layers": []}}, "has the keys inputs, join and layers"),
        ({"block 0": {"inputs": [{"input": "klass"}]}}, "'klass' of this generator cannot be read"),
        ({"block 0": {"inputs": [SHARED], "join": "sum"}}, "join='sum'"),
        ({"block 0": {"inputs": [SHARED]}}, "do not fit each other"),
    ],
)
def test_styles_that_do_not_fit_are_refused(styles: dict | None, match: str) -> None:
    inputs = [{"input": "latent", "layers": FIRST}]
    if styles is None:
        inputs.append({"input": "class", "layers": [linear("none", 3, 4)]})
        inputs[0] = {"input": "latent", "layers": [linear("part", 8, 4)]}
    with pytest.raises(cp.MechanismError, match=match):
        ConditionalGAN(IMAGE, LABELS, 8, BIGGAN, inputs=inputs, join="add", styles=styles)


class TestConditionalNorm(MechanismTester):
    """The published suite of mechanisms, on a generator with styles."""

    rows = 4

    def make(self) -> ConditionalGAN:
        return styled()[1]
