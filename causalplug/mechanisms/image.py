"""The trainable mechanism of an image variable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from causalplug.mechanisms.base import Mechanism, register_mechanism
from causalplug.mechanisms.conditioner import Conditioner, ParentSpec, parents_from_config, parents_to_config
from causalplug.noise import NoiseSpec
from causalplug.variables import Image, variable_from_dict

__all__ = ["ConvGenerator"]


@register_mechanism("conv-generator")
class ConvGenerator(Mechanism):
    """A convolutional conditional generator: parents, confounder noise and a latent to an image.

    A network turns the conditions and the latent into a small feature map; two steps of upsampling and convolution, with no
    statistics over the batch, turn that into pixels: a row's image does not depend on the rows beside it.

    Args:
        variable: the image variable.
        parents: what is read of each parent, in order.
        confounder_size: numbers of confounder noise of one row.
        latent_size: numbers of own noise of one row.
        channels: widths of the two feature maps.
    """

    def __init__(
        self,
        variable: Image,
        parents: Mapping[str, ParentSpec],
        *,
        confounder_size: int = 0,
        latent_size: int = 64,
        channels: Sequence[int] = (64, 32),
    ):
        super().__init__()
        self.variable: Image = variable
        self.parents = tuple(parents)
        self.noise = {"latent": NoiseSpec((latent_size,))}
        self.latent_size, self.channels = latent_size, tuple(channels)
        first, second = self.channels
        self.start = (first, -(-variable.height // 4), -(-variable.width // 4))
        size = first * self.start[1] * self.start[2]
        self.conditions = Conditioner(parents, confounder_size, 32, hidden=(64,))
        self.project = nn.Linear(latent_size + 32, size)
        self.paint = nn.Sequential(
            nn.GroupNorm(8, first),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(first, second, 3, padding=1),
            nn.GroupNorm(8, second),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(second, second, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(second, variable.channels, 3, padding=1),
            nn.Sigmoid(),
        )

    def forward(
        self, parents: Mapping[str, Tensor], noise: Mapping[str, Tensor], confounder: Tensor | None = None
    ) -> Tensor:
        """Images ``(n, channels, height, width)`` in the variable's range."""
        latent = noise["latent"]
        conditions = self.conditions(parents, confounder).expand(len(latent), -1)
        hidden = self.project(torch.cat([latent, conditions], -1)).view(-1, *self.start)
        picture = self.paint(hidden)[..., : self.variable.height, : self.variable.width]
        return self.variable.low + (self.variable.high - self.variable.low) * picture

    def config(self) -> dict[str, Any]:
        return {
            "variable": self.variable.to_dict(),
            "parents": parents_to_config(self.conditions.parents),
            "confounder_size": self.conditions.confounder_size,
            "latent_size": self.latent_size,
            "channels": list(self.channels),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ConvGenerator:
        variable = variable_from_dict(config["variable"])
        options = {key: config[key] for key in ("confounder_size", "latent_size", "channels")}
        return cls(variable, parents_from_config(config["parents"]), **options)  # type: ignore[arg-type]
