"""Which interventional distributions follow from the data sources: each c-factor of a query is
looked up here.

If every source records every variable that matters, one source has to give the c-factor (gID) and
the answer is complete. Sources that record only part of the variables are combined: a distribution
that follows from several of them, in the latent projection on some of the variables, becomes a
further regime to start from, until nothing new follows. That is sound; it is not claimed to find
everything (identification by matrix inversion, for one, is out of its reach).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any

from causalplug.graphs.bits import BitGraph, ancestors_within, bits, components_within, mask_of
from causalplug.identification.c_factor import (
    Box,
    Effect,
    Obstacle,
    Regime,
    effect_from,
    is_set_to,
    restricted,
)
from causalplug.selection import by_name

__all__ = ["Composite", "Needs", "Resolution", "Solver"]

OTHER = "…"
"""Stands for the values of a variable of which no list is known."""

Needs = Mapping[int, tuple[Any, ...] | None]
"""Per variable under do(), the values at which the effect is needed; None for all values."""


@dataclass(frozen=True)
class Composite:
    """P(``target`` | do(``under``)) as the sum over ``summed`` of a product of resolved
    c-factors of ``graph``."""

    target: int
    under: int
    graph: BitGraph
    summed: int
    factors: tuple[tuple[int, int, Resolution], ...]


@dataclass(frozen=True)
class Resolution:
    """How an effect is obtained: one way, or several for different values of some variables under
    do().

    Attributes:
        branches: Pairs of the values ``{variable: value}`` for which a way holds (empty: for all)
            and the way.
    """

    branches: tuple[tuple[Mapping[int, object], Effect | Composite], ...]


@dataclass
class Solver:
    """Effects that follow from ``regimes`` in ``graph``.

    Args:
        graph: The causal graph over the variables that matter.
        regimes: What is known; grows while partially recorded sources are combined.
        domains: All values of a variable, where they are known.
        budget: How many single steps may be tried before the search is given up.
    """

    graph: BitGraph
    regimes: list[Regime]
    domains: Mapping[int, tuple[object, ...]] = field(default_factory=dict)
    budget: int = 20_000

    def __post_init__(self) -> None:
        self._projections: dict[int, BitGraph] = {}
        self._steps: dict[tuple[int, int, int], Effect | Obstacle] = {}
        self._open: set[tuple[int, int]] = set()
        self.combining = False
        self.scopes: list[int] = []

    @property
    def exhausted(self) -> bool:
        """Whether the search was given up."""
        return self.budget <= 0

    def projection(self, keep: int) -> BitGraph:
        """The latent projection on ``keep``, remembered."""
        if keep == self.graph.present:
            return self.graph
        if keep not in self._projections:
            self._projections[keep] = self.graph.project(keep)
        return self._projections[keep]

    def effect(self, target: int, under: int, needs: Needs) -> Resolution | list[Obstacle]:
        """P(``target`` | do(``under``)) at the values ``needs``, or what stands in the way in
        every regime."""
        values = _listed(needs, under)
        found: list[Effect] = []
        obstacles: list[Obstacle] = []
        for regime in self.regimes:
            step = self._step(regime, target, under)
            if isinstance(step, Obstacle):
                obstacles.append(step)
            elif self.covers(regime, under, needs):
                return Resolution((({}, step),))
            else:
                found.append(step)
                obstacles.append(Obstacle("values", regime, restricted(regime) & under))
        together = self._by_values(found, under, values)
        if together is None and self.combining:
            together = self._combined(target, under, needs)
        if together is None:
            return obstacles
        return together

    def _step(self, regime: Regime, target: int, under: int) -> Effect | Obstacle:
        key = id(regime), target, under
        if key not in self._steps:
            self.budget -= 1
            self._steps[key] = effect_from(
                regime, self.graph, self.projection(regime.recorded), target, under
            )
        return self._steps[key]

    # --- values ---

    def covers(self, regime: Regime, under: int, needs: Needs) -> bool:
        """Whether the regime's values of the variables ``under`` include all that are needed."""
        values = _listed(needs, under)
        tested = list(bits(restricted(regime) & under))
        if any(all(set(values[v]) <= box[v] for v in tested if v in box) for box in regime.boxes):
            return True
        return len(regime.boxes) > 1 and all(
            is_set_to(regime, dict(zip(tested, combination, strict=True)))
            for combination in product(*(values[v] for v in tested))
        )

    def _by_values(
        self, found: list[Effect], under: int, values: Mapping[int, tuple[object, ...]]
    ) -> Resolution | None:
        """Different regimes for different values, if together they cover all that are needed."""
        if len(found) < 2:
            return None
        tested = sorted({v for step in found for v in bits(restricted(step.regime) & under)})
        branches = []
        for combination in product(*(values[v] for v in tested)):
            config = dict(zip(tested, combination, strict=True))
            step = next((s for s in found if is_set_to(s.regime, config)), None)
            if step is None:
                return None
            branches.append(({v: value for v, value in config.items() if value is not OTHER}, step))
        return Resolution(tuple(branches))

    # --- partially recorded sources ---

    def _combined(self, target: int, under: int, needs: Needs) -> Resolution | None:
        """The effect as a sum of products of effects in the projection on some scope."""
        if (target, under) in self._open or len(self._open) > 2 or self.exhausted:
            return None
        self._open.add((target, under))
        try:
            for scope in self.scopes:
                if (target | under) & ~scope:
                    continue
                way = self._compose(self.projection(scope), target, under, needs)
                if way is not None:
                    return Resolution((({}, way),))
        finally:
            self._open.discard((target, under))
        return None

    def _compose(self, graph: BitGraph, target: int, under: int, needs: Needs) -> Composite | None:
        inside = ancestors_within(graph.parents, target, graph.present & ~under)
        parts = []
        for component in components_within(graph.siblings, inside):
            parents = graph.parents_of(component)
            if component == target and parents == under:
                return None
            inner = {}
            for p in bits(parents):
                inner[p] = needs.get(p) if under >> p & 1 else self.domains.get(p)
            way = self.effect(component, parents, inner)
            if isinstance(way, list):
                return None
            parts.append((component, parents, way))
        return Composite(target, under, graph, inside & ~target, tuple(parts))

    def combine(self, scopes: Iterable[int]) -> bool:
        """Add the regimes that follow from the present ones over ``scopes``; whether there was
        anything new."""
        self.combining = True
        self.scopes = list(dict.fromkeys(scopes))
        new = False
        wanted = [(r.set_variables, box) for r in self.regimes if r.sources for box in r.boxes]
        wanted += [(0, {})]
        for scope in self.scopes:
            for set_variables, box in wanted:
                if (
                    set_variables & ~scope
                    or self.exhausted
                    or self._known(scope, set_variables, box)
                ):
                    continue
                way = self._compose(
                    self.projection(scope),
                    scope & ~set_variables,
                    set_variables,
                    dict(box_needs(box)),
                )
                if way is not None:
                    self.regimes.append(
                        Regime(scope & ~set_variables, set_variables, (box,), (), way)
                    )
                    new = True
        return new

    def _known(self, scope: int, set_variables: int, box: Box) -> bool:
        return scope == set_variables or any(
            r.set_variables == set_variables and not scope & ~r.recorded and box in r.boxes
            for r in self.regimes
        )


