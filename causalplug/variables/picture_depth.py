"""How many bits a channel a picture's file has, where Pillow keeps eight of them in silence."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["channel_bits"]

_SIXTEEN_BITS = re.compile(";16[BLN]$")
"""Raw modes of Pillow with 16 bits a channel; ``BGR;16`` has 16 bits a pixel."""
_HEAD = 1 << 16  # bytes in which the parts below stand
_SIZE_OF_JPEG2000 = b"\xff\x4f\xff\x51"
_BITS_AFTER_SIZE = 38  # Lsiz, Rsiz, eight sizes of four bytes, Csiz
_BITS_OF_AVIF = b"pixi"
_BITS_AFTER_PIXI = 5  # version, flags, number of channels


def channel_bits(picture: Any) -> int:
    """Bits a channel of a file that Pillow has opened and not decoded, where they are more than its
    mode shows: of PNG and TIFF by their raw modes, of PNM and SGI by their decoders, of JPEG 2000
    and AVIF by their headers. 8 otherwise."""
    from PIL import ImageFile

    if not isinstance(picture, ImageFile.ImageFile):
        return 8
    if picture.format == "JPEG2000":
        return _bits_in_head(picture, _SIZE_OF_JPEG2000, _BITS_AFTER_SIZE, mask=0x7F, more=1)
    if picture.format == "AVIF":
        return _bits_in_head(picture, _BITS_OF_AVIF, _BITS_AFTER_PIXI)
    if any(map(_is_deep_tile, picture.tile)):
        return 16
    return 8


def _is_deep_tile(tile: Any) -> bool:
    decoder, arguments = tile[0], tile[3]
    if decoder == "SGI16":
        return True
    if not isinstance(arguments, tuple):
        arguments = (arguments,)
    if decoder in ("ppm", "ppm_plain"):
        return len(arguments) > 1 and isinstance(arguments[1], int) and arguments[1] > 255
    return bool(arguments) and bool(_SIXTEEN_BITS.search(str(arguments[0])))


def _bits_in_head(
    picture: Any, mark: bytes, offset: int, *, mask: int = 0xFF, more: int = 0
) -> int:
    """The bits a channel that stand so many bytes after a mark; 8 where there is no mark."""
    file = picture.fp
    if file is None or file.closed:
        return 8
    place = file.tell()
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(place)
    at = head.find(mark)
    bits = head[at + len(mark) + offset :][:1]
    if at < 0 or not bits:
        return 8
    return (bits[0] & mask) + more
