"""Tables of rows, observational or experimental, as the tensors that training reads."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from causalplug.causal.source import Source
from causalplug.errors import DataError, SourceError
from causalplug.training.readers import columns_of
from causalplug.variables import Continuous, Discrete, Variable

__all__ = ["DataSource", "Rows"]


@dataclass(frozen=True)
class Rows:
    """Encoded rows of one source.

    Attributes:
        source: what the rows are a sample of.
        values: encoded column ``(n, *event_shape)`` by variable; images may be uint8.
    """

    source: Source
    values: dict[str, Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def select(self, index: Tensor) -> Rows:
        """Some of the rows."""
        return Rows(self.source, {name: value[index] for name, value in self.values.items()})

    def split(self, share: float, seed: int) -> tuple[Rows, Rows]:
        """Training and held-out rows, by a permutation that depends on the seed and the number of rows alone."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        held_out = min(max(1, round(share * len(self))), len(self) - 1) if share > 0 else 0
        return self.select(order[held_out:]), self.select(order[:held_out])


class DataSource:
    """Rows and how they came about.

    Args:
        frame: a pandas DataFrame, a dict of arrays, a ``datasets.Dataset``, a torch Dataset of dicts, or the path of a
            CSV or Parquet file or of a folder of images with a ``metadata.csv`` (column ``file_name``).
        do: the variables that were set by an experiment; their columns hold the values set, row by row. A mapping name
            to value declares values that the table has no column for.
        name: for messages and reports.

    Raises:
        DataError: the rows cannot be read: no columns, columns of different length.

    Example:
        >>> source = DataSource({"X": [0, 1, 1], "Y": [1, 0, 1]}, do=("X",))
        >>> len(source)
        3
    """

    def __init__(self, frame: Any, *, do: Iterable[str] | Mapping[str, Any] = (), name: str | None = None):
        self.columns: dict[str, Any] = columns_of(frame)
        self.do: tuple[str, ...] = (do,) if isinstance(do, str) else tuple(do)
        self.name = name or (Path(frame).name if isinstance(frame, str | Path) else None)
        lengths = {column: len(values) for column, values in self.columns.items()}
        if isinstance(do, Mapping):
            rows = next(iter(lengths.values()), 0)
            self.columns |= {variable: [value] * rows for variable, value in do.items() if variable not in self.columns}
        if not lengths or max(lengths.values()) == 0:
            raise DataError(f"{self} cannot be used: it has no rows. Give at least one column with at least one row.")
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{column}: {length}" for column, length in lengths.items())
            raise DataError(f"{self} cannot be used: its columns differ in length ({shown}). Make them equal.")
        missing = [variable for variable in self.do if variable not in self.columns]
        if missing:
            raise SourceError(
                f"{self} cannot be used: {', '.join(missing)} was intervened on but has no column with the values set. "
                f"Add the column, or write do={{{missing[0]!r}: value}} for a constant."
            )

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __repr__(self) -> str:
        named = f"{self.name!r}, " if self.name else ""
        rows = len(next(iter(self.columns.values()), ()))
        set_to = ", do " + ", ".join(self.do) if self.do else ""
        return f"DataSource({named}{rows} rows of {', '.join(self.columns)}{set_to})"

    def source(self, variables: Mapping[str, Variable]) -> Source:
        """What the rows are a sample of; an intervened variable that takes some of its values only is declared so.

        Raises:
            SourceError: a column that is no variable of the model.
        """
        unknown = [column for column in self.columns if column not in variables]
        if unknown:
            near = difflib.get_close_matches(unknown[0], variables, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise SourceError(
                f"{self} cannot be used: {', '.join(map(repr, unknown))} not a variable of the graph; {hint}"
                f"Variables: {', '.join(variables)}. Drop or rename the column."
            )
        return Source(recorded=tuple(self.columns), do=self._values_set(variables) or self.do, name=self.name)

    def _values_set(self, variables: Mapping[str, Variable]) -> dict[str, Any]:
        """Intervened variable to the list of values that were set, None where any may occur; empty if all are None."""
        values: dict[str, Any] = dict.fromkeys(self.do)
        for name in self.do:
            variable = variables[name]
            taken = torch.unique(variable.encode(self.columns[name], name))
            if isinstance(variable, Discrete) and len(taken) < variable.size:
                values[name] = variable.decode(taken).tolist()
            elif isinstance(variable, Continuous) and len(taken) == 1:
                values[name] = taken.tolist()
        return values if any(value is not None for value in values.values()) else {}

    def encode(self, variables: Mapping[str, Variable]) -> Rows:
        """All rows as tensors.

        Raises:
            SourceError: a column that is no variable of the model.
            DataError: missing values (with a count per column), values outside the declaration, wrong image shapes.
        """
        source = self.source(variables)
        counts = {name: _missing_count(values) for name, values in self.columns.items()}
        if any(counts.values()):
            shown = ", ".join(f"{name}: {count}" for name, count in counts.items() if count)
            raise DataError(
                f"{self} has missing values ({shown}): the model has no notion of a missing value. "
                "Drop those rows, or give a second source without these columns."
            )
        return Rows(source, {name: variables[name].encode(values, name) for name, values in self.columns.items()})


def _missing_count(values: Any) -> int:
    import pandas as pd

    if hasattr(values, "detach"):
        return int(torch.isnan(values).sum()) if values.is_floating_point() else 0
    column = values if getattr(values, "ndim", 1) == 1 else values.reshape(len(values), -1)
    if hasattr(column, "dtype") and column.dtype.kind in "iub":
        return 0
    if getattr(column, "ndim", 1) == 2:
        return int((column != column).any(axis=1).sum())
    first = column[0] if isinstance(column, list | tuple) else None
    if first is not None and not isinstance(first, str | int | float | bool | None.__class__):
        return sum(item is None for item in column)  # images and other objects: only None can be missing
    return int(pd.isna(pd.Series(column)).sum())
