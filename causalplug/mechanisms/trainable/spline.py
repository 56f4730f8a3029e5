"""A monotone rational-quadratic spline, written for its one use in a mechanism.

The parametrisation is that of ``zuko.transforms.MonotonicRQSTransform``, and so are its values;
here a value and its log slope cost one pass in either direction.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["RationalQuadraticSpline"]

_BOUND = 5.0  # outside of it the spline is the identity
_LOG_SLOPE = -math.log(1e-3)  # of the steepest piece, and minus that of the flattest


class _Piece(NamedTuple):
    """The piece in which a value lies: left end, width, bottom, height, slopes at both ends."""

    inside: Tensor
    left: Tensor
    width: Tensor
    bottom: Tensor
    height: Tensor
    first: Tensor
    second: Tensor

    def inverted(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """How far along the piece the value ``y`` lies, its mean slope, and how its slope bends."""
        height = torch.where(self.inside, y - self.bottom, 0.5 * self.height)
        slope = self.height / self.width
        bend = self.first + self.second - 2 * slope
        bent = height * bend
        a = self.height * (slope - self.first) + bent
        linear = self.height * self.first - bent
        c = slope * height
        root = (linear.square() + 4 * a * c).clamp_min(0).sqrt()
        return 2 * c / (linear + root), slope, bend


def _unbounded(logs: Tensor, limit: float) -> Tensor:
    """Inverse of ``x / (1 + |x| / limit)``; values beyond the limit are cut just below it."""
    logs = logs.clamp(-0.95 * limit, 0.95 * limit)
    return logs / (1 - logs.abs() / limit)


def _at(numbers: Tensor, index: Tensor) -> Tensor:
    """Numbers at places of the last axis; the first axes may be those of the places alone."""
    if numbers.ndim < index.ndim:
        numbers = numbers.expand(*index.shape[:-1], -1)
    return numbers.gather(-1, index)


class RationalQuadraticSpline:
    """A monotone map of the line, the identity outside [-5, 5] (Durkan et al. 2019).

    Args:
        numbers: ``(*, 3 * bins - 1)`` unconstrained widths, heights and slopes at the inner knots.
        bins: Pieces of the spline.
    """

    BOUND = _BOUND

    @staticmethod
    def numbers(widths: Tensor, heights: Tensor, slopes: Tensor) -> Tensor:
        """The numbers ``(3 * bins - 1,)`` of a spline with these pieces, as near as it can be.

        Args:
            widths, heights: ``(bins,)`` positive sizes of the pieces, which add up to 10 each.
            slopes: ``(bins - 1,)`` positive slopes at the inner knots.
        """
        sizes = torch.stack([widths, heights]).log()
        sizes = sizes - (sizes.amax(-1, keepdim=True) + sizes.amin(-1, keepdim=True)) / 2
        pieces = _unbounded(sizes, _LOG_SLOPE / 2)
        return torch.cat([pieces.flatten(), _unbounded(slopes.log(), _LOG_SLOPE)])

    def __init__(self, numbers: Tensor, bins: int):
        sizes, slopes = numbers[..., : 2 * bins].unflatten(-1, (2, bins)), numbers[..., 2 * bins :]
        shares = (sizes / (1 + sizes.abs() * (2 / _LOG_SLOPE))).exp()
        self._sizes = shares * (2 * _BOUND / shares.sum(-1, keepdim=True))
        ends = self._sizes.cumsum(-1) - _BOUND
        self._starts = torch.cat([torch.full_like(ends[..., :1], -_BOUND), ends[..., :-1]], -1)
        slopes = (slopes / (1 + slopes.abs() / _LOG_SLOPE)).exp()
        one = torch.ones_like(slopes[..., :1])
        self._slopes = torch.cat([one, slopes, one], -1)

    def _bin(self, value: Tensor, axis: int) -> _Piece:
        """The pieces in which values lie: of the horizontal axis 0, or of the vertical axis 1."""
        starts = self._starts[..., axis, 1:].detach()
        index = (starts < value.unsqueeze(-1)).sum(-1, keepdim=True)
        both = index.unsqueeze(-1).expand(*index.shape[:-1], 2, 1)
        left, bottom = _at(self._starts, both).squeeze(-1).unbind(-1)
        width, height = _at(self._sizes, both).squeeze(-1).unbind(-1)
        ends = torch.cat([index, index + 1], -1)
        first, second = _at(self._slopes, ends).unbind(-1)
        return _Piece(value.abs() < _BOUND, left, width, bottom, height, first, second)

    def __call__(self, x: Tensor) -> Tensor:
        """Values ``(*)`` at ``x``, which may have further axes before those of the splines."""
        b = self._bin(x, 0)
        z = torch.where(b.inside, (x - b.left) / b.width, 0.5)
        slope = b.height / b.width
        rest = z * (1 - z)
        y = b.bottom + b.height * (slope * z.square() + b.first * rest) / (
            slope + (b.first + b.second - 2 * slope) * rest
        )
        return torch.where(b.inside, y, x)

    def inverse(self, y: Tensor) -> Tensor:
        """The ``x`` at which the spline has the values ``y``."""
        return self.inverse_and_log_slope(y)[0]

    def inverse_and_log_slope(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The ``x`` at which the spline has the values ``y``, and the log of the inverse's slope
        there."""
        b = self._bin(y, 1)
        z, slope, bend = b.inverted(y)
        rest = z * (1 - z)
        under = slope + bend * rest
        over = 2 * slope * rest + b.first * (1 - z).square() + b.second * z.square()
        x = torch.where(b.inside, b.left + z * b.width, y)
        return x, torch.where(b.inside, 2 * (under / slope).log() - over.log(), 0.0)
