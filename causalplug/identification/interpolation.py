"""Values between those that an experiment set: taken as determined only where somebody asks for
it by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real

from causalplug.errors import QueryError
from causalplug.graphs.source import Source
from causalplug.identification.query import Event, Query
from causalplug.identification.query import World as Setting
from causalplug.selection import by_name, without
from causalplug.wording import listed

__all__ = ["Interpolated", "numbers_set", "with_interpolation"]

Interpolated = tuple[tuple[str, float], ...]
"""Variables and the values of them that lie between values that were set."""


def _between(values: Iterable[float], numbers: Sequence[float]) -> list[float]:
    """Those of ``values`` that lie between two of ``numbers``."""
    if not numbers:
        return []
    low, high = min(numbers), max(numbers)
    return [value for value in values if low < value < high]


def with_interpolation(
    sources: Sequence[Source], query: Query, names: Sequence[str]
) -> tuple[tuple[Source, ...], Interpolated]:
    """The sources as if they had set every value that ``query`` sets between their own.

    Args:
        sources: What was recorded and set.
        query: The question.
        names: Variables whose effects are taken to be smooth between the values that were set.

    Returns:
        The sources, and the values that were added.

    Raises:
        QueryError: No source sets one of ``names`` to certain numbers.
    """
    added: dict[tuple[str, float], None] = {}
    found = []
    for name in names:
        if not any(numbers_set(source, name) for source in sources):
            raise QueryError(
                f"interpolate={name!r} cannot be used: no source sets {name} to certain numbers. "
                f"The sources are {listed(source.describe() for source in sources)}."
            )
    for source in sources:
        values = by_name(source.values.get, source.do)
        for name in names:
            numbers = numbers_set(source, name)
            new = without(_between(_asked(query, name), numbers), numbers)
            if new:
                values[name] = (*numbers, *new)
                added |= dict.fromkeys((name, v) for v in new)
        found.append(Source(source.recorded, do=values, name=source.name))
    return tuple(found), tuple(added)


def numbers_set(source: Source, name: str) -> tuple[float, ...]:
    """The numbers that a source sets a variable to, none if it may set any or sets names."""
    values = source.values.get(name, ())
    if any(isinstance(v, bool) or not isinstance(v, Real) for v in values):
        return ()
    return values


def _asked(query: Query, name: str) -> list[float]:
    """The numbers at which the query needs the variable."""
    events = [event for _, term in query.terms for event in term.events]
    found: list[object] = [event.value for event in events if event.variable == name]
    for event in events:
        found += _set_to(event.do, name)
    numbers = [v for v in found if isinstance(v, Real) and not isinstance(v, bool)]
    return list(dict.fromkeys(numbers))  # type: ignore[arg-type]


def _set_to(setting: Setting, name: str) -> Iterable[object]:
    for variable, value in setting.items():
        if isinstance(value, Event):
            yield from _set_to(value.do, name)
        elif variable == name:
            yield value
