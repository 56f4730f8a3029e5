"""Minimality of images that show what they should: the same rows for every family.

A picture that keeps the old digit has hardly changed, which minimality rewards. So families are
also compared on the rows that all of them turned into the new digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import causalplug as cp
from causalplug.metrics.judges import bound_judges, judged
from causalplug.metrics.rows import encoded
from recipes.morphomnist.worlds import World

__all__ = ["SameRows", "minimality_where_shown"]


@dataclass(frozen=True)
class SameRows:
    """Minimality under do(digit) on the rows whose new digit all families show.

    Attributes:
        rows: Number of those rows.
        minimality: The counterfactual latent divergence, by family.
    """

    rows: int
    minimality: dict[str, float]


def minimality_where_shown(trained: Mapping[str, cp.DCM], world: World, seed: int) -> SameRows:
    """Minimality under do(digit) on the rows whose new digit all families show.

    Args:
        trained: The models by family.
        world: Rows to judge by, and what judges them.
        seed: Seed of which row lends its digit, and of the noise that rows leave open.
    """
    wanted = np.random.default_rng(seed).permutation(world.judged["digit"])
    shown = wanted != world.judged["digit"]
    for dcm in trained.values():
        shown &= _shows(dcm, world, wanted, seed)
    rows = {name: column[shown] for name, column in world.judged.items()}
    found: dict[str, float] = {}
    if not shown.any():
        return SameRows(0, found)
    for family, dcm in trained.items():
        measured = cp.metrics.minimality(
            dcm,
            rows,
            {"digit": wanted[shown]},
            world.encoder,
            reference=world.judged,
            seed=seed,
        )
        found[family] = measured.items[0].value
    return SameRows(int(shown.sum()), found)


def _shows(dcm: cp.DCM, world: World, wanted: np.ndarray, seed: int) -> np.ndarray:
    """Which rows the judge reads the wanted digit off, once it was set."""
    made: Any = dcm.counterfactual(
        world.judged, do={"digit": wanted}, allow_unidentified=True, seed=seed
    )
    after = encoded(dcm, made, "image")
    judge = bound_judges(dcm, {"digit": world.judges["digit"]})["digit"]
    return (judged(judge, after) == after["digit"]).numpy()
