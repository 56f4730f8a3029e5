"""Terms with ranges of values, ``P(Y>=3 | M<2)``: decided and written with all values left open.

A range in the evidence makes the term a ratio of two sums over the joint distribution of the
outcomes and that evidence, given the rest: ``P(o | e in R, z) = sum_{e in R} P(o, e | z) /
sum_{e in R} P(e | z)``. So the term is identifiable if the joint distribution is. If it is not,
the term may still be: that is a proof only where the term with one value in place of every range,
which is a special case of it, is not identifiable either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from causalplug.graphs.bits import BitGraph
from causalplug.identification.algebra import divide, product, total
from causalplug.identification.c_factor import Regime
from causalplug.identification.decide import Answer, Verdict, decide
from causalplug.identification.estimand import TermEstimand
from causalplug.identification.events import Bound, Event
from causalplug.identification.expressions import Constant, Expression, Indicator, Symbol, Within
from causalplug.identification.formula import term_estimand
from causalplug.identification.query import Term
from causalplug.identification.regions import Region
from causalplug.identification.status import Status
from causalplug.selection import without

__all__ = ["decide_term", "write_term"]


@dataclass(frozen=True)
class _Opened:
    """A term with its ranges left open.

    Attributes:
        term: The joint term.
        asked: Open events and what is asked of their values, outcomes only.
        known: The same of the evidence.
    """

    term: Term
    asked: tuple[tuple[Event, object], ...]
    known: tuple[tuple[Event, object], ...]


def decide_term(
    graph: BitGraph, term: Term, regimes: list[Regime], domains: Mapping[int, tuple[object, ...]]
) -> Verdict:
    """Whether ``regimes`` determine ``term``, which may have ranges of values."""
    if not term.ranged:
        return decide(graph, term, regimes, domains)
    verdict = decide(graph, _opened(term).term, regimes, domains)
    if verdict.status != Status.NOT_IDENTIFIABLE:
        return verdict
    if decide(graph, _at_one_value(term), regimes, domains).status == Status.NOT_IDENTIFIABLE:
        return verdict
    return replace(verdict, status=Status.NOT_SHOWN)


def write_term(answer: Answer, term: Term) -> TermEstimand:
    """The formula of an identified term, which may have ranges of values."""
    if not term.ranged:
        return term_estimand(answer, term)
    opened = _opened(term)
    joint = term_estimand(answer, opened.term)
    by_label = dict(joint.axes)
    symbols = {axis.key: by_label[axis.label] for axis in opened.term.axes}
    known = [_condition(symbols[event], event, what) for event, what in opened.known]
    asked = [_condition(symbols[event], event, what) for event, what in opened.asked]
    gone = [symbols[event] for event, _ in (*opened.asked, *opened.known)]
    formula = total(gone, product([*asked, *known, joint.formula]))
    if known:
        outcomes = [symbols[event] for event in opened.term.outcomes if event in symbols]
        formula = divide(formula, total([*outcomes, *gone], product([*known, joint.formula])))
    axes = tuple((axis.label, symbols[axis.key]) for axis in term.axes)
    return TermEstimand(formula, axes, axes[0][0] if term.expectation else None)


def _opened(term: Term) -> _Opened:
    known = tuple(event for event in term.evidence if isinstance(event.value, Region))
    rest = tuple(without(term.evidence, known))
    asked = tuple(event for event in term.outcomes if _is_closed(event, bool(known)))
    outcomes = tuple(_open(event) if event in asked else event for event in term.outcomes)
    joint = tuple(dict.fromkeys((*outcomes, *map(_open, known))))
    return _Opened(
        Term(joint, rest),
        tuple((_open(event), event.value) for event in asked),
        tuple((_open(event), event.value) for event in known),
    )


def _is_closed(event: Event, conditional: bool) -> bool:
    """Whether an outcome has values that are opened: a range; and one value, too, where its
    probability is divided by that of a range in the evidence."""
    if isinstance(event.value, Region):
        return True
    return conditional and event.value is not None and not isinstance(event.value, Bound)


def _open(event: Event) -> Event:
    return Event(event.variable, None, event.do)


def _at_one_value(term: Term) -> Term:
    """The term with one value for every variable that has a range."""

    def closed(event: Event) -> Event:
        if not isinstance(event.value, Region):
            return event
        return Event(event.variable, f"some {event.variable}", event.do)

    return Term(
        tuple(map(closed, term.outcomes)), tuple(map(closed, term.evidence)), term.expectation
    )


def _condition(symbol: Symbol, event: Event, value: object) -> Expression:
    if isinstance(value, Region):
        return Within(symbol, value)
    return Indicator(symbol, Constant(event.variable, value))
