"""Counterfactual probabilities as polynomials in c-factors.

A potential response says what a variable does at one setting of its parents. The probability of
several of them is a product over c-components (Correa, Lee & Bareinboim 2021), since the hidden
causes of different components are independent. A query on discrete variables is therefore a sum of
such products: a polynomial, which is linear where only one component is not known.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from causalplug.errors import QueryError
from causalplug.graphs.graph import CausalGraph
from causalplug.identification.events import Bound, Event, World
from causalplug.identification.query import Axis, Term
from causalplug.identification.regions import Region
from causalplug.selection import by_name, within
from causalplug.values import Json
from causalplug.wording import listed

__all__ = ["Factor", "Model", "Polynomial", "add", "fill", "scaled"]

Domains = Mapping[str, tuple[Hashable, ...]]
Response = tuple[str, int, int]
"""A variable, the number of a setting of its parents, and the code of its value there."""
Factor = tuple[int, frozenset[Response]]
"""The number of a c-component, and the responses of its variables that occur together."""
Polynomial = dict[frozenset[Factor], float]
"""Coefficients by the set of factors that are multiplied."""

MAX_CASES = 2_000_000


def add(*parts: tuple[float, Polynomial]) -> Polynomial:
    """The sum of coefficients times polynomials."""
    total: Polynomial = {}
    for coefficient, part in parts:
        for factors, value in part.items():
            total[factors] = total.get(factors, 0.0) + coefficient * value
    return {factors: value for factors, value in total.items() if value}


def scaled(factor: float, part: Polynomial) -> Polynomial:
    """``factor`` times ``part``."""
    return add((factor, part))


@dataclass(frozen=True, eq=False)
class Model:
    """A graph over discrete variables, with the numbers that responses are counted by.

    Attributes:
        graph: The causal graph.
        domains: All values of every variable, in order.
    """

    graph: CausalGraph
    domains: Domains

    @cached_property
    def components(self) -> tuple[tuple[str, ...], ...]:
        """The c-components, each in the declared order."""
        found = self.graph.c_components()
        return tuple(tuple(within(self.graph.variables, part)) for part in found)

    @cached_property
    def owner(self) -> Mapping[str, int]:
        """The number of the c-component of every variable."""
        found = {}
        for i, names in enumerate(self.components):
            for name in names:
                found[name] = i
        return found

    @cached_property
    def parents(self) -> Mapping[str, tuple[str, ...]]:
        """The parents of every variable."""
        return by_name(self.graph.parents, self.graph.variables)

    def size(self, name: str) -> int:
        """The number of values of a variable."""
        return len(self.domains[name])

    def settings(self, name: str) -> int:
        """The number of settings of the parents of a variable."""
        count = 1
        for parent in self.parents[name]:
            count *= self.size(parent)
        return count

    def setting(self, name: str, codes: Mapping[str, int]) -> int:
        """The number of the setting in which the parents of ``name`` have these ``codes``."""
        number = 0
        for parent in self.parents[name]:
            number = number * self.size(parent) + codes[parent]
        return number

    def product(self, responses: Iterable[Response]) -> frozenset[Factor]:
        """The responses sorted into the factors of their components."""
        grouped: dict[int, set[Response]] = {}
        for response in responses:
            grouped.setdefault(self.owner[response[0]], set()).add(response)
        return frozenset((number, frozenset(group)) for number, group in grouped.items())

    def code(self, name: str, value: object) -> int:
        """The place of a value in its domain.

        Raises:
            QueryError: If it is not one of the values.
        """
        if value not in self.domains[name]:
            raise QueryError(
                f"{name}={value} cannot be asked for: the values of {name} are "
                f"{listed(self.domains[name])}; declare others with domains="
            )
        return self.domains[name].index(value)

    def codes(self, name: str, value: object) -> frozenset[int]:
        """The places of the values that an event allows: one, or those of a region.

        Raises:
            QueryError: If there is none.
        """
        if not isinstance(value, Region):
            return frozenset((self.code(name, value),))
        found = frozenset(i for i, other in enumerate(self.domains[name]) if other in value)
        if not found:
            raise QueryError(
                f"{value.written(name)} cannot be asked for: the values of {name} are "
                f"{listed(self.domains[name])}; declare others with domains="
            )
        return found

    def probability(self, events: Iterable[Event]) -> Polynomial:
        """The probability that all ``events`` happen; every value in them is known.

        Raises:
            QueryError: If a value is not in its domain, or there are too many cases to sum over.
        """
        return _Expansion(self).polynomial(tuple(events))


class _Expansion:
    """The potential responses that events rest on, one node each; causes come before effects."""

    def __init__(self, model: Model):
        self.model = model
        self.nodes: dict[tuple[str, tuple[tuple[str, int], ...]], int] = {}

    def polynomial(self, events: tuple[Event, ...]) -> Polynomial:
        wanted: dict[int, frozenset[int]] = {}
        for event in events:
            kind, at = self._reference(event.variable, event.do)
            codes = self.model.codes(event.variable, event.value)
            if kind == "code":
                if at not in codes:
                    return {}
                continue
            wanted[at] = codes & wanted.get(at, codes)
        return self._summed(wanted)

    def _reference(self, name: str, world: World) -> tuple[str, int]:
        """``("code", c)`` for a variable that is set, ``("node", i)`` for one that responds."""
        if name in world:
            value = world[name]
            if isinstance(value, Event):
                return self._reference(value.variable, value.do)
            return "code", self.model.code(name, value)
        above = tuple(self._reference(p, world) for p in self.model.parents[name])
        return "node", self.nodes.setdefault((name, above), len(self.nodes))

    def _summed(self, wanted: Mapping[int, frozenset[int]]) -> Polynomial:
        nodes = list(self.nodes)
        cases = 1
        for at, (name, _) in enumerate(nodes):
            if at in wanted:
                cases *= len(wanted[at])
            else:
                cases *= self.model.size(name)
        if cases > MAX_CASES:
            raise QueryError(
                f"the query cannot be bounded: it is a sum of {cases:,} cases, more than "
                f"{MAX_CASES:,}; merge values, or leave variables out with latent_projection"
            )
        total: Polynomial = {}
        for responses in self._cases(nodes, wanted, [], {}):
            product = self.model.product(responses)
            total[product] = total.get(product, 0.0) + 1.0
        return total

    def _cases(
        self,
        nodes: list[tuple[str, tuple[tuple[str, int], ...]]],
        wanted: Mapping[int, frozenset[int]],
        codes: list[int],
        seen: dict[tuple[str, int], int],
    ) -> Iterator[list[Response]]:
        """Every way in which the nodes may respond; a variable has one response per setting."""
        at = len(codes)
        if at == len(nodes):
            yield [(name, setting, code) for (name, setting), code in seen.items()]
            return
        name, above = nodes[at]
        parents = self.model.parents[name]
        values = [codes[i] if kind == "node" else i for kind, i in above]
        place = name, self.model.setting(name, dict(zip(parents, values, strict=True)))
        every = wanted.get(at, frozenset(range(self.model.size(name))))
        for code in sorted(every & {seen[place]} if place in seen else every):
            new = place not in seen
            seen[place] = code
            yield from self._cases(nodes, wanted, [*codes, code], seen)
            if new:
                del seen[place]


def fill(term: Term, chosen: Mapping[Axis, object]) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """Outcomes and evidence of ``term`` with a value for every axis."""
    by_key = {axis.key: value for axis, value in chosen.items()}
    outcomes = tuple(_filled(event, by_key) for event in term.outcomes)
    return outcomes, tuple(_filled(event, by_key) for event in term.evidence)


def _filled(event: Event, chosen: Mapping[Any, object]) -> Event:
    value = event.value
    if value is None:
        value = chosen.get(event)
    elif isinstance(value, Bound):
        value = chosen[value]
    return Event(event.variable, value, _filled_world(event.do, chosen))


def _filled_world(world: World, chosen: Mapping[Any, object]) -> World:
    settings: Json = {}
    for name, value in world.items():
        if isinstance(value, Event):
            settings[name] = Event(value.variable, None, _filled_world(value.do, chosen))
        elif value is None:
            settings[name] = chosen[name]
        elif isinstance(value, Bound):
            settings[name] = chosen[value]
        else:
            settings[name] = value
    return World(settings)
