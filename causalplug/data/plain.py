"""Tables of any kind as plain arrays, for checks that need no declarations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from causalplug.data.table import ClassCodes, Columns
from causalplug.data.text_summary import guessed_values
from causalplug.errors import DataError
from causalplug.selection import by_name
from causalplug.variables.columns import TextColumn, as_array

__all__ = ["plain_columns"]


def plain_columns(names: Sequence[str], chunks: Iterable[Columns]) -> Columns:
    """The columns of a table as arrays.

    Texts of a text file become numbers, or truth values, where all of a column's are; codes with
    leading zeros stay texts. What is missing is None or NaN.

    Args:
        names: Names of the columns.
        chunks: The chunks of the table, read without declarations.

    Raises:
        DataError: The table has no rows, or cannot be read.
    """
    parts = list(chunks)
    if not parts:
        raise DataError("The table cannot be used: it has no rows, or none that meet where=.")
    return by_name(lambda name: _joined([part[name] for part in parts], name), names)


def _joined(parts: Sequence[Any], name: str) -> np.ndarray:
    if all(isinstance(part, TextColumn) and not part.typed for part in parts):
        return _from_file(parts)
    arrays = [_plain(part, name) for part in parts]
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate(arrays)


def _plain(column: Any, name: str) -> np.ndarray:
    if isinstance(column, ClassCodes):
        return np.array(column.values(plain=False), dtype=object)
    if isinstance(column, TextColumn):
        return column.to_numpy()
    return as_array(column, name)


def _from_file(parts: Sequence[TextColumn]) -> np.ndarray:
    """What the texts of a text file stand for, decided for the whole column."""
    used: dict[str | None, None] = {}
    for part in parts:
        taken = np.unique(part.codes[part.codes >= 0])
        used.update(dict.fromkeys(part.texts[code] for code in taken))
    values: dict[str | None, Any] = dict(zip(used, guessed_values(list(used)), strict=True))
    found = np.concatenate([_looked_up(part, values) for part in parts])
    kinds = {type(value) for value in found.tolist() if value is not None}
    if kinds == {bool} and None not in found:
        return found.astype(bool)
    if kinds == {int} and None not in found:
        return _integers(found)
    if kinds <= {int, float} and kinds:
        return found.astype(float)
    return found


def _integers(values: np.ndarray) -> np.ndarray:
    try:
        return values.astype(np.int64)
    except OverflowError:
        return values.astype(float)


def _looked_up(part: TextColumn, values: dict[str | None, Any]) -> np.ndarray:
    names = np.empty(len(part.texts) + 1, dtype=object)
    for place, text in enumerate(part.texts):
        names[place] = values.get(text)
    return names[part.codes]
