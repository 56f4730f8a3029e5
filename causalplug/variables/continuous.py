"""Real-valued variables."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from causalplug.arguments import FLAG, number, read_fields, setting
from causalplug.errors import DataError, VariableError
from causalplug.selection import any_of_kind
from causalplug.values import Json
from causalplug.variables.base import Variable
from causalplug.variables.columns import (
    TextColumn,
    as_array,
    refuse_missing,
    shared,
    where_first,
)
from causalplug.variables.kinds import register_variable

if TYPE_CHECKING:
    import torch

__all__ = ["Continuous", "as_numbers", "blurred"]


@register_variable("continuous")
@dataclass(frozen=True)
class Continuous(Variable):
    """A real-valued variable.

    Args:
        low, high: Values outside this interval are refused; mechanisms do not have to stay inside
            it.
        precise: Keep values in float64. Training sets it where float32 would blur the rows, as it
            does for times in seconds since 1970; networks read them relative to their mean.

    Raises:
        VariableError: The interval is empty.
    """

    is_number: ClassVar[bool] = True
    standardised: ClassVar[bool] = True
    default_mechanism: ClassVar[str | None] = "continuous-spline"
    low: float = setting(-math.inf, number(infinite=True))
    high: float = setting(math.inf, number(infinite=True))
    precise: bool = setting(False, FLAG, compare=False)

    def __post_init__(self) -> None:
        read_fields(self, VariableError)
        if not self.low < self.high:
            raise VariableError(
                f"Continuous(low={self.low}, high={self.high}) is empty: low must be smaller than "
                "high."
            )

    @property
    def feature_size(self) -> int:
        return 1

    def encode(
        self, values: object, name: str = "values", *, row: int | None = None
    ) -> torch.Tensor:
        array = as_array(values.to_numpy() if isinstance(values, TextColumn) else values, name)
        refuse_missing(array, name)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        numbers = as_numbers(array, name)
        if array.ndim != 1:
            raise DataError(
                f"{name!r} must be one number per row; got an array of shape {array.shape}."
            )
        kept = numbers
        if not self.precise:
            with np.errstate(over="ignore"):
                kept = numbers.astype(np.float32)
        if not (self._all_inside(numbers) and _all_finite(kept)):
            outside = ~np.isfinite(kept) | (numbers < self.low) | (numbers > self.high)
            raise DataError(
                f"{name!r} has {int(outside.sum())} values outside [{self.low}, {self.high}], the "
                f"first {numbers[outside][0]}. Correct them or widen the declared "
                f"interval.{where_first(outside, array, row)}"
            )
        return shared(kept)

    def _all_inside(self, numbers: np.ndarray) -> bool:
        return not len(numbers) or (
            bool(numbers.min() >= self.low) and bool(numbers.max() <= self.high)
        )

    def narrowed(self, column: torch.Tensor, name: str = "values") -> torch.Tensor:
        """A whole column of float64 as float32, unless the variable is ``precise`` or float32
        would blur it.

        Raises:
            DataError: Numbers that float32 cannot tell apart even relative to their mean and
                spread, as a network reads them.
        """
        import torch

        values = column.numpy()
        if without_spread(values):
            raise DataError(
                f"{name!r} holds numbers that are too large or too small to have a variance (from "
                f"{values.min():.6g} to {values.max():.6g}). Give them in another unit, or take "
                "their logarithm."
            )
        if indistinct(values):
            raise DataError(
                f"{name!r} holds numbers of too many orders of magnitude (from {values.min():.6g} "
                f"to {values.max():.6g}): relative to their spread, float32 cannot tell many of "
                "them apart. Take their logarithm, or leave out the extremes."
            )
        if self.precise or blurred(values):
            return column
        return column.to(torch.float32)

    def decode(self, codes: torch.Tensor) -> np.ndarray:
        codes = codes.detach().cpu()
        return (codes.double() if self.precise else codes.float()).numpy()

    def written(self, codes: torch.Tensor) -> list[float]:
        """The numbers in their shortest decimals: 0.1, not the number of 32 bits nearest to it."""
        return [float(str(number)) for number in self.decode(codes)]

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        return codes.unsqueeze(-1)

    def describe(self) -> str:
        return "number"

    def to_dict(self) -> Json:
        bounds = {"low": self.low, "high": self.high}
        finite = {key: value for key, value in bounds.items() if math.isfinite(value)}
        return {"kind": self.kind} | finite | ({"precise": True} if self.precise else {})


def as_numbers(array: np.ndarray, name: str) -> np.ndarray:
    """A column as float64.

    Raises:
        DataError: Dates, texts that are no numbers, and other objects.
    """
    if array.dtype.kind in "mM" or (
        array.dtype.kind == "O"
        and len(array)
        and isinstance(array[0], datetime.date | datetime.timedelta)
    ):
        raise DataError(
            f"{name!r} must be numbers; got dates. Convert them, as in (t - "
            "t.min()).dt.total_seconds(), or declare it Discrete and give texts."
        )
    try:
        texts = array.dtype.kind == "O" and any_of_kind(array.ravel(), str)
        if texts or array.dtype.kind not in "iufbO":
            raise TypeError
        _refuse_merged(array, name)
        return array.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"{name!r} must be numbers; got {_sample(array)}. Declare it Discrete, convert it, or "
            "leave it out."
        ) from None


def _refuse_merged(array: np.ndarray, name: str) -> None:
    """Refuse whole numbers that float64 cannot tell apart: nanoseconds that differ by ones."""
    if array.dtype.kind not in "iu" or not len(array) or array.dtype.itemsize < 8:
        return
    if max(abs(int(array.min())), abs(int(array.max()))) <= 1 << 53:
        return
    rows = np.unique(array.ravel()[:: max(1, array.size // 2000)])
    if len(np.unique(rows.astype(np.float64))) < 0.95 * len(rows):
        raise DataError(
            f"{name!r} has whole numbers of {len(str(array.max()))} digits, which numbers of 64 "
            f"bits cannot tell apart. Subtract the smallest first: values - {array.min()}."
        )


def _sample(array: np.ndarray) -> str:
    """A value that is no number, for a message."""
    wrong = (value for value in array.ravel()[:1000].tolist() if not isinstance(value, int | float))
    first = next(wrong, None)
    return f"{array.dtype} values" + (f" such as {str(first)[:40]!r}" if first is not None else "")


def _all_finite(numbers: np.ndarray) -> bool:
    return not len(numbers) or bool(np.isfinite(numbers.min()) and np.isfinite(numbers.max()))


def blurred(values: np.ndarray) -> bool:
    """Whether float32 would blur a column: rounding moves its values by more than a
    ten-thousandth of their spread, or makes one of every twenty equal to another.

    At most 2,000 rows, evenly spaced, are looked at.
    """
    rows = _some(values)
    with np.errstate(over="ignore"):
        rounded = rows.astype(np.float32).astype(np.float64)
    if not np.isfinite(rounded).all():
        return True
    low, high = np.quantile(rows, [0.01, 0.99])
    spread = float(np.clip(rows, low, high).std()) or float(rows.std())
    if not spread:
        return False
    moved = float(np.median(np.abs(rounded - rows)))
    merged = 1 - len(np.unique(rounded)) / len(np.unique(rows))
    return moved > 1e-4 * spread or merged > 0.05


def without_spread(values: np.ndarray) -> bool:
    """Whether numbers differ, and their variance is zero or infinite in float64."""
    rows = _some(values)
    with np.errstate(over="ignore", under="ignore"):
        variance = float(rows.var())
    return bool((rows != rows[:1]).any()) and not 0 < variance < math.inf


def indistinct(values: np.ndarray) -> bool:
    """Whether float32 makes one of every ten numbers of a column equal to another once their
    mean and spread are taken off in float64; as :func:`blurred`, of 2,000 rows at most."""
    rows = np.unique(_some(values))
    with np.errstate(over="ignore"):
        spread = float(rows.std())
    if len(rows) < 3 or not spread or not np.isfinite(spread):
        return False
    standard = ((rows - float(rows.mean())) / spread).astype(np.float32)
    return 1 - len(np.unique(standard)) / len(rows) > 0.1


def _some(values: np.ndarray) -> np.ndarray:
    return values[:: max(1, len(values) // 2000)].astype(np.float64)
