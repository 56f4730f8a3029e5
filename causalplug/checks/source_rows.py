"""Rows of one source as the check of overlap reads them: categories, numbers and projections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from causalplug.checks.density_ratio import reduced
from causalplug.errors import DataError
from causalplug.graphs.graph import CausalGraph
from causalplug.identification.tables import Table
from causalplug.selection import within

__all__ = ["Encoder", "SourceRows", "numeric_names"]

Encoder = Callable[[Any], Any] | np.ndarray

_FLOATS = 10  # distinct values up to which a column of floats is taken for categories
_INTEGERS = 20  # the same for integers
_ONE_HOT = 20  # categories up to which each has a feature of its own


def numeric_names(tables: Iterable[Any], names: Iterable[str]) -> set[str]:
    """The columns that are numbers, not categories: those with many distinct values."""
    found = set()
    tables = list(tables)
    for name in names:
        columns = [np.asarray(table[name]) for table in tables if name in table]
        if any(map(_is_numeric, columns)):
            found.add(name)
    return found


def _is_numeric(column: np.ndarray) -> bool:
    if column.ndim != 1 or column.dtype.kind not in "fiu":
        return False
    most = _INTEGERS
    if column.dtype.kind == "f":
        most = _FLOATS
    return len(np.unique(column)) > most


class SourceRows:
    """The rows of one source.

    Args:
        graph: Causal graph; columns that it does not have are left out.
        data: Mapping of columns, or a DataFrame.
        encoders: By variable, a function from its column to projections, or the projections.
        numeric: Names of the columns that are numbers.

    Attributes:
        count: Number of rows.
        discrete: Table of the columns of categories.
        numbers: Columns of numbers, arrays (rows,).
        projections: Projections by variable, arrays (rows, d).

    Raises:
        DataError: A projection does not fit its rows.
    """

    def __init__(
        self,
        graph: CausalGraph,
        data: Any,
        encoders: Mapping[str, Encoder],
        numeric: set[str],
    ):
        names = within(graph.variables, data)
        if names:
            self.count = len(data[names[0]])
        else:
            self.count = 0
        self.projections: dict[str, np.ndarray] = {}
        self.numbers: dict[str, np.ndarray] = {}
        categories = []
        for name in names:
            if name in encoders:
                self.projections[name] = _projected(name, data[name], encoders[name])
            elif name in numeric:
                self.numbers[name] = np.asarray(data[name], float)
            elif np.ndim(data[name]) == 1:
                categories.append(name)
        for name, encoder in encoders.items():
            if name not in names and isinstance(encoder, np.ndarray) and len(encoder) == self.count:
                self.projections[name] = _projected(name, None, encoder)
        self.discrete = Table.from_rows(data, categories)

    def knows(self, name: str) -> bool:
        """Whether the variable can be a feature."""
        wide = self.numbers.keys() | self.projections.keys()
        return name in wide or name in self.discrete.categories

    def features(
        self, names: Sequence[str], categories: Mapping[str, Sequence[object]]
    ) -> np.ndarray:
        """The variables as numbers, an array (rows, d): categories one by one if they are few."""
        parts = [self._feature(name, categories) for name in names]
        if parts:
            return np.concatenate(parts, axis=1)
        return np.zeros((self.count, 0))

    def _feature(self, name: str, categories: Mapping[str, Sequence[object]]) -> np.ndarray:
        if name in self.projections:
            return reduced(self.projections[name])
        if name in self.numbers:
            return self.numbers[name][:, None]
        codes = self.codes(name, categories)
        if len(categories[name]) <= _ONE_HOT:
            return np.eye(len(categories[name]))[codes]
        return codes[:, None].astype(float)

    def codes(self, name: str, categories: Mapping[str, Sequence[object]]) -> np.ndarray:
        """The positions of a column's values in its categories."""
        table = self.discrete.recoded({name: categories[name]})
        column: np.ndarray = table.codes[:, list(table.categories).index(name)]
        return column


def _projected(name: str, column: Any, encoder: Encoder) -> np.ndarray:
    # An encoder of the toolkit reads tensors when it is called, and columns by this method.
    encoder = getattr(encoder, "project_column", encoder)
    values = np.asarray(encoder(column) if callable(encoder) else encoder, float)
    if values.ndim < 2:
        raise DataError(
            f"the projections of {name!r} have shape {values.shape}; an encoder gives (rows, "
            "dimensions)"
        )
    values = values.reshape(len(values), -1)
    if column is not None and len(values) != len(column):
        raise DataError(
            f"the encoder of {name!r} gave {len(values)} projections for {len(column)} rows"
        )
    return values
