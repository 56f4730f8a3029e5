"""Discrete data as weighted rows of codes, from which any margin is counted at once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from causalplug.errors import DataError
from causalplug.selection import positions_of, values_at, without
from causalplug.wording import listed

__all__ = ["MAX_CELLS", "Table", "as_table", "common_categories"]

MAX_CELLS = 50_000_000


@dataclass(frozen=True, eq=False)
class Table:
    """Weighted rows of discrete variables.

    Attributes:
        categories: Per variable, in the order of the columns, its values.
        codes: Integer array (rows, variables): positions in ``categories``.
        weights: Array (rows,): 1 per row for data, probabilities for an exact distribution.
    """

    categories: Mapping[str, tuple[Hashable, ...]]
    codes: np.ndarray
    weights: np.ndarray
    _margins: dict[tuple[str, ...], np.ndarray] = field(default_factory=dict, repr=False)

    @classmethod
    def from_rows(
        cls,
        rows: Any,
        variables: Iterable[str] | None = None,
        *,
        categories: Mapping[str, Sequence[Hashable]] | None = None,
        weights: np.ndarray | None = None,
    ) -> Table:
        """Rows of data.

        Args:
            rows: A pandas DataFrame or a mapping from names to one-dimensional arrays of one
                length.
            variables: The columns to use; all by default.
            categories: Values of some variables in the order wanted; by default those that occur,
                sorted.
            weights: One non-negative weight per row.

        Raises:
            DataError: A missing column, columns of different length, missing values, a value
                outside ``categories``.
        """
        names = list(rows.keys() if variables is None else variables)
        missing = without(names, rows)
        if missing:
            raise DataError(
                f"the rows cannot be counted: no column {listed(missing)}; there are "
                f"{listed(rows.keys())}"
            )
        columns, found = [], {}
        for name in names:
            values = np.asarray(rows[name])
            if values.ndim != 1:
                raise DataError(
                    f"{name!r} cannot be counted: its shape is {values.shape}; give one value per "
                    "row"
                )
            columns.append(values)
        if len(set(map(len, columns))) > 1:
            sizes = listed(
                f"{name}: {len(values)}" for name, values in zip(names, columns, strict=True)
            )
            raise DataError(f"the rows cannot be counted: the columns differ in length ({sizes})")
        codes = []
        for name, values in zip(names, columns, strict=True):
            found[name], column = _encode(name, values, (categories or {}).get(name))
            codes.append(column)
        count = 0
        if columns:
            count = len(columns[0])
        if codes:
            table = np.stack(codes).T  # a column lies in one piece
        else:
            table = np.zeros((count, 0), int)
        return cls(found, table, np.ones(count) if weights is None else np.asarray(weights, float))

    @classmethod
    def from_array(
        cls,
        variables: Sequence[str],
        probabilities: np.ndarray,
        categories: Mapping[str, Sequence[Hashable]] | None = None,
    ) -> Table:
        """An exact distribution: one axis per variable; the values are 0 to k - 1 unless
        ``categories`` names them."""
        probabilities = np.asarray(probabilities, float)
        if probabilities.ndim != len(variables):
            raise DataError(
                f"the distribution cannot be read: {probabilities.ndim} axes for the variables "
                f"{listed(variables)}"
            )
        named = {}
        for name, size in zip(variables, probabilities.shape, strict=True):
            named[name] = tuple((categories or {}).get(name, range(size)))
        cells = np.indices(probabilities.shape).reshape(len(variables), -1).T
        return cls(named, cells, probabilities.ravel())

    @property
    def variables(self) -> tuple[str, ...]:
        """The columns."""
        return tuple(self.categories)

    def margin(self, variables: Sequence[str]) -> np.ndarray:
        """Total weight per combination of values: one axis per variable.

        Raises:
            DataError: A variable that the table does not have, or too many combinations to hold.
        """
        key = tuple(variables)
        if key not in self._margins:
            missing = without(key, self.categories)
            if missing:
                raise DataError(
                    f"the table has no column {listed(missing)}; it has {listed(self.categories)}"
                )
            shape = [len(self.categories[name]) for name in key]
            cells = int(np.prod(shape, dtype=float))
            if cells > MAX_CELLS:
                raise DataError(
                    f"{listed(key)} cannot be tabulated: {cells:.1e} combinations of values; "
                    "coarsen the categories"
                )
            order = positions_of(self.categories)
            flat = np.zeros(len(self.codes), np.int64)
            for name in key:
                flat = flat * len(self.categories[name]) + self.codes[:, order[name]]
            self._margins[key] = np.bincount(flat, self.weights, cells).reshape(shape)
        return self._margins[key]

    def recoded(self, categories: Mapping[str, Sequence[Hashable]]) -> Table:
        """The same rows with the values of some variables in another order, or with more of
        them."""
        if all(tuple(categories.get(name, old)) == old for name, old in self.categories.items()):
            return self
        codes = self.codes.copy(order="K")
        changed = dict(self.categories)
        for i, (name, old) in enumerate(self.categories.items()):
            new = tuple(categories.get(name, old))
            if new != old:
                position = positions_of(new)
                lookup = np.array(values_at(position, old))
                codes[:, i] = lookup[codes[:, i]]
                changed[name] = new
        return Table(changed, codes, self.weights)


def as_table(data: object, variables: Iterable[str] | None = None) -> Table:
    """``data`` as a table: a Table, a DataFrame, or a mapping from names to arrays."""
    if isinstance(data, Table):
        return data
    if not hasattr(data, "keys"):
        raise DataError(
            f"{type(data).__name__} cannot be read as rows; give a DataFrame, a dict of arrays or "
            "a Table"
        )
    return Table.from_rows(data, variables)


def common_categories(
    tables: Iterable[Table], more: Mapping[str, Iterable[Hashable]] | None = None
) -> dict[str, tuple[Hashable, ...]]:
    """Per variable, the values of all tables and those in ``more``; sorted where that is
    possible."""
    found: dict[str, dict[Hashable, None]] = {}
    for table in tables:
        for name, values in table.categories.items():
            found.setdefault(name, {}).update(dict.fromkeys(values))
    for name, extra in (more or {}).items():
        found.setdefault(name, {}).update(dict.fromkeys(extra))
    return {name: _sorted(tuple(values)) for name, values in found.items()}


def _sorted(values: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    try:
        return tuple(sorted(values))  # type: ignore[type-var]
    except TypeError:
        return values


def _encode(
    name: str, values: np.ndarray, categories: Sequence[Hashable] | None
) -> tuple[tuple[Hashable, ...], np.ndarray]:
    try:
        unique, inverse = np.unique(values, return_inverse=True)
    except TypeError:
        raise DataError(
            f"{name!r} cannot be counted: its values cannot be ordered, as if some were missing"
        ) from None
    listed_values = tuple(value.item() if hasattr(value, "item") else value for value in unique)
    if any(value != value for value in listed_values):
        raise DataError(f"{name!r} cannot be counted: it has missing values (NaN); drop those rows")
    if categories is None:
        return listed_values, inverse
    position = positions_of(categories)
    outside = without(listed_values, position)
    if outside:
        raise DataError(
            f"{name!r} has the values {listed(outside)}, which are not among {listed(categories)}"
        )
    lookup = np.array(values_at(position, listed_values), int)
    return tuple(categories), lookup[inverse]
