"""The trainable mechanism of an image whose noise can be recovered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from causalplug.errors import MechanismError
from causalplug.mechanisms.base import Mechanism, register_mechanism
from causalplug.mechanisms.trainable.conditioned import ConditionedImage
from causalplug.mechanisms.trainable.conditioner import (
    Conditioner,
    ParentSpec,
)
from causalplug.mechanisms.trainable.image_layers import NETWORKS, Waves
from causalplug.noise import NoiseSpec
from causalplug.values import Json, Named
from causalplug.variables import Image, Variable

__all__ = ["InvertibleImage", "ResidualVAE"]

_CONDITION = 64
_POINTS, _DRAWS = 4096, 8
_LEAST, _MOST = 0.03, 0.5  # scales of a pixel, as shares of the variable's range
_SHUT, _OPEN = 0.02, 4.0  # a gate's least value, and where it begins, before the sigmoid
_DARK, _BRIGHT = 0.05, 3.0  # a channel's least ceiling, and where it begins, before the sigmoid
_ABOVE = 0.1  # how much of what is above the ceiling is shown
_SHARP = 0.07  # the scale by which a mean learns, whatever the pixel's own


class _Cut(torch.autograd.Function):
    """Values cut off at 0 and 1. A gradient passes where descending it leads back inside: what was
    cut off can come back, and is not driven further out."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        context.save_for_backward(values)
        return values.clamp(0, 1)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (values,) = context.saved_tensors
        outwards = ((values > 1) & (gradient < 0)) | ((values < 0) & (gradient > 0))
        return gradient.masked_fill(outwards, 0)


def _cut(values: Tensor) -> Tensor:
    return _Cut.apply(values)


@dataclass(frozen=True, eq=False)
class _Pixels:
    """What is decoded of an image in [0, 1].

    Attributes:
        mean, scale: Of every pixel.
        ceiling: Of every channel, above the means.
    """

    mean: Tensor
    scale: Tensor
    ceiling: Tensor


def _lowered(values: Tensor, ceiling: Tensor) -> Tensor:
    """Values of which little is left above the ceiling."""
    return torch.minimum(values, ceiling + _ABOVE * (values - ceiling))


def _raised(values: Tensor, ceiling: Tensor) -> Tensor:
    """What :func:`_lowered` makes ``values`` of."""
    return torch.maximum(values, ceiling + (values - ceiling) / _ABOVE)


