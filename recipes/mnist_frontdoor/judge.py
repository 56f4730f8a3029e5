"""An independent judge of which digit an image shows: a support vector machine trained on
held-out real images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from causalplug.errors import DataError

__all__ = ["train_judge"]

SIDE = 28


def train_judge(images: np.ndarray, digits: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function that says of each image which of the digits it shows.

    It looks at shape alone: colours are reduced to the strongest channel, a border is cut off, and
    the brightness is evened out. It has no part in the causal model and should be given images that
    neither the model nor its generator has seen.

    Args:
        images: ``(m, 28, 28)`` uint8, grey, white on black.
        digits: ``(m,)`` integers.

    Returns:
        A function from images ``(n, channels, height, width)``, uint8 or floats in [0, 1], to
        digits ``(n,)``.

    Raises:
        DataError: Images that are smaller than 28 x 28 or not four-dimensional; the returned
            function raises it too.
    """
    from sklearn.svm import SVC

    machine = SVC(C=10.0, gamma="scale").fit(_shape(images[:, None]), digits)

    def judge(images: np.ndarray) -> np.ndarray:
        return machine.predict(_shape(images))

    return judge


def _shape(images: np.ndarray) -> np.ndarray:
    """``(n, 196)``: the mean ink of each 2 x 2 pixels in the central 28 x 28, the strongest cell
    at 1."""
    if images.ndim != 4 or min(images.shape[2:]) < SIDE:
        raise DataError(
            f"The judge cannot read images of shape {images.shape}: it needs (n, channels, height, "
            f"width) with at least {SIDE} x {SIDE} pixels."
        )
    top, left = (images.shape[2] - SIDE) // 2, (images.shape[3] - SIDE) // 2
    grey = images.max(1)[:, top : top + SIDE, left : left + SIDE]
    cells = (
        grey.reshape(-1, SIDE // 2, 2, SIDE // 2, 2)
        .mean((2, 4), dtype=np.float64)
        .reshape(len(grey), -1)
    )
    return cells / np.maximum(cells.max(1, keepdims=True), 1e-6)
