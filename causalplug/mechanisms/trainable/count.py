"""The trainable mechanism of a count."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.trainable.continuous import ContinuousSpline

__all__ = ["CountSpline"]

_LARGEST = 24.0  # of the logarithm of a count
_MARGIN = 1e-4  # share of a count's interval that its recovered noise keeps from both ends
_ROUNDING = 4e-6  # what rounding moves a count by, as a share of the count


@register_mechanism("count-spline")
class CountSpline(ContinuousSpline):
    """A count: the whole part of ``exp(y)``, where ``y`` is a monotone map of one standard normal.

    The map is that of :class:`~causalplug.mechanisms.trainable.continuous.ContinuousSpline`, so
    counts may be rare or many, with zeros in excess and tails of any weight. The probability of a
    count is that of its interval of the normal: ``P(k) = F(log(k + 1)) - F(log k)``, and ``P(0) =
    F(0)``. One own noise decides the count, and larger noise never gives a smaller one.

    Args:
        variable: The count.
        parents: What is read of each parent, in order.
        confounder_size: Numbers of confounder noise of one row.
        hidden: Widths of the hidden layers.
        bins: Pieces of the spline.
    """

    monotone = False  # one count stands for an interval of the noise

    def standardise(self, values: Tensor) -> None:
        """Set location and scale of the logarithm from counts ``(n,)``."""
        super().standardise((values.float() + 0.5).log())

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Counts ``(n,)``, as floats without a fraction."""
        return super().forward(parents, noise, confounder).clamp(max=_LARGEST).exp().floor()

    def _interval(
        self, value: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Both ends of the noise that gives each count; the lower one of 0 is infinite."""
        ends = torch.stack([value.clamp_min(1).log(), (value + 1).log()])
        if confounder is not None and confounder.ndim > value.ndim + 1:
            ends = ends.unsqueeze(1)  # beside the draws of the confounder noise
        lower, upper = super().abduct(ends, parents, confounder)["normal"]
        return torch.where(value > 0, lower, -torch.inf), upper

    def log_prob(
        self, value: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None = None
    ) -> Tensor:
        """Log probability ``(n,)`` of counts, or ``(s, n)``."""
        lower, upper = self._interval(value, parents, confounder)
        return _log_mass(lower, upper)

    def abduct(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        prior: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """A standard normal that gives ``value``: where in the count's interval is read off
        ``prior``, or the middle of its probability without it."""
        lower, upper = self._interval(value, parents, confounder)
        at = torch.full_like(upper, 0.5)
        if prior is not None:
            at = torch.special.ndtr(prior["normal"])
        margin = (_ROUNDING * value.double()).clamp(_MARGIN, 0.25)
        at = torch.maximum(torch.minimum(at.double(), 1 - margin), margin)
        return {"normal": _between(lower.double(), upper.double(), at).to(value.dtype)}


def _log_mass(lower: Tensor, upper: Tensor) -> Tensor:
    """Log of the standard normal's probability between two numbers, the first of which may be
    minus infinity."""
    flip = lower > 0  # the tail that is small is subtracted from, so that no digits are lost
    low = torch.where(flip, -upper, lower)
    high = torch.where(flip, -lower, upper)
    finite = torch.isfinite(low)
    below = torch.special.log_ndtr(torch.where(finite, low, high - 1))
    above = torch.special.log_ndtr(high)
    difference = (below - above).clamp(max=-1e-6)
    return torch.where(finite, above + torch.log1p(-difference.exp()), above)


def _between(lower: Tensor, upper: Tensor, at: Tensor) -> Tensor:
    """The quantile ``at`` of a standard normal that is known to lie between two numbers."""
    flip = lower > 0
    low = torch.where(flip, -upper, lower)
    high = torch.where(flip, -lower, upper)
    share = torch.where(flip, 1 - at, at)
    below, above = torch.special.ndtr(low), torch.special.ndtr(high)
    found = torch.special.ndtri(below + share * (above - below))
    found = torch.maximum(torch.minimum(found, high), low)
    return torch.where(flip, -found, found)
