"""Users' columns as arrays, with what is missing or wrong in them named."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from causalplug.errors import DataError

if TYPE_CHECKING:
    import torch

__all__ = ["as_array", "refuse_missing", "shared", "where_first"]


def as_array(values: Any, name: str) -> np.ndarray:
    """``values`` as a one-or-more dimensional array; tensors and pandas columns included."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    elif hasattr(values, "to_numpy"):
        values = values.to_numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(
            f"{name!r} cannot be read as an array: {error}. Give every row the same shape."
        ) from None
    return array[None] if array.ndim == 0 else array


def shared(array: np.ndarray) -> torch.Tensor:
    """A tensor over the memory of an array, also of one that may only be read: nothing here
    writes into pixels."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(array))


def _missing(array: np.ndarray) -> np.ndarray:
    """Mask of the missing entries (NaN or None)."""
    if array.dtype.kind == "f":
        return np.isnan(array)
    if array.dtype.kind == "O":
        return np.array(
            [
                item is None or (isinstance(item, float) and math.isnan(item))
                for item in array.ravel()
            ]
        ).reshape(array.shape)
    return np.zeros(array.shape, bool)


def where_first(wrong: np.ndarray, array: np.ndarray, row: int | None) -> str:
    """Where in its table the first wrong value is, for the end of a message; nothing where no
    table is known."""
    if row is None:
        return ""
    where = int(wrong.argmax())
    value = array[where]
    return f" The first is {value.item() if isinstance(value, np.generic) else value!r} in row {row + where}."


def refuse_missing(array: np.ndarray, name: str) -> None:
    count = int(_missing(array).sum())
    if count:
        raise DataError(
            f"{name!r} has {count} missing value{'s' * (count > 1)} (NaN or None): the model has "
            "no notion of a missing value. Drop those rows, or declare a source that does not "
            "record this column."
        )
