"""Networks of image mechanisms: encoders and decoders that read what the image is conditioned on,
of convolutions or of dense layers."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

__all__ = ["NETWORKS", "DenseDecoder", "DenseEncoder", "ImageDecoder", "ImageEncoder", "Waves"]

_KINDS = torch.channels_last


class _Block(nn.Module):
    """A convolution whose channels a condition scales and shifts (FiLM, Perez et al. 2018)."""

    def __init__(self, inner: int, outer: int, condition: int, *, stride: int = 1, size: int = 3):
        super().__init__()
        self.convolution = nn.Conv2d(inner, outer, size, stride, size // 2)
        self.condition = nn.Linear(condition, 2 * outer)

    def forward(self, maps: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.condition(condition)[..., None, None].chunk(2, 1)
        return torch.addcmul(shift, self.convolution(maps), 1 + scale).relu()


class ImageEncoder(nn.Module):
    """Centre and log scale of a latent, read off an image and what it is conditioned on.

    Args:
        shape: Channels, height and width of the image.
        condition: Numbers of the condition.
        latent: Numbers of the latent.
        width: Channels of the first maps.
    """

    def __init__(self, shape: tuple[int, int, int], condition: int, latent: int, *, width: int):
        super().__init__()
        channels, height, across = shape
        self.first = _Block(channels, 3 * width // 2, condition, stride=2, size=5)
        self.second = _Block(3 * width // 2, 2 * width, condition)
        self.third = _Block(2 * width, 4 * width, condition, stride=2)
        self.fourth = _Block(4 * width, 4 * width, condition)
        coarse = -(-height // 4) * -(-across // 4)
        self.read = nn.Sequential(
            nn.Linear(4 * width * coarse, 8 * width), nn.SiLU(), nn.Linear(8 * width, 2 * latent)
        )

    def forward(self, images: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Centre and log scale ``(n, latent)`` for images in [0, 1]."""
        maps = (2 * images - 1).contiguous(memory_format=_KINDS)
        for block in (self.first, self.second, self.third, self.fourth):
            maps = block(maps, condition)
        centre, log_scale = self.read(maps.flatten(1)).chunk(2, 1)
        return centre, log_scale.clamp(-6, 3)


