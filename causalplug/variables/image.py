"""Image variables, channels first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from causalplug.arguments import REQUIRED, number, read_fields, setting, whole
from causalplug.errors import DataError, VariableError
from causalplug.values import Json
from causalplug.variables.base import Variable
from causalplug.variables.columns import as_array, is_tensor, refuse_missing, shared
from causalplug.variables.kinds import register_variable
from causalplug.variables.pictures import PictureError, picture_pixels

if TYPE_CHECKING:
    import torch

__all__ = ["Image"]


@register_variable("image")
@dataclass(frozen=True)
class Image(Variable):
    """An image variable, channels first.

    Args:
        channels, height, width: Shape of one image.
        low, high: Range of the float values. Images of type uint8 are mapped from 0..255 onto it.

    Raises:
        VariableError: A size below 1 or an empty range.
    """

    is_image: ClassVar[bool] = True
    needs_encoder: ClassVar[bool] = True
    has_density: ClassVar[bool] = False
    default_encoder: ClassVar[str | None] = "conv-encoder"
    default_mechanism: ClassVar[str | None] = "conv-generator"
    counterfactual_mechanism: ClassVar[str | None] = "residual-vae"
    channels: int = setting(REQUIRED, whole(1, 65_536))
    height: int = setting(REQUIRED, whole(1, 65_536))
    width: int = setting(REQUIRED, whole(1, 65_536))
    low: float = setting(0.0, number())
    high: float = setting(1.0, number())

    def __post_init__(self) -> None:
        read_fields(self, VariableError)
        if not self.low < self.high:
            raise VariableError(
                f"Image range [{self.low}, {self.high}] is empty: low must be smaller than high."
            )

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.channels, self.height, self.width)

    @property
    def feature_size(self) -> int:
        return self.channels * self.height * self.width

    def encode(
        self, values: object, name: str = "values", *, row: int | None = None
    ) -> torch.Tensor:
        """Images ``(n, channels, height, width)`` or one image: uint8, floats in [low, high], or
        PIL images.

        The result has the same type: uint8 stays uint8 to save memory, :meth:`scale` turns it into
            floats.

        Raises:
            DataError: Missing values, another shape or type, or values outside the range; nothing
                is repaired.
        """
        objects = not isinstance(values, np.ndarray) or (
            values.dtype.kind == "O" and values.ndim == 1
        )
        if objects and not is_tensor(values):
            values = self._from_objects(values, name)
        array = as_array(values, name)
        if array.dtype.kind == "O":
            array = self._stacked([np.asarray(self._from_objects(i, name)) for i in array], name)
            refuse_missing(array, name)
        if array.shape == self.event_shape:
            array = array[None]
        if array.ndim != 4 or array.shape[1:] != self.event_shape:
            if array.ndim == 4:
                found = array.shape[1:]
            else:
                found = array.shape
            raise DataError(
                f"{name!r} holds images of shape {found}, but the variable declares "
                f"{self.event_shape} (channels, height, width). Resize or transpose them, or "
                "change the declaration."
            )
        if array.dtype == np.uint8:
            return shared(array)
        if array.dtype.kind != "f":
            raise DataError(
                f"{name!r} holds images of type {array.dtype}: use uint8 or floats in [{self.low}, "
                f"{self.high}]."
            )
        refuse_missing(array, name)
        low, high = float(array.min(initial=self.low)), float(array.max(initial=self.high))
        slack = 1e-3 * (self.high - self.low)
        if low < self.low - slack or high > self.high + slack:
            outside = (
                ((array < self.low - slack) | (array > self.high + slack))
                .reshape(len(array), -1)
                .any(1)
            )
            if row is None:
                where = ""
            else:
                where = f" The first is in row {row + int(outside.argmax())}."
            raise DataError(
                f"{name!r} holds image values in [{low:.4g}, {high:.4g}], outside the declared "
                f"range [{self.low:g}, {self.high:g}]. Rescale them, or declare Image(..., low=, "
                f"high=).{where}"
            )
        return shared(array.astype(np.float32, copy=False))

    def _from_objects(self, values: Any, name: str) -> object:
        """PIL images (one or several) as an array, channels first."""
        if np.isscalar(values) or values is None:
            raise DataError(
                f"{name!r} cannot be {values!r}: give an array {self.event_shape} or a PIL image."
            )
        if hasattr(values, "convert"):
            items = [values]
        else:
            items = list(values)
        if not items or not hasattr(items[0], "convert"):
            return values
        return self._stacked([self.from_pil(item, name) for item in items], name)

    def _stacked(self, arrays: list[np.ndarray], name: str) -> np.ndarray:
        """Images one by one as an array; all have to be of one size."""
        shapes = {a.shape for a in arrays}
        if len(shapes) > 1:
            raise DataError(
                f"{name!r} holds images of several sizes: {sorted(shapes)}. Resize them to "
                f"{self.event_shape}."
            )
        return np.stack(arrays)

    def from_pil(self, picture: object, name: str = "values") -> np.ndarray:
        """One PIL image as uint8 ``(channels, height, width)``: turned as its EXIF orientation
        says, its colours converted, its size not changed.

        Raises:
            DataError: The variable has a number of channels that pictures do not have, or the
                picture has more than eight bits a channel, transparent pixels that the variable
                has no channel for, or several frames.
        """
        try:
            return picture_pixels(picture, self.channels)
        except PictureError as error:
            raise DataError(f"{name!r} cannot be read from a picture: it {error}.") from None

    def scale(self, codes: torch.Tensor) -> torch.Tensor:
        """Floats in [low, high] from uint8 or float images."""
        if codes.is_floating_point():
            return codes
        return codes.float() * ((self.high - self.low) / 255) + self.low

    def decode(self, codes: torch.Tensor) -> np.ndarray:
        return self.scale(codes).detach().cpu().float().numpy()

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        return self.scale(codes).flatten(1)

    def to_pil(self, images: object) -> list[Any]:
        """PIL images from ``(n, channels, height, width)`` floats in [low, high] or uint8."""
        from PIL import Image as PILImage

        array = as_array(images, "images")
        if array.ndim == 3:
            array = array[None]
        if array.dtype != np.uint8:
            array = np.clip((array - self.low) / (self.high - self.low) * 255 + 0.5, 0, 255).astype(
                np.uint8
            )
        found = []
        for a in array:
            found.append(PILImage.fromarray(a[0] if self.channels == 1 else a.transpose(1, 2, 0)))
        return found

    def describe(self) -> str:
        return f"image, {' x '.join(map(str, self.event_shape))}"

    def to_dict(self) -> Json:
        shape = {"channels": self.channels, "height": self.height, "width": self.width}
        return {"kind": self.kind, **shape, "low": self.low, "high": self.high}