@register_mechanism("residual-vae")
class ResidualVAE(ConditionedImage):
    """An image as a decoded mean plus a scaled residual; both noises are recovered from it.

    ``V = mean(pa, latent) + scale(pa, latent) * residual``, where the parts are those of a
    conditional variational autoencoder (Kingma & Welling 2014). :meth:`abduct` reads the latent by
    the encoder, at the centre of its posterior, and solves for the residual: the two give the image
    back exactly. Under other parents the latent says what kind of image it is, and the residual
    carries over what the latent does not hold, as far as the new scale lets it. A scale is that of
    a pixel times a gate of the whole image, so that latent and parents which do not go together can
    shut out the residual. A ceiling of each channel, by latent and parents too, bounds the means,
    and of what goes beyond it a tenth is shown: an image that is to be dark has no bright spots in
    it. The residual is correlated: its cosine waves are independent, each with a standard deviation
    that is learned, so that fresh images have no more grain than real ones leave.

    :meth:`log_prob` is a lower bound of the log density, importance weighted (Burda et al. 2016)
    in evaluation. In training its gradient is that of the bound for the scales alone; means and
    latents learn as if every pixel had one small scale. Learned together by likelihood, a scale
    that is large at first takes a pixel's error for noise, and its mean stays blurred (Seitzer et
    al. 2022).

    Args:
        variable: The image variable.
        parents: What is read of each parent, in order.
        confounder_size: Numbers of confounder noise of one row.
        latent_size: Numbers of the latent.
        width: Channels of the finest hidden maps; of dense layers a thirty-second of the units.
        residual: Whether it has the residual; without it the image is the decoded mean, as of a
            plain autoencoder, and the recovered noise gives the image back approximately.
        network: ``"convolution"``, or ``"dense"``, which is cheaper, for small images whose content
            has its place.
    """

    explicit = True
    abduction = "exact"
    learning_rate = 2e-3
    points: Tensor

    def __init__(
        self,
        variable: Image,
        parents: Mapping[str, ParentSpec],
        *,
        confounder_size: int = 0,
        latent_size: int = 24,
        width: int = 16,
        residual: bool = True,
        network: str = "convolution",
    ):
        super().__init__()
        if network not in NETWORKS:
            raise MechanismError(
                f"network={network!r} is unknown: use {' or '.join(map(repr, NETWORKS))}."
            )
        if latent_size < 1 or width < 4:
            raise MechanismError(
                f"An autoencoder of images cannot have latent_size={latent_size} and "
                f"width={width}: it needs a latent of at least one number, and maps of at least "
                "four channels."
            )
        self.variable: Image = variable
        self.parents = tuple(parents)
        self.latent_size, self.width = latent_size, width
        shape = (variable.channels, variable.height, variable.width)
        self.residual, self.network = residual, network
        self.noise = {"latent": NoiseSpec((latent_size,))}
        if residual:
            self.noise["residual"] = NoiseSpec(shape)
        else:
            self.abduction = "approximate"
        self.conditions = Conditioner(parents, confounder_size, _CONDITION, hidden=(_CONDITION,))
        encoder, decoder = NETWORKS[network]
        self.encoder = encoder(shape, _CONDITION, latent_size, width=width)
        self.decoder = decoder(shape, _CONDITION, latent_size, width=width)
        self.tone = nn.Sequential(
            nn.Linear(latent_size + _CONDITION, _CONDITION),
            nn.SiLU(),
            nn.Linear(_CONDITION, 1 + variable.channels),
        )
        self.waves = Waves(shape)
        draws = torch.quasirandom.SobolEngine(latent_size, scramble=True, seed=0).draw(_POINTS)
        normal = torch.special.ndtri(draws.clamp(1e-6, 1 - 1e-6))
        self.register_buffer("points", normal, persistent=False)

    # -- the two directions

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Images ``(n, channels, height, width)`` in the variable's range."""
        condition = self._condition(parents, confounder, len(noise["latent"]))
        pixels = self._pixels(noise["latent"], condition)
        if not self.residual:
            return self.ranged(pixels.mean)
        found = pixels.mean + pixels.scale * self.waves(noise["residual"])
        return self.ranged(_cut(_lowered(found, pixels.ceiling)))

    def abduct(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        prior: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The centre of the latent's posterior, and the residual that gives ``value`` with it."""
        unit = self.unit(value)
        condition = self._condition(parents, confounder, len(value))
        latent = self._posterior(unit, condition)[0]
        if not self.residual:
            return {"latent": latent}
        pixels = self._pixels(latent, condition)
        return {"latent": latent, "residual": self.waves.of(self._left(unit, pixels))}

    def log_prob(
        self, value: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None = None
    ) -> Tensor:
        """Lower bound ``(n,)`` of the log density of images, or ``(s, n)``."""
        condition = self.conditions(parents, confounder)
        lead = condition.shape[:-2]
        condition = condition.expand(*lead, len(value), -1).flatten(0, -2)
        unit = self.unit(value).expand(*lead, *value.shape).flatten(0, -value.ndim)
        centre, log_scale = self._posterior(unit, condition)
        points = self._points(centre)
        latent = centre + log_scale.exp() * points
        several = condition.expand(len(points), *condition.shape)
        pixels = self._pixels(latent.flatten(0, 1), several.flatten(0, 1))
        images = unit.expand(len(points), *unit.shape).flatten(0, 1)
        density = self._density(images, pixels)
        gap = 0.5 * (points.square() - latent.square()) + log_scale
        bound = density.view(len(points), -1) + gap.sum(-1)
        return (torch.logsumexp(bound, 0) - math.log(len(points))).view(*lead, len(value))

    # -- parts

    def _condition(
        self, parents: Mapping[str, Tensor], confounder: Tensor | None, rows: int
    ) -> Tensor:
        return self.conditions(parents, confounder).expand(rows, -1)

    def _posterior(self, unit: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Centre and log scale of the latent, in the default precision."""
        kind = self._kind
        centre, log_scale = self.encoder(unit.to(kind), condition.to(kind))
        default = torch.get_default_dtype()
        return centre.to(default), log_scale.to(default)

    def _pixels(self, latent: Tensor, condition: Tensor) -> _Pixels:
        """What latent and condition say of an image in [0, 1], in the default precision."""
        kind = self._kind
        latent, condition = latent.to(kind), condition.to(kind)
        mean, scale = self.decoder(latent, condition)
        default = torch.get_default_dtype()
        spread = _LEAST + (_MOST - _LEAST) * torch.sigmoid(scale.to(default) - 2)
        tone = self.tone(torch.cat([latent, condition], -1)).to(default)[..., None, None]
        gate = _SHUT + (1 - _SHUT) * torch.sigmoid(tone[..., :1, :, :] + _OPEN)
        ceiling = _DARK + (1 - _DARK) * torch.sigmoid(tone[..., 1:, :, :] + _BRIGHT)
        return _Pixels(ceiling * torch.sigmoid(mean.to(default) - 2), gate * spread, ceiling)

    def _left(self, images: Tensor, pixels: _Pixels) -> Tensor:
        """What the mean leaves of images, in scales."""
        return (_raised(images, pixels.ceiling) - pixels.mean) / pixels.scale

    def _density(self, images: Tensor, pixels: _Pixels) -> Tensor:
        """Log density ``(n,)`` of images; in training with the gradient of sharp means."""
        if not self.training:
            return self._log(images, pixels)
        pull = -0.5 * ((images - pixels.mean) / _SHARP).square().flatten(1).sum(1)
        still = replace(pixels, mean=pixels.mean.detach())
        return self._log(images, still) + (pull - pull.detach())

    def _log(self, images: Tensor, pixels: _Pixels) -> Tensor:
        waves = self.waves.of(self._left(images, pixels))
        steep = (images > pixels.ceiling) * -math.log(_ABOVE)
        each = torch.distributions.Normal(0.0, 1.0).log_prob(waves) - pixels.scale.log() + steep
        return each.flatten(1).sum(1) - self.waves.log_size()

    def _points(self, centre: Tensor) -> Tensor:
        """Standard normal draws ``(k, n or 1, latent)``: a fixed few in evaluation, and one in
        training, which the centres themselves choose: so it changes from step to step, and is the
        same where a training is resumed."""
        if not self.training:
            return self.points[:_DRAWS, None].to(centre.dtype)
        place = centre.detach().double().sum(-1).mul(1e6).remainder(_POINTS).long()
        return self.points[place.clamp(0, _POINTS - 1)].to(centre.dtype)[None]

    @property
    def _kind(self) -> torch.dtype:
        return next(self.decoder.parameters()).dtype

    # -- saving

    def settings(self) -> Json:
        return {
            "latent_size": self.latent_size,
            "width": self.width,
            "residual": self.residual,
            "network": self.network,
        }


class InvertibleImage(Mechanism):
    """Where an image's mechanism is meant to recover its noise: the model builds a
    :class:`ResidualVAE` for the parents that its graph gives.

    Args:
        latent_size: Numbers of the latent.
        width: Channels of the finest hidden maps; of dense layers a thirty-second of the units.
        residual: Whether the mechanism has the residual by which it gives every image back exactly.
        network: ``"convolution"``, or ``"dense"``, which is cheaper, for small images whose content
            has its place.

    Example:
        >>> import causalplug as cp
        >>> graph = cp.CausalGraph.parse("D -> I")
        >>> variables = {"D": cp.Discrete(10), "I": cp.Image(1, 28, 28)}
        >>> dcm = cp.DCM(graph, variables, mechanisms={"I": cp.InvertibleImage()})
        >>> dcm.mechanism("I").abduction
        'exact'
    """

    awaits_model = True

    def __init__(
        self,
        *,
        latent_size: int = 24,
        width: int = 16,
        residual: bool = True,
        network: str = "convolution",
    ):
        super().__init__()
        self.settings: Json = {
            "latent_size": latent_size,
            "width": width,
            "residual": residual,
            "network": network,
        }

    def completed(self, variable: Variable, parents: Named, confounder_size: int) -> ResidualVAE:
        """The mechanism of one image of a graph.

        Raises:
            MechanismError: The variable is no image.
        """
        if not isinstance(variable, Image):
            raise MechanismError(
                f"An InvertibleImage cannot be the mechanism of {variable}: it makes images."
            )
        return ResidualVAE(variable, parents, confounder_size=confounder_size, **self.settings)
