"""Named causal quantities, expanded into terms: ATE, ETT, PN, PS, PNS, NDE, NIE.

Each takes the outcome, the treatment (and a mediator) as a name or as ``(name, high, low)``; the values are 1 and 0
where none are given. ``do`` is set in all worlds, ``given`` is conditioned on in all terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from causalplug.causal.query import Event, Query, World
from causalplug.errors import QueryError

__all__ = ["QUANTITIES", "ate", "ett", "nde", "nie", "pn", "pns", "ps"]

Argument = str | tuple[str, Any, Any]
Given = tuple[Event, ...]


def ate(outcome: Argument, treatment: Argument, *, do: Mapping[str, Any] = World(), given: Given = ()) -> Query:
    """Average treatment effect ``E[Y | do(X=high)] - E[Y | do(X=low)]``, within ``given`` if there is any."""
    (y, _, _), (x, high, low) = _argument(outcome), _argument(treatment)
    terms = [
        (sign, Query(y, do={**do, x: value}, given=given, expectation=True)) for sign, value in ((1, high), (-1, low))
    ]
    return Query.contrast(terms, _name("ATE", outcome, treatment, do=do, given=given))


def ett(outcome: Argument, treatment: Argument, *, do: Mapping[str, Any] = World(), given: Given = ()) -> Query:
    """Effect of treatment on the treated ``E[Y_{X=high} | X=high] - E[Y_{X=low} | X=high]`` (Pearl 2009, 8.2.5)."""
    (y, _, _), (x, high, low) = _argument(outcome), _argument(treatment)
    known = (Event(x, high), *given)
    terms = [
        (sign, Query(Event(y, None, World({x: value})), do=do, given=known, expectation=True))
        for sign, value in ((1, high), (-1, low))
    ]
    return Query.contrast(terms, _name("ETT", outcome, treatment, do=do, given=given))


def pn(outcome: Argument, treatment: Argument, *, do: Mapping[str, Any] = World(), given: Given = ()) -> Query:
    """Probability of necessity ``P(Y_{X=low}=low | X=high, Y=high)`` (Pearl 2009, definition 9.2.1)."""
    (y, one, zero), (x, high, low) = _argument(outcome), _argument(treatment)
    query = Query(Event(y, zero, World({x: low})), do=do, given=(Event(x, high), Event(y, one), *given))
    return Query.contrast([(1.0, query)], _name("PN", outcome, treatment, do=do, given=given))


def ps(outcome: Argument, treatment: Argument, *, do: Mapping[str, Any] = World(), given: Given = ()) -> Query:
    """Probability of sufficiency ``P(Y_{X=high}=high | X=low, Y=low)`` (Pearl 2009, definition 9.2.2)."""
    (y, one, zero), (x, high, low) = _argument(outcome), _argument(treatment)
    query = Query(Event(y, one, World({x: high})), do=do, given=(Event(x, low), Event(y, zero), *given))
    return Query.contrast([(1.0, query)], _name("PS", outcome, treatment, do=do, given=given))


def pns(outcome: Argument, treatment: Argument, *, do: Mapping[str, Any] = World(), given: Given = ()) -> Query:
    """Probability of necessity and sufficiency ``P(Y_{X=high}=high, Y_{X=low}=low)`` (Pearl 2009, definition 9.2.3)."""
    (y, one, zero), (x, high, low) = _argument(outcome), _argument(treatment)
    events = (Event(y, one, World({x: high})), Event(y, zero, World({x: low})))
    query = Query(events, do=do, given=given)
    return Query.contrast([(1.0, query)], _name("PNS", outcome, treatment, do=do, given=given))


def nde(
    outcome: Argument, treatment: Argument, mediator: str, *, do: Mapping[str, Any] = World(), given: Given = ()
) -> Query:
    """Natural direct effect ``E[Y_{X=high, M_{X=low}}] - E[Y_{X=low}]`` (Pearl 2001)."""
    return _natural("NDE", outcome, treatment, mediator, do, given)


def nie(
    outcome: Argument, treatment: Argument, mediator: str, *, do: Mapping[str, Any] = World(), given: Given = ()
) -> Query:
    """Natural indirect effect ``E[Y_{X=low, M_{X=high}}] - E[Y_{X=low}]`` (Pearl 2001)."""
    return _natural("NIE", outcome, treatment, mediator, do, given)


QUANTITIES: dict[str, Callable[..., Query]] = {
    "ATE": ate,
    "ETT": ett,
    "PN": pn,
    "PS": ps,
    "PNS": pns,
    "NDE": nde,
    "NIE": nie,
}


def _natural(
    name: str, outcome: Argument, treatment: Argument, mediator: Argument, do: Mapping[str, Any], given: Given
) -> Query:
    (y, _, _), (x, high, low), (m, _, _) = _argument(outcome), _argument(treatment), _argument(mediator)
    direct, indirect = (high, low) if name == "NDE" else (low, high)
    other_world = Event(m, None, World({**do, x: indirect}))
    first = Event(y, None, World({x: direct, m: other_world}))
    second = Event(y, None, World({x: low}))
    terms = [(sign, Query(e, do=do, given=given, expectation=True)) for sign, e in ((1, first), (-1, second))]
    return Query.contrast(terms, _name(name, outcome, treatment, m, do=do, given=given))


def _argument(argument: Argument) -> tuple[str, Any, Any]:
    name, high, low = (argument, 1, 0) if isinstance(argument, str) else argument
    if high == low:
        raise QueryError(f"the values of {name} cannot be compared: both are {high!r}; give two different ones")
    return name, high, low


def _name(quantity: str, *arguments: Argument, do: Mapping[str, Any], given: Given) -> str:
    shown = []
    for argument in arguments:
        name, high, low = _argument(argument)
        shown.append(name if (high, low) == (1, 0) else f"{name}={high} vs {low}")
    known = ([f"do({World(do)})"] if do else []) + [str(event) for event in given]
    return f"{quantity}({', '.join(shown)}" + (f" | {', '.join(known)}" if known else "") + ")"
