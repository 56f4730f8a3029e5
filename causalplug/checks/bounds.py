"""Bounds: what the data say where they do not determine an answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from causalplug.checks.bound_form import Form, limits
from causalplug.errors import QueryError
from causalplug.identification.identification import Identification
from causalplug.values import Json
from causalplug.wording import listed

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Bounds", "ConfidenceEnds", "Resamples", "Vertices"]


Ends = tuple[np.ndarray, np.ndarray]


class ConfidenceEnds(Protocol):
    """What gives confidence limits."""

    def ends(self, level: float) -> Ends:
        """The lower and the upper limits, one per cell."""


@dataclass(frozen=True, eq=False)
class Resamples:
    """The bounds of resampled tables, where they are not linear in the tables' probabilities.

    Attributes:
        first: The lower and the upper bounds of the tables themselves, one per cell.
        values: The probabilities of every resample, one line each.
        lows, highs: Its bounds, one line each and one column per cell.
        determined: Whether the answer is determined, so that the two are one.
    """

    first: Ends
    values: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    determined: bool

    def ends(self, level: float) -> Ends:
        """Confidence limits: percentiles of a determined answer; else what the bounds of the
        resamples in a confidence region reach, away from the tables' by their mean bias."""
        if self.determined:
            tail = 100 * (1 - level) / 2
            low = np.nanpercentile(self.lows, tail, axis=0)
            return low, np.nanpercentile(self.highs, 100 - tail, axis=0)
        kept = self._inside(level)
        low, high = self.first
        low_bias = np.maximum(np.nanmean(self.lows, axis=0) - low, 0.0)
        high_bias = np.maximum(high - np.nanmean(self.highs, axis=0), 0.0)
        lows = np.fmin.reduce(np.vstack([low, self.lows[kept]]))
        return lows - low_bias, np.fmax.reduce(np.vstack([high, self.highs[kept]])) + high_bias

    def _inside(self, level: float) -> np.ndarray:
        """Which resamples are in the region: the largest deviation of a probability, in standard
        deviations, is at most its quantile."""
        center, spread = self.values.mean(0), self.values.std(0)
        scale = np.where(spread > 0, spread, np.inf)
        apart = np.abs((self.values - center) / scale).max(1, initial=0.0)
        return np.asarray(apart <= np.quantile(apart, level))


@dataclass(frozen=True, eq=False)
class Vertices:
    """Bounds that are linear in the tables' probabilities: the best of several forms.

    Attributes:
        values: The tables' probabilities.
        draws: Those of resampled tables, one line each.
        lows, highs: Candidates for the two bounds, one list per cell.
    """

    values: np.ndarray
    draws: np.ndarray
    lows: tuple[tuple[Form, ...], ...]
    highs: tuple[tuple[Form, ...], ...]

    def ends(self, level: float) -> Ends:
        """Confidence limits of every cell."""
        found = []
        for low, high in zip(self.lows, self.highs, strict=True):
            found.append(limits(low, high, self.values, self.draws, level))
        return np.array([low for low, _ in found]), np.array([high for _, high in found])


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
    resample: Callable[[], ConfidenceEnds] | None = field(default=None, repr=False)

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
                f"{self.query} has one pair of bounds for every value of {listed(self.axes)}; look "
                "into .table, or give the values in the query"
            )
        return float(ends[0])

    @property
    def table(self) -> pd.DataFrame:
        """One row per cell: the open values, ``low`` and ``high``."""
        import pandas as pd

        columns = {}
        for i, a in enumerate(self.axes):
            columns[a] = [cell[i] for cell in self.cells]
        return pd.DataFrame({**columns, "low": self.lows, "high": self.highs})

    def interval(self, level: float = 0.95) -> Any:
        """A confidence interval for the true answer: the bounds, widened by the sampling error.

        The interval covers the true answer, and both bounds, at least so often. Where the bounds
        are the best of several linear functions of the tables' probabilities, it is what all of
        them allow at once (Chernozhukov, Lee & Rosen 2013); else it spans the bounds of resampled
        tables in a confidence region. An answer by formula has the percentile interval. Exact
        distributions have no sampling error.

        Args:
            level: Confidence level, between 0 and 1.

        Returns:
            A pair ``(low, high)``, or a DataFrame with one row per cell if values are open.

        Raises:
            QueryError: If the level is not between 0 and 1.
            DataError: If the rows came in clusters.
        """
        if not 0 < level < 1:
            raise QueryError(f"level={level} is not between 0 and 1; 0.95 is usual")
        low, high = self._ends(level)
        if not self.axes:
            return float(low[0]), float(high[0])
        return self.table.assign(low=low, high=high)

    @cached_property
    def _resamples(self) -> ConfidenceEnds | None:
        if self.resample is None:
            return None
        return self.resample()

    def _ends(self, level: float) -> Ends:
        drawn = self._resamples
        if drawn is None:
            return (self.lows, self.highs)
        return drawn.ends(level)

    def to_dict(self) -> Json:
        """What JSON can hold."""
        cells = []
        for cell, low, high in zip(self.cells, self.lows, self.highs, strict=True):
            cells.append(
                {**dict(zip(self.axes, cell, strict=True)), "low": float(low), "high": float(high)}
            )
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
