"""Images with two labels that something hidden ties together: faces from a folder, or digits that
stand in for them.

In the stand-ins an image shows Sex's digit with probability 0.8, otherwise the other one, and a
bright bar across it where Eyeglasses is 1: the bar says more about Sex than the digit does, as long
as the two labels are tied.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from causalplug.errors import DataError
from recipes.mnist_frontdoor.data import load_digit_images

__all__ = ["DIGITS", "Faces", "load_faces", "stand_in"]

DIGITS = (4, 9)
AGREE = 0.95  # probability that a label follows the hidden cause
# probability that the image shows Sex's digit: what can be told at best where the labels are untied
FIDELITY = 0.8
SIDE = 48  # of real faces


@dataclass(frozen=True)
class Faces:
    """Rows as they are found, and a test set in which the two labels have nothing to do with each
    other.

    Attributes:
        rows: ``{"Sex": (n,), "Eyeglasses": (n,), "Image": (n, channels, height, width)}``, integers
            and uint8.
        test: the same, other images, equally many for each pair of labels.
        images: ``(m, channels, height, width)`` uint8, what a generator may be trained on.
        labels: ``(m,)`` each, 0 or 1, what these images show.
        name: where they come from, in words.
    """

    rows: dict[str, np.ndarray]
    test: dict[str, np.ndarray]
    images: np.ndarray
    labels: dict[str, np.ndarray]
    name: str

    @property
    def agreement(self) -> float:
        """Share of the rows in which the two labels are equal."""
        return float((self.rows["Sex"] == self.rows["Eyeglasses"]).mean())


def stand_in(source: str | Path | None, n: int, seed: int) -> Faces:
    """Digits 4 and 9, with or without a bar, from MNIST's files or scikit-learn.

    A hidden coin decides Sex and Eyeglasses; each follows it with probability 0.95. The test set
    shows other digits than the rows, with all four pairs of labels equally often.

    Args:
        source: as for :func:`recipes.mnist_frontdoor.data.load_digit_images`.
        n: rows; the test set has 2,000 or half as many, whichever is less.
        seed: of everything random.
    """
    digits = load_digit_images(source, DIGITS)
    rng = np.random.default_rng(seed)
    coin = rng.integers(2, size=n)
    sex, glasses = (np.where(rng.random(n) < AGREE, coin, 1 - coin) for _ in range(2))
    pair = np.arange(min(2000, n // 2)) % 4
    rows = _drawn(digits.images, digits.digits, sex, glasses, rng)
    test = _drawn(digits.held_out_images, digits.held_out_digits, pair // 2, pair % 2, rng)
    digit, bar = rng.integers(2, size=8000), rng.integers(2, size=8000)
    images = _pictures(digits.images, digits.digits, digit, bar, rng)
    return Faces(rows, test, images, {"digit": digit, "bar": bar}, digits.name)


def _drawn(
    images: np.ndarray,
    digits: np.ndarray,
    sex: np.ndarray,
    glasses: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    shown = np.where(rng.random(len(sex)) < FIDELITY, sex, 1 - sex)
    return {
        "Sex": sex,
        "Eyeglasses": glasses,
        "Image": _pictures(images, digits, shown, glasses, rng),
    }


def _pictures(
    images: np.ndarray,
    digits: np.ndarray,
    shown: np.ndarray,
    bar: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Any image of each digit, where asked for with a bar of three pixels at a varying height."""
    members = [np.flatnonzero(digits == digit) for digit in DIGITS]
    place = rng.random(len(shown))
    index = np.choose(shown, [own[(place * len(own)).astype(int)] for own in members])
    lines, top = np.arange(images.shape[1]), rng.integers(6, 13, size=len(shown))[:, None]
    barred = (lines >= top) & (lines < top + 3) & (bar[:, None] == 1)
    across = (np.arange(images.shape[2]) >= 4) & (np.arange(images.shape[2]) < 24)
    return np.where(barred[:, :, None] & across, 200, images[index]).astype(np.uint8)[:, None]


def load_faces(folder: str | Path, seed: int, *, held_out: float = 0.2) -> Faces:
    """Faces from a folder with ``metadata.csv``: columns ``file_name``, ``Sex`` and ``Eyeglasses``
    (0 or 1).

    The middle square of each image is reduced to 48 x 48. The test set takes as many images of each
    pair of labels as the rarest pair allows, of a share ``held_out`` of the images; the rows are
    all others.

    Raises:
        DataError: no folder or table, columns or values that are not as above, or an image that
            cannot be read.
    """
    import pandas as pd
    from PIL import Image, UnidentifiedImageError

    root = Path(folder).expanduser()
    table = root / "metadata.csv"
    advice = (
        "recipes/invariant_faces/README.md says what to get; without --faces the recipe runs on "
        "digits."
    )
    if not table.is_file():
        raise DataError(f"There are no faces in {str(root)!r}: it has no metadata.csv. {advice}")
    frame = pd.read_csv(table)
    wanted = ["file_name", "Sex", "Eyeglasses"]
    if not set(wanted) <= set(frame.columns) or not frame[wanted[1:]].isin([0, 1]).all(axis=None):
        raise DataError(
            f"{table} must have the columns {', '.join(wanted)}, the last two 0 or 1. {advice}"
        )
    images = np.empty((len(frame), 3, SIDE, SIDE), np.uint8)
    for i, name in enumerate(frame["file_name"]):
        try:
            with Image.open(root / name) as opened:
                side = min(opened.size)
                left, top = (opened.width - side) // 2, (opened.height - side) // 2
                square = opened.convert("RGB").resize(
                    (SIDE, SIDE), box=(left, top, left + side, top + side)
                )
        except (OSError, UnidentifiedImageError) as error:
            raise DataError(
                f"{root / name} cannot be read as an image: {error}. {advice}"
            ) from error
        images[i] = np.asarray(square).transpose(2, 0, 1)
    values = {
        "Sex": frame["Sex"].to_numpy(),
        "Eyeglasses": frame["Eyeglasses"].to_numpy(),
        "Image": images,
    }
    pair = values["Sex"] * 2 + values["Eyeglasses"]
    order = np.random.default_rng(seed).permutation(len(frame))
    counts = np.bincount(pair, minlength=4)
    each = min(int(held_out * len(frame)) // 4, int(held_out * counts.min()))
    if each < 1:
        raise DataError(
            f"{table} has {counts.min()} images of one pair of labels: too few to hold any out. "
            f"{advice}"
        )
    test = np.concatenate([order[pair[order] == p][:each] for p in range(4)])
    rest = np.setdiff1d(order, test)
    rows, shifted = (
        {name: column[index] for name, column in values.items()} for index in (rest, test)
    )
    labels = {name: rows[name] for name in wanted[1:]}
    return Faces(rows, shifted, rows["Image"], labels, f"{len(frame)} faces of {root.name}")
