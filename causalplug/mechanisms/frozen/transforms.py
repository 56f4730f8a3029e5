"""Changes of shape that a frozen generator's images may be put through when a user asks for them
by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from causalplug.errors import MechanismError
from causalplug.selection import without
from causalplug.variables import Image

__all__ = ["TRANSFORMS", "ImageTransform"]


def _grey_to_rgb(images: Tensor, target: Image) -> Tensor:
    if images.shape[1] == 1:
        return images.expand(-1, 3, -1, -1)
    return images


def _rgb_to_grey(images: Tensor, target: Image) -> Tensor:
    return images.mean(1, keepdim=True)


def _resize(images: Tensor, target: Image) -> Tensor:
    size = (target.height, target.width)
    return torch.nn.functional.interpolate(
        images, size=size, mode="bilinear", align_corners=False, antialias=True
    )


def _pad(images: Tensor, target: Image) -> Tensor:
    """Centre the image on a background of its own darkest possible value."""
    tall, wide = target.height - images.shape[2], target.width - images.shape[3]
    edges = (wide // 2, wide - wide // 2, tall // 2, tall - tall // 2)
    return torch.nn.functional.pad(images, edges, value=-torch.inf)


def _invert(images: Tensor, target: Image) -> Tensor:
    return -images


TRANSFORMS: Mapping[str, Callable[[Tensor, Image], Tensor]] = {
    "grey-to-rgb": _grey_to_rgb,
    "invert": _invert,
    "pad": _pad,
    "resize": _resize,
    "rgb-to-grey": _rgb_to_grey,
}
"""Name to function; ``pad`` fills with the lower end of the range, ``invert`` swaps the ends of
the range."""


class ImageTransform:
    """Named changes, then the change of range, from a generator's images to those of a variable.

    Args:
        names: Keys of :data:`TRANSFORMS`, applied in order.
        source: What the generator paints.
        target: What the variable declares.
        variable: The variable's name, for messages.

    Raises:
        MechanismError: An unknown name, or a shape that still differs at the end.
    """

    def __init__(self, names: Sequence[str], source: Image, target: Image, variable: str = "image"):
        unknown = without(names, TRANSFORMS)
        if unknown:
            raise MechanismError(
                f"transform={unknown[0]!r} is not known. Known are: {', '.join(TRANSFORMS)}; give "
                "one or a list of them."
            )
        self.names, self.source, self.target = tuple(names), source, target
        shape = self._shape()
        if shape != target.event_shape:
            raise MechanismError(
                f"The generator cannot paint {variable!r}: its images have shape {shape} "
                f"(channels, height, width), the variable declares {target.event_shape}. "
                f"{self._advice(shape)} Or declare the variable as the generator's "
                f"Image{source.event_shape}."
            )

    def _shape(self) -> tuple[int, ...]:
        image = torch.zeros(1, *self.source.event_shape)
        if "pad" in self.names and (
            self.target.height < image.shape[2] or self.target.width < image.shape[3]
        ):
            return self.source.event_shape
        for name in self.names:
            image = TRANSFORMS[name](image, self.target)
        return tuple(image.shape[1:])

    def _advice(self, shape: tuple[int, ...]) -> str:
        names = list(self.names)
        if (shape[0], self.target.channels) == (1, 3):
            names.append("grey-to-rgb")
        if (shape[0], self.target.channels) == (3, 1):
            names.append("rgb-to-grey")
        if shape[1:] != self.target.event_shape[1:]:
            names.append("resize")
        if tuple(names) != self.names:
            return f"Ask for the change by transform={names}."
        return ""

    @property
    def invertible(self) -> bool:
        """Whether :meth:`inverse` gives back what was put in."""
        return set(self.names) <= {"grey-to-rgb", "invert", "pad"}

    def inverse(self, images: Tensor) -> Tensor:
        """Images of the source from those of the target; only where ``invertible``."""
        low, high = self.target.low, self.target.high
        unit = (images - low) / (high - low) - 0.5
        for name in reversed(self.names):
            if name == "invert":
                unit = -unit
            elif name == "grey-to-rgb":
                if self.source.channels == 1:
                    unit = unit.mean(1, keepdim=True)
            else:
                top, left = (
                    (unit.shape[2] - self.source.height) // 2,
                    (unit.shape[3] - self.source.width) // 2,
                )
                unit = unit[:, :, top : top + self.source.height, left : left + self.source.width]
        return self.source.low + (self.source.high - self.source.low) * (unit + 0.5)

    def __call__(self, images: Tensor) -> Tensor:
        """Images ``(n, …)`` of the source as images of the target, in its range."""
        low, high = self.source.low, self.source.high
        if self.names:
            unit = (images - low) / (high - low) - 0.5
            for name in self.names:
                unit = TRANSFORMS[name](unit, self.target)
            unit = unit.clamp(-0.5, 0.5) + 0.5
            return self.target.low + (self.target.high - self.target.low) * unit
        if (low, high) == (self.target.low, self.target.high):
            return images
        scale = (self.target.high - self.target.low) / (high - low)
        return self.target.low + (images - low) * scale
