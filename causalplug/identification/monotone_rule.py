"""Monotone effects: which events of two worlds imply each other."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from causalplug.graphs.graph import CausalGraph
from causalplug.identification.assumptions import Assume
from causalplug.identification.events import Bound, Event, World
from causalplug.identification.query import Query, Term
from causalplug.identification.regions import Region
from causalplug.selection import all_of_kind, within, without

__all__ = ["SIGNS", "MonotoneRule", "Pair", "Split", "is_plain"]

SIGNS = {"monotone": 1, "antitone": -1}
"""The direction of each kind of assumption."""

_DEPTH = 3  # pairs of events of one term


def is_plain(event: Event) -> bool:
    """Whether an event has one value."""
    return event.value is not None and not isinstance(event.value, Bound | Region)


@dataclass(frozen=True)
class Split:
    """An event of several worlds as a sum of others with signs; none for what cannot happen.

    Attributes:
        parts: Signs and events.
        rests_on: What was assumed.
        never: An event whose probability, times 0, stands for what cannot happen.
    """

    parts: tuple[tuple[int, tuple[Event, ...]], ...]
    rests_on: tuple[str, ...] = ()
    never: tuple[Event, ...] = ()

    def probability(self) -> Query:
        """The sum of the parts' probabilities."""
        if not self.parts:
            return Query.joined("*", 0.0, Query.contrast([(1.0, Term(self.never))]))
        return Query.contrast([(float(sign), Term(events)) for sign, events in self.parts])

    def mean(self, outcomes: tuple[Event, ...]) -> Query:
        """The mean of an outcome times the indicator of the event."""
        if not self.parts:
            return self.probability()
        products = []
        for sign, events in self.parts:
            inside = Query.contrast([(1.0, Term(outcomes, events, True))])
            share = Query.contrast([(1.0, Term(events))])
            products.append((sign, inside * share))
        (_, total), *others = products
        for sign, product in others:
            total = Query.joined("+" if sign > 0 else "-", total, product)
        return total


