"""The one place where caveats are collected: what a model knows about itself, and which of it
concerns a question."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from causalplug.caveats import Caveat, unique_caveats
from causalplug.identification.query import Event, Query
from causalplug.identification.query import World as Setting
from causalplug.model.asked_values import (
    beyond_range,
    never_seen,
    rarely_seen,
    recorded_categories,
    recorded_overlap,
    recorded_ranges,
    weak_overlap,
)
from causalplug.values import Named

if TYPE_CHECKING:
    from causalplug.model.model import Model

__all__ = ["caveats_of", "check_records", "known_caveats", "recorded_caveats"]


def known_caveats(dcm: Model) -> tuple[Caveat, ...]:
    """Everything that training recorded as doubtful about the model."""
    return recorded_caveats(dcm.history)


def recorded_caveats(history: Named) -> tuple[Caveat, ...]:
    """The caveats in a training history: modules that did not converge, generators that are unfit,
    and the list ``"warnings"``.

    Raises:
        RepositoryError: The list holds something that is not a caveat.
    """
    found = []
    for m in history.get("modules", []):
        if m["converged"] is False:
            found.append(_not_converged(m))
    found += [_unfit(fit) for fit in history.get("fits", []) if fit["verdict"] == "unfit"]
    found += list(map(Caveat.from_dict, history.get("warnings", [])))
    return unique_caveats(found)


def check_records(history: Named) -> None:
    """Raise unless all that caveats are made of can be read.

    Raises:
        RepositoryError: A record is malformed.
    """
    recorded_caveats(history)
    recorded_overlap(history)
    recorded_ranges(history)
    recorded_categories(history)


def caveats_of(dcm: Model, queries: Sequence[Query]) -> tuple[Caveat, ...]:
    """The caveats that concern ``queries``: those of the variables that are run for them, of
    what they set and of the values in them."""
    asked: dict[Setting, list[str]] = {}
    for query in queries:
        for _, term in query.terms:
            for event in term.events:
                asked.setdefault(event.do, []).append(event.variable)
    run: set[str] = set()
    for setting, names in asked.items():
        run.update(_run(dcm, names, setting))
    found = [c for c in known_caveats(dcm) if not c.variables or run & set(c.variables)]
    found += weak_overlap(dcm.history, queries, run)
    found += beyond_range(dcm.history, queries)
    found += never_seen(dcm.history, queries)
    found += rarely_seen(dcm.history, queries)
    return unique_caveats(found)


def variables_run(dcm: Model, event: Event) -> Iterator[str]:
    """The variables whose mechanisms are run to know ``event``; what is set is not run."""
    return _run(dcm, [event.variable], event.do)


def _run(dcm: Model, names: Iterable[str], setting: Setting) -> Iterator[str]:
    """The variables whose mechanisms are run to know ``names`` in one world, each once."""
    pending, seen = list(names), set()
    while pending:
        name = pending.pop()
        if name in seen or name in setting:
            continue
        seen.add(name)
        yield name
        pending += dcm.graph.parents(name)
    yield from _nested(dcm, setting)


def _nested(dcm: Model, setting: Setting) -> Iterator[str]:
    for value in setting.values():
        if isinstance(value, Event):
            yield from variables_run(dcm, value)


def _not_converged(module: Named) -> Caveat:
    name = "+".join(module["variables"])
    worst = max(module["distances"], key=_excess, default=None)
    if worst is None:
        text, figures = "Training ended before the module matched the rows.", {}
    else:
        kinds = ("tvd", "floor", "mmd", "mmd_floor", "c2st")
        figures = {k: float(worst[k]) for k in kinds if worst.get(k) is not None}
        shown = ", ".join(f"{key} {value:.3g}" for key, value in figures.items())
        text = f"The trained {worst['target']} is not that of the rows ({shown})."
        if off := worst.get("off"):
            text = text[:-1] + f": {'; '.join(off)}."
    return Caveat("not converged", name, text, figures, tuple(module["variables"]))


def _excess(distance: Named) -> float:
    """How far a distance lies above its floor."""
    return max(
        (distance.get("tvd") or 0.0) - (distance.get("floor") or 0.0),
        (distance.get("mmd") or 0.0) - (distance.get("mmd_floor") or 0.0),
    )


def _unfit(fit: Named) -> Caveat:
    reasons = "; ".join(fit["reasons"])
    text = f"The frozen generator does not draw what the rows show: {reasons}."
    return Caveat("unfit generator", fit["name"], text, {}, (fit["name"],))
