"""The look that all pictures share: colours (after Okabe and Ito 2008), sizes in inches, and an
empty figure."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from causalplug.installed import require
from causalplug.values import Json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "COLUMN",
    "FAMILY",
    "FONT",
    "SERIES",
    "SMALL",
    "canvas",
    "panels",
    "plain",
    "text_width",
    "tidy",
]

COLOURS = {
    "pull": "#0072B2",
    "pull fill": "#DCEBF7",
    "train": "#B5651D",
    "train fill": "#FCEBD5",
    "confounder": "#C8390B",
    "hedge": "#F4A582",
    "hedge fill": "#FCE3D7",
    "plate": "#FFFFFF",
    "edge": "#3C3C3C",
    "outer edge": "#A6A6A6",
    "order": "#1A1A1A",
    "band": "#F4F4F4",
    "text": "#1A1A1A",
    "quiet": "#6B6B6B",
}
SERIES = {
    "truth": "#1A1A1A",
    "model": "#0072B2",
    "naive": "#E69F00",
    "data": "#B3B3B3",
    "other": ("#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442"),
}
"""Colours of what a picture compares; light and dark alternate, so that they differ in grey as
well."""
COLUMN = 3.35
"""Width of a paper's column, in inches: what is drawn for it is not scaled down."""
FAMILY = "DejaVu Sans"
FONT = 8.0
SMALL = 6.5


def check_installed() -> None:
    """Raise if there is nothing to draw with.

    Raises:
        MissingDependencyError: Matplotlib is not installed.
    """
    require("no picture can be drawn", "plots", "matplotlib")


@lru_cache(maxsize=4096)
def text_width(text: str, size: float = FONT, weight: str = "normal") -> float:
    """Width of ``text`` in inches, measured with the font that is used.

    Raises:
        MissingDependencyError: Matplotlib is not installed.
    """
    check_installed()
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    if not text.strip():
        return 0.0
    font = FontProperties(family=FAMILY, weight=weight)
    return (
        float(TextPath((0, 0), text.replace("$", "S"), size=size, prop=font).get_extents().width)
        / 72
    )


def canvas(width: float, height: float, ax: Any = None) -> tuple[Figure, Axes]:
    """A figure and axes whose data coordinates are inches, without frame; ``ax`` is used if it is
    given.

    Raises:
        MissingDependencyError: Matplotlib is not installed.
    """
    if ax is None:
        figure = _figure(width, height)
        ax = figure.add_axes((0, 0, 1, 1))
    else:
        figure = ax.figure
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.set_axis_off()
    return figure, ax


def panels(
    rows: int,
    columns: int,
    width: float,
    height: float,
    *,
    sharey: bool = False,
    height_ratios: Sequence[float] | None = None,
) -> tuple[Figure, list[list[Axes]]]:
    """A figure of ``rows`` by ``columns`` axes in the common look, arranged so that no text
    overlaps another.

    Args:
        rows, columns: Rows and columns of the grid.
        width, height: Width and height of the figure, in inches.
        sharey: Whether all axes have the same vertical scale.
        height_ratios: Heights of the rows relative to each other; by default they are equal.

    Raises:
        MissingDependencyError: Matplotlib is not installed.
    """
    figure = _figure(width, height, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=sharey, height_ratios=height_ratios)
    for line in grid:
        for axes in line:
            tidy(axes)
    return figure, list(map(list, grid))


def tidy(axes: Axes) -> None:
    """The common look of axes: two thin spines, small ticks, text in the common font."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(linewidth=0.6, color=COLOURS["quiet"])
    looks: Json = {"labelsize": SMALL, "labelfontfamily": FAMILY}
    axes.tick_params(
        length=2.5, width=0.6, color=COLOURS["quiet"], labelcolor=COLOURS["text"], pad=2, **looks
    )


def plain(size: float = SMALL, colour: str = "text") -> Json:
    """How text looks: font, size and colour; a dollar sign is a dollar sign."""
    return {"fontsize": size, "color": COLOURS[colour], "family": FAMILY, "parse_math": False}


def _figure(width: float, height: float, layout: Literal["constrained"] | None = None) -> Figure:
    check_installed()
    return _shown_figure()(figsize=(width, height), dpi=150, layout=layout)


@lru_cache(maxsize=1)
def _shown_figure() -> type[Figure]:
    """Figures that a notebook shows in a fresh kernel, whether or not pyplot was imported."""
    from matplotlib.figure import Figure

    class ShownFigure(Figure):
        """A figure that is its own picture in a notebook."""

        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png")
            return buffer.getvalue()

    return ShownFigure
