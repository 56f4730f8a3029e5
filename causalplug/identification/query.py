"""Causal questions as objects: events in worlds, probabilities and expectations of them, and
contrasts of those.

A *world* is what is set by do(): ``{}`` is the world as it is, ``{"X": 1}`` the one in which X is
set to 1. An *event* is a variable in a world, with a value or with every value. A *term* is the
probability (or the expectation) of some events, the outcomes, given others, the evidence. A *query*
is one term or a contrast of several.

    P(Y | do(X=1), Z=0)         outcomes (Y in the world X=1), evidence (Z=0 in the world X=1)
    P(Y_{X=1}=1 | X=0)          outcomes (Y=1 in the world X=1), evidence (X=0 as it is)
    P(Y_{X=1, M_{X=0}})         X set to 1, M set to what it would be under X=0 (as in the NDE)
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from causalplug.arguments import FLAG, TEXT, Rule, takes
from causalplug.errors import QueryError
from causalplug.graphs.graph import CausalGraph
from causalplug.identification.arithmetic import Formula, Number, Operation, linear
from causalplug.identification.events import Bound, Event, World, resolve_bound
from causalplug.identification.query_text import parse_query
from causalplug.identification.regions import Region
from causalplug.selection import all_of_kind, of_kind
from causalplug.values import Named
from causalplug.wording import check_known

__all__ = ["Axis", "Bound", "Event", "Query", "Term", "World", "as_query"]


_MOST_TERMS = 50


class Axis(NamedTuple):
    """One thing that a term leaves open: an event, a do() or a ``$value`` without a value."""

    label: str
    variable: str
    key: Event | Bound | str


@dataclass(frozen=True)
class Term:
    """The probability of ``outcomes`` given ``evidence``, or the expectation of one outcome given
    ``evidence``.

    Attributes:
        outcomes: The events asked for; those without a value are the axes of the answer.
        evidence: The events conditioned on, in any worlds.
        expectation: Whether it is ``E[.]``; the one outcome has no value then.
    """

    outcomes: tuple[Event, ...]
    evidence: tuple[Event, ...] = ()
    expectation: bool = False

    def __post_init__(self) -> None:
        if not self.outcomes:
            raise QueryError("the query has no outcome: name at least one variable before the bar")
        if self.expectation and (len(self.outcomes) > 1 or self.outcomes[0].value is not None):
            raise QueryError(
                f"E[{', '.join(map(str, self.outcomes))}] cannot be taken: an expectation is that "
                "of one variable without a value; use P(...) for events"
            )
        outcomes, evidence = resolve_bound(self.outcomes, self.evidence)
        object.__setattr__(self, "outcomes", tuple(dict.fromkeys(outcomes)))
        object.__setattr__(self, "evidence", tuple(dict.fromkeys(evidence)))

    def with_evidence(self, evidence: tuple[Event, ...]) -> Term:
        """The term with a part of its evidence, which may leave a ``$value`` that a subscript
        reads without the event that it is the value of."""
        term = object.__new__(Term)
        for name, value in (
            ("outcomes", self.outcomes),
            ("evidence", evidence),
            ("expectation", self.expectation),
        ):
            object.__setattr__(term, name, value)
        return term

    @property
    def ranged(self) -> bool:
        """Whether some event has a range of values, such as ``Y>=3``."""
        return any(isinstance(event.value, Region) for event in self.events)

    @property
    def events(self) -> tuple[Event, ...]:
        """Outcomes and evidence."""
        return self.outcomes + self.evidence

    @property
    def worlds(self) -> tuple[World, ...]:
        """The distinct worlds of the events; one whose result another world reads comes before
        it."""
        found: dict[World, None] = {}

        def visit(event: Event) -> None:
            for value in event.do.values():
                if isinstance(value, Event):
                    visit(value)
            found.setdefault(event.do)

        for event in self.events:
            visit(event)
        return tuple(found)

    @property
    def layer(self) -> int:
        """1 (seeing): nothing is set; 2 (doing): all events are in one world; 3 (imagining):
        several worlds."""
        worlds = self.worlds
        if len(worlds) > 1:
            return 3
        if worlds[0]:
            return 2
        return 1

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What the answer is indexed by: outcomes, then evidence, then what is set, as far as they
        have no value.

        The labels are those of the answer: ``"Y"`` (``"Y_{X=1}"`` if there are several worlds),
            ``"do(X)"``, ``"$m"``.
        """
        several = len({event.do for event in self.events}) > 1
        found: dict[Event | Bound | str, Axis] = {}
        for event in self.events:
            if event.value is None:
                label = str(Event(event.variable, None, event.do if several else World()))
                found.setdefault(event, Axis(label, event.variable, event))
            elif isinstance(event.value, Bound):
                found.setdefault(event.value, Axis(str(event.value), event.variable, event.value))
        for event in self.events:
            for name in _open_settings(event.do):
                found.setdefault(name, Axis(f"do({name})", name, name))
        return tuple(found.values())

    @property
    def variables(self) -> tuple[str, ...]:
        """Every variable that is asked for, conditioned on or set, in order of appearance."""
        names = list(chain.from_iterable(map(_names, self.events)))
        return tuple(dict.fromkeys(names))

    def __str__(self) -> str:
        worlds = self.worlds
        if len(worlds) > 1 or any(event.variable in event.do for event in self.events):
            body, given = list(map(str, self.outcomes)), list(map(str, self.evidence))
        else:
            plain = [str(Event(e.variable, e.value)) for e in self.events]
            body, given = plain[: len(self.outcomes)], plain[len(self.outcomes) :]
            if worlds[0]:
                given.insert(0, f"do({worlds[0]})")
        inside = ", ".join(body) + (" | " + ", ".join(given) if given else "")
        if self.expectation:
            return f"E[{inside}]"
        return f"P({inside})"


