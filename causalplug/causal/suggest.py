"""Which experiments would make a query identifiable."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from causalplug.causal.bits import BitGraph, ancestors_within, bits
from causalplug.causal.c_factor import Effect, Regime, effect_from
from causalplug.causal.decide import Refusal, Verdict, decide

if TYPE_CHECKING:
    from causalplug.causal.identification import Identification

__all__ = ["suggest"]


def suggest(result: Identification, most: int = 3) -> list[tuple[str, ...]]:
    """The smallest sets of experiments on one variable each that make ``result.query`` identifiable."""
    refusals = [verdict.refusal for verdict in result.verdicts if verdict.refusal is not None]
    if result.answerable or result.status == "undefined" or any(refusal.clash for refusal in refusals):
        return []
    graph = BitGraph.of(result.graph)
    helpful = _helpful(graph, refusals)
    for size in range(1, most + 1):
        found = [c for c in combinations(helpful, size) if _suffices(result, graph, c)]
        if found:
            return [graph.named(sum(1 << v for v in c)) for c in found]
    return []


def _helpful(graph: BitGraph, refusals: list[Refusal]) -> list[int]:
    """Variables whose experiment gives at least one of the failed c-factors.

    Where sources are partial the failed factors depend on the projection, so every ancestor of the query is tried.
    """
    everything = graph.present
    found = 0
    for refusal in refusals:
        related = refusal.unrecorded
        for factor, _ in refusal.failed:
            related |= factor.inside | factor.outside
        above = ancestors_within(graph.parents, related, everything)
        if refusal.unrecorded or refusal.graph.present != graph.induced(above).present:
            found |= above
            continue
        for v in bits(above):
            regime = Regime(everything & ~(1 << v), 1 << v)
            if any(
                isinstance(effect_from(regime, graph, graph, f.inside, f.outside), Effect) for f, _ in refusal.failed
            ):
                found |= 1 << v
    return list(bits(found))


def _suffices(result: Identification, graph: BitGraph, chosen: tuple[int, ...]) -> bool:
    from causalplug.causal.identification import _regime

    regimes = [_regime(result.graph, source, i) for i, source in enumerate(result.sources)]
    for v in chosen:
        regimes.append(Regime(graph.present & ~(1 << v), 1 << v, ({},), (len(regimes),)))
    domains = {result.graph.index[name]: values for name, values in result.domains.items()}
    verdicts: list[Verdict] = []
    for (_, term), before in zip(result.query.terms, result.verdicts, strict=True):
        if before.refusal is not None:
            verdicts.append(decide(graph, term, regimes, domains))
            if verdicts[-1].status != "identifiable":
                return False
    return bool(verdicts)
