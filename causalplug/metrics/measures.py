"""What was measured: one table, one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from causalplug.plots.images import plot_images
from causalplug.plots.style import COLUMN
from causalplug.values import Json

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Measure", "Measures", "mean_of"]


@dataclass(frozen=True)
class Measure:
    """One measured number.

    Attributes:
        measure: What was measured, such as ``"composition"``.
        do: What was set, in words; empty where nothing was.
        of: Variable, number of cycles or encoder that it is about.
        value: The number.
        standard_error: Of the mean over the rows; NaN where it is no mean.
        better: ``"lower"`` or ``"higher"``.
        unit: What the number counts.
        rows: Number of rows.
    """

    measure: str
    do: str
    of: str
    value: float
    standard_error: float
    better: str
    unit: str
    rows: int


@dataclass(frozen=True)
class Measures:
    """Measured numbers of counterfactual images, and some of the images.

    Two of them are joined by ``+``.

    Attributes:
        items: The numbers.
        pictures: Images by name of their line, as PIL images.
    """

    items: tuple[Measure, ...]
    pictures: dict[str, list[object]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each number."""
        import pandas as pd

        return pd.DataFrame(list(map(vars, self.items)), columns=list(_COLUMNS))

    def value(self, measure: str, do: str = "", of: str = "") -> float:
        """The number of one line; what is left empty may be anything.

        Raises:
            KeyError: No line is meant, or several.
        """
        found = []
        for item in self.items:
            if item.measure == measure and do in ("", item.do) and of in ("", item.of):
                found.append(item.value)
        if len(found) != 1:
            raise KeyError(f"{len(found)} lines are {measure}, {do or 'any do'}, {of or 'any of'}")
        return found[0]

    def plot(self, *, width: float = 2 * COLUMN) -> Figure:
        """A figure of the first rows as they were, and as they would have been under each
        intervention that was measured."""
        return plot_images(self.pictures, width=width)

    def to_dict(self) -> Json:
        """JSON values."""
        return {"items": [vars(item).copy() for item in self.items]}

    def __add__(self, other: Measures) -> Measures:
        return Measures((*self.items, *other.items), {**self.pictures, **other.pictures})

    def __str__(self) -> str:
        shown = self.table.drop(columns=["better", "rows"])
        return shown.to_string(index=False, float_format=lambda value: f"{value:.4g}", na_rep="-")


_COLUMNS = tuple(Measure.__dataclass_fields__)


def mean_of(values: np.ndarray | Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error."""
    numbers = np.asarray(values, dtype=float)
    if len(numbers) < 2:
        return float(numbers.mean()) if len(numbers) else float("nan"), float("nan")
    return float(numbers.mean()), float(numbers.std(ddof=1) / np.sqrt(len(numbers)))
