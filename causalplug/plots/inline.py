"""A figure as SVG text, for notebooks that show an object by its picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from causalplug.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["as_svg"]


def as_svg(draw: Callable[[], Figure]) -> str | None:
    """The SVG element of what ``draw`` draws, None where matplotlib is not installed."""
    try:
        figure = draw()
    except MissingDependencyError:
        return None
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    written = text.getvalue()
    return written[written.index("<svg") :]
