"""Where things go: columns along the causal order, neighbours close, arcs around what lies
between their ends."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from causalplug.selection import without

__all__ = ["Arc", "Place", "arranged", "bent", "clear_bend", "columns_of", "stacked"]

Key = TypeVar("Key", bound=Hashable)

_Points = list[tuple[float, float]]
_FINE = 0.05


@dataclass
class Place:
    """A rectangle by its centre, in inches; y points upwards."""

    width: float
    height: float
    x: float = 0.0
    y: float = 0.0

    def corner(self, sign: int) -> tuple[float, float]:
        """The corner at the bottom left (-1) or at the top right (1)."""
        return self.x + sign * self.width / 2, self.y + sign * self.height / 2

    def covers(self, x: float, y: float, margin: float = 0.03) -> bool:
        """Whether the point lies in the rectangle or within ``margin`` of it."""
        return (
            abs(x - self.x) < self.width / 2 + margin and abs(y - self.y) < self.height / 2 + margin
        )


@dataclass(frozen=True)
class Arc:
    """An edge between two named places, bent by ``bend`` times its length (positive: to the
    right of its direction)."""

    left: str
    right: str
    bend: float
    confounded: bool

    def points(self, places: Mapping[str, Place], steps: int = 24) -> Iterator[tuple[float, float]]:
        """Points on the curve that matplotlib's ``arc3`` draws, ends excluded."""
        a, b = places[self.left], places[self.right]
        dx, dy = b.x - a.x, b.y - a.y
        cx, cy = (a.x + b.x) / 2 + self.bend * dy, (a.y + b.y) / 2 - self.bend * dx
        for step in range(1, steps):
            t = step / steps
            yield (
                (1 - t) ** 2 * a.x + 2 * t * (1 - t) * cx + t**2 * b.x,
                (1 - t) ** 2 * a.y + 2 * t * (1 - t) * cy + t**2 * b.y,
            )