class ImageDecoder(nn.Module):
    """Mean and scale of every pixel, from a latent and what the image is conditioned on.

    Args:
        shape: Channels, height and width of the image.
        condition: Numbers of the condition.
        latent: Numbers of the latent.
        width: Channels of the finest hidden maps.
    """

    def __init__(self, shape: tuple[int, int, int], condition: int, latent: int, *, width: int):
        super().__init__()
        self.shape, self.width = shape, width
        _, height, across = shape
        self.coarse = (-(-height // 4), -(-across // 4))
        both, style = condition + latent, 4 * width
        self.start = nn.Sequential(
            nn.Linear(both, 8 * width),
            nn.SiLU(),
            nn.Linear(8 * width, 4 * width * self.coarse[0] * self.coarse[1]),
            nn.SiLU(),
        )
        self.style = nn.Sequential(
            nn.Linear(both, 8 * width), nn.SiLU(), nn.Linear(8 * width, style), nn.SiLU()
        )
        self.first = _Block(4 * width, 4 * width, style)
        self.second = _Block(4 * width, 4 * width, style)
        self.enlarge = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.third = _Block(2 * width, 3 * width, style)
        self.restore = nn.ConvTranspose2d(3 * width, width, 2, stride=2)
        self.fourth = _Block(width, width, style)
        self.out = nn.Conv2d(width, 2 * shape[0], 3, padding=1)

    def forward(self, latent: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the means and of the scales, each ``(n, *shape)``."""
        both = torch.cat([latent, condition], -1)
        style = self.style(both)
        maps = self.start(both).view(-1, 4 * self.width, *self.coarse)
        maps = self.first(maps.contiguous(memory_format=_KINDS), style)
        maps = self.enlarge(self.second(maps, style))
        maps = self.restore(self.third(maps, style))
        _, height, across = self.shape
        found = self.out(self.fourth(maps, style))[..., :height, :across]
        mean, scale = found.chunk(2, 1)
        return mean, scale


class DenseEncoder(nn.Module):
    """The same as :class:`ImageEncoder` without convolutions: cheaper by far, for small images
    whose content has its place.

    Args:
        shape, condition, latent: As of :class:`ImageEncoder`.
        width: A thirty-second of the units of the first layer.
    """

    def __init__(self, shape: tuple[int, int, int], condition: int, latent: int, *, width: int):
        super().__init__()
        self.first = nn.Linear(math.prod(shape), 32 * width)
        self.condition = nn.Linear(condition, 32 * width)
        self.second = nn.Linear(32 * width, 16 * width)
        self.read = nn.Linear(16 * width, 2 * latent)

    def forward(self, images: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Centre and log scale ``(n, latent)`` for images in [0, 1]."""
        hidden = (self.first((2 * images - 1).flatten(1)) + self.condition(condition)).relu()
        centre, log_scale = self.read(self.second(hidden).relu()).chunk(2, 1)
        return centre, log_scale.clamp(-6, 3)


class DenseDecoder(nn.Module):
    """The same as :class:`ImageDecoder` without convolutions.

    Args:
        shape, condition, latent: As of :class:`ImageDecoder`.
        width: A thirty-second of the units of the last hidden layer.
    """

    def __init__(self, shape: tuple[int, int, int], condition: int, latent: int, *, width: int):
        super().__init__()
        self.shape = shape
        self.start = nn.Linear(latent, 16 * width)
        self.condition = nn.Linear(condition, 16 * width)
        self.style = nn.Linear(condition, 64 * width)
        self.first = nn.Linear(16 * width, 32 * width)
        self.second = nn.Linear(32 * width, 32 * width)
        self.out = nn.Linear(32 * width, 2 * math.prod(shape))

    def forward(self, latent: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the means and of the scales, each ``(n, *shape)``."""
        hidden = (self.start(latent) + self.condition(condition)).relu()
        scale, shift = self.style(condition).chunk(2, 1)
        hidden = torch.addcmul(shift, self.first(hidden), 1 + scale).relu()
        mean, spread = self.out(self.second(hidden).relu()).chunk(2, 1)
        return mean.view(-1, *self.shape), spread.view(-1, *self.shape)


class Waves(nn.Module):
    """Images as sums of cosine waves (the orthonormal DCT-II, Ahmed et al. 1974), each with a
    standard deviation that is learned: a stationary covariance that any size of image can afford,
    and that is turned round exactly.

    Args:
        shape: Channels, height and width of the image.
    """

    def __init__(self, shape: tuple[int, int, int]):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(shape))

    def forward(self, noise: Tensor) -> Tensor:
        """The image ``(n, *shape)`` that independent standard normal numbers make."""
        down, across = self._turn(noise)
        return down.T @ (noise * self.log_scale.to(noise.dtype).exp()) @ across

    def of(self, image: Tensor) -> Tensor:
        """The numbers that :meth:`forward` makes ``image`` of."""
        down, across = self._turn(image)
        return (down @ image @ across.T) * self.log_scale.to(image.dtype).neg().exp()

    def _turn(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """The waves down and across, in full precision whatever that of the parameters."""
        _, height, width = self.log_scale.shape
        return _cosines(height).to(like), _cosines(width).to(like)

    def log_size(self) -> Tensor:
        """Log determinant of :meth:`forward`."""
        return self.log_scale.float().sum()


@lru_cache(maxsize=64)
def _cosines(size: int) -> Tensor:
    """The orthonormal matrix ``(size, size)`` of the DCT-II."""
    place = torch.arange(size, dtype=torch.float64)
    found = torch.cos(math.pi * (place[None] + 0.5) * place[:, None] / size)
    found[0] *= math.sqrt(0.5)
    return found * math.sqrt(2 / size)


NETWORKS: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {
    "convolution": (ImageEncoder, ImageDecoder),
    "dense": (DenseEncoder, DenseDecoder),
}
"""Encoder and decoder by the word for them."""
