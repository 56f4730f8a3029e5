"""Hostile pictures and lists of pictures: an error of ours, in bounded time, nothing of other
folders read.

``CAUSALPLUG_EXHAUSTIVE=1`` tries 4,000 mutants of every kind of picture in place of 150.
"""

from __future__ import annotations

import collections
import io
import os
import random
import struct
import time
import zlib

import pytest
from PIL import Image

import causalplug as cp
from causalplug.errors import CausalPlugError
from tests.attack.mutations import EXHAUSTIVE

COUNT = 4000 if EXHAUSTIVE else 150
VARIABLES = {"image": cp.Image(1, 8, 8), "Y": cp.Discrete(2)}
LISTED = b"file_name,Y\na.png,0\nb.png,1\n"


def picture(kind="PNG"):
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, kind)
    return stream.getvalue()


def declared_size(width, height):
    """A PNG of a few bytes that says it has this size."""

    def part(name, data):
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = part(b"IHDR", head) + part(b"IDAT", zlib.compress(b"\0" * 10)) + part(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def read(folder):
    """What becomes of a folder: ``"read"``, or the class of our error; anything else is raised."""
    started = time.process_time()
    try:
        cp.DataSource(str(folder)).encode(VARIABLES)
    except CausalPlugError as error:
        found, said = type(error).__name__, str(error)
    else:
        found, said = "read", ""
    assert len(said) < 2000
    assert time.process_time() - started < 5
    return found


def folder_with(tmp_path, second, listed=LISTED, name="metadata.csv"):
    (tmp_path / "a.png").write_bytes(picture())
    second(tmp_path / "b.png")
    (tmp_path / name).write_bytes(listed)
    return tmp_path


PICTURES = {
    "a huge header": lambda path: path.write_bytes(declared_size(100_000, 100_000)),
    "the largest header": lambda path: path.write_bytes(declared_size(2**31 - 1, 2**31 - 1)),
    "truncated": lambda path: path.write_bytes(picture()[:40]),
    "empty": lambda path: path.write_bytes(b""),
    "a pipe": lambda path: os.mkfifo(path),
    "a link that leaves": lambda path: path.symlink_to("/etc/hostname"),
    "a link to itself": lambda path: path.symlink_to("b.png"),
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_that_is_none_is_refused(tmp_path, kind):
    assert read(folder_with(tmp_path, PICTURES[kind])) == "DataError"


LISTS = {
    "NUL in a name": ("metadata.csv", b"file_name,Y\na.png,0\nb\0.png,1\n"),
    "NULs alone": ("metadata.csv", b"\0" * 1000),
    "another encoding": ("metadata.csv", b"file_name,Y\na.png,\xe9\n"),
    "another folder": ("metadata.csv", b"file_name,Y\na.png,0\n../b.png,1\n"),
    "nesting": ("metadata.jsonl", b'{"file_name":"a.png","Y":' + b"[" * 10**5 + b"]" * 10**5),
    "an endless number": ("metadata.jsonl", b'{"file_name":"a.png","Y":' + b"9" * 10**5 + b"}"),
    "an escaped NUL": ("metadata.jsonl", b'{"file_name":"a\\u0000.png","Y":1}\n'),
    "an absolute name": ("metadata.jsonl", b'{"file_name":"/etc/hostname","Y":1}\n'),
}


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_that_is_none_is_refused(tmp_path, kind):
    name, listed = LISTS[kind]
    folder = folder_with(tmp_path, lambda path: None, listed, name)
    assert read(folder) == "DataError"


def mutant(data, chance):
    """Some bytes of ``data`` changed, left out or put in twice."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(max(1, len(found)))
        match chance.randrange(4):
            case 0:
                found[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del found[place : place + chance.randint(1, 20)]
            case 2:
                found[place:place] = found[place : place + 30]
            case _:
                found[place : place + 4] = chance.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff" * 2])
    return bytes(found)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "list"])
def test_mutants(tmp_path, kind):
    chance, counts = random.Random(0), collections.Counter()
    data = LISTED if kind == "list" else picture(kind)
    folder = folder_with(tmp_path, lambda path: path.write_bytes(picture()))
    place = folder / ("metadata.csv" if kind == "list" else "b.png")
    before = sorted(path.name for path in tmp_path.iterdir())
    for _ in range(COUNT):
        place.write_bytes(mutant(data, chance))
        counts[read(folder)] += 1
    print(kind, dict(counts))
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert sum(counts.values()) == COUNT
