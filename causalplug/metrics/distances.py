"""Distances between sets of images, in the features of an encoder."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from causalplug.errors import DataError

__all__ = ["frechet", "latent_divergence"]

_FACTUAL = 0.2  # weight of the second share, as in the benchmark of Melistas et al. (2024)


def frechet(one: Tensor, other: Tensor) -> float:
    """The Fréchet distance of two sets of features, each taken as normal (Heusel et al. 2017).

    ``|m - n|^2 + tr(A + B - 2 (A B)^(1/2))`` for means m, n and covariances A, B, in float64.

    Args:
        one: Features ``(n, d)``.
        other: Features ``(m, d)``.

    Raises:
        DataError: A set has fewer than two rows.
    """
    if min(len(one), len(other)) < 2:
        raise DataError("a Fréchet distance needs at least two rows on each side")
    one, other = one.double(), other.double()
    first, second = torch.cov(one.T), torch.cov(other.T)
    first, second = torch.atleast_2d(first), torch.atleast_2d(second)
    values, vectors = torch.linalg.eigh(first)
    root = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
    between = torch.linalg.eigvalsh(root @ second @ root).clamp_min(0).sqrt().sum()
    apart = (one.mean(0) - other.mean(0)).square().sum()
    return float(apart + first.trace() + second.trace() - 2 * between)


def latent_divergence(
    before: Tensor, after: Tensor, same: Tensor, aimed: Tensor, reference: Tensor
) -> Tensor:
    """The counterfactual latent divergence of every row (Sanchez & Tsaftaris 2022, with the weights
    of Melistas et al. 2024): small where it changes no more than it has to.

    ``log(.8 exp P(S* <= d) + .2 exp P(S >= d))``, where d is the mean absolute change of the row's
    features, S* its distances from reference rows that have the values aimed at, and S those from
    reference rows that have its own. Rows without reference rows on one side are NaN.

    Args:
        before: Features ``(n, d)`` of the rows as they were.
        after: Features ``(n, d)`` as they would have been.
        same: Mask ``(n, m)`` of the reference rows that have a row's own values.
        aimed: Mask ``(n, m)`` of those that have the values that it was set to.
        reference: Features ``(m, d)``.
    """
    changes = (after - before).abs().mean(-1)
    found = []
    for row, change in enumerate(changes):
        apart = (reference - before[row]).abs().mean(-1)
        near, far = apart[aimed[row]] <= change, apart[same[row]] >= change
        if not len(near) or not len(far):
            found.append(math.nan)
            continue
        within, beyond = float(near.double().mean()), float(far.double().mean())
        found.append(math.log((1 - _FACTUAL) * math.exp(within) + _FACTUAL * math.exp(beyond)))
    return torch.tensor(found, dtype=torch.float64)
