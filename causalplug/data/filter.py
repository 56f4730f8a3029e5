"""Some of the rows of a table, by the values of its columns."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from causalplug.data.table import ClassCodes, Columns, Table
from causalplug.errors import DataError
from causalplug.selection import values_at, without
from causalplug.values import Named
from causalplug.variables import Variable
from causalplug.variables.columns import TextColumn, as_array

__all__ = ["filtered"]


def filtered(table: Table, where: Named) -> Table:
    """The rows that meet every condition.

    Args:
        table: The table.
        where: By column, the value that it must have, a list of such values, or an interval
            ``(low, high)`` with None for an open end. In a text file a value is compared as it is
            written, and as a number where both are numbers.

    Raises:
        DataError: A column that is not there, or a condition that no value can meet. While reading:
            values that cannot be compared.
    """
    missing = without(where, table.names)
    if missing:
        raise DataError(
            f"where={dict(where)} cannot be used: the table has no column "
            f"{', '.join(map(repr, missing))}. It has {', '.join(map(repr, table.names))}."
        )
    for name, condition in where.items():
        _check(condition, name)

    def read(
        variables: Mapping[str, Variable] | None, columns: Collection[str] | None = None
    ) -> Iterator[Columns]:
        wanted: Collection[str] = table.names
        if columns is not None:
            wanted = columns
        needed = list(dict.fromkeys([*wanted, *where]))
        for chunk in table.read(variables, needed):
            kept = np.ones(len(chunk[needed[0]]), bool)
            for name, condition in where.items():
                kept &= _meets(chunk[name], condition, name)
            rows = np.flatnonzero(kept)
            if len(rows):
                yield {name: _taken(chunk[name], rows) for name in wanted}

    return replace(table, read=read, rows=None)


def _check(condition: object, name: str) -> None:
    """Raise unless it is a value, a list of values or an interval."""
    if isinstance(condition, tuple):
        low, high = _interval(condition, name)
        fits = low <= high
    elif isinstance(condition, list):
        fits = bool(condition) and all(map(_is_value, condition))
    else:
        fits = _is_value(condition)
    if not fits:
        raise DataError(
            f"where={{{name!r}: {condition!r}}} cannot be used: give the value that it must have, "
            "a list of such values, or an interval (low, high)."
        )


def _is_value(value: object) -> bool:
    """Whether it is one value: none that holds several, and no missing one."""
    return isinstance(value, Hashable) and not isinstance(value, tuple) and value == value


def _meets(column: object, condition: object, name: str) -> np.ndarray:
    """Which rows meet one condition."""
    if isinstance(column, TextColumn):
        texts = np.array([*column.texts, None], dtype=object)
        fits = [text is not None and _fits(text, condition, name) for text in texts]
        return np.array(fits, bool)[column.codes]
    if isinstance(column, ClassCodes):
        column = column.values(plain=False)
    array = as_array(column, name)
    if array.ndim != 1:
        raise DataError(f"where cannot be used with {name!r}: it has several numbers in each row.")
    values, places = np.unique(array.astype(object).astype(str), return_inverse=True)
    if len(values) < len(array) // 2 or array.dtype.kind not in "iuf":
        return np.array([_fits(value, condition, name) for value in values], bool)[places]
    return _meets_numbers(array, condition, name)


def _meets_numbers(array: np.ndarray, condition: object, name: str) -> np.ndarray:
    if isinstance(condition, tuple):
        low, high = _interval(condition, name)
        return (array >= low) & (array <= high)
    if isinstance(condition, list):
        allowed = condition
    else:
        allowed = [condition]
    numbers = [number for value in allowed if (number := _number(value)) is not None]
    return np.isin(array, numbers)


def _fits(text: str, condition: object, name: str) -> bool:
    """Whether one value, as it is written, meets a condition."""
    number = _number(text)
    if isinstance(condition, tuple):
        low, high = _interval(condition, name)
        if number is None:
            raise DataError(
                f"where cannot be used with an interval of {name!r}: its value {text[:80]!r} is "
                "not a number. Give the values that are meant: a list."
            )
        return low <= number <= high
    if isinstance(condition, list):
        allowed = condition
    else:
        allowed = [condition]
    if text in set(map(str, allowed)):
        return True
    return number is not None and number in set(map(_number, allowed))


def _interval(condition: tuple[Any, ...], name: str) -> tuple[float, float]:
    if len(condition) != 2:
        raise DataError(
            f"where={condition!r} cannot be used for {name!r}: an interval is (low, high), with "
            "None for an open end; several values are a list."
        )
    ends = [-np.inf, np.inf]
    for place, end in enumerate(condition):
        number = _number(end)
        if end is not None and number is None:
            raise DataError(
                f"where={condition!r} cannot be used for {name!r}: the ends of an interval are "
                f"numbers or None, and {end!r} is none."
            )
        if number is not None:
            ends[place] = number
    return ends[0], ends[1]


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _taken(column: Any, rows: np.ndarray) -> object:
    """Some rows of a column of any kind."""
    if isinstance(column, TextColumn):
        return replace(column, codes=column.codes[rows])
    if isinstance(column, ClassCodes):
        return replace(column, codes=values_at(column.codes, rows))
    if isinstance(column, list | tuple):
        return values_at(column, rows)
    return column[rows]
