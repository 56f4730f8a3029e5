"""How a text file writes its table: encoding, separator, decimal sign, header and names of rows.

What the first megabyte shows without doubt is taken; the rest is asked for.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causalplug.errors import DataError
from causalplug.selection import values_at, without_none

__all__ = [
    "UNREADABLE",
    "Dialect",
    "TextOptions",
    "detect",
    "encoding_of",
    "is_comma_number",
    "not_decodable",
    "open_binary",
]

UNREADABLE = (OSError, EOFError, zlib.error)
"""How files that cannot be read or decompressed end."""
_SAMPLE = 1 << 20  # bytes that are looked at
_MARKS = (  # longest first: the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_TEXT = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook: save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save the sheet as CSV",
    b"PAR1": "Parquet: call it .parquet",
    b"ARROW1": "Arrow: call it .arrow",
    b"\x1f\x8b": "compressed by gzip: call it .csv.gz",
    b"<!DOCTYPE": "a page of the web: download the file itself",
    b"<html": "a page of the web: download the file itself",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: run git lfs pull",
}
_SEPARATORS = (",", ";", "\t", "|")
_WORDS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
_POINT_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


@dataclass(frozen=True)
class TextOptions:
    """What a user says about a text file; None where it shall be detected.

    Attributes:
        separator: Sign between two columns.
        decimal: Decimal sign, ``"."`` or ``","``.
        encoding: Encoding, by Python's name.

    Raises:
        DataError: An unknown encoding, or a sign that cannot be one.
    """

    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        if self.separator is not None and (
            not isinstance(self.separator, str)
            or len(self.separator) != 1
            or self.separator in '\n\r"'
        ):
            raise DataError(
                f"separator={self.separator!r} cannot be used: give one sign, such as ';' or '\\t'."
            )
        if self.decimal not in (None, ".", ","):
            raise DataError(f"decimal={self.decimal!r} cannot be used: give '.' or ','.")
        if self.decimal is not None and self.decimal == self.separator:
            raise DataError(
                f"separator={self.separator!r} and decimal={self.decimal!r} are the same sign. "
                "Give another separator."
            )
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except (LookupError, TypeError):
                raise DataError(
                    f"encoding={self.encoding!r} is not known: give 'utf-8', 'cp1252' or another "
                    "of Python's encodings."
                ) from None

    @property
    def given(self) -> dict[str, str]:
        """The options that are not None."""
        return without_none(vars(self))


@dataclass(frozen=True)
class Dialect:
    """How a text file is to be read.

    Attributes:
        encoding: Python's name of the encoding.
        separator: Sign between two columns.
        squeezed: Columns are separated by runs of blanks.
        decimal: Decimal sign.
        names: Names in the header.
        skipped: Rows before the first row of data, the header and empty lines among them.
        marked: The first line only says what separates columns.
        row_names: Rows begin with a name that has no place in the header.
    """

    encoding: str
    separator: str
    squeezed: bool
    decimal: str
    names: tuple[str, ...]
    skipped: int
    marked: bool
    row_names: bool

    def rows(self, path: Path, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
        """Number of the last line and fields of each row, the header included, read slowly: to
        say where something is wrong. ``strict`` refuses quotes that are not closed."""
        with open_binary(path) as file:
            text = io.TextIOWrapper(file, encoding=self.encoding, newline="")
            lines = _squeezed(text) if self.squeezed else text
            reader = csv.reader(lines, delimiter=self.separator, strict=strict)
            for row in reader:
                if row:
                    yield reader.line_num, row


def open_binary(path: Path) -> Any:
    """The bytes of a file, decompressed by its suffix (.gz, .bz2, .zst)."""
    if path.suffix == ".zst":
        import pyarrow as pa

        return pa.input_stream(str(path), compression="zstd")
    if path.suffix in (".gz", ".bz2"):
        if path.suffix == ".gz":
            return gzip.open(path)
        return bz2.open(path)
    return open(path, "rb")


def is_comma_number(text: str) -> bool:
    """Whether a text is a number with a decimal comma."""
    return bool(_COMMA.fullmatch(text.strip()))


def detect(path: Path, options: TextOptions) -> Dialect:
    """The dialect of a file.

    Raises:
        DataError: The file is empty, is no text, has no header that can be used, or can be read in
            more than one way.
    """
    sample, encoding, whole = _sample(path, options.encoding)
    lines = sample.splitlines(keepends=True)
    if not whole and len(lines) > 1:
        lines = lines[:-1]
    separator, skipped = options.separator, 0
    if separator is None and lines and re.fullmatch(r"sep=(.)\s*", lines[0], re.IGNORECASE):
        separator, skipped, lines = lines[0][4], 1, lines[1:]  # Excel's own mark
    if not any(line.strip() for line in lines):
        raise DataError(
            f"{path} cannot be used: it is empty; its first line has to name the columns"
        )
    layout = _layout(path, lines, separator)
    names = layout.rows[0]
    _refuse_lines_above(path, layout)
    decimal = options.decimal or _decimal(path, layout, given=separator is not None)
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DataError(
            f"{path} cannot be used: it has the column {', '.join(map(repr, twice))} twice. Rename "
            "one."
        )
    return Dialect(
        encoding, layout.separator, layout.squeezed, decimal, tuple(names),
        skipped + layout.header_place, skipped > 0, layout.row_names,
    )  # fmt: skip


def _refuse_lines_above(path: Path, layout: _Layout) -> None:
    """Refuse a title or a comment where the names of the columns belong."""
    first, *others = layout.rows
    if len(first) == 1 and others and all(len(row) > 1 for row in others):
        raise DataError(
            f"{path} cannot be read: line {layout.lines[0]} ({first[0][:80]!r}) names one column, "
            f"and line {layout.lines[1]} has {len(others[0])} fields. Take lines above the header "
            "out of the file."
        )


def encoding_of(path: Path) -> str:
    """The encoding that a file's first bytes show, else UTF-8.

    Raises:
        DataError: It is no file of text.
    """
    return _encoding(path, _head(path)[0], None)


def _head(path: Path) -> tuple[bytes, bool]:
    """The first bytes of a file, and whether these are all."""
    try:
        with open_binary(path) as file:
            return file.read(_SAMPLE), not file.read(1)
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read: {error}. Check the file.") from None


def _encoding(path: Path, data: bytes, given: str | None) -> str:
    for mark, what in _NOT_TEXT.items():
        if data.startswith(mark):
            raise DataError(f"{path} cannot be read as a table of text: it is {what}.")
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    used = given or marked or "utf-8"
    if used.lower().replace("_", "-") in ("utf-8", "utf8"):
        return "utf-8-sig"
    return used


def _sample(path: Path, encoding: str | None) -> tuple[str, str, bool]:
    """The first text of a file, its encoding, and whether that is all of it."""
    data, whole = _head(path)
    used = _encoding(path, data, encoding)
    if b"\0" in data and not used.startswith(("utf-16", "utf-32")):
        raise DataError(
            f"{path} cannot be read: it holds NUL bytes, so it is no text in {used}. If it is "
            "UTF-16, say so: encoding='utf-16-le'."
        )
    decoder = codecs.getincrementaldecoder(used)()
    try:
        return decoder.decode(data, final=whole), used, whole
    except UnicodeDecodeError as error:
        raise not_decodable(path, used, data[: error.start].count(b"\n") + 1) from None


def not_decodable(path: Path, encoding: str, line: int | None = None) -> DataError:
    """The error of a file in another encoding; the line is looked for where it is not known."""
    line = line or _undecodable_line(path, encoding)
    name = encoding.removesuffix("-sig").upper()
    return DataError(
        f"{path} cannot be read: line {line} is not {name}. Save it as UTF-8, or say what it is: "
        "encoding='cp1252' for the files of Windows in western Europe."
    )


def _undecodable_line(path: Path, encoding: str) -> int:
    number = 1
    with open_binary(path) as file:
        for text in file:
            try:
                text.decode(encoding)
            except UnicodeDecodeError:
                break
            number += 1
    return number


# -- separators


@dataclass(frozen=True)
class _Layout:
    """What one separator makes of the sample."""

    separator: str
    squeezed: bool
    rows: list[list[str]]
    lines: list[int]
    header_place: int
    quoted: bool

    @property
    def row_names(self) -> bool:
        """R's write.table: every row begins with a name in quotes that the header leaves out."""
        longer = len(self.rows) > 1 and all(
            len(row) == len(self.rows[0]) + 1 for row in self.rows[1:]
        )
        return longer and self.quoted

    @property
    def fits(self) -> bool:
        """Whether all rows have the columns of the header, at least two."""
        if len(self.rows[0]) + self.row_names < 2:
            return False
        width = len(self.rows[0]) + self.row_names
        return all(len(row) == width for row in self.rows[1:])


