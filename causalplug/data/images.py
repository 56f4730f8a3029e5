"""Columns of images: decoded by threads in the background, and kept in memory or, beyond a
limit, in a mapped file."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from causalplug.errors import DataError
from causalplug.files.facts import is_pointer
from causalplug.variables import Image
from causalplug.variables.pictures import (
    PictureError,
    picture_pixels,
    refuse_deep,
    upright_size,
)

__all__ = ["Images", "PixelStore", "decode_pictures", "in_background", "is_picture", "picture_size"]

_T = TypeVar("_T")


class Images:
    """Pixels ``(n, channels, height, width)`` that stay where they are; rows are read when they are
    asked for.

    Stands in for a tensor wherever rows of images are selected, split into batches or projected.

    Args:
        pixels: All rows, usually over a mapped file.
        index: Which of them, in order; all by default.
        device: Where rows go when they are read.
    """

    def __init__(
        self, pixels: Tensor, index: Tensor | None = None, device: torch.device | str = "cpu"
    ):
        self.pixels = pixels
        if index is None:
            self.index = torch.arange(len(pixels))
        else:
            self.index = index
        self.device = torch.device(device)

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        return f"Images({tuple(self.shape)}, {self.dtype})"

    @property
    def shape(self) -> torch.Size:
        """``(n, channels, height, width)``."""
        return torch.Size((len(self), *self.pixels.shape[1:]))

    @property
    def ndim(self) -> int:
        """Four."""
        return self.pixels.ndim

    @property
    def dtype(self) -> torch.dtype:
        """uint8 or float32."""
        return self.pixels.dtype

    def is_floating_point(self) -> bool:
        """Whether the pixels are floats."""
        return self.pixels.is_floating_point()

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """The pixels of some rows, on the device."""
        chosen = self.index[rows.cpu() if isinstance(rows, Tensor) else rows]
        return self.pixels[chosen].to(self.device)

    def select(self, rows: Tensor) -> Images:
        """Some of the rows, still where they are."""
        return Images(self.pixels, self.index[rows.cpu()], self.device)

    def split(self, size: int) -> Iterator[Tensor]:
        """The rows in batches, the next one being read in the background."""
        parts = self.index.split(size)
        return (part.to(self.device) for part in in_background(self.pixels[part] for part in parts))

    def to(self, device: torch.device | str) -> Images:
        """The same rows, to be handed out on another device."""
        return Images(self.pixels, self.index, device)


class PixelStore:
    """Where the pixels of one column are gathered, chunk by chunk.

    Args:
        limit: Bytes up to which they stay in memory.
        folder: For the file beyond it. The file has no name: it is gone with the process, however
            that ends.
        what: The column, for messages.
    """

    def __init__(self, limit: int, folder: str | os.PathLike[str] | None, *, what: str):
        self.limit, self.folder, self.what = limit, folder, what
        self.parts: list[Tensor] = []
        self.bytes = 0
        self.rows = 0
        self.file: Any = None

    def add(self, pixels: Tensor) -> None:
        """Append rows.

        Raises:
            DataError: The disk is full.
        """
        self.shape, self.dtype = tuple(pixels.shape[1:]), pixels.dtype
        self.parts.append(pixels)
        self.rows += len(pixels)
        self.bytes += pixels.numel() * pixels.element_size()
        if self.bytes > self.limit:
            self._spill()

    def _spill(self) -> None:
        try:
            if self.file is None:
                if self.folder is not None:
                    Path(self.folder).mkdir(parents=True, exist_ok=True)
                self.file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 (mapped for as long as rows live)
            for part in self.parts:
                self.file.write(part.contiguous().numpy().data)
            self.file.flush()
        except OSError as error:
            raise DataError(
                f"{self.what} cannot be kept: {self.bytes / 1e6:,.0f} MB of pixels go to a file in "
                f"{self.folder or tempfile.gettempdir()}, and that failed ({error.strerror}). Free "
                "some space, give another cache_dir, or raise max_memory."
            ) from error
        self.parts = []

    def close(self) -> Tensor | Images:
        """All rows: a tensor, or :class:`Images` over the file."""
        if self.file is None:
            return torch.cat(self.parts)
        kind = torch.empty(0, dtype=self.dtype).numpy().dtype
        mapped = np.memmap(self.file, dtype=kind, mode="c", shape=(self.rows, *self.shape))
        self.discard()  # the mapping holds the file
        return Images(torch.from_numpy(mapped))

    def discard(self) -> None:
        """Close the file, if there is one."""
        if self.file is not None:
            self.file.close()


def is_picture(item: object) -> bool:
    """Whether an item of a column is an image that has still to be decoded."""
    if isinstance(item, Mapping):
        return bool({"bytes", "path"} & set(item))
    return isinstance(item, bytes | Path) or hasattr(item, "convert")


def decode_pictures(items: Sequence[object], variable: Image, name: str, row: int) -> Tensor:
    """Pixels ``(n, channels, height, width)`` uint8, decoded by several threads.

    Args:
        items: Paths, encoded bytes, ``{"bytes": …, "path": …}`` or PIL images.
        variable: Their declaration; sizes are compared before anything is decoded.
        name, row: Name and row of the column and the first row, for messages.

    Raises:
        DataError: Images that cannot be read, have another size, or more than eight bits a channel;
            up to five are named.
    """

    def decoded(item: object) -> np.ndarray | str:
        try:
            return _pixels(item, variable)
        except PictureError as error:
            return str(error)
        except Exception as error:  # a damaged file ends in any of a dozen kinds of exception
            return f"cannot be read as an image: {str(error)[:200]}"

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = list(pool.map(decoded, items))
    wrong = [(at, why) for at, why in enumerate(found) if isinstance(why, str)]
    if wrong:
        shown = "; ".join(f"row {row + at}: {_shown(items[at])} {why}" for at, why in wrong[:5])
        more = ""
        if len(wrong) > 5:
            more = f"; and {len(wrong) - 5} more"
        raise DataError(
            f"{name!r} has images that cannot be used: {shown}{more}. Replace, resize or convert "
            "them, drop the rows, or change the declaration."
        )
    return torch.from_numpy(np.stack(found))


def _pixels(item: object, variable: Image) -> np.ndarray:
    with _opened(item) as picture:
        refuse_deep(picture)
        size = upright_size(picture)
        if size != (variable.height, variable.width):
            raise PictureError(
                f"has {size[0]} x {size[1]} pixels instead of the {variable.height} x "
                f"{variable.width} (height x width) declared"
            )
        return picture_pixels(picture, variable.channels)


def _opened(item: Any) -> contextlib.AbstractContextManager[Any]:
    from PIL import Image as PILImage

    if hasattr(item, "convert"):
        return contextlib.nullcontext(item)
    if isinstance(item, Mapping):
        if item.get("bytes") is not None:
            item = item["bytes"]
        else:
            item = Path(item["path"])
    if isinstance(item, bytes):
        return PILImage.open(io.BytesIO(item))
    if not Path(item).is_file():
        raise PictureError("is not a regular file")
    if is_pointer(item):
        raise PictureError("is a pointer of Git LFS, not the picture itself. Run: git lfs pull")
    return PILImage.open(item)


def picture_size(item: object) -> tuple[int, int, int]:
    """``(channels, height, width)`` of a picture that stays encoded.

    Raises:
        DataError: It cannot be read as an image.
    """
    try:
        with _opened(item) as picture:
            channels = 3
            if picture.mode in ("1", "L", "LA"):
                channels = 1
            return (4 if picture.mode == "RGBA" else channels, *upright_size(picture))
    except Exception as error:
        raise DataError(
            f"{_shown(item)} cannot be read as an image: {str(error)[:200]}. Replace it, or leave "
            "the column out."
        ) from None


def _shown(item: object) -> str:
    path = item
    if isinstance(item, Mapping):
        path = item.get("path")
    if isinstance(path, str | Path):
        return str(path)
    return "the image"


def in_background(items: Iterable[_T]) -> Iterator[_T]:
    """The same items, each made in a thread while the one before it is being used."""
    source, done = iter(items), object()
    with ThreadPoolExecutor(1) as thread:
        pending = thread.submit(next, source, done)
        while (item := pending.result()) is not done:
            pending = thread.submit(next, source, done)
            yield item  # type: ignore[misc]
