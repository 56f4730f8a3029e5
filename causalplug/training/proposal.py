"""Where a row's confounder noise may have been: draws that make a c-factor's Monte-Carlo likelihood
nearly exact.

The mean over S draws from the prior falls short of a c-factor on the log scale by about its
variance over 2 S, which is least where the confounder explains little: with few draws the best fit
is one without confounding. Draws from near the posterior have little variance (Burda et al. 2016;
the proposal is learned as in Bornschein & Bengio 2015).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from causalplug.mechanisms.trainable.conditioner import Conditioner, ParentSpec
from causalplug.networks import initialised
from causalplug.training.factors import ConfounderDraws

__all__ = ["Proposal", "Proposed"]

_PRIOR = (
    1 / 16
)  # share of the draws that stay with the prior: it bounds their weights by 16 (Hesterberg 1995)
_LOG_SCALE = 4.0  # logarithm of the proposal's standard deviations, at most


class Proposed(NamedTuple):
    """Draws of the confounder noise for every row.

    Attributes:
        noise: ``(s, n, size)`` by name.
        log_weight: ``(s, n)``, of the prior against the density that they were drawn from.
        log_density: ``(s, n)``, under the proposal; its parameters are learned by it.
    """

    noise: dict[str, Tensor]
    log_weight: Tensor
    log_density: Tensor


class Proposal(nn.Module):
    """A normal for the confounder noise of a c-factor given the values in it; the standard normal
    at first.

    Args:
        reads: What is read of each of the c-factor's variables and their parents.
        rows: By which they are scaled.
        size: Numbers of all confounder noises together.
        seed: Seed of the parameters.
    """

    def __init__(
        self,
        reads: Mapping[str, ParentSpec],
        rows: Mapping[str, Tensor],
        size: int,
        *,
        seed: int = 0,
    ):
        super().__init__()
        self.size = size
        self.network = initialised(
            lambda: Conditioner(reads, 0, self.size * (self.size + 1), hidden=(64,)), seed
        )
        self.network.to(next(iter(rows.values())).device)
        self.network.standardise(rows)
        last: nn.Linear = self.network.rest[-1]  # type: ignore[index, assignment]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(
        self, rows: Mapping[str, Tensor], draws: ConfounderDraws, generator: torch.Generator
    ) -> Proposed:
        """Draws for rows ``(n, …)``: a sixteenth of them, but at least one, from the prior."""
        numbers = self.network(rows).float()  # densities need the digits that half precision lacks
        centre, factor = numbers.split([self.size, self.size**2], -1)
        factor = factor.unflatten(-1, (self.size, self.size))
        scales = _LOG_SCALE * torch.tanh(factor.diagonal(dim1=-2, dim2=-1) / _LOG_SCALE)
        factor = factor.tril(-1) + torch.diag_embed(scales.exp())
        with torch.no_grad():
            points = draws.points_of(len(centre), generator)
            from_prior = max(1, round(_PRIOR * len(points)))
            moved = centre + (factor @ points[from_prior:].unsqueeze(-1)).squeeze(-1)
            noise = torch.cat([points[:from_prior], moved])
        log_density = _log_density(noise, centre, factor)
        with torch.no_grad():
            prior = _log_normal(noise, -1)
            share = torch.tensor([from_prior, len(points) - from_prior], device=prior.device) / len(
                points
            )
            drawn_from = torch.logaddexp(prior + share[0].log(), log_density + share[1].log())
        named = dict(zip(draws.keys, noise.split(draws.size, -1), strict=True))
        return Proposed(named, prior - drawn_from, log_density)


def _log_density(noise: Tensor, centre: Tensor, factor: Tensor) -> Tensor:
    """Log density ``(s, n)`` of a normal at ``(s, n, size)``: centres ``(n, size)``, and lower
    triangular roots ``(n, size, size)`` of its covariances.

    ``torch.distributions.MultivariateNormal`` says the same, but its first use imports sympy, which
    takes most of a second.
    """
    apart = (noise - centre).permute(1, 2, 0)
    standard = torch.linalg.solve_triangular(factor, apart, upper=False)
    log_scale = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return _log_normal(standard, 1).T - log_scale


def _log_normal(standard: Tensor, axis: int) -> Tensor:
    """Log density of standard normals that lie along an axis."""
    size = standard.shape[axis]
    return -0.5 * (standard.square().sum(axis) + size * math.log(2 * math.pi))
