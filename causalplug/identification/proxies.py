"""Effects by two proxies of a hidden confounder (Miao, Geng & Tchetgen Tchetgen 2018; Tchetgen
Tchetgen, Ying, Cui, Shi & Miao 2024).

A hidden U confounds X and Y. Of its proxies, Z says nothing of Y, and W nothing of X and Z, that U
and the recorded covariates C do not. If U has no more values than the proxies, there are numbers
h(w, x, c) with

    sum over w of  h(w, x, c) P(w | z, x, c)  =  E[Y | z, x, c]    for every z,

and ``E[Y | do(x), c]`` is the mean of ``h(W, x, c)`` given c; given another treatment as evidence,
the mean given both. As the probabilities of W add up to one, the equations are those of the
differences of each z from the first; Cramer's rule solves them, so that the answer is a formula of
terms that the data determine. Their determinant is zero where the proxies do not tell the values of
U apart: that is the condition of completeness, and it can be checked on the rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from causalplug.errors import QueryError
from causalplug.graphs.graph import CausalGraph
from causalplug.identification.assumptions import PROXIES, Assume
from causalplug.identification.events import Bound, Event, World
from causalplug.identification.monotone import Declared
from causalplug.identification.monotone_rule import is_plain
from causalplug.identification.query import Query, Term
from causalplug.identification.subtraction import put
from causalplug.selection import not_none

__all__ = ["by_proxies"]

Domains = Mapping[str, tuple[Hashable, ...]]
Determined = Callable[[Query], Query | None]
Matrix = Sequence[Sequence[Query]]

_MOST_VALUES = 4  # of a proxy
_HIDDEN = "hidden cause"


def by_proxies(
    graph: CausalGraph,
    query: Query,
    assumptions: Sequence[Assume],
    domains: Domains,
    determined: Determined,
) -> Declared | None:
    """The query in determined terms, None if no declared proxies help.

    Args:
        graph: The causal graph.
        query: What was asked.
        assumptions: Those declared; others than proxies are passed over.
        domains: All values of some variables.
        determined: Decides about other queries.

    Raises:
        QueryError: Proxies whose values are not known, too many, or not equally many.
    """
    for assumption in assumptions:
        if assumption.kind != PROXIES:
            continue
        parts = []
        for _, term in query.terms:
            parts.append(_part(graph, assumption, term, domains, determined))
        known = not_none(parts)
        if len(known) == len(parts):
            return _together(query, assumption, known)
    return None


def _together(query: Query, assumption: Assume, parts: Sequence[Declared]) -> Declared | None:
    made = put(query.combination, [part.query for part in parts])
    if not isinstance(made, Query):
        return None
    tests = dict.fromkeys(test for part in parts for test in part.not_zero)
    return Declared(made.named(query.name or str(query)), (str(assumption),), tuple(tests))


def _part(
    graph: CausalGraph,
    assumption: Assume,
    term: Term,
    domains: Domains,
    determined: Determined,
) -> Declared | None:
    plain = determined(Query.contrast([(1.0, term)]))
    if plain is not None:
        return Declared(plain, ())
    bridge = _bridge(graph, assumption, term, domains)
    if bridge is None:
        return None
    found = bridge.answer(term)
    if determined(found.query) is None:
        return None
    return found


def _bridge(graph: CausalGraph, assumption: Assume, term: Term, domains: Domains) -> _Bridge | None:
    """What solves a term, None where it is no effect of the declared cause on the effect, or the
    graph denies what is declared."""
    if not _is_effect(assumption, term):
        return None
    seen = _evidence(graph, term.evidence, assumption.cause)
    if seen is None or set(seen) & {assumption.effect, *assumption.proxies}:
        return None
    covariates = _covariates(graph, assumption, set(seen) - {assumption.cause})
    if covariates is None or any(name not in domains for name in covariates - set(seen)):
        return None
    rest = [name for name in graph.variables if name in covariates - set(seen)]
    cells = itertools.product(*(domains[name] for name in rest))
    strata = tuple(tuple(zip(rest, cell, strict=True)) for cell in cells)
    value = term.outcomes[0].do[assumption.cause]
    return _Bridge(assumption, value, seen, strata, _proxy_values(assumption, domains))


def _is_effect(assumption: Assume, term: Term) -> bool:
    """Whether a term asks for the effect alone, where the cause alone is set to one value."""
    (outcome, *others) = term.outcomes
    if others or outcome.variable != assumption.effect or set(outcome.do) != {assumption.cause}:
        return False
    value = outcome.do[assumption.cause]
    return value is not None and not isinstance(value, Event | Bound)


def _proxy_values(
    assumption: Assume, domains: Domains
) -> tuple[tuple[Hashable, ...], tuple[Hashable, ...]]:
    first, second = assumption.proxies
    z, w = _values(first, domains), _values(second, domains)
    if len(z) != len(w):
        raise QueryError(
            f"proxies cannot be assumed of {first} ({len(z)} values) and {second} ({len(w)} "
            "values): the formula needs as many of each. Merge values of the one that has more"
        )
    return z, w


def _values(name: str, domains: Domains) -> tuple[Hashable, ...]:
    found = domains.get(name, ())
    if not 2 <= len(found) <= _MOST_VALUES:
        count = f"{len(found)} values" if found else "no declared values"
        raise QueryError(
            f"{name} cannot be a proxy with {count}: two to {_MOST_VALUES} categories are needed. "
            "Declare them (domains= in identify, cp.Discrete in a model), or merge values"
        )
    return found


def _evidence(
    graph: CausalGraph, events: Sequence[Event], cause: str
) -> dict[str, Hashable] | None:
    """What is seen before the treatment, and the treatment itself; None for other evidence."""
    after = graph.descendants([cause]) - {cause}
    found: dict[str, Hashable] = {}
    for event in events:
        set_elsewhere = event.variable == cause and event.do
        if not is_plain(event) or event.variable in after or set_elsewhere:
            return None
        if set(event.do) - {cause} or event.variable in found:
            return None
        found[event.variable] = event.value
    return found


def _covariates(graph: CausalGraph, assumption: Assume, needed: set[str]) -> set[str] | None:
    """A smallest set with ``needed`` by which the graph bears out what is declared; None if there
    is none."""
    whole = _with_hidden(graph, assumption)
    ends = {assumption.cause, assumption.effect, *assumption.proxies}
    after = graph.descendants([assumption.cause])
    found = (set(graph.ancestors(ends)) | needed) - ends - after
    if not needed <= found or not _holds(whole, assumption, found):
        return None
    for name in graph.variables:
        if name in found - needed and _holds(whole, assumption, found - {name}):
            found.discard(name)
    return found


def _with_hidden(graph: CausalGraph, assumption: Assume) -> CausalGraph:
    """The graph in which one variable is the hidden cause of the four."""
    four = {assumption.cause, assumption.effect, *assumption.proxies}
    inside = [edge for edge in graph.bidirected if four.issuperset(edge)]
    kept = tuple(edge for edge in graph.bidirected if not four.issuperset(edge))
    touched = dict.fromkeys(name for edge in inside for name in edge)
    hidden = _hidden_name(graph)
    directed = (*graph.directed, *((hidden, name) for name in touched))
    return CausalGraph((*graph.variables, hidden), directed, kept)


def _hidden_name(graph: CausalGraph) -> str:
    name = _HIDDEN
    while name in graph:
        name += "'"
    return name


def _holds(whole: CausalGraph, assumption: Assume, covariates: set[str]) -> bool:
    """Whether Z says nothing of Y, W nothing of X and Z, and X nothing of what Y would be, that
    the hidden cause and the covariates do not."""
    (z, w), x, y = assumption.proxies, assumption.cause, assumption.effect
    given = {*covariates, whole.variables[-1]}
    not_acting = tuple(edge for edge in whole.directed if edge[0] != x)
    without = CausalGraph(whole.variables, not_acting, whole.bidirected)
    return (
        whole.m_separated([w], [x, z], given)
        and whole.m_separated([z], [y], given | {x})
        and without.m_separated([x], [y], given)
    )


@dataclass(frozen=True, eq=False)
class _Bridge:
    """The bridge equations of one treatment.

    Attributes:
        assumption: The declared proxies.
        value: What the treatment is set to.
        seen: The evidence, by name.
        strata: Values of the covariates that are averaged over, one tuple for each.
        values: Values of the two proxies.
    """

    assumption: Assume
    value: Hashable
    seen: Mapping[str, Hashable]
    strata: tuple[tuple[tuple[str, Hashable], ...], ...]
    values: tuple[tuple[Hashable, ...], tuple[Hashable, ...]]

    def answer(self, term: Term) -> Declared:
        """The term, and what must not be zero."""
        (outcome,) = term.outcomes
        parts, tests = [], []
        for stratum in self.strata:
            found, test = self._of(stratum, outcome, term.expectation)
            tests.append(test)
            if stratum:
                found = _probability(dict(stratum), self.seen) * found
            parts.append(found)
        return Declared(reduce(_plus, parts), (str(self.assumption),), tuple(tests))

    def _of(
        self, stratum: tuple[tuple[str, Hashable], ...], outcome: Event, mean: bool
    ) -> tuple[Query, Query]:
        """The mean of the bridge in one stratum, and the determinant of its equations."""
        (z, w), (z_values, w_values) = self.assumption.proxies, self.values
        here = {**self.seen, **dict(stratum)}
        at = {**here, self.assumption.cause: self.value}
        matrix, right = [], []
        for code in z_values:
            given = {**at, z: code}
            matrix.append([_probability({w: value}, given) for value in w_values[1:]])
            right.append(_term(Event(outcome.variable, outcome.value), given, mean))
        differences = [_minus(line, matrix[0]) for line in matrix[1:]]
        steps = _minus(right[1:], [right[0]] * (len(right) - 1))
        overall = [_probability({w: value}, here) for value in w_values[1:]]
        slopes = _cramer(differences, steps)
        whole = _determinant(differences)
        ahead = _minus(overall, matrix[0])
        moved = reduce(_plus, (a * s for a, s in zip(ahead, slopes, strict=True)))
        return right[0] + moved / whole, whole


def _minus(left: Sequence[Query], right: Sequence[Query]) -> list[Query]:
    return [a - b for a, b in zip(left, right, strict=True)]


def _plus(left: Query, right: Query) -> Query:
    return left + right


def _cramer(matrix: Matrix, right: Sequence[Query]) -> Iterator[Query]:
    """The solution of linear equations, times their determinant."""
    for column in range(len(matrix)):
        changed = []
        for line, value in zip(matrix, right, strict=True):
            changed.append([*line[:column], value, *line[column + 1 :]])
        yield _determinant(changed)


def _determinant(matrix: Matrix) -> Query:
    """By the first line."""
    first, *below = matrix
    if not below:
        return first[0]
    parts = []
    for column, factor in enumerate(first):
        minor = [[*line[:column], *line[column + 1 :]] for line in below]
        parts.append(factor * _determinant(minor))
    total = parts[0]
    for column, part in enumerate(parts[1:], 1):
        if column % 2:
            total = total - part
        else:
            total = total + part
    return total


def _probability(events: Mapping[str, Hashable], given: Mapping[str, Hashable]) -> Query:
    outcomes = tuple(Event(name, value) for name, value in events.items())
    return Query.contrast([(1.0, Term(outcomes, _events(given)))])


def _term(outcome: Event, given: Mapping[str, Hashable], mean: bool) -> Query:
    return Query.contrast([(1.0, Term((outcome,), _events(given), mean))])


def _events(given: Mapping[str, Hashable]) -> tuple[Event, ...]:
    return tuple(Event(name, value, World()) for name, value in given.items())
