"""Generators by their modules: exact against the module itself, saved and loaded without code."""

import math
import os
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN, Latent
from causalplug.testing import MechanismTester

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


class ModulatedConv(nn.Module):
    """A convolution whose kernel is scaled by a style and demodulated (Karras et al. 2020)."""

    def __init__(self, channels: int, out: int, style: int, size: int = 3):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, channels, size, size))
        self.affine = nn.Linear(style, channels)
        self.scale = 1 / math.sqrt(channels * size * size)

    def forward(self, x, style):
        n, channels, height, width = x.shape
        kernel = self.scale * self.weight[None] * (1 + self.affine(style))[:, None, :, None, None]
        kernel = kernel * torch.rsqrt(kernel.square().sum((2, 3, 4), keepdim=True) + 1e-8)
        out = kernel.shape[1]
        kernel = kernel.reshape(n * out, channels, *kernel.shape[3:])
        made = nn.functional.conv2d(
            x.reshape(1, n * channels, height, width), kernel, padding="same", groups=n
        )
        return made.reshape(n, out, height, width)


class StyleGAN2(nn.Module):
    """A generator in the style of StyleGAN2: mapping network, constant, modulated convolutions,
    skips to colours."""

    def __init__(self, latent: int = 8, classes: int = 3, channels: int = 6):
        super().__init__()
        self.embed = nn.Embedding(classes, latent)
        self.mapping = nn.Sequential(
            nn.Linear(2 * latent, 8), nn.LeakyReLU(0.2), nn.Linear(8, 8), nn.LeakyReLU(0.2)
        )
        self.constant = nn.Parameter(torch.randn(1, channels, 4, 4))
        self.convs = nn.ModuleList(ModulatedConv(channels, channels, 8) for _ in range(2))
        self.colours = nn.ModuleList(ModulatedConv(channels, 3, 8, 1) for _ in range(2))
        self.register_buffer("noise", 0.1 * torch.randn(2, 8, 8))

    def forward(self, z, y):
        z = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        w = self.mapping(torch.cat([z, self.embed(y)], 1))
        x = self.constant.repeat(len(z), 1, 1, 1)
        picture = None
        for step, (conv, colour) in enumerate(zip(self.convs, self.colours, strict=True)):
            if step:
                x = nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
                picture = nn.functional.interpolate(picture, scale_factor=2, mode="bilinear")
            side = x.shape[-1]
            x = nn.functional.leaky_relu(conv(x, w) + self.noise[step, :side, :side], 0.2)
            rgb = colour(x, w)
            picture = rgb if picture is None else picture + rgb
        return torch.tanh(picture)


class Conditional(nn.Module):
    """Batch normalisation whose gain and bias come from the class and a part of the latent."""

    def __init__(self, features: int, size: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(features, affine=False)
        self.gain, self.bias = nn.Linear(size, features), nn.Linear(size, features)

    def forward(self, x, y):
        gain, bias = 1 + self.gain(y), self.bias(y)
        return self.norm(x) * gain[..., None, None] + bias[..., None, None]


class Block(nn.Module):
    """A residual block of BigGAN (Brock et al. 2019), with spectral normalisation."""

    def __init__(self, features: int, size: int):
        super().__init__()
        self.first, self.second = Conditional(features, size), Conditional(features, size)
        conv = nn.Conv2d(features, features, 3, padding=1)
        self.conv = parametrizations.spectral_norm(conv)
        self.last = nn.utils.spectral_norm(nn.Conv2d(features, features, 3, padding=1))

    def forward(self, x, y):
        made = nn.functional.interpolate(self.first(x, y).relu(), scale_factor=2)
        made = self.last(self.second(self.conv(made), y).relu())
        return made + nn.functional.interpolate(x, scale_factor=2)


class Attention(nn.Module):
    """Self-attention over pixels (Zhang et al. 2019)."""

    def __init__(self, features: int):
        super().__init__()
        self.theta, self.phi = nn.Conv2d(features, 2, 1), nn.Conv2d(features, 2, 1)
        self.values, self.out = nn.Conv2d(features, 4, 1), nn.Conv2d(4, features, 1)
        self.gamma = nn.Parameter(torch.tensor(0.7))

    def forward(self, x):
        n, _, height, width = x.shape
        query = self.theta(x).flatten(2)
        key = nn.functional.max_pool2d(self.phi(x), 2).flatten(2)
        value = nn.functional.max_pool2d(self.values(x), 2).flatten(2)
        weights = torch.softmax(query.transpose(1, 2) @ key, -1)
        read = (value @ weights.transpose(1, 2)).view(n, 4, height, width)
        return x + self.gamma * self.out(read)


class BigGAN(nn.Module):
    """A generator in the style of BigGAN: the latent in parts, a shared embedding used by every
    block, attention."""

    def __init__(self, classes: int = 3):
        super().__init__()
        self.shared = nn.Linear(classes, 4, bias=False)
        self.start = nn.utils.parametrizations.weight_norm(nn.Linear(4, 8 * 4 * 4))
        self.blocks = nn.ModuleList([Block(8, 8)])
        self.attention = Attention(8)
        self.norm = nn.BatchNorm2d(8)
        self.out = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, z, y):
        first, *parts = z.split(4, 1)
        label = self.shared(y)
        x = self.start(first).view(-1, 8, 4, 4)
        for part, block in zip(parts, self.blocks, strict=True):
            x = block(x, torch.cat([label, part], 1))
        return self.out(self.norm(self.attention(x)).relu()).tanh()


