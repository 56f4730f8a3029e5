"""Named causal quantities, expanded into terms: ATE, ETT, LATE, PN, PS, PNS, NDE, NIE, RR, OR.

Each takes the outcome, the treatment (and a mediator, or an instrument). A treatment is a name or
``(name, high, low)``; the values are 1 and 0 where none are given. An effect (ATE, ETT, LATE, NDE,
NIE) is one on the mean of the outcome, or on the probability of one of its values, ``(name,
value)``; PN, PS and PNS compare two values of both. All are built by the class that is handed in
first. ``do`` is set in all worlds, ``given`` is conditioned on in all terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from causalplug.errors import QueryError
from causalplug.identification.events import Event, World
from causalplug.values import Named, Value

__all__ = [
    "PARTS",
    "QUANTITIES",
    "Argument",
    "Maker",
    "ate",
    "ett",
    "late",
    "nde",
    "nie",
    "odds_ratio",
    "pn",
    "pns",
    "ps",
    "rr",
]

Argument = str | tuple[str, Value] | tuple[str, Value, Value]
Given = tuple[Event, ...]
_NOWHERE = World()


class Asked(Protocol):
    """A query: what can be divided and named."""

    def __truediv__(self: Q, other: Q, /) -> Q: ...

    def __rsub__(self: Q, number: float, /) -> Q: ...

    def named(self: Q, name: str | None) -> Q:
        """The same query under the name of a quantity."""
        ...


Q = TypeVar("Q", bound=Asked)


class Maker(Protocol[Q]):
    """The class of queries, :class:`causalplug.Query`, which builds what a quantity stands for."""

    def __call__(
        self,
        outcomes: Event | Iterable[Event],
        *,
        do: Named | None = None,
        given: Iterable[Event] = (),
        expectation: bool = False,
    ) -> Q:
        """One term."""

    def contrast(self, terms: Iterable[tuple[float, Q]], name: str | None = None) -> Q:
        """The sum of coefficients times terms."""

    def joined(self, sign: str, left: Q, right: Q) -> Q:
        """A ratio, a product or a sum of such."""


def ate(
    make: Maker[Q],
    outcome: Argument,
    treatment: Argument,
    *,
    do: Named = _NOWHERE,
    given: Given = (),
) -> Q:
    """Average treatment effect ``E[Y | do(X=high)] - E[Y | do(X=low)]``, within ``given`` if
    there is any."""
    (y, value), (x, high, low) = _outcome(outcome), _argument(treatment)
    terms = []
    for sign, level in ((1, high), (-1, low)):
        terms.append(
            (
                sign,
                make(Event(y, value), do={**do, x: level}, given=given, expectation=value is None),
            )
        )
    return make.contrast(terms, _name("ATE", outcome, treatment, do=do, given=given))


def ett(
    make: Maker[Q],
    outcome: Argument,
    treatment: Argument,
    *,
    do: Named = _NOWHERE,
    given: Given = (),
) -> Q:
    """Effect of treatment on the treated ``E[Y_{X=high} | X=high] - E[Y_{X=low} | X=high]``
    (Pearl 2009, 8.2.5)."""
    (y, value), (x, high, low) = _outcome(outcome), _argument(treatment)
    known = (Event(x, high), *given)
    terms = []
    for sign, level in ((1, high), (-1, low)):
        terms.append(
            (
                sign,
                make(
                    Event(y, value, World({x: level})),
                    do=do,
                    given=known,
                    expectation=value is None,
                ),
            )
        )
    return make.contrast(terms, _name("ETT", outcome, treatment, do=do, given=given))


def late(
    make: Maker[Q],
    outcome: Argument,
    treatment: Argument,
    instrument: Argument,
    *,
    do: Named = _NOWHERE,
    given: Given = (),
) -> Q:
    """Local average treatment effect, of the units whose treatment follows the instrument:
    ``E[Y_{X=high} - Y_{X=low} | X_{Z=high}=high, X_{Z=low}=low]`` (Imbens & Angrist 1994)."""
    (y, value), (x, high, low) = _outcome(outcome), _argument(treatment)
    z, above, below = _argument(instrument)
    followed = Event(x, high, World({z: above})), Event(x, low, World({z: below}))
    known = (*followed, *given)
    terms = []
    for sign, level in ((1, high), (-1, low)):
        terms.append(
            (
                sign,
                make(
                    Event(y, value, World({x: level})),
                    do=do,
                    given=known,
                    expectation=value is None,
                ),
            )
        )
    name = _name("LATE", outcome, treatment, instrument, do=do, given=given)
    return make.contrast(terms, name)


def pn(
    make: Maker[Q],
    outcome: Argument,
    treatment: Argument,
    *,
    do: Named = _NOWHERE,
    given: Given = (),
) -> Q:
    """Probability of necessity ``P(Y_{X=low}=low | X=high, Y=high)`` (Pearl 2009, definition
    9.2.1)."""
    (y, one, zero), (x, high, low) = _argument(outcome), _argument(treatment)
    query = make(
        Event(y, zero, World({x: low})), do=do, given=(Event(x, high), Event(y, one), *given)
    )
    return make.contrast([(1.0, query)], _name("PN", outcome, treatment, do=do, given=given))


def ps(
    make: Maker[Q],
    outcome: Argument,
    treatment: Argument,
    *,
    do: Named = _NOWHERE,
    given: Given = (),
) -> Q:
    """Probability of sufficiency ``P(Y_{X=high}=high | X=low, Y=low)`` (Pearl 2009, definition
    9.2.2)."""
    (y, one, zero), (x, high, low) = _argument(outcome), _argument(treatment)
    query = make(
        Event(y, one, World({x: high})), do=do, given=(Event(x, low), Event(y, zero), *given)
    )
    return make.contrast([(1.0, query)], _name("PS", outcome, treatment, do=do, given=given))


def pns(
    make: Maker[Q],
    outcome: Argument,
    treatment: Argument,
    *,
    do: Named = _NOWHERE,
    given: Given = (),
) -> Q:
    """Probability of necessity and sufficiency ``P(Y_{X=high}=high, Y_{X=low}=low)`` (Pearl
    2009, definition 9.2.3)."""
    (y, one, zero), (x, high, low) = _argument(outcome), _argument(treatment)
    events = (Event(y, one, World({x: high})), Event(y, zero, World({x: low})))
    query = make(events, do=do, given=given)
    return make.contrast([(1.0, query)], _name("PNS", outcome, treatment, do=do, given=given))


def nde(
    make: Maker[Q],
    outcome: Argument,
    treatment: Argument,
    mediator: str,
    *,
    do: Named = _NOWHERE,
    given: Given = (),
) -> Q:
    """Natural direct effect ``E[Y_{X=high, M_{X=low}}] - E[Y_{X=low}]`` (Pearl 2001)."""
    return _natural(make, "NDE", outcome, treatment, mediator, do, given)


def nie(
    make: Maker[Q],
    outcome: Argument,
    treatment: Argument,
    mediator: str,
    *,
    do: Named = _NOWHERE,
    given: Given = (),
) -> Q:
    """Natural indirect effect ``E[Y_{X=low, M_{X=high}}] - E[Y_{X=low}]`` (Pearl 2001)."""
    return _natural(make, "NIE", outcome, treatment, mediator, do, given)


def rr(
    make: Maker[Q],
    outcome: Argument,
    treatment: Argument,
    *,
    do: Named = _NOWHERE,
    given: Given = (),
) -> Q:
    """Risk ratio ``P(Y=y | do(X=high)) / P(Y=y | do(X=low))``; y is 1 where no value is given."""
    high, low = _risks(make, outcome, treatment, do, given)
    return (high / low).named(_name("RR", outcome, treatment, do=do, given=given))


def odds_ratio(
    make: Maker[Q],
    outcome: Argument,
    treatment: Argument,
    *,
    do: Named = _NOWHERE,
    given: Given = (),
) -> Q:
    """Odds ratio: the odds ``p / (1 - p)`` of ``P(Y=y | do(X=high))`` over those of
    ``P(Y=y | do(X=low))``."""
    high, low = _risks(make, outcome, treatment, do, given)
    ratio = (high / (1 - high)) / (low / (1 - low))
    return ratio.named(_name("OR", outcome, treatment, do=do, given=given))


def _risks(
    make: Maker[Q], outcome: Argument, treatment: Argument, do: Named, given: Given
) -> tuple[Q, Q]:
    (y, value), (x, high, low) = _outcome(outcome), _argument(treatment)
    event = Event(y, 1 if value is None else value)
    first, second = (make(event, do={**do, x: level}, given=given) for level in (high, low))
    return first, second


PARTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("ATE", "ETT", "PN", "PS", "PNS", "RR", "OR"), ("outcome", "treatment")),
    **dict.fromkeys(("NDE", "NIE"), ("outcome", "treatment", "mediator")),
    "LATE": ("outcome", "treatment", "instrument"),
}
"""What each quantity is of, in order."""

QUANTITIES: dict[str, Callable[..., Value]] = {
    "ATE": ate,
    "ETT": ett,
    "LATE": late,
    "PN": pn,
    "PS": ps,
    "PNS": pns,
    "NDE": nde,
    "NIE": nie,
    "RR": rr,
    "OR": odds_ratio,
}


def _natural(
    make: Maker[Q],
    name: str,
    outcome: Argument,
    treatment: Argument,
    mediator: Argument,
    do: Named,
    given: Given,
) -> Q:
    (y, value), (x, high, low) = _outcome(outcome), _argument(treatment)
    if not isinstance(mediator, str):
        raise QueryError(
            f"{name} cannot be asked for with values of {mediator[0]}: the mediator takes its own. "
            "Name it"
        )
    m = mediator
    if name == "NDE":
        direct, indirect = (high, low)
    else:
        direct, indirect = (low, high)
    other_world = Event(m, None, World({**do, x: indirect}))
    first = Event(y, value, World({x: direct, m: other_world}))
    second = Event(y, value, World({x: low}))
    terms = []
    for sign, e in ((1, first), (-1, second)):
        terms.append((sign, make(e, do=do, given=given, expectation=value is None)))
    return make.contrast(terms, _name(name, outcome, treatment, m, do=do, given=given))


def _outcome(argument: Argument) -> tuple[str, Value]:
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


def _argument(argument: Argument) -> tuple[str, Value, Value]:
    if not isinstance(argument, str) and len(argument) != 3:
        raise QueryError(
            f"the value {argument[1]!r} of {argument[0]} cannot be compared with another: give "
            f"two, as in {argument[0]}={argument[1]} vs …"
        )
    if isinstance(argument, str):
        name, high, low = (argument, 1, 0)
    else:
        name, high, low = argument
    if high == low:
        raise QueryError(
            f"the values of {name} cannot be compared: both are {high!r}; give two different ones"
        )
    return name, high, low


def _name(quantity: str, *arguments: Argument, do: Named, given: Given) -> str:
    shown = []
    for a in arguments:
        shown.append(a if isinstance(a, str) else f"{a[0]}={' vs '.join(map(str, a[1:]))}")
    known = ([f"do({World(do)})"] if do else []) + list(map(str, given))
    return f"{quantity}({', '.join(shown)}" + (f" | {', '.join(known)}" if known else "") + ")"
