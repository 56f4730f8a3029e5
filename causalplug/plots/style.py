"""The look that all pictures share: colours (after Okabe and Ito 2008), sizes in inches, and an empty figure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from causalplug.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "FAMILY", "FONT", "SMALL", "canvas", "text_width"]

COLOURS = {
    "pull": "#0072B2",
    "pull fill": "#DCEBF7",
    "train": "#B5651D",
    "train fill": "#FCEBD5",
    "confounder": "#C8390B",
    "edge": "#3C3C3C",
    "outer edge": "#A6A6A6",
    "order": "#1A1A1A",
    "band": "#F4F4F4",
    "text": "#1A1A1A",
    "quiet": "#6B6B6B",
}
FAMILY = "DejaVu Sans"
FONT = 8.0
SMALL = 6.5


@lru_cache(maxsize=4096)
def text_width(text: str, size: float = FONT, weight: str = "normal") -> float:
    """Width of ``text`` in inches, measured with the font that is used."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    if not text.strip():
        return 0.0
    font = FontProperties(family=FAMILY, weight=weight)
    return float(TextPath((0, 0), text.replace("$", "S"), size=size, prop=font).get_extents().width) / 72


def canvas(width: float, height: float, ax: Any = None) -> tuple[Figure, Axes]:
    """A figure and axes whose data coordinates are inches, without frame; ``ax`` is used if it is given.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "no picture can be drawn: matplotlib is not installed; run `pip install causalplug[plots]`"
        ) from error
    if ax is None:
        figure = Figure(figsize=(width, height), dpi=150)
        ax = figure.add_axes((0, 0, 1, 1))
    else:
        figure = ax.figure
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.set_axis_off()
    return figure, ax
