"""Critics, the rows that they compare, and the gradient penalty of WGAN-GP (Gulrajani et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from causalplug.variables import Image, Variable

__all__ = ["Critic", "CriticInput", "gradient_penalty"]


class CriticInput(nn.Module):
    """Puts the values of a target side by side as a critic reads them.

    Args:
        variables: declarations of the variables, in order.
        projections: sizes of the projections that stand in for image variables; images without one are read as pixels.

    Discrete values become one-hot features, continuous values and projections are standardised on the first real rows.
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, variables: Mapping[str, Variable], projections: Mapping[str, int]):
        super().__init__()
        self.variables = dict(variables)
        self.flat = [name for name, v in variables.items() if not isinstance(v, Image) or name in projections]
        self.pixels = [name for name in variables if name not in self.flat]
        sizes = [projections.get(name, self.variables[name].feature_size) for name in self.flat]
        self.scaled = [n in projections or self.variables[n].kind == "continuous" for n in self.flat]
        self.sizes = sizes
        self.projections = dict(projections)
        self.register_buffer("loc", torch.zeros(sum(sizes)))
        self.register_buffer("scale", torch.ones(sum(sizes)))

    def standardise(self, values: Mapping[str, Tensor]) -> None:
        """Set the scaling from real rows."""
        start = 0
        for name, size, scaled in zip(self.flat, self.sizes, self.scaled, strict=True):
            if scaled:
                rows = self._features(name, values[name]).float()
                self.loc[start : start + size] = rows.mean(0)
                self.scale[start : start + size] = rows.std(0).clamp_min(1e-6)
            start += size

    def _features(self, name: str, value: Tensor) -> Tensor:
        return value if name in self.projections else self.variables[name].features(value)

    def forward(self, values: Mapping[str, Tensor]) -> list[Tensor]:
        """``[features (n, f)]`` and, for every image that is read as pixels, ``(n, channels, height, width)`` in [-1,
        1].
        """
        parts = [self._features(name, values[name]) for name in self.flat]
        rows = [(torch.cat(parts, -1) - self.loc) / self.scale] if parts else []
        for name in self.pixels:
            variable: Image = self.variables[name]  # type: ignore[assignment]
            rows.append((variable.scale(values[name]) - variable.low) * (2 / (variable.high - variable.low)) - 1)
        return rows


class Critic(nn.Module):
    """Scores rows; an MLP on the features, with a convolutional trunk for every image that is read as pixels.

    Args:
        reads: how rows are laid out.
        hidden: widths of the hidden layers.
        channels: widths of the trunk.
    """

    def __init__(self, reads: CriticInput, *, hidden: Sequence[int] = (64, 64), channels: Sequence[int] = (32, 64, 64)):
        super().__init__()
        self.has_features = bool(reads.flat)
        self.trunks = nn.ModuleList(self._trunk(reads.variables[name], channels) for name in reads.pixels)  # type: ignore[arg-type]
        size = sum(reads.sizes) + 128 * len(self.trunks)
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(size, width), nn.LeakyReLU(0.2)]
            size = width
        self.score = nn.Sequential(*layers, nn.Linear(size, 1))

    @staticmethod
    def _trunk(variable: Image, channels: Sequence[int]) -> nn.Module:
        layers: list[nn.Module] = []
        before, height, width = variable.channels, variable.height, variable.width
        for after in channels:
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
            before, height, width = after, -(-height // 2), -(-width // 2)
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * height * width, 128), nn.LeakyReLU(0.2))

    def forward(self, rows: Sequence[Tensor]) -> Tensor:
        """Scores ``(n,)``."""
        parts = list(rows)
        if self.trunks:
            first = len(parts) - len(self.trunks)
            parts[first:] = [trunk(pixels) for trunk, pixels in zip(self.trunks, parts[first:], strict=True)]
        return self.score(torch.cat(parts, -1) if len(parts) > 1 else parts[0]).squeeze(-1)


def gradient_penalty(
    critic: nn.Module, real: Sequence[Tensor], fake: Sequence[Tensor], generator: torch.Generator
) -> Tensor:
    """``E (|grad critic| - 1)^2`` on straight lines between real and generated rows; both have n rows."""
    weight = torch.rand(len(real[0]), generator=generator, device=real[0].device)
    lines = []
    for a, b in zip(real, fake, strict=True):
        w = weight.view(-1, *[1] * (a.ndim - 1))
        lines.append((w * a + (1 - w) * b).detach().requires_grad_())
    gradients = torch.autograd.grad(critic(lines).sum(), lines, create_graph=True)
    square = sum(g.flatten(1).square().sum(1) for g in gradients)
    return ((square + 1e-12).sqrt() - 1).square().mean()  # type: ignore[union-attr]
