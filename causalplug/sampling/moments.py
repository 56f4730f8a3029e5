"""Monte-Carlo estimates of conditional probabilities, expectations and contrasts of them, with
their standard errors.

A term is a ratio of means over the same candidate rows: a row's weight ``b`` says whether (and how
much) it meets the evidence, ``a`` is ``b`` times the indicator or the number asked for. Contrasts
of terms are linear in those ratios, so their standard error follows from the sums of products of
all ``a`` and ``b`` (the delta method), common random numbers included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalplug.identification.arithmetic import Formula

__all__ = ["Contribution", "Moments"]

_Array = np.ndarray[Any, Any]


@dataclass(eq=False)
class Contribution:
    """What one batch says about one term.

    Attributes:
        index: Positions in the batch of the rows that meet the evidence.
        evidence: Their code over the evidence axes.
        outcome: Their code over the outcome axes, or -1 where the outcome's fixed values do not
            hold.
        weight: Their weights, or None for ones.
        number: The numbers whose expectation is asked for, or None for indicators.
        cluster: Which rows belong together, or None where all are independent.
    """

    index: _Array
    evidence: _Array
    outcome: _Array
    weight: _Array | None = None
    number: _Array | None = None
    cluster: _Array | None = None


class Moments:
    """Sums over candidate rows for K terms, on E values of the evidence axes and O values of the
    outcome axes.

    Args:
        coefficients: Coefficients of the K terms.
        evidence: E.
        outcomes: O.
        combination: Ratios and products of the terms that are asked for; None for their sum, times
            the coefficients.
    """

    def __init__(
        self,
        coefficients: Sequence[float],
        evidence: int,
        outcomes: int,
        combination: Formula | None = None,
    ):
        self.coefficients = np.asarray(coefficients, float)
        self.combination = combination
        k, self.shape = len(coefficients), (evidence, outcomes)
        self.a = np.zeros((k, *self.shape))
        self.b = np.zeros((k, evidence))
        self.aa = np.zeros((k, k, *self.shape))
        self.ab = np.zeros((k, k, *self.shape))
        self.bb = np.zeros((k, k, evidence))
        self.plain = True
        self.origin = np.full(k, np.nan)  # taken off the numbers, lest their squares lose digits

    def add(self, parts: Sequence[Contribution]) -> None:
        """Add a batch, one contribution for each term, all about the same candidate rows."""
        evidence = self.shape[0]
        size = 1 + max((int(part.index[-1]) for part in parts if len(part.index)), default=-1)
        self.plain &= all(part.weight is None and part.number is None for part in parts)
        if len(parts) == 1 and self.plain:  # the usual case: everything is a count
            (part,) = parts
            counts = np.bincount(part.evidence, minlength=evidence).astype(float)
            hit = part.outcome >= 0
            cells = self._cells(part.evidence[hit], part.outcome[hit])
            self.a[0] += cells
            self.aa[0, 0] += cells
            self.ab[0, 0] += cells
            self.b[0] += counts
            self.bb[0, 0] += counts
            return
        for k, part in enumerate(parts):
            if part.number is not None and len(part.number) and np.isnan(self.origin[k]):
                self.origin[k] = np.mean(part.number)
        spread = [_Spread(p, size, o) for p, o in zip(parts, self.origin, strict=True)]
        for k, left in enumerate(spread):
            hit = left.outcome >= 0
            self.a[k] += self._cells(left.evidence[hit], left.outcome[hit], left.a[hit])
            self.b[k] += np.bincount(left.evidence, left.b, minlength=evidence)
            for m, right in enumerate(spread):
                same = left.evidence == right.evidence
                self.bb[k, m] += np.bincount(
                    left.evidence[same], (left.b * right.b)[same], minlength=evidence
                )
                here = same & hit
                self.ab[k, m] += self._cells(
                    left.evidence[here], left.outcome[here], (left.a * right.b)[here]
                )
                here &= left.outcome == right.outcome
                self.aa[k, m] += self._cells(
                    left.evidence[here], left.outcome[here], (left.a * right.a)[here]
                )

    def _cells(self, evidence: _Array, outcome: _Array, weights: _Array | None = None) -> _Array:
        cells = self.shape[0] * self.shape[1]
        return np.bincount(evidence * self.shape[1] + outcome, weights, minlength=cells).reshape(
            self.shape
        )

    @property
    def ratios(self) -> _Array:
        """``(K, E, O)`` the terms; NaN where no row met the evidence."""
        return self._centred + np.nan_to_num(self.origin)[:, None, None]

    @property
    def _centred(self) -> _Array:
        """The terms, less the origin of their numbers."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.a / self.b[..., None]

    @property
    def estimate(self) -> _Array:
        """``(E, O)`` what is asked for; NaN where it divides by 0."""
        if self.combination is None:
            return np.tensordot(self.coefficients, self.ratios, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.asarray(self.combination.value(list(self.ratios)), float)
        return np.where(np.isfinite(found), found, np.nan)

    @property
    def slopes(self) -> _Array:
        """``(K, E, O)`` what an error of each term does to the answer, to first order."""
        if self.combination is None:
            return np.broadcast_to(self.coefficients[:, None, None], self.ratios.shape)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.combination.slopes(list(self.ratios)), float)

    @property
    def effective(self) -> _Array:
        """``(E,)`` effective number of rows that met the evidence, of the term with the fewest."""
        diagonal = np.einsum("kke->ke", self.bb)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.nan_to_num(self.b**2 / diagonal).min(0)

    @property
    def standard_error(self) -> _Array:
        """``(E, O)`` standard error of the contrast.

        A term's own variance in it, and the whole, are at least what a Jeffreys prior leaves where
        nothing was counted, so that a count of zero is not taken for certainty.
        """
        r, c = self._centred, self.slopes
        total = np.zeros(self.shape)
        with np.errstate(invalid="ignore", divide="ignore"):
            for k in range(len(c)):
                for m in range(len(c)):
                    products = (
                        self.aa[k, m]
                        - r[m] * self.ab[k, m]
                        - r[k] * self.ab[m, k]
                        + r[k] * r[m] * self.bb[k, m][:, None]
                    )
                    part = products / (self.b[k] * self.b[m])[:, None]
                    if k == m and self.plain:
                        n = self.b[k][:, None]
                        smooth = (self.a[k] + 0.5) / (n + 1)
                        part = np.maximum(part, smooth * (1 - smooth) / (n + 2))
                    total += c[k] * c[m] * part
        steepest = np.abs(c).max(0)
        floor = 0.0
        if self.plain:
            floor = steepest / np.maximum(self.effective, 1)[:, None]
        return np.maximum(np.sqrt(np.maximum(total, 0)), np.where(self.known, 0.7 * floor, np.nan))

    @property
    def known(self) -> _Array:
        """``(E, 1)`` where every term has rows that met the evidence."""
        return np.all(self.b > 0, axis=0, keepdims=True).T


class _Spread:
    """A contribution laid out over all rows of its batch; rows that do not meet the evidence
    weigh nothing."""

    def __init__(self, part: Contribution, size: int, origin: float):
        self.evidence = np.zeros(size, np.int64)
        self.outcome = np.full(size, -1, np.int64)
        self.a, self.b = np.zeros(size), np.zeros(size)
        self.evidence[part.index] = part.evidence
        self.outcome[part.index] = part.outcome
        if part.weight is None:
            weight = np.ones(len(part.index))
        else:
            weight = part.weight
        self.b[part.index] = weight
        if part.number is None:
            number: np.ndarray = part.outcome >= 0
        else:
            number = part.number - origin
        self.a[part.index] = weight * number
