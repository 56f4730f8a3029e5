"""Assumptions that a graph cannot express, declared one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from causalplug.arguments import REQUIRED, TEXT, read_fields, setting, several
from causalplug.errors import QueryError
from causalplug.graphs.graph import CausalGraph
from causalplug.wording import check_known, did_you_mean, listed

__all__ = [
    "BOUNDING",
    "IDENTIFYING",
    "INVERTIBLE",
    "KINDS",
    "NOISE",
    "PROXIES",
    "RECOVERING",
    "Assume",
    "as_assumptions",
]

NOISE, INVERTIBLE, PROXIES = "monotone noise", "invertible", "proxies"
RECOVERING = (NOISE, INVERTIBLE)
"""Kinds about one mechanism, by which the noise of a row is known from its values."""
KINDS = {
    "monotone": "{effect} never falls when {cause} rises, in any unit",
    "antitone": "{effect} never rises when {cause} rises, in any unit",
    "additive": "the effect of {cause} on {effect} does not depend on what they share unobserved",
    NOISE: "{effect} rises with its own noise, which is one number, whatever its causes are",
    INVERTIBLE: "{effect} comes of its causes and its own noise as its trained mechanism says, "
    "and its noise is known from their values",
    PROXIES: "what {cause} and {effect} share unobserved is one hidden cause, which has no more "
    "values than its proxies {first} and {second} and is told apart by them, and no other hidden "
    "cause joins these four",
}
"""What each kind says, in a sentence."""
BOUNDING = ("monotone", "antitone", "additive")
"""Kinds that narrow bounds."""
IDENTIFYING = ("monotone", "antitone", PROXIES, *RECOVERING)
"""Kinds by which an answer may be identified."""

_ELSEWHERE = {
    "monotone": "it is used by identify, DCM.estimate and bounds",
    "antitone": "it is used by identify, DCM.estimate and bounds",
    "additive": "it narrows bounds; give it to causalplug.bounds",
    NOISE: "it is about counterfactuals of numbers; give it to identify or DCM.counterfactual",
    INVERTIBLE: "it is about counterfactuals of images; give it to identify or DCM.counterfactual",
    PROXIES: "it is used by identify and DCM.estimate",
}


@dataclass(frozen=True)
class Assume:
    """An assumption about the effect of one variable on another, or about one mechanism.

    It is used by :func:`causalplug.bounds`, :func:`causalplug.identify`,
    :meth:`causalplug.DCM.estimate` and :meth:`causalplug.DCM.counterfactual`, and every answer that
    rests on it says so. Values are ordered as in the declared domain of the variable, or sorted.

    Args:
        kind: ``"monotone"`` (no unit responds the other way), ``"antitone"`` (the same, downwards),
            ``"additive"`` (the mean effect is the same for all values of the hidden confounder),
            ``"proxies"`` (the hidden confounder of cause and effect is one variable, of which
            ``proxies`` tell as many values as it has),
            ``"monotone noise"`` (a number that rises with its own noise, which is one number, so
            that the noise of a row is known from its values), or ``"invertible"`` (an image, or
            another variable, that comes about as its trained mechanism says, whose noise is known
            from its values; that this mechanism is the true one no data can tell).
        cause: Name of the cause, a parent of ``effect`` in the graph; none for
            ``"monotone noise"`` and ``"invertible"``.
        effect: Name of the effect.
        proxies: Names of two proxies of the hidden confounder, for ``"proxies"`` alone: one that
            may act on the cause, and one that may act on the effect.

    Raises:
        QueryError: If the kind is unknown, a name is missing, or the two names are equal.

    Example:
        >>> str(Assume("monotone", cause="X", effect="Y"))
        'monotone X -> Y: Y never falls when X rises, in any unit'
    """

    kind: str = setting(REQUIRED, TEXT)
    cause: str = setting("", TEXT)
    effect: str = setting("", TEXT)
    proxies: tuple[str, ...] = setting((), several(TEXT, most=2))

    def __post_init__(self) -> None:
        read_fields(self, QueryError)
        if self.kind not in KINDS:
            hint = did_you_mean(self.kind, KINDS) or f"; the kinds are {listed(KINDS)}"
            raise QueryError(f"{self.kind!r} cannot be assumed: it is not a known kind{hint}")
        if self.kind in RECOVERING and (self.cause or not self.effect):
            raise QueryError(
                f"{self.kind} cannot be assumed with cause={self.cause!r} and effect="
                f"{self.effect!r}: it is about the mechanism of one variable, the effect"
            )
        if self.kind not in RECOVERING and not (self.cause and self.effect):
            raise QueryError(
                f"{self.kind} cannot be assumed with cause={self.cause!r} and effect="
                f"{self.effect!r}: name a cause and its effect"
            )
        if self.cause == self.effect:
            raise QueryError(
                f"{self.kind} cannot be assumed of {self.cause} on itself: name a cause and its "
                "effect"
            )
        self._check_proxies()

    def _check_proxies(self) -> None:
        if self.kind != PROXIES and self.proxies:
            raise QueryError(
                f"{self.kind} cannot be assumed with proxies={self.proxies}: only 'proxies' has "
                "them"
            )
        names = {self.cause, self.effect, *self.proxies}
        if self.kind == PROXIES and (len(self.proxies) != 2 or len(names) < 4):
            raise QueryError(
                f"proxies cannot be assumed with cause={self.cause!r}, effect={self.effect!r} and "
                f"proxies={self.proxies}: name two other variables, first the one that may act on "
                "the cause, then the one that may act on the effect"
            )

    def __str__(self) -> str:
        words = dict(zip(("first", "second"), self.proxies, strict=False))
        sentence = KINDS[self.kind].format(cause=self.cause, effect=self.effect, **words)
        if self.kind in RECOVERING:
            return f"{self.kind} of {self.effect}: {sentence}"
        return f"{self.kind} {self.cause} -> {self.effect}: {sentence}"


def as_assumptions(
    graph: CausalGraph, given: Assume | Iterable[object], *, kinds: Collection[str] = tuple(KINDS)
) -> tuple[Assume, ...]:
    """The assumptions ``given``, checked against ``graph``.

    Args:
        graph: The causal graph.
        given: One assumption or several.
        kinds: Those that are of use here.

    Raises:
        QueryError: If an item is not an :class:`Assume`, is of no use here, or the cause is not a
            parent of the effect.
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
        if item.kind not in kinds:
            raise QueryError(f"{item} cannot be used here: {_ELSEWHERE[item.kind]}")
        _check_names(graph, item)
    return tuple(dict.fromkeys(items))


