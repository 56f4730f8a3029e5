"""Queries made ready for sampling: every symbol gets its values, every event its world."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from numbers import Real
from typing import TYPE_CHECKING, Any

from causalplug.errors import DataError, QueryError
from causalplug.identification.query import Bound, Event, Query, Term
from causalplug.identification.query import World as Setting
from causalplug.identification.regions import Except, Interval, Region, meet
from causalplug.sampling.condition import Condition, Given, Point
from causalplug.sampling.evidence import (
    make_condition,
    points_first,
    region_condition,
    single_value,
)
from causalplug.sampling.interventions import Intervention, compile_do
from causalplug.sampling.worlds import FromWorld, World
from causalplug.selection import all_of_kind, of_kind
from causalplug.values import Json, Named
from causalplug.variables import Variable

if TYPE_CHECKING:
    from causalplug.model.model import Model

__all__ = ["Case", "CompiledTerm", "category", "compile_query", "normalised", "numbers_of"]

_MOST = 10_000  # cases of one term


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of an answer: its label, the variable, and the world of its event."""

    label: str
    variable: str
    world: World


@dataclass(frozen=True, eq=False)
class Case:
    """A term with every symbol given a value.

    Attributes:
        symbols: Values by label.
        given: What is conditioned on.
        key: Equal for cases that condition on the same.
        evidence: Axes that are conditioned on at every value.
        outcomes: Axes that are asked for at every value.
        fixed: World, variable and code of the outcomes asked for at one value.
        mean: The axis whose expectation is asked for, or None.
        ranges: World and condition of the outcomes asked for in a range of values.
    """

    symbols: Json
    given: list[Given]
    key: object
    evidence: list[Axis]
    outcomes: list[Axis]
    fixed: list[tuple[World, str, int]]
    mean: Axis | None
    ranges: list[tuple[World, Condition]] = field(default_factory=list)

    @property
    def targets(self) -> list[tuple[World, list[str]]]:
        """Worlds and the variables that are read in them."""
        axes = [*self.evidence, *self.outcomes, *([self.mean] if self.mean else [])]
        items = []
        for world, name in (
            *((world, name) for world, name, _ in self.fixed),
            *((world, condition.name) for world, condition in self.ranges),
        ):
            items.append((world, [name]))
        return [(a.world, [a.variable]) for a in axes] + items


@dataclass(frozen=True, eq=False)
class CompiledTerm:
    """A term of a query, with its coefficient and its cases."""

    coefficient: float
    term: Term
    symbols: list[str]
    cases: list[Case]


def category(variable: Variable, value: object, name: str) -> object:
    """The category that ``value`` means: itself, or the one that is written like it."""
    if value in variable.categories:
        return variable.categories[variable.categories.index(value)]
    code = variable.code_of_text(str(value))
    return variable.categories[code if code >= 0 else variable.code(value, name)]


def _category(variable: Variable, value: object, name: str) -> object:
    if isinstance(value, Except):
        return Except(category(variable, value.value, name))
    return category(variable, value, name)


def numbers_of(variable: Any, name: str) -> list[float] | None:
    """The categories as numbers, for an expectation; None for a continuous variable.

    Raises:
        QueryError: Categories that are no numbers, or an image.
    """
    if variable.is_number:
        return None
    if not variable.is_discrete:
        if variable.is_image:
            what = "an image"
        else:
            what = f"of kind {variable.kind}"
        raise QueryError(
            f"E[{name}] cannot be taken: {name} is {what}. Ask for P({name} | …) to see some."
        )
    if all_of_kind(variable.categories, int | float):
        return list(map(float, variable.categories))
    raise QueryError(
        f"E[{name}] cannot be taken: the categories of {name} are names, not numbers. Ask for a "
        f"probability, for example P({name}={variable.categories[-1]!s} | …)."
    )


def compile_query(dcm: Model, query: Query) -> list[CompiledTerm]:
    """The terms of ``query``, checked against the model's variables.

    Raises:
        UnknownVariableError: A variable that the graph does not have.
        DataError: A value outside a variable's declaration.
        QueryError: Every value of a variable that has infinitely many, or contradictory evidence.
    """
    query.check(dcm.graph.variables)
    shared: dict[Any, Any] = {}
    found = []
    for coefficient, term in query.terms:
        found.append(_Compiler(dcm, term, shared).compiled(coefficient))
    return found


