"""Facts about files: size and hash, as configurations record them and as the Hub lists them."""

from __future__ import annotations

__all__ = ["Facts", "agrees", "file_facts", "is_pointer"]

import hashlib
import os
from typing import BinaryIO

from causalplug.values import Named

_POINTER = b"version https://git-lfs"
_PART = 1 << 20

Facts = Named
"""``size`` in bytes, and ``sha256`` or ``blob`` (the hash that git gives to the content), in hex
digits."""


def file_facts(path: str | os.PathLike) -> dict[str, int | str]:
    """Return ``{"size": bytes, "sha256": hex digits}`` of a file, as a configuration records
    them."""
    with open(path, "rb") as file:
        return {
            "size": os.fstat(file.fileno()).st_size,
            "sha256": _sha256(file),
        }


def _sha256(file: BinaryIO) -> str:
    """The hash of what is left of a file, read in parts."""
    digest = hashlib.sha256()
    while part := file.read(_PART):
        digest.update(part)
    return digest.hexdigest()


def agrees(path: str | os.PathLike, facts: Facts) -> bool:
    """Whether a file has the recorded size and hash; without a recorded hash, the size decides."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size != facts["size"]:
            return False
        if "sha256" in facts:
            return _sha256(file) == facts["sha256"]
        return "blob" not in facts or _blob(file, size) == facts["blob"]


def is_pointer(path: str | os.PathLike) -> bool:
    """Whether a file is a pointer of Git LFS, as a clone without git-lfs holds in place of a
    large file."""
    try:
        if not os.path.isfile(path):  # a pipe would be waited for
            return False
        with open(path, "rb") as file:
            return file.read(len(_POINTER)) == _POINTER
    except OSError:
        return False


def _blob(file: BinaryIO, size: int) -> str:
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    while part := file.read(1 << 20):
        digest.update(part)
    return digest.hexdigest()
