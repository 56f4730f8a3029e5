"""How gradients reach what is trained through what is frozen: by enumeration, by the score
function, or through the network.

A mechanism that is trained generates values, from which a critic's gradient has to come back to
it, through frozen mechanisms on the way. Categories are enumerated, or weighed by their
probabilities. Numbers and vectors carry the gradient along, as long as every mechanism that reads
them passes it. Where one does not, a black box for example, the number is weighed by its density
instead (the score function, Williams 1992), which needs nothing of what reads it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from causalplug.errors import PlanError
from causalplug.selection import within
from causalplug.wording import listed

__all__ = [
    "MOST_ENUMERATED",
    "SCORE_COPIES",
    "GradientPaths",
    "Link",
    "Passage",
    "gradient_paths",
    "sentence",
    "ways_through",
]

MOST_ENUMERATED = 64  # joint values of weighed variables that are enumerated, by default
SCORE_COPIES = 8  # independent draws per row of the leave-one-out score function
_ENDLESS = 2**62  # values of a count: too many to be enumerated
_NONE = "none is needed"
_KNOWN = "the network"
_UNKNOWN = "the network if it is differentiable, else by the score function,"


@dataclass(frozen=True)
class Link:
    """What is known of the mechanism of one variable.

    Attributes:
        parents: What it reads.
        trained: Its parameters are updated.
        countable: Its values are categories or counts.
        explicit: It tells the exact probability or density of its values.
        opaque: Parents that no gradient reaches through it.
        known: Whether that is known of it; otherwise ``opaque`` is empty.
        chooses: It makes choices within itself that are weighed by their probabilities.
    """

    parents: tuple[str, ...]
    trained: bool
    countable: bool
    explicit: bool
    opaque: frozenset[str] = frozenset()
    known: bool = True
    chooses: bool = False


@dataclass(frozen=True)
class GradientPaths:
    """By which variables a gradient reaches what is trained.

    Attributes:
        weighed: Categories and counts whose probabilities carry it.
        scored: Numbers and vectors whose densities carry it, because something that reads them does
            not pass it, and what makes choices within itself.
        moving: What carries it in its values.
    """

    weighed: tuple[str, ...]
    scored: tuple[str, ...]
    moving: tuple[str, ...]


@dataclass(frozen=True)
class Passage:
    """How a gradient passes the values of a target, by the numbers of values and the settings.

    Attributes:
        mode: ``"sample"`` where values carry all of it, ``"enumerate"``, ``"score"``, or
            ``"relaxed"`` for straight-through values.
        spread: Weighed variables that are enumerated within the draws of mode ``"score"``.
    """

    mode: str
    spread: frozenset[str] = frozenset()

    @classmethod
    def choose(
        cls,
        order: Sequence[str],
        paths: GradientPaths,
        sizes: Mapping[str, int | None],
        *,
        gradient: str = "auto",
        most: int = MOST_ENUMERATED,
    ) -> Passage:
        """The passage of a target.

        Args:
            order: Its variables, in topological order.
            paths: What :func:`gradient_paths` found.
            sizes: Number of values of each weighed variable; None where they have no end.
            gradient: The setting of this name.
            most: Joint values that are enumerated.

        Raises:
            PlanError: The setting asks for what cannot be.
        """
        _check_setting(paths, gradient)
        if gradient == "straight-through":
            return cls("relaxed")
        if not (paths.scored or paths.weighed):
            return cls("sample")
        known = {name: sizes[name] or _ENDLESS for name in paths.weighed}
        few = not paths.scored and math.prod(known.values()) <= most
        if gradient == "enumerate" or (gradient == "auto" and few):
            return cls("enumerate")
        return cls("score", _last(order, paths, known, most // SCORE_COPIES))

    def words(self, paths: GradientPaths) -> dict[str, str]:
        """What it is for each weighed variable, in words."""
        known = {"enumerate": "enumeration", "relaxed": "straight-through values"}
        found = {}
        for name in paths.weighed:
            found[name] = known.get(self.mode, "the score function")
            if name in self.spread:
                found[name] = "enumeration"
        return found


def _check_setting(paths: GradientPaths, gradient: str) -> None:
    """Refuse a setting that leaves no way where the score function has to be taken.

    Raises:
        PlanError: It does.
    """
    if paths.scored and gradient in ("enumerate", "straight-through"):
        raise PlanError(
            f"gradient={gradient!r} cannot be used: no gradient passes what reads the values "
            f"of {paths.scored[0]}, or what paints them, so that the score function has to be "
            'taken. Leave gradient out, or use "rloo".'
        )


def _last(
    order: Sequence[str], paths: GradientPaths, sizes: Mapping[str, int], budget: int
) -> frozenset[str]:
    """The last weighed variables whose joint values are at most ``budget``."""
    found: list[str] = []
    for name in reversed(order):
        if name in paths.scored:
            break
        if name not in paths.weighed:
            continue
        budget //= sizes[name]
        if budget < 1:
            break
        found.append(name)
    return frozenset(found)


def gradient_paths(links: Mapping[str, Link]) -> GradientPaths:
    """The paths of the gradient to everything that is trained.

    Args:
        links: The variables that are drawn, in topological order. Parents that are not among them
            come from rows.

    Raises:
        PlanError: A gradient would be lost: something trained is read by a mechanism that does not
            pass it, and has no density either.
    """
    scored: set[str] = set()
    while True:
        moving, weighed, lost = _traced(links, scored)
        if lost is None:
            choosing = {name for name, link in links.items() if link.trained and link.chooses}
            kept = tuple(name for name in links if name in scored | choosing)
            return GradientPaths(tuple(weighed), kept, tuple(moving))
        name, parent = lost
        scored |= _behind(links, moving, name, parent)


def _traced(
    links: Mapping[str, Link], scored: Collection[str]
) -> tuple[list[str], list[str], tuple[str, str] | None]:
    """What moves, what is weighed, and the first mechanism with a parent whose gradient it
    loses."""
    moving: list[str] = []
    weighed: list[str] = []
    for name, link in links.items():
        reads = [parent for parent in link.parents if parent in moving]
        lost = _lost(name, link, reads)
        if lost:
            return moving, weighed, (name, lost[0])
        if name in scored or not (reads or link.trained):
            continue
        if link.countable:
            weighed.append(name)
        else:
            moving.append(name)
    return moving, weighed, None


def _lost(name: str, link: Link, reads: Sequence[str]) -> list[str]:
    """Those of ``reads`` whose gradient a mechanism loses.

    Raises:
        PlanError: It is trained, and no gradient reaches it.
    """
    if not link.countable or link.explicit:
        return within(reads, link.opaque)
    if link.trained and not reads:
        raise PlanError(
            f"{name} cannot be trained by a critic: its mechanism does not tell the "
            "probabilities of its values, so no gradient reaches it. Give it a mechanism "
            "with an explicit density, or the default one."
        )
    return list(reads)


def _behind(links: Mapping[str, Link], moving: Collection[str], name: str, parent: str) -> set[str]:
    """The variables with a density that carry the gradient in place of ``parent``, whose gradient
    the mechanism of ``name`` loses.

    Raises:
        PlanError: There are none.
    """
    link = links[parent]
    if link.explicit:
        return {parent}
    if link.trained:
        raise PlanError(
            f"{parent} cannot be trained through {name}: no gradient passes the mechanism of "
            f"{name}, a black box, and that of {parent} has no explicit density, so that the score "
            f"function cannot be used either. Use a differentiable mechanism for {name}, give "
            f"{parent} one with an explicit density, or train by the likelihood."
        )
    found: set[str] = set()
    for above in link.parents:
        if above in moving:
            found |= _behind(links, moving, name, above)
    return found


def ways_through(
    links: Mapping[str, Link], paths: GradientPaths, words: Mapping[str, str]
) -> dict[str, str]:
    """How gradients pass each frozen mechanism, in words.

    Args:
        links: As for :func:`gradient_paths`.
        paths: What it found.
        words: How they pass each weighed variable, in words.
    """
    named = {**words, **dict.fromkeys(paths.scored, "the score function")}
    reached: dict[str, dict[str, list[str]]] = {}
    for name, link in links.items():
        through = _KNOWN if link.known else _UNKNOWN
        smooth = dict.fromkeys(paths.moving, through)
        reached[name] = _reached(link.parents, {**smooth, **named}, reached, links)
    return {name: _said(reached[name]) for name, link in links.items() if not link.trained}


def _reached(
    parents: Iterable[str],
    words: Mapping[str, str],
    before: Mapping[str, Mapping[str, Sequence[str]]],
    links: Mapping[str, Link],
) -> dict[str, list[str]]:
    """By which words a gradient passes from a mechanism to what, its own way or that of a frozen
    parent."""
    found: dict[str, list[str]] = {}
    for parent in parents:
        if parent in words:
            _add(found, words[parent], [parent])
        elif parent in links and not links[parent].trained:
            for word, names in before[parent].items():
                _add(found, word, names)
    return found


def _add(into: dict[str, list[str]], word: str, names: Iterable[str]) -> None:
    held = into.setdefault(word, [])
    held += [name for name in names if name not in held]


def _said(ways: Mapping[str, Iterable[str]]) -> str:
    parts = []
    for word, names in ways.items():
        joint = "of"
        if word.startswith("the network"):
            joint = "from"
        parts.append(f"{word} {joint} {listed(names, most=4)}")
    return " and ".join(parts) or _NONE


def sentence(module: str, ways: Mapping[str, str]) -> str:
    """How gradients reach a module, as a sentence; empty where it is trained through nothing."""
    parts = [f"{name} by {way}" for name, way in ways.items() if way != _NONE]
    unneeded = [name for name, way in ways.items() if way == _NONE]
    text = ""
    if parts:
        text = f"Gradients reach {module} through {'; '.join(parts)}."
    if unneeded:
        text += f" None has to pass {listed(unneeded, most=6)}."
    return text.strip()