class _Compiler:
    """One term; worlds and evidence that several cases share are made once and kept in
    ``shared``."""

    def __init__(self, dcm: Model, term: Term, shared: dict[Any, Any]):
        self.dcm, self.term, self.shared = dcm, term, shared
        self.symbols: dict[str, str] = {}
        for event in term.events:
            for label, name in _symbols(event):
                self.symbols.setdefault(label, name)
        free = [event.variable for event in term.events if event.value is None]
        self.labels = {
            event: event.variable
            if free.count(event.variable) == 1 and event.variable not in self.symbols
            else str(event)
            for event in term.events
        }

    def compiled(self, coefficient: float) -> CompiledTerm:
        domains = []
        for label, name in self.symbols.items():
            variable = self.dcm.variables[name]
            if not variable.is_discrete:
                raise QueryError(
                    f"{self.term} cannot be estimated at every value of {name}: it has infinitely "
                    f"many. Write a value, as in do({name}=0.5), or use DCM.curve for several."
                )
            domains.append([(label, category) for category in variable.categories])
        if math.prod(map(len, domains)) > _MOST:
            raise QueryError(
                f"{self.term} cannot be estimated at every value: that makes more than {_MOST:,} "
                "cases."
            )
        cases = [self.case(dict(chosen)) for chosen in product(*domains)]
        return CompiledTerm(coefficient, self.term, list(self.symbols), cases)

    def case(self, symbols: Json) -> Case:
        evidence: list[Axis] = []
        conditions: dict[Setting, Json] = {}
        for event in self.term.evidence:
            setting, value = self.setting(event.do, symbols), self.value(event, symbols)
            setting = _where_made(event.variable, setting)
            if value is None:
                self.refuse_wide(event, "conditioned on")
                evidence.append(Axis(self.labels[event], event.variable, self.world(setting)))
                continue
            there = conditions.setdefault(setting, {})
            before = there.get(event.variable, value)
            there[event.variable] = self.both(event.variable, before, value)
        outcomes: list[Axis] = []
        fixed: list[tuple[World, str, int]] = []
        ranges: list[tuple[World, Condition]] = []
        mean: Axis | None = None
        for event in self.term.outcomes:
            world, value = self.world(self.setting(event.do, symbols)), self.value(event, symbols)
            axis = Axis(self.labels[event], event.variable, world)
            if self.term.expectation:
                numbers_of(self.dcm.variables[event.variable], event.variable)
                mean = axis
            elif value is None:
                outcomes.append(axis)
            elif isinstance(value, Region):
                ranges.append((world, region_condition(self.dcm, event.variable, value)))
            elif self._is_count(event.variable):
                ranges.append((world, self._count(event.variable, value)))
            else:
                self.refuse_wide(event, "asked for at one value")
                fixed.append(
                    (
                        world,
                        event.variable,
                        self.dcm.variables[event.variable].code(value, event.variable),
                    )
                )
        key = tuple(
            sorted(
                (str(setting), str(sorted(there.items()))) for setting, there in conditions.items()
            )
        )
        if ("given", key) not in self.shared:
            seen = [self.given(setting, there) for setting, there in conditions.items()]
            self.shared["given", key] = points_first(seen)
        return Case(
            symbols, self.shared["given", key], key, evidence, outcomes, fixed, mean, ranges
        )

    def _is_count(self, name: str) -> bool:
        """Whether it is a number whose single values have probabilities."""
        variable = self.dcm.variables[name]
        return variable.is_countable and not variable.is_discrete

    def _count(self, name: str, value: object) -> Condition:
        one = single_value(self.dcm.variables[name], name, value)
        return Condition(name, low=one, high=one)

    def both(self, name: str, left: object, right: object) -> object:
        """What two conditions on one variable in one world leave."""
        if left == right:
            return left
        if isinstance(left, Interval) and isinstance(right, Interval):
            return meet(left, right)
        if isinstance(right, Region) and not isinstance(left, Region) and left in right:
            return left
        if isinstance(left, Region) and not isinstance(right, Region) and right in left:
            return right
        raise QueryError(
            f"{self.term} cannot be estimated: its evidence gives {name} two values, or ranges "
            "that cannot be joined."
        )

    def refuse_wide(self, event: Event, what: str) -> None:
        if not self.dcm.variables[event.variable].is_discrete:
            raise QueryError(
                f"{event} cannot be {what} in {self.term}: {event.variable} is not discrete. Ask "
                f"for P({event.variable}) or E[{event.variable}], or use DCM.sample(given=…) with "
                "an interval."
            )

    def value(self, event: Event, symbols: Named) -> object:
        """The event's value in users' terms, or None for every value."""
        if isinstance(event.value, Bound):
            return symbols[str(event.value)]
        return self.written(event.variable, event.value)

    def written(self, name: str, value: object) -> Any:
        variable = self.dcm.variables[name]
        if value is None or _is_range(value) or not variable.is_discrete:
            return value
        return _category(variable, value, name)

    def setting(self, do: Setting, symbols: Named) -> Setting:
        """What is set, with every symbol replaced by its value."""
        found: Json = {}
        for name, value in do.items():
            if isinstance(value, Event):
                found[name] = Event(name, None, self.setting(value.do, symbols))
            elif isinstance(value, Bound):
                found[name] = symbols[str(value)]
            else:
                if value is None:
                    found[name] = symbols[name]
                else:
                    found[name] = self.written(name, value)
        return Setting(found)

    def world(self, setting: Setting) -> World:
        if ("world", str(setting)) not in self.shared:
            plain = {name: value for name, value in setting.items() if not isinstance(value, Event)}
            do: dict[str, Intervention] = compile_do(self.dcm, plain, 1)
            for name, value in setting.items():
                if isinstance(value, Event):
                    do[name] = FromWorld(name, self.world(value.do))
            self.shared["world", str(setting)] = World(self.dcm.graph, do)
        return self.shared["world", str(setting)]

    def given(self, setting: Setting, values: Named) -> Given:
        made = [make_condition(self.dcm, name, value, 1) for name, value in values.items()]
        conditions = of_kind(made, Condition)
        return Given(self.world(setting), conditions, of_kind(made, Point))


