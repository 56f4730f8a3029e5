"""Which experiments would make a query identifiable."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations, islice
from typing import TYPE_CHECKING, Protocol

from causalplug.graphs.bits import BitGraph, ancestors_within, bits, mask_of
from causalplug.identification.c_factor import Effect, Regime, effect_from
from causalplug.identification.decide import Refusal

if TYPE_CHECKING:
    from causalplug.graphs.graph import CausalGraph
    from causalplug.graphs.source import Source
    from causalplug.identification.certificate import Certificate
    from causalplug.identification.decide import Verdict
    from causalplug.identification.interpolation import Interpolated
    from causalplug.identification.query import Query
from functools import reduce
from operator import or_

from causalplug.identification.ranges import decide_term
from causalplug.identification.status import Status

__all__ = ["Decision", "suggest"]


class Decision(Protocol):
    """What the explanations read of a :class:`causalplug.Identification`."""

    @property
    def query(self) -> Query: ...
    @property
    def graph(self) -> CausalGraph: ...
    @property
    def status(self) -> str: ...
    @property
    def answerable(self) -> bool: ...
    @property
    def verdicts(self) -> tuple[Verdict, ...]: ...
    @property
    def certificate(self) -> Certificate | None: ...
    @property
    def sources(self) -> tuple[Source, ...]: ...
    @property
    def interpolated(self) -> Interpolated: ...
    @property
    def assumptions(self) -> tuple[str, ...]: ...
    @property
    def by_noise(self) -> bool: ...
    @property
    def regimes(self) -> list[Regime]: ...
    @property
    def domains_by_position(self) -> dict[int, tuple[Hashable, ...]]: ...


MAX_TRIALS = 2000


def _is_hopeless(result: Decision, refusals: Sequence[Refusal]) -> bool:
    """Whether no experiment could help: there is an answer, or there never is one."""
    if result.answerable or result.status == Status.UNDEFINED:
        return True
    return any(refusal.clash for refusal in refusals)


def suggest(
    result: Decision, most: int = 3, trials: int = MAX_TRIALS
) -> tuple[list[tuple[str, ...]], bool]:
    """The smallest sets of experiments on one variable each that make ``result.query``
    identifiable.

    Args:
        result: A refusal; there is nothing to suggest for an answer.
        most: The largest number of experiments in a set.
        trials: How many sets are decided on.

    Returns:
        All sets of the smallest size that suffices, and whether all of that size and below were
        tried.
    """
    refusals = []
    for verdict in result.verdicts:
        if verdict.refusal is not None:
            refusals.append(verdict.refusal)
    if _is_hopeless(result, refusals):
        return [], True
    graph = BitGraph.of(result.graph)
    needed: list[int] = []
    for refusal in refusals:
        needed += _each_needs_one_of(graph, refusal)
    candidates = reduce(or_, needed, 0) or graph.present
    for size in range(1, most + 1):
        hitting = _hitting(candidates, size, needed)
        tried = list(islice(hitting, trials))
        trials -= len(tried)
        found = [graph.named(mask_of(c)) for c in tried if _suffices(result, graph, c)]
        complete = next(hitting, None) is None
        if found or not complete:
            return found, complete
    return [], True


def _hitting(candidates: int, size: int, needed: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Sets of so many candidates that have a member in each of the needed sets."""
    for chosen in combinations(bits(candidates), size):
        mask = mask_of(chosen)
        if all(mask & one for one in needed):
            yield chosen


def _each_needs_one_of(graph: BitGraph, refusal: Refusal) -> list[int]:
    """Per c-factor that failed, the variables whose experiment gives it; nothing is known of
    partial recordings.

    There the factors that fail depend on the projection, and any experiment helps by recording
    everything.
    """
    related = mask_of(
        v for factor, _ in refusal.failed for v in bits(factor.inside | factor.outside)
    )
    above = ancestors_within(graph.parents, related | refusal.graph.present, graph.present)
    partial = any(
        o.kind in ("unrecorded", "changed") for _, obstacles in refusal.failed for o in obstacles
    )
    if partial or refusal.unrecorded or above != refusal.graph.present:
        return []
    found = []
    for factor, _ in refusal.failed:
        gives = 0
        for v in graph.order:
            regime = Regime(graph.present & ~(1 << v), 1 << v)
            if isinstance(effect_from(regime, graph, graph, factor.inside, factor.outside), Effect):
                gives |= 1 << v
        found.append(gives)
    return found


def _suffices(result: Decision, graph: BitGraph, chosen: tuple[int, ...]) -> bool:
    """Whether experiments on each of ``chosen``, beside the sources, make every refused term
    identifiable."""
    regimes = list(result.regimes)
    items = []
    for i, v in enumerate(chosen):
        items.append(Regime(graph.present & ~(1 << v), 1 << v, ({},), (len(regimes) + i,)))
    regimes += items
    return all(
        decide_term(graph, term, regimes, result.domains_by_position).status == Status.IDENTIFIABLE
        for (_, term), before in zip(result.query.terms, result.verdicts, strict=True)
        if before.refusal is not None
    )