def columns_of(
    keys: Sequence[Key], before: Mapping[Key, Iterable[Key]], *, tallest: int
) -> list[list[Key]]:
    """``keys`` in columns such that everything in ``before`` is further left, none taller than
    ``tallest``.

    Args:
        keys: In an order in which everything comes after what is in ``before``.
        before: What has to be further left.
        tallest: A higher column is split.
    """
    depth: dict[Key, int] = {}
    for key in keys:
        depth[key] = 1 + max((depth[other] for other in before.get(key, ())), default=-1)
    columns: list[list[Key]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    for key in keys:
        columns[depth[key]].append(key)
    split = []
    for column in columns:
        parts = -(-len(column) // tallest)
        size = -(-len(column) // max(parts, 1))
        split += [column[i : i + size] for i in range(0, len(column), size)]
    return split


def arranged(
    columns: list[list[Key]], neighbours: Mapping[Key, Iterable[Key]], *, sweeps: int = 8
) -> list[list[Key]]:
    """The columns, each ordered by the mean height of its neighbours (Sugiyama, Tagawa & Toda
    1981)."""
    columns = list(map(list, columns))
    height: dict[Key, float] = {}

    def note(column: list[Key]) -> None:
        height.update({key: (row + 0.5) / len(column) for row, key in enumerate(column)})

    for column in columns:
        note(column)
    for sweep in range(sweeps):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = {}
            for key in column:
                near = []
                for other in neighbours.get(key, ()):
                    if other in height:
                        near.append(height[other])
                if near:
                    wanted[key] = sum(near) / len(near)
                else:
                    wanted[key] = height[key]
            column.sort(key=lambda key: wanted[key])
            note(column)
    return columns


def stacked(
    columns: Sequence[Sequence[Key]],
    size: Callable[[Key], tuple[float, float]],
    *,
    across: float,
    down: float,
) -> tuple[dict[Key, Place], float, float]:
    """Places of all keys, columns from left to right and centred, and the width and height that
    they take.

    Args:
        columns: Keys from left to right, each column from top to bottom.
        size: Width and height of a key.
        across: Gap between columns.
        down: Gap inside a column.
    """
    places: dict[Key, Place] = {}
    heights = [sum(size(key)[1] for key in column) + down * (len(column) - 1) for column in columns]
    tall = max(heights, default=0.0)
    left = 0.0
    for column, height in zip(columns, heights, strict=True):
        wide = max(size(key)[0] for key in column)
        top = (tall + height) / 2
        for key in column:
            width, own = size(key)
            places[key] = Place(width, own, left + wide / 2, top - own / 2)
            top -= own + down
        left += wide + across
    return places, max(left - across, 0.0), tall


def _cheapest(arcs: Sequence[Arc], places: Mapping[str, Place], near: Sequence[_Points]) -> Arc:
    """The first arc if it is fine, else the one that crosses and covers least."""
    first = _cost(arcs[0], places, near)
    if first <= _FINE:
        return arcs[0]
    costs = [first, *(_cost(arc, places, near) for arc in arcs[1:])]
    return arcs[costs.index(min(costs))]


def bent(
    places: Mapping[str, Place],
    directed: Iterable[tuple[str, str]],
    bidirected: Iterable[tuple[str, str]],
) -> list[Arc]:
    """The edges as arcs: causes straight where nothing is in the way, confounders bent, none on
    top of another."""
    arcs: list[Arc] = []
    drawn: dict[str, list[_Points]] = {name: [] for name in places}
    straight = (0.0, *_bends(0.1, 0.2, 0.35, 0.5, 0.7, 0.95, 1.25))
    curved = tuple(-bend for bend in _bends(0.3, 0.2, 0.45, 0.6, 0.85, 1.1, 1.4))
    for (left, right), confounded in [
        *((e, False) for e in directed),
        *((e, True) for e in bidirected),
    ]:
        if left not in places or right not in places:
            continue
        a, b = places[left], places[right]
        upright = abs(a.x - b.x) < (a.width + b.width) / 4
        if confounded:
            choices: tuple[float, ...] = _bends(0.9, 0.6, 1.3, 1.8) if upright else curved
        else:
            choices = straight
        arcs_tried = [Arc(left, right, bend, confounded) for bend in choices]
        best = _cheapest(arcs_tried, places, drawn[left] + drawn[right])
        arcs.append(best)
        points = list(best.points(places))
        drawn[left].append(points)
        drawn[right].append(points)
    return arcs


def _bends(*sizes: float) -> tuple[float, ...]:
    """Every bend to either side."""
    return tuple(sign * size for size in sizes for sign in (1, -1))


def clear_bend(
    places: Mapping[str, Place], left: str, right: str, avoided: Iterable[Place], width: float
) -> float:
    """The slightest bend with which an arrow runs over none of the other ``places`` and of
    ``avoided``, or over few.

    Running over an ``avoided`` rectangle, a title say, costs less than running over a place. The
    arrow stays between 0 and ``width``.
    """
    ends = (places[left], places[right])
    low, high = min(p.y for p in ends) - 0.5, max(p.y for p in ends) + 0.5
    others = _between(without(places.values(), ends), low, high)
    titles = _between(avoided, low, high)
    best, cheapest = 0.0, float("inf")
    for bend in _BENDS:
        points = list(Arc(left, right, bend, False).points(places, steps=32))
        outside = any(not 0 < x < width for x, _ in points)
        over, over_titles = _covering(others, points), _covering(titles, points, 0.0)
        cost = 10.0 * (over + outside) + 2.0 * over_titles + 4.0 * abs(bend)
        if cost < cheapest:
            best, cheapest = bend, cost
        if not over and not over_titles and not outside:
            break
    return best


def _between(places: Iterable[Place], low: float, high: float) -> list[Place]:
    return [place for place in places if low < place.y < high]


_BENDS = (0.06, -0.06, 0.14, -0.14, 0.22, -0.22, 0.32, -0.32, 0.44, -0.44, 0.6, -0.6)


def _covering(
    places: Iterable[Place], points: Sequence[tuple[float, float]], *margin: float
) -> int:
    """How many of the places cover one of the points."""
    return sum(any(place.covers(x, y, *margin) for x, y in points) for place in places)


def _cost(arc: Arc, places: Mapping[str, Place], drawn: Sequence[_Points]) -> float:
    """How bad an arc looks: variables that it runs over, arcs at its ends that it meets, how far
    it swings out."""
    points = list(arc.points(places, steps=48))
    others = [place for name, place in places.items() if name not in (arc.left, arc.right)]
    over = sum(any(place.covers(x, y, 0.0) for x, y in points) for place in others)
    close = sum(any(place.covers(x, y) for x, y in points) for place in others)
    middle = points[8:-8:2]
    met = sum(
        any(abs(x - u) + abs(y - v) < 0.05 for u, v in theirs)
        for theirs in drawn
        for x, y in middle
    )
    a, b = places[arc.left], places[arc.right]
    swing = abs(arc.bend) * (abs(a.x - b.x) + abs(a.y - b.y))
    return 100.0 * over + 10.0 * close + 6.0 * met / len(points) + 0.6 * swing
