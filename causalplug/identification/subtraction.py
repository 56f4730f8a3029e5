"""What the number of values of a variable adds: probabilities by subtraction.

The algorithms of identification know nothing of how many values a variable has, and what they prove
holds for some numbers of values. Where all values are declared, an event with one of them is the
rest of what the other values leave,

    P(O, X=x | E) = P(O | E) - sum over x' other than x of P(O, X=x' | E),

so that the effect of treatment on the treated, P(Y_{X=0} | X=1), follows from the experiment and
from P(Y_{X=0} | X=0), which is seen, if X has two values.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace

from causalplug.identification.arithmetic import Formula, Leaf, Number
from causalplug.identification.events import Bound, Event
from causalplug.identification.query import Query, Term
from causalplug.identification.regions import Region
from causalplug.identification.status import Status
from causalplug.selection import variables_of, without

__all__ = ["by_subtraction", "may_be_determined", "put"]

Domains = Mapping[str, tuple[Hashable, ...]]
StatusOf = Callable[[Term], Status]
_MOST_VALUES = 4
_DETERMINED = (Status.IDENTIFIABLE, Status.ZERO)


def by_subtraction(query: Query, domains: Domains, status: StatusOf) -> Query | None:
    """The query in terms that are all determined; None if there is no such way.

    Args:
        query: What was asked.
        domains: All values of some variables.
        status: The status of a term.
    """
    parts = []
    for _, term in query.terms:
        part = _part(term, domains, status)
        if part is None:
            return None
        parts.append(part)
    made = put(query.combination, parts)
    if isinstance(made, Query):
        return made.named(query.name or str(query))
    return None


def may_be_determined(term: Term, domains: Domains, status: StatusOf) -> bool:
    """Whether a term of several worlds that is not identifiable in general may be so because some
    variable has two values only.

    It may not if a part that would determine it is not identifiable itself, while all others are.
    """
    names = variables_of(term.events)
    if term.layer < 3 or len(set(names)) < len(names):
        return False
    binary = []
    for event in term.events:
        if _is_open_to_it(event, domains, most=2) and _split(term, event, domains):
            binary.append(event)
    return bool(binary) and not any(_settled(term, event, domains, status) for event in binary)


@dataclass(frozen=True)
class _Split:
    """``(whole - sum of others times their shares) / weight``.

    Attributes:
        whole: The term without the event.
        others: Its terms with the other values.
        shares: The probabilities of these values, for expectations; nothing otherwise.
        weight: The probability of the event, if it was conditioned on.
    """

    whole: Term
    others: tuple[Term, ...]
    shares: tuple[Term, ...] = ()
    weight: Term | None = None

    @property
    def parts(self) -> tuple[Term, ...]:
        """All but the whole."""
        return (*self.others, *self.shares, *([self.weight] if self.weight else []))

    def put_together(self) -> Query:
        """The term as a query."""
        total = Query.contrast([(1.0, self.whole)])
        shares: tuple[Term | None, ...] = self.shares or (None,) * len(self.others)
        for other, share in zip(self.others, shares, strict=True):
            part = Query.contrast([(1.0, other)])
            total = total - (part if share is None else part * Query.contrast([(1.0, share)]))
        if self.weight:
            return total / Query.contrast([(1.0, self.weight)])
        return total


def _settled(term: Term, event: Event, domains: Domains, status: StatusOf) -> bool:
    split = _split(term, event, domains)
    if split is None:
        return False
    known = all(status(part) in _DETERMINED for part in split.parts)
    return known and split.whole.layer < 3 and status(split.whole) == Status.NOT_IDENTIFIABLE


def _part(term: Term, domains: Domains, status: StatusOf) -> Query | None:
    if status(term) in _DETERMINED:
        return Query.contrast([(1.0, term)])
    if len(term.axes) > term.expectation:
        return None  # the axes of the parts would have other labels
    for event in term.events:
        split = _split(term, event, domains)
        if split and all(status(one) in _DETERMINED for one in (split.whole, *split.parts)):
            return split.put_together()
    return None


def _split(term: Term, event: Event, domains: Domains) -> _Split | None:
    """The term by the values of an event other than its own."""
    if not _is_open_to_it(event, domains, most=_MOST_VALUES):
        return None
    outcomes = tuple(without(term.outcomes, (event,)))
    evidence = tuple(without(term.evidence, (event,)))
    if not outcomes:
        return None
    weight = Term((event,), evidence) if event in term.evidence else None
    values = without(domains[event.variable], (event.value,))
    rest = [Event(event.variable, value, event.do) for value in values]
    if not term.expectation:
        others = tuple(Term((*outcomes, other), evidence) for other in rest)
        return _Split(Term(outcomes, evidence), others, (), weight)
    others = tuple(Term(outcomes, (*evidence, other), True) for other in rest)
    shares = tuple(Term((other,), evidence) for other in rest)
    return _Split(Term(outcomes, evidence, True), others, shares, weight)


def _is_open_to_it(event: Event, domains: Domains, *, most: int) -> bool:
    plain = event.value is not None and not isinstance(event.value, Bound | Region)
    return plain and 2 <= len(domains.get(event.variable, ())) <= most


def put(formula: Formula, parts: list[Query]) -> Query | float:
    """A formula with queries in place of its terms."""
    if isinstance(formula, Number):
        return formula.number
    if isinstance(formula, Leaf):
        return parts[formula.position]
    left, right = put(formula.left, parts), put(formula.right, parts)
    if isinstance(left, Query) or isinstance(right, Query):
        return Query.joined(formula.sign, left, right)
    numbers = replace(formula, left=Number(left), right=Number(right))
    return float(numbers.value([0.0]))
