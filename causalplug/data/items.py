"""Tables that come row by row: torch datasets, iterables of dicts or of tuples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from causalplug.data.table import Columns, Table, stacked_items
from causalplug.errors import DataError
from causalplug.variables import Variable

__all__ = ["CHUNK", "from_items"]

CHUNK = 512
"""Rows of a stream that are read at a time, at most."""
_CHUNK_BYTES = 8 << 20


def from_items(
    items: Callable[[], Iterable[Any]],
    columns: Sequence[str] | Mapping[str, str] | None,
    rows: int | None,
) -> Table | None:
    """A torch Dataset or any iterable of dicts, or of tuples whose places ``columns`` names."""
    begun = iter(items())
    try:
        first = next(begun, None)
    except KeyError as error:
        raise DataError(
            f"The table cannot be read: it has rows, and none at {error}; give rows that are "
            "counted from 0, or an iterable of dicts."
        ) from error
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
                f"columns={list(names)} cannot be used: the rows have {len(first)} values. Name "
                "each one."
            )
    elif isinstance(first, tuple | list) and rows is not None:
        raise DataError(
            f"The dataset's items are tuples of {len(first)} values, and nothing says which "
            "variable is which. Name them: columns=['I', 'D'], say."
        )
    else:
        return None

    values: Iterable[Any] = first
    if isinstance(first, Mapping):
        values = first.values()
    size = max(
        1, min(CHUNK, _CHUNK_BYTES // max(1, sum(getattr(value, "nbytes", 0) for value in values)))
    )

    def read(
        variables: Mapping[str, Variable] | None, columns: Collection[str] | None = None
    ) -> Iterator[Columns]:
        pending: list[object] = []
        number = -1
        for number, item in enumerate(unread.pop() if unread else items()):
            if len(item) != len(names) or (
                isinstance(item, Mapping) and set(map(str, item)) != set(names)
            ):
                if isinstance(item, Mapping):
                    got: list[object] | str = list(item)
                else:
                    got = f"{len(item)} values"
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
        found = {}
        for name in names:
            found[name] = stacked_items([row[keys[name]] for row in rows])
        return found
    found = {}
    for place, name in enumerate(names):
        found[name] = stacked_items([row[place] for row in rows])
    return found
