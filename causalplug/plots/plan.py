"""Pictures of plans: generations from top to bottom, modules as boxes, confounders dashed inside
them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from causalplug.plots.graph import arrow, draw_arcs, draw_variables, laid_out
from causalplug.plots.layout import Arc, Place, arranged, clear_bend, columns_of, stacked
from causalplug.plots.style import COLOURS, FAMILY, SMALL, canvas, text_width
from causalplug.selection import positions_of
from causalplug.values import Json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from causalplug.plots.shapes import ModuleShape, PlanShape

__all__ = ["plot_plan"]

_PAD = 0.11
_HEAD = 0.17
_MARGIN = 0.12
_LEGEND = 0.28
_GAP = 0.4
_ACROSS = 0.28
_WIDEST = 6.6
_MANY = 60


@dataclass
class _Box:
    """A module in the figure: where it stands, and where its variables stand."""

    module: ModuleShape
    title: str
    inner: dict[str, Place]
    arcs: list[Arc]
    place: Place

    @property
    def title_place(self) -> Place:
        """Where the title stands."""
        place = self.place
        wide = text_width(self.title, SMALL, "bold")
        left, top = place.x - place.width / 2, place.y + place.height / 2
        return Place(wide, 0.12, left + _PAD + wide / 2, top - 0.12)

    def move(self, x: float, y: float) -> None:
        """Put the lower left corner at (x, y)."""
        self.place.x, self.place.y = x + self.place.width / 2, y + self.place.height / 2
        for place in self.inner.values():
            place.x += x
            place.y += y


@dataclass
class _Row:
    """Boxes side by side, all of one generation."""

    boxes: list[_Box]
    generation: int
    middle: float = 0.0

    @property
    def width(self) -> float:
        return sum(box.place.width for box in self.boxes) + _ACROSS * (len(self.boxes) - 1)

    @property
    def height(self) -> float:
        return max(box.place.height for box in self.boxes)


def plot_plan(
    plan: PlanShape, *, causal: bool = True, legend: bool = True, ax: object = None
) -> Figure:
    """A figure of ``plan``: modules as boxes, in bands by generation, with bold arrows for what has
    to come first.

    Blue boxes are pulled, orange ones trained; in a trained box a blue variable is rendered by a
    frozen generator. Inside a box stand the module's variables with their edges, hidden confounders
    dashed. Thin grey arrows are causes between boxes.

    Args:
        plan: What to draw; readable to about 40 variables.
        causal: Draw the causal edges between boxes.
        legend: Say at the bottom what is what.
        ax: Matplotlib axes to draw into; by default a new figure of the size that is needed.
    """
    boxes = {}
    for number, module in enumerate(plan.modules, start=1):
        boxes[module.variables] = _box(plan, module, number)
    rows, label = [], 0.0
    if plan.edges:
        rows = _rows(plan, boxes)
    if rows:
        label = text_width("generation 1", SMALL) + 0.12
        wide, tall = (max(row.width for row in rows), sum(row.height for row in rows))
    else:
        wide, tall = _flow(plan, boxes)
    width = max(wide + label + 2 * _MARGIN, _legend_width(plan) if legend else 0.0)
    foot = _MARGIN + (_LEGEND if legend else 0.0)
    height = tall + _GAP * max(len(rows) - 1, 0) + _MARGIN + foot
    if rows:
        _settle(plan, rows, boxes, left=label, right=width, top=height - _MARGIN)
    else:
        _shift(boxes.values(), (width - wide) / 2, foot)
    figure, axes = canvas(width, height, ax)
    if rows:
        _bands(axes, rows, width)
    for box in boxes.values():
        _draw_box(axes, box)
    if causal:
        _draw_causes(axes, plan, boxes.values(), width)
    for earlier, later in plan.edges:
        _draw_order(axes, boxes[earlier], boxes[later], rows)
    if legend:
        _legend(axes, plan, width)
    return figure


def _shift(boxes: Iterable[_Box], right: float, up: float) -> None:
    for box in boxes:
        left, bottom = box.place.corner(-1)
        box.move(left + right, bottom + up)


def _box(plan: PlanShape, module: ModuleShape, number: int) -> _Box:
    inner, arcs, width, height = laid_out(plan.graph, module.variables)
    title = f"{number}  {module.label}"
    wide = max(width, text_width(title, SMALL, "bold"))
    for place in inner.values():
        place.x += (wide - width) / 2 + _PAD
        place.y += _PAD
    return _Box(module, title, inner, arcs, Place(wide + 2 * _PAD, height + 2 * _PAD + _HEAD))


def _flow(plan: PlanShape, boxes: dict[tuple[str, ...], _Box]) -> tuple[float, float]:
    """Place boxes that wait for nothing, causes left of effects as far as possible; returns
    width and height."""
    rank = positions_of(plan.graph.topological_order())
    ordered = sorted(boxes, key=lambda module: min(rank[name] for name in module))
    position = positions_of(ordered)
    owner: dict[str, tuple[str, ...]] = {}
    for module in boxes:
        owner |= dict.fromkeys(module, module)
    near: dict[tuple[str, ...], set[tuple[str, ...]]] = {module: set() for module in boxes}
    before: dict[tuple[str, ...], set[tuple[str, ...]]] = {module: set() for module in boxes}
    for cause, effect in plan.graph.directed:
        a, b = owner[cause], owner[effect]
        if a != b:
            near[a].add(b)
            near[b].add(a)
            if position[a] < position[b]:
                before[b].add(a)
    columns = arranged(columns_of(ordered, before, tallest=5), near)
    places, width, height = stacked(
        columns,
        lambda module: (boxes[module].place.width, boxes[module].place.height),
        across=0.4,
        down=0.2,
    )
    for module, box in boxes.items():
        box.place = places[module]
    return width, height


def _rows(plan: PlanShape, boxes: dict[tuple[str, ...], _Box]) -> list[_Row]:
    """Each generation in as few rows as fit; the boxes that others wait for in its last row,
    next to these."""
    waited_for = {before for before, _ in plan.edges}
    rows: list[_Row] = []
    for number, generation in enumerate(plan.generations):
        row = _Row([], number)
        for module in sorted(generation, key=lambda module: module.variables in waited_for):
            box = boxes[module.variables]
            if row.boxes and row.width + _ACROSS + box.place.width > _WIDEST:
                rows.append(row)
                row = _Row([], number)
            row.boxes.append(box)
        rows.append(row)
    return rows


def _neighbours(
    plan: PlanShape, boxes: Mapping[tuple[str, ...], _Box]
) -> dict[int, list[tuple[_Box, float]]]:
    """The boxes that each box is tied to, by its ``id``, and how strongly."""
    owner: dict[str, _Box] = {}
    for box in boxes.values():
        owner |= dict.fromkeys(box.inner, box)
    ties = [(owner[a], owner[b], 1.0) for a, b in plan.graph.directed]
    ties += [(boxes[a], boxes[b], 3.0) for a, b in plan.edges]
    near: dict[int, list[tuple[_Box, float]]] = {id(box): [] for box in boxes.values()}
    for a, b, weight in ties:
        if a is not b:
            near[id(a)].append((b, weight))
            near[id(b)].append((a, weight))
    return near


def _settle(
    plan: PlanShape,
    rows: Sequence[_Row],
    boxes: dict[tuple[str, ...], _Box],
    *,
    left: float,
    right: float,
    top: float,
) -> None:
    """Order every row by what its boxes are tied to in the other rows, and give everything its
    final place."""
    near = _neighbours(plan, boxes)
    rank = positions_of(plan.graph.topological_order())
    for row in rows:
        row.boxes.sort(key=lambda box: min(rank[name] for name in box.inner))
        _spread(row, left, right)
    for sweep in range(8):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            pull = {id(box): _mean(near[id(box)], box.place.x) for box in row.boxes}
            row.boxes.sort(key=lambda box: pull[id(box)])
            _spread(row, left, right)
    for row in rows:
        row.middle = top - row.height / 2
        x = row.boxes[0].place.x - row.boxes[0].place.width / 2
        for box in row.boxes:
            box.move(x, row.middle - box.place.height / 2)
            x += box.place.width + _ACROSS
        top -= row.height + _GAP


def _spread(row: _Row, left: float, right: float) -> None:
    x = left + (right - left - row.width) / 2
    for box in row.boxes:
        box.place.x = x + box.place.width / 2
        x += box.place.width + _ACROSS


def _mean(near: list[tuple[_Box, float]], default: float) -> float:
    total = sum(weight for _, weight in near)
    if total:
        return sum(box.place.x * weight for box, weight in near) / total
    return default


def _bands(ax: Axes, rows: Sequence[_Row], width: float) -> None:
    from matplotlib.patches import Rectangle

    for number in range(rows[-1].generation + 1):
        mine = [row for row in rows if row.generation == number]
        top = mine[0].middle + mine[0].height / 2 + _MARGIN * 0.7
        low = mine[-1].middle - mine[-1].height / 2 - _MARGIN * 0.7
        ax.add_patch(
            Rectangle((0, low), width, top - low, facecolor=COLOURS["band"], linewidth=0, zorder=0)
        )
        style: Json = {"fontsize": SMALL, "color": COLOURS["quiet"], "family": FAMILY}
        ax.text(0.06, top - 0.09, f"generation {number + 1}", va="center", zorder=1, **style)


def _draw_box(ax: Axes, box: _Box) -> None:
    from matplotlib.patches import FancyBboxPatch
    from matplotlib.patheffects import withStroke

    place, kind = box.place, box.module.action
    left, low = place.x - place.width / 2, place.y - place.height / 2
    ax.add_patch(
        FancyBboxPatch(
            (left + 0.05, low + 0.05),
            place.width - 0.1,
            place.height - 0.1,
            boxstyle="round,pad=0.05",
            facecolor=COLOURS[f"{kind} fill"],
            edgecolor=COLOURS[kind],
            linewidth=1.1,
            zorder=2,
        )
    )
    halo = [
        withStroke(linewidth=2.5, foreground=COLOURS[f"{kind} fill"])
    ]  # an arrow below it leaves it legible
    style: Json = {
        "fontsize": SMALL,
        "color": COLOURS[kind],
        "weight": "bold",
        "family": FAMILY,
    }
    style["path_effects"] = halo
    ax.text(left + _PAD, low + place.height - 0.12, box.title, va="center", zorder=7, **style)
    draw_arcs(ax, box.arcs, box.inner)
    draw_variables(ax, box.inner, tinted=box.module.renderers)


def _draw_causes(ax: Axes, plan: PlanShape, boxes: Collection[_Box], across: float) -> None:
    """Thin arrows between boxes that run around names and titles where they can."""
    places = {}
    for box in boxes:
        for name, place in box.inner.items():
            places[name] = place
    owner = {name: box for box in boxes for name in box.inner}
    titles = [box.title_place for box in boxes]
    outer = [(a, b) for a, b in plan.graph.directed if owner[a] is not owner[b]]
    width = 0.4
    if len(outer) <= _MANY:
        width = 0.6
    looks: Json = {
        "colour": COLOURS["outer edge"],
        "width": width,
        "head": 5.0,
        "zorder": 3,
    }
    for a, b in outer:
        arrow(ax, places[a], places[b], bend=clear_bend(places, a, b, titles, across), **looks)


def _draw_order(ax: Axes, earlier: _Box, later: _Box, rows: Sequence[_Row]) -> None:
    """A bold arrow from the bottom of one box to the top of the other, through the gaps of the
    rows between them."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    start, end = earlier.place, later.place
    x, y = _inside(start, end.x), start.y - start.height / 2
    target = _inside(end, x)
    points = [(x, y)]
    for row in rows:
        if end.y < row.middle < start.y and earlier not in row.boxes and later not in row.boxes:
            straight = x + (target - x) * (points[-1][1] - row.middle) / (points[-1][1] - end.y)
            x = _opening(row, straight)
            half = row.height / 2 + 0.06
            points += [(x, row.middle + half), (x, row.middle - half)]
    points.append((target if len(points) == 1 else _inside(end, x), end.y + end.height / 2 + 0.015))
    ax.add_patch(
        FancyArrowPatch(
            path=Path(points),
            arrowstyle="-|>",
            mutation_scale=10,
            linewidth=2.0,
            color=COLOURS["order"],
            joinstyle="round",
            zorder=4,
        )
    )


