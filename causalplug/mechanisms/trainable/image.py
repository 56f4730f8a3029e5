"""The trainable mechanism of an image variable."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.trainable.conditioned import ConditionedImage
from causalplug.mechanisms.trainable.conditioner import (
    Conditioner,
    ParentSpec,
)
from causalplug.noise import NoiseSpec
from causalplug.values import Json
from causalplug.variables import Image

__all__ = ["ConvGenerator"]


@register_mechanism("conv-generator")
class ConvGenerator(ConditionedImage):
    """A small conditional image generator: parents, confounder noise and a latent to an image.

    A style network turns conditions and latent into one vector. From it come coarse feature maps,
    which are enlarged, convolved and blurred into a few full-size maps, and the weights by which
    each colour channel mixes those maps, so that a colour is one choice for the whole image.
    Nothing is computed over the batch: a row's image does not depend on the rows beside it.

    Args:
        variable: The image variable.
        parents: What is read of each parent, in order.
        confounder_size: Numbers of confounder noise of one row.
        latent_size: Numbers of own noise of one row.
        width: Channels of the coarse maps.
        maps: Full-size maps that are mixed into the colour channels.
    """

    blur: Tensor

    def __init__(
        self,
        variable: Image,
        parents: Mapping[str, ParentSpec],
        *,
        confounder_size: int = 0,
        latent_size: int = 32,
        width: int = 16,
        maps: int = 4,
    ):
        super().__init__()
        self.variable: Image = variable
        self.parents = tuple(parents)
        self.noise = {"latent": NoiseSpec((latent_size,))}
        self.latent_size, self.width, self.maps = latent_size, width, maps
        self.coarse = (-(-variable.height // 4), -(-variable.width // 4))
        self.conditions = Conditioner(parents, confounder_size, 32, hidden=(32,))
        self.style = nn.Sequential(
            nn.Linear(latent_size + 32, 128),
            nn.LeakyReLU(0.2),
            nn.Linear(128, 128),
            nn.LeakyReLU(0.2),
        )
        self.start = nn.Linear(128, width * self.coarse[0] * self.coarse[1])
        self.shape = nn.Conv2d(width, width, 3, padding=1)
        self.detail = nn.Conv2d(width, 4 * maps, 3, padding=1)
        self.mix = nn.Linear(128, variable.channels * (maps + 1))
        kernel = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer(
            "blur",
            (kernel[:, None] * kernel / 16).expand(maps, 1, 3, 3).contiguous(),
            persistent=False,
        )

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Images ``(n, channels, height, width)`` in the variable's range."""
        latent, variable = noise["latent"], self.variable
        n = len(latent)
        conditions = self.conditions(parents, confounder).expand(n, -1)
        style = self.style(torch.cat([latent, conditions], -1).to(self.blur.dtype))
        hidden = nn.functional.leaky_relu(self.start(style), 0.2).view(n, self.width, *self.coarse)
        hidden = nn.functional.interpolate(hidden, scale_factor=2, mode="bilinear")
        hidden = self.detail(nn.functional.leaky_relu(self.shape(hidden), 0.2))
        hidden = nn.functional.conv2d(
            nn.functional.pixel_shuffle(hidden, 2), self.blur, padding=1, groups=self.maps
        )
        hidden = nn.functional.leaky_relu(hidden, 0.2)[..., : variable.height, : variable.width]
        mix = self.mix(style).view(n, variable.channels, self.maps + 1)
        picture = torch.baddbmm(mix[..., -1:], mix[..., :-1], hidden.flatten(2))
        picture = torch.sigmoid(picture.to(conditions.dtype) - 2).view(n, *variable.event_shape)
        return self.ranged(picture)

    def settings(self) -> Json:
        return {"latent_size": self.latent_size, "width": self.width, "maps": self.maps}
