"""Answers that follow from effects which are declared to be monotone.

If no unit responds the other way, ``{Y_{X=1}=1, Y_{X=0}=0}`` is what ``{Y_{X=1}=1}`` leaves of
``{Y_{X=0}=1}``, which lies inside it: two values in two worlds become a difference of events in one
world each. Probabilities of causation (Tian & Pearl 2000) and effects on the compliers of an
instrument (Imbens & Angrist 1994) follow.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from causalplug.graphs.graph import CausalGraph
from causalplug.identification.assumptions import Assume
from causalplug.identification.events import Event
from causalplug.identification.monotone_rule import (
    SIGNS,
    MonotoneRule,
    Pair,
    Split,
    is_plain,
)
from causalplug.identification.query import Query, Term
from causalplug.identification.subtraction import put
from causalplug.selection import without

__all__ = ["Declared", "by_monotone"]

Domains = Mapping[str, tuple[Hashable, ...]]
Determined = Callable[[Query], Query | None]
"""The query in terms that are all determined, None if there is no such way."""


@dataclass(frozen=True)
class Declared:
    """A query in terms that the data determine, given what is assumed.

    Attributes:
        query: The query.
        rests_on: What is assumed, in sentences.
        not_zero: What must not be zero for the answer to exist.
    """

    query: Query
    rests_on: tuple[str, ...]
    not_zero: tuple[Query, ...] = ()


def by_monotone(
    graph: CausalGraph,
    query: Query,
    assumptions: Sequence[Assume],
    domains: Domains,
    determined: Determined,
) -> Declared | None:
    """The query in determined terms, None if the assumptions do not help.

    Args:
        graph: The causal graph.
        query: What was asked.
        assumptions: Those declared; others than monotone effects are passed over.
        domains: All values of some variables.
        determined: Decides about other queries.
    """
    signs = {(a.cause, a.effect): a for a in assumptions if a.kind in SIGNS}
    if not signs:
        return None
    rule = MonotoneRule(graph, signs, domains)
    effect = _on_compliers(rule, query)
    if effect is not None and determined(effect.query) is not None:
        return effect
    parts: list[Query] = []
    rests_on: dict[str, None] = {}
    for _, term in query.terms:
        found = _part(rule, term, determined)
        if found is None:
            return None
        parts.append(found.query)
        rests_on.update(dict.fromkeys(found.rests_on))
    made = put(query.combination, parts)
    if isinstance(made, Query):
        return Declared(made.named(query.name or str(query)), tuple(rests_on))
    return None


def _on_compliers(rule: MonotoneRule, query: Query) -> Declared | None:
    """An effect on those whose treatment follows an instrument, as the effect of the instrument on
    the outcome over that on the treatment; None for other queries.

    It needs no probability given a treatment that nobody without the instrument may have.
    """
    weights = [weight for weight, _ in query.terms]
    if query.formula is not None or weights != [1.0, -1.0]:
        return None
    treated, untreated = (term for _, term in query.terms)
    if len(treated.outcomes) > 1 or treated.evidence != untreated.evidence:
        return None
    for pair in rule.pairs(treated.evidence):
        if pair.values == (False, True) and _compares(treated, untreated, pair):
            return _ratio(rule.graph, treated, pair, query)
    return None


def _compares(treated: Term, untreated: Term, pair: Pair) -> bool:
    """Whether the terms set the treatment to the two values of the pair, and ask the same."""
    (first,), (second,) = treated.outcomes, untreated.outcomes
    same = (first.variable, first.value) == (second.variable, second.value)
    high, low = {pair.high.variable: pair.high.value}, {pair.low.variable: pair.low.value}
    return same and first.do == high and second.do == low


def _ratio(graph: CausalGraph, term: Term, pair: Pair, query: Query) -> Declared | None:
    """The ratio of Wald (1940); None if the instrument acts past the treatment."""
    (outcome,) = term.outcomes
    rest = tuple(without(term.evidence, (pair.low, pair.high)))
    past = graph.do([pair.high.variable]).ancestors([outcome.variable])
    if past & set(pair.high.do) or not all(not event.do for event in rest):
        return None
    worlds = (pair.high.do, pair.low.do)
    effects = []
    for name, value, mean in (
        (outcome.variable, outcome.value, term.expectation),
        (pair.high.variable, pair.high.value, False),
    ):
        for world in worlds:
            effects.append(Query.contrast([(1.0, Term((Event(name, value, world),), rest, mean))]))
    made = (effects[0] - effects[1]) / (effects[2] - effects[3])
    return Declared(made.named(query.name or str(query)), pair.rests_on)


def _part(rule: MonotoneRule, term: Term, determined: Determined) -> Declared | None:
    plain = determined(Query.contrast([(1.0, term)]))
    if plain is not None:
        return Declared(plain, ())
    for candidate in _candidates(rule, term):
        found = determined(candidate.query)
        if found is not None:
            return Declared(found, candidate.rests_on)
    return None


def _candidates(rule: MonotoneRule, term: Term) -> Iterator[Declared]:
    """The term as differences and ratios of others, in all ways that are known."""
    if not all(map(is_plain, term.evidence)):
        return
    if term.expectation:
        for split in rule.splits(term.evidence):
            yield Declared(split.mean(term.outcomes) / split.probability(), split.rests_on)
        return
    if not all(map(is_plain, term.outcomes)):
        return
    for split in rule.splits(term.events):
        if not term.evidence:
            yield Declared(split.probability(), split.rests_on)
            continue
        for below in [*rule.splits(term.evidence), Split(((1, term.evidence),))]:
            both = tuple(dict.fromkeys(split.rests_on + below.rests_on))
            yield Declared(split.probability() / below.probability(), both)
