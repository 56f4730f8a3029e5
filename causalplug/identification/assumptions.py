"""Assumptions that a graph cannot express, declared one by one: monotone and additive effects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from causalplug.arguments import NAME, REQUIRED, TEXT, read_fields, setting
from causalplug.errors import QueryError
from causalplug.graphs.graph import CausalGraph
from causalplug.wording import check_known, did_you_mean, listed

__all__ = ["KINDS", "Assume", "as_assumptions"]

KINDS = {
    "monotone": "{effect} never falls when {cause} rises, in any unit",
    "antitone": "{effect} never rises when {cause} rises, in any unit",
    "additive": "the effect of {cause} on {effect} does not depend on what they share unobserved",
}
"""What each kind says, in a sentence."""


@dataclass(frozen=True)
class Assume:
    """An assumption about the effect of one variable on another.

    It is used by :func:`causalplug.bounds`, and every answer that rests on it says so. Values are
    ordered as in the declared domain of the variable, or sorted.

    Args:
        kind: ``"monotone"`` (no unit responds the other way), ``"antitone"`` (the same, downwards),
            or ``"additive"`` (the mean effect is the same for all values of the hidden
            confounder).
        cause: Name of the cause, a parent of ``effect`` in the graph.
        effect: Name of the effect.

    Raises:
        QueryError: If the kind is unknown or the two names are equal.

    Example:
        >>> str(Assume("monotone", cause="X", effect="Y"))
        'monotone X -> Y: Y never falls when X rises, in any unit'
    """

    kind: str = setting(REQUIRED, TEXT)
    cause: str = setting(REQUIRED, NAME)
    effect: str = setting(REQUIRED, NAME)

    def __post_init__(self) -> None:
        read_fields(self, QueryError)
        if self.kind not in KINDS:
            hint = did_you_mean(self.kind, KINDS) or f"; the kinds are {listed(KINDS)}"
            raise QueryError(f"{self.kind!r} cannot be assumed: it is not a known kind{hint}")
        if self.cause == self.effect:
            raise QueryError(
                f"{self.kind} cannot be assumed of {self.cause} on itself: name a cause and its "
                "effect"
            )

    def __str__(self) -> str:
        sentence = KINDS[self.kind].format(cause=self.cause, effect=self.effect)
        return f"{self.kind} {self.cause} -> {self.effect}: {sentence}"


def as_assumptions(graph: CausalGraph, given: Assume | Iterable[Any]) -> tuple[Assume, ...]:
    """The assumptions ``given``, checked against ``graph``.

    Raises:
        QueryError: If an item is not an :class:`Assume`, or the cause is not a parent of the
            effect.
        UnknownVariableError: If a name is not in the graph.
    """
    items: tuple[Any, ...]
    if isinstance(given, Assume):
        items = (given,)
    elif isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping):
        items = tuple(given)
    else:
        items = (given,)
    for item in items:
        if not isinstance(item, Assume):
            raise QueryError(
                f"{item!r} is not an assumption; write cp.Assume('monotone', cause='X', effect='Y')"
            )
        check_known((item.cause, item.effect), graph.index, f"{item.kind} cannot be assumed")
        if item.cause not in graph.parents(item.effect):
            raise QueryError(
                f"{item.kind} cannot be assumed of {item.cause} on {item.effect}: there is no "
                f"arrow {item.cause} -> {item.effect}; assume it for each arrow on the way"
            )
    return tuple(dict.fromkeys(items))
