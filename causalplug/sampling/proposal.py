"""Proposals that look at the evidence: adaptive importance sampling of normal noise.

Noise is drawn from its prior first. A normal distribution is fitted to the weighted draws, tempered
until enough of them count, and the next draws come from it, with a share from the prior that bounds
their weights (Hesterberg 1995). All draws so far are weighed by the mixture of all the densities
that they came from (Cornuet et al. 2012, "Adaptive multiple importance sampling").
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["Normals", "effective_size", "fitted"]

_PRIOR = 1 / 8  # share of the draws that stay with the prior: it bounds their weights by 8
_WIDER = 1.2  # factor of the fitted covariance: too wide costs little, too narrow much
_TEMPERED = 0.05  # share of the draws that has to count in a fit


def effective_size(log_weight: Tensor) -> Tensor:
    """Effective number of draws (Kish) over the last axis; 0 where all weights are zero."""
    top = log_weight.amax(-1, keepdim=True)
    weight = (log_weight - torch.where(top.isfinite(), top, 0.0)).exp()
    total = weight.sum(-1)
    return total.square() / weight.square().sum(-1).clamp_min(torch.finfo(weight.dtype).tiny)


@dataclass(eq=False)
class Normals:
    """The densities that draws of some groups of rows came from.

    Attributes:
        size: Numbers of one draw.
        counts: Draws of each density.
        means: ``(groups, size)`` of each density but the first, which is the prior.
        factors: ``(groups, size, size)`` lower triangular, of their covariances.
    """

    size: int
    counts: list[int] = field(default_factory=list)
    means: list[Tensor] = field(default_factory=list)
    factors: list[Tensor] = field(default_factory=list)

    def moved(self, standard: Tensor) -> Tensor:
        """Draws ``(groups, k, size)`` of the last density, from standard normal numbers."""
        if not self.means:
            return standard
        from_prior = max(1, round(_PRIOR * standard.shape[1]))
        mean, factor = self.means[-1], self.factors[-1]
        fitted_draws = mean.unsqueeze(1) + standard[:, from_prior:] @ factor.mT
        return torch.cat([standard[:, :from_prior], fitted_draws], 1)

    def ratio(self, draws: Tensor) -> Tensor:
        """Log density of the prior over that of the mixture, ``(groups, k)`` of float64."""
        prior = _log_normal(draws)
        if not self.means:
            return torch.zeros_like(prior)
        total = sum(self.counts)
        parts = [prior + math.log(self.prior_share())]
        for count, mean, factor in zip(self.counts[1:], self.means, self.factors, strict=True):
            share = (1 - _PRIOR) * count / total
            if share:
                parts.append(_log_normal(draws, mean, factor) + math.log(share))
        return prior - torch.logsumexp(torch.stack(parts), 0)

    def prior_share(self) -> float:
        """Share of all draws that came from the prior."""
        total = sum(self.counts)
        return (self.counts[0] + _PRIOR * (total - self.counts[0])) / total

    def add(self, draws: Tensor, log_weight: Tensor) -> None:
        """Fit one more density to weighted draws."""
        mean, factor = fitted(draws, log_weight)
        self.means.append(mean)
        self.factors.append(factor)

    def select(self, index: Tensor) -> Normals:
        """The densities of some of the groups."""
        return Normals(
            self.size,
            list(self.counts),
            [mean[index] for mean in self.means],
            [factor[index] for factor in self.factors],
        )

    def last(self) -> Normals:
        """The last density with its share of the prior, for draws that come from it alone."""
        if not self.means:
            return Normals(self.size, [1])
        return Normals(self.size, [0, 1], self.means[-1:], self.factors[-1:])


def fitted(draws: Tensor, log_weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and factor of the covariance of weighted draws ``(groups, k, size)``.

    The weights are raised to the largest power up to one at which enough draws count, and the
    covariance is drawn towards the identity by as many draws as it has rows.
    """
    shares = torch.softmax(_tempered(log_weight), -1).to(draws.dtype)
    mean = (shares.unsqueeze(-1) * draws).sum(1)
    centred = draws - mean.unsqueeze(1)
    covariance = (shares.unsqueeze(-1) * centred).mT @ centred
    size = draws.shape[-1]
    effective = (1 / shares.square().sum(-1))[:, None, None]
    identity = torch.eye(size, dtype=draws.dtype, device=draws.device)
    shrunk = (effective * covariance + (size + 1) * identity * _scale(covariance)) / (
        effective + size + 1
    )
    return mean, torch.linalg.cholesky(_WIDER * shrunk + 1e-8 * identity)


def _scale(covariance: Tensor) -> Tensor:
    """Mean variance ``(groups, 1, 1)``: what the covariance is drawn towards."""
    return covariance.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None].clamp_min(1e-6)


def _tempered(log_weight: Tensor) -> Tensor:
    """Log weights to the largest power up to one at which a share of the draws counts."""
    enough = max(2.0, _TEMPERED * log_weight.shape[-1])
    finite = log_weight.masked_fill(~log_weight.isfinite(), -1e30)
    low = torch.zeros(len(log_weight), dtype=log_weight.dtype, device=log_weight.device)
    high = torch.ones_like(low)
    for _ in range(20):
        power = (low + high) / 2
        counted = effective_size(power.unsqueeze(-1) * finite) >= enough
        low, high = torch.where(counted, power, low), torch.where(counted, high, power)
    whole = effective_size(finite) >= enough
    return torch.where(whole, torch.ones_like(low), low).unsqueeze(-1) * finite


def _log_normal(draws: Tensor, mean: Tensor | None = None, factor: Tensor | None = None) -> Tensor:
    """Log density ``(groups, k)`` up to a constant that all densities share."""
    if mean is None or factor is None:
        return -0.5 * draws.double().square().sum(-1)
    centred = (draws - mean.unsqueeze(1)).double()
    solved = torch.linalg.solve_triangular(factor.double(), centred.mT, upper=False)
    return -0.5 * solved.square().sum(1) - factor.double().diagonal(dim1=-2, dim2=-1).log().sum(
        -1, keepdim=True
    )
