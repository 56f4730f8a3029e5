"""Recovering the noise of a frozen generator from an image: labels that were drawn, latents that
are searched."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["gumbel_given", "search_latent"]


def gumbel_given(log_probabilities: Tensor, chosen: Tensor, prior: Tensor) -> Tensor:
    """Gumbel noise from its distribution given that it chose ``chosen``: ``argmax(log_probabilities
    + noise)``.

    The largest perturbed value is a standard Gumbel number whoever has it, and the others are
    Gumbel numbers cut off there (Maddison et al. 2014, A* sampling).

    Args:
        log_probabilities: ``(*, k)``, normalised; minus infinity where a choice is impossible.
        chosen: ``(*)`` what was chosen.
        prior: ``(*, k)`` standard Gumbel noise, from which the result is made.
    """
    one = chosen.unsqueeze(-1)
    largest = prior.gather(-1, one)
    possible = log_probabilities > -torch.inf
    location = torch.where(possible, log_probabilities, torch.zeros_like(log_probabilities))
    cut = -torch.logaddexp(-largest.expand_as(prior), -(prior + location))
    perturbed = cut.scatter(-1, one, largest)
    return torch.where(possible, perturbed - location, prior)


def search_latent(
    paint: Callable[[Tensor], Tensor],
    images: Tensor,
    size: int,
    *,
    uniform: bool = False,
    deviation: float = 1 / 255,
    starts: int = 4,
    steps: int = 200,
    learning_rate: float = 0.1,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """The most probable latent of every image, if pixels are the painted ones with normal errors;
    by Adam.

    Rows are searched independently of each other.

    Args:
        paint: Latents ``(starts * n, size)``, start by start, to images ``(starts * n, …)`` with
            gradients.
        images: ``(n, …)``.
        size: Numbers of a latent.
        uniform: Latents are uniform on [0, 1) instead of standard normal.
        deviation: Deviation of the pixels' errors; by default one of 255 grey levels, for images in
            a range of length 1.
        starts: Searches per image, the best of which counts.
        steps, learning_rate: Steps and learning rate of each search.
        seed: Seed of the starts.

    Returns:
        latents ``(n, size)`` and their log posterior density ``(n,)``, up to a constant.
    """
    draw = torch.Generator().manual_seed(seed)
    first = (
        torch.randn(starts, 1, size, generator=draw).expand(-1, len(images), -1).reshape(-1, size)
    )
    free = first.to(images.device).clone().requires_grad_()
    wanted = images.repeat(starts, *[1] * (images.ndim - 1))
    optimizer = torch.optim.Adam([free], lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, steps, eta_min=0.05 * learning_rate
    )

    def misfit() -> Tensor:
        errors = (
            (paint(torch.sigmoid(free) if uniform else free) - wanted).flatten(1).square().sum(1)
        )
        prior = None
        if uniform:
            prior = -torch.log_softmax(torch.stack([free, torch.zeros_like(free)]), 0).sum((0, 2))
        return errors / (2 * deviation**2) + (
            0.5 * free.square().sum(1) if prior is None else prior
        )

    with torch.enable_grad():
        for _ in range(steps):
            optimizer.zero_grad()
            misfit().sum().backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        loss = misfit().view(starts, -1)
        best = loss.argmin(0)
        latents = (torch.sigmoid(free) if uniform else free).detach().view(starts, -1, size)
    rows = torch.arange(len(images), device=images.device)
    return latents[best, rows], -loss[best, rows]
