"""A table that is read in chunks, and what its columns may be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from causalplug.errors import DataError
from causalplug.selection import all_of_kind, without
from causalplug.values import Json
from causalplug.variables import Variable
from causalplug.variables.columns import is_tensor, tensor_to_numpy

__all__ = ["ClassCodes", "Columns", "ReadChunks", "Table", "image_files", "stacked_items"]

Columns = Json
"""A chunk: columns of one length by name, as arrays, tensors, lists (of pictures, say) or
:class:`ClassCodes`."""


class ReadChunks(Protocol):
    """Gives the chunks of a table, as often as it is called."""

    def __call__(
        self, variables: Mapping[str, Variable] | None, columns: Collection[str] | None = None
    ) -> Iterator[Columns]:
        """The chunks.

        Args:
            variables: Declarations, so that a text file knows what its words mean; None where
                nothing is declared.
            columns: The columns that are needed, all by default; others need not be read.
        """
        ...


@dataclass(frozen=True)
class Table:
    """A table that is read in chunks, as often as it is asked for.

    Attributes:
        names: Names of the columns.
        read: Gives the chunks.
        rows: Number of rows, None where that is known only after reading.
        whole: Whether the columns are in memory as they are, in one chunk.
        origin: Where on the Hub the rows come from: ``repo_id`` and the full ``revision``.
    """

    names: tuple[str, ...]
    read: ReadChunks
    rows: int | None
    whole: bool = False
    origin: Mapping[str, str] | None = None

    def renamed(self, columns: Sequence[str] | Mapping[str, str]) -> Table:
        """Some of the columns, under other names.

        Raises:
            DataError: A column that is not there, one without a name, or no column at all.
        """
        if isinstance(columns, Mapping):
            names = dict(columns)
        else:
            names = {name: name for name in columns}
        if not names:
            raise DataError("columns=[] cannot be used: name at least one column.")
        missing = without(names, self.names)
        if missing:
            raise DataError(
                f"columns={list(names)} cannot be used: the table has no column "
                f"{', '.join(map(repr, missing))}. It has {', '.join(map(repr, self.names))}."
            )

        def read(
            variables: Mapping[str, Variable] | None, columns: Collection[str] | None = None
        ) -> Iterator[Columns]:
            asked = {}
            for n, new in names.items():
                if columns is None or new in columns:
                    asked[n] = new
            before = None
            if variables is not None:
                before = {}
                for n, new in asked.items():
                    if new in variables:
                        before[n] = variables[new]
            for chunk in self.read(before, list(asked)):
                yield {new: chunk[name] for name, new in asked.items()}

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
        if plain:
            return list(known)
        return [None if code is None else self.names[code] for code in known]


def image_files(
    columns: Columns, variables: Mapping[str, Variable] | None, folder: Path | None = None
) -> Columns:
    """Columns whose declared images are given by the names of their files: as paths, seen from
    the table's folder."""

    def files(column: Any) -> object:
        if not len(column) or not isinstance(column[0], str):
            return column
        found = []
        for item in column:
            found.append((folder or Path()) / item if isinstance(item, str) else None)
        return found

    images = []
    for name, variable in (variables or {}).items():
        if variable.is_image and name in columns:
            images.append(name)
    return columns | {name: files(columns[name]) for name in images}


def stacked_items(items: list[Any]) -> object:
    """Equal arrays or tensors as one; numbers as an array; anything else stays a list."""
    first = items[0]
    if is_tensor(first):
        items = [tensor_to_numpy(item) if is_tensor(item) else item for item in items]
    if all_of_kind(items, np.ndarray | np.generic):
        if len({item.shape for item in items}) == 1:
            return np.stack(items)
        return items
    types = set(map(type, items))
    if types <= {bool} or types <= {int, float}:
        return np.asarray(items)
    return items
