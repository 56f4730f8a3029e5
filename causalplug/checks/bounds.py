"""Bounds: what the data say where they do not determine an answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalplug.errors import QueryError
from causalplug.identification.identification import Identification
from causalplug.wording import listed

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Bounds", "Resamples"]


@dataclass(frozen=True, eq=False)
class Resamples:
    """The bounds of resampled tables.

    Attributes:
        values: The tables' probabilities, one line per resample.
        lows, highs: The bounds, one line per resample and one column per cell.
    """

    values: np.ndarray
    lows: np.ndarray
    highs: np.ndarray

    def inside(self, level: float) -> np.ndarray:
        """Which resamples are in the confidence region: the largest deviation of a probability, in
        standard deviations, is at most its quantile."""
        center, spread = self.values.mean(0), self.values.std(0)
        scale = np.where(spread > 0, spread, np.inf)
        apart = np.abs((self.values - center) / scale).max(1, initial=0.0)
        return np.asarray(apart <= np.quantile(apart, level))


@dataclass(frozen=True, eq=False)
class Bounds:
    """The smallest and the largest answer that data and graph allow; from :func:`bounds`.

    Attributes:
        query: The query in words.
        status: ``"identified"`` (the two are equal), ``"sharp"`` (models that agree with the data
            reach both ends), ``"valid"`` (no model reaches past them, but narrower ones may exist),
            or ``"undefined"`` (the evidence cannot happen).
        axes: What the query leaves open, such as ``("Y", "do(X)")``; empty for one number.
        cells: The values along the axes, one tuple per row of the table.
        lows, highs: The ends, one per cell.
        identification: Whether the data determine the answer without further assumptions.
        assumptions: What was declared, in sentences.
        notes: What was decided on the way, and what is doubtful.
        unknowns: The number of unknowns of the program; 0 where none was needed.
    """

    query: str
    status: str
    axes: tuple[str, ...]
    cells: tuple[tuple[Hashable, ...], ...]
    lows: np.ndarray
    highs: np.ndarray
    identification: Identification
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unknowns: int = 0
    resample: Callable[[], Resamples] | None = field(default=None, repr=False)

    @property
    def low(self) -> float:
        """The smallest answer.

        Raises:
            QueryError: If the query leaves values open; look into ``table``.
        """
        return self._one(self.lows)

    @property
    def high(self) -> float:
        """The largest answer.

        Raises:
            QueryError: If the query leaves values open; look into ``table``.
        """
        return self._one(self.highs)

    @property
    def sharp(self) -> bool:
        """Whether models that agree with the data reach both ends."""
        return self.status in ("identified", "sharp")

    def _one(self, ends: np.ndarray) -> float:
        if self.axes:
            raise QueryError(
                f"{self.query} has one pair of bounds for every value of {listed(self.axes)}; "
                "look into .table, or give the values in the query"
            )
        return float(ends[0])

    @property
    def table(self) -> pd.DataFrame:
        """One row per cell: the open values, ``low`` and ``high``."""
        import pandas as pd

        columns = {a: [cell[i] for cell in self.cells] for i, a in enumerate(self.axes)}
        return pd.DataFrame({**columns, "low": self.lows, "high": self.highs})

    def interval(self, level: float = 0.95) -> Any:
        """A confidence interval for the true answer: the bounds, widened by the sampling error.

        Where the answer is bounded, the interval spans the bounds of all resampled tables in a
        confidence region of that level for the tables' probabilities. It covers the true answer,
        and the bounds themselves, at least so often. Where the answer is determined, it is the
        percentile interval. Exact distributions have no sampling error.

        Args:
            level: Confidence level, between 0 and 1.

        Returns:
            A pair ``(low, high)``, or a DataFrame with one row per cell if values are open.

        Raises:
            QueryError: If the level is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise QueryError(f"level={level} is not between 0 and 1; 0.95 is usual")
        low, high = self._ends(level)
        if not self.axes:
            return float(low[0]), float(high[0])
        return self.table.assign(low=low, high=high)

    @cached_property
    def _resamples(self) -> Resamples | None:
        return None if self.resample is None else self.resample()

    def _ends(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        drawn = self._resamples
        if drawn is None:
            return self.lows, self.highs
        if self.status == "identified":
            tail = 100 * (1 - level) / 2
            low = np.nanpercentile(drawn.lows, tail, axis=0)
            return low, np.nanpercentile(drawn.highs, 100 - tail, axis=0)
        kept = drawn.inside(level)
        low = np.fmin.reduce(np.vstack([self.lows, drawn.lows[kept]]))
        return low, np.fmax.reduce(np.vstack([self.highs, drawn.highs[kept]]))

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        cells = [
            {**dict(zip(self.axes, cell, strict=True)), "low": float(low), "high": float(high)}
            for cell, low, high in zip(self.cells, self.lows, self.highs, strict=True)
        ]
        return {
            "query": self.query,
            "status": self.status,
            "identification": self.identification.status,
            "bounds": cells,
            "assumptions": list(self.assumptions),
            "notes": list(self.notes),
            "unknowns": self.unknowns,
        }

    def __str__(self) -> str:
        lines = [f"{self.query}: {self.status}"]
        for cell, low, high in zip(self.cells, self.lows, self.highs, strict=True):
            at = ", ".join(f"{a}={value}" for a, value in zip(self.axes, cell, strict=True))
            lines.append(f"  {at + ': ' if at else ''}[{low:.6g}, {high:.6g}]")
        lines += [f"  assumed: {sentence}" for sentence in self.assumptions]
        lines += [f"  note: {sentence}" for sentence in self.notes]
        return "\n".join(lines)
