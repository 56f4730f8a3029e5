"""Columns out of Arrow: Parquet files, and any object that exports the Arrow C stream (pyarrow,
polars, DuckDB)."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from causalplug.data.table import Columns, Table, image_files, stacked_items
from causalplug.errors import DataError
from causalplug.files.facts import is_pointer
from causalplug.variables import Variable
from causalplug.variables.columns import TextColumn
from causalplug.wording import shortened

__all__ = [
    "arrow_column",
    "arrow_file",
    "exported_column",
    "from_arrow",
    "is_arrow",
    "is_arrow_array",
    "parquet",
]

_ROWS, _PARQUET_ROWS, _HEAVY_ROWS = 65_536, 524_288, 512  # of a chunk


def is_arrow(frame: object) -> bool:
    """Whether an object exports a table by the Arrow PyCapsule interface."""
    return hasattr(frame, "__arrow_c_stream__")


def is_arrow_array(values: object) -> bool:
    """Whether a column is an array of pyarrow, which nobody has who never loaded it."""
    if "pyarrow" not in sys.modules:
        return False
    import pyarrow as pa

    return isinstance(values, pa.Array | pa.ChunkedArray)


def from_arrow(frame: object) -> Table:
    """The table that an object exports; it stays where it is.

    Raises:
        DataError: It has no columns or rows, or a column twice.
    """
    import pyarrow as pa

    try:
        table = pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            f"{type(frame).__name__} cannot be read as a table: {str(error)[:300]}. Give a table "
            "with named columns."
        ) from None
    names = _names(table.schema.names, f"The {type(frame).__name__}")
    if not table.num_rows:
        raise DataError("The table cannot be used: it has no rows.")
    size = _ROWS
    if _heavy(table.schema):
        size = _HEAVY_ROWS

    def read(
        variables: Mapping[str, Variable] | None, columns: Collection[str] | None = None
    ) -> Iterator[Columns]:
        wanted = [name for name in names if columns is None or name in columns]
        for batch in table.select(wanted).to_batches(max_chunksize=size):
            if batch.num_rows:
                chunk = {name: arrow_column(batch.column(name)) for name in wanted}
                yield image_files(chunk, variables)

    return Table(names, read, table.num_rows)


def parquet(path: Path) -> Table:
    """The table in a Parquet file.

    Raises:
        DataError: It cannot be read, has no rows, or a column twice.
    """
    import pyarrow as pa
    from pyarrow import parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None
    names = _names(schema.names, str(path))
    texts = [field.name for field in schema if _is_text(field.type)]
    size = _PARQUET_ROWS
    if _heavy(schema):
        size = _HEAVY_ROWS

    def read(
        variables: Mapping[str, Variable] | None, columns: Collection[str] | None = None
    ) -> Iterator[Columns]:
        wanted = [name for name in names if columns is None or name in columns]
        try:
            with pq.ParquetFile(path, read_dictionary=texts) as file:
                for batch in file.iter_batches(batch_size=size, columns=wanted):
                    chunk = {name: arrow_column(batch.column(name)) for name in wanted}
                    yield image_files(chunk, variables, path.parent)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from None
        pa.default_memory_pool().release_unused()

    if not rows:
        raise DataError(f"{path} cannot be used: it has no rows.")
    return Table(names, read, rows)


def arrow_file(path: Path) -> Table:
    """The table in a file of Arrow's IPC format (Feather).

    Raises:
        DataError: It cannot be read, has no rows, or a column twice.
    """
    import pyarrow as pa
    from pyarrow import feather

    try:
        return from_arrow(feather.read_table(str(path), memory_map=True))
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error, "Arrow") from None


def _unreadable(path: Path, error: Exception, kind: str = "Parquet") -> DataError:
    if is_pointer(path):
        return DataError(
            f"{path} cannot be read: it is a pointer of Git LFS, not the file itself. Run: git lfs "
            "pull"
        )
    return DataError(
        f"{path} cannot be read as {kind}: {str(error)[:300].rstrip('.')}. Write it again, or "
        "download it again."
    )


def _names(names: list[str], what: str) -> tuple[str, ...]:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(
            f"{what} cannot be used: it has the column {', '.join(twice)} twice. Rename one."
        )
    if not names:
        raise DataError(f"{what} cannot be used: it has no columns.")
    return tuple(names)


def _heavy(schema: Any) -> bool:
    """Whether rows may hold pictures or arrays."""
    import pyarrow as pa

    return any(
        pa.types.is_nested(t) or pa.types.is_binary(t) or pa.types.is_large_binary(t)
        for t in schema.types
    )


def arrow_column(column: Any) -> object:
    """An array of pyarrow as what the rest of the package reads.

    Numbers and dates become arrays, texts a :class:`TextColumn`, lists of numbers one array or a
    list of them; encoded pictures and other objects stay objects.
    """
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0)
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    kind = column.type
    if _is_text(kind):
        return _texts(column.dictionary_encode())
    if pa.types.is_dictionary(kind):
        if _is_text(kind.value_type):
            return _texts(column)
        return arrow_column(column.dictionary_decode())
    if pa.types.is_nested(kind):
        return _nested(column)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return column.to_pylist()
    if pa.types.is_boolean(kind) and column.null_count:
        return np.asarray(column.to_pylist(), dtype=object)
    if pa.types.is_time(kind):
        return column.cast(pa.string()).to_pylist()
    return column.to_numpy(zero_copy_only=False)


def exported_column(values: object, name: str) -> object:
    """A column of another library that exports it to Arrow (a Series of polars).

    Raises:
        DataError: Its type is none of Arrow's, or none that can be read.
    """
    import pyarrow as pa

    try:
        return arrow_column(pa.chunked_array(values))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            f"{name!r} cannot be read: {shortened(error, 200)}. Give it as a list or an array of "
            "numbers or texts."
        ) from None


def _is_text(kind: object) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()


def _texts(column: Any) -> TextColumn:
    import pyarrow as pa

    codes = column.indices
    if not pa.types.is_signed_integer(codes.type):  # polars and DuckDB count without a sign
        codes = codes.cast(pa.int64())
    codes = codes.fill_null(-1).to_numpy(zero_copy_only=False)
    texts = column.dictionary.to_pylist()
    if None in texts:
        places = [-1 if text is None else at for at, text in enumerate(texts)]
        codes = np.array([*places, -1], np.int32)[codes]
    return TextColumn(codes, tuple("" if t is None else t for t in texts), typed=True)


def _nested(column: Any) -> object:
    """Lists of numbers as arrays; objects, and lists of them, as they are."""
    import pyarrow as pa

    leaf = column.type
    while (
        pa.types.is_list(leaf) or pa.types.is_large_list(leaf) or pa.types.is_fixed_size_list(leaf)
    ):
        leaf = leaf.value_type
    items = column.to_pylist()
    numeric = pa.types.is_integer(leaf) or pa.types.is_floating(leaf) or pa.types.is_boolean(leaf)
    if not numeric:
        return items
    kind = leaf.to_pandas_dtype()
    try:
        return stacked_items([None if item is None else np.asarray(item, kind) for item in items])
    except (TypeError, ValueError):  # ragged, or with holes
        return items