_EVENTS = TEXT.or_else(Rule("names or events", lambda events: _listed_events(events)))


@dataclass(frozen=True, init=False)
class Query:
    """A causal question: one term, or a contrast of several.

    Args:
        outcomes: What is asked for: a name, events, or a mapping from names to values (``None``:
            every value).
        do: What is set for all events of the query: a mapping from names to values, or names (every
            value).
        given: What is conditioned on, written like ``outcomes``.
        expectation: Ask for the expectation of the one outcome.

    Attributes:
        terms: Pairs ``(coefficient, term)``; equal terms are merged and those that cancel are gone.
        name: The named quantity that was asked for, such as ``"ATE(Y, X)"``, or ``None``.
        formula: For ratios and products of terms, what is worked out from the terms (whose
            coefficients are 1 then); None for a sum of terms times coefficients.

    Raises:
        QueryError: Nothing asked for, a variable both set and conditioned on or asked for, an
            unbound ``$value``.

    Example:
        >>> Query({"Y": 1}, do={"X": 0}, given=["Z"])
        Query('P(Y=1 | do(X=0), Z)')
        >>> Query.parse("P(Y_{X=1} | X=0)").layer
        3
    """

    terms: tuple[tuple[float, Term], ...]
    name: str | None = field(default=None, compare=False)
    formula: Formula | None = None

    @takes(QueryError, outcomes=_EVENTS, expectation=FLAG)
    def __init__(
        self,
        outcomes: str | Event | Named | Iterable[str | Event],
        *,
        do: Named | Iterable[str] | str | None = None,
        given: str | Event | Named | Iterable[str | Event] | None = None,
        expectation: bool = False,
    ):
        world = World(do or ())
        asked, known = _events(outcomes), _events(given)
        for what, events in (("asked for", asked), ("conditioned on", known)):
            for event in events:
                if event.variable in world and event.variable not in event.do:
                    raise QueryError(
                        f"{event.variable} cannot be {what}: do({world}) sets it in the same "
                        "world; leave it out, or ask about another world with a subscript, as in "
                        f"P(Y_{{{event.variable}=1}} | {event.variable}=0)"
                    )
        term = Term(
            tuple(_in_world(e, world) for e in asked),
            tuple(_in_world(e, world) for e in known),
            expectation,
        )
        self._fill(((1.0, term),))

    @classmethod
    def contrast(
        cls, terms: Iterable[tuple[float, Query | Term]], name: str | None = None
    ) -> Query:
        """The sum of coefficients times terms (or queries); equal terms are added up.

        Raises:
            QueryError: A coefficient that is not finite.
        """
        terms = tuple(terms)
        if any(isinstance(part, Query) and part.formula is not None for _, part in terms):
            return cls._summed(terms, name)
        total: dict[Term, float] = {}
        for coefficient, part in terms:
            for inner, term in ((1.0, part),) if isinstance(part, Term) else part.terms:
                total[term] = total.get(term, 0.0) + coefficient * inner
        for coefficient in total.values():
            if not math.isfinite(coefficient):
                raise QueryError(f"{coefficient} cannot be a factor of a term: it is not finite")
        query = cls.__new__(cls)
        query._fill(tuple((c, term) for term, c in total.items() if c), name)
        return query

    @classmethod
    def parse(cls, text: str) -> Query:
        """The query written in ``text``; see :mod:`causalplug.identification.query_text` for the
        language.

        Raises:
            QuerySyntaxError: Malformed text; the message marks the character, ``position`` is its
                index.
            QueryError: Well-formed text that asks nothing sensible.
        """
        return parse_query(text, cls)

    @classmethod
    def _summed(
        cls, terms: tuple[tuple[float, Query | Term], ...], name: str | None = None
    ) -> Query:
        """A sum in which some parts are ratios or products."""
        total: Query | None = None
        for coefficient, part in terms:
            if isinstance(part, Query):
                query = part
            else:
                query = cls.contrast([(1.0, part)])
            if coefficient == 1:
                scaled = query
            else:
                scaled = cls.joined("*", coefficient, query)
            if total is None:
                total = scaled
            else:
                total = cls.joined("+", total, scaled)
        if total is None:
            raise QueryError("the query asks nothing: it has no term")
        return total.named(name)

    @classmethod
    def joined(cls, sign: str, left: Query | float, right: Query | float) -> Query:
        """Two queries, or a query and a number, joined by ``+``, ``-``, ``*`` or ``/``.

        Raises:
            QueryError: A number that is not finite, or more than 50 terms.
        """
        places: dict[Term, int] = {}
        formulas = [cls._formula_of(side, places) for side in (left, right)]
        if len(places) > _MOST_TERMS:
            raise QueryError(
                f"the query has more than {_MOST_TERMS} terms in ratios and products; ask for its "
                "parts one by one"
            )
        query = cls.__new__(cls)
        query._fill(tuple((1.0, term) for term in places), None, Operation(sign, *formulas))
        return query

    @staticmethod
    def _formula_of(side: Query | float, places: dict[Term, int]) -> Formula:
        """One side of an operation, its terms at ``places``, to which new ones are added."""
        if not isinstance(side, Query):
            if not math.isfinite(side):
                raise QueryError(f"{side} cannot be a part of a query: it is not finite")
            return Number(float(side))
        if not side.terms:
            return Number(0.0)
        formula = side.formula or linear([weight for weight, _ in side.terms])
        return formula.moved([places.setdefault(term, len(places)) for _, term in side.terms])

    @property
    def combination(self) -> Formula:
        """How the answer is worked out from the terms: :attr:`formula`, or the sum of the terms
        times their coefficients."""
        return self.formula or linear([weight for weight, _ in self.terms])

    def named(self, name: str | None) -> Query:
        """The same query under the name of a quantity."""
        query = Query.__new__(Query)
        query._fill(self.terms, name, self.formula)
        return query

    def with_terms(self, terms: Iterable[Term]) -> Query:
        """The query with other terms in place of its own, one for one."""
        changed = [(c, new) for (c, _), new in zip(self.terms, terms, strict=True)]
        if self.formula is None:
            return Query.contrast(changed, self.name)
        query = Query.__new__(Query)
        query._fill(tuple(changed), self.name, self.formula)
        return query

    def _fill(
        self,
        terms: tuple[tuple[float, Term], ...],
        name: str | None = None,
        formula: Formula | None = None,
    ) -> None:
        object.__setattr__(self, "terms", terms)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "formula", formula)

    @property
    def is_contrast(self) -> bool:
        """Whether the query is anything but one term with coefficient 1."""
        return self.formula is not None or len(self.terms) != 1 or self.terms[0][0] != 1

    @property
    def term(self) -> Term:
        """The one term of a query that is no contrast.

        Raises:
            QueryError: The query is a contrast; go through ``terms``.
        """
        if self.is_contrast:
            raise QueryError(f"{self} has no single term: it is a contrast; go through query.terms")
        return self.terms[0][1]

    @property
    def outcomes(self) -> tuple[Event, ...]:
        """Outcomes of the one term."""
        return self.term.outcomes

    @property
    def evidence(self) -> tuple[Event, ...]:
        """Evidence of the one term."""
        return self.term.evidence

    @property
    def expectation(self) -> bool:
        """Whether the terms are expectations."""
        return any(term.expectation for _, term in self.terms)

    @property
    def worlds(self) -> tuple[World, ...]:
        """The distinct worlds of all terms."""
        return tuple(dict.fromkeys(world for _, term in self.terms for world in term.worlds))

    @property
    def layer(self) -> int:
        """The highest layer of the terms."""
        return max((term.layer for _, term in self.terms), default=1)

    @property
    def variables(self) -> tuple[str, ...]:
        """Every variable of every term, in order of appearance."""
        return tuple(dict.fromkeys(name for _, term in self.terms for name in term.variables))

    def reads(self, graph: CausalGraph) -> frozenset[str]:
        """The variables whose mechanisms a model has to run for an answer: in every world the
        causes of what is asked for or conditioned on, as far as nothing sets them."""
        pending = [event for _, term in self.terms for event in term.events]
        found: set[str] = set()
        seen: set[Event] = set()
        while pending:
            event = pending.pop()
            if event in seen:
                continue
            seen.add(event)
            pending += of_kind(event.do.values(), Event)
            inside = graph.do(list(event.do))
            found |= inside.ancestors([event.variable]) - set(event.do)
        return frozenset(found)

    def check(self, known: Collection[str]) -> None:
        """Raise UnknownVariableError for a variable that is not among ``known``, the variables
        of the graph."""
        check_known(self.variables, known, f"{self} cannot be answered")

    def __neg__(self) -> Query:
        return Query.contrast([(-1.0, self)])

    def __add__(self, other: Query | float) -> Query:
        if isinstance(other, int | float):
            return Query.joined("+", self, other)
        return Query.contrast([(1.0, self), (1.0, other)])

    def __sub__(self, other: Query | float) -> Query:
        if isinstance(other, int | float):
            return Query.joined("-", self, other)
        return Query.contrast([(1.0, self), (-1.0, other)])

    def __rmul__(self, factor: float) -> Query:
        return Query.contrast([(factor, self)])

    def __mul__(self, other: Query | float) -> Query:
        if isinstance(other, int | float):
            return other * self
        return Query.joined("*", self, other)

    def __truediv__(self, other: Query | float) -> Query:
        return Query.joined("/", self, other)

    def __rsub__(self, number: float) -> Query:
        return Query.joined("-", number, self)

    def __radd__(self, number: float) -> Query:
        return Query.joined("+", number, self)

    def __str__(self) -> str:
        if self.formula is not None:
            return self.formula.written([str(term) for _, term in self.terms])
        if not self.terms:
            return "0"
        text = ""
        for coefficient, term in self.terms:
            sign = "+"
            if coefficient < 0:
                sign = "-"
            if abs(coefficient) == 1:
                factor = ""
            else:
                factor = f"{abs(coefficient):g} * "
            text += (f" {sign} " if text else sign.replace("+", "")) + factor + str(term)
        return text

    def __repr__(self) -> str:
        return f"Query({str(self)!r})"