def trained(network: nn.Module, size: int = 8) -> nn.Module:
    """The network with statistics and norms as training leaves them."""
    torch.manual_seed(3)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-1, 1)
                module.running_var.uniform_(0.5, 2)
    network.train()
    with torch.no_grad():
        for _ in range(3):  # power iterations of spectral normalisation
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
            network(torch.randn(5, size), inputs_of(network, 5))
    return network.eval()


def inputs_of(network: nn.Module, n: int) -> torch.Tensor:
    codes = torch.arange(n) % 3
    if isinstance(network, BigGAN):
        return nn.functional.one_hot(codes, 3).float()
    return codes


IMAGE = cp.Image(3, 8, 8, low=-1.0)
LABELS = [cp.Label("class", 3)]


@pytest.fixture(scope="module", params=[StyleGAN2, BigGAN])
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return trained(request.param())


def test_it_paints_what_the_network_paints(network: nn.Module, tmp_path: Path) -> None:
    made = ConditionalGAN.from_module(network, IMAGE, LABELS, 8)
    latent = torch.randn(7, 8, generator=torch.Generator().manual_seed(1))
    codes = torch.arange(7) % 3
    with torch.no_grad():
        expected = network(latent, inputs_of(network, 7))
    painted = made.generate(codes[:, None], {"latent": latent})
    assert (painted - expected).abs().max() < 1e-5
    made.save_pretrained(tmp_path / "gan")
    again = cp.from_pretrained(tmp_path / "gan")
    assert torch.equal(again.generate(codes[:, None], {"latent": latent}), painted)
    assert not list((tmp_path / "gan").glob("*.py"))


@pytest.mark.skipif(not os.environ.get("CAUSALPLUG_EXHAUSTIVE"), reason="searches latents")
class TestBigGAN(MechanismTester):
    rows = 3

    def make(self) -> ConditionalGAN:
        torch.manual_seed(0)
        return ConditionalGAN.from_module(trained(BigGAN()), IMAGE, LABELS, 8)


def test_labels_that_are_numbers_reach_the_network_as_numbers() -> None:
    class Ramp(nn.Module):
        def forward(self, z, angle):
            return torch.tanh(z[:, :4] * angle.view(-1, 1)).view(-1, 1, 2, 2)

    angles = cp.Label("angle", [0.5, 2.0])
    image = cp.Image(1, 2, 2, low=-1.0)
    made = ConditionalGAN.from_module(Ramp(), image, [angles], Latent(4), numbers=["angle"])
    latent = torch.randn(2, 4)
    painted = made.generate(torch.tensor([[0], [1]]), {"latent": latent})
    expected = torch.tanh(latent * torch.tensor([[0.5], [2.0]])).view(2, 1, 2, 2)
    assert torch.allclose(painted, expected)
    words = [cp.Label("angle", ["low", "high"])]
    with pytest.raises(cp.MechanismError, match="'low'"):
        ConditionalGAN.from_module(Ramp(), image, words, 4, numbers=["angle"])


def test_a_latent_that_is_a_map_of_one_pixel() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.ConvTranspose2d(5, 1, 4), nn.Tanh())
    made = ConditionalGAN.from_module(network, cp.Image(1, 4, 4, low=-1.0), latent=5)
    latent = torch.randn(3, 5)
    expected = network(latent.view(3, 5, 1, 1))
    none = torch.zeros(3, 0, dtype=torch.int64)
    assert torch.allclose(made.generate(none, {"latent": latent}), expected, atol=1e-6)


def test_noise_of_its_own_is_refused() -> None:
    class Noisy(nn.Module):
        def forward(self, z):
            return torch.tanh(z + torch.randn_like(z)).view(-1, 1, 2, 2)

    with pytest.raises(cp.MechanismError):
        ConditionalGAN.from_module(Noisy(), cp.Image(1, 2, 2, low=-1.0), latent=4)


