"""Generators of images conditioned on a number, the thickness of a stroke: drawn, or learned from
Morpho-MNIST."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from causalplug.errors import DataError
from causalplug.networks import initialised
from recipes.mnist_frontdoor.data import read_idx

__all__ = ["ROUGH", "Decoder", "Strokes", "read_thickness", "train_decoder"]


ROUGH = 1.0
"""Standard deviation of the number about the thickness that an image shows."""


class Strokes(nn.Module):
    """A stroke about as thick as a number says, at a place and in a direction that the latent
    decides, as it does how far the thickness is from the number.

    Args:
        side: Height and width of the image.
    """

    grid: Tensor
    latent = 3

    def __init__(self, side: int = 12):
        super().__init__()
        steps = torch.linspace(-1, 1, side)
        self.register_buffer("grid", torch.stack(torch.meshgrid(steps, steps, indexing="ij")))

    def forward(self, latent: Tensor, thickness: Tensor) -> Tensor:
        """Images ``(n, 1, side, side)`` in [0, 1]; thickness ``(n,)`` in units of 1/6 of the
        image."""
        turn = 0.6 * latent[:, 0, None, None]
        place = 0.15 * latent[:, 1, None, None]
        away = self.grid[0] * turn.sin() + self.grid[1] * turn.cos() - place
        shown = (thickness + ROUGH * latent[:, 2]).clamp(0.5, 6.0)
        half = shown[:, None, None] / 6
        return torch.sigmoid(12 * (half - away.abs()))[:, None]


class Decoder(nn.Module):
    """The decoder of a conditional variational autoencoder (Sohn et al. 2015).

    Args:
        side: Height and width of the image.
        latent: Numbers of the latent.
        width: Width of the hidden layers.
    """

    def __init__(self, side: int = 28, latent: int = 12, width: int = 256):
        super().__init__()
        self.side, self.latent = side, latent
        self.body = nn.Sequential(
            nn.Linear(latent + 3, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, side * side),
        )

    def forward(self, latent: Tensor, thickness: Tensor) -> Tensor:
        """Images ``(n, 1, side, side)`` in [0, 1]."""
        made = self.body(torch.cat([latent, features(thickness)], 1))
        return torch.sigmoid(made).view(-1, 1, self.side, self.side)


def features(thickness: Tensor) -> Tensor:
    """The number, its square and its root, of similar sizes: ``(n, 3)``."""
    unit = thickness[:, None] / 3
    return torch.cat([unit, unit * unit / 2, unit.clamp_min(0).sqrt()], 1)


def read_thickness(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images ``(n, 28, 28)`` uint8 of Morpho-MNIST and their thickness ``(n,)``.

    Raises:
        DataError: A file is missing.
    """
    images, table = folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-morpho.csv.gz"
    for file in (images, table):
        if not file.is_file():
            raise DataError(
                f"Morpho-MNIST cannot be read from {str(folder)!r}: {file.name} is not there. Name "
                "its folder, or leave it out for drawn strokes."
            )
    with gzip.open(table, "rt", newline="") as text:
        thickness = [float(row["thickness"]) for row in csv.DictReader(text)]
    return read_idx(images, 3), np.array(thickness, np.float32)


def train_decoder(
    images: np.ndarray, thickness: np.ndarray, *, steps: int, seed: int, batch: int = 128
) -> Decoder:
    """Train a decoder on images and a number that says roughly how thick they are, and nothing
    else.

    Args:
        images: ``(n, side, side)`` uint8.
        thickness: ``(n,)`` floats; the number is another one for every use of an image.
        steps, batch: Of Adam, with a cosine schedule.
        seed: Seed of weights and batches.
    """
    side = images.shape[-1]
    decoder = initialised(lambda: Decoder(side), seed)
    encoder = initialised(
        lambda: nn.Sequential(
            nn.Linear(side * side + 3, 256), nn.ReLU(), nn.Linear(256, 2 * decoder.latent)
        ),
        seed + 1,
    )
    pixels = torch.from_numpy(images).flatten(1).float() / 255
    numbers = torch.from_numpy(thickness)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rows = torch.randint(len(pixels), (batch,), generator=generator)
        shown = pixels[rows]
        number = numbers[rows] + ROUGH * torch.randn(batch, generator=generator)
        mean, spread = encoder(torch.cat([shown, features(number)], 1)).chunk(2, 1)
        noise = torch.randn(mean.shape, generator=generator)
        made = decoder(mean + noise * (spread / 2).exp(), number).flatten(1)
        lost = nn.functional.binary_cross_entropy(made, shown, reduction="sum")
        apart = 0.5 * (mean.square() + spread.exp() - spread - 1).sum()
        optimizer.zero_grad()
        ((lost + apart) / batch).backward()
        optimizer.step()
        schedule.step()
    return decoder
