"""Conditional flow matching (Lipman et al. 2023) for the image: noise and image are the two ends of
an ordinary differential equation, which is followed forwards to render and backwards to recover.

The network is as small as that of the other families, and predicts the image at the end; where the
path goes follows from it. *Guidance* (Ho & Salimans 2022) exaggerates what the parents change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

import causalplug as cp
from causalplug.noise import NoiseSpec

__all__ = ["FlowImage", "trained_flow"]

_NEAR = 0.05  # how near to the image's end the path still bends
_UNSEEN = 0.1  # share of the training rows whose parents are hidden, for guidance
_AVERAGE = 0.999  # of the moving average of the weights
_WAVES = 8  # frequencies by which the time is read


class _Denoiser(nn.Module):
    """The image at the end of the path, from a point on it, its time and the parents."""

    def __init__(self, pixels: int, condition: int, width: int):
        super().__init__()
        self.parents = nn.Linear(condition + 1, width)
        self.time = nn.Linear(2 * _WAVES, width)
        self.first = nn.Linear(pixels, width)
        self.style = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(2))
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.out = nn.Linear(width, pixels)

    def forward(self, point: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        angles = time[:, None] * math.pi * 2.0 ** torch.arange(_WAVES) / 4
        waves = self.time(torch.cat([angles.sin(), angles.cos()], 1))
        style = nn.functional.silu(self.parents(condition) + waves)
        hidden = nn.functional.silu(self.first(point))
        for layer, by in zip(self.layers, self.style, strict=True):
            scale, shift = by(style).chunk(2, 1)
            hidden = hidden + nn.functional.silu(torch.addcmul(shift, layer(hidden), 1 + scale))
        return self.out(hidden)


class FlowImage(cp.Mechanism):
    """An image as the end of a path that starts at noise; trained by :func:`trained_flow`, and
    frozen in a model.

    Args:
        variables: Declarations of the image and its parents.
        image: Name of the image.
        parents: Names of the parents.
        width: Units of a hidden layer.
        steps: Steps of the path, by the midpoint rule.
        guidance: How much of what the parents change is shown; 1 is the flow itself.
    """

    frozen = True
    abduction = "approximate"
    accepts_confounder = False

    def __init__(
        self,
        variables: Mapping[str, cp.Variable],
        image: str,
        parents: tuple[str, ...],
        *,
        width: int,
        steps: int = 10,
        guidance: float = 1.0,
    ):
        super().__init__()
        self.variable, self.parents = variables[image], parents
        self.kinds = {name: variables[name] for name in parents}
        self.shape = self.variable.event_shape
        self.noise = {"start": NoiseSpec(self.shape)}
        self.steps, self.guidance = steps, guidance
        sizes = [kind.feature_size for kind in self.kinds.values()]
        self.network = _Denoiser(math.prod(self.shape), sum(sizes), width)
        self.register_buffer("loc", torch.zeros(sum(sizes)))
        self.register_buffer("scale", torch.ones(sum(sizes)))

    def features(self, parents: Mapping[str, Tensor]) -> Tensor:
        """One-hot categories and numbers ``(n, d)``, as they are."""
        columns = []
        for name, kind in self.kinds.items():
            value = parents[name]
            if kind.is_discrete:
                columns.append(nn.functional.one_hot(value.long(), kind.cardinality).float())
            else:
                columns.append(value.float().reshape(len(value), -1))
        return torch.cat(columns, 1)

    def condition(self, parents: Mapping[str, Tensor]) -> Tensor:
        """What the network reads of the parents, with a mark that they are seen."""
        found = (self.features(parents) - self.loc) / self.scale
        return torch.cat([found, torch.ones(len(found), 1)], 1)

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        end = self._along(noise["start"], self.condition(parents), 0.0, 1.0, self.guidance)
        return self._pixels(end)

    def abduct(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        prior: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        unit = (value - self.variable.low) / (self.variable.high - self.variable.low)
        return {"start": self._along(2 * unit - 1, self.condition(parents), 1.0, 0.0, 1.0)}

    def _pixels(self, end: Tensor) -> Tensor:
        unit = ((end + 1) / 2).clamp(0, 1)
        return self.variable.low + (self.variable.high - self.variable.low) * unit

    def _along(
        self, point: Tensor, condition: Tensor, start: float, end: float, guidance: float
    ) -> Tensor:
        """The path from one time to another, by the midpoint rule."""
        at, step = point.flatten(1), (end - start) / self.steps
        for place in range(self.steps):
            time = start + place * step
            half = at + step / 2 * self._slope(at, time, condition, guidance)
            at = at + step * self._slope(half, time + step / 2, condition, guidance)
        return at.view(-1, *self.shape)

    def _slope(self, at: Tensor, time: float, condition: Tensor, guidance: float) -> Tensor:
        times = torch.full((len(at),), time)
        end = self.network(at, times, condition)
        if guidance != 1.0:
            plain = self.network(at, times, torch.zeros_like(condition))
            end = plain + guidance * (end - plain)
        return (end - at) / max(1 - time, _NEAR)


def trained_flow(
    variables: Mapping[str, cp.Variable],
    columns: Mapping[str, Any],
    image: str,
    *,
    steps: int,
    width: int,
    seed: int = 0,
    batch_size: int = 128,
) -> FlowImage:
    """A flow of the image given the other columns.

    Args:
        variables: Declarations of the columns.
        columns: Training rows.
        image: Name of the image; all other columns are its parents.
        steps: Updates of the network.
        width: Units of a hidden layer.
        seed: Seed of weights and batches.
        batch_size: Rows of an update.
    """
    parents = tuple(name for name in columns if name != image)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        flow = FlowImage(variables, image, parents, width=width)
    declared = variables[image]
    ends = 2 * declared.scale(declared.encode(columns[image])).flatten(1) - 1
    read = flow.features({name: variables[name].encode(columns[name]) for name in parents})
    flow.loc.copy_(read.mean(0))
    flow.scale.copy_(read.std(0).clamp_min(1e-6))
    known = torch.cat([(read - flow.loc) / flow.scale, torch.ones(len(read), 1)], 1)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(flow.network.parameters(), 1e-3)
    average = [p.detach().clone() for p in flow.network.parameters()]
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (0.01 + 0.495 * (1 + math.cos(math.pi * step / steps)))
        rows = torch.randint(len(ends), (batch_size,), generator=generator)
        loss = _loss(flow, ends[rows], known[rows], generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        keep = min(_AVERAGE, (1 + step) / (10 + step))
        for mean, now in zip(average, flow.network.parameters(), strict=True):
            mean.lerp_(now.detach(), 1 - keep)
    with torch.no_grad():
        for mean, now in zip(average, flow.network.parameters(), strict=True):
            now.copy_(mean)
    return flow.requires_grad_(False).eval()


def _loss(flow: FlowImage, ends: Tensor, known: Tensor, generator: torch.Generator) -> Tensor:
    """Squared error of the slope at a random place of the path, for some rows without parents."""
    count = len(ends)
    time = torch.sigmoid(torch.randn(count, generator=generator))
    noise = torch.randn(ends.shape, generator=generator)
    point = torch.lerp(noise, ends, time[:, None])
    seen = torch.rand(count, 1, generator=generator) >= _UNSEEN
    error = flow.network(point, time, known * seen) - ends
    return (error / (1 - time[:, None]).clamp_min(_NEAR)).square().mean()
