"""Support of combinations of categories: rows counted beside rows to be expected."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from causalplug.selection import without

__all__ = ["CellSupport", "cell_support", "expected_counts"]


@dataclass(frozen=True, eq=False)
class CellSupport:
    """How much of a formula's weight lies on cells that the rows hardly show.

    Attributes:
        share: Share of the weight without support, less what chance would give.
        standard_error: Standard error of the share.
        chance: Share that would have lacked support by chance, had the cells been as likely as
            independence says.
        rows: Effective number of rows that the weighted cells stand on.
        missing: Weight of every cell without support, 0 elsewhere.
    """

    share: float
    standard_error: float
    chance: float
    rows: float
    missing: np.ndarray


def expected_counts(counts: np.ndarray, varied: tuple[int, ...]) -> np.ndarray:
    """The counts of all cells, were the axes ``varied`` independent of the others."""
    others = tuple(without(range(counts.ndim), varied))
    total = max(float(counts.sum()), 1e-300)
    by_varied = counts.sum(others, keepdims=True)
    by_others = counts.sum(varied, keepdims=True)
    found: np.ndarray = by_varied * by_others / total
    return found


def cell_support(
    counts: np.ndarray,
    expected: np.ndarray,
    weights: np.ndarray,
    *,
    threshold: float,
    fewest: int,
) -> CellSupport:
    """The support of cells.

    A cell lacks support if it has fewer than ``threshold`` times the rows to be expected, or fewer
    than ``fewest`` where at least twice as many were.

    Args:
        counts: Rows of every cell.
        expected: Rows to be expected, were the parts of the condition independent.
        weights: What the formula puts on every cell; the same shape.
        threshold: Smallest ratio of counted to expected rows.
        fewest: Number of rows below which a cell says little.
    """
    limits = np.maximum(threshold * expected, np.minimum(fewest, expected / 2))
    weights = weights / max(float(weights.sum()), 1e-300)
    missing = np.where(counts < limits, weights, 0.0)
    chance = float((weights * _below(expected, limits)).sum())
    raw = float(missing.sum())
    share = (raw - chance) / max(1 - chance, 1e-9)
    doubt = _below(np.maximum(counts, 0.5), limits)
    variance = float((weights**2 * doubt * (1 - doubt)).sum()) + _binomial(raw, counts)
    shown = counts > 0
    spread = float((weights[shown] ** 2 / counts[shown]).sum())
    rows = 0.0
    if spread:
        rows = float(weights[shown].sum()) ** 2 / spread
    error = math.sqrt(variance) / max(1 - chance, 1e-9)
    return CellSupport(min(max(share, 0.0), 1.0), error, chance, rows, missing)


def _below(means: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """P(N < limit) for Poisson counts N."""
    from scipy.special import pdtr

    most = np.ceil(limits) - 1
    found: np.ndarray = np.where(most < 0, 0.0, pdtr(np.maximum(most, 0), means))
    return found


def _binomial(share: float, counts: np.ndarray) -> float:
    """Variance of a share of all rows."""
    return share * (1 - share) / max(float(counts.sum()), 1.0)
