"""The trainable mechanism of a vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import zuko
from torch import Tensor

from causalplug.files.precision import Exact
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.trainable.conditioned import Conditioned
from causalplug.mechanisms.trainable.conditioner import (
    Conditioner,
    ParentSpec,
)
from causalplug.networks import common_shape, location_and_scale
from causalplug.noise import NoiseSpec
from causalplug.values import Json
from causalplug.variables.vector import Vector

__all__ = ["VectorFlow"]

_CONTEXT = 32


@register_mechanism("vector-flow")
class VectorFlow(Exact, Conditioned):
    """A neural spline flow (Durkan et al. 2019): a standard normal vector, mapped one to one.

    A network turns parents and confounder noise into a context of 32 numbers, and a masked
    autoregressive flow of ``zuko`` maps the noise given the context. Its density is explicit, and
    its noise is recovered exactly from a value.

    Args:
        variable: The vector.
        parents: What is read of each parent, in order.
        confounder_size: Numbers of confounder noise of one row.
        hidden: Widths of the hidden layers.
        transforms: Layers of the flow.
    """

    exact = ("loc", "scale", "flow")  # a flow of few digits is not invertible
    loc: Tensor
    scale: Tensor
    explicit = True
    abduction = "exact"

    def __init__(
        self,
        variable: Vector,
        parents: Mapping[str, ParentSpec],
        *,
        confounder_size: int = 0,
        hidden: Sequence[int] = (64, 64),
        transforms: int = 2,
    ):
        super().__init__()
        self.variable: Vector = variable
        self.parents = tuple(parents)
        self.noise = {"normal": NoiseSpec((variable.size,))}
        self.hidden, self.transforms = tuple(hidden), transforms
        self.network = Conditioner(parents, confounder_size, _CONTEXT, hidden=hidden)
        self.flow = zuko.flows.NSF(
            variable.size, context=_CONTEXT, transforms=transforms, hidden_features=self.hidden
        )
        self.register_buffer("loc", torch.zeros(variable.size))
        self.register_buffer("scale", torch.ones(variable.size))

    @property
    def conditioner(self) -> Conditioner:
        return self.network

    def settings(self) -> Json:
        return {"hidden": list(self.hidden), "transforms": self.transforms}

    def standardise(self, values: Tensor) -> None:
        """Set location and scale of every number from rows ``(n, size)`` of data."""
        location, scale = location_and_scale(values)
        self.loc.copy_(location)
        self.scale.copy_(scale)

    def _transform(
        self, rows: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None
    ) -> Any:
        context = self.network(parents, confounder)
        shape = common_shape(context.shape[:-1], rows.shape[:-1])
        return self.flow(context.expand(*shape, -1).to(self._kind)).transform

    @property
    def _kind(self) -> torch.dtype:
        return next(self.flow.parameters()).dtype

    def _standardised(self, value: Tensor) -> Tensor:
        return ((value - self.loc) / self.scale).to(self._kind)

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Vectors ``(n, size)``."""
        normal = noise["normal"].to(self._kind)
        transform = self._transform(normal, parents, confounder)
        value = self.loc + self.scale * transform.inv(normal)
        return value.to(torch.get_default_dtype())

    def log_prob(
        self, value: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None = None
    ) -> Tensor:
        """Log density ``(n,)`` of vectors, or ``(s, n)``."""
        context = self.network(parents, confounder)
        shape = common_shape(context.shape[:-1], value.shape[:-1])
        transform = self.flow(context.expand(*shape, -1).to(self._kind)).transform
        normal, log_slope = transform.call_and_ladj(self._standardised(value).expand(*shape, -1))
        density = torch.distributions.Normal(0.0, 1.0).log_prob(normal).sum(-1)
        return density + log_slope - self.scale.log().sum()

    def abduct(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        prior: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The standard normal vector that gives ``value``."""
        transform = self._transform(value, parents, confounder)
        return {"normal": transform(self._standardised(value))}