def as_query(query: object) -> Query:
    """A query, or the one that a text asks.

    Raises:
        QueryError: Neither a query nor text that asks one.
    """
    if isinstance(query, Query):
        return query
    return Query.parse(query)  # type: ignore[arg-type]


def _open_settings(world: World) -> Iterator[str]:
    """The variables that ``world``, or a world that it reads, sets to every value."""
    for name, value in world.items():
        if value is None:
            yield name
        elif isinstance(value, Event):
            yield from _open_settings(value.do)


def _names(event: Event) -> Iterator[str]:
    yield event.variable
    for name, value in event.do.items():
        yield name
        if isinstance(value, Event):
            yield from _names(value)


def _listed_events(value: object) -> Any:
    if isinstance(value, Event | Mapping):
        return value
    if isinstance(value, bytes) or not isinstance(value, Iterable):
        raise TypeError
    found = list(value)
    if not all_of_kind(found, str | Event):
        raise TypeError
    return found


def _events(
    given: str | Event | Named | Iterable[str | Event] | None,
) -> tuple[Event, ...]:
    if given is None:
        return ()
    if isinstance(given, str | Event):
        given = (given,)
    if isinstance(given, Mapping):
        return tuple(Event(name, value) for name, value in given.items())
    return tuple(event if isinstance(event, Event) else Event(event) for event in given)


def _in_world(event: Event, world: World) -> Event:
    """``event`` with ``world`` set as well; the worlds that its subscript reads stay as they
    are."""
    if not world:
        return event
    clash = next(
        (name for name in world if name in event.do and event.do[name] != world[name]), None
    )
    if clash is not None:
        raise QueryError(
            f"{clash} is set to two values: {event} inside do({world}); keep one of the two"
        )
    return Event(event.variable, event.value, World({**world, **event.do}))
