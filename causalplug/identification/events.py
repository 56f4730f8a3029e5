"""Worlds and events: what a causal question speaks of.

A *world* is what is set by do(): ``{}`` is the world as it is, ``{"X": 1}`` the one in which X is
set to 1. An *event* is a variable in a world, with a value or with every value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from causalplug.errors import QueryError
from causalplug.graphs.text import quoted
from causalplug.identification.regions import Region
from causalplug.values import Named

__all__ = ["Bound", "Event", "World", "resolve_bound"]

Value = Hashable


@dataclass(frozen=True)
class Bound:
    """``$name``: a value that one event takes and a subscript reads, as in ``P(Y_{M=$m},
    M_{X=0}=$m)``."""

    name: str

    def __str__(self) -> str:
        return f"${self.name}"


class World(Named):
    """What is set by do(), as a hashable mapping from names to values.

    A value is a category (any hashable), ``None`` (or ``"*"``) for every value, an :class:`Event`
    for what another world makes of that variable, or a :class:`Bound` value. In one query a
    variable set to ``None`` has the same value wherever it is so set.
    """

    __slots__ = ("_set",)

    def __init__(self, assignment: Named | Iterable[str] | str = ()):
        if isinstance(assignment, str):
            assignment = (assignment,)
        if not isinstance(assignment, Mapping):
            assignment = dict.fromkeys(assignment)
        for name, value in assignment.items():
            if isinstance(value, Region):
                raise QueryError(
                    f"{name} cannot be set to {value.written(name)}: do() sets one value; ask for "
                    "each value, or draw it with DCM.sample(do=…)"
                )
            if isinstance(value, Event) and value.variable != name:
                raise QueryError(
                    f"{name} cannot be set to {value}: only {name} in another world can stand "
                    f"there; write {name}_{{...}} in the subscript"
                )
        self._set = {name: _plain(assignment[name]) for name in sorted(assignment)}

    def __getitem__(self, name: str) -> object:
        return self._set[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._set)

    def __len__(self) -> int:
        return len(self._set)

    def __hash__(self) -> int:
        return hash(tuple(self._set.items()))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Mapping):
            return self._set == dict(other)
        return NotImplemented

    def __str__(self) -> str:
        items = []
        for name, v in self._set.items():
            items.append(str(v) if isinstance(v, Event) else _assigned(name, v))
        return ", ".join(items)

    def __repr__(self) -> str:
        return f"World({self._set!r})"


@dataclass(frozen=True)
class Event:
    """``variable`` in the world ``do`` has ``value``; ``None`` (or ``"*"``) stands for every value.

    Args:
        variable: Its name.
        value: A category, ``None``, or a :class:`Bound` value that a subscript reads.
        do: What is set in the event's world, see :class:`World`.
    """

    variable: str
    value: Value | None = None
    do: World = field(default_factory=World)

    def __post_init__(self) -> None:
        if not isinstance(self.variable, str) or not self.variable:
            raise QueryError(
                f"{self.variable!r} cannot be an event's variable; variables are named by strings"
            )
        if not isinstance(self.do, World):
            object.__setattr__(self, "do", World(self.do))
        object.__setattr__(self, "value", _plain(self.value))
        if isinstance(self.value, Event):
            raise QueryError(
                f"{self.variable} cannot be compared with {self.value}; give both events the same "
                "$value"
            )
        try:
            hash((self.value, self.do))
        except TypeError:
            raise QueryError(
                f"the event of {self.variable!r} cannot be used: {self.value!r} or a value in its "
                f"world {self.do!r} cannot be hashed; values are categories such as 1 or 'red'"
            ) from None

    def __str__(self) -> str:
        subscript = ""
        if self.do:
            subscript = f"_{{{self.do}}}"
        name = quoted(self.variable) + subscript
        if isinstance(self.value, Region):
            return self.value.written(name)
        return name + ("" if self.value is None else "=" + _written(self.value))


def resolve_bound(
    outcomes: tuple[Event, ...], evidence: tuple[Event, ...]
) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """Replace ``$m`` by what it means.

    An outcome M = $m that another outcome's subscript reads is summed over: the subscript becomes M
    in that world, and the event goes. A bound value that is nowhere read stands for every value.
    What is left is tied to evidence.
    """
    binders = _binders(outcomes + evidence)
    while read := _read(outcomes):
        # A subscript may only be replaced by an event that reads no other summed value itself.
        settled = []
        for e in read:
            if not any(_mentions(e, other.value) for other in read):
                settled.append(e)
        if not settled:
            break
        summed = settled[0]
        nested = Event(summed.variable, None, summed.do)
        outcomes = tuple(_substitute(e, summed.value, nested) for e in outcomes if e != summed)
        evidence = tuple(_substitute(e, summed.value, nested) for e in evidence)
    if read:
        raise QueryError(
            f"{', '.join(map(str, read))} read each other's values in a circle; break it"
        )
    every = set(binders) - _reads(outcomes + evidence)
    return _for_every_value(outcomes, every), _for_every_value(evidence, every)


def _for_every_value(events: tuple[Event, ...], bounds: set[Bound]) -> tuple[Event, ...]:
    """The events without the bound values that stand for every value."""
    found = []
    for event in events:
        if isinstance(event.value, Bound) and event.value in bounds:
            found.append(Event(event.variable, None, event.do))
        else:
            found.append(event)
    return tuple(found)


def _read(events: tuple[Event, ...]) -> list[Event]:
    """The events whose bound value a subscript reads."""
    reads = _reads(events)
    return [e for e in events if isinstance(e.value, Bound) and e.value in reads]


def _binders(events: tuple[Event, ...]) -> dict[Bound, Event]:
    binders: dict[Bound, Event] = {}
    for event in events:
        if isinstance(event.value, Bound):
            other = binders.setdefault(event.value, event)
            if other != event:
                raise QueryError(
                    f"{event.value} is the value of both {other} and {event}; one event may bind it"
                )
    for event in events:
        for name, bound in _bound_uses(event):
            binder = binders.get(bound)
            if binder is None:
                raise QueryError(
                    f"{bound} in {event} has no value: add the event {name}={bound} that it stands "
                    "for"
                )
            if binder.variable != name:
                raise QueryError(
                    f"{name} cannot be set to {bound}: that is a value of {binder.variable}"
                )
    return binders


def _bound_uses(event: Event) -> Iterator[tuple[str, Bound]]:
    for name, value in event.do.items():
        if isinstance(value, Bound):
            yield name, value
        elif isinstance(value, Event):
            yield from _bound_uses(value)


def _reads(events: Iterable[Event]) -> set[Bound]:
    found = set()
    for event in events:
        for _, bound in _bound_uses(event):
            found.add(bound)
    return found


def _mentions(event: Event, bound: object) -> bool:
    return any(used == bound for _, used in _bound_uses(event))


def _substitute(event: Event, bound: object, by: Event) -> Event:
    return _map_do(event, lambda value: by if value == bound else value)


def _map_do(event: Event, change: Callable[[Any], Any]) -> Event:
    do = {}
    for n, v in event.do.items():
        do[n] = _map_do(v, change) if isinstance(v, Event) else change(v)
    return Event(event.variable, event.value, World(do))


def _plain(value: object) -> object:
    """``value`` with ``"*"`` as None and a numpy scalar as the number that it is."""
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise QueryError(f"{value} is no value that a variable can have: give a finite number")
    if isinstance(value, str) and value == "*":
        return None
    return value


def _written(value: object) -> str:
    """A value as the parser reads it back: numbers and simple words bare, everything else
    quoted."""
    if isinstance(value, Bound | int | float):
        return str(value)
    text = str(value)
    if text.isidentifier() and text != "vs":
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _assigned(name: str, value: object) -> str:
    return quoted(name) + ("" if value is None else "=" + _written(value))
