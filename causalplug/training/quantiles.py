"""A continuous variable without parents, fitted as a whole from its quantiles."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from causalplug.mechanisms.trainable.continuous import ContinuousSpline, spline_log_prob
from causalplug.mechanisms.trainable.spline import RationalQuadraticSpline

__all__ = ["fit_marginal"]

_ROWS_PER_NUMBER = 40  # of the spline, below which early stopping on held-out rows does better
_POINTS = 2048  # by which very many rows are represented
_STOPS = {"maxiter": 200, "ftol": 1e-6}  # nats a row


def fit_marginal(mechanism: ContinuousSpline, values: Tensor) -> int:
    """Fit a mechanism without parents and without a confounder to rows of its variable.

    The knots begin at the quantiles of the rows, and L-BFGS (scipy) moves them towards the
    maximum of the likelihood.

    Args:
        mechanism: Has no parents; its location and scale are set.
        values: ``(n,)`` values of its variable.

    Returns:
        The number of iterations. 0, and nothing changed, where the mechanism has parents or rows
        are few.
    """
    bias = mechanism.network.output_bias
    few = len(values) < _ROWS_PER_NUMBER * bias.numel()
    if mechanism.parents or mechanism.confounder_numbers or few:
        return 0
    rows, weights = _represented(mechanism.standardised(values).double().sort().values)
    start = _at_quantiles(rows, weights, mechanism.bins)
    found, iterations = _maximum(start, rows, weights, mechanism.bins)
    with torch.no_grad():
        bias.copy_(found)
    return iterations


def _represented(ordered: Tensor) -> tuple[Tensor, Tensor]:
    """Points ``(m,)`` in order that stand for rows, and the shares of rows that each stands for.

    Neighbouring rows are one point, their mean; points lie evenly on the scale of normal scores,
    so that those in the tails are single rows.
    """
    n = len(ordered)
    if n <= _POINTS:
        return ordered, torch.full_like(ordered, 1 / n)
    last = float(torch.special.ndtri(ordered.new_tensor(0.5 / n)))
    scores = torch.linspace(last, -last, _POINTS, dtype=ordered.dtype, device=ordered.device)
    ranks = torch.arange(n, dtype=ordered.dtype, device=ordered.device)
    point = torch.searchsorted(scores, torch.special.ndtri((ranks + 0.5) / n)).clamp_max(
        _POINTS - 1
    )
    counts = torch.bincount(point, minlength=_POINTS)
    sums = torch.zeros_like(scores).index_add_(0, point, ordered)
    used = counts > 0
    return sums[used] / counts[used], counts[used] / n


def _at_quantiles(rows: Tensor, weights: Tensor, bins: int) -> Tensor:
    """Outputs ``(3 * bins + 1,)`` of a network whose spline takes normal to empirical quantiles."""
    bound = RationalQuadraticSpline.BOUND
    log_scale = max(0.0, math.log(1.01 * float(rows.abs().max()) / bound))
    inner = torch.linspace(-2.5, 2.5, bins - 1, dtype=rows.dtype, device=rows.device)
    place = torch.searchsorted(weights.cumsum(0), torch.special.ndtr(inner))
    heights = rows[place.clamp_max(len(rows) - 1)] * math.exp(-log_scale)
    ends = rows.new_tensor([-bound, bound])
    widths = torch.cat([ends[:1], inner, ends[1:]]).diff()
    rises = torch.cat([ends[:1], heights, ends[1:]]).diff().clamp_min(1e-3)
    slopes = rises / widths
    pieces = RationalQuadraticSpline.numbers(widths, rises, (slopes[1:] * slopes[:-1]).sqrt())
    return torch.cat([pieces, pieces.new_tensor([0.0, 5 * math.atanh(min(0.99, log_scale / 5))])])


def _maximum(start: Tensor, rows: Tensor, weights: Tensor, bins: int) -> tuple[Tensor, int]:
    """The numbers of the largest likelihood near the start, and the iterations to it."""
    from scipy.optimize import minimize

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        asked = torch.tensor(numbers, device=rows.device, requires_grad=True)
        value = -(spline_log_prob(asked.expand(len(rows), -1), rows, bins) * weights).sum()
        (slope,) = torch.autograd.grad(value, asked)
        return value.item(), slope.cpu().numpy()

    with torch.enable_grad():
        found = minimize(loss, start.cpu().numpy(), jac=True, method="L-BFGS-B", options=_STOPS)
    return torch.as_tensor(found.x, device=rows.device), int(found.nit)
