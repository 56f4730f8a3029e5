"""Images with two labels that something hidden ties together: faces from a folder, or digits that
stand in for them.

Eyeglasses is what a classifier is to tell (the target of the method's authors), Sex what it must
not go by. In the stand-ins an image shows Eyeglasses' digit with probability 0.8, otherwise the
other one, and a bright bar across it where Sex is 1: the bar says more about Eyeglasses than the
digit does, as long as the two labels are tied.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from causalplug.errors import DataError
from recipes.mnist_frontdoor.data import load_digit_images

__all__ = ["DIGITS", "OTHER", "TARGET", "Faces", "load_faces", "stand_in"]

TARGET, OTHER = "Eyeglasses", "Sex"

DIGITS = (4, 9)
AGREE = 0.95  # probability that a label follows the hidden cause
# probability that the image shows the target's digit: what can be told at best of untied labels
FIDELITY = 0.8
SIDE = 48  # of real faces
CELEBA = {  # attributes and folder of images, as CelebA and CelebA-HQ are published
    "list_attr_celeba.txt": "img_align_celeba",
    "CelebAMask-HQ-attribute-anno.txt": "CelebA-HQ-img",
}
ADVICE = (
    "recipes/invariant_faces/README.md says what to get; without --faces the recipe runs on digits."
)


@dataclass(frozen=True)
class Faces:
    """Rows as they are found, and a test set in which the two labels have nothing to do with each
    other.

    Attributes:
        rows: ``{"Sex": (n,), "Eyeglasses": (n,), "Image": (n, channels, height, width)}``, integers
            and uint8.
        test: The same, other images, equally many for each pair of labels.
        images: ``(m, channels, height, width)`` uint8, what a generator may be trained on.
        labels: ``(m,)`` each, 0 or 1, what these images show.
        name: Where they come from, in words.
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
        source: As for :func:`recipes.mnist_frontdoor.data.load_digit_images`.
        n: Rows; the test set has 2,000 or half as many, whichever is less.
        seed: Seed of everything random.
    """
    digits = load_digit_images(source, DIGITS)
    rng = np.random.default_rng(seed)
    coin = rng.integers(2, size=n)
    sex, glasses = (np.where(rng.random(n) < AGREE, coin, 1 - coin) for _ in range(2))
    pair = np.arange(min(2000, n // 2)) % 4
    rows = _drawn(digits.images, digits.digits, glasses, sex, rng)
    test = _drawn(digits.held_out_images, digits.held_out_digits, pair // 2, pair % 2, rng)
    digit, bar = rng.integers(2, size=8000), rng.integers(2, size=8000)
    images = _pictures(digits.images, digits.digits, digit, bar, rng)
    return Faces(rows, test, images, {"digit": digit, "bar": bar}, digits.name)


def _drawn(
    images: np.ndarray,
    digits: np.ndarray,
    target: np.ndarray,
    other: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    shown = np.where(rng.random(len(target)) < FIDELITY, target, 1 - target)
    image = _pictures(images, digits, shown, other, rng)
    return {OTHER: other, TARGET: target, "Image": image}


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


def load_faces(
    folder: str | Path, seed: int, *, held_out: float = 0.2, most: int | None = None
) -> Faces:
    """Faces from a folder: CelebA or CelebA-HQ as they are published, or one with ``metadata.csv``.

    The middle square of each image is reduced to 48 x 48. The test set takes as many images of each
    pair of labels as the rarest pair allows, of a share ``held_out`` of the images; the rows are
    all others.

    Args:
        folder: Holds ``list_attr_celeba.txt`` and ``img_align_celeba`` (CelebA), or
            ``CelebAMask-HQ-attribute-anno.txt`` and ``CelebA-HQ-img`` (CelebA-HQ), or
            ``metadata.csv`` with the columns ``file_name``, ``Sex`` and ``Eyeglasses`` (0 or 1).
        seed: Seed of the images that are held out, and of those that are taken.
        held_out: Share of the images for the test set.
        most: Images that are read, any of them; None for all.

    Raises:
        DataError: No folder or table, columns or values that are not as above, or an image that
            cannot be read.
    """
    root = Path(folder).expanduser()
    frame = _labels(root)
    rng = np.random.default_rng(seed)
    if most is not None and most < len(frame):
        frame = frame.iloc[rng.choice(len(frame), most, replace=False)]
    images = np.empty((len(frame), 3, SIDE, SIDE), np.uint8)
    for i, name in enumerate(frame["file_name"]):
        images[i] = _square(root / name)
    values = {name: frame[name].to_numpy() for name in (OTHER, TARGET)} | {"Image": images}
    pair = values[OTHER] * 2 + values[TARGET]
    order = np.random.default_rng(seed).permutation(len(frame))
    counts = np.bincount(pair, minlength=4)
    each = min(int(held_out * len(frame)) // 4, int(held_out * counts.min()))
    if each < 1:
        raise DataError(
            f"{root} has {counts.min()} images of one pair of labels: too few to hold any out. "
            f"{ADVICE}"
        )
    test = np.concatenate([order[pair[order] == p][:each] for p in range(4)])
    rest = np.setdiff1d(order, test)
    rows, shifted = (
        {name: column[index] for name, column in values.items()} for index in (rest, test)
    )
    labels = {name: rows[name] for name in (OTHER, TARGET)}
    return Faces(rows, shifted, rows["Image"], labels, f"{len(frame)} faces of {root.name}")


def _labels(root: Path) -> pd.DataFrame:
    """``file_name``, ``Sex`` and ``Eyeglasses`` of every image."""
    for table, images in CELEBA.items():
        if (root / table).is_file():
            return _celeba(root / table, images)
    table = root / "metadata.csv"
    if not table.is_file():
        raise DataError(
            f"There are no faces in {str(root)!r}: it has no metadata.csv and none of "
            f"{', '.join(CELEBA)}. {ADVICE}"
        )
    frame = pd.read_csv(table)
    wanted = ["file_name", OTHER, TARGET]
    if not set(wanted) <= set(frame.columns) or not frame[wanted[1:]].isin([0, 1]).all(axis=None):
        raise DataError(
            f"{table} must have the columns {', '.join(wanted)}, the last two 0 or 1. {ADVICE}"
        )
    return frame


def _celeba(table: Path, images: str) -> pd.DataFrame:
    """The attributes of CelebA: a line with the number of images, one with the names of the
    attributes, then a file and -1 or 1 for each."""
    with table.open() as lines:
        lines.readline()
        names = lines.readline().split()
        rows = [line.split() for line in lines if line.strip()]
    missing = {"Male", TARGET} - set(names)
    if missing or any(len(row) != len(names) + 1 for row in rows):
        raise DataError(
            f"{table} cannot be read as the attributes of CelebA: it lacks "
            f"{', '.join(sorted(missing)) or 'values in some line'}. {ADVICE}"
        )
    found = pd.DataFrame({"file_name": [f"{images}/{row[0]}" for row in rows]})
    for name, attribute in ((OTHER, "Male"), (TARGET, TARGET)):
        place = names.index(attribute) + 1
        found[name] = [int(row[place] == "1") for row in rows]
    return found


def _square(path: Path) -> np.ndarray:
    """The middle square of an image, ``(3, 48, 48)`` uint8."""
    try:
        with Image.open(path) as opened:
            side = min(opened.size)
            left, top = (opened.width - side) // 2, (opened.height - side) // 2
            box = (left, top, left + side, top + side)
            square = opened.convert("RGB").resize((SIDE, SIDE), box=box)
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"{path} cannot be read as an image: {error}. {ADVICE}") from error
    return np.asarray(square).transpose(2, 0, 1)