def _check_names(graph: CausalGraph, item: Assume) -> None:
    names = [name for name in (item.cause, item.effect, *item.proxies) if name]
    check_known(names, graph.index, f"{item.kind} cannot be assumed")
    if item.kind == PROXIES:
        _check_order(graph, item)
        return
    if item.cause and item.cause not in graph.parents(item.effect):
        raise QueryError(
            f"{item.kind} cannot be assumed of {item.cause} on {item.effect}: there is no "
            f"arrow {item.cause} -> {item.effect}; assume it for each arrow on the way"
        )
    if item.kind in RECOVERING and graph.siblings(item.effect):
        others = sorted(graph.siblings(item.effect))
        raise QueryError(
            f"{item.kind} cannot be assumed of {item.effect}: it shares a hidden cause with "
            f"{listed(others)}, so that its noise is not its own"
        )


def _check_order(graph: CausalGraph, item: Assume) -> None:
    """Proxies are no effects of what they are proxies for, and the cause acts on the effect."""
    if item.cause not in graph.ancestors([item.effect]):
        raise QueryError(
            f"proxies cannot be assumed for {item.cause} on {item.effect}: no path leads from "
            f"{item.cause} to {item.effect}"
        )
    after = [name for name in item.proxies if name in graph.descendants([item.cause])]
    if after:
        raise QueryError(
            f"{listed(after)} cannot be a proxy for {item.cause} on {item.effect}: it is an effect "
            f"of {item.cause}; name a variable that {item.cause} does not act on"
        )
