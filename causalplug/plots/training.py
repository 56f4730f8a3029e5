"""Pictures of training: how far each module was from the held-out rows, step by step, and what
chance explains."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from causalplug.errors import DataError
from causalplug.plots.style import COLOURS, COLUMN, FAMILY, SERIES, SMALL, panels, plain
from causalplug.values import Json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from causalplug.plots.shapes import TrainedModuleShape, TrainingShape

__all__ = ["plot_training"]

_MEASURES = {"tvd": "TVD, held-out rows", "nll": "neg. log-likelihood", "loss": "loss"}


def plot_training(report: TrainingShape, *, columns: int = 2, width: float = COLUMN) -> Figure:
    """A figure of a training run: one panel per module and measure, over the steps.

    The dotted line is the sampling floor, the distance at which a perfect model would be; the grey
    band above it is what chance alone explains (to the 0.99 quantile). The ring is the step whose
    weights were kept. A module that was trained by likelihood and then adversarially has a panel
    for either.

    Args:
        report: Report of the run.
        columns: Panels side by side.
        width: Width of the figure, in inches.

    Raises:
        DataError: Nothing was validated in this run, so there is nothing to draw.
    """
    shown = [(module, measure) for module in report.modules for measure in _measures(module)]
    if not shown:
        raise DataError(
            "the training cannot be drawn: its report has no curve, since no module was validated "
            "on the way; train with a smaller validate_every=, or print the report"
        )
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    figure, grid = panels(rows, columns, width, 1.55 * rows)
    cells = list(chain.from_iterable(grid))
    for axes, (module, measure) in zip(cells, shown, strict=False):
        _panel(axes, module, measure)
    for axes in cells[len(shown) :]:
        axes.set_visible(False)
    return figure


def _measures(module: TrainedModuleShape) -> list[str]:
    found = []
    for key in ("nll", "tvd"):
        if any(key in point for point in module.curve):
            found.append(key)
    return found or [key for key in ("loss",) if any(key in point for point in module.curve)]


def _label(axes: Axes, name: str, measure: str) -> None:
    """Title, names of the axes and few round ticks."""
    if len(name) > 20:
        name = f"{name[:18]}…"
    axes.set_title(name, loc="left", pad=4, weight="bold", **plain())
    axes.set_xlabel("step", labelpad=1, **plain())
    axes.set_ylabel(_MEASURES[measure], labelpad=2, **plain())
    axes.locator_params(axis="x", nbins=4)
    axes.locator_params(axis="y", nbins=4)
    axes.ticklabel_format(useOffset=False)


def _draw_chance(axes: Axes, module: TrainedModuleShape, largest: float) -> None:
    """The sampling floor and what chance explains above it."""
    floors = [(d.floor, d.ceiling) for d in module.distances if d.floor is not None]
    if not floors:
        axes.set_ylim(0, 1.15 * largest)
        return
    floor, ceiling = max(floors)
    axes.set_ylim(0, 1.15 * max(largest, floor))
    axes.axhspan(floor, ceiling if ceiling is not None else floor, color=COLOURS["band"], zorder=0)
    axes.axhline(
        floor, color=COLOURS["quiet"], linestyle=":", linewidth=1.0, label="sampling floor"
    )


def _panel(axes: Axes, module: TrainedModuleShape, measure: str) -> None:
    points = []
    for point in module.curve:
        if measure in point:
            points.append((point["step"], point[measure]))
    steps, values = zip(*points, strict=True)
    marker = "." if len(points) < 15 else ""
    axes.plot(steps, values, color=SERIES["model"], linewidth=1.2, marker=marker, ms=3)
    _label(axes, module.name, measure)
    middle, least = (max(values) + min(values)) / 2, 0.005 * abs(values[-1])
    if measure != "tvd" and max(values) - min(values) < 2 * least:  # a flat line is flat
        axes.set_ylim(middle - least, middle + least)
    kept = dict(points).get(module.best_step)
    if module.best_step is not None and kept is not None and measure == _measures(module)[-1]:
        ring: Json = {"marker": "o", "ms": 5, "mfc": "none", "mec": SERIES["model"], "mew": 1.0}
        axes.plot([module.best_step], [kept], linestyle="", label="kept", **ring)
    if measure == "tvd":
        _draw_chance(axes, module, max(values))
    if axes.get_legend_handles_labels()[0]:
        legend = axes.legend(
            frameon=False, prop={"size": SMALL, "family": FAMILY}, handlelength=1.4
        )
        legend.set_zorder(5)
