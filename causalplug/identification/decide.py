"""The decision for one term: counterfactual graph, c-factors, sources; yes, no, zero, undefined or
not shown.

The conditional case follows Correa, Lee & Bareinboim 2021, Theorem 3: cut the edges out of the
evidence, keep what is then connected to an outcome; the conditional probability is the product of
the kept c-factors, summed over what no event fixes, over the same for the evidence alone. All of
these have to be identifiable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from causalplug.graphs.bits import BitGraph, ancestors_within, bits, mask_of
from causalplug.identification.c_factor import Box, Obstacle, Regime
from causalplug.identification.ctf_graph import Clash, CounterfactualGraph, Factor
from causalplug.identification.estimand import Constant
from causalplug.identification.query import Bound, Term
from causalplug.identification.solver import Needs, Resolution, Solver, candidate_scopes
from causalplug.identification.status import Status
from causalplug.selection import of_kind

__all__ = ["Answer", "Refusal", "Verdict", "decide"]

Resolved = tuple[tuple[Factor, Resolution], ...]


@dataclass(frozen=True, eq=False)
class Answer:
    """What the formula of an identified term is made of.

    Attributes:
        graph: The graph (or latent projection) in which the factors were found.
        numerator: The counterfactual graph of all events; ``kept`` its relevant variables,
            ``factors`` their c-factors.
        evidence: The same three for the evidence alone, if it is not simply the numerator summed
            over the outcomes.
        direct: The regime that has the answer as it stands, if there is one; there are no factors
            then.
    """

    graph: BitGraph
    numerator: CounterfactualGraph
    kept: int
    factors: Resolved
    evidence: tuple[CounterfactualGraph, int, Resolved] | None = None
    direct: Regime | None = None

    @property
    def conditional(self) -> bool:
        """Whether there is anything to divide by."""
        return bool(self.numerator.evidence_within(self.kept))


@dataclass(frozen=True, eq=False)
class Refusal:
    """Why a term was not identified.

    Attributes:
        graph: The graph (or latent projection) in which it was tried.
        clash: The c-component in which a variable is needed at two values, or None.
        failed: The c-factors that no regime gives, with the obstacle in each regime.
        unrecorded: Variables that matter and that no source records.
    """

    graph: BitGraph
    clash: Clash | None = None
    failed: tuple[tuple[Factor, tuple[Obstacle, ...]], ...] = ()
    unrecorded: int = 0


@dataclass(frozen=True, eq=False)
class Verdict:
    """The decision for one term.

    Attributes:
        status: ``"identifiable"``, ``"not identifiable"``, ``"not shown"``, ``"zero"`` or
            ``"undefined"``.
        answer, refusal: Whichever there is.
        contradiction: For ``"zero"`` and ``"undefined"``, the two events that exclude each other.
        combined: Whether partially recorded sources had to be combined.
        exhausted: Whether the search through combinations was given up.
    """

    status: Status
    answer: Answer | None = None
    refusal: Refusal | None = None
    contradiction: tuple[str, str] | None = None
    combined: bool = False
    exhausted: bool = False


def decide(
    full: BitGraph, term: Term, regimes: list[Regime], domains: Mapping[int, tuple[object, ...]]
) -> Verdict:
    """Whether ``regimes`` determine ``term`` in the graph ``full``."""
    evidence = CounterfactualGraph(full, (), term.evidence)
    if evidence.contradiction:
        return Verdict(Status.UNDEFINED, contradiction=evidence.contradiction)
    numerator = CounterfactualGraph(full, term.outcomes, term.evidence)
    if numerator.contradiction:
        return Verdict(Status.ZERO, contradiction=numerator.contradiction)
    term = _without_irrelevant_evidence(full, term, numerator, evidence)
    needed, mentioned = _variables_of(full, term)
    required = needed | mentioned
    graph = full.induced(ancestors_within(full.parents, required, full.present))
    regimes = _within(graph, regimes)
    telling = [regime for regime in regimes if regime.observed]
    size = max(1, graph.present.bit_count())
    solver = Solver(graph, telling, domains, budget=min(20_000, max(1500, 8_000_000 // size**2)))
    direct = _direct(graph, term, solver)
    if direct is not None:
        return Verdict(Status.IDENTIFIABLE, answer=direct)
    result = attempt(graph, term, solver)
    if isinstance(result, Answer):
        return Verdict(Status.IDENTIFIABLE, answer=result)
    if result.clash or all(regime.recorded == graph.present for regime in regimes):
        return Verdict(Status.NOT_IDENTIFIABLE, refusal=result)
    return _combine(graph, term, regimes, solver, needed, required, result)


def _without_irrelevant_evidence(
    full: BitGraph, term: Term, numerator: CounterfactualGraph, evidence: CounterfactualGraph
) -> Term:
    """``term`` without the evidence that changes nothing.

    Evidence counts if its variable is connected to an outcome, or if a node that is reads its
    value; and its causes count, if it is their values that make two worlds share a node.
    """
    kept, below = _tied(numerator, evidence)
    wanted = numerator.signature(kept), evidence.signature(below)
    if evidence.equal_evidence:
        return term
    for enough in (numerator.evidence_read(kept), numerator.evidence_read(kept, above=True)):
        again, alone = (
            CounterfactualGraph(full, term.outcomes, enough),
            CounterfactualGraph(full, (), enough),
        )
        inside, under = _tied(again, alone)
        if (again.signature(inside), alone.signature(under)) == wanted:
            return term.with_evidence(enough)
    return term


def _variables_of(full: BitGraph, term: Term) -> tuple[int, int]:
    """The variables without which the answer to ``term`` cannot be had, and those without which it
    cannot be put.

    The second are all that its worlds set, as far as any node reads it: a projection without one of
    them would take a variable that is set for one that is free.
    """
    numerator, alone = (
        CounterfactualGraph(full, term.outcomes, term.evidence),
        CounterfactualGraph(full, (), term.evidence),
    )
    inside, under = _tied(numerator, alone)
    events = term.outcomes + numerator.evidence_read(inside)
    needed = mask_of(numerator.index[event.variable] for event in events)
    needed |= numerator.set_for(inside) | alone.set_for(under)
    mentioned = mask_of(numerator.index[event.variable] for event in term.events)
    for graph in (numerator, alone):
        mentioned |= graph.set_for(graph.mask) | graph.set_for(graph.mask, nested=True)
    return needed, mentioned


def _direct(graph: BitGraph, term: Term, solver: Solver) -> Answer | None:
    """A regime whose interventions are those of the term, as far as they matter, and that
    records all its events."""
    numerator = CounterfactualGraph(graph, term.outcomes, term.evidence)
    if term.layer == 3 or numerator.equal or numerator.equal_evidence:
        return None
    events = mask_of(numerator.index[event.variable] for event in term.events)
    kept = numerator.mask
    wanted = numerator.set_for(kept)
    atoms = {v: numerator.set_to(v, term.worlds[0]) for v in bits(wanted)}
    factor = Factor(kept, wanted, atoms)
    for regime in solver.regimes:
        above = ancestors_within(graph.parents, events, graph.present & ~regime.set_variables)
        if (
            events & ~regime.observed
            or graph.parents_of(above) & regime.set_variables != wanted
            or above != kept
        ):
            continue
        if solver.covers(regime, wanted, needs_of(factor, solver.domains)):
            return Answer(graph, numerator, kept, ((factor, Resolution(())),), direct=regime)
    return None


def _within(graph: BitGraph, regimes: list[Regime]) -> list[Regime]:
    """The regimes as far as they are about ``graph``, those of one kind pooled."""
    pooled: dict[tuple[int, int], Regime] = {}
    for regime in regimes:
        observed, set_variables = (
            regime.observed & graph.present,
            regime.set_variables & graph.present,
        )
        present_boxes = []
        for box in regime.boxes:
            present_boxes.append({v: values for v, values in box.items() if graph.present >> v & 1})
        boxes: tuple[Box, ...] = tuple(present_boxes)
        other = pooled.get((observed, set_variables))
        if other is not None:
            boxes = tuple(
                box
                for i, box in enumerate(other.boxes + boxes)
                if box not in (other.boxes + boxes)[:i]
            )
        if other:
            sources = (*other.sources, *regime.sources)
        else:
            sources = regime.sources
        pooled[observed, set_variables] = Regime(observed, set_variables, boxes, sources)
    return list(pooled.values())


def attempt(graph: BitGraph, term: Term, solver: Solver) -> Answer | Refusal:
    """Find every c-factor of ``term`` in ``graph`` among what ``solver`` knows."""
    if term.evidence and not any(isinstance(event.value, Bound) for event in term.outcomes):
        # With the outcomes' values left open the evidence's probability is a sum of the
        # numerator's.
        opened = CounterfactualGraph(graph, term.outcomes, term.evidence, open_outcomes=True)
        kept = opened.tied(term.outcomes)
        resolved = _resolve(graph, opened.factors(kept), solver)
        if not isinstance(resolved, Refusal):
            return Answer(graph, opened, kept, resolved)
        if not opened.closing:
            return resolved
    numerator = CounterfactualGraph(graph, term.outcomes, term.evidence)
    alone = CounterfactualGraph(graph, (), term.evidence)
    kept, below = _tied(numerator, alone)
    resolved = _resolve(graph, numerator.factors(kept), solver)
    normaliser = _resolve(graph, alone.factors(below), solver)
    if isinstance(resolved, Refusal) or isinstance(normaliser, Refusal):
        return _both(resolved, normaliser)
    if not below:
        return Answer(graph, numerator, kept, resolved)
    return Answer(graph, numerator, kept, resolved, (alone, below, normaliser))


def _both(*parts: Resolved | Refusal) -> Refusal:
    """One refusal for numerator and normaliser; a clash in either settles it."""
    refusals = of_kind(parts, Refusal)
    clashing = next((refusal for refusal in refusals if refusal.clash), None)
    failed = tuple(pair for refusal in refusals for pair in refusal.failed)
    return clashing or replace(refusals[0], failed=failed)


def _tied(numerator: CounterfactualGraph, alone: CounterfactualGraph) -> tuple[int, int]:
    """The variables whose factors do not cancel between all events and the evidence ``alone``.

    A constant outcome can make two worlds share a node that is evidence in one of them; the edges
    out of it are then cut among all events but not among the evidence alone. So whatever is
    connected there is taken in on both sides.
    """
    kept = numerator.tied(numerator.outcomes)
    while True:
        evidence = numerator.evidence_within(kept)
        below = alone.tied(evidence, keep_evidence=True)
        more = alone.evidence_within(below)
        if set(more) <= set(evidence):
            return kept, below
        kept |= numerator.tied(more, keep_evidence=True)


def _resolve(graph: BitGraph, factors: list[Factor | Clash], solver: Solver) -> Resolved | Refusal:
    found, failed = [], []
    for factor in factors:
        if isinstance(factor, Clash):
            return Refusal(graph, clash=factor)
        way = solver.effect(factor.inside, factor.outside, needs_of(factor, solver.domains))
        if isinstance(way, Resolution):
            found.append((factor, way))
        else:
            failed.append((factor, tuple(way)))
    if failed:
        return Refusal(graph, failed=tuple(failed))
    return tuple(found)


def needs_of(factor: Factor, domains: Mapping[int, tuple[object, ...]]) -> Needs:
    """The values of its parents at which a c-factor is needed."""
    atoms = ((p, factor.atoms[p]) for p in bits(factor.outside))
    found = {}
    for p, atom in atoms:
        found[p] = (atom.value,) if isinstance(atom, Constant) else domains.get(p)
    return found


def _combine(
    graph: BitGraph,
    term: Term,
    regimes: list[Regime],
    solver: Solver,
    needed: int,
    required: int,
    refusal: Refusal,
) -> Verdict:
    """Partially recorded sources: projections on fewer variables, and combinations of sources."""
    recorded = 0
    for regime in regimes:
        recorded |= regime.recorded
    if needed & ~recorded:
        return Verdict(
            Status.NOT_IDENTIFIABLE, refusal=Refusal(graph, unrecorded=needed & ~recorded)
        )
    recorded |= required
    # Even if every source recorded what any of them records: a refusal then is a proof.
    together = graph.project(recorded)
    extended = [replace(r, observed=recorded & ~r.set_variables) for r in regimes]
    hopeless = attempt(together, term, Solver(together, extended, solver.domains))
    if isinstance(hopeless, Refusal):
        return Verdict(Status.NOT_IDENTIFIABLE, refusal=hopeless)
    # Every scope costs a search through the graph, so large graphs get fewer of them.
    scopes = candidate_scopes(
        graph, solver.regimes, required, most=min(128, max(16, 4000 // graph.present.bit_count()))
    )
    while True:
        for scope in scopes:
            result = attempt(solver.projection(scope), term, solver)
            if isinstance(result, Answer):
                return Verdict(Status.IDENTIFIABLE, answer=result, combined=True)
        if not solver.combine(scopes):
            return Verdict(Status.NOT_SHOWN, refusal=refusal, exhausted=solver.exhausted)
