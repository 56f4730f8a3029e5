"""Pictures are read alike in rows, under do(), as evidence and by Image.encode."""

import io
import os
import struct
import zlib

import datasets
import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from PIL import ImageOps

import causalplug as cp
from causalplug.adapters.image_bank import ImageBank
from causalplug.cli.given import settings
from causalplug.errors import DataError

PIXELS = (np.arange(24).reshape(4, 6) * 10).astype(np.uint8)


def rows(picture, image, folder):
    """The pixels of a picture as the only row of a folder."""
    folder.mkdir()
    name = "a.png"
    if isinstance(picture, bytes):
        (folder / name).write_bytes(picture)
    else:
        if picture.mode in ("F", "I"):  # PNG has no such mode
            name = "a.tif"
        picture.save(folder / name)
    (folder / "metadata.csv").write_text(f"file_name\n{name}\n")
    source = cp.DataSource(folder, columns={"image": "I"})
    return image.scale(source.encode({"I": image}).values["I"][:])[0]


def under_do(picture, image, folder):
    dcm = cp.DCM(cp.CausalGraph.parse("I -> A"), {"I": image, "A": cp.Discrete(2)})
    return dcm.sample(1, do={"I": picture}, variables=["I", "A"], seed=0)["I"].iloc[0]


def encoded(picture, image, folder):
    return image.scale(image.encode(picture))[0]


DOORS = [rows, under_do, encoded]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_upright(door, orientation, tmp_path):
    exif = PILImage.Exif()
    exif[0x112] = orientation
    buffer = io.BytesIO()
    PILImage.fromarray(PIXELS).save(buffer, "PNG", exif=exif)
    right = np.asarray(ImageOps.exif_transpose(PILImage.open(buffer)))
    image = cp.Image(1, *right.shape, low=0.0, high=255.0)
    picture = buffer.getvalue() if door is rows else PILImage.open(buffer)
    assert (door(picture, image, tmp_path / "d").numpy()[0] == right).all()
    told = cp.infer_variables({"I": [buffer.getvalue()] * 2})["I"]
    assert told == cp.Image(1, *right.shape)


def test_a_dataset_gives_the_pixels_that_it_decodes_itself():
    exif = PILImage.Exif()
    exif[0x112] = 6
    buffer = io.BytesIO()
    PILImage.fromarray(PIXELS).save(buffer, "PNG", exif=exif)
    features = datasets.Features({"I": datasets.Image()})
    rows = datasets.Dataset.from_dict(
        {"I": [{"bytes": buffer.getvalue(), "path": None}]}, features=features
    )
    found = cp.DataSource(rows).encode({"I": cp.Image(1, 6, 4)}).values["I"][0, 0]
    assert (found.numpy() == np.asarray(rows[0]["I"])).all()


def alpha(value):
    return PILImage.fromarray(
        np.dstack([np.full((4, 6, 3), 200, np.uint8), np.full((4, 6), value, np.uint8)])
    )


def palette():
    picture = PILImage.new("P", (6, 4), 0)
    picture.putpalette([250, 250, 250] + [0] * 765)
    picture.info["transparency"] = 0
    return picture


DEEP = PILImage.fromarray(PIXELS.astype(np.uint16) * 250)
REFUSED = {
    "sixteen bits": (DEEP, 1, "mode I;16"),
    "floats": (PILImage.fromarray(PIXELS.astype(np.float32) / 255), 1, "mode F"),
    "integers": (PILImage.fromarray(PIXELS.astype(np.int32)), 1, "mode I"),
    "transparent": (alpha(0), 3, "transparent pixels.*4 channels"),
    "nearly opaque": (alpha(254), 3, "transparent pixels"),
    "transparent grey": (alpha(0).convert("LA"), 1, "transparent pixels"),
    "a transparent entry of a palette": (palette(), 3, "transparent pixels"),
    "two channels": (alpha(255), 2, "1, 3 or 4"),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("picture", "channels", "message"), REFUSED.values(), ids=REFUSED)
def test_what_eight_bits_or_the_channels_cannot_hold_is_refused(
    door, picture, channels, message, tmp_path
):
    with pytest.raises(DataError, match=message):
        door(picture, cp.Image(channels, 4, 6), tmp_path / "d")


