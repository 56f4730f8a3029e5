"""Critics, the rows that they compare, and the gradient penalty of WGAN-GP (Gulrajani et al.
2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from causalplug.networks import location_and_scale
from causalplug.selection import of_kind, without
from causalplug.variables import Variable

__all__ = ["Critic", "CriticInput", "Scaled", "between"]

Scaled = Callable[[Tensor], Tensor] | None
"""What a loss is multiplied by before it is differentiated."""

_SLOPE = 0.2  # of the rectifiers below zero
_TINY = 1e-30  # a slope of zero has no direction


class CriticInput(nn.Module):
    """Puts the values of a target side by side as a critic reads them.

    Args:
        variables: Declarations of the variables, in order.
        projections: Sizes of the projections that stand in for image variables; images without one
            are read as pixels.

    Discrete values become one-hot features, continuous values and projections are standardised on
    the first real rows.
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, variables: Mapping[str, Variable], projections: Mapping[str, int]):
        super().__init__()
        self.variables = dict(variables)
        flat = []
        for name, v in variables.items():
            if not v.needs_encoder or name in projections:
                flat.append(name)
        self.flat = flat
        self.pixels = without(variables, self.flat)
        sizes = [projections.get(name, self.variables[name].feature_size) for name in self.flat]
        self.scaled = [n in projections or self.variables[n].standardised for n in self.flat]
        self.sizes = sizes
        self.projections = dict(projections)
        self.register_buffer("loc", torch.zeros(sum(sizes)))
        self.register_buffer("scale", torch.ones(sum(sizes)))

    def standardise(self, values: Mapping[str, Tensor]) -> None:
        """Set the scaling from real rows."""
        start = 0
        for name, size, scaled in zip(self.flat, self.sizes, self.scaled, strict=True):
            if scaled:
                rows = self._features(name, values[name])
                if rows.dtype == torch.float64:
                    self.loc, self.scale = self.loc.double(), self.scale.double()
                place = slice(start, start + size)
                self.loc[place], self.scale[place] = location_and_scale(rows)
            start += size

    def _features(self, name: str, value: Tensor) -> Tensor:
        if name in self.projections:
            return value
        return self.variables[name].features(value)

    def forward(self, values: Mapping[str, Tensor]) -> list[Tensor]:
        """``[features (n, f)]`` and, for every image that is read as pixels, ``(n, channels,
        height, width)`` in [-1, 1].
        """
        parts = [self._features(name, values[name]) for name in self.flat]
        rows = []
        if parts:
            rows = [(torch.cat(parts, -1) - self.loc) / self.scale]
        rows = [row.to(torch.get_default_dtype()) for row in rows]
        for name in self.pixels:
            variable = self.variables[name]
            rows.append(
                (variable.scale(values[name]) - variable.low) * (2 / (variable.high - variable.low))
                - 1
            )
        return rows


class Critic(nn.Module):
    """Scores rows; an MLP on the features, with a convolutional trunk for every image that is read
    as pixels.

    Args:
        reads: How rows are laid out.
        hidden: Widths of the hidden layers.
        channels: Widths of the trunk.
    """

    def __init__(
        self,
        reads: CriticInput,
        *,
        hidden: Sequence[int] = (64, 64),
        channels: Sequence[int] = (32, 64, 64),
    ):
        super().__init__()
        self.trunks = nn.ModuleList(
            self._trunk(reads.variables[name], channels) for name in reads.pixels
        )
        size = sum(reads.sizes) + 128 * len(self.trunks)
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(size, width), nn.LeakyReLU(_SLOPE)]
            size = width
        self.score = nn.Sequential(*layers, nn.Linear(size, 1))
        self._linear = of_kind(self.score, nn.Linear)

    @staticmethod
    def _trunk(variable: Variable, channels: Sequence[int]) -> nn.Module:
        layers: list[nn.Module] = []
        before, height, width = variable.channels, variable.height, variable.width
        for after in channels:
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.LeakyReLU(_SLOPE)]
            before, height, width = after, -(-height // 2), -(-width // 2)
        return nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(before * height * width, 128), nn.LeakyReLU(_SLOPE)
        )

    def forward(self, rows: Sequence[Tensor]) -> Tensor:
        """Scores ``(n,)``."""
        parts = list(rows)
        if self.trunks:
            first = len(parts) - len(self.trunks)
            parts[first:] = [
                trunk(pixels) for trunk, pixels in zip(self.trunks, parts[first:], strict=True)
            ]
        return self.score(torch.cat(parts, -1) if len(parts) > 1 else parts[0]).squeeze(-1)

    def backward(
        self,
        rows: Sequence[Tensor],
        weight: Tensor,
        lines: Sequence[Tensor],
        penalty: float,
        scaled: Scaled,
    ) -> Tensor:
        """Add the gradients of ``sum weight D(rows) + penalty E (|grad D(lines)| - 1)^2`` to those
        of the parameters.

        Args:
            rows, weight: R rows as :class:`CriticInput` lays them out, and weights ``(r,)``:
                generated minus real.
            lines: Points where the gradient is penalised, laid out in the same way.
            penalty: Its weight.
            scaled: What the loss is multiplied by; None leaves it alone.

        Returns:
            The loss.
        """
        if self.trunks:
            lines = [line.requires_grad_() for line in lines]
            gradients = torch.autograd.grad(self(lines).sum(), lines, create_graph=True)
            square = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0)
            loss = (weight * self(rows)).sum() + penalty * (
                (square + 1e-12).sqrt() - 1
            ).square().mean()
            (scaled(loss) if scaled else loss).backward()
            return loss.detach()
        with torch.no_grad(), torch.autocast(weight.device.type, enabled=False):
            weights, biases = (
                [layer.weight for layer in self._linear],
                [layer.bias for layer in self._linear],
            )
            loss, found = _piecewise_linear(weights, biases, rows[0], weight, lines[0], penalty)
            for parameter, gradient in zip([*weights, *biases], found, strict=True):
                if scaled:
                    gradient = scaled(gradient)
                if parameter.grad is None:
                    parameter.grad = gradient
                else:
                    parameter.grad = parameter.grad + gradient
        return loss


