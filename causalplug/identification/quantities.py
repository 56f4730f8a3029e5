"""Named causal quantities, expanded into terms: ATE, ETT, PN, PS, PNS, NDE, NIE, RR, OR.

Each takes the outcome, the treatment (and a mediator). A treatment is a name or ``(name, high,
low)``; the values are 1 and 0 where none are given. An effect (ATE, ETT, NDE, NIE) is one on the
mean of the outcome, or on the probability of one of its values, ``(name, value)``; PN, PS and PNS
compare two values of both. ``do`` is set in all worlds, ``given`` is conditioned on in all terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from causalplug.errors import QueryError
from causalplug.identification.query import Event, Query, World

__all__ = ["PARTS", "QUANTITIES", "ate", "ett", "nde", "nie", "odds_ratio", "pn", "pns", "ps", "rr"]

Argument = str | tuple[str, Any] | tuple[str, Any, Any]
Given = tuple[Event, ...]


def ate(
    outcome: Argument, treatment: Argument, *, do: Mapping[str, Any] = World(), given: Given = ()
) -> Query:
    """Average treatment effect ``E[Y | do(X=high)] - E[Y | do(X=low)]``, within ``given`` if
    there is any."""
    (y, value), (x, high, low) = _outcome(outcome), _argument(treatment)
    terms = [
        (sign, Query(Event(y, value), do={**do, x: level}, given=given, expectation=value is None))
        for sign, level in ((1, high), (-1, low))
    ]
    return Query.contrast(terms, _name("ATE", outcome, treatment, do=do, given=given))


def ett(
    outcome: Argument, treatment: Argument, *, do: Mapping[str, Any] = World(), given: Given = ()
) -> Query:
    """Effect of treatment on the treated ``E[Y_{X=high} | X=high] - E[Y_{X=low} | X=high]``
    (Pearl 2009, 8.2.5)."""
    (y, value), (x, high, low) = _outcome(outcome), _argument(treatment)
    known = (Event(x, high), *given)
    terms = [
        (
            sign,
            Query(
                Event(y, value, World({x: level})), do=do, given=known, expectation=value is None
            ),
        )
        for sign, level in ((1, high), (-1, low))
    ]
    return Query.contrast(terms, _name("ETT", outcome, treatment, do=do, given=given))


def pn(
    outcome: Argument, treatment: Argument, *, do: Mapping[str, Any] = World(), given: Given = ()
) -> Query:
    """Probability of necessity ``P(Y_{X=low}=low | X=high, Y=high)`` (Pearl 2009, definition
    9.2.1)."""
    (y, one, zero), (x, high, low) = _argument(outcome), _argument(treatment)
    query = Query(
        Event(y, zero, World({x: low})), do=do, given=(Event(x, high), Event(y, one), *given)
    )
    return Query.contrast([(1.0, query)], _name("PN", outcome, treatment, do=do, given=given))


def ps(
    outcome: Argument, treatment: Argument, *, do: Mapping[str, Any] = World(), given: Given = ()
) -> Query:
    """Probability of sufficiency ``P(Y_{X=high}=high | X=low, Y=low)`` (Pearl 2009, definition
    9.2.2)."""
    (y, one, zero), (x, high, low) = _argument(outcome), _argument(treatment)
    query = Query(
        Event(y, one, World({x: high})), do=do, given=(Event(x, low), Event(y, zero), *given)
    )
    return Query.contrast([(1.0, query)], _name("PS", outcome, treatment, do=do, given=given))


def pns(
    outcome: Argument, treatment: Argument, *, do: Mapping[str, Any] = World(), given: Given = ()
) -> Query:
    """Probability of necessity and sufficiency ``P(Y_{X=high}=high, Y_{X=low}=low)`` (Pearl
    2009, definition 9.2.3)."""
    (y, one, zero), (x, high, low) = _argument(outcome), _argument(treatment)
    events = (Event(y, one, World({x: high})), Event(y, zero, World({x: low})))
    query = Query(events, do=do, given=given)
    return Query.contrast([(1.0, query)], _name("PNS", outcome, treatment, do=do, given=given))


def nde(
    outcome: Argument,
    treatment: Argument,
    mediator: str,
    *,
    do: Mapping[str, Any] = World(),
    given: Given = (),
) -> Query:
    """Natural direct effect ``E[Y_{X=high, M_{X=low}}] - E[Y_{X=low}]`` (Pearl 2001)."""
    return _natural("NDE", outcome, treatment, mediator, do, given)


def nie(
    outcome: Argument,
    treatment: Argument,
    mediator: str,
    *,
    do: Mapping[str, Any] = World(),
    given: Given = (),
) -> Query:
    """Natural indirect effect ``E[Y_{X=low, M_{X=high}}] - E[Y_{X=low}]`` (Pearl 2001)."""
    return _natural("NIE", outcome, treatment, mediator, do, given)


def rr(
    outcome: Argument, treatment: Argument, *, do: Mapping[str, Any] = World(), given: Given = ()
) -> Query:
    """Risk ratio ``P(Y=y | do(X=high)) / P(Y=y | do(X=low))``; y is 1 where no value is given."""
    high, low = _risks(outcome, treatment, do, given)
    return (high / low).named(_name("RR", outcome, treatment, do=do, given=given))


def odds_ratio(
    outcome: Argument, treatment: Argument, *, do: Mapping[str, Any] = World(), given: Given = ()
) -> Query:
    """Odds ratio: the odds ``p / (1 - p)`` of ``P(Y=y | do(X=high))`` over those of
    ``P(Y=y | do(X=low))``."""
    high, low = _risks(outcome, treatment, do, given)
    ratio = (high / (1 - high)) / (low / (1 - low))
    return ratio.named(_name("OR", outcome, treatment, do=do, given=given))


def _risks(
    outcome: Argument, treatment: Argument, do: Mapping[str, Any], given: Given
) -> tuple[Query, Query]:
    (y, value), (x, high, low) = _outcome(outcome), _argument(treatment)
    event = Event(y, 1 if value is None else value)
    first, second = (Query(event, do={**do, x: level}, given=given) for level in (high, low))
    return first, second


PARTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("ATE", "ETT", "PN", "PS", "PNS", "RR", "OR"), ("outcome", "treatment")),
    **dict.fromkeys(("NDE", "NIE"), ("outcome", "treatment", "mediator")),
}
"""What each quantity is of, in order."""

QUANTITIES: dict[str, Callable[..., Query]] = {
    "ATE": ate,
    "ETT": ett,
    "PN": pn,
    "PS": ps,
    "PNS": pns,
    "NDE": nde,
    "NIE": nie,
    "RR": rr,
    "OR": odds_ratio,
}


def _natural(
    name: str,
    outcome: Argument,
    treatment: Argument,
    mediator: Argument,
    do: Mapping[str, Any],
    given: Given,
) -> Query:
    (y, value), (x, high, low) = _outcome(outcome), _argument(treatment)
    if not isinstance(mediator, str):
        raise QueryError(
            f"{name} cannot be asked for with values of {mediator[0]}: the mediator takes its own. Name it"
        )
    m = mediator
    direct, indirect = (high, low) if name == "NDE" else (low, high)
    other_world = Event(m, None, World({**do, x: indirect}))
    first = Event(y, value, World({x: direct, m: other_world}))
    second = Event(y, value, World({x: low}))
    terms = [
        (sign, Query(e, do=do, given=given, expectation=value is None))
        for sign, e in ((1, first), (-1, second))
    ]
    return Query.contrast(terms, _name(name, outcome, treatment, m, do=do, given=given))


def _outcome(argument: Argument) -> tuple[str, Any]:
    """The outcome of an effect and the value whose probability is meant; None for its mean."""
    if isinstance(argument, str):
        return argument, None
    name, *values = argument
    if len(values) != 1:
        raise QueryError(
            f"the effect on {name} cannot be that on two values: give {name} alone for its mean, "
            f"or one value, as in {name}={values[0]}, for its probability"
        )
    return name, values[0]


def _argument(argument: Argument) -> tuple[str, Any, Any]:
    if not isinstance(argument, str) and len(argument) != 3:
        raise QueryError(
            f"the value {argument[1]!r} of {argument[0]} cannot be compared with another: give "
            f"two, as in {argument[0]}={argument[1]} vs …"
        )
    name, high, low = (argument, 1, 0) if isinstance(argument, str) else argument
    if high == low:
        raise QueryError(
            f"the values of {name} cannot be compared: both are {high!r}; give two different ones"
        )
    return name, high, low


def _name(quantity: str, *arguments: Argument, do: Mapping[str, Any], given: Given) -> str:
    shown = [
        a if isinstance(a, str) else f"{a[0]}={' vs '.join(map(str, a[1:]))}" for a in arguments
    ]
    known = ([f"do({World(do)})"] if do else []) + [str(event) for event in given]
    return f"{quantity}({', '.join(shown)}" + (f" | {', '.join(known)}" if known else "") + ")"
