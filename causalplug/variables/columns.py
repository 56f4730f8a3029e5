"""Users' columns as arrays, with what is missing or wrong in them named."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from causalplug.errors import DataError
from causalplug.selection import all_of_kind

if TYPE_CHECKING:
    import torch

__all__ = [
    "TextColumn",
    "as_array",
    "distinct",
    "has_nan",
    "is_tensor",
    "refuse_missing",
    "shared",
    "tensor_to_numpy",
    "where_first",
]


@dataclass(frozen=True, eq=False)
class TextColumn:
    """A column of texts: every different text once, and which of them each row has.

    Attributes:
        codes: Place in ``texts`` by row, -1 where the row has no value.
        texts: The different texts.
        typed: The texts are values of type text (as in Parquet or a DataFrame), so that ``"1"``
            is not the number 1.
    """

    codes: np.ndarray
    texts: tuple[str, ...]
    typed: bool = False

    def __len__(self) -> int:
        return len(self.codes)

    def missing(self) -> int:
        """Number of rows without a value."""
        if not len(self.codes) or self.codes.min() >= 0:
            return 0
        return int((self.codes < 0).sum())

    def refuse_missing(self, name: str) -> None:
        """Raise :class:`DataError` where rows have no value."""
        if count := self.missing():
            raise _missing_error(name, count)

    def to_numpy(self) -> np.ndarray:
        """The texts by row, None where there is none."""
        names = np.empty(len(self.texts) + 1, dtype=object)
        names[: len(self.texts)] = self.texts
        return names[self.codes]

    def __getitem__(self, row: int) -> str | None:
        code = int(self.codes[row])
        if code < 0:
            return None
        return self.texts[code]


def as_array(values: object, name: str) -> np.ndarray:
    """``values`` as a one-or-more dimensional array; tensors and pandas columns included.

    A masked array becomes one with NaN or None where it is masked. Half precision of torch
    (bfloat16) becomes float32.

    Raises:
        DataError: Rows of different shape, or rows that are themselves tables of several columns.
    """
    if is_tensor(values):
        values = tensor_to_numpy(values)
    elif hasattr(values, "to_numpy"):
        values = values.to_numpy()
    elif isinstance(values, list | tuple) and len(values):
        values = _plain_items(values)
    if isinstance(values, np.ma.MaskedArray):
        values = _unmasked(values)
    try:
        array = np.asarray(values)
        if array.dtype.kind == "U" and array.ndim == 1 and isinstance(values, list | tuple):
            array = _unless_mixed(values, array)
    except ValueError as error:
        raise DataError(
            f"{name!r} cannot be read as an array: {error}. Give every row the same shape."
        ) from None
    if array.dtype.names:
        raise DataError(
            f"{name!r} cannot be one variable: its rows have the fields "
            f"{', '.join(array.dtype.names)}. Give each field as a column of its own."
        )
    if array.ndim == 0:
        return array[None]
    return array


def _plain_items(values: Sequence[Any]) -> Sequence[Any]:
    """Rows that are tensors or masked arrays as plain arrays; others as they are."""
    if is_tensor(values[0]):
        return [tensor_to_numpy(item) if is_tensor(item) else item for item in values]
    if not isinstance(values[0], np.ndarray):
        return values
    found = []
    for item in values:
        found.append(_unmasked(item) if isinstance(item, np.ma.MaskedArray) else item)
    return found


def _unless_mixed(values: Sequence[object], texts: np.ndarray) -> np.ndarray:
    """The texts, or the values as they are where numpy made texts of others: 1 is not ``"1"``."""
    if all_of_kind(values, str):
        return texts
    return np.array([*values, None], dtype=object)[:-1]


def is_tensor(values: object) -> TypeGuard[torch.Tensor]:
    """Whether values are a tensor of torch, which nobody has who never loaded torch."""
    if "torch" not in sys.modules:
        return False
    from torch import Tensor

    return isinstance(values, Tensor)


def tensor_to_numpy(tensor: Any) -> np.ndarray:
    """The values of a tensor; those of a type that numpy lacks (bfloat16, float8) as float32."""
    if tensor.is_meta or tensor.layout != _strided():
        raise DataError(
            f"A tensor of the layout {tensor.layout} on {tensor.device} has no rows that can be "
            "read. Give a dense tensor: tensor.to_dense()."
        )
    tensor = tensor.detach().cpu()
    unknown = tensor.is_floating_point() and tensor.dtype.itemsize <= 2
    return (tensor.float() if unknown and tensor.dtype != _half() else tensor).numpy()


def _strided() -> Any:
    import torch

    return torch.strided


def _half() -> object:
    import torch

    return torch.float16


def _unmasked(values: Any) -> np.ndarray:
    """A masked array as a plain one that shows what is missing."""
    mask = np.ma.getmaskarray(values)
    if not mask.any():
        return np.asarray(values.data)
    if values.dtype.kind == "f":
        return np.where(mask, np.nan, values.data)
    found = values.data.astype(object)
    found[mask] = None
    return found


def distinct(array: np.ndarray, name: str) -> tuple[list[object], np.ndarray]:
    """The different values of a column, as Python's own, and which of them each row has.

    Raises:
        DataError: Values that cannot be compared, such as lists.
    """
    if array.dtype.kind in "mM":
        raise DataError(
            f"{name!r} holds dates or durations, which are no categories. Give texts "
            "(column.astype(str)), or numbers such as its year."
        )
    if array.dtype.kind != "O":
        uniques, inverse = np.unique(array, return_inverse=True)
        return uniques.tolist(), inverse
    import pandas as pd

    try:
        inverse, found = pd.factorize(array, use_na_sentinel=False)
    except TypeError:
        kind = next(type(item).__name__ for item in array if not isinstance(item, Hashable))
        raise DataError(
            f"{name!r} cannot be one variable: its values are of type {kind}, neither categories "
            "nor numbers. Leave the column out, or give its parts as columns of their own."
        ) from None
    return [item.item() if isinstance(item, np.generic) else item for item in found], inverse


def shared(array: np.ndarray) -> torch.Tensor:
    """A tensor over the memory of an array, also of one that may only be read: nothing here
    writes into pixels."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(array))


def _missing(array: np.ndarray) -> np.ndarray:
    """Mask of the missing entries (NaN, NaT, NA or None)."""
    if array.dtype.kind in "fcmMO":
        import pandas as pd

        return np.asarray(pd.isna(array.ravel())).reshape(array.shape)
    return np.zeros(array.shape, bool)


def where_first(wrong: np.ndarray, array: np.ndarray, row: int | None) -> str:
    """Where in its table the first wrong value is, for the end of a message; nothing where no
    table is known."""
    if row is None:
        return ""
    where = int(wrong.argmax())
    value = array[where]
    return (
        f" The first is {value.item() if isinstance(value, np.generic) else value!r} in row "
        f"{row + where}."
    )


def has_nan(array: np.ndarray) -> bool:
    """Whether an array may hold a missing value; of floats, whether it holds NaN."""
    if array.dtype.kind != "f":
        return True
    return bool(array.size) and bool(np.isnan(array.min()))


def refuse_missing(array: np.ndarray, name: str) -> None:
    """Raise :class:`DataError` where an array has missing entries."""
    if array.dtype.kind in "iub" or not has_nan(array):
        return
    if count := int(_missing(array).sum()):
        raise _missing_error(name, count)


def _missing_error(name: str, count: int) -> DataError:
    return DataError(
        f"{name!r} has {count} missing value{'s' * (count > 1)} (NaN or None): the model has no "
        "notion of a missing value. Drop those rows, or declare a source that does not record "
        "this column."
    )