def _listed(needs: Needs, under: int) -> dict[int, tuple[object, ...]]:
    given = by_name(needs.get, bits(under))
    return {v: (OTHER,) if values is None else values for v, values in given.items()}


def box_needs(box: Box) -> Iterable[tuple[int, tuple[object, ...]]]:
    """A regime's values as values that are needed."""
    return ((v, tuple(values)) for v, values in box.items())


def candidate_scopes(
    graph: BitGraph, regimes: Iterable[Regime], required: int, most: int = 128
) -> list[int]:
    """Sets of variables in whose projection the query may be decided, each containing ``required``,
    small ones first.

    All sets, if few variables are optional; else what the regimes record, with unions and
    intersections, and all but one of the variables.
    """
    optional = graph.present & ~required
    free = list(bits(optional))
    if 1 << len(free) <= most:
        chosen = []
        for k in range(len(free) + 1):
            for c in combinations(free, k):
                chosen.append(mask_of(c))
        return [required | c for c in chosen]
    recorded = list(dict.fromkeys(r.recorded & graph.present for r in regimes))
    found = [0, optional, *recorded]
    items = []
    for a, b in combinations(recorded, 2):
        items.append(a & b)
    found += [a | b for a, b in combinations(recorded, 2)] + items
    everything = 0
    for scope in recorded:
        everything |= scope
    found += (
        [everything] + [optional & ~(1 << v) for v in free] + [everything & ~(1 << v) for v in free]
    )
    unique = list(dict.fromkeys(required | f & optional for f in found))
    return sorted(unique[:most], key=lambda scope: scope.bit_count())
