"""The reason of an identification in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from causalplug.graphs.bits import bits
from causalplug.identification.c_factor import Effect, restricted
from causalplug.identification.interpolation import numbers_set, with_interpolation
from causalplug.identification.solver import Composite, Resolution
from causalplug.identification.status import Status
from causalplug.identification.suggest import Decision, suggest
from causalplug.selection import values_at

__all__ = ["explain"]


def explain(result: Decision) -> str:
    """Why ``result`` has its status."""
    match result.status:
        case Status.IDENTIFIABLE:
            return _positive(result)
        case Status.ZERO:
            return f"{_contradiction(result)}, so the probability is 0"
        case Status.UNDEFINED:
            return (
                f"the evidence is impossible: {_contradiction(result)}, so there is nothing to "
                "condition on"
            )
        case Status.NOT_IDENTIFIABLE:
            return f"{result.certificate}{_advice(result)}"
    gave_up = ""
    if any(v.exhausted for v in result.verdicts):
        gave_up = " The search through combinations was cut off."
    if any(term.ranged for _, term in result.query.terms):
        why = "a range of values may be determined where its single values are not"
        return f"{result.certificate}; {why}, which is not decided{_advice(result)}"
    if all(verdict.status != Status.NOT_SHOWN for verdict in result.verdicts):
        why = "with two values of a variable it may be determined"
        return f"{result.certificate}, in general; {why}, which is not decided{_advice(result)}"
    return (
        f"{result.certificate}; completeness is not claimed for partially recorded "
        f"sources{_advice(result)}{gave_up}"
    )


def _contradiction(result: Decision) -> str:
    if result.certificate is not None:
        return str(result.certificate)
    return "the terms cancel"


def _advice(result: Decision) -> str:
    """What would help, said of one variable at a time where that is enough."""
    kind = result.certificate.kind if result.certificate is not None else ""
    if kind == "inconsistent":
        return ""
    if kind == "values" and len(result.verdicts) == 1:
        return f"; ask about those values, or set the others as well{_smooth(result)}"
    # A trial is a decision of its own, so large graphs get few, the fewer the longer a decision
    # takes.
    effort = 40_000
    if result.status == Status.NOT_SHOWN:
        effort = 12_000
    sets, complete = suggest(
        result, most=2, trials=effort // max(8, len(result.graph.variables)) ** 2
    )
    if not sets and not complete:
        return ""
    if not sets:
        return "; no experiments on one or two single variables would make it identifiable"
    return _experiments(sets) + (_smooth(result) if kind == "values" else "")


def _experiments(sets: Sequence[tuple[str, ...]]) -> str:
    shown = list(map(_and, sets[:4]))
    if len(sets[0]) == 1:
        return f"; an experiment on {_or(shown)} would"
    return f"; experiments on {', or on '.join(shown)} would"


def _smooth(result: Decision) -> str:
    """The way out where numbers of no known domain were set."""
    known = set(values_at(result.graph.variables, result.domains_by_position))
    names = set()
    for source in result.sources:
        for n in source.values:
            if n not in known:
                names.add(n)
    numeric = sorted(n for n in names if any(numbers_set(s, n) for s in result.sources))
    _, between = with_interpolation(result.sources, result.query, numeric)
    if not between:
        return ""
    smooth = list(dict.fromkeys(name for name, _ in between))
    if len(smooth) == 1:
        written = f'"{smooth[0]}"'
    else:
        written = str(smooth)
    return (
        f". If the effect of {_and(smooth)} is smooth between the values that were set, "
        f"interpolate={written} answers there, marked"
    )


def _used(result: Decision) -> tuple[set[int], dict[str, set[str]]]:
    """The sources that the answers read, and the variables that they read at set values alone."""
    used: set[int] = set()
    limits: dict[str, set[str]] = {}
    names = result.graph.variables
    for verdict in result.verdicts:
        if verdict.answer is None:
            continue
        if verdict.answer.direct is not None:
            used.update(verdict.answer.direct.sources)
            for v in bits(restricted(verdict.answer.direct)):
                limits.setdefault(names[v], set())
        resolved = list(verdict.answer.factors)
        if verdict.answer.evidence:
            resolved += verdict.answer.evidence[2]
        for factor, way in resolved:
            _collect(way, used, limits, factor.outside, names)
    return used, limits


def _settings(pairs: Iterable[tuple[str, float]]) -> str:
    return _and([f"{name}={value:g}" for name, value in pairs])


def _positive(result: Decision) -> str:
    if result.by_noise:
        return "determined by the rows, with noise recovered from values"
    used, limits = _used(result)
    sources = [str(result.sources[i].name) for i in sorted(used)]
    text = f"determined by {_and(sources) if sources else 'the evidence alone'}"
    if len(sources) > 1 and any(verdict.combined for verdict in result.verdicts):
        text += ", pieced together"
    if limits:
        text += f"; only for the values of {_and(sorted(limits))} that were set"
    if result.interpolated:
        text += f", and, by interpolation, {_settings(result.interpolated)} between them"
    if result.assumptions:
        text += ", by what is assumed"
    return text


def _collect(
    way: Resolution | Effect | Composite,
    used: set[int],
    limits: dict[str, set[str]],
    under: int,
    names: tuple[str, ...],
) -> None:
    if isinstance(way, Resolution):
        for _, branch in way.branches:
            _collect(branch, used, limits, under, names)
    elif isinstance(way, Composite):
        for _, inner_under, inner in way.factors:
            _collect(inner, used, limits, inner_under, names)
    elif way.regime.sources:
        used.update(way.regime.sources)
        for v in bits(restricted(way.regime) & under):
            limits.setdefault(names[v], set())
    else:
        _collect(way.regime.origin, used, limits, under, names)


def _and(names: list[str] | tuple[str, ...]) -> str:
    names = list(names)
    if len(names) == 1:
        return names[0]
    if names:
        return ", ".join(names[:-1]) + " and " + names[-1]
    return "nothing"


def _or(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return ", ".join(names[:-1]) + " or " + names[-1]
