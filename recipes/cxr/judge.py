"""Whether the generated images show the finding that they were asked for, by a judge that has seen
real images alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.svm import SVC

import causalplug as cp
from recipes.cxr.data import FINDINGS, XRays, finding

__all__ = ["coarse", "read", "shown"]


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
    image: Any = dcm.mechanism("Xray")
    draw, made = torch.Generator().manual_seed(seed), {}
    for code, name in enumerate(FINDINGS):
        noise = {key: spec.draw(n, draw) for key, spec in image.generator_noise.items()}
        with torch.no_grad():
            made[name] = 255 * image.paint(torch.full((n,), code), noise).numpy()[:, 0]
    return read(real.images, finding(real.C, real.N), made)


def read(
    images: np.ndarray, findings: np.ndarray, made: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Share of the images made of each finding that a judge of the real ones reads as it.

    Args:
        images: ``(m, side, side)``, real, 0 to 255.
        findings: ``(m,)``, the code of what each shows.
        made: ``(n, side, side)`` of every finding, 0 to 255.
    """
    judge = SVC(C=10.0, class_weight="balanced").fit(coarse(images), findings)
    found = {}
    for code, name in enumerate(FINDINGS):
        found[name] = float((judge.predict(coarse(made[name])) == code).mean())
    return found


def coarse(images: np.ndarray) -> np.ndarray:
    """The means of 16 x 16 cells of an image: what the pixels tell, whatever an encoder makes of
    them."""
    cell = images.shape[-1] // 16
    cells = images.reshape(len(images), 16, cell, 16, cell).mean((2, 4))
    return cells.reshape(len(images), -1) / 255
