"""Pixels of PIL images: upright, in eight bits a channel, with nothing behind them guessed."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalplug.variables.picture_depth import channel_bits

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
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257  # tags of TIFF
_FRAMES = {
    "GIF",
    "TIFF",
    "WEBP",
    "PNG",
    "AVIF",
}  # forms in which further frames are not mere previews


class PictureError(ValueError):
    """Why a picture cannot be used, as the end of a sentence about it."""


def refuse_deep(picture: Any) -> None:
    """Refuse a file with more than eight bits a channel, of which Pillow keeps the upper eight in
    silence.

    To be called before the first use of a picture: Pillow forgets the depth when it decodes, which
    it does for the EXIF tags of a PNG.

    Raises:
        PictureError: It has more than eight bits a channel.
    """
    if picture.mode not in _EIGHT_BITS:
        return
    bits = channel_bits(picture)
    if bits > 8:
        raise PictureError(
            f"has {bits} bits a channel, of which only eight would be read. Give an array of "
            "floats in the declared range, or save it with eight bits a channel"
        )


def upright_size(picture: Any) -> tuple[int, int]:
    """``(height, width)`` as viewers show it, by the EXIF orientation; nothing is decoded."""
    width, height = picture.width, picture.height
    lying = picture.getexif().get(_ORIENTATION) in (5, 6, 7, 8)
    if picture.format == "TIFF" and lying:  # Pillow may have turned its size, not yet its pixels
        width, height = picture.tag_v2[_TIFF_WIDTH], picture.tag_v2[_TIFF_HEIGHT]
    if lying:
        return (width, height)
    return (height, width)


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
