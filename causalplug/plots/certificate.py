"""Pictures of certificates: the graph, with what stands in the way of identification in colour."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from causalplug.plots.graph import draw_arcs, draw_variables, laid_out
from causalplug.plots.style import SMALL, canvas, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from causalplug.plots.layout import Arc, Place
    from causalplug.plots.shapes import CertificateShape, GraphShape

__all__ = ["plot_certificate"]

_MARGIN = 0.12
_LINE = 0.13


def plot_certificate(certificate: CertificateShape, *, ax: object = None) -> Figure:
    """A figure of a certificate: the c-factor that cannot be had in strong colour, the rest of its
    hedge in light.

    The edges among these are drawn strong, all others grey; the sentence stands below.

    Args:
        certificate: Certificate of an :class:`~causalplug.Identification`.
        ax: Matplotlib axes to draw into; by default a new figure of the size that is needed.
    """
    forest = frozenset().union(*(hedge.forest for hedge in certificate.hedges))
    places, arcs, width, height = _laid_out(certificate.graph)
    whole = max(width + 2 * _MARGIN, 2.6)
    lines = textwrap.wrap(certificate.sentence, int(whole * 19))
    foot = _MARGIN + _LINE * len(lines) + (0.06 if lines else 0.0)
    for place in places.values():
        place.x += (whole - width) / 2
        place.y += foot + _MARGIN / 2
    figure, axes = canvas(whole, height + foot + 1.5 * _MARGIN, ax)
    inside = forest | certificate.variables
    draw_arcs(axes, arcs, places, strong=inside if inside else None)
    draw_variables(axes, places, root=certificate.variables, forest=forest)
    for number, line in enumerate(reversed(lines)):
        axes.text(
            whole / 2,
            _MARGIN + _LINE * (number + 0.5),
            line,
            ha="center",
            va="center",
            **plain(SMALL),
        )
    return figure


def _laid_out(graph: GraphShape | None) -> tuple[dict[str, Place], list[Arc], float, float]:
    if graph is None:
        return {}, [], 0.0, 0.0
    return laid_out(graph, graph.variables, across=0.5, down=0.3)
