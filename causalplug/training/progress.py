"""When held-out likelihood stands still: paired differences, row by row, with their standard
errors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["CYCLES", "MATTERS", "cycle_progress", "gained", "paired"]

CYCLES = (100, 200, 400, 800)
"""Updates of the cycles of a training by likelihood whose ``steps`` are not given: the learning
rate falls along a cosine in each and starts anew (Loshchilov & Hutter 2017), and each is twice as
long as the one before."""

_SIGNIFICANT = 2.0  # standard errors that tell two states apart
MATTERS = 0.002
"""Nats a row from which on two states differ: a Kullback-Leibler divergence that small is a TVD of
at most .03 (Pinsker)."""


def paired(one: Tensor, other: Tensor, counts: Tensor | None = None) -> tuple[float, float]:
    """Mean by which the first exceeds the second on the same rows, and its standard error.

    Args:
        one, other: ``(r,)``.
        counts: ``(r,)``, how many rows each value stands for; one by default.
    """
    differences = (one - other).double()
    if counts is None:
        weights = torch.ones_like(differences)
    else:
        weights = counts.double()
    rows = float(weights.sum())
    mean = float((differences * weights).sum()) / rows
    variance = float(((differences - mean).square() * weights).sum()) / rows
    return mean, math.sqrt(variance / rows)


def gained(mean: float, error: float) -> bool:
    """Whether a gain in log likelihood is more than chance explains, and large enough to matter."""
    return mean > _SIGNIFICANT * error and mean > MATTERS


def cycle_progress(step: int, cycles: Sequence[int]) -> float:
    """Share of its cycle that step 1, 2, … has made."""
    for length in cycles:
        if step <= length:
            return step / length
        step -= length
    return 1.0
