"""Whether a causal question can be answered from given data sources, and by which formula.

One routine for observing, doing and imagining: the query becomes a counterfactual graph, that graph
a product of c-factors, and each c-factor is looked for in every source. It is sound; it is complete
where every source records every variable that matters (Lee, Correa & Bareinboim 2019 for P(Y |
do(X)), Correa, Lee & Bareinboim 2021 for counterfactuals). "Not identifiable" is a proof; "not
shown" says that sources record only part of the variables and that no way was found.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from causalplug.arguments import DOMAINS, NAMES, TEXT, instance, takes
from causalplug.errors import NotIdentifiableError, QueryError
from causalplug.graphs.bits import BitGraph, mask_of
from causalplug.graphs.graph import CausalGraph, expect_graph
from causalplug.graphs.source import Source, as_sources
from causalplug.identification.adjustment import (
    AdjustmentSets,
    Effect,
    Instrument,
    adjustment_sets,
    front_door_sets,
    instruments,
)
from causalplug.identification.assumptions import IDENTIFYING, Assume, as_assumptions
from causalplug.identification.c_factor import Regime
from causalplug.identification.certificate import Certificate, certify
from causalplug.identification.decide import Verdict
from causalplug.identification.estimand import ZERO, Estimand, Symbol, TermEstimand
from causalplug.identification.interpolation import Interpolated, with_interpolation
from causalplug.identification.monotone import by_monotone
from causalplug.identification.proxies import by_proxies
from causalplug.identification.query import Bound, Event, Query, Term, as_query
from causalplug.identification.ranges import decide_term, write_term
from causalplug.identification.recovered import by_recovered_noise, check_numbers
from causalplug.identification.regions import Region
from causalplug.identification.status import Status
from causalplug.identification.subtraction import by_subtraction, may_be_determined
from causalplug.identification.words import effect_of, in_words
from causalplug.values import Json, Named
from causalplug.wording import as_names, check_known

__all__ = ["STATUSES", "Identification", "identify", "require_identifiable"]

STATUSES = tuple(Status)

Sources = Source | Iterable[Any] | Named | None
Domains = Mapping[str, Iterable[Hashable]]


@dataclass(frozen=True, eq=False)
class Identification:
    """The answer to "may this be answered at all?"; true in a condition only if the status is
    ``"identifiable"``.

    Attributes:
        query: What was asked.
        graph: The causal graph.
        sources: The data sources, each with a name.
        status: One of ``STATUSES``: ``"identifiable"``; ``"zero"`` (the events exclude each other,
            the answer is 0); ``"undefined"`` (the evidence excludes itself); ``"not identifiable"``
            (proved); ``"not shown"``.
        interpolated: The values between those that an experiment set on which the answer rests,
            with their variables; empty unless ``interpolate`` was asked for.
        assumptions: What the answer rests on beside the graph, in sentences. Where effects are
            monotone, or a hidden cause has proxies, ``query`` is what was asked in terms that the
            data determine.
        not_zero: What must not be zero for the answer to exist: determinants of the equations by
            which proxies tell the values of a hidden cause apart. :meth:`causalplug.DCM.estimate`
            checks them.
        by_noise: Whether the answer follows from noise that is recovered from values, so that it
            has no formula in probabilities.
    """

    query: Query
    graph: CausalGraph
    sources: tuple[Source, ...]
    status: Status
    verdicts: tuple[Verdict, ...] = field(repr=False)
    domains: Mapping[str, tuple[Hashable, ...]] = field(default_factory=dict, repr=False)
    interpolated: Interpolated = ()
    assumptions: tuple[str, ...] = ()
    not_zero: tuple[Query, ...] = ()
    by_noise: bool = False

    @cached_property
    def regimes(self) -> list[Regime]:
        """The sources as distributions on bit sets, for the code that decides."""
        found = []
        for position, source in enumerate(self.sources):
            found.append(_regime(self.graph, source, position))
        return found

    @cached_property
    def domains_by_position(self) -> dict[int, tuple[Hashable, ...]]:
        """``domains`` by the positions of the graph."""
        return {self.graph.index[name]: values for name, values in self.domains.items()}

    def __bool__(self) -> bool:
        return self.status == Status.IDENTIFIABLE

    @property
    def answerable(self) -> bool:
        """Whether the answer is determined: by a formula, or because it is 0."""
        return self.status.answerable

    @cached_property
    def reason(self) -> str:
        """Why, in a sentence."""
        from causalplug.identification.explain import explain

        return explain(self)

    @cached_property
    def certificate(self) -> Certificate | None:
        """What stands in the way; None if nothing does."""
        if self.by_noise:
            return None
        for verdict in self.verdicts:
            if verdict.refusal is not None:
                return certify(
                    self.graph, verdict.refusal, tuple(str(source.name) for source in self.sources)
                )
        for verdict in self.verdicts:
            if verdict.contradiction is not None and not self:
                first, second = verdict.contradiction
                names: set[str] = set()
                for _, term in self.query.terms:
                    names.update(term.variables)
                sentence = f"{first} and {second} exclude each other"
                return Certificate("contradiction", frozenset(names), sentence, graph=self.graph)
        return None

    @cached_property
    def estimand(self) -> Estimand | None:
        """The formula in probabilities of the sources; None if there is none."""
        if not self.answerable or self.by_noise:
            return None
        terms = []
        for (coefficient, term), verdict in zip(self.query.terms, self.verdicts, strict=True):
            if verdict.answer is None:
                items = []
                for i, (label, variable, _) in enumerate(term.axes):
                    items.append((label, Symbol(variable, i)))
                axes = tuple(items)
                written = TermEstimand(ZERO, axes, axes[0][0] if term.expectation else None)
            else:
                written = write_term(verdict.answer, term)
            terms.append((coefficient, written))
        return Estimand(
            str(self.query),
            tuple(terms),
            tuple(str(source.name) for source in self.sources),
            self.query.formula,
        )

    @cached_property
    def adjustment_sets(self) -> AdjustmentSets:
        """The minimal sets of recorded variables to adjust for, smallest first; up to 100.

        Valid sets are those of the complete adjustment criterion (Shpitser, VanderWeele & Robins
        2010), within variables that one source records without setting any. There are none for a
        query of several worlds or several effects.
        """
        return AdjustmentSets.joined(
            adjustment_sets(self.graph, self._effect, recorded)
            for recorded in self._recorded
            if self._effect is not None
        )

    @cached_property
    def front_door_sets(self) -> AdjustmentSets:
        """The minimal front-door sets of at most three recorded variables (Pearl 2009,
        definition 3.3.3), for one treatment and one outcome."""
        return AdjustmentSets.joined(
            front_door_sets(self.graph, self._effect, recorded)
            for recorded in self._recorded
            if self._effect is not None
        )

    @cached_property
    def instruments(self) -> tuple[Instrument, ...]:
        """Recorded instruments of one treatment and one outcome, each with what to condition on
        (Pearl 2009, section 7.4.5)."""
        found = (
            instrument
            for recorded in self._recorded
            if self._effect is not None
            for instrument in instruments(self.graph, self._effect, recorded)
        )
        return tuple(dict.fromkeys(found))

    @cached_property
    def in_words(self) -> str:
        """How the answer is worked out, or why there is none, in a sentence or two."""
        return in_words(self)

    @cached_property
    def _effect(self) -> Effect | None:
        return effect_of(self.query)

    @cached_property
    def _recorded(self) -> list[frozenset[str]]:
        """What each source records that sets nothing; those within others are left out."""
        every = (frozenset(source.observed) for source in self.sources if not source.do)
        sets = dict.fromkeys(every)
        maximal = []
        for names in sets:
            if not any(names < other for other in sets):
                maximal.append(names)
        return maximal

    def suggest(self, most: int = 3) -> list[tuple[str, ...]]:
        """The smallest sets of experiments on one variable each that would make the query
        identifiable.

        Every experiment sets its variable to all of its values and records all others. Empty if the
        query is answerable already, or if no such experiments would do (or none was found among
        2,000 sets).

        Args:
            most: The largest number of experiments to think of.
        """
        from causalplug.identification.suggest import suggest

        return suggest(self, most)[0]

    def plot(self, ax: object = None) -> Any:
        """A matplotlib figure of the graph, with what stands in the way in colour."""
        from causalplug.plots import plot_certificate

        certificate = self.certificate or Certificate(
            "none", frozenset(), self.reason, graph=self.graph
        )
        return plot_certificate(certificate, ax=ax)

    def to_dict(self) -> Json:
        """What JSON can hold, for model cards and configs."""
        return {
            "query": self.query.name or str(self.query),
            "status": self.status,
            "reason": self.reason,
            "assumptions": list(self.assumptions),
            "estimand": None if self.estimand is None else str(self.estimand),
            "certificate": None if self.certificate is None else self.certificate.to_dict(),
        }

    def __str__(self) -> str:
        lines = [f"{self.query.name or self.query}: {self.status}", f"  {self.reason}"]
        if self.estimand is not None:
            lines.append(f"  = {self.estimand}")
        lines += [f"  assumed: {sentence}" for sentence in self.assumptions]
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        if self.estimand is None:
            formula = ""
        else:
            formula = f"\n\n$$= {self.estimand.to_latex()}$$"
        return f"`{self.query.name or self.query}`: **{self.status}**\n\n{self.reason}{formula}"


@takes(
    QueryError,
    query=TEXT.or_else(instance("a Query", Query)),
    domains=DOMAINS.or_none("unknown"),
    interpolate=NAMES,
)
def identify(
    graph: CausalGraph,
    query: Query | str,
    sources: Sources = None,
    *,
    domains: Domains | None = None,
    interpolate: str | Iterable[str] = (),
    assume: Assume | Iterable[Assume] = (),
) -> Identification:
    """Decide whether ``query`` is determined by the graph and the distributions that ``sources``
    are drawn from.

    Args:
        graph: The causal graph.
        query: A :class:`Query` or its text.
        sources: As for :func:`causalplug.plan`; by default one observational source of all
            variables.
        domains: All values of some variables, such as ``{"X": (0, 1)}``. Needed where sources that
            set a variable to some values are together to cover all of them, and for answers by
            subtraction: with two values of X, P(Y_{X=0} | X=1) follows from an experiment on X and
            the rows with X=0.
        interpolate: Names of variables whose effects are taken to be smooth between the numbers
            that an experiment set them to. Without it such an experiment determines those numbers
            only. What rests on it is said in ``interpolated``.
        assume: Declared assumptions, see :class:`causalplug.Assume`: monotone effects, by which
            probabilities of causation (PN, PS, PNS) and effects on compliers (LATE) follow, two
            proxies of a hidden cause, by which its effects' confounding is taken out, and monotone
            noise of numbers and invertible mechanisms of images, by which their
            counterfactuals do. They are used where there is no answer without them, and
            ``assumptions`` says which were.

    Returns:
        An :class:`Identification`; formula, reason and certificate are worked out when they are
        asked for.

    Raises:
        QuerySyntaxError, QueryError: Malformed text, a value outside ``domains``, or an assumption
            that does not fit the graph or is of no use here.
        UnknownVariableError: A variable that the graph does not have.
        SourceError: A source that does not fit the graph.
        GraphError: The graph is none.

    Example:
        >>> from causalplug.graphs.graph import CausalGraph
        >>> result = identify(CausalGraph.parse("D -> I -> A; D <-> A"), "P(A | do(D=1))")
        >>> result.status
        'identifiable'
        >>> print(result.estimand)
        Σ_{i} P(i | D=1) Σ_{d} P(d) P(a | d, i)
    """
    expect_graph(graph, "the query cannot be decided")
    smooth = as_names(interpolate)
    check_known(smooth, graph.index, "the query cannot be decided with interpolate")
    asked = as_query(query)
    asked.check(graph.index)
    checked = as_sources(graph, sources)
    known = _domains(graph, domains or {})
    declared = as_assumptions(graph, assume, kinds=IDENTIFYING)
    check_numbers(declared, known)
    for _, term in asked.terms:
        _check_values(term, known)
    result = _decided(Identification(asked, graph, checked, Status.NOT_SHOWN, (), known))
    if smooth:
        more, added = with_interpolation(checked, asked, smooth)
        if added and not result.answerable:
            result = _decided(
                Identification(asked, graph, more, Status.NOT_SHOWN, (), known, added)
            )
    if result.answerable or not declared:
        return result
    return _by_assumption(result, declared)


def _by_assumption(result: Identification, declared: tuple[Assume, ...]) -> Identification:
    """The identification by what is declared, itself if that does not help."""

    def determined(query: Query) -> Query | None:
        found = _decided(replace(result, query=query, status=Status.NOT_SHOWN, verdicts=()))
        if found.answerable:
            return found.query
        return None

    known = result.domains
    for rule in (by_monotone, by_proxies):
        found = rule(result.graph, result.query, declared, known, determined)
        if found is not None:
            decided = _decided(
                replace(result, query=found.query, status=Status.NOT_SHOWN, verdicts=())
            )
            return replace(decided, assumptions=found.rests_on, not_zero=found.not_zero)
    rests_on = by_recovered_noise(result.graph, result.query, declared, result.sources)
    if rests_on:
        return replace(result, status=Status.IDENTIFIABLE, assumptions=rests_on, by_noise=True)
    return result


def _decided(result: Identification) -> Identification:
    """The identification with its status and verdicts."""
    bit_graph = BitGraph.of(result.graph)

    def verdict(term: Term) -> Verdict:
        return decide_term(bit_graph, term, result.regimes, result.domains_by_position)

    def status(term: Term) -> Status:
        return verdict(term).status

    verdicts = tuple(verdict(term) for _, term in result.query.terms)
    found = replace(result, status=_status(verdicts), verdicts=verdicts)
    if found.status not in (Status.NOT_IDENTIFIABLE, Status.NOT_SHOWN) or not result.domains:
        return found
    other = by_subtraction(result.query, result.domains, status)
    if other is not None:
        verdicts = tuple(verdict(term) for _, term in other.terms)
        return replace(result, query=other, status=_status(verdicts), verdicts=verdicts)
    return replace(found, status=_with_doubt(found, status))


def _with_doubt(found: Identification, status: Callable[[Term], Status]) -> Status:
    """The status; "not shown" where the proof does not hold for variables of two values."""
    refused = []
    for (_, term), verdict in zip(found.query.terms, found.verdicts, strict=True):
        if verdict.status == Status.NOT_IDENTIFIABLE:
            refused.append(term)
    if refused and all(may_be_determined(term, found.domains, status) for term in refused):
        return Status.NOT_SHOWN
    return found.status


def require_identifiable(
    graph: CausalGraph,
    query: Query | str,
    sources: Sources = None,
    *,
    domains: Domains | None = None,
    assume: Assume | Iterable[Assume] = (),
) -> Identification:
    """:func:`identify`, but an answer that is not determined is an error.

    Returns:
        The identification, with status ``"identifiable"`` or ``"zero"``.

    Raises:
        NotIdentifiableError: With the reason; its ``identification`` holds certificate and
            suggestions.
    """
    result = identify(graph, query, sources, domains=domains, assume=assume)
    if not result.answerable:
        raise NotIdentifiableError(
            f"{result.query.name or result.query} is {result.status}: {result.reason}; "
            "causalplug.bounds(graph, query, data) gives the answers that the data allow",
            result,
        )
    return result


def _status(verdicts: tuple[Verdict, ...]) -> Status:
    found = {verdict.status for verdict in verdicts}
    for status in (
        Status.UNDEFINED,
        Status.NOT_IDENTIFIABLE,
        Status.NOT_SHOWN,
        Status.IDENTIFIABLE,
    ):
        if status in found:
            return status
    return Status.ZERO


def _regime(graph: CausalGraph, source: Source, position: int) -> Regime:
    observed, intervened = (
        mask_of(graph.index[n] for n in names) for names in (source.observed, source.do)
    )
    box = {graph.index[name]: frozenset(values) for name, values in source.values.items()}
    return Regime(observed, intervened, (box,), (position,))


def _domains(graph: CausalGraph, domains: Domains) -> dict[str, tuple[Hashable, ...]]:
    check_known(domains, graph.index, "the domains cannot be used")
    return {name: tuple(dict.fromkeys(values)) for name, values in domains.items()}


def _check_values(term: Term, domains: Mapping[str, tuple[Hashable, ...]]) -> None:
    def check(event: Event) -> None:
        pairs = [
            (event.variable, event.value),
            *((n, v) for n, v in event.do.items() if not isinstance(v, Event)),
        ]
        for name, value in pairs:
            if (
                value is not None
                and not isinstance(value, Bound | Region)
                and value not in domains.get(name, (value,))
            ):
                raise QueryError(
                    f"{term} cannot be answered: {name}={value} is no value of {name}; its values "
                    f"are {', '.join(map(str, domains[name]))}"
                )
        for value in event.do.values():
            if isinstance(value, Event):
                check(value)

    for event in term.events:
        check(event)
