"""Real-valued variables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from causalplug.errors import DataError, VariableError
from causalplug.variables.base import Variable
from causalplug.variables.columns import as_array, refuse_missing, where_first

if TYPE_CHECKING:
    import torch

__all__ = ["Continuous"]


@dataclass(frozen=True)
class Continuous(Variable):
    """A real-valued variable.

    Args:
        low, high: values outside this interval are refused; mechanisms do not have to stay inside
            it.

    Raises:
        VariableError: the interval is empty.
    """

    kind: ClassVar[str] = "continuous"
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not all(
            isinstance(bound, int | float | np.integer | np.floating)
            for bound in (self.low, self.high)
        ):
            raise VariableError(
                f"Continuous(low={self.low!r}, high={self.high!r}) cannot be declared: give numbers."
            )
        if not self.low < self.high:
            raise VariableError(
                f"Continuous(low={self.low}, high={self.high}) is empty: low must be smaller than high."
            )

    @property
    def feature_size(self) -> int:
        return 1

    def encode(self, values: Any, name: str = "values", *, row: int | None = None) -> torch.Tensor:
        import torch

        array = as_array(values, name)
        refuse_missing(array, name)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        try:
            if array.dtype.kind not in "iufbO":  # dates become counts of nanoseconds, say
                raise TypeError
            array = array.astype(np.float32)
        except (TypeError, ValueError):
            raise DataError(
                f"{name!r} must be numbers; got {array.dtype} values. Declare it Discrete, or convert it."
            ) from None
        if array.ndim != 1:
            raise DataError(
                f"{name!r} must be one number per row; got an array of shape {array.shape}."
            )
        outside = ~np.isfinite(array) | (array < self.low) | (array > self.high)
        if outside.any():
            raise DataError(
                f"{name!r} has {int(outside.sum())} values outside [{self.low}, {self.high}], the "
                f"first {array[outside][0]}. Correct them or widen the declared "
                f"interval.{where_first(outside, array, row)}"
            )
        return torch.from_numpy(np.ascontiguousarray(array))

    def decode(self, codes: torch.Tensor) -> np.ndarray:
        return codes.detach().cpu().float().numpy()

    def written(self, codes: torch.Tensor) -> list[float]:
        """The numbers in their shortest decimals: 0.1, not the number of 32 bits nearest to it."""
        return [float(str(number)) for number in self.decode(codes)]

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        return codes.unsqueeze(-1)

    def to_dict(self) -> dict[str, Any]:
        bounds = {"low": self.low, "high": self.high}
        return {"kind": self.kind} | {
            key: value for key, value in bounds.items() if math.isfinite(value)
        }
