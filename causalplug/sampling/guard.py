"""Before an answer is computed: may it be given at all, from the data that the model was trained
on?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

from causalplug.caveats import Caveat
from causalplug.errors import NotIdentifiableError, SamplingError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.identification.assumptions import RECOVERING, Assume, as_assumptions
from causalplug.identification.identification import Identification, identify
from causalplug.identification.query import Event, Query
from causalplug.identification.query import World as Setting
from causalplug.model.caveats import caveats_of
from causalplug.noise import Seen
from causalplug.sampling.assumed import assumption_caveats, by_mechanism, check_mechanisms
from causalplug.sampling.condition import Given
from causalplug.sampling.interventions import Drawn, Intervention, Response
from causalplug.sampling.terms import normalised
from causalplug.selection import any_of_kind, to_dicts, within
from causalplug.values import Json
from causalplug.wording import as_names, check_known, listed

if TYPE_CHECKING:
    from causalplug.model.model import Model
    from causalplug.sampling.worlds import World

__all__ = ["NOT_CHECKED", "Clearance", "clear", "known_sources", "queries_of", "seen_in"]

NOT_CHECKED = "not checked"
_COMBINATIONS = (
    32  # of values of do() that are checked one by one; beyond, they are checked as "every value"
)


@dataclass(frozen=True)
class Clearance:
    """Whether the data determine an answer, and why.

    Attributes:
        status: That of :class:`~causalplug.identification.identification.Identification`, or ``"not
            checked"`` for a model that does not know what it was trained on.
        query: What was asked, as text.
        identification: The decision, or None where there was nothing to decide.
        warnings: What is known to be doubtful about the answer.
    """

    status: str
    query: str
    identification: Identification | None = None
    warnings: tuple[Caveat, ...] = ()

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        if self.identification is not None:
            return self.identification.reason
        if self.status == NOT_CHECKED:
            return "the model does not know what data it was trained on, so nothing was checked"
        return "everything asked for is set or given"

    @property
    def marked(self) -> bool:
        """Whether the answer must not be read as a fact about the world."""
        return self.status not in ("identifiable", "zero")

    def attributes(self) -> Json:
        """What goes with a table: plain values."""
        return {
            "query": self.query,
            "identification": self.status,
            "reason": self.reason,
            "assumptions": list(self.identification.assumptions) if self.identification else [],
            "warnings": to_dicts(self.warnings),
        }


def clear(
    dcm: Model,
    queries: Query | Sequence[Query],
    *,
    allow_unidentified: bool = False,
    interpolate: str | Iterable[str] = (),
    assume: Assume | Iterable[Assume] = (),
) -> Clearance:
    """Decide whether all ``queries`` are identifiable from the sources that ``dcm`` was trained on.

    Args:
        dcm: The model; without sources nothing is checked, and the answer says so.
        queries: What an answer rests on.
        allow_unidentified: Let the answer pass, marked, instead of raising.
        interpolate: Names of variables whose effects are taken to be smooth between the numbers
            that an experiment set them to.
        assume: Declared assumptions; those by which rows of the model are right.

    Raises:
        QueryError: An assumption that does not fit, or that the model's mechanisms do not have.
        NotIdentifiableError: A query is not identifiable; ``identification`` holds the certificate.
        UnknownVariableError: A query names a variable that the graph does not have.
    """
    queries = [queries] if isinstance(queries, Query) else list(queries)
    for query in queries:
        query.check(dcm.graph.variables)
    text = _shown(queries)
    smooth = as_names(interpolate)
    check_known(smooth, dcm.graph.index, "interpolate= cannot be used")
    _check_trained(dcm, queries)
    written = [normalised(dcm, query) for query in queries]
    warnings = caveats_of(dcm, written)
    sources = known_sources(dcm)
    if sources is None:
        return Clearance(NOT_CHECKED, text, warnings=warnings)
    domains = tuple((name, v.categories) for name, v in dcm.variables.items() if v.is_discrete)
    declared = as_assumptions(dcm.graph, assume, kinds=RECOVERING)
    check_mechanisms(dcm, declared)
    found = []
    for q in written:
        found.append(_identified(dcm.graph, q, sources, domains, smooth, declared))
    warnings += _interpolated(found)
    warnings += tuple(caveat for result in found for caveat in assumption_caveats(result))
    for query, identification in zip(queries, found, strict=True):
        if identification.answerable:
            continue
        if not allow_unidentified:
            raise NotIdentifiableError(_refusal(dcm, query, identification), identification)
        doubts = (_unidentified(query, identification), *warnings)
        return Clearance(identification.status, text, identification, doubts)
    if not found:
        return Clearance("identifiable", text, warnings=warnings)
    worst = next((i for i in found if not i), found[0])
    return Clearance(worst.status, text, worst, warnings)


def _shown(queries: Sequence[Query]) -> str:
    """The first four of the queries, as text."""
    text = "; ".join(str(query.name or query) for query in queries[:4])
    return f"{text} …" if len(queries) > 4 else text


def _check_trained(dcm: Model, queries: Sequence[Query]) -> None:
    """Refuse questions that read mechanisms which training left out.

    Raises:
        SamplingError: With the variables, and what to do.
    """
    if dcm.plan is None:
        return
    planned: set[str] = set()
    for module in dcm.plan.modules:
        planned.update(module.variables)
    if planned.issuperset(dcm.graph.variables):
        return
    for query in queries:
        missing = within(dcm.graph.variables, query.reads(dcm.graph) - planned)
        if missing:
            raise SamplingError(
                f"{query.name or query} cannot be answered: it reads {listed(missing)}, and the "
                "model was trained for other questions, cp.fit(…, queries=[…]), which do not. "
                "Train it with this question among them, or without queries."
            )


def _interpolated(found: Sequence[Identification]) -> tuple[Caveat, ...]:
    """The marks of answers between the values that an experiment set."""
    values = dict.fromkeys(pair for result in found for pair in result.interpolated)
    caveats = []
    for name, value in values:
        text = (
            f"No experiment set {name} to {value:g}; the answer is read between the values that "
            "were set."
        )
        caveats.append(Caveat("interpolation", f"do({name}={value:g})", text, {"value": value}))
    return tuple(caveats)


def _unidentified(query: Query, identification: Identification) -> Caveat:
    """The mark of an answer that the data do not determine."""
    reason = identification.reason.rstrip(".")
    text = f"The answer is the model's own, not a fact about the data: {reason}."
    return Caveat("unidentified", str(query.name or query), text)


def _refusal(dcm: Model, query: Query, identification: Identification) -> str:
    data = listed([source.describe() for source in identification.sources], most=4)
    return (
        f"{query} cannot be answered from {data}: it is {identification.status}. "
        f"{identification.reason.rstrip('.')}. Ask something else, train on data that determine "
        "it, ask what the data allow with causalplug.bounds(graph, query, data) or "
        "DCM.estimate(query, bounds=True), or pass allow_unidentified=True for the model's own "
        f"answer, marked as such.{by_mechanism(dcm, query)}"
    )


@lru_cache(maxsize=4096)
def _identified(
    graph: CausalGraph,
    query: Query,
    sources: tuple[Source, ...],
    domains: tuple[tuple[str, tuple[object, ...]], ...],
    interpolate: tuple[str, ...],
    assume: tuple[Assume, ...],
) -> Identification:
    """The decision, kept by query: graphs, queries and sources are immutable."""
    return identify(
        graph, query, sources, domains=dict(domains), interpolate=interpolate, assume=assume
    )


def seen_in(given: Sequence[Given]) -> tuple[Seen, ...]:
    """What was seen, to be kept with the noise that was chosen by it."""
    found = []
    for part in given:
        do = tuple((name, _single(i)) for name, i in part.world.do.items())
        found += [Seen(c.name, c.value, do, c.pins) for c in part.parts]
    return tuple(found)


def _single(intervention: Intervention) -> Any:
    """The one value that is set, None for several."""
    support = intervention.support or ()
    if len(support) == 1:
        return support[0]
    return None


def known_sources(dcm: Model) -> tuple[Source, ...] | None:
    """What a model was trained on; of one that was put together, what its modules were."""
    if dcm.sources is not None:
        return tuple(dcm.sources)
    held = dcm.mechanisms.unopened().values()
    modules = {id(m.module): m.module for m in held if m.module is not None}
    found = [source for module in modules.values() for source in module.sources or ()]
    names = set(dcm.graph.variables)
    kept = []
    for source in found:
        if source.do <= names and source.recorded & names:
            kept.append(
                Source(source.recorded & names, source.values or source.do, name=source.name)
            )
    return tuple(dict.fromkeys(kept)) or None


def queries_of(
    graph: CausalGraph,
    targets: Sequence[tuple[World, Sequence[str]]],
    given: Sequence[Given] = (),
    seen: Sequence[Seen] = (),
) -> list[Query]:
    """What a sample rests on, as queries.

    A value that is drawn or chosen by a policy is replaced by do() at every value it may take: with
    the variables that the policies read and the conditions as outcomes, that distribution gives the
    asked one by summing. Conditions that are no single value are outcomes as well. This may refuse
    what a cleverer argument would allow, never the other way round.
    """
    worlds = [world for world, _ in targets] + [g.world for g in given]
    interventions = {id(i): i for world in worlds for i in world.do.values()}
    soft = any_of_kind(interventions.values(), Drawn | Response)
    queries = []
    for chosen in _choices(list(interventions.values())):
        events = _Events(soft)
        for world, names in targets:
            events.ask(world, names, _setting(world.do, chosen))
        for g in given:
            setting = _setting(g.world.do, chosen)
            for condition in g.parts:
                events.know(condition.name, condition.value, setting, condition.pins)
        for one in seen:
            events.know(one.name, one.value, Setting(dict(one.do)), one.pins)
        if asked := events.asked():
            queries.append(Query(asked, given=list(events.evidence)))
    return queries


class _Events:
    """Outcomes and evidence of one query.

    Args:
        soft: Whether values are drawn or chosen by a policy, so that evidence is an outcome, too.
    """

    def __init__(self, soft: bool):
        self.soft = soft
        self.outcomes: dict[Event, None] = {}
        self.evidence: dict[Event, None] = {}

    def ask(self, world: World, names: Sequence[str], setting: Setting) -> None:
        """Add outcomes, and what the policies of their world read."""
        reads = [read for i in world.do.values() for read in i.reads]
        for name in [*names, *reads]:
            if name not in world.do:
                self.outcomes.setdefault(Event(name, None, setting))

    def know(self, name: str, value: object, setting: Setting, pins: bool) -> None:
        """Add what is known; what is no single value is an outcome."""
        if self.soft or not pins:
            self.outcomes.setdefault(Event(name, None, setting))
        else:
            self.evidence.setdefault(Event(name, value, setting))

    def asked(self) -> list[Event]:
        """The outcomes that are not known."""
        known = {(event.variable, event.do) for event in self.evidence}
        events = []
        for event in self.outcomes:
            if (event.variable, event.do) not in known:
                events.append(event)
        return events


def _choices(interventions: list[Intervention]) -> Iterable[dict[int, object]]:
    """Value by intervention, None for every value: each combination of the values that may be
    set."""
    supports = [i.support or (None,) for i in interventions]
    combinations = 1
    for support in supports:
        combinations *= len(support)
    if combinations > _COMBINATIONS:
        supports = [support if len(support) == 1 else (None,) for support in supports]
    return (
        {id(i): value for i, value in zip(interventions, values, strict=True)}
        for values in product(*supports)
    )


def _setting(do: Mapping[str, Intervention], chosen: Mapping[int, object]) -> Setting:
    return Setting({name: chosen[id(intervention)] for name, intervention in do.items()})
