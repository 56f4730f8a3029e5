"""Images of some handwritten digits, from scikit-learn, from a folder of MNIST files or from the
Hub."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from causalplug.errors import DataError, MissingDependencyError

__all__ = ["DigitImages", "load_digit_images", "read_idx"]

SIDE = 28
TRAIN, HELD_OUT = "train", "t10k"


@dataclass(frozen=True)
class DigitImages:
    """Grey images of some digits, white on black, in two parts that share no image.

    Attributes:
        images: ``(m, 28, 28)`` uint8; the image set of the SCM, and what a generator may be trained
            on.
        digits: ``(m,)`` int64, the digit that each shows.
        held_out_images: ``(k, 28, 28)`` uint8, for the independent judge alone.
        held_out_digits: ``(k,)`` int64.
        name: Where they come from, in words.
    """

    images: np.ndarray
    digits: np.ndarray
    held_out_images: np.ndarray
    held_out_digits: np.ndarray
    name: str


def load_digit_images(
    source: str | Path | None = None, classes: Sequence[int] = (0, 1)
) -> DigitImages:
    """The images of ``source`` that show one of ``classes``, in its own order: the same call gives
    the same arrays.

    Args:
        source: A folder with the four MNIST files in IDX format (packed with gzip or not), the id
            of a dataset on the Hub with columns ``image`` and ``label`` and splits ``train`` and
            ``test``, or None for the digits that scikit-learn brings (8 x 8, enlarged; every third
            image is held out).
        classes: Digits, each of which must occur in both parts.

    Raises:
        DataError: The folder lacks a file, a file is not what it should be, or the dataset cannot
            be read.
        MissingDependencyError: A Hub dataset without the library ``datasets``.
    """
    if source is None:
        return _from_scikit_learn(classes)
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _from_folder(folder, classes)
    text = str(source)
    if folder.exists() or text.startswith((".", "/", "~")) or text.count("/") > 1:
        raise DataError(
            f"Digit images cannot be read from {text!r}: it is not a folder. Name the folder that "
            f"holds the MNIST files ({TRAIN}-images-idx3-ubyte.gz and three more), a dataset id "
            "such as 'ylecun/mnist', or leave it out for scikit-learn's digits."
        )
    return _from_hub(text, classes)


def _from_scikit_learn(classes: Sequence[int]) -> DigitImages:
    """About 180 images a digit of scikit-learn's, enlarged to 24 x 24 inside a black border of 2
    pixels."""
    from PIL import Image
    from sklearn.datasets import load_digits

    bundled = load_digits()
    chosen = np.isin(bundled.target, classes)
    inner = SIDE - 4
    images = np.zeros((int(chosen.sum()), SIDE, SIDE), dtype=np.uint8)
    for target, small in zip(images, bundled.images[chosen], strict=True):
        large = Image.fromarray(small.astype(np.float32) / 16).resize(
            (inner, inner), Image.Resampling.BICUBIC
        )
        ink = np.clip(
            (np.asarray(large) - 0.2) / 0.6, 0, 1
        )  # enlarging blurs: a steeper edge gives pen strokes back
        target[2:-2, 2:-2] = np.round(255 * ink)
    digits = bundled.target[chosen].astype(np.int64)
    held_out = np.arange(len(digits)) % 3 == 2
    return DigitImages(
        images[~held_out],
        digits[~held_out],
        images[held_out],
        digits[held_out],
        "scikit-learn digits",
    )


def _from_folder(folder: Path, classes: Sequence[int]) -> DigitImages:
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for part in (TRAIN, HELD_OUT):
        images = read_idx(_find(folder, f"{part}-images", "idx3-ubyte"), 3)
        digits = read_idx(_find(folder, f"{part}-labels", "idx1-ubyte"), 1)
        if images.shape[1:] != (SIDE, SIDE) or len(images) != len(digits):
            raise DataError(
                f"{part!r} in {str(folder)!r} holds images of shape {images.shape} and "
                f"{len(digits)} labels: MNIST has (n, {SIDE}, {SIDE}) and one label for each. "
                "Fetch the files again."
            )
        parts.append(_of_classes(images, digits, classes, f"{part!r} in {str(folder)!r}"))
    return DigitImages(*parts[0], *parts[1], f"MNIST from {folder.name}")


def _find(folder: Path, stem: str, kind: str) -> Path:
    """The file under its published name, or with a dot as some copies have it, packed or not."""
    names = [f"{stem}{joint}{kind}{suffix}" for joint in "-." for suffix in (".gz", "")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    present = sorted(path.name for path in folder.iterdir())[:8]
    raise DataError(
        f"Digit images cannot be read from {str(folder)!r}: {names[0]} (or {names[1]}) is not "
        f"there; the folder holds {', '.join(present) or 'nothing'}. Name a folder with the four "
        "MNIST files, or leave it out for scikit-learn's digits."
    )


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """One file in the IDX format (LeCun et al. 1998): magic number, big-endian sizes, unsigned
    bytes."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DataError(
            f"{str(path)!r} cannot be unpacked: {error}. Fetch the file again."
        ) from None
    start = 4 + 4 * dimensions
    if len(content) < start or content[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(
            f"{str(path)!r} is not an IDX file of unsigned bytes with {dimensions} dimensions: it "
            f"starts with {content[:4].hex() or 'nothing'} instead of "
            f"{bytes((0, 0, 8, dimensions)).hex()}. Fetch the file again."
        )
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != np.prod(shape):
        raise DataError(
            f"{str(path)!r} announces {shape} and holds {len(content) - start} bytes of data: it "
            "is not whole. Fetch the file again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _from_hub(repository: str, classes: Sequence[int]) -> DigitImages:
    """Splits ``train`` and ``test`` of a dataset with columns ``image`` and ``label``."""
    try:
        import datasets
    except ImportError:
        raise MissingDependencyError(
            f"The dataset {repository!r} cannot be loaded: datasets is not installed. Run `pip "
            "install datasets`, or name a folder with the MNIST files."
        ) from None

    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for split in ("train", "test"):
        try:
            rows: Any = datasets.load_dataset(repository, split=split)
        except (OSError, ValueError) as error:
            raise DataError(
                f"The dataset {repository!r} cannot be loaded, split {split!r}: {error} Check its "
                "name and the network, or name a folder with the MNIST files."
            ) from error
        missing = {"image", "label"} - set(rows.column_names)
        if missing:
            raise DataError(
                f"The dataset {repository!r} has no column {', '.join(sorted(missing))}; it has "
                f"{', '.join(rows.column_names)}. Choose one in MNIST's layout."
            )
        rows = rows.select(np.flatnonzero(np.isin(rows["label"][:], classes)))
        images = [np.asarray(image.convert("L").resize((SIDE, SIDE))) for image in rows["image"]]
        digits = np.asarray(rows["label"][:], dtype=np.int64)
        stacked = np.stack(images) if images else np.zeros((0, SIDE, SIDE), dtype=np.uint8)
        parts.append(_of_classes(stacked, digits, classes, f"split {split!r} of {repository!r}"))
    return DigitImages(*parts[0], *parts[1], repository)


def _of_classes(
    images: np.ndarray, digits: np.ndarray, classes: Sequence[int], where: str
) -> tuple[np.ndarray, np.ndarray]:
    """The images of some digits with their digits; each must occur."""
    chosen = np.isin(digits, classes)
    absent = [digit for digit in classes if not (digits == digit).any()]
    if absent:
        shown = ", ".join(map(str, classes))
        raise DataError(
            f"{where} has no image of the digit {absent[0]}: the question needs the digits {shown}."
        )
    return np.ascontiguousarray(images[chosen]), digits[chosen].astype(np.int64)
