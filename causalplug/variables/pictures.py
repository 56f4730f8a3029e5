"""Pixels of PIL images: upright, in eight bits a channel, with nothing behind them guessed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

__all__ = ["PictureError", "picture_pixels", "refuse_deep", "upright_size"]

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_EIGHT_BITS = {
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBa",
    "RGBX",
    "CMYK",
    "YCbCr",
    "HSV",
}
_ORIENTATION = 0x112  # EXIF tag
_SIXTEEN_BITS = re.compile(";16[BLN]$")
"""Raw modes of Pillow with 16 bits a channel; ``BGR;16`` has 16 bits a pixel."""
_FRAMES = {"GIF", "TIFF", "WEBP", "PNG"}  # forms in which further frames are not mere previews


class PictureError(ValueError):
    """Why a picture cannot be used, as the end of a sentence about it."""


def refuse_deep(picture: Any) -> None:
    """Refuse a file with 16 bits a channel, of which Pillow keeps the upper eight in silence.

    To be called before the first use of a picture: Pillow forgets the depth when it decodes, which
    it does for the EXIF tags of a PNG.

    Raises:
        PictureError: It has 16 bits a channel.
    """
    from PIL import ImageFile

    if not isinstance(picture, ImageFile.ImageFile):
        return
    for tile in picture.tile:
        raw = tile[3][0] if isinstance(tile[3], tuple) else tile[3]
        if isinstance(raw, str) and _SIXTEEN_BITS.search(raw) and picture.mode in _EIGHT_BITS:
            raise PictureError(
                "has 16 bits a channel, of which eight would be lost. Give an array of floats in "
                "the declared range, or save it with eight bits a channel"
            )


def upright_size(picture: Any) -> tuple[int, int]:
    """``(height, width)`` as viewers show it, by the EXIF orientation; nothing is decoded."""
    lying = picture.getexif().get(_ORIENTATION) in (5, 6, 7, 8)
    if lying:
        return (picture.width, picture.height)
    return (picture.height, picture.width)


def picture_pixels(picture: Any, channels: int) -> np.ndarray:
    """A PIL image as uint8 ``(channels, height, width)``, turned as its EXIF orientation says; its
    colours are converted, its size is not changed.

    Raises:
        PictureError: More than eight bits a channel; transparent pixels where the variable has no
            channel for them; several frames; a number of channels that pictures do not have.
    """
    from PIL import ImageOps

    refuse_deep(picture)
    mode = _MODES.get(channels)
    if mode is None:
        raise PictureError(
            f"cannot be read into {channels} channels: pictures have 1, 3 or 4. Use arrays"
        )
    if picture.mode not in _EIGHT_BITS:
        raise PictureError(
            f"has mode {picture.mode}, which does not fit into eight bits a channel: clipping it "
            "would lose its range. Give an array of floats in the declared range, or convert it"
        )
    if picture.format in _FRAMES and picture.is_animated:
        raise PictureError(
            f"has {picture.n_frames} frames. Save the one that is meant as a file of its own"
        )
    if channels != 4 and picture.has_transparency_data:
        _refuse_transparent(picture)
    array = np.asarray(ImageOps.exif_transpose(picture).convert(mode))
    if array.ndim == 2:
        return array[None]
    return array.transpose(2, 0, 1)


def _refuse_transparent(picture: Any) -> None:
    alpha = picture.convert("RGBA").getchannel("A")
    if alpha.getextrema()[0] < 255:
        raise PictureError(
            "has transparent pixels, and nothing says what lies behind them. Lay it over a "
            "background (PIL.Image.alpha_composite), or declare an image of 4 channels"
        )
