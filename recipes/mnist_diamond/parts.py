"""The three frozen parts of this recipe: a bank of images, a classifier and a conditional GAN,
third-party or made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.adapters.image_bank import ImageBank
from causalplug.networks import initialised
from recipes.mnist_diamond.scm import DiamondSCM

__all__ = [
    "LeNet",
    "LinearGenerator",
    "first_generator",
    "linear_generator",
    "own_classifier",
    "own_generator",
    "painted",
    "third_party",
]

_LAYERS = [
    {"type": "linear", "in_features": 110, "out_features": 256, "name": "net.0"},
    {"type": "leaky_relu", "negative_slope": 0.2},
    {"type": "linear", "in_features": 256, "out_features": 512, "name": "net.2"},
    {"type": "leaky_relu", "negative_slope": 0.2},
    {"type": "linear", "in_features": 512, "out_features": 784, "name": "net.4"},
    {"type": "tanh"},
]


class LeNet(nn.Module):
    """LeNet-5 as csinva/gan-vae-pretrained-pytorch has it: log probabilities of ten digits."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c3, self.c5 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Conv2d(16, 120, 5)
        self.f6, self.f7 = nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Scores ``(n, 10)`` of images ``(n, 1, 28, 28)`` in [0, 1], each brought to full
        brightness first, as those that it was trained on are."""
        bright = image / image.amax((1, 2, 3), keepdim=True).clamp_min(1e-3)
        large = nn.functional.interpolate(bright, size=(32, 32), mode="bilinear", antialias=True)
        hidden = nn.functional.max_pool2d(torch.relu(self.c1(large)), 2)
        hidden = nn.functional.max_pool2d(torch.relu(self.c3(hidden)), 2)
        hidden = torch.relu(self.c5(hidden)).flatten(1)
        return torch.log_softmax(self.f7(torch.relu(self.f6(hidden))), -1)


def third_party(folder: Path) -> tuple[cp.Mechanism, cp.Mechanism]:
    """The classifier ``mnist-lenet`` and the generator ``mnist-cgan-mlp`` of a folder that holds
    both."""
    from safetensors.torch import load_file

    lenet = LeNet()
    weights = load_file(folder / "mnist-lenet" / "model.safetensors")
    lenet.load_state_dict({_own_name(name): value for name, value in weights.items()})
    classifier = cp.wrap(
        lenet,
        cp.Discrete(10),
        conditions=[cp.Condition("image", cp.Image(1, 28, 28))],
        license="mit",
        source="csinva/gan-vae-pretrained-pytorch",
    )
    generator = ConditionalGAN(
        cp.Image(1, 28, 28, low=-1.0, high=1.0),
        [cp.Label("digit", 10)],
        100,
        _LAYERS,
        inputs=_inputs(),
        tensors=load_file(folder / "mnist-cgan-mlp" / "model.safetensors"),
        license="mit",
        source="adarshnair04/Digit_Generator",
    )
    return classifier, generator


def _own_name(name: str) -> str:
    """``c1.weight`` for ``convnet.c1.weight``."""
    return name.split(".", 1)[1]


def _inputs() -> list[dict[str, object]]:
    digit = {"input": "digit", "encoding": "embedding", "size": 10, "name": "label_emb"}
    return [{"input": "latent"}, digit]


def own_classifier(
    images: np.ndarray, digits: np.ndarray, *, steps: int, seed: int
) -> cp.Mechanism:
    """A small classifier of images ``(m, side, side)`` uint8 in either style, made on the spot."""
    side, count = images.shape[-1], int(digits.max()) + 1
    shape = (nn.Flatten(), nn.Linear(side * side, 32), nn.ReLU(), nn.Linear(32, count))
    network = initialised(lambda: nn.Sequential(*shape), seed)
    pixels = torch.from_numpy(images[:, None]).float() / 255
    labels = torch.from_numpy(digits.astype(np.int64))
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(steps):
        rows = torch.randint(len(labels), (64,), generator=generator)
        bright = 0.4 + 0.6 * torch.rand(64, 1, 1, 1, generator=generator)
        loss = nn.functional.cross_entropy(network(pixels[rows] * bright), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    condition = cp.Condition("image", cp.Image(1, side, side))
    return cp.wrap(network, cp.Discrete(count), conditions=[condition], license="cc0-1.0")


def own_generator(images: np.ndarray, digits: np.ndarray, *, steps: int, seed: int) -> cp.Mechanism:
    """A small conditional GAN, made on the spot."""
    side, count = images.shape[-1], int(digits.max()) + 1
    labels = {"digit": (torch.from_numpy(digits.astype(np.int64)), cp.Discrete(count))}
    return cp.fit_generator(
        cp.Image(1, side, side),
        torch.from_numpy(images[:, None]),
        labels,
        seed=seed,
        steps=steps,
        license="cc0-1.0",
        source="trained by this recipe",
    )


class LinearGenerator(nn.Module):
    """Images with the mean of their digit and the covariance of all, made of principal
    components."""

    mean: Tensor
    spread: Tensor

    def __init__(self, images: np.ndarray, digits: np.ndarray, latent: int):
        super().__init__()
        pixels = torch.from_numpy(images).flatten(1).float() / 255
        labels = torch.from_numpy(digits.astype(np.int64))
        mean = torch.stack([pixels[labels == d].mean(0) for d in labels.unique()])
        _, scale, directions = torch.linalg.svd(pixels - mean[labels], full_matrices=False)
        self.register_buffer("mean", mean)
        spread = scale[:latent, None] * directions[:latent] / len(pixels) ** 0.5
        self.register_buffer("spread", spread)
        self.side = images.shape[-1]

    def forward(self, latent: Tensor, digit: Tensor) -> Tensor:
        """Images ``(n, 1, side, side)`` in [0, 1]."""
        made = self.mean[digit] + latent @ self.spread
        return made.clamp(0, 1).view(-1, 1, self.side, self.side)


def linear_generator(images: np.ndarray, digits: np.ndarray) -> cp.Mechanism:
    """The generator of the quick mode: fitted in closed form."""
    side, count = images.shape[-1], int(digits.max()) + 1
    return cp.wrap(
        LinearGenerator(images, digits, 24),
        cp.Image(1, side, side),
        conditions=[cp.Condition("digit", cp.Discrete(count))],
        latent=24,
        license="cc0-1.0",
        source="trained by this recipe",
    )


def first_generator(other: DiamondSCM, n: int, *, seed: int) -> cp.Mechanism:
    """A bank of ``n`` first images by their style, of pictures that the rows do not hold."""
    rng = np.random.default_rng(seed)
    style = np.arange(n) % 2
    images, _ = other.first_images(style, rng)
    side = images.shape[-1]
    return ImageBank(
        torch.from_numpy(images[:, None]),
        [cp.Label("style", 2)],
        torch.from_numpy(style[:, None]),
        image=cp.Image(1, side, side),
        license="cc0-1.0",
    )


def painted(
    generator: cp.Mechanism, count: int, rows: int, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """``rows`` images ``(n, side, side)`` uint8 of each digit by a generator, and the digits."""
    image = cp.Image(1, *generator.variable.event_shape[1:])
    bound = generator.for_variable("I2", image, {"digit": cp.Discrete(count)})
    digits = torch.arange(count).repeat_interleave(rows)
    noise = cp.Noise(len(digits), seed)
    own = {key: noise.draw(key, spec) for key, spec in bound.noise.items()}
    with torch.no_grad():
        made = bound({"digit": digits}, own)
    return (made * 255).round().clamp(0, 255).to(torch.uint8).numpy()[:, 0], digits.numpy()
