"""A page that shows what drives an answer: numbers, graph, modules, uncertainty and warnings."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from causalplug.plots.graph import draw_arcs, draw_variables, laid_out
from causalplug.plots.style import COLOURS, SERIES, SMALL, canvas, plain, text_width, tidy
from causalplug.values import Json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from causalplug.plots.shapes import DriverShape, DriversShape

__all__ = ["plot_drivers"]

_MARGIN, _LINE, _GAP, _RIM = 0.15, 0.135, 0.16, 0.05
_HEADING = 0.24
_COLUMNS = (0.0, 0.15, 0.48, 0.71, 0.82)
_WRAP = (16, 40, 28, 12, 14)
_HEAD = ("module", "made by", "fits the rows", "overlap", "share of variance")
_SHARES = (SERIES["model"], *SERIES["other"])
_MOST_NUMBERS = 12


def plot_drivers(drivers: DriversShape, *, width: float = 6.9) -> Figure:
    """A page of what an answer rests on.

    From top to bottom: the numbers with their intervals beside the graph, in which blue variables
    are pulled, orange ones trained, white ones set and grey ones not used; a table of the modules;
    a bar of where the variance comes from; and the warnings. A red bar at the right marks a module
    that a warning is about.

    Args:
        drivers: What :meth:`causalplug.DCM.drivers` gives.
        width: Width of the figure, in inches.

    Raises:
        MissingDependencyError: Matplotlib is not installed.
    """
    numbers = list(drivers.numbers)[:_MOST_NUMBERS]
    more = len(drivers.numbers) - len(numbers)
    places, arcs, across, down = laid_out(
        drivers.graph, drivers.graph.variables, across=0.5, down=0.3
    )
    for place in places.values():
        place.x += _RIM
        place.y += _RIM
    across, down = across + 2 * _RIM, down + 2 * _RIM
    scale = min(1.0, (0.5 * width - _MARGIN) / across)
    top = max(down * scale + 0.1, 0.65 + 0.26 * len(numbers))
    cells = [_cells(module) for module in drivers.modules]
    heights = []
    for row in cells:
        heights.append(_LINE * max(len(cell) for cell in row) + 0.09)
    told = _warnings(drivers, width)
    table = _HEADING + sum(heights)
    lines = [line for _, _, line in _legend(_shown_parts(drivers), width)]
    bar = 0.62 + _LINE * max(lines, default=0)
    height = 2 * _MARGIN + _HEADING + top + table + bar + _LINE * len(told) + 3 * _GAP
    figure, page = canvas(width, height)
    y = height - _MARGIN
    page.text(_MARGIN, y, f"What drives {drivers.answer.query}", va="top", **_bold(SMALL + 2))
    y -= _HEADING
    _numbers(
        figure.add_axes(_box(width, height, 0.11, y - top + 0.3, 0.36, top - 0.4)), numbers, more
    )
    low = y - (top + down * scale) / 2
    graph = figure.add_axes((0.5, low / height, across * scale / width, down * scale / height))
    _graph(graph, drivers, (places, arcs), (across, down))
    y -= top + _GAP
    _table(page, drivers, cells, heights, y, width)
    y -= table + _GAP
    _bar(page, drivers, y, width)
    y -= bar + _GAP
    for line in told:
        page.text(_MARGIN, y, line, va="top", **plain(SMALL))
        y -= _LINE
    return figure


def _box(
    width: float, height: float, left: float, low: float, wide: float, tall: float
) -> tuple[float, float, float, float]:
    """A rectangle in shares of the figure: left and width are shares already."""
    return left, low / height, wide, max(tall, 0.2) / height


def _bold(size: float = SMALL) -> Json:
    return {**plain(size), "weight": "bold"}


def _numbers(axes: Axes, numbers: Sequence[tuple[str, float, float, float]], more: int) -> None:
    """Estimates as points with their intervals; ``more`` of them are left out."""
    tidy(axes)
    if not numbers:
        axes.set_axis_off()
        axes.text(0, 0.5, "The answer has no numbers.", transform=axes.transAxes, **plain())
        return
    at = list(range(len(numbers)))[::-1]
    for place, (_, estimate, low, high) in zip(at, numbers, strict=True):
        if math.isfinite(low) and math.isfinite(high):
            axes.hlines(place, low, high, colors=COLOURS["text"], linewidths=1.1)
        axes.plot([estimate], [place], "o", color=SERIES["model"], ms=4.5, zorder=4)
        axes.annotate(
            f"{estimate:.3g}",
            (estimate, place),
            (0, 4),
            textcoords="offset points",
            ha="center",
            **plain(),
        )
    labels = [label or "answer" for label, *_ in numbers]
    axes.set_yticks(at, labels, **plain())
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, len(numbers) - 0.25)
    axes.margins(x=0.15)
    below = "estimate and interval"
    if more:
        below += f"; {more} more are not shown"
    axes.set_xlabel(below, labelpad=1, **plain(colour="quiet"))
    axes.locator_params(axis="x", nbins=5)


def _graph(
    axes: Axes, drivers: DriversShape, laid: tuple[Json, Sequence[object]], size: tuple[float, ...]
) -> None:
    """The graph in the colours of pulled, trained and unused."""
    places, arcs = laid
    axes.set(xlim=(0, size[0]), ylim=(0, size[1]), aspect="equal")
    axes.set_axis_off()
    used = [name for name in drivers.graph.variables if name not in drivers.unused]
    draw_arcs(axes, arcs, places, strong=used)  # type: ignore[arg-type]
    fills = dict.fromkeys(drivers.unused, ("band", "outer edge"))
    for module in drivers.modules:
        own = set(module.variables) & set(used) - set(drivers.held)
        fills |= dict.fromkeys(own, _fill(module))
    draw_variables(axes, places, fills=fills)


def _fill(module: DriverShape) -> tuple[str, str]:
    if module.is_pulled:
        return "pull fill", "pull"
    return "train fill", "train"


def _cells(module: DriverShape) -> list[list[str]]:
    """The cells of a module's row, each as lines."""
    made_by = f"{module.action}: {module.made_by}"
    name = module.name.replace("+", " + ")
    words = name, made_by, module.fit, module.overlap, module.share_in_words
    found = []
    for text, most in zip(words, _WRAP, strict=True):
        found.append(textwrap.wrap(text, most, break_on_hyphens=False) or [""])
    return found


