"""Columns out of whatever holds a table: frames, dicts, Arrow tables, datasets and streams.

Files and the Hub are read by :mod:`causalplug.data.files`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from causalplug.data.arrow import (
    arrow_column,
    exported_column,
    from_arrow,
    is_arrow,
    is_arrow_array,
)
from causalplug.data.dialect import TextOptions
from causalplug.data.files import table_at
from causalplug.data.huggingface import from_datasets, is_datasets
from causalplug.data.items import from_items
from causalplug.data.table import ClassCodes, Columns, Table, image_files, stacked_items
from causalplug.errors import DataError
from causalplug.selection import all_of_kind
from causalplug.variables import Variable
from causalplug.variables.columns import TextColumn

__all__ = ["ClassCodes", "Columns", "Table", "table_of"]


def table_of(
    frame: Any,
    *,
    columns: Sequence[str] | Mapping[str, str] | None = None,
    split: str | None = None,
    revision: str | None = None,
    streaming: bool = False,
    text: TextOptions | None = None,
) -> Table:
    """The table that an object, a path or a Hub id holds.

    Raises:
        DataError: The object or file is of no kind that is known, or is malformed.
    """
    text = text or TextOptions()
    paths = isinstance(frame, list | tuple) and bool(frame) and _are_paths(frame)
    if isinstance(frame, str | Path) or paths:
        return table_at(frame, split=split, revision=revision, streaming=streaming, text=text)
    if text.given:
        raise DataError(
            f"{', '.join(text.given)} cannot be used: {type(frame).__name__} is no text file. "
            "Leave it out."
        )
    if is_datasets(frame):
        return from_datasets(frame, split)
    if isinstance(frame, Mapping):
        _refuse_other_order(frame)
        return _from_columns({str(name): _given(frame[name], str(name)) for name in frame})
    if hasattr(frame, "columns") and hasattr(frame, "loc"):  # pandas.DataFrame
        return _from_frame(frame)
    if isinstance(frame, np.ndarray) and frame.dtype.names:
        return _from_columns({name: _given(frame[name], name) for name in frame.dtype.names})
    if isinstance(frame, set | frozenset) or _is_series(frame):
        raise _unknown(frame)
    if is_arrow(frame):
        return from_arrow(frame)
    table = _from_rows(frame, columns)
    if table is None:
        raise _unknown(frame)
    return table


def _from_rows(frame: object, columns: Sequence[str] | Mapping[str, str] | None) -> Table | None:
    """A torch dataset or an iterable of rows, None where it is neither."""
    if isinstance(frame, np.ndarray):
        return None
    if _is_iterable_dataset(frame):
        return from_items(lambda: iter(frame), columns, None)
    if hasattr(frame, "__getitem__") and hasattr(frame, "__len__"):
        try:
            rows = len(frame)
        except TypeError:  # a sparse matrix
            return None
        return from_items(lambda: (frame[i] for i in range(rows)), columns, rows)
    if hasattr(frame, "__iter__") and not isinstance(frame, Iterator):
        return from_items(lambda: iter(frame), columns, None)
    return None


def _is_series(frame: object) -> bool:
    """Whether a frame is a single column of pandas, which nobody has who never loaded pandas."""
    if "pandas" not in sys.modules:
        return False
    from pandas import Series

    return isinstance(frame, Series)


def _is_iterable_dataset(frame: object) -> TypeGuard[Iterable[Any]]:
    """Whether a frame is an IterableDataset of torch, which nobody has who never loaded torch."""
    if "torch" not in sys.modules:
        return False
    from torch.utils.data import IterableDataset

    return isinstance(frame, IterableDataset)


def _unknown(frame: object) -> DataError:
    name = type(frame).__name__
    if isinstance(frame, Iterator):
        return DataError(
            f"{name} cannot be read as a table: an iterator can be read once only. Wrap it in an "
            "IterableDataset."
        )
    if isinstance(frame, np.ndarray):
        return DataError(
            "An array cannot be read as a table: its columns have no names. Give "
            "pandas.DataFrame(array, columns=[…]) or a dict of columns."
        )
    if name == "Series":
        return DataError(
            "A Series cannot be read as a table: it is a single column. Give frame[[name]], or a "
            "dict of columns."
        )
    if type(frame).__module__.startswith("polars") and name == "LazyFrame":
        return DataError("A LazyFrame cannot be read as a table. Give frame.collect().")
    return DataError(
        f"{name} cannot be read as a table. Give a pandas DataFrame, a dict of arrays, an Arrow or "
        "polars table, a datasets.Dataset, a torch Dataset or IterableDataset whose items are "
        "dicts, the path of a CSV, JSON lines or Parquet file or an image folder, or the id of a "
        "dataset on the Hub."
    )


def _are_paths(items: Sequence[object]) -> bool:
    return all_of_kind(items, str | Path)


# -- what is in memory


def _from_columns(held: Columns) -> Table:
    lengths = {name: _length(name, values) for name, values in held.items()}
    if not lengths or max(lengths.values()) == 0:
        raise DataError(
            "The table cannot be used: it has no rows. Give at least one column with at least one "
            "row."
        )
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise DataError(
            f"The table cannot be used: its columns differ in length ({shown}). Make them equal."
        )
    rows = next(iter(lengths.values()))

    def read(
        variables: Mapping[str, Variable] | None, columns: Collection[str] | None = None
    ) -> Iterator[Columns]:
        chosen = {n: v for n, v in held.items() if columns is None or n in columns}
        return iter([image_files(chosen, variables)])

    return Table(tuple(held), read, rows, whole=True)


def _length(name: str, values: Any) -> int:
    if isinstance(values, set | frozenset | Mapping):
        raise DataError(
            f"The table cannot be used: {name!r} is a {type(values).__name__}, which has no rows "
            "in order. Give a list or an array."
        )
    try:
        return len(values)
    except TypeError:
        raise DataError(
            f"The table cannot be used: {name!r} is a single {type(values).__name__}. Give one "
            "value for each row."
        ) from None


def _refuse_other_order(frame: Mapping[Any, object]) -> None:
    """Refuse Series whose labels differ: pandas joins rows by label, and a dict of other columns
    has them by place."""
    held = {str(name): values for name, values in frame.items() if _is_series(values)}
    labels: Any = None
    for name, values in held.items():
        index = values.index  # type: ignore[attr-defined]
        if labels is None:
            labels, first = index, name
        elif not labels.equals(index):
            raise DataError(
                f"The table cannot be used: the rows of {first!r} and {name!r} have different "
                "labels (Series.index), so that it is not known which belong together. Give "
                "pandas.DataFrame(…), which joins them by label, or values.to_numpy() of each."
            )


def _given(values: object, name: str) -> object:
    """A column of a dict."""
    if is_arrow_array(values):
        return arrow_column(values)
    if _is_series(values):
        return _frame_column(values)
    if is_arrow(values):
        return exported_column(values, name)
    if isinstance(values, np.ndarray) and values.dtype.names:
        raise DataError(
            f"{name!r} cannot be one variable: its rows have the fields "
            f"{', '.join(values.dtype.names)}. Give each field as a column of its own."
        )
    return values


def _from_frame(frame: Any) -> Table:
    names = list(map(str, frame.columns))
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(
            f"The table cannot be used: it has the column {', '.join(twice)} twice. Rename one."
        )
    return _from_columns({str(name): _frame_column(frame[name]) for name in frame.columns})


def _frame_column(column: Any) -> object:
    """A column of pandas: texts and categories by their codes, rows that are arrays or images as
    one array or a list, anything else as an array."""
    import pandas as pd

    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        categories = kind.categories
        if all_of_kind(categories, str):
            return TextColumn(column.cat.codes.to_numpy(), tuple(categories), typed=True)
        return column.to_numpy()
    if isinstance(kind, pd.StringDtype) or _holds_texts(column):
        codes, texts = pd.factorize(column)
        return TextColumn(codes, tuple(map(str, texts)), typed=True)
    if isinstance(kind, pd.ArrowDtype):
        return arrow_column(column.array.__arrow_array__())
    objects = isinstance(kind, np.dtype) and kind.kind == "O"
    first = None
    if objects and len(column):
        first = column.iloc[0]
    if not isinstance(first, str | int | float | bool | None):
        return stacked_items(list(column))
    return column.to_numpy()


def _holds_texts(column: Any) -> bool:
    """Whether a column of objects holds texts alone, missing values apart."""
    import pandas as pd

    objects = isinstance(column.dtype, np.dtype) and column.dtype.kind == "O"
    return objects and pd.api.types.infer_dtype(column, skipna=True) == "string"
