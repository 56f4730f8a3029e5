"""Pictures of causal graphs: causes left of effects, hidden confounders as dashed arcs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from causalplug.plots.layout import Arc, Place, arranged, bent, columns_of, stacked
from causalplug.plots.style import COLOURS, FONT, canvas, plain, text_width
from causalplug.selection import by_name
from causalplug.values import Json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from causalplug.plots.shapes import GraphShape

__all__ = ["arrow", "draw_arcs", "draw_variables", "laid_out", "plot_graph"]

_HEIGHT = 0.24
_LONGEST = 22


def plot_graph(
    graph: GraphShape, *, ax: object = None, missing: Iterable[tuple[str, str]] = ()
) -> Figure:
    """A figure of ``graph``: arrows for causes, dashed arcs with two heads for hidden confounders.

    Args:
        graph: The causal graph.
        ax: Matplotlib axes to draw into; by default a new figure of the size that is needed.
        missing: Pairs without an edge that the data join, drawn as dotted lines.
    """
    places, arcs, width, height = laid_out(graph, graph.variables, across=0.5, down=0.3)
    margin = 0.12
    for place in places.values():
        place.x += margin
        place.y += margin
    figure, axes = canvas(width + 2 * margin, height + 2 * margin, ax)
    draw_arcs(axes, arcs, places)
    for left, right in missing:
        looks: Json = {"style": "-", "linestyle": "dotted", "width": 1.6, "bend": 0.25}
        arrow(axes, places[left], places[right], colour=COLOURS["confounder"], **looks)
    draw_variables(axes, places)
    return figure


def laid_out(
    graph: GraphShape, variables: Iterable[str], *, across: float = 0.34, down: float = 0.2
) -> tuple[dict[str, Place], list[Arc], float, float]:
    """Where ``variables`` and the edges among them go, and the width and height that all this
    takes, in inches.

    Causes stand left of their effects, also where the path between the two runs through other
    variables.
    """
    inside = list(dict.fromkeys(variables))
    among = graph.latent_projection(inside)
    order = among.topological_order()
    before = by_name(among.parents, order)
    near = {v: (*among.parents(v), *among.children(v), *among.siblings(v)) for v in order}
    columns = arranged(columns_of(order, before, tallest=4), near)
    places, _, _ = stacked(
        columns, lambda v: (text_width(_short(v)) + 0.18, _HEIGHT), across=across, down=down
    )
    arcs = bent(places, graph.directed, graph.bidirected)
    points = []
    for place in places.values():
        points += [place.corner(-1), place.corner(1)]
    for arc in arcs:
        points += arc.points(places)
    across_all, down_all = zip(*points, strict=True)
    left, low = min(across_all), min(down_all)
    for place in places.values():
        place.x -= left
        place.y -= low
    return places, arcs, max(across_all) - left, max(down_all) - low


def draw_variables(
    ax: Axes,
    places: Mapping[str, Place],
    *,
    tinted: Iterable[str] = (),
    root: Iterable[str] = (),
    forest: Iterable[str] = (),
    fills: Mapping[str, tuple[str, str]] | None = None,
) -> None:
    """Names in rounded white plates; ``tinted`` in the colour of what is pulled, a hedge in that
    of confounders, others in the colours of ``fills``: names of a fill and of a border."""
    from matplotlib.patches import FancyBboxPatch

    looks = dict.fromkeys(forest, ("hedge fill", "confounder")) | dict.fromkeys(
        root, ("hedge", "confounder")
    )
    looks |= dict.fromkeys(tinted, ("pull fill", "pull"))
    looks |= fills or {}
    for name, place in places.items():
        fill, border = looks.get(name, ("plate", "edge"))
        ax.add_patch(
            FancyBboxPatch(
                (place.x - place.width / 2 + 0.06, place.y - place.height / 2 + 0.06),
                place.width - 0.12,
                place.height - 0.12,
                boxstyle="round,pad=0.06",
                facecolor=COLOURS[fill],
                edgecolor=COLOURS[border],
                linewidth=0.6,
                zorder=6,
            )
        )
        ax.text(
            place.x,
            place.y - 0.005,
            _short(name),
            ha="center",
            va="center",
            zorder=7,
            **plain(FONT),
        )


def draw_arcs(
    ax: Axes,
    arcs: Iterable[Arc],
    places: Mapping[str, Place],
    *,
    strong: Collection[str] | None = None,
) -> None:
    """Causes as arrows, confounders dashed with two heads; grey where an end is not among
    ``strong``."""
    for arc in arcs:
        looks: Json = {"colour": COLOURS["edge"], "style": "-|>", "zorder": 5}
        if arc.confounded:
            looks = {
                "colour": COLOURS["confounder"],
                "style": "<|-|>",
                "zorder": 4,
                "linestyle": (0, (3, 2)),
            }
        if strong is not None and not {arc.left, arc.right} <= set(strong):
            looks |= {"colour": COLOURS["outer edge"], "zorder": 3}
        arrow(ax, places[arc.left], places[arc.right], bend=arc.bend, **looks)


def arrow(
    ax: Axes,
    start: Place,
    end: Place,
    *,
    colour: str,
    bend: float = 0.0,
    style: str = "-|>",
    zorder: float = 5,
    linestyle: object = "solid",
    width: float = 0.8,
    head: float = 6.0,
) -> None:
    """An arrow between two places that begins and ends at their borders."""
    from matplotlib.patches import FancyArrowPatch, Rectangle

    borders = []
    for p in (start, end):
        borders.append(
            Rectangle(
                (p.x - p.width / 2, p.y - p.height / 2), p.width, p.height, transform=ax.transData
            )
        )
    ax.add_patch(
        FancyArrowPatch(
            (start.x, start.y),
            (end.x, end.y),
            patchA=borders[0],
            patchB=borders[1],
            arrowstyle=style,
            connectionstyle=f"arc3,rad={bend}",
            mutation_scale=head,
            shrinkA=1.0,
            shrinkB=1.0,
            color=colour,
            linewidth=width,
            linestyle=linestyle,
            zorder=zorder,
        )
    )


def _short(name: str) -> str:
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 8]}…{name[-7:]}"
