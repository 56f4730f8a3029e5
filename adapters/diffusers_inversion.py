"""Running a deterministic diffusion sampler backwards: from an image to the noise that it is
painted from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["ROUNDS", "explained", "inverted", "invertible"]

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The network's output for a sample, a time and classes."""

ROUNDS = 6
"""Rounds of the fixed-point iteration that solves one step; two rounds are what reading it
backwards gives."""

_LEVELS = 6  # noise levels at which labels are compared


def invertible(scheduler: Any, eta: float) -> bool:
    """Whether a step of the sampler is a function of the sample and one evaluation of the
    network alone."""
    name, config = type(scheduler).__name__, scheduler.config
    if name == "FlowMatchEulerDiscreteScheduler":
        return not getattr(config, "stochastic_sampling", False)
    return name == "DDIMScheduler" and eta == 0.0 and not getattr(config, "thresholding", False)


def inverted(
    predict: Predict, scheduler: Any, sample: Tensor, classes: Tensor, *, steps: int
) -> Tensor:
    """The noise ``(n, …)`` from which the sampler arrives at ``sample``.

    Every step ``y = a x + b network(x)`` is solved for x by fixed-point rounds, which is more exact
    than reading the equation backwards with ``network(y)`` (Song et al. 2021; the rounds: Pan et
    al. 2023). Rows are treated one by one, and the best of a row's rounds counts.
    """
    scheduler = copy.deepcopy(scheduler)
    scheduler.set_timesteps(steps)
    for index in reversed(range(len(scheduler.timesteps))):
        t = scheduler.timesteps[index]

        def step(x: Tensor, output: Tensor, t: Tensor = t, index: int = index) -> Tensor:
            if hasattr(scheduler, "_step_index"):
                scheduler._step_index = index
            return scheduler.step(output, t, x, return_dict=False)[0]

        small = torch.full_like(sample[:1], 1e-3)
        scale = float(step(small, torch.zeros_like(small)).flatten()[0]) / 1e-3
        x = best = sample / scale
        least = torch.full((len(sample),), torch.inf, device=sample.device)
        for _ in range(ROUNDS):
            residual = sample - step(x, predict(x, t, classes))
            size = residual.flatten(1).square().mean(1)
            better = size < least
            best = torch.where(better.view(-1, *[1] * (x.ndim - 1)), x, best)
            least = torch.where(better, size, least)
            x = x + residual / scale
        sample = best
    return sample / float(getattr(scheduler, "init_noise_sigma", 1.0))


def explained(
    predict: Predict, scheduler: Any, sample: Tensor, classes: Tensor, *, steps: int
) -> Tensor:
    """How well the classes explain the images: minus the network's denoising error ``(n,)`` over
    several noise levels.

    An evidence lower bound with equal weights; the same noise is used for all classes (Li et al.
    2023, "Your diffusion model is secretly a zero-shot classifier").
    """
    scheduler = copy.deepcopy(scheduler)
    scheduler.set_timesteps(max(steps, _LEVELS + 2))
    noise = torch.randn(sample.shape[1:], generator=torch.Generator().manual_seed(0)).to(
        sample.device
    )
    noise = noise.expand_as(sample)
    places = torch.linspace(1, len(scheduler.timesteps) - 2, _LEVELS).round().long().tolist()
    total = torch.zeros(len(sample), device=sample.device)
    for place in places:
        t = scheduler.timesteps[place]
        if hasattr(scheduler, "sigmas"):
            sigma = scheduler.sigmas[place]
            noisy, target = (1 - sigma) * sample + sigma * noise, noise - sample
        else:
            noisy = scheduler.add_noise(sample, noise, t.expand(len(sample)))
            kind = scheduler.config.prediction_type
            velocity = None
            if kind == "v_prediction":
                velocity = scheduler.get_velocity(sample, noise, t.expand(len(sample)))
            if velocity is not None:
                target = velocity
            elif kind == "sample":
                target = sample
            else:
                target = noise
        total += (predict(noisy, t, classes) - target).flatten(1).square().sum(1)
    return -total / (2 * len(places))
