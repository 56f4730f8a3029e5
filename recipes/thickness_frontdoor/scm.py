"""The structural causal model behind the rows of this recipe, and its exact answers.

    D -> I -> A   and   D <- U -> A, with U hidden

    U   uniform on {0, 1, 2, 3}                              the hidden confounder
    D   normal about MEAN[U], cut to [LOW, HIGH]             roughly how thick, a number
    Z   one of a finite set of latents                       all else that the image shows
    I   the picture that the generator makes of Z and D
    A   a draw from softmax(logits(I) + SHIFT[U])            in {0, 1, 2}

U and Z take finitely many values, so that P(A | do(D=d)) is a sum for every number d.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["HIGH", "LOW", "ThicknessSCM"]

LOW, HIGH = 1.2, 5.0
MEAN, SPREAD = np.array([2.0, 2.8, 3.4, 4.2]), 0.8
SHIFT = np.array([[1.5, 0.0, -1.5], [0.8, -0.2, -0.6], [-0.6, -0.2, 0.8], [-1.5, 0.0, 1.5]])
SLOPES = np.array([-1.4, 0.7, 0.2])
CURVES = np.array([0.2, -0.5, 0.2])


class ThicknessSCM:
    """The model over one generator.

    Args:
        generator: Called with latents ``(n, k)`` and thickness ``(n,)``.
        size: Numbers of a latent.
        latents: How many there are.
        seed: Seed of the latents.
    """

    def __init__(self, generator: nn.Module, size: int, *, latents: int = 500, seed: int = 0):
        self.generator = generator
        noise = torch.Generator().manual_seed(seed)
        self.latents = torch.randn(latents, size, generator=noise)
        spread = np.random.default_rng(seed).uniform(LOW, HIGH, latents)
        ink = self._ink(self.paint(self.latents, torch.from_numpy(spread).float()))
        self._loc, self._scale = ink.mean(), ink.std()

    def paint(self, latents: Tensor, thickness: Tensor) -> np.ndarray:
        """Images ``(n, 1, side, side)`` uint8."""
        with torch.no_grad():
            made: Tensor = self.generator(latents, thickness)
        return (made * 255).round().to(torch.uint8).numpy()

    @staticmethod
    def _ink(images: np.ndarray) -> np.ndarray:
        found: np.ndarray = images.mean((1, 2, 3), dtype=np.float64) / 255
        return found

    def logits(self, images: np.ndarray) -> np.ndarray:
        """What A reads off images: ``(n, 3)``, a curve of the standardised mean ink."""
        ink = (self._ink(images) - self._loc) / self._scale
        found: np.ndarray = ink[:, None] * SLOPES + ink[:, None] ** 2 * CURVES
        return found

    def sample(self, n: int, *, seed: int) -> dict[str, np.ndarray]:
        """``n`` independent rows of D, I and A."""
        rng = np.random.default_rng(seed)
        u = rng.integers(4, size=n)
        d = _cut_normal(u, rng)
        latents = self.latents[rng.integers(len(self.latents), size=n)]
        images = self.paint(latents, torch.from_numpy(d).float())
        p = _softmax(self.logits(images) + SHIFT[u])
        a = (rng.random(n)[:, None] > p.cumsum(1)[:, :2]).sum(1)
        return {"D": d, "I": images, "A": a}

    def given(self, d: float) -> np.ndarray:
        """P(A | U, D=d), ``(4, 3)``."""
        images = self.paint(self.latents, torch.full((len(self.latents),), d))
        found: np.ndarray = _softmax(self.logits(images) + SHIFT[:, None]).mean(1)
        return found

    def do(self, d: float) -> np.ndarray:
        """P(A | do(D=d)), ``(3,)``."""
        found: np.ndarray = self.given(d).mean(0)
        return found

    def naive(self, d: float) -> np.ndarray:
        """P(A | D=d), ``(3,)``: what the rows show."""
        grid = np.linspace(LOW, HIGH, 2001)
        bells = np.exp(-0.5 * ((grid[:, None] - MEAN) / SPREAD) ** 2)
        mass = bells.sum(0) * (grid[1] - grid[0])
        density = np.exp(-0.5 * ((d - MEAN) / SPREAD) ** 2) / mass
        found: np.ndarray = density / density.sum() @ self.given(d)
        return found


def _cut_normal(u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """D for each U, by rejection."""
    d = MEAN[u] + SPREAD * rng.standard_normal(len(u))
    while (outside := (d < LOW) | (d > HIGH)).any():
        d[outside] = MEAN[u[outside]] + SPREAD * rng.standard_normal(int(outside.sum()))
    return d


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    found: np.ndarray = weights / weights.sum(-1, keepdims=True)
    return found