class Residuals(nn.Module):
    """A generator with a residual block, attention and a label that is used twice."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(3, 4)
        self.start = nn.Linear(12, 16)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.query, self.key = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 1)
        self.value = nn.Conv2d(4, 4, 1)
        self.gamma = nn.Parameter(torch.tensor([0.6]))
        self.out = nn.Conv2d(4, 3, 1)

    def forward(self, z, y):
        shared = self.table(y)
        x = self.start(torch.cat([z, shared, shared], 1)).view(-1, 4, 2, 2)
        x = x + self.conv(x.relu())
        weights = (self.query(x).flatten(2).transpose(1, 2) @ self.key(x).flatten(2)).softmax(-1)
        read = (self.value(x).flatten(2) @ weights.transpose(1, 2)).view(-1, 4, 2, 2)
        return self.out(x + self.gamma * read).tanh()


RESIDUAL = [
    {"type": "linear", "name": "start", "in_features": 12, "out_features": 16},
    {"type": "unflatten", "dim": 1, "unflattened_size": [4, 2, 2]},
    {
        "type": "residual",
        "layers": [
            {"type": "relu"},
            {
                "type": "conv2d",
                "name": "conv",
                "in_channels": 4,
                "out_channels": 4,
                "kernel_size": 3,
                "padding": 1,
            },
        ],
    },
    {"type": "attention", "channels": 4, "query": 2},
    {"type": "dropout"},
    {"type": "identity"},
    {"type": "conv2d", "name": "out", "in_channels": 4, "out_channels": 3, "kernel_size": 1},
    {"type": "tanh"},
]
TWICE = [
    {"input": "latent"},
    {"input": "class", "encoding": "embedding", "size": 4, "name": "table"},
    {"input": "class", "encoding": "embedding", "size": 4, "name": "table"},
]


def test_residuals_attention_and_a_label_used_twice_by_configuration() -> None:
    torch.manual_seed(0)
    network = Residuals()
    file = {f"generator.{name}": tensor for name, tensor in network.state_dict().items()}
    file |= {"discriminator.weight": torch.zeros(2)}
    made = ConditionalGAN(
        cp.Image(3, 2, 2, low=-1.0),
        LABELS,
        4,
        RESIDUAL,
        inputs=TWICE,
        tensors=file,
        only="generator.*",
    )
    latent, codes = torch.randn(5, 4), torch.arange(5) % 3
    painted = made.generate(codes[:, None], {"latent": latent})
    assert (painted - network(latent, codes)).abs().max() < 1e-6
    with pytest.raises(cp.MechanismError, match=r"'netG.\*'"):
        ConditionalGAN(cp.Image(3, 2, 2), LABELS, 4, RESIDUAL, tensors=file, only="netG.*")


@pytest.mark.parametrize("form", ["spectral", "old spectral", "weight", "old weight"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_normalised_weights_of_a_file_are_folded(form: str, transposed: bool) -> None:
    norms = {
        "spectral": parametrizations.spectral_norm,
        "old spectral": nn.utils.spectral_norm,
        "weight": parametrizations.weight_norm,
        "old weight": nn.utils.weight_norm,
    }
    torch.manual_seed(0)
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    network = nn.Sequential(nn.Unflatten(1, (4, 2, 2)), norms[form](kind(4, 4, 1)), nn.Tanh())
    network(torch.randn(2, 16))
    network.eval()
    layers = [
        {"type": "view", "shape": [4, 2, 2]},
        {
            "type": "conv_transpose2d" if transposed else "conv2d",
            "name": "1",
            "in_channels": 4,
            "out_channels": 4,
            "kernel_size": 1,
        },
        {"type": "tanh"},
    ]
    made = ConditionalGAN(cp.Image(4, 2, 2, low=-1.0), [], 16, layers, tensors=network.state_dict())
    latent = torch.randn(3, 16)
    painted = made.generate(torch.zeros(3, 0, dtype=torch.int64), {"latent": latent})
    assert (painted - network(latent)).abs().max() < 1e-5


def test_a_generator_that_leaves_its_range_is_refused() -> None:
    layers = [{"type": "linear", "name": "0", "in_features": 4, "out_features": 4}]
    tensors = {"0.weight": 9 * torch.eye(4), "0.bias": torch.zeros(4)}
    with pytest.raises(cp.MechanismError, match="the declared range is"):
        ConditionalGAN(cp.Image(1, 2, 2, low=-1.0), [], 4, layers, tensors=tensors)
    clipped = [*layers, {"type": "hardtanh"}]
    assert ConditionalGAN(cp.Image(1, 2, 2, low=-1.0), [], 4, clipped, tensors=tensors)
