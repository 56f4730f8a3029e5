"""The trainable mechanism of a continuous variable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from causalplug.files.precision import Exact
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.trainable.conditioned import Conditioned
from causalplug.mechanisms.trainable.conditioner import (
    Conditioner,
    ParentSpec,
)
from causalplug.mechanisms.trainable.spline import RationalQuadraticSpline
from causalplug.networks import common_shape, location_and_scale
from causalplug.noise import NoiseSpec
from causalplug.values import Json
from causalplug.variables import Continuous

__all__ = ["ContinuousSpline", "spline_log_prob", "spline_value"]

_LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)


def _pieces(numbers: Tensor, bins: int) -> tuple[RationalQuadraticSpline, Tensor, Tensor]:
    """Spline, shift and log scale that the outputs ``(*, 3 * bins + 1)`` of a network stand for."""
    pieces, affine = numbers.split([3 * bins - 1, 2], dim=-1)
    return RationalQuadraticSpline(pieces, bins), affine[..., 0], 5 * torch.tanh(affine[..., 1] / 5)


def spline_log_prob(numbers: Tensor, value: Tensor, bins: int) -> Tensor:
    """Log density ``(*)`` of standardised values, given the outputs ``(*, 3 * bins + 1)`` of a
    network."""
    spline, shift, log_scale = _pieces(numbers, bins)
    normal, log_slope = spline.inverse_and_log_slope((value - shift) * (-log_scale).exp())
    return log_slope - log_scale - 0.5 * normal.square() - _LOG_ROOT_2_PI


def spline_value(numbers: Tensor, normal: Tensor, bins: int, *, inverse: bool = False) -> Tensor:
    """Standardised values ``(*)`` of standard normals; their normals where ``inverse``."""
    spline, shift, log_scale = _pieces(numbers, bins)
    if inverse:
        return spline.inverse((normal - shift) * (-log_scale).exp())
    return shift + log_scale.exp() * spline(normal)


@register_mechanism("continuous-spline")
class ContinuousSpline(Exact, Conditioned):
    """A monotone map of one standard normal, given the parents and the confounder noise.

    A rational-quadratic spline (Durkan et al. 2019) followed by a shift and a scale, all three
    predicted by the network: it samples with gradients, has an explicit density, and its noise is
    recovered exactly from a value.

    Args:
        variable: The continuous variable.
        parents: What is read of each parent, in order.
        confounder_size: Numbers of confounder noise of one row.
        hidden: Widths of the hidden layers.
        bins: Pieces of the spline.
    """

    exact = ("loc", "scale")
    loc: Tensor
    scale: Tensor
    explicit = True
    abduction = "exact"
    monotone = True

    def __init__(
        self,
        variable: Continuous,
        parents: Mapping[str, ParentSpec],
        *,
        confounder_size: int = 0,
        hidden: Sequence[int] = (64, 64),
        bins: int = 8,
    ):
        super().__init__()
        self.variable: Continuous = variable
        self.parents = tuple(parents)
        self.noise = {"normal": NoiseSpec()}
        self.hidden, self.bins = tuple(hidden), bins
        self.network = Conditioner(parents, confounder_size, 3 * bins - 1 + 2, hidden=hidden)
        kind = None
        if variable.precise:
            kind = torch.float64
        self.register_buffer("loc", torch.zeros((), dtype=kind))
        self.register_buffer("scale", torch.ones((), dtype=kind))

    def standardise(self, values: Tensor) -> None:
        """Set location and scale of the variable from rows of data; rows in float64 make the
        values float64 from here on."""
        if values.dtype == torch.float64:
            self.variable = replace(self.variable, precise=True)
            self.loc, self.scale = self.loc.double(), self.scale.double()
        location, scale = location_and_scale(values)
        self.loc.copy_(location)
        self.scale.copy_(scale)

    def standardised(self, value: Tensor) -> Tensor:
        """Values in the units of :meth:`standardise`, in the default precision."""
        found = (value - self.loc) / self.scale
        if self.variable.precise:
            return found.to(torch.get_default_dtype())
        return found

    def _numbers(
        self, rows: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None
    ) -> Tensor:
        numbers = self.network(parents, confounder)
        return numbers.expand(*common_shape(numbers.shape[:-1], rows.shape), -1)

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Floats ``(n,)``, or ``(k, n)`` of as much noise: the network runs once for each row."""
        normal = noise["normal"]
        rows = normal[0] if normal.ndim > 1 else normal
        spline, shift, log_scale = _pieces(self._numbers(rows, parents, confounder), self.bins)
        standard = shift + log_scale.exp() * spline(normal)
        if self.variable.precise:  # a single number in float64 would not make the result float64
            standard = standard.double()
        return self.loc + self.scale * standard

    def log_prob(
        self, value: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None = None
    ) -> Tensor:
        """Log density ``(n,)`` of floats, or ``(s, n)``."""
        numbers = self._numbers(value, parents, confounder)
        density = spline_log_prob(numbers, self.standardised(value), self.bins)
        return density - self.scale.log().to(density.dtype)

    def abduct(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        prior: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The standard normal that gives ``value``."""
        numbers = self._numbers(value, parents, confounder)
        spline, shift, log_scale = _pieces(numbers, self.bins)
        return {"normal": spline.inverse((self.standardised(value) - shift) / log_scale.exp())}

    @property
    def conditioner(self) -> Conditioner:
        return self.network

    def settings(self) -> Json:
        return {"hidden": list(self.hidden), "bins": self.bins}