def _inside(place: Place, x: float) -> float:
    """The point of a box's side that is nearest to ``x``, away from its corners."""
    reach = max(place.width / 2 - 0.15, 0.0)
    return min(max(x, place.x - reach), place.x + reach)


def _opening(row: _Row, x: float) -> float:
    """The place nearest to ``x`` where an arrow may pass a row: between its boxes or beside
    them."""
    edges = []
    for box in row.boxes:
        edges.append(
            (box.place.x - box.place.width / 2 - 0.1, box.place.x + box.place.width / 2 + 0.1)
        )
    if not any(left < x < right for left, right in edges):
        return x
    between = [(right + left) / 2 for (_, right), (left, _) in pairwise(edges)]
    return min([edges[0][0], *between, edges[-1][1]], key=lambda opening: abs(opening - x))


def _entries(plan: PlanShape) -> list[tuple[str, Json]]:
    """What the legend says, and the line or patch beside it."""
    kinds = {module.action for module in plan.modules}
    words = {"pull": "pulled" if plan.asked else "could be pulled", "train": "trained"}
    found: list[tuple[str, Json]] = []
    for kind in ("pull", "train"):
        if kind in kinds:
            found.append(
                (words[kind], {"facecolor": COLOURS[f"{kind} fill"], "edgecolor": COLOURS[kind]})
            )
    if plan.graph.bidirected:
        found.append(
            ("confounder", {"color": COLOURS["confounder"], "linestyle": (0, (3, 2)), "lw": 0.9})
        )
    if plan.edges:
        found.append(("has to come first", {"color": COLOURS["order"], "lw": 2.0}))
    return found


def _legend_width(plan: PlanShape) -> float:
    return sum(text_width(words, SMALL) + 0.36 for words, _ in _entries(plan)) + 2 * _MARGIN


def _legend(ax: Axes, plan: PlanShape, width: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries = _entries(plan)
    handles: list[object] = []
    for words, looks in entries:
        handles.append(
            Patch(label=words, **looks)
            if "facecolor" in looks
            else Line2D([], [], label=words, **looks)
        )
    legend = ax.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(width / 2, 0),
        bbox_transform=ax.transData,
        ncols=len(handles),
        frameon=False,
        prop={"size": SMALL, "family": FAMILY},
        handlelength=1.6,
        columnspacing=1.2,
        borderaxespad=0.3,
    )
    legend.set_zorder(8)
