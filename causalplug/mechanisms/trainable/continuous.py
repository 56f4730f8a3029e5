"""The trainable mechanism of a continuous variable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from zuko.transforms import MonotonicRQSTransform

from causalplug.mechanisms.base import Mechanism, register_mechanism
from causalplug.mechanisms.trainable.conditioner import (
    Conditioner,
    ParentSpec,
    parents_from_config,
    parents_to_config,
)
from causalplug.networks import location_and_scale
from causalplug.noise import NoiseSpec
from causalplug.variables import Continuous, variable_from_dict

__all__ = ["ContinuousSpline"]


@register_mechanism("continuous-spline")
class ContinuousSpline(Mechanism):
    """A monotone map of one standard normal, given the parents and the confounder noise.

    A rational-quadratic spline (Durkan et al. 2019) followed by a shift and a scale, all three
    predicted by the network: it samples with gradients, has an explicit density, and its noise is
    recovered exactly from a value.

    Args:
        variable: the continuous variable.
        parents: what is read of each parent, in order.
        confounder_size: numbers of confounder noise of one row.
        hidden: widths of the hidden layers.
        bins: pieces of the spline.
    """

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
        kind = torch.float64 if variable.precise else None
        self.register_buffer("loc", torch.zeros((), dtype=kind))
        self.register_buffer("scale", torch.ones((), dtype=kind))

    def standardise_parents(self, rows: Mapping[str, Tensor]) -> None:
        self.network.standardise(rows)

    def standardise(self, values: Tensor) -> None:
        """Set location and scale of the variable from rows of data; rows in float64 make the
        values float64 from here on."""
        if values.dtype == torch.float64:
            self.variable = replace(self.variable, precise=True)
            self.loc, self.scale = self.loc.double(), self.scale.double()
        location, scale = location_and_scale(values)
        self.loc.copy_(location)
        self.scale.copy_(scale)

    def _map(
        self, rows: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None
    ) -> tuple[Any, Tensor, Tensor]:
        numbers = self.network(parents, confounder)
        numbers = numbers.expand(*torch.broadcast_shapes(numbers.shape[:-1], rows.shape), -1)
        widths, heights, slopes, affine = numbers.split(
            [self.bins, self.bins, self.bins - 1, 2], dim=-1
        )
        if self.variable.precise:  # a single number in float64 would not make the result float64
            affine = affine.double()
        shift = self.loc + self.scale * affine[..., 0]
        log_scale = self.scale.log() + 5 * torch.tanh(affine[..., 1] / 5)
        return MonotonicRQSTransform(widths, heights, slopes), shift, log_scale

    def _standard(self, value: Tensor, shift: Tensor, log_scale: Tensor) -> Tensor:
        """The value in units of the spline, in the default precision."""
        found = (value - shift) / log_scale.exp()
        return found.to(torch.get_default_dtype()) if self.variable.precise else found

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Floats ``(n,)``."""
        spline, shift, log_scale = self._map(noise["normal"], parents, confounder)
        return shift + log_scale.exp() * spline(noise["normal"])

    def log_prob(
        self, value: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None = None
    ) -> Tensor:
        """Log density ``(n,)`` of floats, or ``(s, n)``."""
        spline, shift, log_scale = self._map(value, parents, confounder)
        standard = self._standard(value, shift, log_scale)
        normal, log_slope = spline.inv.call_and_ladj(standard)
        density = torch.distributions.Normal(0.0, 1.0).log_prob(normal) + log_slope - log_scale
        return density.to(standard.dtype)

    def abduct(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        prior: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The standard normal that gives ``value``."""
        spline, shift, log_scale = self._map(value, parents, confounder)
        return {"normal": spline.inv(self._standard(value, shift, log_scale))}

    @property
    def confounder_numbers(self) -> int:
        return self.network.confounder_size

    def config(self) -> dict[str, Any]:
        return {
            "variable": self.variable.to_dict(),
            "parents": parents_to_config(self.network.parents),
            "confounder_size": self.network.confounder_size,
            "hidden": list(self.hidden),
            "bins": self.bins,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ContinuousSpline:
        variable = variable_from_dict(config["variable"])
        options = {key: config[key] for key in ("confounder_size", "hidden", "bins")}
        return cls(variable, parents_from_config(config["parents"]), **options)  # type: ignore[arg-type]
