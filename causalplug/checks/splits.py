"""Which parts of a formula's condition vary apart from each other, so that their combinations
have to be seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from causalplug.identification.estimand import (
    Atom,
    Constant,
    Expression,
    Probability,
    Product,
)
from causalplug.identification.notation import walk
from causalplug.selection import of_kind, within, without

__all__ = ["Split", "leaves_in_context", "splits_of"]


@dataclass(frozen=True)
class Split:
    """Values that the formula needs at every value of a context.

    Attributes:
        varied: What varies apart from the context: what is set, or drawn by itself.
        context: What it is needed at.
        under: Constants under which the context is drawn.
    """

    varied: tuple[Atom, ...]
    context: tuple[Atom, ...]
    under: tuple[Constant, ...] = ()


def splits_of(leaf: Probability, others: Sequence[Probability]) -> list[Split]:
    """The splits of what ``leaf`` is conditioned on.

    What is set (a constant, or a value that no other factor draws) is needed at everything that is
    drawn, except what is drawn for that very value. And what a factor draws under such a set value
    is needed at all that is not drawn along with it: in the front-door formula the mediator, drawn
    under do(X=1), meets every x'.

    Args:
        leaf: A conditional probability of the formula.
        others: What it is multiplied by.
    """
    known = tuple(dict.fromkeys(leaf.given + leaf.do))
    drawn = {atom for other in others for atom in other.of}
    fixed = tuple(a for a in known if _is_set(a, drawn))
    rest = tuple(without(known, fixed))
    below = []
    for o in others:
        if any(_is_set(a, drawn) for a in o.given + o.do):
            below.append(o)
    return [*_at_set_values(fixed, rest, below), *_at_drawn_values(rest, below)]


def _at_set_values(
    fixed: tuple[Atom, ...], rest: tuple[Atom, ...], below: Sequence[Probability]
) -> list[Split]:
    """What is set, at everything that is drawn but for what is drawn for that very value."""
    if not fixed:
        return []
    with_fixed: set[Atom] = set()
    for factor in below:
        if not set(fixed).isdisjoint(factor.given + factor.do):
            with_fixed.update(factor.of)
    return [Split(fixed, tuple(without(rest, with_fixed)))]


def _at_drawn_values(rest: tuple[Atom, ...], below: Sequence[Probability]) -> list[Split]:
    """What is drawn apart, at everything that factors draw under set values."""
    along: dict[Atom, None] = {}
    conditions: dict[Atom, None] = {}
    for factor in below:
        together = _together(factor, rest)
        along |= dict.fromkeys(together)
        if together:
            conditions |= dict.fromkeys((*factor.given, *factor.do))
    apart = tuple(without(rest, along))
    if not along or not apart:
        return []
    under = tuple(of_kind(conditions, Constant))
    return [Split(apart, tuple(along), under)]


def _together(factor: Probability, atoms: Sequence[Atom]) -> list[Atom]:
    """The ``atoms`` that a factor draws, with those that it draws them for."""
    if not set(factor.of) & set(atoms):
        return []
    return within((*factor.of, *factor.given, *factor.do), atoms)


def _is_set(atom: Atom, drawn: set[Atom]) -> bool:
    return isinstance(atom, Constant) or atom not in drawn


def leaves_in_context(formula: Expression) -> Iterator[tuple[Probability, list[Probability]]]:
    """Every probability with the others that it is multiplied by, those inside nested sums
    included."""
    yield from _visit(formula, [])


def _visit(
    node: Expression, around: list[Probability]
) -> Iterator[tuple[Probability, list[Probability]]]:
    if isinstance(node, Probability):
        yield node, around
        return
    for child in node.children:
        beside: list[Probability] = []
        if isinstance(node, Product):
            beside = []
            for other in node.children:
                if other is not child:
                    beside.extend(_leaves(other))
        yield from _visit(child, [*around, *beside])


def _leaves(expression: Expression) -> Iterator[Probability]:
    return (leaf for leaf in walk(expression) if isinstance(leaf, Probability))
