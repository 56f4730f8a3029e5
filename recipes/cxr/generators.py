"""The frozen generator of X-rays, made by somebody else or trained here, and the encoder that
reads its images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

import causalplug as cp
from causalplug.adapters.cxr_acgan import CXRACGAN
from causalplug.adapters.image_bank import ImageBank
from causalplug.adapters.trained import TrainedGenerator
from causalplug.errors import DataError
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from recipes.cxr.data import FINDINGS, XRays, finding

__all__ = ["bank_of", "from_bank", "from_keras", "train", "train_encoder"]

ACGAN = "giocoal/CXR-ACGAN-chest-xray-generator-covid19-pneumonia"


def from_keras(path: str | Path) -> CXRACGAN:
    """The published AC-GAN, from its Keras weights; colour images of 112 x 112."""
    return CXRACGAN.from_keras(path)


def from_bank(path: str | Path) -> ImageBank:
    """A bank of images that the AC-GAN's authors published as its output.

    Args:
        path: An npz file with ``images (m, side, side)`` uint8 and ``label (m,)``: 0 COVID, 1
            normal, 2 pneumonia.

    Raises:
        DataError: No such file, or other arrays.
        MechanismError: A label without an image.
    """
    try:
        with np.load(Path(path).expanduser(), allow_pickle=False) as file:
            images, label = file["images"], file["label"].astype(np.int64)
    except (KeyError, ValueError, OSError) as error:
        raise DataError(
            f"The bank {str(path)!r} cannot be read: {error}. Give an npz file with images (m, "
            "side, side) uint8 and label (m,), or leave --bank out to have a generator trained."
        ) from error
    if images.ndim != 3 or images.dtype != np.uint8 or not set(np.unique(label)) <= {0, 1, 2}:
        raise DataError(
            f"The bank {str(path)!r} holds images {images.shape} of {images.dtype}, labels "
            f"{set(label)}."
        )
    return ImageBank(
        torch.from_numpy(images[:, None]),
        [cp.Label("finding", FINDINGS)],
        torch.from_numpy(label[:, None]),
        license="mit",
        source=f"output images published with {ACGAN}",
    )


def bank_of(xrays: XRays) -> ImageBank:
    """The real images as the generator: any of the finding that is asked for."""
    label = torch.from_numpy(finding(xrays.C, xrays.N))
    return ImageBank(
        torch.from_numpy(xrays.images[:, None]),
        [cp.Label("finding", FINDINGS)],
        label[:, None],
        license="other",
        source=xrays.name,
    )


def train(xrays: XRays, steps: int, seed: int) -> TrainedGenerator:
    """A small conditional GAN for the three findings, trained on the X-rays alone."""
    labels = torch.from_numpy(finding(xrays.C, xrays.N))
    return cp.fit_generator(
        cp.Image(1, *xrays.images.shape[1:]), torch.from_numpy(xrays.images[:, None]),
        {"finding": (labels, cp.Discrete(FINDINGS))}, steps=steps, seed=seed,
        license="other", source=f"trained by this recipe on {xrays.name}",
    )  # fmt: skip


def train_encoder(xrays: XRays, generator: FrozenMechanism, steps: int, seed: int) -> cp.Encoder:
    """An encoder trained to tell C from real and from generated images alike.

    It has to see both: what is learned about N from projections of real images is read off
    projections of generated ones, and an encoder that knows only the former may put the latter
    anywhere.

    Args:
        xrays: The real images.
        generator: Bound to the variable, its parent C.
        steps: Steps of the training.
        seed: Seed of the weights, the generated images and the batches.
    """
    n = len(xrays.images) // 2 * 2
    c, draw = torch.arange(n) % 2, torch.Generator().manual_seed(seed)
    with torch.no_grad():
        made = generator(
            {"C": c}, {name: spec.draw(n, draw) for name, spec in generator.noise.items()}
        )
    image: Any = generator.variable
    images = torch.cat(
        [
            torch.from_numpy(xrays.images[:, None]),
            (255 * made).round().clamp(0, 255).to(torch.uint8),
        ]
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = cp.ConvEncoder(image, 2)
    target = torch.cat([torch.from_numpy(xrays.C), c])
    cp.fit_encoder(encoder, images, {"C": (target, cp.Discrete(2))}, seed=seed, steps=steps)
    return encoder
