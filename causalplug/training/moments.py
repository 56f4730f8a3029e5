"""Means, deviations and extreme quantiles of generated numbers beside those of the rows.

A kernel and a classifier look at the bulk. What a mean, a deviation or a tail is off by may be
small for them and large for an answer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["moments_off", "moments_off_by_value"]

_MEAN, _SPREAD, _TAIL = 0.05, 0.10, 0.005  # deviations, logarithm of their ratio, share of rows
_ERRORS = 2.0  # standard errors of the rows' own moments
_ERRORS_EACH, _VALUES = 3.0, 8  # of what is compared value by value, and how many values
_FAR = 0.01  # of the rows lie beyond an extreme quantile
_HEAVY = 30.0  # kurtosis from which on tails are called heavy; 3 is normal
_FEWEST = 50  # rows


def moments_off(name: str, real: Tensor, fake: Tensor, *, errors: float = _ERRORS) -> list[str]:
    """In which of its moments generated values ``(m,)`` are off from rows ``(n,)``, in words.

    A difference counts where it is more than the rows' sampling explains, and large: a twentieth of
    a deviation in the mean, a tenth in the deviation, half a percent of the rows in a tail.

    Args:
        name: What the values are of.
        real: Rows.
        fake: Generated values.
        errors: How many standard errors of the rows' own moments are nothing.
    """
    real, fake = real.double().flatten(), fake.double().flatten()
    n, deviation = len(real), float(real.std())
    if n < _FEWEST or not deviation > 0:
        return []
    centred = (real - real.mean()) / deviation
    kurtosis = float(centred.pow(4).mean())
    tails = ""
    if kurtosis > _HEAVY:
        tails = " (its tails are heavy)"
    found = []
    shift = float(fake.mean() - real.mean()) / deviation
    if abs(shift) > max(_MEAN, errors / math.sqrt(n)):
        found.append(
            f"the mean of {name} is {float(fake.mean()):.4g} where that of the rows is "
            f"{float(real.mean()):.4g}{tails}"
        )
    error = math.sqrt(max(kurtosis - 1, 0.0) / (4 * n))
    ratio = math.log(max(float(fake.std()), 1e-12) / deviation)
    if abs(ratio) > max(_SPREAD, errors * error):
        found.append(
            f"the standard deviation of {name} is {float(fake.std()):.4g} where that of the rows "
            f"is {deviation:.4g}{tails}"
        )
    return found + _tails_off(name, real, fake)


def _tails_off(name: str, real: Tensor, fake: Tensor) -> list[str]:
    ordered = real.sort().values
    count = max(1, round(_FAR * len(real)))
    low, high = ordered[count - 1], ordered[-count]
    found = []
    for word, cut, beyond in (("below", low, torch.lt), ("above", high, torch.gt)):
        expected = float(beyond(real, cut).double().mean())
        share = float(beyond(fake, cut).double().mean())
        error = math.sqrt(_FAR / len(real))
        if abs(share - expected) > max(_TAIL, 3 * error):
            found.append(
                f"{share:.2%} of {name} lie {word} {float(cut):.4g}, and {expected:.2%} of the rows"
            )
    return found


def moments_off_by_value(
    name: str, real: Tensor, fake: Tensor, given: str, values: Tensor
) -> list[str]:
    """Moments that are off where an experiment set ``given`` to one value, by value, in words.

    What is too high at one value and too low at another is right on average, and wrong for each
    question. Of several comparisons one is larger by chance: three standard errors are nothing.

    Args:
        name: What the values are of.
        real: Rows ``(n,)``.
        fake: Generated values ``(n,)``, drawn at the same values of ``given``.
        given: What was set.
        values: What it was set to ``(n,)``; of more than eight values nothing is compared.
    """
    taken = torch.unique(values)
    if not 1 < len(taken) <= _VALUES:
        return []
    found = []
    for value in taken.tolist():
        here = values == value
        label = f"{name} at {given}={value:g}"
        found += moments_off(label, real[here], fake[here], errors=_ERRORS_EACH)
    return found