def _layout(path: Path, lines: Sequence[str], separator: str | None) -> _Layout:
    """The only way to split the lines into columns."""
    if separator is not None:
        return _split(path, lines, separator)
    suffix = path.name.removesuffix(path.suffix if path.suffix in (".gz", ".bz2", ".zst") else "")
    usual = "\t"
    if suffix.lower().endswith(".csv"):
        usual = ","
    tried = {sign: _split(path, lines, sign) for sign in _SEPARATORS}
    fitting = [sign for sign, layout in tried.items() if layout.fits]
    if len(fitting) > 1:
        raise DataError(
            f"{path} can be read in several ways: its columns may be separated by "
            f"{' or by '.join(values_at(_WORDS, fitting))}. Say which: "
            f"separator={fitting[0]!r}."
        )
    if fitting:
        return tried[fitting[0]]
    if usual == "\t" and len(tried["\t"].rows[0]) == 1 and (found := _by_blanks(path, lines)):
        return found
    others = [s for s in _SEPARATORS if s != usual and len(tried[s].rows[0]) > 1]
    if len(tried[usual].rows[0]) > 1 or not others:
        return tried[usual]
    raise _uneven(path, tried[others[0]], asking=True)


def _by_blanks(path: Path, lines: Sequence[str]) -> _Layout | None:
    """Columns between single blanks, or between runs of them."""
    for layout in (_split(path, lines, " "), _squeezed_layout(path, lines)):
        if layout is not None and layout.fits:
            return layout
    return None


