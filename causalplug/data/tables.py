"""Columns out of whatever holds a table, chunk by chunk: frames, dicts, datasets and streams.

Files and the Hub are read by :mod:`causalplug.data.files`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import IterableDataset

from causalplug.data.images import is_picture
from causalplug.errors import DataError, MissingDependencyError
from causalplug.variables import Variable

__all__ = ["ClassCodes", "Columns", "Table", "from_datasets", "stacked_items", "table_of"]

Columns = dict[str, Any]
"""A chunk: columns of one length by name, as arrays, tensors, lists (of pictures, say) or :class:`ClassCodes`."""

_CHUNK, _CHUNK_BYTES = 512, 8 << 20  # rows of a stream that are read at a time, at most


@dataclass(frozen=True)
class Table:
    """A table that is read in chunks, as often as it is asked for.

    Attributes:
        names: of the columns.
        read: gives the chunks; takes the declared variables, or None, so that a text file knows
            what its words mean.
        rows: how many, None where that is known only after reading.
        whole: the columns are in memory as they are, in one chunk.
        origin: where on the Hub they come from: ``repo_id`` and the full ``revision``.
    """

    names: tuple[str, ...]
    read: Callable[[Mapping[str, Variable] | None], Iterator[Columns]]
    rows: int | None
    whole: bool = False
    origin: Mapping[str, str] | None = None

    def renamed(self, columns: Sequence[str] | Mapping[str, str]) -> Table:
        """Some of the columns, under other names.

        Raises:
            DataError: a column that is not there.
        """
        names = dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
        missing = [name for name in names if name not in self.names]
        if missing:
            raise DataError(
                f"columns={list(names)} cannot be used: the table has no column "
                f"{', '.join(map(repr, missing))}. It has {', '.join(map(repr, self.names))}."
            )

        def read(variables: Mapping[str, Variable] | None) -> Iterator[Columns]:
            before = (
                None
                if variables is None
                else {n: variables[new] for n, new in names.items() if new in variables}
            )
            for chunk in self.read(before):
                yield {new: chunk[name] for name, new in names.items()}

        return replace(self, names=tuple(names.values()), read=read)


@dataclass(frozen=True)
class ClassCodes:
    """Codes of a ``datasets.ClassLabel`` column; they are read as names unless plain integers
    are declared."""

    codes: Sequence[int | None]
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.codes)

    def values(self, *, plain: bool) -> list[int | str | None]:
        """Integers or names; -1 and None, which stand for an unknown class, become None."""
        known = [None if code is None or code < 0 else code for code in self.codes]
        return (
            list(known) if plain else [None if code is None else self.names[code] for code in known]
        )


def table_of(
    frame: Any,
    *,
    columns: Sequence[str] | Mapping[str, str] | None = None,
    split: str | None = None,
    revision: str | None = None,
    streaming: bool = False,
) -> Table:
    """The table that an object, a path or a Hub id holds.

    Raises:
        DataError: the object or file is of no kind that is known, or is malformed.
    """
    if isinstance(frame, str | Path) or (
        isinstance(frame, list | tuple) and frame and _are_paths(frame)
    ):
        from causalplug.data.files import table_at

        return table_at(frame, split=split, revision=revision, streaming=streaming)
    if _is_datasets(frame):
        return from_datasets(frame, split)
    if isinstance(frame, Mapping):
        return _from_columns({str(name): frame[name] for name in frame})
    if hasattr(frame, "columns") and hasattr(frame, "loc"):  # pandas.DataFrame
        names = [str(name) for name in frame.columns]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(
                f"The table cannot be used: it has the column {', '.join(twice)} twice. Rename one."
            )
        return _from_columns({str(name): _frame_column(frame[name]) for name in frame.columns})
    table = None
    if isinstance(frame, IterableDataset):
        table = _from_items(lambda: iter(frame), columns, None)
    elif hasattr(frame, "__getitem__") and hasattr(frame, "__len__"):
        table = _from_items(lambda: (frame[i] for i in range(len(frame))), columns, len(frame))
    elif hasattr(frame, "__iter__") and not isinstance(frame, Iterator):
        table = _from_items(lambda: iter(frame), columns, None)
    if table is None:
        once = " (an iterator can be read once only: wrap it in an IterableDataset)" * isinstance(
            frame, Iterator
        )
        raise DataError(
            f"{type(frame).__name__} cannot be read as a table{once}. Give a pandas DataFrame, a "
            "dict of arrays, a datasets.Dataset, a torch Dataset or IterableDataset whose items "
            "are dicts, the path of a CSV or Parquet file or an image folder, or the id of a "
            "dataset on the Hub."
        )
    return table


def _are_paths(items: Sequence[Any]) -> bool:
    return all(isinstance(item, str | Path) for item in items)


def _is_datasets(frame: Any) -> bool:
    return type(frame).__module__.split(".")[0] == "datasets"


# -- what is in memory


def _from_columns(columns: Columns) -> Table:
    lengths = {name: len(values) for name, values in columns.items()}
    if not lengths or max(lengths.values()) == 0:
        raise DataError(
            "The table cannot be used: it has no rows. Give at least one column with at least one row."
        )
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise DataError(
            f"The table cannot be used: its columns differ in length ({shown}). Make them equal."
        )
    rows = next(iter(lengths.values()))
    return Table(
        tuple(columns), lambda variables: iter([image_files(columns, variables)]), rows, whole=True
    )


def image_files(
    columns: Columns, variables: Mapping[str, Variable] | None, folder: Path | None = None
) -> Columns:
    """Columns whose declared images are given by the names of their files: as paths, seen from
    the table's folder."""

    def files(column: Any) -> Any:
        if not len(column) or not isinstance(column[0], str):
            return column
        return [(folder or Path()) / item if isinstance(item, str) else None for item in column]

    images = [
        name
        for name, variable in (variables or {}).items()
        if variable.is_image and name in columns
    ]
    return columns | {name: files(columns[name]) for name in images}


