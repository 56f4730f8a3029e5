"""Units in which a marginal distribution is easy to learn."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from causalplug.files.precision import Exact
from causalplug.networks import location_and_scale

__all__ = ["Marginal"]


class Marginal(Exact, nn.Module):
    """A monotone map of values to standard units: by mean and deviation, or to normal scores.

    Normal scores are piecewise linear between ``knots`` quantiles, which lie evenly on the scale
    of scores, and straight beyond the smallest and the largest value.

    Args:
        knots: Of the map to normal scores; 0 for mean and deviation.
    """

    exact = ("values", "scores")
    values: Tensor
    scores: Tensor

    def __init__(self, knots: int = 0):
        super().__init__()
        self.knots = knots
        count = knots or 2
        self.register_buffer("values", torch.linspace(-1, 1, count))
        self.register_buffer("scores", torch.linspace(-1, 1, count))

    @torch.no_grad()
    def fit(self, values: Tensor) -> None:
        """Set the map from rows of data ``(n,)``."""
        values = values.double()
        if not self.knots:
            mean, deviation = location_and_scale(values)
            self.values.copy_(torch.stack([mean - deviation, mean + deviation]))
            return
        last = -float(torch.special.ndtri(torch.tensor(0.5 / len(values), dtype=torch.float64)))
        scores = torch.linspace(-last, last, self.knots, dtype=torch.float64, device=values.device)
        ranks = torch.special.ndtr(scores) * len(values) - 0.5
        found = _at(values.sort().values, ranks.clamp(0, len(values) - 1))
        least = 1e-5 * float(found[-1] - found[0] or 1.0) / self.knots
        steps = found.diff().clamp_min(least)
        self.values.copy_(torch.cat([found[:1], found[:1] + steps.cumsum(0)]))
        self.scores.copy_(scores)

    def _piece(self, values: Tensor, along: Tensor) -> Tensor:
        return torch.searchsorted(along[1:-1], values.detach().contiguous())

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Units of values, and the log of the slope there."""
        place = self._piece(values, self.values)
        slope = (self.scores.diff() / self.values.diff())[place]
        return self.scores[place] + (values - self.values[place]) * slope, slope.log()

    def inverse(self, units: Tensor) -> Tensor:
        """Values in these units."""
        place = self._piece(units, self.scores)
        slope = (self.values.diff() / self.scores.diff())[place]
        return self.values[place] + (units - self.scores[place]) * slope


def _at(ordered: Tensor, ranks: Tensor) -> Tensor:
    """Values at fractional ranks."""
    low = ranks.floor().long()
    high = (low + 1).clamp(max=len(ordered) - 1)
    return torch.lerp(ordered[low], ordered[high], ranks - low)
