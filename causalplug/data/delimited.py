"""Tables of text (CSV, TSV), read by pyarrow in blocks of a few megabytes.

Numbers are read as float64; everything else as its different texts, so that a word is what the
file says and a mark of a missing value can be the name of a category.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from causalplug.data.dialect import (
    Dialect,
    TextOptions,
    detect,
    is_comma_number,
    not_decodable,
)
from causalplug.data.quotes import refuse_open_quotes
from causalplug.data.table import Columns, Table, image_files
from causalplug.errors import DataError
from causalplug.variables import Variable
from causalplug.variables.columns import TextColumn

__all__ = ["MISSING", "delimited"]

_BLOCK = 2 << 20  # bytes that are parsed together
MISSING = frozenset(
    {
        "",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "None",
        "n/a",
        "nan",
        "null",
    }
)
"""Texts that stand for a missing value, as pandas takes them, unless a category is called so."""
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
_NUMBER = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?inf(inity)?", re.IGNORECASE
)


def delimited(path: Path, options: TextOptions) -> Table:
    """The table in a text file.

    Raises:
        DataError: It cannot be read, or can be read in several ways. Rows that do not fit the
            header are found when they are read, with their line.
    """
    dialect = detect(path, options)
    names = dialect.names

    def read(
        variables: Mapping[str, Variable] | None, columns: Collection[str] | None = None
    ) -> Iterator[Columns]:
        declared = variables or {}
        wanted = [name for name in names if columns is None or name in columns]
        for batch in _batches(path, dialect, wanted, declared):
            chunk = {n: _column(batch.column(n), declared.get(n), dialect) for n in wanted}
            yield image_files(chunk, variables, path.parent)

    return Table(names, read, None)


def _batches(
    path: Path, dialect: Dialect, wanted: list[str], declared: Mapping[str, Variable]
) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import csv

    text = pa.dictionary(pa.int32(), pa.string())
    quoted, rows = _may_be_quoted(path), 0
    numbers = {n for n in wanted if n in declared and declared[n].is_number}
    places = (["\0row"] if dialect.row_names else []) + list(dialect.names)
    try:
        with pa.input_stream(str(path), compression="detect") as file:
            reader = csv.open_csv(
                _Squeezed(file, dialect.encoding) if dialect.squeezed else file,
                read_options=csv.ReadOptions(
                    block_size=_BLOCK,
                    column_names=places,
                    skip_rows_after_names=dialect.skipped,
                    encoding="utf8"
                    if dialect.squeezed
                    else dialect.encoding.replace("utf-8-sig", "utf8"),
                ),
                parse_options=csv.ParseOptions(
                    delimiter=dialect.separator, newlines_in_values=quoted
                ),
                convert_options=csv.ConvertOptions(
                    include_columns=wanted,
                    column_types={n: pa.float64() if n in numbers else text for n in wanted},
                    null_values=sorted(MISSING),
                    decimal_point=dialect.decimal,
                ),
            )
            for batch in reader:
                if batch.num_rows:
                    rows += batch.num_rows
                    yield batch
        pa.default_memory_pool().release_unused()
        if quoted:
            refuse_open_quotes(path, dialect, rows)
    except (pa.ArrowInvalid, UnicodeError, OSError) as error:
        raise _explained(path, dialect, numbers, str(error)) from None


def _may_be_quoted(path: Path) -> bool:
    """Whether values may stand in quotes and hold line breaks; without them blocks are found
    faster."""
    if path.suffix in (".gz", ".bz2", ".zst"):
        return True
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(b'"') >= 0


def _column(array: Any, variable: Variable | None, dialect: Dialect) -> object:
    """A column of a batch: floats, or texts of which each is there once."""
    declared = Variable()
    if variable is not None:
        declared = variable
    if declared.is_number:
        return array.to_numpy(zero_copy_only=False)
    texts = tuple(array.dictionary.to_pylist())
    codes = array.indices.to_numpy(zero_copy_only=False)
    if declared.is_discrete:
        named = set(map(str, declared.categories))
    else:
        named = set()
    places = np.array(
        [-1 if t in MISSING and t not in named else at for at, t in enumerate(texts)], np.int32
    )
    if (places < 0).any():
        codes = places[codes]
    if dialect.decimal == ",":
        texts = tuple(t if t in named else _with_point(t) for t in texts)
    column = TextColumn(codes, texts)
    if declared.is_image:
        return list(column.to_numpy())
    return column


def _with_point(text: str) -> str:
    """A number with a decimal comma as it is written elsewhere."""
    if is_comma_number(text):
        return text.replace(",", ".")
    return text


class _Squeezed:
    """A file whose runs of blanks are made single ones as it is read."""

    closed = False

    def __init__(self, file: Any, encoding: str):
        self.file, self.encoding, self.rest, self.ended = file, encoding, b"", False

    def read(self, size: int = -1) -> bytes:
        """About ``size`` bytes more, whole lines."""
        while not self.ended:
            data = self.file.read(_BLOCK if size < 0 else size)
            self.ended = not data
            lines = (self.rest + data).split(b"\n")
            if self.ended:
                self.rest = b""
            else:
                self.rest = lines.pop()
            found = b"".join(b" ".join(line.split()) + b"\n" for line in lines if line.strip())
            if found:
                return found
        return b""

    def readable(self) -> bool:
        """True."""
        return True

    def close(self) -> None:
        """Nothing: the file is closed by who opened it."""


# -- what is wrong with a file


def _explained(path: Path, dialect: Dialect, numbers: set[str], reason: str) -> DataError:
    """What is wrong in which line, found by reading slowly what could not be read fast."""
    width = len(dialect.names) + dialect.row_names
    line = 0
    try:
        for place, (line, row) in enumerate(dialect.rows(path)):
            if place <= dialect.marked:
                continue
            if len(row) != width:
                return _ragged(path, dialect, line, row)
            for name, cell in zip(dialect.names, row[dialect.row_names :], strict=True):
                if name in numbers and (why := _no_number(cell, dialect)):
                    return DataError(f"{path}, line {line}: {name!r} is {cell[:80]!r}, {why}")
    except UnicodeDecodeError:
        return not_decodable(path, dialect.encoding)
    except Exception as error:
        reason = str(error)
    return DataError(f"{path} cannot be read after line {line}: {reason[:300]}. Mend the file.")


def _ragged(path: Path, dialect: Dialect, line: int, row: list[str]) -> DataError:
    count, width = len(row), len(dialect.names)
    shown = dialect.separator.join(row)
    commas = dialect.separator == "," and count > width
    return DataError(
        f"{path}, line {line} has {count} field{'s' * (count != 1)} where the header names {width} "
        f"({', '.join(dialect.names)[:120]}): {shown[:80]!r}. "
        + (
            "If its numbers have decimal commas, separate columns by semicolons or quote them; "
            * commas
        )
        + f"{'else m' if commas else 'M'}end the line, name every column, or say how columns are "
        f"separated (separator={dialect.separator!r} was used)."
    )


def _no_number(cell: str, dialect: Dialect) -> str:
    """Why a cell is no number, empty where it is one or missing."""
    if cell in MISSING:
        return ""
    text = cell.strip(" \t")
    plain = text
    if dialect.decimal == "," and "." not in text:
        plain = text.replace(",", ".")
    if dialect.decimal == "," and "." in text:
        return "which is no number with a decimal comma. Mend the line, or give decimal='.'."
    if _NUMBER.fullmatch(plain) and not text.startswith("+"):
        return ""
    if _THOUSANDS.fullmatch(text):
        return (
            "which may be a thousand or a number with a decimal comma. Write it without the comma, "
            "or separate columns by another sign and say decimal=','."
        )
    if is_comma_number(text):
        return "a number with a decimal comma? Then say so: decimal=','."
    return (
        "which is not a number. Mend the line, drop the rows without a value, or declare the "
        "variable Discrete."
    )