def _table(
    page: Axes,
    drivers: DriversShape,
    cells: Sequence[Sequence[Sequence[str]]],
    heights: Sequence[float],
    y: float,
    width: float,
) -> None:
    """One row for each module; the block before its name has its colour in the graph."""
    inner = width - 2 * _MARGIN
    for share, name in zip(_COLUMNS, _HEAD, strict=True):
        page.text(_MARGIN + share * inner + 0.12, y, name, va="top", **_bold())
    y -= _HEADING - 0.04
    for module, row, tall in zip(drivers.modules, cells, heights, strict=True):
        page.plot(
            [_MARGIN, width - _MARGIN], [y + 0.03] * 2, color=COLOURS["outer edge"], linewidth=0.5
        )
        fill, border = _fill(module)
        _block(page, (_MARGIN, y - tall + 0.1, 0.07, tall - 0.1), COLOURS[fill], COLOURS[border])
        for share, lines in zip(_COLUMNS, row, strict=True):
            where = _MARGIN + share * inner + 0.12
            page.text(where, y, "\n".join(lines), va="top", linespacing=1.25, **plain())
        if module.caveats:
            edge = (width - _MARGIN - 0.04, y - tall + 0.1, 0.04, tall - 0.1)
            _block(page, edge, COLOURS["confounder"], COLOURS["confounder"])
        y -= tall


def _block(page: Axes, box: tuple[float, float, float, float], fill: str, border: str) -> None:
    from matplotlib.patches import Rectangle

    left, low, wide, tall = box
    page.add_patch(
        Rectangle((left, low), wide, tall, facecolor=fill, edgecolor=border, linewidth=0.6)
    )


def _bar(page: Axes, drivers: DriversShape, y: float, width: float) -> None:
    """The variance as one bar in parts, and what the parts are."""
    page.text(_MARGIN, y, "Where the uncertainty comes from", va="top", **_bold())
    if not drivers.uncertainty:
        why = drivers.answer.interval or "The answer has no interval."
        text = textwrap.fill(why, int(width * 17))
        page.text(_MARGIN, y - 0.17, text, va="top", **plain(colour="quiet"))
        return
    left, inner = _MARGIN, width - 2 * _MARGIN
    colours = [str(colour) for colour in _SHARES]
    shown = _shown_parts(drivers)
    for (_, share), colour in zip(shown, colours, strict=False):
        _block(page, (left, y - 0.33, share * inner, 0.14), colour, "white")
        left += share * inner
    for (words, at, line), colour in zip(_legend(shown, width), colours, strict=False):
        low = y - 0.5 - line * _LINE
        _block(page, (at, low, 0.08, 0.08), colour, colour)
        page.text(at + 0.12, low + 0.04, words, va="center", **plain())


def _shown_parts(drivers: DriversShape) -> list[tuple[str, float]]:
    """The parts of the variance; the smallest together, where there are more than colours."""
    parts = list(drivers.uncertainty)
    most = len(_SHARES)
    if len(parts) <= most:
        return parts
    return [*parts[: most - 1], ("all others", sum(share for _, share in parts[most - 1 :]))]


def _legend(parts: Sequence[tuple[str, float]], width: float) -> list[tuple[str, float, int]]:
    """Words, left end and line of the entries of a legend."""
    found = []
    at, line = _MARGIN, 0
    for name, share in parts:
        words = f"{name}: {100 * share:.1f} %"
        wide = 0.32 + text_width(words, SMALL)
        if at > _MARGIN and at + wide > width:
            at, line = _MARGIN, line + 1
        found.append((words, at, line))
        at += wide
    return found


def _warnings(drivers: DriversShape, width: float) -> list[str]:
    """What has to be said below the table, wrapped."""
    words = [f"Assumed: {sentence}" for sentence in drivers.answer.assumptions]
    words += [f"Warning: {caveat}" for caveat in drivers.warnings]
    if not drivers.warnings:
        words.append("There are no warnings.")
    if any(module.is_pulled for module in drivers.modules):
        words.append("Pulled generators are taken as they are: no interval holds their error.")
    lines: list[str] = []
    for text in words:
        lines += textwrap.wrap(text, int(width * 17))
    return lines
