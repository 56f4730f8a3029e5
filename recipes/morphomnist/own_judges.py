"""Judges of one's own: one small network that reads digit, thickness and intensity off an image,
trained on the training images alone. Images are trained through it, and measured by other judges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import causalplug as cp

__all__ = ["own_judges", "shifted"]

NUMBERS = ("thickness", "intensity")
_SPECKS, _GRAIN = 0.04, 0.08  # most pixels that are replaced, most noise on the others


def shifted(columns: Mapping[str, Any], copies: int, seed: int) -> dict[str, Any]:
    """The rows, and copies of them whose images are shifted by a pixel: nothing that the columns
    say changes by that."""
    rng = np.random.default_rng(seed)
    images = [columns["image"]]
    for _ in range(copies):
        padded = np.pad(columns["image"], ((0, 0), (0, 0), (1, 1), (1, 1)))
        moved = np.empty_like(columns["image"])
        height, width = moved.shape[2:]
        place = rng.integers(0, 3, (len(moved), 2))
        for y in range(3):
            for x in range(3):
                here = (place == (y, x)).all(1)
                moved[here] = padded[here, :, y : y + height, x : x + width]
        images.append(moved)
    found = {name: np.concatenate([np.asarray(c)] * (1 + copies)) for name, c in columns.items()}
    return {**found, "image": np.concatenate(images)}


class _Reader(nn.Module):
    """Logits of the digit, and numbers in standard deviations."""

    def __init__(self, shape: tuple[int, ...], categories: int, width: int = 12):
        super().__init__()
        channels, height, across = shape
        sizes = ((channels, width, 5, 2), (width, 2 * width, 3, 1))
        sizes += ((2 * width, 4 * width, 3, 2), (4 * width, 4 * width, 3, 1))
        self.body = nn.Sequential(*(_block(*size) for size in sizes))
        coarse = math.ceil(math.ceil(height / 2) / 2) * math.ceil(math.ceil(across / 2) / 2)
        self.places = nn.Sequential(
            nn.Flatten(), nn.Linear(4 * width * coarse, 96), nn.LeakyReLU(0.1)
        )
        self.whole = nn.Sequential(nn.Linear(4 * width, 96), nn.LeakyReLU(0.1))
        self.head = nn.Linear(192, categories + len(NUMBERS))

    def forward(self, image: Tensor) -> Tensor:
        maps = self.body(2 * image - 1)
        return self.head(torch.cat([self.places(maps), self.whole(maps.mean((2, 3)))], 1))


def _block(inner: int, outer: int, size: int, stride: int) -> nn.Module:
    convolution = nn.Conv2d(inner, outer, size, stride, size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outer), nn.LeakyReLU(0.1))


class _One(nn.Module):
    """What a reader says of one variable: logits, or a number in its own unit."""

    def __init__(self, reader: nn.Module, place: slice, loc: float, scale: float):
        super().__init__()
        self.reader, self.place, self.loc, self.scale = reader, place, loc, scale

    def forward(self, image: Tensor) -> Tensor:
        found = self.reader(image)[:, self.place]
        if found.shape[1] > 1:
            return found
        return self.loc + self.scale * found.squeeze(1)


def own_judges(
    variables: Mapping[str, cp.Variable],
    columns: Mapping[str, Any],
    *,
    steps: int,
    brightest: float,
    seed: int = 0,
    batch_size: int = 128,
) -> dict[str, cp.Mechanism]:
    """Judges that read digit, thickness and intensity.

    They also see images whose brightness was changed, with the intensity that follows from it, and
    specks and grain, by which a judge must not be moved.

    Args:
        variables: Declarations of the columns.
        columns: Training rows.
        steps: Updates of their network.
        brightest: The intensity of a stroke that is white.
        seed: Seed of weights and batches.
        batch_size: Rows of an update.
    """
    codes = variables["digit"].encode(columns["digit"])
    images = variables["image"].scale(variables["image"].encode(columns["image"]))
    numbers = torch.stack([torch.as_tensor(columns[n]).float() for n in NUMBERS], 1)
    loc, scale = numbers.mean(0), numbers.std(0)
    categories = variables["digit"].cardinality or 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reader = _Reader(tuple(images.shape[1:]), categories)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(reader.parameters(), 2e-3, betas=(0.9, 0.99))
    reader.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (0.02 + 0.49 * (1 + math.cos(math.pi * step / steps)))
        rows = torch.randint(len(images), (batch_size,), generator=generator)
        seen, meant = _changed(images[rows], numbers[rows], brightest, generator)
        read = reader(seen)
        loss = nn.functional.cross_entropy(read[:, :categories], codes[rows])
        wanted = (meant - loc) / scale
        loss = loss + 6 * nn.functional.smooth_l1_loss(read[:, categories:], wanted, beta=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    reader.eval()
    reads = [cp.Condition("image", variables["image"])]
    digit = _One(reader, slice(0, categories), 0.0, 1.0)
    found = {"digit": cp.wrap(digit, variables["digit"], conditions=reads, output="logits")}
    for place, name in enumerate(NUMBERS):
        one = slice(categories + place, categories + place + 1)
        network = _One(reader, one, float(loc[place]), float(scale[place]))
        found[name] = cp.wrap(network, variables[name], conditions=reads)
    return found


def _changed(
    images: Tensor, numbers: Tensor, brightest: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Images with another brightness for half of the rows, and specks and grain for most."""
    count = len(images)
    drawn = torch.rand(4, count, generator=generator)
    factor = torch.minimum(0.4 + 0.7 * drawn[0], brightest / numbers[:, 1].clamp_min(1e-6))
    factor = torch.where(torch.arange(count) < count // 2, 1.0, factor)
    numbers = torch.stack([numbers[:, 0], factor * numbers[:, 1]], 1)
    changed = factor.view(-1, 1, 1, 1) * images
    clean = (torch.arange(count) % 3 == 0).view(-1, 1, 1, 1)
    specks = torch.rand(images.shape, generator=generator) < _SPECKS * drawn[1].view(-1, 1, 1, 1)
    replaced = torch.where(specks, torch.rand(images.shape, generator=generator), changed)
    grain = _GRAIN * drawn[2].view(-1, 1, 1, 1)
    spoilt = replaced + grain * torch.randn(images.shape, generator=generator)
    return torch.where(clean, changed, spoilt).clamp(0, 1), numbers
