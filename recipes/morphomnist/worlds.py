"""Rows that images are learned from and judged by: strokes that are drawn, and Morpho-MNIST."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import causalplug as cp
from recipes.morphomnist import data, strokes
from recipes.morphomnist.own_judges import shifted

__all__ = ["World", "drawn", "morpho"]

COPIES = 3  # shifted images beside each of Morpho-MNIST


@dataclass(frozen=True)
class World:
    """Rows to learn from, rows to judge by, and what judges them."""

    variables: dict[str, cp.Variable]
    train: dict[str, Any]
    judged: dict[str, Any]
    judges: dict[str, cp.Mechanism]
    encoder: Any
    brightest: float
    places: np.ndarray | None = None


def drawn(rows: int, held: int, seed: int) -> World:
    """The world of strokes."""
    columns, places = strokes.strokes(rows + held, seed)
    image = cp.Image(1, strokes.SIZE, strokes.SIZE)
    variables = {
        "thickness": cp.Continuous(),
        "intensity": cp.Continuous(),
        "digit": cp.Discrete(strokes.SHAPES),
        "image": image,
    }
    train, judged = _split(columns, rows, held)

    def profile(images: Any) -> Any:
        """Ink of every row and of every column."""
        return (
            images[:, 0]
            .sum(2)
            .new_tensor(np.concatenate([images[:, 0].sum(2), images[:, 0].sum(1)], 1))
        )

    return World(variables, train, judged, strokes.judges(image), profile, 1.0, places[rows:])


def morpho(folder: str, lenet: str, rows: int, held: int, seed: int) -> World:
    """Morpho-MNIST, judged by the benchmark's own three judges."""
    train, judged = _split(data.load(folder), rows, held)
    train = shifted(train, COPIES, seed)
    variables = {
        "thickness": cp.Continuous(),
        "intensity": cp.Continuous(),
        "digit": cp.Discrete(10),
        "image": data.IMAGE,
    }
    judges, features = data.judges(folder), data.lenet_features(lenet)
    return World(variables, train, judged, judges, features, 255.0)


def _split(
    columns: Mapping[str, Any], rows: int, held: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    first = {name: column[:rows] for name, column in columns.items()}
    return first, {name: column[rows : rows + held] for name, column in columns.items()}
