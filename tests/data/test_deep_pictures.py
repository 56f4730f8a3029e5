"""Pictures whose files hold more than Pillow shows, TIFF files that lie, pixels in half precision
and under a mask."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from PIL import ImageOps, features

from causalplug import Continuous, DataSource, Image
from causalplug.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
COLOURS = Image(3, 4, 6)


def saved(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    PILImage.fromarray(PIXELS).save(file, form, **options)
    return file.getvalue()


def read(encoded: bytes) -> np.ndarray:
    return np.asarray(DataSource({"I": [encoded]}).encode({"I": COLOURS}).values["I"][:])[0]


def deep_ppm() -> bytes:
    return b"P6\n6 4\n65535\n" + (PIXELS.astype(">u2") * 257).tobytes()


def plain_deep_ppm() -> bytes:
    return b"P3\n6 4\n1023\n" + b" ".join(b"%d" % value for value in PIXELS.ravel())


def deep_sgi() -> bytes:
    header = bytearray(saved("SGI")[:512])
    header[3] = 2  # bytes a channel
    return bytes(header) + (PIXELS.transpose(2, 0, 1)[:, ::-1].astype(">u2") * 257).tobytes()


def deep_jpeg2000() -> bytes:
    whole = bytearray(saved("JPEG2000"))
    whole[whole.find(b"\xff\x4f\xff\x51") + 4 + 38] = 15  # bits a channel, less one
    return bytes(whole)


def deep_avif() -> bytes:
    whole = bytearray(saved("AVIF"))
    at = whole.find(b"pixi") + 9
    whole[at : at + 3] = b"\x0a\x0a\x0a"
    whole[whole.find(b"av1C") + 6] |= 0x40  # the flag of a high depth
    return bytes(whole)


DEEP = [deep_ppm, plain_deep_ppm, deep_sgi]
OF_LIBRARIES = {"jpg_2000": deep_jpeg2000, "avif": deep_avif}  # which not every Pillow has
DEEP += [make for form, make in OF_LIBRARIES.items() if form in features.get_supported()]


@pytest.mark.parametrize("make", DEEP)
def test_more_than_eight_bits_are_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(DataError, match=r"1[06] bits a channel.*eight"):
        read(make())


@pytest.mark.parametrize("form", ["PPM", "SGI", "TGA", "BMP", "PNG", "TIFF"])
def test_eight_bits_are_read(form: str) -> None:
    assert (read(saved(form)) == PIXELS.transpose(2, 0, 1)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiff_files_that_lie(orientation: int) -> None:
    exif = PILImage.Exif()
    exif[0x112] = orientation
    picture = PILImage.fromarray(PIXELS)
    if orientation > 4:
        picture = PILImage.fromarray(np.ascontiguousarray(PIXELS.transpose(1, 0, 2)))
    file = io.BytesIO()
    picture.save(file, "TIFF", exif=exif)
    shown = np.asarray(ImageOps.exif_transpose(PILImage.open(io.BytesIO(file.getvalue()))))
    assert shown.shape == (4, 6, 3)
    assert (read(file.getvalue()) == shown.transpose(2, 0, 1)).all()
    opened = PILImage.open(io.BytesIO(file.getvalue()))
    assert (COLOURS.encode([opened])[0].numpy() == shown.transpose(2, 0, 1)).all()


def test_lists_of_tensors_in_half_precision() -> None:
    pixels = torch.rand(3, 4, 6).bfloat16()
    assert torch.equal(COLOURS.encode([pixels])[0], pixels.float())
    numbers = DataSource({"X": [torch.tensor(1.5).bfloat16(), torch.tensor(2.0).bfloat16()]})
    assert numbers.encode({"X": Continuous()}).values["X"].tolist() == [1.5, 2.0]


def test_pixels_under_a_mask_are_missing() -> None:
    masked = np.ma.array(PIXELS.transpose(2, 0, 1), mask=PIXELS.transpose(2, 0, 1) > 200)
    for given in (masked, [masked], masked[None]):
        with pytest.raises(DataError, match="missing"):
            COLOURS.encode(given)
