"""Reading a table of pictures and labels into one array and codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from causalplug.data.images import decode_pictures, picture_size
from causalplug.data.table import ClassCodes, Table
from causalplug.data.text_summary import guessed_values
from causalplug.errors import DataError
from causalplug.mechanisms.frozen.label import Label
from causalplug.selection import of_kind
from causalplug.variables import Discrete, Image
from causalplug.variables.columns import TextColumn

__all__ = ["LabelledImages"]


@dataclass(frozen=True)
class LabelledImages:
    """Pictures and what they are labelled with.

    Attributes:
        pixels: ``(n, channels, height, width)``.
        image: Their shape and range.
        labels: The labels in order.
        codes: ``(n, number of labels)`` int64.
    """

    pixels: Tensor
    image: Image
    labels: tuple[Label, ...]
    codes: Tensor

    @classmethod
    def of(
        cls,
        table: Table,
        pictures: str,
        labels: Sequence[str | Label] | None,
        image: Image | None,
    ) -> LabelledImages:
        """The pictures and labels of a table.

        Args:
            table: The table.
            pictures: The column of pictures.
            labels: Names of columns, or labels with their categories; all columns where None.
            image: Shape and range; by default that of the first picture, in [0, 1].

        Raises:
            DataError: A column that is not there, or a picture that cannot be read.
        """
        if labels is None:
            labels = [name for name in table.names if name != pictures]
        names = [label if isinstance(label, str) else label.name for label in labels]
        columns = _Columns(names, of_kind(labels, Label))
        table = table.renamed(list(dict.fromkeys([pictures, *names])))
        given: dict[str, Any] = dict(columns.declared)
        if image is not None:
            given[pictures] = image
        pixels: list[Tensor] = []
        rows = 0
        for chunk in table.read(given):
            items = list(chunk[pictures])
            image = image or Image(*picture_size(items[0]))
            pixels.append(decode_pictures(items, image, pictures, rows))
            rows += len(items)
            columns.add(chunk, whole=table.whole)
        if image is None:
            raise DataError("The table has no rows with images. Check its path and columns.")
        known, codes = columns.coded(rows)
        return cls(torch.cat(pixels), image, known, codes)


class _Columns:
    """Columns of labels, gathered chunk by chunk.

    Args:
        names: Their names.
        labels: Those whose categories are declared.
    """

    def __init__(self, names: Sequence[str], labels: Sequence[Label]):
        self.declared = {label.name: label.values for label in labels}
        self.values: dict[str, list[Any]] = {name: [] for name in names}
        self.written: set[str] = set()  # columns of a text file that nothing declares

    def add(self, chunk: Mapping[str, object], *, whole: bool) -> None:
        """Take the rows of a chunk; ``whole`` says that its types are those of the table."""
        for name, values in self.values.items():
            values += self._plain(name, chunk[name], whole)

    def _plain(self, name: str, column: Any, whole: bool) -> list[object]:
        if isinstance(column, ClassCodes):
            declared = self.declared.setdefault(name, Discrete(column.names))
            return list(column.values(plain=not isinstance(declared.categories[0], str)))
        if not isinstance(column, TextColumn):
            return list(column)
        if name in self.declared:
            declared = self.declared[name]
            return list(declared.decode(declared.encode(column, name)))
        if not (column.typed or whole):
            self.written.add(name)
        return [*iter(column)]

    def coded(self, rows: int) -> tuple[tuple[Label, ...], Tensor]:
        """The labels and their codes ``(rows, labels)``."""
        labels, codes = [], []
        for name, values in self.values.items():
            if name in self.written:
                values = guessed_values(values)
            label = Label(name, self.declared.get(name) or _categories(values, name))
            labels.append(label)
            codes.append(label.values.encode(values, name))
        if not codes:
            return (), torch.zeros(rows, 0, dtype=torch.int64)
        return tuple(labels), torch.stack(codes, 1)


def _categories(values: Sequence[Any], name: str) -> Discrete:
    """The values that occur, in order."""
    found = {value.item() if isinstance(value, np.generic) else value for value in values}
    if any(value is None or value != value for value in found):
        raise DataError(f"{name!r} has rows without a label. Drop them, or label them.")
    try:
        return Discrete(sorted(found))
    except TypeError:
        return Discrete(sorted(found, key=str))
