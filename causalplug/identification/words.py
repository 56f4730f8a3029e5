"""The way to an answer in plain sentences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.identification.adjustment import AdjustmentSets, Effect, Instrument
from causalplug.identification.c_factor import Regime
from causalplug.identification.decide import Verdict
from causalplug.identification.estimand import Estimand
from causalplug.identification.query import Query
from causalplug.selection import variables_of

__all__ = ["Answered", "effect_of", "in_words"]


_SEARCHED = 100  # variables of a graph that is searched for instruments unasked


class Answered(Protocol):
    """What is read of an identification."""

    @property
    def graph(self) -> CausalGraph: ...
    @property
    def query(self) -> Query: ...
    @property
    def sources(self) -> tuple[Source, ...]: ...
    @property
    def verdicts(self) -> tuple[Verdict, ...]: ...
    @property
    def answerable(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    @property
    def assumptions(self) -> tuple[str, ...]: ...
    @property
    def estimand(self) -> Estimand | None: ...
    @property
    def adjustment_sets(self) -> AdjustmentSets: ...
    @property
    def front_door_sets(self) -> AdjustmentSets: ...
    @property
    def instruments(self) -> tuple[Instrument, ...]: ...


def effect_of(query: Query) -> Effect | None:
    """The effect that a query is about; None if it sets nothing, or speaks of several worlds or
    several effects."""
    found = set()
    for _, term in query.terms:
        (world, *others) = term.worlds
        if others or not world:
            return None
        outcomes = tuple(dict.fromkeys(variables_of(term.outcomes)))
        given = tuple(dict.fromkeys(variables_of(term.evidence)))
        found.add(Effect(tuple(world), outcomes, given))
    if len(found) == 1:
        return found.pop()
    return None


def in_words(result: Answered) -> str:
    """How the answer is worked out, or why there is none, in a sentence or two."""
    asked = result.query.name or str(result.query)
    if not result.answerable:
        return f"{asked} has no answer here: {result.reason}.{_instead(result)}"
    if result.assumptions:
        return f"{asked} is {result.reason}{_assuming(result)}"
    used = [verdict.answer for verdict in result.verdicts if verdict.answer is not None]
    if not used:
        return f"{asked} is 0, whatever the data: {result.reason}."
    effect = effect_of(result.query)
    directs = [answer.direct for answer in used if answer.direct is not None]
    experiments = any(direct.set_variables for direct in directs)
    if len(directs) == len(used) and (effect is None or experiments):
        return f"{asked} is read off the rows of {_and(_rows_of(result, directs))} as it stands."
    return _derived(result, asked, effect)


def _assuming(result: Answered) -> str:
    """What to work out, and what it rests on."""
    way = "" if result.estimand is None else f": work out {result.estimand}"
    return f"{way}. Assumed: {'; '.join(result.assumptions)}."


def _derived(result: Answered, asked: str, effect: Effect | None) -> str:
    """How an answer is worked out that no table holds as it stands."""
    if effect is not None and result.adjustment_sets:
        return _adjusting(asked, effect, result.adjustment_sets)
    if effect is not None and result.front_door_sets:
        return _front_door(asked, effect, result.front_door_sets)
    return (
        f"{asked} follows from the whole graph, by no adjustment or front-door set alone: work out "
        f"{result.estimand}."
    )


def _rows_of(result: Answered, directs: Iterable[Regime]) -> set[str]:
    """Names of the sources that give these parts as they stand."""
    places: set[int] = set()
    for direct in directs:
        places.update(direct.sources)
    return {str(result.sources[place].name) for place in places}


def _adjusting(asked: str, effect: Effect, sets: AdjustmentSets) -> str:
    x, y = _and(effect.treatments), _and(effect.outcomes)
    first, *others = sets
    known = ""
    if effect.given:
        known = f", {', '.join(effect.given)}"
    if not first:
        return (
            f"Nothing has to be adjusted for: {asked} compares rows by their {x} as they are. Take "
            f"P({', '.join(effect.outcomes)} | {', '.join(effect.treatments)}{known})."
        )
    z = ", ".join(sorted(first))
    if effect.given:
        weights = f"P({z} | {', '.join(effect.given)})"
    else:
        weights = f"P({z})"
    text = (
        f"For {asked}, adjust for {_and(first)}: within every value of {_and(first)}, take the "
        f"distribution of {y} in rows with the wanted {x}, P({', '.join(effect.outcomes)} | "
        f"{', '.join(effect.treatments)}, {z}{known}), and average with the weights {weights}."
    )
    if others:
        text += f" Other sets that do: {AdjustmentSets(others)}."
    return text


def _front_door(asked: str, effect: Effect, sets: AdjustmentSets) -> str:
    (x,), (y,), m = effect.treatments, effect.outcomes, _and(sets[0])
    listed = ", ".join(sorted(sets[0]))
    return (
        f"For {asked}, go through the front door {m}: all that {x} does to {y} goes through {m}. "
        f"Take P({listed} | {x}), and the effect of {m} on {y} adjusted for {x}, sum over {x} of "
        f"P({x}) P({y} | {x}, {listed}); average the second with the first as weights."
    )


def _instead(result: Answered) -> str:
    if len(result.graph.variables) > _SEARCHED or not result.instruments:
        return ""
    names = ", ".join(map(str, result.instruments))
    return (
        f" Instruments are {names}: with them the answer can be bounded (cp.bounds), and is "
        "determined under further assumptions, such as effects that add or go one way."
    )


def _and(names: Iterable[str]) -> str:
    ordered = sorted(names)
    if ordered[1:]:
        return " and ".join([", ".join(ordered[:-1]), ordered[-1]])
    return ordered[0]