def _split(path: Path, lines: Sequence[str], separator: str, squeezed: bool = False) -> _Layout:
    reader = csv.reader(lines, delimiter=separator)
    rows, numbers, quoted, start, header_place = [], [], [], 0, 0
    try:
        for place, row in enumerate(reader, 1):
            if row:
                header_place = header_place or place
                rows.append(row)
                numbers.append(reader.line_num)
                first = next(line for line in lines[start : reader.line_num] if line.strip())
                quoted.append(first.startswith('"'))
            start = reader.line_num
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num} cannot be read: {error}.") from None
    return _Layout(separator, squeezed, rows, numbers, header_place, all(quoted[1:]))


def _squeezed_layout(path: Path, lines: Sequence[str]) -> _Layout | None:
    """Columns in runs of blanks; with quotes a run may be part of a value."""
    if any('"' in line for line in lines):
        return None
    return _split(path, list(_squeezed(lines)), " ", squeezed=True)


def _squeezed(lines: Any) -> Iterator[str]:
    for line in lines:
        if line.strip():
            yield " ".join(line.split()) + "\n"


def _uneven(path: Path, layout: _Layout, *, asking: bool) -> DataError:
    width = len(layout.rows[0])
    at = next((k for k, row in enumerate(layout.rows) if len(row) != width), 0)
    return DataError(
        f"{path}, line {layout.lines[at]} has {len(layout.rows[at])} fields where the header names "
        f"{width}, if the columns are separated by {_WORDS[layout.separator]}. Mend the line, or "
        "say how columns are separated: separator=…."
    )


# -- decimal signs


def _decimal(path: Path, layout: _Layout, *, given: bool) -> str:
    if layout.separator == ",":
        return "."
    cells = [cell.strip() for row in layout.rows[1:] for cell in row]
    commas = [cell for cell in cells if _COMMA.fullmatch(cell)]
    points = [cell for cell in cells if _POINT.fullmatch(cell)]
    if layout.separator == ";" and points and all(map(_POINT_THOUSANDS.fullmatch, points)):
        raise DataError(
            f"{path} can be read in several ways: {points[0]!r} may be a number with a decimal "
            "point, or a thousand. Say decimal='.', or write the thousands without points."
        )
    if not commas or points:
        return "."
    if all(map(_THOUSANDS.fullmatch, commas)):
        raise DataError(
            f"{path} can be read in several ways: {commas[0]!r} may be a number with a decimal "
            "comma, or a thousand. Say which: decimal=',' or decimal='.'."
        )
    return ","