def _piecewise_linear(
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    rows: Tensor,
    weight: Tensor,
    lines: Tensor,
    penalty: float,
) -> tuple[Tensor, list[Tensor]]:
    """The loss of :meth:`Critic.backward` for an MLP with leaky rectifiers, and its gradients by
    weights and biases.

    Between its kinks such a critic is linear. With the slopes m of a layer's units, ``B_l = m_l
    (B_{l+1} W_{l+1})`` is the gradient of what is scored by what enters layer l's units, for rows
    and lines alike; the penalty's own gradient goes the other way through the same slopes. So
    nothing is differentiated twice, in a quarter of the time.
    """
    r = len(rows)
    values = [torch.cat([rows, lines])]  # what each layer reads
    for matrix, bias in zip(weights[:-1], biases[:-1], strict=True):
        values.append(F.leaky_relu(torch.addmm(bias, values[-1], matrix.t()), _SLOPE))
    loss = torch.dot(weight, torch.addmv(biases[-1], values[-1][:r], weights[-1][0]))
    into = torch.cat([weight, weight.new_ones(len(lines))]).unsqueeze(1) * weights[-1]
    backs = []
    for matrix, value in zip(reversed(weights[:-1]), reversed(values[1:]), strict=True):
        backs.append(_leaky_relu_backward(into, value))
        into = backs[-1] @ matrix
    steep = into[r:]
    norm = torch.linalg.vector_norm(steep, dim=1, keepdim=True)
    beyond = norm - 1
    loss = loss + penalty * beyond.square().mean()
    through = steep * (beyond / (norm + _TINY)).mul_(2 * penalty / len(lines))
    of_weights, of_biases = [], []
    for layer, (matrix, back) in enumerate(zip(weights[:-1], reversed(backs), strict=True)):
        values[layer][r:] = (
            through  # a product with ``back`` now adds the gradients of scores and penalty
        )
        of_weights.append(back.t() @ values[layer])
        of_biases.append(back[:r].sum(0))
        through = _leaky_relu_backward(through @ matrix.t(), values[layer + 1][r:])
    of_weights.append((torch.mv(values[-1][:r].t(), weight) + through.sum(0)).unsqueeze(0))
    of_biases.append(weight.sum().view(1))
    return loss, of_weights + of_biases


def _leaky_relu_backward(gradient: Tensor, value: Tensor) -> Tensor:
    """``gradient`` times the slope of a leaky rectifier whose result is ``value``."""
    return torch.ops.aten.leaky_relu_backward(gradient, value, _SLOPE, True)


def between(
    real: Sequence[Tensor], fake: Sequence[Tensor], generator: torch.Generator
) -> list[Tensor]:
    """A random point on the line between each real and each generated row, n of both."""
    share = torch.rand(len(real[0]), generator=generator, device=real[0].device)
    found = []
    for a, b in zip(real, fake, strict=True):
        found.append(torch.lerp(b, a, share.view(-1, *[1] * (a.ndim - 1))))
    return found
