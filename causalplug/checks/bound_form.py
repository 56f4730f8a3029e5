"""Bounds as functions of the tables' probabilities, and confidence limits from them.

The dual solutions of a linear program do not depend on its right sides: each is a linear function
of the probabilities that bounds the query, and the bound is the best of them. A limit that holds
for all candidates at once holds for the bound (Chernozhukov, Lee & Rosen 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Form", "limits"]


@dataclass(frozen=True, eq=False)
class Form:
    """A ratio of two affine functions of the tables' probabilities.

    Attributes:
        constant, weights: The numerator.
        base, divisor: The denominator.
    """

    constant: float
    weights: np.ndarray
    base: float = 1.0
    divisor: np.ndarray | None = None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The value for every line of ``values``, one probability per column."""
        top = self.constant + values @ self.weights
        if self.divisor is None:
            return np.asarray(top / self.base)
        return np.asarray(top / (self.base + values @ self.divisor))

    def over(self, below: Form | None) -> Form | None:
        """This numerator over another form's; None if either is a ratio already."""
        if below is None or self.divisor is not None or below.divisor is not None:
            return None
        return Form(self.constant, self.weights, below.constant, below.weights)

    @property
    def key(self) -> tuple[float, ...]:
        """What tells two forms apart, rounded."""
        if self.divisor is None:
            divisor = np.zeros(0)
        else:
            divisor = self.divisor
        numbers = [self.constant, self.base, *self.weights, *divisor]
        return tuple(round(float(number), 7) for number in numbers)


def limits(
    lows: Sequence[Form], highs: Sequence[Form], values: np.ndarray, draws: np.ndarray, level: float
) -> tuple[float, float]:
    """Confidence limits for a query between bounds.

    Args:
        lows, highs: Candidates for the lower and the upper bound.
        values: The tables' probabilities.
        draws: Those of resampled tables, one line each.
        level: The confidence level.
    """
    forms = [*lows, *highs]
    at = np.array([form(values[None])[0] for form in forms])
    drawn = np.array([form(draws) for form in forms])
    spread = np.nanstd(drawn, axis=1)
    scale = np.where(spread > 1e-12, spread, np.inf)
    signs = np.array([1.0] * len(lows) + [-1.0] * len(highs))
    apart = signs[:, None] * (drawn - at[:, None]) / scale[:, None]
    width = max(float(np.quantile(np.nanmax(apart, axis=0), level)), 0.0) * spread
    count = len(lows)
    return float(np.max(at[:count] - width[:count])), float(np.min(at[count:] + width[count:]))
