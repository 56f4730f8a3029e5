"""C-factors from a data source: Tian's recursion on bit sets.

Q[S] is the distribution of the variables S under do() on all others; it depends on S and its
parents only. A source with interventions I gives Q[S] if the recursion of Tian & Pearl 2002
(Identify) reaches S inside the c-component of S in the graph without I; where it stops, with the
set T, the pair (T, S) is a hedge (Shpitser & Pearl 2006; Huang & Valtorta 2006). With all variables
recorded, Q[S] is identifiable from several sources iff one of them gives it (Lee, Correa &
Bareinboim 2019, gID).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from causalplug.graphs.bits import (
    BitGraph,
    ancestors_within,
    component_within,
    components_within,
)

__all__ = ["Box", "Effect", "Obstacle", "Recursion", "Regime", "effect_from", "identify_c_factor"]

Box = Mapping[int, frozenset[Any]]


@dataclass(frozen=True, eq=False)
class Regime:
    """A distribution that is known: of ``observed`` under do(``set_variables``).

    Attributes:
        observed, set_variables: Bit sets.
        boxes: The values that were set: a variable that a box does not name was set to any value;
            several boxes, if several sources of the same kind were pooled.
        sources: Positions of the pooled sources; empty if the distribution was worked out from
            others.
        origin: For those, the effects whose product it is (see
            :mod:`causalplug.identification.solver`).
    """

    observed: int
    set_variables: int
    boxes: tuple[Box, ...] = ({},)
    sources: tuple[int, ...] = ()
    origin: Any = None

    @property
    def recorded(self) -> int:
        """What was observed or set."""
        return self.observed | self.set_variables


@dataclass(frozen=True)
class Recursion:
    """How Q[``target``] was reached: ``steps`` of pairs (ancestral set, c-component in it), each
    inside the last.

    Q of the first component comes from the regime by the chain rule, that of every further one from
    its ancestral set, a margin of the component before; ``target`` is a margin of the last.
    """

    target: int
    steps: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Effect:
    """P(``target`` | do(``under``)) out of ``regime``, as the sum over ``summed`` of the product of
    c-factors.

    Attributes:
        graph: The latent projection on what the regime recorded, in which the recursions ran.
    """

    target: int
    under: int
    regime: Regime
    graph: BitGraph
    summed: int
    factors: tuple[Recursion, ...]


@dataclass(frozen=True)
class Obstacle:
    """Why a regime does not give an effect.

    Attributes:
        kind: ``"hedge"``; ``"set"`` (the regime sets some of the target's variables);
            ``"unrecorded"``; ``"changed"`` (it also sets a cause of the target that the effect
            leaves alone); ``"values"`` (other values were set).
        regime: Which one.
        inside: Hedge: the larger set T; otherwise the variables that are in the way.
        root: Hedge: the smaller set S.
    """

    kind: str
    regime: Regime
    inside: int
    root: int = 0


def identify_c_factor(graph: BitGraph, target: int, observed: int) -> Recursion | int:
    """Reach Q[``target``] from the distribution of ``observed``, everything else being set or not
    in the graph.

    Returns:
        The recursion, or the bit set of the component in which it stops.

    Source: Tian & Pearl 2002, "A General Identification Condition for Causal Effects", Lemmas 3 and
        4.
    """
    steps = []
    ancestral = ancestors_within(graph.parents, target, observed)
    while True:
        component = component_within(graph.siblings, target & -target, ancestral)
        steps.append((ancestral, component))
        ancestral = ancestors_within(graph.parents, target, component)
        if ancestral == target:
            return Recursion(target, tuple(steps))
        if ancestral == component:
            return component


def effect_from(
    regime: Regime, full: BitGraph, projected: BitGraph, target: int, under: int
) -> Effect | Obstacle:
    """Work P(``target`` | do(``under``)) out of ``regime``; values that were set are not looked at.

    Args:
        regime: The distribution.
        full: The causal graph.
        projected: Its latent projection on what the regime recorded.
        target, under: Disjoint bit sets.
    """
    if regime.set_variables & target:
        return Obstacle("set", regime, regime.set_variables & target)
    missing = (target | under) & ~regime.recorded
    if missing:
        return Obstacle("unrecorded", regime, missing)
    # Rule 3: what the regime sets beyond ``under`` must not be a cause of the target under
    # do(under).
    changed = ancestors_within(full.parents, target, full.present & ~under) & regime.set_variables
    if changed:
        return Obstacle("changed", regime, changed)
    needed = ancestors_within(projected.parents, target, regime.observed & ~under)
    factors = []
    for component in components_within(projected.siblings, needed):
        found = identify_c_factor(projected, component, regime.observed)
        if isinstance(found, int):
            return Obstacle("hedge", regime, found, component)
        factors.append(found)
    return Effect(target, under, regime, projected, needed & ~target, tuple(factors))


def is_set_to(regime: Regime, values: Mapping[int, object]) -> bool:
    """Whether the regime covers these values of the variables that it sets; others are not
    looked at."""
    return any(
        all(value in box[v] for v, value in values.items() if v in box) for box in regime.boxes
    )


def restricted(regime: Regime) -> int:
    """The variables that the regime sets to some values only."""
    found = 0
    for box in regime.boxes:
        for v in box:
            found |= 1 << v
    return found
