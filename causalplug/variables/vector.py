"""Variables whose values are vectors of real numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from causalplug.arguments import REQUIRED, read_fields, setting, whole
from causalplug.errors import DataError, VariableError
from causalplug.values import Json
from causalplug.variables.base import Variable
from causalplug.variables.columns import TextColumn, as_array, refuse_missing
from causalplug.variables.kinds import register_variable

if TYPE_CHECKING:
    import torch

__all__ = ["Vector"]


@register_variable("vector")
@dataclass(frozen=True)
class Vector(Variable):
    """A vector of real numbers: an embedding, a series, several measurements that belong together.

    Args:
        size: Numbers of one value.

    Raises:
        VariableError: The size is below 1.

    Example:
        >>> import causalplug as cp
        >>> cp.Vector(2).encode([[0.5, 1.0], [2.0, 3.0]]).shape
        torch.Size([2, 2])
    """

    standardised: ClassVar[bool] = True
    default_mechanism: ClassVar[str | None] = "vector-flow"
    size: int = setting(REQUIRED, whole(1, 2**24))

    def __post_init__(self) -> None:
        read_fields(self, VariableError)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (int(self.size),)

    @property
    def feature_size(self) -> int:
        return int(self.size)

    def encode(
        self, values: object, name: str = "values", *, row: int | None = None
    ) -> torch.Tensor:
        """Floats ``(n, size)``, from an array of that shape, one vector, or a column of vectors.

        Raises:
            DataError: Missing values, numbers that are not finite, or another shape.
        """
        import torch

        if isinstance(values, TextColumn):
            raise DataError(f"{name!r} must be vectors of {self.size} numbers; got texts.")
        array = as_array(values, name)
        if array.dtype.kind == "O":
            array = self._stacked(array, name, row)
        refuse_missing(array, name)
        if array.shape == self.event_shape and self.size != 1:
            array = array[None]
        if self.size == 1 and array.ndim == 1:
            array = array[:, None]
        if array.ndim != 2 or array.shape[1:] != self.event_shape:
            raise DataError(
                f"{name!r} must be one vector of {self.size} numbers per row; got an array of "
                f"shape {array.shape}. Reshape it, or change the declaration."
            )
        if array.dtype.kind not in "iufb":
            raise DataError(f"{name!r} must be vectors of numbers; got {array.dtype} values.")
        with np.errstate(over="ignore"):
            numbers = array.astype(np.float32)
        wrong = ~np.isfinite(numbers).all(1)
        if wrong.any():
            if row is None:
                where = ""
            else:
                where = f" The first is in row {row + int(wrong.argmax())}."
            raise DataError(
                f"{name!r} has {int(wrong.sum())} vectors with numbers that are not finite. "
                f"Correct them, or drop those rows.{where}"
            )
        self._refuse_blurred(array, numbers, name)
        return torch.from_numpy(np.ascontiguousarray(numbers))

    def _refuse_blurred(self, array: np.ndarray, kept: np.ndarray, name: str) -> None:
        """Refuse numbers that float32 moves by more than a thousandth of their spread."""
        rows = slice(None, None, max(1, len(array) // 2000))
        given = array[rows].astype(np.float64)
        moved, spread = np.median(np.abs(kept[rows] - given), axis=0), given.std(0)
        varied = spread > 1e-13 * np.abs(given.mean(0))  # the rest is rounding alone
        wrong = np.flatnonzero(varied & (moved > 1e-3 * spread))
        if len(array) > 2 and len(wrong):
            raise DataError(
                f"{name!r} holds numbers that float32 would blur (place {int(wrong[0])}): relative "
                "to their offset they differ too little. Take the offset off, or declare them "
                "Continuous, one by one."
            )

    def _stacked(self, column: np.ndarray, name: str, row: int | None) -> np.ndarray:
        """A column of vectors as one array."""
        items = []
        for place, item in enumerate(column.tolist()):
            if item is None:
                vector = None
            else:
                vector = np.asarray(item, dtype=object).ravel()
            if vector is None or len(vector) != self.size:
                if vector is None:
                    found = "no value"
                else:
                    found = f"{len(vector)} numbers"
                if row is None:
                    where = ""
                else:
                    where = f" in row {row + place}"
                raise DataError(
                    f"{name!r} must be one vector of {self.size} numbers per row; there is "
                    f"{found}{where}."
                )
            items.append(vector)
        try:
            return np.array(items).astype(np.float64)
        except (TypeError, ValueError):
            raise DataError(f"{name!r} must be vectors of numbers.") from None

    def decode(self, codes: torch.Tensor) -> np.ndarray:
        return codes.detach().cpu().float().numpy()

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        return codes

    def to_dict(self) -> Json:
        return {"kind": self.kind, "size": int(self.size)}

    def describe(self) -> str:
        return f"vector of {self.size} numbers"
