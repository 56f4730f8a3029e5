"""What a column of a table was seen to hold, and the declaration that follows from it."""

from __future__ import annotations

import datetime
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from causalplug.data.images import is_picture, picture_size
from causalplug.data.table import ClassCodes
from causalplug.data.text_summary import MANY, TextSummary, numbers
from causalplug.selection import all_of_kind
from causalplug.variables import Discrete, Image, Variable
from causalplug.variables.columns import TextColumn, as_array, is_tensor, tensor_to_numpy

__all__ = ["ColumnSummary"]


@dataclass
class ColumnSummary:
    """What was seen of one column so far, and what it may be declared as."""

    rows: int = 0
    missing: int = 0
    kinds: set[str] = field(default_factory=set)
    values: dict[Hashable, None] = field(default_factory=dict)  # in the order of their first row
    named: tuple[str, ...] = ()
    texts: TextSummary = field(default_factory=TextSummary)
    shapes: set[tuple[int, ...]] = field(default_factory=set)
    low: float = math.inf
    high: float = -math.inf

    def add(self, values: Any) -> None:
        """Look at some more rows."""
        self.rows += len(values)
        if isinstance(values, ClassCodes):
            self.kinds.add("classes")
            self.named = tuple(values.names)
            return
        if isinstance(values, TextColumn):
            self.kinds.add("text")
            self.texts.add(values)
            return
        if is_tensor(values):
            values = tensor_to_numpy(values)
        if isinstance(values, np.ma.MaskedArray):
            values = as_array(values, "values")
        if isinstance(values, list | tuple) and len(values) and is_picture(values[0]):
            self.kinds.add("pictures")
            self.shapes |= set(map(picture_size, values))
            return
        if isinstance(values, np.ndarray):
            array = values
        else:
            array = _array(values)
        if array.ndim > 1:
            self.kinds.add("pixels of bytes" if array.dtype == np.uint8 else "pixels")
            self.shapes.add(array.shape[1:])
            if array.dtype.kind == "f":
                self._range(array)
            return
        self._scalars(array)

    def _scalars(self, array: np.ndarray) -> None:
        if array.dtype.kind == "O":
            known = np.array([item is not None and item == item for item in array], bool)
            self.missing += int((~known).sum())
            array = array[known]
            found = set(map(_kind, array))
            if found == {"word"}:
                codes, texts = _factorized(array)
                self.kinds.add("text")
                self.texts.add(TextColumn(codes, texts, typed=True))
                return
            self.kinds |= found
            if not all_of_kind(array, Hashable):
                return
            if len(array) and found <= {"int", "float"}:
                self._range(array.astype(float))
        elif array.dtype.kind == "U":
            return self._scalars(array.astype(object))
        elif len(array):
            self.kinds.add({"b": "bool", "i": "int", "u": "int", "f": "float"}.get(
                array.dtype.kind, "date" if array.dtype.kind in "mM" else str(array.dtype)
            ))  # fmt: skip
        if array.dtype.kind == "f":
            known = ~np.isnan(array)
            self.missing += int((~known).sum())
            array = array[known]
        if array.dtype.kind in "iuf" and len(array):
            self._range(array)
        if len(self.values) <= MANY:
            self.values |= dict.fromkeys(
                np.unique(array).tolist() if array.dtype.kind != "O" else array.tolist()
            )

    def _range(self, array: np.ndarray) -> None:
        self.low, self.high = min(self.low, float(array.min())), max(self.high, float(array.max()))

    def judge(self) -> tuple[Variable | None, str]:
        """The declaration and the reason for it, or None and the reason against any."""
        if self.kinds == {"text"}:
            return self.texts.judge()
        if self.missing:
            return (
                None,
                f"{self.missing} of {self.rows} values are missing, and the model has no notion of "
                "that",
            )
        if len(self.kinds) != 1 and self.kinds != {"int", "float"}:
            return (
                None,
                f"it mixes {', '.join(sorted(self.kinds))}" if self.kinds else "it has no rows",
            )
        if "float" in self.kinds:
            kind = "float"
        else:
            kind = next(iter(self.kinds))
        if kind == "classes":
            return Discrete(self.named), f"a class label with {len(self.named)} names"
        if kind.startswith(("picture", "pixel")):
            return self._image(kind)
        if kind == "bool":
            return Discrete([False, True]), "yes or no"
        if kind == "date":
            return None, (
                "it holds values of kind date: give a number, as in (t - "
                "t.min()).dt.total_seconds(), or a text"
            )
        if kind not in ("int", "float"):
            return None, f"it holds values of kind {kind}, which is neither a category nor a number"
        return numbers(self.values, self.rows, self.low, self.high)

    def _image(self, kind: str) -> tuple[Variable | None, str]:
        if len(self.shapes) > 1:
            return (
                None,
                f"images of {len(self.shapes)} sizes, {sorted(self.shapes)[0]} and "
                f"{sorted(self.shapes)[-1]}",
            )
        shape = next(iter(self.shapes))
        if len(shape) != 3 or shape[0] not in (1, 2, 3, 4):
            return None, f"arrays of shape {shape}: images are (channels, height, width)"
        if kind != "pixels":
            return Image(
                *shape
            ), f"images of {shape[0]} x {shape[1]} x {shape[2]} (channels x height x width)"
        if self.low >= 0 and self.high <= 1:
            return Image(*shape), "images of floats from 0 to 1"
        if self.low >= -1 and self.high <= 1:
            return Image(*shape, low=-1.0, high=1.0), "images of floats from -1 to 1"
        return (
            None,
            f"images with values from {self.low:g} to {self.high:g}: which range is meant? "
            "Image(…, low=, high=)",
        )


def _array(values: Sequence[object]) -> np.ndarray:
    """A list as an array: nested lists of numbers as one of several dimensions."""
    if len(values) and isinstance(values[0], list | tuple):
        try:
            found = np.asarray(values)
        except ValueError:  # rows of different length
            found = np.empty(0, dtype=object)
        if found.dtype.kind in "biuf":
            return found
    array = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        array[at] = value
    return array


def _factorized(array: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    texts, codes = np.unique(array.astype(str), return_inverse=True)
    return codes, tuple(texts.tolist())


def _kind(item: object) -> str:
    if isinstance(item, bool | np.bool_):
        return "bool"
    if isinstance(item, int | np.integer):
        return "int"
    if isinstance(item, float | np.floating):
        return "float"
    if isinstance(item, datetime.date):
        return "date"
    if isinstance(item, str):
        return "word"
    return type(item).__name__
