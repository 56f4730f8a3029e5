"""Pictures of the page: the graph with what is set, seen and asked for, and answers beside what is
usual."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalplug.demo.answer import Answer
from causalplug.demo.question import Question
from causalplug.plots.graph import draw_arcs, draw_variables, laid_out
from causalplug.plots.layout import Place
from causalplug.plots.style import COLOURS, COLUMN, SERIES, SMALL, canvas, panels, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image as Picture

    from causalplug.dcm import DCM

__all__ = ["GraphPicture", "answer_picture", "draw_graph", "picture_of"]

_DPI = 220
_MARGIN = 0.25
_INTERVAL = "#1A1A1A"


@dataclass(frozen=True)
class GraphPicture:
    """A picture of a graph, and where its variables are.

    Attributes:
        picture: The picture.
        boxes: The box of every variable in pixels: left, top, right, bottom.
    """

    picture: Picture
    boxes: dict[str, tuple[float, float, float, float]]

    def at(self, x: float, y: float) -> str | None:
        """The variable at a pixel, or None between the boxes."""
        for name, (left, top, right, bottom) in self.boxes.items():
            if left <= x <= right and top <= y <= bottom:
                return name
        return None


def draw_graph(dcm: DCM, question: Question) -> GraphPicture:
    """The graph with what is set in orange, what was seen in blue and what is asked for framed.

    Args:
        dcm: The model.
        question: What is set, seen and asked for.
    """
    places, arcs, width, height = laid_out(dcm.graph, dcm.graph.variables, across=0.6, down=0.42)
    width, height = width + 2 * _MARGIN, height + 2 * _MARGIN
    for place in places.values():
        place.x += _MARGIN
        place.y += _MARGIN
    figure, axes = canvas(width, height)
    draw_arcs(axes, arcs, places)
    fills = dict.fromkeys(question.seen, ("pull fill", "pull"))
    fills |= dict.fromkeys(question.do, ("train fill", "train"))
    draw_variables(axes, places, fills=fills)
    _frame(axes, places[question.outcome])
    for name, place in places.items():
        _label(axes, place, _state(question, name))
    boxes = {name: _box(place, height) for name, place in places.items()}
    return GraphPicture(picture_of(figure), boxes)


def _state(question: Question, name: str) -> str:
    """What stands below a variable."""
    parts = []
    if name in question.seen:
        parts.append(f"seen: {_written(question.seen[name])}")
    if name in question.do:
        parts.append(f"set: {_written(question.do[name])}")
    return ", ".join(parts)


def _written(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _label(axes: Axes, place: Place, text: str) -> None:
    if text:
        low = place.y - place.height / 2 - 0.02
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.85}
        axes.text(place.x, low, text, ha="center", va="top", zorder=8, bbox=box, **plain())


def _frame(axes: Axes, place: Place) -> None:
    """A thick border around what is asked for, on the border of its box, where arrows end."""
    from matplotlib.patches import FancyBboxPatch

    corner = (place.x - place.width / 2 + 0.06, place.y - place.height / 2 + 0.06)
    looks: dict[str, Any] = {"facecolor": "none", "edgecolor": COLOURS["text"], "linewidth": 1.5}
    shape = "round,pad=0.06"
    axes.add_patch(
        FancyBboxPatch(
            corner, place.width - 0.12, place.height - 0.12, boxstyle=shape, zorder=7, **looks
        )
    )


def _box(place: Place, height: float) -> tuple[float, float, float, float]:
    left, right = place.x - place.width / 2, place.x + place.width / 2
    top, bottom = height - place.y - place.height / 2, height - place.y + place.height / 2
    return left * _DPI, top * _DPI, right * _DPI, bottom * _DPI


def picture_of(figure: Figure) -> Picture:
    """A figure as a PIL picture."""
    from PIL import Image as PILImage

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    buffer.seek(0)
    return PILImage.open(buffer).convert("RGB")


def answer_picture(answer: Answer) -> Figure | None:
    """Bars with intervals for a distribution, points with intervals for a mean, and spans for
    bounds; None where there is nothing to draw."""
    table = answer.table
    if table.empty:
        return None
    rows = max(len(table), 1)
    figure, ((axes,),) = panels(1, 1, COLUMN * 1.4, 0.9 + 0.34 * rows)
    labels = [answer.question.outcome]
    if answer.question.outcome in table:
        labels = list(map(str, table[answer.question.outcome]))
    places = np.arange(rows)[::-1].astype(float)
    if answer.usual is not None:
        figure.set_figheight(figure.get_figheight() + 0.2)
    if answer.refused:
        _spans(axes, places, table)
    else:
        _bars(axes, places, table, answer, is_share=answer.question.outcome in table)
    axes.set_yticks(places, labels, **plain(SMALL + 1))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.7, rows - 0.3)
    axes.set_title(answer.query, loc="left", pad=4, **plain(SMALL + 1))
    if answer.usual is not None:
        looks: dict[str, object] = {"frameon": False, "fontsize": SMALL, "handlelength": 1.0}
        figure.legend(loc="outside lower center", ncols=2, **looks)
    return figure


def _bars(axes: Axes, places: np.ndarray, table: object, answer: Answer, *, is_share: bool) -> None:
    if is_share:
        _shares(axes, places, table, answer)
    else:
        _means(axes, places, table, answer)


def _shares(axes: Axes, places: np.ndarray, table: Any, answer: Answer) -> None:
    """Probabilities as bars from 0."""
    wide = 0.7
    at = places
    if answer.usual is not None:
        wide, at = 0.36, places + 0.19
        usual = answer.usual.table["estimate"]
        axes.barh(places - 0.19, usual, wide, color=SERIES["data"], label="as things are")
    axes.barh(at, table["estimate"], wide, color=SERIES["model"], label="asked for")
    _errors(axes, at, table)
    axes.set_xlim(left=0)
    axes.set_xlabel("probability", **plain())


def _means(axes: Axes, places: np.ndarray, table: Any, answer: Answer) -> None:
    """Means as points with their intervals."""
    at = places + (0.12 if answer.usual is not None else 0.0)
    axes.plot(table["estimate"], at, "o", color=SERIES["model"], ms=5, label="asked for")
    _errors(axes, at, table)
    if answer.usual is not None:
        usual = answer.usual.table
        axes.plot(
            usual["estimate"], places - 0.12, "o", color=SERIES["data"], ms=5, label="as things are"
        )
        _errors(axes, places - 0.12, usual)
    axes.margins(x=0.25)
    axes.set_xlabel("mean", **plain())


def _errors(axes: Axes, at: np.ndarray, table: Any) -> None:
    """Intervals, where the model knows them."""
    if not {"low", "high"} <= set(table):
        return
    known = table["low"].notna().to_numpy()
    low, high = table["low"].to_numpy()[known], table["high"].to_numpy()[known]
    axes.hlines(at[known], low, high, colors=_INTERVAL, linewidths=1.1, zorder=4)


def _spans(axes: Axes, places: np.ndarray, table: Any) -> None:
    """Bounds as spans without a point between, their intervals as thin lines."""
    low, high = table["lower_bound"].to_numpy(), table["upper_bound"].to_numpy()
    axes.barh(places, high - low, 0.4, left=low, color=SERIES["naive"])
    _errors(axes, places, table)
    axes.set_xlabel("bounds: every value between is possible", **plain())
