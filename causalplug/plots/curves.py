"""Curves with intervals: an outcome along the values of what is set, as a dose-response curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from causalplug.errors import DataError
from causalplug.plots.style import COLUMN, FAMILY, SERIES, SMALL, panels, plain
from causalplug.selection import all_of_kind
from causalplug.values import Json

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_curve"]

_NUMBERS = ("estimate", "low", "high", "standard_error", "monte_carlo_error")
_BAND = 0.22


@dataclass(frozen=True)
class _Line:
    """One curve: where it is drawn, and its interval, NaN where there is none."""

    at: np.ndarray
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray


def plot_curve(
    curves: pd.DataFrame | Mapping[str, object],
    *,
    label: str = "",
    value: object = None,
    width: float = COLUMN,
) -> Figure:
    """A figure of an outcome along the values of its cause: lines with their intervals as bands.

    Curves called ``"truth"``, ``"model"``, ``"data"`` and ``"naive"`` have colours of their own. A
    band is drawn where the model knows its interval, and only there. A cause of categories is drawn
    as points with bars in place of lines with bands.

    Args:
        curves: What :meth:`causalplug.DCM.curve` gave; or a mapping from names to such tables, or
            to pairs ``(at, values)`` of two sequences.
        label: Label of the vertical axis; the mean, or the probability, by default.
        value: Of an outcome of categories, the one whose probability is drawn; every category has a
            curve of its own by default.
        width: Width of the figure, in inches.

    Raises:
        DataError: There is nothing to draw, a table is not of a curve, or it has no such value.

    Example:
        >>> figure = plot_curve({"truth": ([0, 1, 2], [0.1, 0.4, 0.5])})
        >>> len(figure.axes[0].lines)
        1
    """
    given = curves if isinstance(curves, Mapping) else {"model": curves}
    lines: dict[str, _Line] = {}
    labels = {"": ""}
    for name, curve in given.items():
        lines |= _read(name, curve, value, labels)
    if not lines:
        raise DataError("no curve can be drawn: give at least one, from DCM.curve")
    figure, ((axes,),) = panels(1, 1, width, 0.66 * width)
    places = _places(lines)
    for (name, line), colour in zip(lines.items(), _colours(lines), strict=True):
        _draw(axes, name, line, colour, places)
    if places:
        axes.set_xticks(range(len(places)), list(map(str, places)))
    axes.set_xlabel(labels.get("cause", ""), **plain())
    axes.set_ylabel(label or labels.get("outcome", ""), **plain())
    if len(lines) > 1:
        looks: Json = {"frameon": False, "prop": {"size": SMALL, "family": FAMILY}}
        figure.legend(loc="outside lower center", ncols=min(len(lines), 3), **looks)
    return figure


def _read(name: str, curve: object, value: object, labels: dict[str, str]) -> dict[str, _Line]:
    """The lines of one entry, by name; ``labels`` are those of the axes, where it knows them."""
    if isinstance(curve, Sequence) and len(curve) == 2:
        at, values = map(np.asarray, curve)
        if at.shape != values.shape or at.ndim != 1 or not len(at):
            raise DataError(
                f"{name!r} cannot be drawn: its two sequences have the shapes {at.shape} and "
                f"{values.shape}; give one value for every place"
            )
        nothing = np.full(len(at), np.nan)
        return {name: _Line(at, values.astype(float), nothing, nothing)}
    columns = list(getattr(curve, "columns", ()))
    if "estimate" not in columns or columns[0] in _NUMBERS:
        raise DataError(
            f"{name!r} cannot be drawn: it is not a table of DCM.curve; give one, or a pair of "
            "sequences"
        )
    cause, *outcomes = columns[: columns.index("estimate")]
    labels["cause"] = f"do({cause})"
    labels["outcome"] = "probability" if outcomes else "mean"
    if not outcomes:
        return {name: _line(cause, curve)}
    return _by_category(name, cause, outcomes[0], curve, value)


def _by_category(
    name: str, cause: str, outcome: str, curve: Any, value: object
) -> dict[str, _Line]:
    parts = dict(iter(curve.groupby(outcome, sort=False, observed=True)))
    if value is not None:
        if value not in parts:
            raise DataError(
                f"{name!r} cannot be drawn: {outcome} has no value {value!r}; its values are "
                f"{', '.join(map(str, parts))}"
            )
        return {name: _line(cause, parts[value])}
    prefix = "" if name == "model" else f"{name}, "
    return {f"{prefix}{outcome}={v}": _line(cause, part) for v, part in parts.items()}


def _line(cause: str, table: Any) -> _Line:
    nothing = np.full(len(table), np.nan)
    low = table["low"].to_numpy(float) if "low" in table else nothing
    high = table["high"].to_numpy(float) if "high" in table else nothing
    return _Line(table[cause].to_numpy(), table["estimate"].to_numpy(float), low, high)


def _places(lines: Mapping[str, _Line]) -> list[object]:
    """The categories along the horizontal axis; empty where it is one of numbers."""
    found = list(dict.fromkeys(item for line in lines.values() for item in line.at.tolist()))
    if all_of_kind(found, Real):
        return []
    return found


def _colours(lines: Mapping[str, _Line]) -> list[str]:
    free = iter(SERIES["other"])
    found = []
    for name in lines:
        known = SERIES.get(name)
        found.append(known if isinstance(known, str) else next(free, "#888888"))
    return found


def _draw(axes: Axes, name: str, line: _Line, colour: str, places: list[object]) -> None:
    known = ~np.isnan(line.low) & ~np.isnan(line.high)
    if places:
        at = np.array(list(map(places.index, line.at.tolist())), dtype=float)
        axes.plot(at, line.values, "o", color=colour, ms=3.5, label=name)
        axes.vlines(at[known], line.low[known], line.high[known], colors=colour, linewidths=0.9)
        return
    order = np.argsort(line.at.astype(float), kind="stable")
    at = line.at.astype(float)[order]
    axes.plot(at, line.values[order], color=colour, linewidth=1.2, label=name)
    axes.fill_between(
        at,
        line.low[order],
        line.high[order],
        where=known[order].tolist(),
        color=colour,
        alpha=_BAND,
        linewidth=0,
    )
