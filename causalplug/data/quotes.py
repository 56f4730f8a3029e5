"""Quotes in text files that are opened and never closed, which would hide the rows after them."""

from __future__ import annotations

import csv
from pathlib import Path

from causalplug.data.dialect import Dialect, open_binary
from causalplug.errors import DataError

__all__ = ["refuse_open_quotes"]

_BLOCK = 16 << 20


def refuse_open_quotes(path: Path, dialect: Dialect, rows: int) -> None:
    """Refuse a file whose rows are fewer than its lines because of a quote.

    A cell in quotes may hold line breaks. Where there are as many rows as lines no cell does; else
    the file is read once more by a strict reader.

    Args:
        path: The file.
        dialect: How it is read.
        rows: Number of rows that were read, without the header.

    Raises:
        DataError: A quote that is not closed, or text after a closing quote.
    """
    if _lines(path, dialect.encoding) <= rows + dialect.marked + 1:
        return
    line = 0
    try:
        for last, _ in dialect.rows(path, strict=True):
            line = last
    except csv.Error:
        raise DataError(
            f"{path} cannot be read: in line {line + 1} or below a quote opens a cell and is not "
            "closed, or text follows a closing quote, so that rows would be lost. Write a quote "
            'inside a cell in quotes twice (""), and close every quote.'
        ) from None


def _lines(path: Path, encoding: str) -> int:
    """The number of line ends, with that of a last line without one."""
    ends = {sign: sign.encode(_without_mark(encoding)) for sign in "\n\r"}
    counts = dict.fromkeys(ends, 0)
    last = b""
    with open_binary(path) as file:
        while data := file.read(_BLOCK):
            for sign, written in ends.items():
                counts[sign] += data.count(written)
            last = data[-4:]
    found = max(counts.values())
    return found + (not last.endswith(tuple(ends.values())))


def _without_mark(encoding: str) -> str:
    """The encoding that writes no byte order mark of its own."""
    return {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(
        encoding, encoding
    )
