"""JSON lines: one object for each line; blank lines and a mark of the encoding are passed over."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from causalplug.data.dialect import UNREADABLE, TextOptions, encoding_of, not_decodable, open_binary
from causalplug.data.table import Columns, Table, image_files, stacked_items
from causalplug.errors import DataError
from causalplug.selection import without
from causalplug.values import Json
from causalplug.variables import Variable

__all__ = ["json_lines"]

_ROWS = 65_536  # of a chunk


def json_lines(path: Path, options: TextOptions) -> Table:
    """The table in a file of JSON lines.

    Raises:
        DataError: A line is no JSON object (with its number), or the file has no rows.
    """
    encoding = options.encoding or encoding_of(path)
    wrong = [name for name in options.given if name != "encoding"]
    if wrong:
        raise DataError(f"{wrong[0]} cannot be used: {path} is JSON. Leave it out.")

    def read(
        variables: Mapping[str, Variable] | None, columns: Collection[str] | None = None
    ) -> Iterator[Columns]:
        names: list[str] = []
        for start, rows in _rows(path, encoding):
            found = dict.fromkeys(name for row in rows for name in row)
            names = names or list(found)
            new = without(found, names)
            if new:
                raise DataError(
                    f"{path} has {new[0]!r} after line {start} only. Give it (or null) in every "
                    "line."
                )
            wanted = [name for name in names if columns is None or name in columns]
            chunk = {}
            for name in wanted:
                chunk[name] = stacked_items([row.get(name) for row in rows])
            yield image_files(chunk, variables, path.parent)

    first = next(read(None), None)
    if first is None:
        raise DataError(f"{path} cannot be used: it has no rows.")
    return Table(tuple(first), read, None)


def _rows(path: Path, encoding: str) -> Iterator[tuple[int, list[Json]]]:
    """Some rows at a time, with the number of lines before them."""
    start = 0
    with open_binary(path) as file:
        text = io.TextIOWrapper(file, encoding=encoding)
        try:
            while lines := list(islice(text, _ROWS)):
                rows = _parsed(lines, start, path)
                if rows:
                    yield start, rows
                start += len(lines)
        except UnicodeDecodeError:
            raise not_decodable(path, encoding) from None
        except UNREADABLE as error:
            raise DataError(f"{path} cannot be read: {error}. Check the file.") from None


def _parsed(lines: Sequence[str], start: int, path: Path) -> list[Json]:
    rows = []
    for number, line in enumerate(lines, start + 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            if isinstance(error, RecursionError):
                why = "nested too deeply"
            else:
                why = str(error)
            raise DataError(
                f"{path}, line {number}: {why}. Each line must be one JSON object."
            ) from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number} is no JSON object. Each line must be one.")
        rows.append(row)
    return rows


def _once(pairs: list[tuple[str, object]]) -> Json:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has the key {twice!r} twice")
    return found
