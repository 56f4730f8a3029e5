"""Variables that count: 0, 1, 2 and so on, without an end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from causalplug.errors import DataError
from causalplug.values import Json
from causalplug.variables.base import Variable
from causalplug.variables.columns import TextColumn, as_array, refuse_missing, where_first
from causalplug.variables.continuous import as_numbers
from causalplug.variables.kinds import register_variable

if TYPE_CHECKING:
    import torch

__all__ = ["Count"]

_LARGEST = 2**24  # every whole number up to it is a float of 32 bits


@register_variable("count")
@dataclass(frozen=True)
class Count(Variable):
    """A variable that counts: a whole number of at least 0, without an upper end.

    Values go in as whole numbers, of any type, and come out as integers. Inside the model a count
    is a float without a fraction, which networks read by its logarithm.

    Example:
        >>> import causalplug as cp
        >>> cp.Count().encode([0, 3, 12]).tolist()
        [0.0, 3.0, 12.0]
    """

    is_number: ClassVar[bool] = True
    is_countable: ClassVar[bool] = True
    standardised: ClassVar[bool] = True
    default_mechanism: ClassVar[str | None] = "count-spline"
    precise: ClassVar[bool] = False
    low: ClassVar[float] = 0.0
    high: ClassVar[float] = math.inf

    @property
    def feature_size(self) -> int:
        return 1

    def encode(
        self, values: object, name: str = "values", *, row: int | None = None
    ) -> torch.Tensor:
        """Floats ``(n,)`` without a fraction.

        Raises:
            DataError: Missing values, fractions, negative numbers, or numbers above 2^24.
        """
        import torch

        array = as_array(values.to_numpy() if isinstance(values, TextColumn) else values, name)
        refuse_missing(array, name)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        numbers = as_numbers(array, name)
        if array.ndim != 1:
            raise DataError(
                f"{name!r} must be one count per row; got an array of shape {array.shape}."
            )
        wrong = ~np.isfinite(numbers) | (numbers < 0) | (numbers != np.floor(numbers))
        if wrong.any():
            raise DataError(
                f"{name!r} has {int(wrong.sum())} values that are not counts, the first "
                f"{array[wrong][0]}: a count is a whole number of at least 0. Correct them, or "
                f"declare it Continuous.{where_first(wrong, array, row)}"
            )
        large = numbers > _LARGEST
        if large.any():
            raise DataError(
                f"{name!r} has {int(large.sum())} counts above {_LARGEST:,}, which the model "
                "cannot hold exactly. Count in larger units, or declare it "
                f"Continuous.{where_first(large, array, row)}"
            )
        return torch.from_numpy(numbers.astype(np.float32))

    def decode(self, codes: torch.Tensor) -> np.ndarray:
        return codes.detach().cpu().double().round().long().numpy()

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        return codes.float().clamp_min(0).log1p().unsqueeze(-1)

    def to_dict(self) -> Json:
        return {"kind": self.kind}

    def describe(self) -> str:
        return "count"