def deep_png(kind, channels):
    """A PNG of 6 x 4 pixels with 16 bits a channel; ``kind`` is its colour type."""
    lines = (b"\0" + bytes(range(12 * channels))) * 4
    header = struct.pack(">IIBBBBB", 6, 4, 16, kind, 0, 0, 0)
    parts = {b"IHDR": header, b"IDAT": zlib.compress(lines), b"IEND": b""}
    text = b"\x89PNG\r\n\x1a\n"
    for name, held in parts.items():
        check = struct.pack(">I", zlib.crc32(name + held))
        text += struct.pack(">I", len(held)) + name + held + check
    return text


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_colours_of_sixteen_bits_are_refused_at_every_door(door, kind, channels, tmp_path):
    found = deep_png(kind, channels)
    picture = found if door is rows else PILImage.open(io.BytesIO(found))
    with pytest.raises(DataError, match=r"16 bits a channel.*eight"):
        door(picture, cp.Image(4 if kind == 6 else 3, 4, 6), tmp_path / "d")


def test_a_value_at_the_shell_of_sixteen_bits_is_refused(tmp_path):
    path = tmp_path / "deep.png"
    path.write_bytes(deep_png(2, 3))
    with pytest.raises(DataError, match=r"I=.*deep\.png cannot be used: it has 16 bits"):
        settings([f"I={path}"], {"I": cp.Image(3, 4, 6)}, "--do")


@pytest.mark.parametrize("door", DOORS)
def test_opaque_pictures_with_a_channel_for_transparency_are_read(door, tmp_path):
    image = cp.Image(3, 4, 6, low=0.0, high=255.0)
    assert (door(alpha(255), image, tmp_path / "d") == 200).all()
    four = cp.Image(4, 4, 6, low=0.0, high=255.0)
    assert (door(alpha(7), four, tmp_path / "e")[3] == 7).all()


def test_a_film_is_no_picture(tmp_path):
    frames = [PILImage.new("L", (6, 4), value) for value in (0, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="2 frames"):
        cp.DataSource({"I": [tmp_path / "a.gif"]}).encode({"I": cp.Image(1, 4, 6)})


BROKEN = {
    "empty": b"",
    "cut short": None,
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "a huge header": b"P5 100000 100000 255\n",
    "bytes": bytes(range(256)),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_named_with_their_row(kind, tmp_path):
    whole = io.BytesIO()
    PILImage.fromarray(PIXELS).save(whole, "PNG")
    (tmp_path / "a.png").write_bytes(BROKEN[kind] or whole.getvalue()[:60])
    (tmp_path / "metadata.csv").write_text("file_name\na.png\n")
    with pytest.raises(DataError, match=r"row 0: .*a\.png"):
        cp.DataSource(tmp_path, columns={"image": "I"}).encode({"I": cp.Image(1, 4, 6)})


def test_pipes_links_in_a_circle_and_strange_names_are_no_pictures(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    for name in ("pipe.png", "loop.png", "../a.png", "none.png", "x" * 5000):
        (tmp_path / "metadata.csv").write_text(f"file_name,X\n{name},0\n")
        with pytest.raises(DataError, match="row 0, which is not an image of the folder"):
            cp.DataSource(tmp_path).encode({"image": cp.Image(1, 4, 6), "X": cp.Discrete(2)})
    with pytest.raises(DataError, match="regular file"):
        cp.DataSource({"I": [tmp_path / "pipe.png"]}).encode({"I": cp.Image(1, 4, 6)})


HIDDEN = {
    ".ipynb_checkpoints/0-checkpoint.png": PIXELS.tobytes(),
    "cat/._0.png": b"\0\5\x16\7",
    "__MACOSX/._0.png": b"\0\5\x16\7",
    ".cache/huggingface/x.lock": b"",
    ".git/HEAD": b"x",
    "cat/.DS_Store": b"x",
}


@pytest.mark.parametrize("hidden", HIDDEN)
def test_hidden_files_and_folders_are_passed_over(hidden, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        PILImage.fromarray(PIXELS).save(tmp_path / name / "0.png")
    (tmp_path / hidden).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / hidden).write_bytes(HIDDEN[hidden])
    kinds = {"image": cp.Image(1, 4, 6), "label": cp.Discrete(["cat", "dog"])}
    assert cp.DataSource(tmp_path).encode(kinds).values["label"].tolist() == [0, 1]
    assert ImageBank.from_folder(tmp_path).labels[0].categories == ("cat", "dog")


def test_an_empty_class_is_named(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
    PILImage.fromarray(PIXELS).save(tmp_path / "cat" / "0.png")
    with pytest.raises(DataError, match="dog has no images"):
        cp.DataSource(tmp_path)


def test_half_precision_images_are_read_everywhere(tmp_path):
    pixels = torch.linspace(0, 1, 24).reshape(1, 4, 6).bfloat16()
    image = cp.Image(1, 4, 6)
    assert torch.equal(under_do(pixels, image, None), pixels.float())
    found = cp.DataSource({"I": pixels[None]}).encode({"I": image}).values["I"]
    assert torch.equal(found, pixels.float()[None])