@dataclass(frozen=True)
class Pair:
    """Two events on one variable, the second in the world where it cannot be lower.

    Attributes:
        low, high: The events as they were asked for.
        values: Whether each is at the higher of the two values.
        rests_on: What was assumed.
    """

    low: Event
    high: Event
    values: tuple[bool, bool]
    rests_on: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class MonotoneRule:
    """What is declared of a graph.

    Attributes:
        graph: The graph.
        signs: The assumptions by cause and effect.
        domains: All values of some variables.
    """

    graph: CausalGraph
    signs: Mapping[tuple[str, str], Assume]
    domains: Mapping[str, tuple[Hashable, ...]]

    def splits(self, events: tuple[Event, ...], depth: int = _DEPTH) -> Iterator[Split]:
        """The ways to write the event that all of ``events`` hold in fewer worlds."""
        pair = next(self.pairs(events), None)
        if pair is None or not depth:
            return
        for first in self._ways(events, pair):
            yield first
            for place, (sign, part) in enumerate(first.parts):
                others = first.parts[:place] + first.parts[place + 1 :]
                for deeper in self.splits(part, depth - 1):
                    more = tuple((sign * s, e) for s, e in deeper.parts)
                    both = tuple(dict.fromkeys(first.rests_on + deeper.rests_on))
                    yield Split(others + more, both, first.never or deeper.never)

    def _ways(self, events: tuple[Event, ...], pair: Pair) -> Iterator[Split]:
        rest = tuple(without(events, (pair.low, pair.high)))
        low, high = pair.low, pair.high
        if pair.values == (True, True):
            yield Split(((1, (*rest, low)),), pair.rests_on)
        elif pair.values == (False, False):
            yield Split(((1, (*rest, high)),), pair.rests_on)
        elif pair.values == (True, False):
            yield Split((), pair.rests_on, (Event(low.variable, low.value),))
        else:
            up = replace(low, value=high.value)
            down = replace(high, value=low.value)
            yield Split(((1, (*rest, high)), (-1, (*rest, up))), pair.rests_on)
            yield Split(((1, (*rest, low)), (-1, (*rest, down))), pair.rests_on)

    def pairs(self, events: tuple[Event, ...]) -> Iterator[Pair]:
        """Events on one variable in two worlds, of which one cannot be the higher."""
        for first in events:
            for second in events:
                if first.variable == second.variable and first != second:
                    pair = self._pair(first, second, events)
                    if pair is not None:
                        yield pair

    def _pair(self, low: Event, high: Event, events: tuple[Event, ...]) -> Pair | None:
        """The two events as a pair, if the world of the second is the one with higher values."""
        for below in self._worlds(low, events):
            for above in self._worlds(high, events):
                moved = self._moved(low.variable, below, above)
                ranks = self._ranks(low.variable, (low.value, high.value))
                if moved is not None and ranks is not None:
                    told = moved + ranks[2]
                    return Pair(low, high, (ranks[0], ranks[1]), told)
        return None

    def _worlds(self, event: Event, events: tuple[Event, ...]) -> Iterator[World]:
        """Worlds in which the event is the same: its own, and the one in which a cause is set to
        the value that it has (consistency)."""
        yield event.do
        for other in events:
            cause = other.variable not in event.do and other.variable != event.variable
            if other.do == event.do and cause and is_plain(other):
                yield World({**event.do, other.variable: other.value})

    def _moved(self, name: str, below: World, above: World) -> tuple[str, ...] | None:
        """What has to be assumed for a variable never to be lower in the second world; None if it
        is not, or the worlds differ in more than one value."""
        if set(below) != set(above):
            return None
        differ = [cause for cause in below if below[cause] != above[cause]]
        if len(differ) != 1:
            return None
        (cause,) = differ
        step = self._step(cause, below[cause], above[cause])
        used = self._sign(cause, name, set(below) - {cause})
        if step is None or used is None or step * used[0] < 0:
            return None
        return tuple(map(str, used[1]))

    def _step(self, cause: str, first: object, second: Any) -> int | None:
        """1 if the second value is the higher one, -1 if the first is; None if that is unknown."""
        known = self.domains.get(cause)
        if known is not None and first in known and second in known:
            return 1 if known.index(second) > known.index(first) else -1
        if _are_numbers((first, second)):
            return 1 if second > first else -1
        return None

    def _sign(self, cause: str, name: str, held: set[str]) -> tuple[int, list[Assume]] | None:
        """The common sign of all directed paths, and the assumptions along them."""
        inside = self.graph.do(sorted(held | {cause}))
        between = (set(inside.descendants([cause])) | {cause}) & set(inside.ancestors([name]))
        if name not in between or name == cause:
            return None
        found = {cause: 1}
        used: list[Assume] = []
        for effect in inside.topological_order():
            if effect in between and effect != cause:
                parents = within(inside.parents(effect), between)
                sign = self._joined(found, parents, effect)
                if sign is None:
                    return None
                found[effect] = sign
                used += [self.signs[parent, effect] for parent in parents]
        return found[name], used

    def _joined(self, found: Mapping[str, int], parents: Sequence[str], effect: str) -> int | None:
        """The sign of a variable whose causes have signs, None where they do not agree."""
        if not all((parent, effect) in self.signs for parent in parents):
            return None
        signs = {found[p] * SIGNS[self.signs[p, effect].kind] for p in parents}
        if len(signs) == 1:
            return signs.pop()
        return None

    def _ranks(
        self, name: str, values: tuple[object, object]
    ) -> tuple[bool, bool, tuple[str, ...]] | None:
        """Whether each value is the higher of the two that the variable has; None where it may
        have more, or their order is unknown."""
        known = self.domains.get(name)
        if known is not None:
            if len(known) == 2 and set(values) <= set(known):
                return values[0] == known[1], values[1] == known[1], ()
            return None
        if not _are_numbers(values) or not set(values) <= {0, 1}:
            return None
        return values[0] == 1, values[1] == 1, (f"{name} has the two values 0 and 1",)


def _are_numbers(values: Sequence[object]) -> bool:
    return all_of_kind(values, int | float)
