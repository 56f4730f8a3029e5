"""Adjustment sets, front-door sets and instruments of an effect.

A set is valid for adjustment if and only if it has no descendant of a variable on a causal path and
separates treatment and outcome once the first edges of these paths are gone (the complete
adjustment criterion: Shpitser, VanderWeele & Robins 2010; Perković et al. 2018).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, islice

from causalplug.graphs.graph import CausalGraph
from causalplug.identification.separators import minimal_separators
from causalplug.selection import values_at, within
from causalplug.wording import listed

__all__ = ["AdjustmentSets", "Effect", "Instrument", "adjustment_sets", "front_door_sets",
           "instruments"]  # fmt: skip

_MOST = 100
_LARGEST_FRONT_DOOR = 3
_TRIED = 2000  # front-door candidates of each size
_FEW = 10


@dataclass(frozen=True)
class Effect:
    """The effect of setting ``treatments`` on ``outcomes``, among units with given values of
    ``given``."""

    treatments: tuple[str, ...]
    outcomes: tuple[str, ...]
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Instrument:
    """A variable that moves the treatment and reaches the outcome through it alone, within
    values of ``given``."""

    variable: str
    given: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.variable + (f" given {_and(self.given)}" if self.given else "")


class AdjustmentSets(tuple[frozenset[str], ...]):
    """Minimal sets of variables, smallest first.

    Attributes:
        complete: Whether these are all there are.
    """

    complete: bool = True

    @classmethod
    def joined(cls, parts: Iterable[AdjustmentSets]) -> AdjustmentSets:
        """The sets of several lists, each once, smallest first."""
        parts = list(parts)
        sets = dict.fromkeys(names for part in parts for names in part)
        minimal = []
        for names in sets:
            if not any(other < names for other in sets):
                minimal.append(names)
        found = cls(sorted(minimal, key=len))
        found.complete = all(part.complete for part in parts)
        return found

    def __str__(self) -> str:
        if not self and not self.complete:
            return "no set of recorded variables among those that were tried"
        if not self:
            return "no set of recorded variables"
        texts = [_and(names) if names else "nothing" for names in self[:12]]
        more = ", or others"
        if self.complete and len(self) <= 12:
            more = ""
        return ", or ".join(texts) + more


def adjustment_sets(
    graph: CausalGraph, effect: Effect, recorded: Collection[str], most: int = _MOST
) -> AdjustmentSets:
    """The minimal adjustment sets among ``recorded``, up to ``most`` of them.

    Together with ``effect.given`` each of them is an adjustment set, and no part of it is.
    """
    forbidden = _forbidden(graph, effect)
    after = graph.descendants(effect.treatments)
    if set(effect.given) & after or not {*effect.treatments, *effect.outcomes} <= set(recorded):
        return AdjustmentSets()
    cut = _without_causal_paths(graph, effect)
    ends = {*effect.treatments, *effect.outcomes, *effect.given}
    allowed = set(recorded) - forbidden - ends
    found = minimal_separators(cut, effect.treatments, effect.outcomes, allowed, effect.given)
    return _sorted(graph, found, most)


def front_door_sets(
    graph: CausalGraph, effect: Effect, recorded: Collection[str], most: int = _MOST
) -> AdjustmentSets:
    """The minimal front-door sets of at most three variables among ``recorded`` (Pearl 2009,
    definition 3.3.3)."""
    if effect.given or len(effect.treatments) != 1 or len(effect.outcomes) != 1:
        return AdjustmentSets()
    (x,), (y,) = effect.treatments, effect.outcomes
    between = graph.descendants(x) & graph.ancestors(y) & set(recorded)
    apart = _without_out_edges(graph, {x})
    candidates = []
    for name in within(graph.variables, between - {x, y}):
        if apart.m_separated([x], [name]):
            candidates.append(name)
    found: list[frozenset[str]] = []
    for size in range(1, _LARGEST_FRONT_DOOR + 1):
        for names in islice(combinations(candidates, size), _TRIED):
            chosen = frozenset(names)
            smaller = any(other <= chosen for other in found)
            if not smaller and _is_front_door(graph, x, y, chosen):
                found.append(chosen)
    sets = _sorted(graph, iter(found), most)
    sets.complete = sets.complete and math.comb(len(candidates), _LARGEST_FRONT_DOOR) <= _TRIED
    return sets


def instruments(
    graph: CausalGraph, effect: Effect, recorded: Collection[str]
) -> tuple[Instrument, ...]:
    """The variables among ``recorded`` that are instruments, each with a minimal set to
    condition on (Pearl 2009, section 7.4.5; van der Zander, Textor & Liśkiewicz 2015).

    There are none among units that are chosen by what follows the treatment or the outcome.
    """
    if len(effect.treatments) != 1 or len(effect.outcomes) != 1:
        return ()
    (x,), (y,) = effect.treatments, effect.outcomes
    mutilated = graph.do([x])
    below = graph.descendants([x, y])
    if below.intersection(effect.given):  # what follows the treatment opens paths around it
        return ()
    found = []
    for z in graph.variables:
        if z in below or z not in recorded or z in effect.given:
            continue
        allowed = set(recorded) - below - {z, *effect.given}
        for near in _separators(mutilated, z, y, allowed, effect.given):
            if not graph.m_separated([z], [x], [*near, *effect.given]):
                found.append(Instrument(z, near))
                break
    return tuple(found)


def _separators(
    graph: CausalGraph, z: str, y: str, allowed: Collection[str], given: Collection[str]
) -> Iterator[frozenset[str]]:
    """A few minimal sets that separate ``z`` and ``y``."""
    if graph.m_separated([z], [y], given):
        yield frozenset()
        return
    # If any allowed set separates them, all allowed ancestors do.
    above = graph.ancestors([z, y, *given]).intersection(allowed)
    if graph.m_separated([z], [y], [*above, *given]):
        yield from islice(minimal_separators(graph, [z], [y], allowed, given), _FEW)


def _forbidden(graph: CausalGraph, effect: Effect) -> set[str]:
    """Descendants of what lies on proper causal paths, treatments left out."""
    return set(graph.descendants(_on_causal_paths(graph, effect))) | set(effect.treatments)


def _on_causal_paths(graph: CausalGraph, effect: Effect) -> set[str]:
    treatments = set(effect.treatments)
    into_cut = CausalGraph(
        graph.variables, tuple(edge for edge in graph.directed if edge[1] not in treatments)
    )
    out_cut = CausalGraph(
        graph.variables, tuple(edge for edge in graph.directed if edge[0] not in treatments)
    )
    below = into_cut.descendants(effect.treatments) - treatments
    return set(below & out_cut.ancestors(effect.outcomes))


def _without_causal_paths(graph: CausalGraph, effect: Effect) -> CausalGraph:
    """The proper back-door graph: without the first edges of proper causal paths."""
    treatments, between = set(effect.treatments), _on_causal_paths(graph, effect)
    kept = tuple((a, b) for a, b in graph.directed if a not in treatments or b not in between)
    return CausalGraph(graph.variables, kept, graph.bidirected)


def _is_front_door(graph: CausalGraph, x: str, y: str, chosen: frozenset[str]) -> bool:
    blocked = CausalGraph(
        graph.variables, tuple(edge for edge in graph.directed if edge[0] not in chosen)
    )
    if y in blocked.descendants(x):
        return False
    if not _without_out_edges(graph, {x}).m_separated([x], chosen):
        return False
    return _without_out_edges(graph, chosen).m_separated(chosen, [y], [x])


def _without_out_edges(graph: CausalGraph, names: Collection[str]) -> CausalGraph:
    kept = tuple(edge for edge in graph.directed if edge[0] not in names)
    return CausalGraph(graph.variables, kept, graph.bidirected)


def _sorted(graph: CausalGraph, found: Iterator[frozenset[str]], most: int) -> AdjustmentSets:
    chosen = list(islice(found, most))
    chosen.sort(key=lambda names: (len(names), sorted(values_at(graph.index, names))))
    sets = AdjustmentSets(chosen)
    sets.complete = next(found, None) is None
    return sets


def _and(names: Collection[str]) -> str:
    ordered = sorted(names)
    if len(ordered) < 2:
        return listed(ordered)
    return f"{listed(ordered[:-1])} and {ordered[-1]}"
