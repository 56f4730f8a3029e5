"""Pictures of a fit check: every statistic of every value of the parents, and what would make a
generator unfit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalplug.plots.style import COLOURS, COLUMN, SERIES, SMALL, panels, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from causalplug.plots.shapes import FitShape

__all__ = ["plot_fit"]


@dataclass(frozen=True)
class _Statistic:
    """One column of the picture: where a perfect generator is, and where one is unfit."""

    field: str
    title: str
    limits: tuple[float, float]
    perfect: float
    unfit: tuple[tuple[float, float], ...]
    ticks: tuple[float, ...]


_STATISTICS = (
    _Statistic("accuracy", "told apart", (0.4, 1.0), 0.5, (), (0.5, 1.0)),
    _Statistic("agreement", "right class", (-1.0, 0.2), 0.0, ((-1.0, -0.15),), (-1.0, 0.0)),
    _Statistic("spread", "spread", (0.0, 1.5), 1.0, ((0.0, 0.5),), (0.0, 1.0)),
    _Statistic(
        "brightness", "brightness", (-0.2, 0.2), 0.0, ((-0.2, -0.08), (0.08, 0.2)), (-0.1, 0.1)
    ),
    _Statistic("memorised", "copies", (0.0, 1.0), 0.0, ((0.5, 1.0),), (0.0, 1.0)),
)


def plot_fit(report: FitShape, *, width: float = COLUMN) -> Figure:
    """A figure of a fit check: a line per value of the parents, a column per statistic, the worst
    images below.

    The thin line is where a perfect generator would be, the tinted part where a generator is unfit.
    ``told apart`` is the accuracy of a classifier that tells real from generated images; the other
    statistics are those of :class:`~causalplug.checks.fit.ConfigurationFit`.

    Args:
        report: Report of :func:`causalplug.check_fit`.
        width: Width of the figure, in inches.
    """
    values = []
    for item in report.configurations:
        values.append(", ".join(f"{k}={v}" for k, v in item.parents.items()) or "all")
    worst = [] if report.worst is None else _pictures(report)
    heights = [0.17 * len(values) + 0.55]
    height = heights[0]
    if worst:
        heights.append(width / 9)
        height = sum(heights) + 0.22
    figure, grid = panels(
        len(heights), len(_STATISTICS), width, height, height_ratios=heights if worst else None
    )
    for axes, statistic in zip(grid[0], _STATISTICS, strict=True):
        _column(axes, statistic, [getattr(item, statistic.field) for item in report.configurations])
    grid[0][0].set_yticks(range(len(values)), values, **plain())
    for axes in grid[0][1:]:
        axes.set_yticks([])
    figure.suptitle(
        f"{report.name}: {report.verdict}", x=0.01, ha="left", weight="bold", **plain(SMALL + 1)
    )
    if worst:
        _strip(figure, grid[1], worst)
    return figure


def _column(axes: Axes, statistic: _Statistic, numbers: list[float]) -> None:
    low, high = statistic.limits
    low, high = min([low, *numbers]), max([high, *numbers])
    pad = 0.06 * (high - low)
    for left, right in statistic.unfit:
        left, right = (
            (low - pad if left == statistic.limits[0] else left),
            (high + pad if right == statistic.limits[1] else right),
        )
        axes.axvspan(left, right, color=COLOURS["train fill"], linewidth=0, zorder=0)
    axes.axvline(statistic.perfect, color=COLOURS["quiet"], linewidth=0.8, zorder=1)
    axes.plot(
        numbers, range(len(numbers)), "o", color=SERIES["model"], ms=3.5, zorder=3, clip_on=False
    )
    axes.set(xlim=(low - pad, high + pad), ylim=(len(numbers) - 0.5, -0.5))
    axes.set_title(statistic.title, pad=3, **plain())
    axes.set_xticks(statistic.ticks, [f"{tick:g}" for tick in statistic.ticks])
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _pictures(report: FitShape) -> list[np.ndarray]:
    assert report.worst is not None
    images = [image.numpy().transpose(1, 2, 0) for image in report.worst[:8]]
    return [image[..., 0] if image.shape[-1] == 1 else image[..., :3] for image in images]


def _strip(figure: Figure, cells: list[Axes], pictures: list[np.ndarray]) -> None:
    """The worst images side by side below the columns."""
    spec: Any = cells[0].get_gridspec()
    for axes in cells:
        axes.remove()
    whole = figure.add_subplot(spec[1, :])
    gap = [np.full((len(pictures[0]), 1, *pictures[0].shape[2:]), 255, np.uint8)]
    sheet = np.concatenate([part for picture in pictures for part in (picture, *gap)][:-1], axis=1)
    whole.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    whole.set_xticks([])
    whole.set_yticks([])
    whole.spines[:].set_visible(False)
    whole.set_xlabel(
        "generated images that look least like real ones", labelpad=2, **plain(colour="quiet")
    )
