"""Bars of distributions side by side: the truth, the model's answer, and conditioning only."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from causalplug.errors import DataError
from causalplug.plots.style import COLUMN, FAMILY, SERIES, SMALL, panels, plain, text_width
from causalplug.selection import values_at
from causalplug.values import Json, Named

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_distributions"]

_Ends = list[tuple[float, float]]
_Bars = tuple[list[str], list[float], _Ends | None]
_LOOKS = {"exact": "truth", "observed": "data", "rows": "data"}


def plot_distributions(
    answers: Mapping[str, Named],
    *,
    columns: int = 2,
    width: float = COLUMN,
    label: str = "probability",
) -> Figure:
    """A figure of distributions of a discrete variable: one panel per question, one group of bars
    per value.

    Bars called ``"truth"``, ``"model"``, ``"data"`` and ``"naive"`` have colours of their own;
    others get the next free one. An estimate brings its intervals as thin lines, where it has some.

    Args:
        answers: Question -> name of the bars -> distribution: an :class:`~causalplug.Estimate` with
            one open variable, a mapping or a pandas Series from values to probabilities, or a
            sequence of probabilities.
        columns: Panels side by side.
        width: Width of the figure, in inches.
        label: Label of the vertical axis.

    Raises:
        DataError: Nothing to draw, distributions over different values in one panel, or an estimate
            with several open variables.

    Example:
        >>> compared = {"truth": [0.4, 0.6], "model": {"0": 0.41, "1": 0.59}}
        >>> figure = plot_distributions({"P(A | do(D=1))": compared})
        >>> len(figure.axes)
        1
    """
    if not answers or not all(answers.values()):
        raise DataError(
            "no distribution can be drawn: give at least one question with one distribution"
        )
    read = {question: _aligned(question, bars) for question, bars in answers.items()}
    names = list(dict.fromkeys(chain.from_iterable(read.values())))
    colours = _colours(names)
    columns = min(columns, len(read))
    rows = -(-len(read) // columns)
    figure, grid = panels(rows, columns, width, 1.5 * rows + 0.25, sharey=True)
    cells = list(chain.from_iterable(grid))
    for axes, (question, bars) in zip(cells, read.items(), strict=False):
        _panel(axes, question, bars, colours, width / columns - 0.45)
    for axes in cells[len(read) :]:
        axes.set_visible(False)
    for line in grid:
        line[0].set_ylabel(label, labelpad=2, **plain())
    if len(names) > 1:
        handles, labels = _handles(colours)
        prop = {"size": SMALL, "family": FAMILY}
        looks: Json = {
            "frameon": False,
            "handlelength": 1.0,
            "columnspacing": 1.2,
            "prop": prop,
        }
        figure.legend(handles, labels, loc="outside lower center", ncols=len(names), **looks)
    return figure


def _aligned(question: str, bars: Named) -> dict[str, _Bars]:
    """The bars of one panel, all over the same values in the same order."""
    read = {name: _read(question, name, distribution) for name, distribution in bars.items()}
    named = next((values for values, _, _ in read.values() if values), None)
    wanted = named or list(map(str, range(len(next(iter(read.values()))[1]))))
    found: dict[str, _Bars] = {}
    for name, (values, heights, errors) in read.items():
        if len(heights) != len(wanted) or (values and set(values) != set(wanted)):
            raise DataError(
                f"{name!r} cannot be drawn beside the others in {question!r}: it is over "
                f"{values or len(heights)}, they are over {wanted}; give all distributions the "
                "same values"
            )
        found[name] = _in_order(wanted, values, heights, errors)
    return found


def _in_order(
    wanted: list[str], values: list[str], heights: list[float], errors: _Ends | None
) -> _Bars:
    """Bars in the order of the values ``wanted``; without values of their own as they stand."""
    if not values:
        return wanted, heights, errors
    order = list(map(values.index, wanted))
    return wanted, values_at(heights, order), None if errors is None else values_at(errors, order)


def _read(question: str, name: str, distribution: object) -> _Bars:
    """Values (empty if they have no names), heights, and the ends of the intervals, None where
    the model cannot tell them."""
    table = getattr(distribution, "table", None)
    if table is not None:
        numbers = 0
        if "estimate" in table:
            numbers = list(table.columns).index("estimate")
        if numbers != 1:
            raise DataError(
                f"{name!r} cannot be drawn in {question!r}: its answer has {numbers} open discrete "
                "variables, and bars show one; ask for one variable and give the others values"
            )
        known = None
        if table["low"].notna().any():
            known = list(zip(table["low"].tolist(), table["high"].tolist(), strict=True))
        return list(map(str, table.iloc[:, 0])), table["estimate"].tolist(), known
    if isinstance(distribution, Mapping) or hasattr(distribution, "items"):
        pairs = list(distribution.items())
        return [str(value) for value, _ in pairs], [float(share) for _, share in pairs], None
    heights = np.asarray(distribution, dtype=float)
    if heights.ndim != 1 or not len(heights):
        raise DataError(f"{name!r} cannot be drawn in {question!r}: give one probability per value")
    return [], heights.tolist(), None


def _colours(names: Sequence[str]) -> dict[str, str]:
    free = iter(SERIES["other"])
    found: dict[str, str] = {}
    for name in names:
        known = SERIES.get(_LOOKS.get(name, name))
        if isinstance(known, str):
            found[name] = known
        else:
            found[name] = next(free, "#888888")
    return found


def _panel(
    axes: Axes, question: str, bars: Mapping[str, _Bars], colours: Mapping[str, str], across: float
) -> None:
    values = next(iter(bars.values()))[0]
    places, each = np.arange(len(values)), 0.8 / len(bars)
    for number, (name, (_, heights, errors)) in enumerate(bars.items()):
        at = places + (number - (len(bars) - 1) / 2) * each
        axes.bar(at, heights, width=0.9 * each, color=colours[name], linewidth=0)
        if errors is not None:
            low, high = zip(*errors, strict=True)
            axes.vlines(at, low, high, colors="#1A1A1A", linewidths=0.7)
    crowded = max(text_width(value, SMALL) + 0.06 for value in values) > across / len(values)
    style = plain() | (
        {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    )
    axes.set_xticks(places, values, **style)
    axes.tick_params(axis="x", length=0)
    longest = text_width(question, SMALL)
    if longest > across:
        lines = textwrap.wrap(question, max(8, int(len(question) * across / longest)))
    else:
        lines = [question]
    axes.set_title("\n".join(lines), loc="left", pad=4, **plain())
    axes.locator_params(axis="y", nbins=5)


def _handles(colours: Mapping[str, str]) -> tuple[list[Any], list[str]]:
    from matplotlib.patches import Patch

    return [Patch(facecolor=colour) for colour in colours.values()], list(colours)
