"""Whether the generated images show the finding that they were asked for, by a judge that has seen
real images alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.svm import SVC

import causalplug as cp
from recipes.cxr.data import FINDINGS, XRays, finding

__all__ = ["coarse", "shown"]


def shown(dcm: cp.DCM, real: XRays, n: int, seed: int) -> dict[str, float]:
    """Share of the generator's images of each finding that the judge reads as that finding.

    A generator that ignores its label makes the same images for all three: the judge reads a
    third of them right on average, and none of some finding.

    Args:
        dcm: Holds the generator, behind its label map.
        real: Images that the judge learns from.
        n: Images of each finding.
        seed: Seed of the images.
    """
    judge = SVC(C=10.0, class_weight="balanced").fit(coarse(real.images), finding(real.C, real.N))
    image: Any = dcm.mechanism("Xray")
    draw, found = torch.Generator().manual_seed(seed), {}
    for code, name in enumerate(FINDINGS):
        noise = {key: spec.draw(n, draw) for key, spec in image.generator_noise.items()}
        with torch.no_grad():
            made = image.paint(torch.full((n,), code), noise)
        pixels = 255 * made.numpy()[:, 0]
        found[name] = float((judge.predict(coarse(pixels)) == code).mean())
    return found


def coarse(images: np.ndarray) -> np.ndarray:
    """The means of 16 x 16 cells of an image: what the pixels tell, whatever an encoder makes of
    them."""
    cell = images.shape[-1] // 16
    cells = images.reshape(len(images), 16, cell, 16, cell).mean((2, 4))
    return cells.reshape(len(images), -1) / 255
