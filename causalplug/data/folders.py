"""Folders of images by the Hub's ``imagefolder`` convention: one folder per class, or a metadata
file that names the images.

Hidden files and folders (``.git``, ``.ipynb_checkpoints``, ``._0.png``) are passed over, and so is
``__MACOSX``, which macOS puts beside the contents of an archive.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from causalplug.data.table import Columns, Table
from causalplug.errors import DataError
from causalplug.selection import values_at
from causalplug.variables import Variable
from causalplug.variables.columns import TextColumn

__all__ = ["class_folders", "is_hidden", "with_pictures"]

_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}


def is_hidden(path: Path) -> bool:
    """Whether a file or folder is not meant to be seen."""
    return path.name.startswith(".") or path.name == "__MACOSX"


def class_folders(path: Path) -> Table:
    """Images in one folder per class.

    Raises:
        DataError: There are no such folders, or one of them holds no images.
    """
    folders = []
    for item in sorted(path.iterdir()):
        if item.is_dir() and not is_hidden(item):
            folders.append(item)
    classes = {folder.name: _pictures_in(folder) for folder in folders}
    empty = [name for name, pictures in classes.items() if not pictures]
    if classes and not empty:
        _refuse_unread(path, folders)
        return _classes(classes)
    if empty and len(empty) < len(classes):
        raise DataError(
            f"{path} cannot be read as one folder of images per class: {', '.join(empty)} has no "
            "images. Remove the folder, or fill it."
        )
    raise DataError(
        f"{path} cannot be read: it has no metadata.csv (or .jsonl, .parquet) with a column "
        "file_name, no Parquet files, and no folders of images, one per class. Write a "
        "metadata.csv with one row per image"
        + (f", or name a split: {', '.join(classes)}." if classes else ".")
    )


def _refuse_unread(path: Path, folders: Sequence[Path]) -> None:
    """Refuse pictures beside the folders of classes, and in folders inside them."""
    inside = [item for folder in folders for item in folder.iterdir()]
    deeper = [item for item in inside if item.is_dir() and not is_hidden(item)]
    for place in (path, *sorted(deeper)):
        pictures = _pictures_in(place)
        if pictures:
            raise DataError(
                f"{path} cannot be read as one folder of images per class: {pictures[0]} is in no "
                "folder of a class. Move it into one, or write a metadata.csv with one row per "
                "image."
            )


def _classes(folders: Mapping[str, Sequence[Path]]) -> Table:
    """Images with the names of their folders as labels."""
    pictures = list(chain.from_iterable(folders.values()))
    codes = np.repeat(np.arange(len(folders)), list(map(len, folders.values())))
    labels = TextColumn(codes, tuple(folders))

    def read(
        variables: Mapping[str, Variable] | None, columns: Collection[str] | None = None
    ) -> Iterator[Columns]:
        chunk = {"image": pictures, "label": labels}
        yield {n: v for n, v in chunk.items() if columns is None or n in columns}

    return Table(("image", "label"), read, len(pictures), whole=True)


def _pictures_in(folder: Path) -> list[Path]:
    items = []
    for file in folder.iterdir():
        if file.suffix.lower() in _PICTURES and not is_hidden(file):
            items.append(file)
    return sorted(items)


def with_pictures(table: Table, metadata: Path) -> Table:
    """Columns ``file_name`` and ``<variable>_file_name`` become the columns ``image`` and
    ``<variable>`` of files."""
    root = metadata.parent
    places = {}
    for n in table.names:
        if _names_files(n):
            places[n] = n.removesuffix("_file_name") if n != "file_name" else "image"
    if not places:
        raise DataError(
            f"{metadata} cannot be read: it has no column file_name (or <variable>_file_name), but "
            f"{', '.join(table.names)}. Add one that names the images."
        )

    def read(
        variables: Mapping[str, Variable] | None, columns: Collection[str] | None = None
    ) -> Iterator[Columns]:
        row = 0
        wanted = [n for n in table.names if columns is None or places.get(n, n) in columns]
        for chunk in table.read(variables, wanted):
            found = {places.get(name, name): values for name, values in chunk.items()}
            for name in places.keys() & chunk.keys():
                files = values_at(chunk[name], range(len(chunk[name])))
                parts = []
                for k, file in enumerate(files):
                    parts.append(_inside(root, file, metadata, row + k))
                found[places[name]] = parts
            row += len(next(iter(chunk.values())))
            yield found

    return replace(table, names=tuple(places.get(name, name) for name in table.names), read=read)


def _names_files(column: str) -> bool:
    return column == "file_name" or column.endswith("_file_name")


def _inside(root: Path, name: object, metadata: Path, row: int) -> Path | None:
    """The file that a row names, which must lie in the folder; None where the name is missing."""
    if name is None or name != name:
        return None
    file = root / str(name)
    try:
        inside = file.resolve().is_relative_to(root.resolve())
        regular = inside and stat.S_ISREG(file.stat().st_mode)
    except (OSError, ValueError, RuntimeError):  # no such file, NUL bytes, links in a circle
        regular = False
    if not regular:
        raise DataError(
            f"{metadata} names {str(name)[:200]!r} in row {row}, which is not an image of the "
            "folder. Correct the row."
        )
    return file
