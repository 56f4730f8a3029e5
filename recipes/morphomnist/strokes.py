"""A world of strokes whose counterfactual images are known: the quick mode's own data."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import causalplug as cp

__all__ = ["SHAPES", "SIZE", "draw", "judges", "strokes"]

SIZE = 12
SHAPES = ["bar", "dash", "cross"]


def draw(digit: np.ndarray, thickness: np.ndarray, intensity: np.ndarray, at: np.ndarray) -> Any:
    """Pictures ``(n, 1, 12, 12)`` in [0, 1]: strokes from end to end through the points ``at``
    ``(n, 2)``."""
    y, x = np.mgrid[:SIZE, :SIZE]
    ink = []
    for axis, grid in ((0, x), (1, y)):
        away = np.abs(grid[None] - at[:, axis, None, None])
        ink.append(np.clip(thickness[:, None, None] / 2 + 0.5 - away, 0, 1))
    upright, lying = np.isin(digit, ["bar", "cross"]), np.isin(digit, ["dash", "cross"])
    both = np.maximum(ink[0] * upright[:, None, None], ink[1] * lying[:, None, None])
    return (intensity[:, None, None] * both)[:, None].astype(np.float32)


def strokes(n: int, seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """Rows of the world, and where their strokes are, which no column says."""
    rng = np.random.default_rng(seed)
    digit = rng.choice(SHAPES, n)
    thickness = 2 + 2 * rng.beta(2, 2, n)
    intensity = 1 / (1 + np.exp(-(rng.normal(0, 0.5, n) + 1.5 * (thickness - 2.7))))
    at = rng.uniform(3.5, 7.5, (n, 2))
    columns = {"digit": digit, "thickness": thickness, "intensity": intensity}
    return {**columns, "image": draw(digit, thickness, intensity, at)}, at


class _Sums(nn.Module):
    """The ink of a row that no dash crosses, and of a column that no bar crosses."""

    def sums(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        top = image.flatten(1).amax(1)
        across, down = image[:, 0].sum(2), image[:, 0].sum(1)
        scale = top.clamp_min(1e-3)
        return across.amin(1) / scale, down.amin(1) / scale, top


class _Shape(_Sums):
    def forward(self, image: Tensor) -> Tensor:
        row, column, _ = self.sums(image)
        scores = [row - 2 * column, column - 2 * row, -(row - column).abs()]
        return torch.stack(scores, 1)


class _Thickness(_Sums):
    def forward(self, image: Tensor) -> Tensor:
        row, column, _ = self.sums(image)
        return torch.maximum(row, column)


class _Intensity(_Sums):
    def forward(self, image: Tensor) -> Tensor:
        return self.sums(image)[2]


def judges(image: cp.Image) -> dict[str, cp.Mechanism]:
    """What the strokes are, measured on the pixels."""
    reads = [cp.Condition("image", image)]
    return {
        "digit": cp.wrap(_Shape(), cp.Discrete(SHAPES), conditions=reads, output="logits"),
        "thickness": cp.wrap(_Thickness(), cp.Continuous(), conditions=reads),
        "intensity": cp.wrap(_Intensity(), cp.Continuous(), conditions=reads),
    }
