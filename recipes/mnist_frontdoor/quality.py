"""How good images are, by an encoder that has no part in any causal model: it is trained on
held-out real images."""

from __future__ import annotations

import numpy as np
import torch

import causalplug as cp
from causalplug.encoders.encoders import project
from recipes.mnist_frontdoor.data import DigitImages
from recipes.mnist_frontdoor.scm import HUES, FrontDoorSCM

__all__ = ["frechet", "independent_encoder"]


def independent_encoder(image: cp.Image, data: DigitImages, *, steps: int, seed: int) -> cp.Encoder:
    """An encoder of coloured images, trained on held-out digits to tell the digit and the hue."""
    rng = np.random.default_rng(seed + 3)
    index, hue = (
        rng.integers(len(data.held_out_images), size=4000),
        rng.integers(len(HUES), size=4000),
    )
    images = FrontDoorSCM(data.held_out_images, data.held_out_digits).render(index, hue)
    targets = {
        "digit": (torch.from_numpy(data.held_out_digits[index]), cp.Discrete(2)),
        "hue": (torch.from_numpy(hue), cp.Discrete(len(HUES))),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 3)
        encoder = cp.ConvEncoder(image, 16)
    cp.fit_encoder(encoder, torch.from_numpy(images), targets, steps=steps, seed=seed)
    return encoder


def frechet(encoder: cp.Encoder, first: np.ndarray, second: np.ndarray) -> float:
    """Squared Fréchet distance between projections of two sets of images, taken as normal (Heusel
    et al. 2017).

    Args:
        encoder: Gives the projections.
        first, second: ``(n, channels, height, width)``, uint8 or floats in [0, 1].
    """
    parts = [
        project(encoder, torch.as_tensor(images)).double().numpy() for images in (first, second)
    ]
    (mean, cov), (other, other_cov) = [(part.mean(0), np.cov(part, rowvar=False)) for part in parts]
    # trace of the root of a product of covariances: the roots of its eigenvalues, which are real
    # and not negative
    roots = np.sqrt(np.clip(np.linalg.eigvals(cov @ other_cov).real, 0, None))
    return float(
        ((mean - other) ** 2).sum() + np.trace(cov) + np.trace(other_cov) - 2 * roots.sum()
    )