def _frame_column(column: Any) -> Any:
    """A frame's column as an array; rows that are arrays or images become one array or a list."""
    if (
        column.dtype == object
        and len(column)
        and not isinstance(column.iloc[0], str | int | float | bool | None)
    ):
        return stacked_items(list(column))
    return column.to_numpy()


def stacked_items(items: list[Any]) -> Any:
    """Equal arrays or tensors as one; numbers as an array; anything else stays a list."""
    first = items[0]
    if hasattr(first, "detach"):
        items = [item.detach().cpu().numpy() if hasattr(item, "detach") else item for item in items]
    if all(isinstance(item, np.ndarray | np.generic) for item in items):
        return np.stack(items) if len({item.shape for item in items}) == 1 else items
    if all(isinstance(item, bool | int | float) for item in items):
        return np.asarray(items)
    return items


# -- what comes row by row


def _from_items(
    items: Callable[[], Iterable[Any]],
    columns: Sequence[str] | Mapping[str, str] | None,
    rows: int | None,
) -> Table | None:
    """A torch Dataset or any iterable of dicts, or of tuples whose places ``columns`` names."""
    begun = iter(items())
    first = next(begun, None)
    if first is None:
        raise DataError("The table cannot be used: it has no rows.")
    unread = [
        chain([first], begun)
    ]  # a stream that can be read once only must not lose its first row
    if isinstance(first, Mapping):
        names = tuple(map(str, first))
    elif (
        isinstance(first, tuple | list) and columns is not None and not isinstance(columns, Mapping)
    ):
        names = tuple(columns)
        if len(names) != len(first):
            raise DataError(
                f"columns={list(names)} cannot be used: the rows have {len(first)} values. Name each one."
            )
    elif isinstance(first, tuple | list) and rows is not None:
        raise DataError(
            f"The dataset's items are tuples of {len(first)} values, and nothing says which "
            "variable is which. Name them: columns=['I', 'D'], say."
        )
    else:
        return None

    values = first.values() if isinstance(first, Mapping) else first
    size = max(
        1, min(_CHUNK, _CHUNK_BYTES // max(1, sum(getattr(value, "nbytes", 0) for value in values)))
    )

    def read(variables: Mapping[str, Variable] | None) -> Iterator[Columns]:
        pending: list[Any] = []
        number = -1
        for number, item in enumerate(unread.pop() if unread else items()):
            if len(item) != len(names) or (
                isinstance(item, Mapping) and set(map(str, item)) != set(names)
            ):
                got = list(item) if isinstance(item, Mapping) else f"{len(item)} values"
                raise DataError(
                    f"Row {number} cannot be used: it has {got}, the first row has {list(names)}."
                )
            pending.append(item)
            if len(pending) == size:
                yield _transposed(pending, names)
                pending = []
        if number < 0:
            raise DataError(
                "The stream gave no rows when it was read again: make its __iter__ start afresh."
            )
        if pending:
            yield _transposed(pending, names)

    return Table(names, read, rows)


def _transposed(rows: Sequence[Any], names: Sequence[str]) -> Columns:
    if isinstance(rows[0], Mapping):
        keys = dict(zip(map(str, rows[0]), rows[0], strict=True))
        return {name: stacked_items([row[keys[name]] for row in rows]) for name in names}
    return {name: stacked_items([row[place] for row in rows]) for place, name in enumerate(names)}


# -- Hugging Face datasets


def from_datasets(
    dataset: Any, split: str | None, origin: Mapping[str, str] | None = None
) -> Table:
    """A ``datasets.Dataset``, ``IterableDataset`` or one split of a dict of them; images stay
    encoded."""
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError(
            "A dataset cannot be read: the library datasets is missing. Run: pip install 'causalplug[datasets]'"
        ) from error
    if isinstance(dataset, Mapping):
        if split not in dataset and (split is not None or len(dataset) != 1):
            raise DataError(
                f"split={split!r} cannot be used: the dataset has the splits {', '.join(dataset)}. Name one of them."
            )
        dataset = dataset[split] if split is not None else next(iter(dataset.values()))
    if (
        dataset.features is None
    ):  # a stream that was mapped by a function: its columns are those of its first row
        table = _from_items(lambda: iter(dataset), None, None)
        if table is None:
            raise DataError("The stream cannot be read: its rows are no dicts.")
        return replace(table, origin=origin)
    features = dataset.features
    for name, feature in features.items():
        if isinstance(feature, datasets.Image):
            dataset = dataset.cast_column(name, datasets.Image(decode=False))
    plain = dataset.with_format(None)
    rows = len(dataset) if isinstance(dataset, datasets.Dataset) else None
    if rows == 0:
        raise DataError("The dataset cannot be used: it has no rows.")

    def read(variables: Mapping[str, Variable] | None) -> Iterator[Columns]:
        for batch in plain.iter(batch_size=_CHUNK if rows is None or any_pictures else 65_536):
            yield {name: _feature_column(batch[name], features[name]) for name in features}

    any_pictures = any(isinstance(feature, datasets.Image) for feature in features.values())
    return Table(tuple(features), read, rows, origin=origin)


def _feature_column(values: Any, feature: Any) -> Any:
    if hasattr(feature, "int2str"):
        return ClassCodes(values, feature.names)
    items = list(values)
    if items and isinstance(items[0], list):
        kind = getattr(feature, "dtype", None) if hasattr(feature, "shape") else None  # Array3D
        return stacked_items([np.asarray(item, kind) for item in items])
    return items if items and is_picture(items[0]) else stacked_items(items)
