"""Labels and chest X-rays: from a folder, or images made in code that stand in for them.

C says whether the X-ray is from a patient with COVID-19, N whether it shows a pneumonia of any
cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from causalplug.errors import DataError

__all__ = ["FINDINGS", "XRays", "finding", "load_xrays", "rows", "stand_in"]

FINDINGS = ("COVID", "normal", "pneumonia")  # the generator's labels, in its order
COUNTS = np.array([[8085, 5555], [0, 16490]])  # rows with (C, N) in COVIDx V9A, training split
IMAGES, LABELS = "cxr_real_64.npz", "covidx9a_labels.csv.gz"


@dataclass(frozen=True)
class XRays:
    """X-rays with their labels, and how often each pair of labels occurs among the patients.

    Attributes:
        images: ``(m, side, side)`` uint8.
        C, N: ``(m,)`` int64, 0 or 1.
        counts: ``(2, 2)``, patients with (C, N).
        name: Where they come from, in words.
    """

    images: np.ndarray
    C: np.ndarray
    N: np.ndarray
    counts: np.ndarray
    name: str

    @property
    def probabilities(self) -> np.ndarray:
        """P(C, N), ``(2, 2)``."""
        return self.counts / self.counts.sum()


def finding(c: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The generator's label of an X-ray with labels C and N: 0 COVID, 1 normal, 2 pneumonia."""
    return np.where(c == 1, 0, 1 + n)


def load_xrays(folder: str | Path | None) -> XRays:
    """The X-rays of a folder with ``cxr_real_64.npz`` and, for the counts,
    ``covidx9a_labels.csv.gz``.

    Args:
        folder: The npz file holds ``images (m, side, side)`` uint8, ``C`` and ``N``; the table has
            columns ``split``, ``C`` and ``N``, of which the rows of the split ``train`` count.
            Without the table the counts are those of COVIDx V9A.

    Raises:
        DataError: No folder, no such file, other arrays or columns, or a pair of labels that is
            counted without an image. It says what to get and where to put it.
    """
    advice = (
        f"Put {IMAGES} (arrays images (m, 64, 64) uint8, C and N) into a folder and name it by "
        "--data; recipes/cxr/README.md says where such images come from. Or run with --quick, "
        "which needs no data."
    )
    if folder is None:
        raise DataError(f"The recipe has no chest X-rays: --data is not given. {advice}")
    path = Path(folder).expanduser() / IMAGES
    if not path.is_file():
        raise DataError(f"The recipe has no chest X-rays: there is no {path}. {advice}")
    try:
        with np.load(path, allow_pickle=False) as file:
            images, c, n = file["images"], file["C"].astype(np.int64), file["N"].astype(np.int64)
    except (KeyError, ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read as X-rays: {error}. {advice}") from error
    shapes_agree = images.ndim == 3 and images.dtype == np.uint8 and len(images) == len(c) == len(n)
    if not shapes_agree or not set(np.unique([c, n])) <= {0, 1}:
        raise DataError(
            f"{path} holds images {images.shape} of {images.dtype} with {len(c)} and {len(n)} "
            f"labels. {advice}"
        )
    counts = _counts(path.with_name(LABELS))
    for (i, j), count in np.ndenumerate(counts):
        if count and not ((c == i) & (n == j)).any():
            raise DataError(
                f"{path} has no image with C={i}, N={j}, which {count} patients have: add some."
            )
    return XRays(images, c, n, counts, f"{len(images)} X-rays of {path.name}")


def _counts(path: Path) -> np.ndarray:
    import pandas as pd

    if not path.is_file():
        return COUNTS
    table = pd.read_csv(path)
    missing = {"split", "C", "N"} - set(table.columns)
    if missing:
        raise DataError(
            f"{path} has no column {', '.join(sorted(missing))}: give split, C and N, or leave it "
            "out."
        )
    train = table[table["split"] == "train"]
    return np.bincount(train["C"] * 2 + train["N"], minlength=4).reshape(2, 2)


def rows(xrays: XRays, n: int, seed: int) -> dict[str, np.ndarray]:
    """``n`` patients: labels with their frequencies in the table, and for each any X-ray with
    these labels."""
    rng = np.random.default_rng(seed)
    pair = rng.choice(4, n, p=xrays.probabilities.ravel())
    place = rng.random(n)
    members = [np.flatnonzero(p == xrays.C * 2 + xrays.N) for p in range(4)]
    index = np.zeros(n, dtype=np.int64)
    for p, own in enumerate(members):
        index[pair == p] = own[(place[pair == p] * len(own)).astype(int)] if len(own) else 0
    return {"C": pair // 2, "Xray": xrays.images[index][:, None], "N": pair % 2}


def stand_in(n: int = 360, side: int = 32, seed: int = 0) -> XRays:
    """Images made in code with the counts of COVIDx: two dark lungs; a bright patch in one is a
    pneumonia, a grey veil over the lower halves of both is COVID-19. They look like nothing that
    a radiologist sees: they let the code run."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    y, x = np.mgrid[0:side, 0:side] / side
    images = np.empty((n, side, side), np.uint8)
    for i, k in enumerate(kind):
        shift, size = rng.normal(0, 0.02, 2), rng.normal(1, 0.08)
        chest = np.full((side, side), 0.75)
        for centre in (0.3, 0.7):
            lung = ((x - centre - shift[0]) / (0.15 * size)) ** 2 + (
                (y - 0.5 - shift[1]) / (0.32 * size)
            ) ** 2 < 1
            chest[lung] = 0.25
            if k == 0:
                chest[lung & (y > 0.5)] = rng.uniform(0.4, 0.6)
        if k == 2:
            at = rng.choice([0.3, 0.7]), rng.uniform(0.35, 0.65)
            chest += 0.4 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 0.008)
        images[i] = np.clip(255 * (chest + rng.normal(0, 0.05, chest.shape)), 0, 255)
    c, label_n = (kind == 0).astype(np.int64), (kind != 1).astype(np.int64)
    return XRays(images, c, label_n, COUNTS, "stand-ins made in code")