def _where_made(name: str, setting: Setting) -> Setting:
    """The world that makes a variable's value where another one sets it to that value."""
    value = setting.get(name)
    while isinstance(value, Event):
        setting = value.do
        value = setting.get(name)
    return setting


def _symbols(event: Event) -> Iterator[tuple[str, str]]:
    """Label and variable of everything that stands for every value and is set, or read from
    another event."""
    if isinstance(event.value, Bound):
        yield str(event.value), event.variable
    for name, value in event.do.items():
        if value is None:
            yield name, name
        elif isinstance(value, Event):
            yield from _symbols(value)


def normalised(dcm: Model, query: Query) -> Query:
    """``query`` with every value written as the category or the number that it means."""

    def value_of(name: str, value: object) -> Any:
        variable = dcm.variables[name]
        if variable.is_number and isinstance(value, Real):
            return variable.written(variable.encode([value], name))[0]
        if value is None or isinstance(value, Bound) or not variable.is_discrete:
            return value
        if isinstance(value, Except):
            return Except(category(variable, value.value, name))
        if isinstance(value, Interval):
            return value
        try:
            return category(variable, value, name)
        except DataError:
            if _named_alone(query, name):
                first, last = variable.categories[0], variable.categories[-1]
                raise QueryError(
                    f"{query.name} takes {name} at 1 and at 0, which are no categories of it. Name "
                    f"the two that are meant, as in {name}={last} vs {first}."
                ) from None
            raise

    def rewritten(event: Event) -> Event:
        do = {}
        for n, v in event.do.items():
            do[n] = rewritten(v) if isinstance(v, Event) else value_of(n, v)
        return Event(event.variable, value_of(event.variable, event.value), Setting(do))

    terms = []
    for _, t in query.terms:
        terms.append(
            Term(
                tuple(map(rewritten, t.outcomes)), tuple(map(rewritten, t.evidence)), t.expectation
            )
        )
    return query.with_terms(terms)


def _named_alone(query: Query, name: str) -> bool:
    """Whether the query is a named quantity, such as ``ATE(Y, X)``, that gives a variable no
    values."""
    return query.name is not None and bool(re.search(rf"[( ]{re.escape(name)}[,) ]", query.name))


def _is_range(value: object) -> bool:
    return isinstance(value, Interval)
