"""What arguments and settings may be: rules declared beside the signature, checked before any work.

A rule says in words what is wanted, and reads a value as it will be used. Functions declare the
rules of their arguments with the decorator :func:`takes`; dataclasses declare fields by
:func:`setting`, which :func:`read_fields` applies in ``__post_init__``.

A schema library (pydantic, attrs) was weighed and left out: both would be a new dependency that
``import causalplug`` loads, their messages say neither why nor the way out, and the annotations of
the public signatures name types of libraries that are only imported where they are needed.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field, fields, replace
from numbers import Number, Real
from typing import ParamSpec, TypeVar

from causalplug.errors import CausalPlugError
from causalplug.selection import within
from causalplug.values import Value
from causalplug.wording import did_you_mean, listed, shortened

__all__ = [
    "COUNT",
    "FLAG",
    "FUNCTION",
    "MAPPING",
    "NAME",
    "NAMES",
    "PATH",
    "REQUIRED",
    "ROWS",
    "SEED",
    "SHARE",
    "TEXT",
    "VALUES",
    "WIDTHS",
    "Rule",
    "choice",
    "instance",
    "number",
    "read_argument",
    "read_fields",
    "ruled",
    "setting",
    "several",
    "takes",
    "whole",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_RULE = "rule"
_NO_ROWS = (str, bytes, bytearray, Number, set, frozenset)
REQUIRED = object()
"""The default of a :func:`setting` that has to be given."""
_MISFITS = (TypeError, ValueError, OverflowError)


@dataclass(frozen=True)
class Rule:
    """What a value may be.

    Args:
        wanted: What is wanted, to be read after "give": ``"a whole number of at least 1"``.
        read: The value as it will be used; raises TypeError or ValueError where it does not fit.
        error: What is raised in place of the error of the function or class.
        known: The words that it may be, where these are few.
    """

    wanted: str
    read: Callable[[Value], Value]
    error: type[CausalPlugError] | None = None
    known: tuple[str, ...] = ()

    def raising(self, error: type[CausalPlugError]) -> Rule:
        """The same rule, with an error of its own."""
        return replace(self, error=error)

    def or_none(self, meaning: str = "the default") -> Rule:
        """The same rule, with None for ``meaning``."""
        return Rule(
            f"{self.wanted}, or None for {meaning}",
            lambda value: None if value is None else self.read(value),
            self.error,
            self.known,
        )

    def or_else(self, other: Rule) -> Rule:
        """This rule, or where it does not fit another one."""

        def read(value: object) -> Value:
            try:
                return self.read(value)
            except _MISFITS:
                return other.read(value)

        return Rule(f"{self.wanted} or {other.wanted}", read, self.error, self.known)


def whole(low: int, high: int | None = None) -> Rule:
    """A whole number from ``low`` to ``high``, both included; no truth value."""

    def read(value: Value) -> int:
        if isinstance(value, bool):
            raise TypeError
        found = operator.index(value)
        if found < low or (high is not None and found > high):
            raise ValueError
        return found

    if high is None:
        return Rule(f"a whole number of at least {low}", read)
    most = f"{high:,}"
    if high >= 2**31:
        most = f"2^{math.log2(high):.0f}"
    return Rule(f"a whole number of at least {low}, and at most {most}", read)


def number(
    low: float | None = None,
    high: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
    infinite: bool = False,
    what: str = "a number",
) -> Rule:
    """A number, finite unless ``infinite``.

    Args:
        low, high: The least and the greatest that it may be.
        above, below: What it must exceed, and stay below.
        infinite: Infinities are numbers, too.
        what: What the number is, for messages.
    """
    limits = [
        (low, "of at least", operator.ge),
        (above, "above", operator.gt),
        (high, "at most", operator.le),
        (below, "below", operator.lt),
    ]
    held = [(limit, word, holds) for limit, word, holds in limits if limit is not None]
    words = [f"{word} {limit:g}" for limit, word, _ in held]

    def read(value: object) -> Value:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError
        if math.isnan(value) or not (infinite or math.isfinite(value)):
            raise ValueError
        if not all(holds(value, limit) for limit, _, holds in held):
            raise ValueError
        return _plain_number(value)

    return Rule(" ".join([what, " and ".join(words)]).strip(), read)


def choice(*known: str) -> Rule:
    """One of some words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            raise ValueError
        return str(value)

    words = ", ".join(map(repr, known))
    if len(known) > 1:
        words = f"one of {words}"
    return Rule(words, read, known=known)


def several(rule: Rule, *, least: int = 0, most: int | None = None) -> Rule:
    """A list or tuple of values of one rule."""

    def read(value: object) -> tuple[Value, ...]:
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
            raise TypeError
        if len(value) < least or (most is not None and len(value) > most):
            raise ValueError
        return tuple(map(rule.read, value))

    if least == most:
        return Rule(f"a list of {least}, each of them {rule.wanted}", read)
    return Rule(f"a list, each item of it {rule.wanted}", read)


def instance(wanted: str, *types: type) -> Rule:
    """An object of some types.

    Args:
        wanted: What is wanted, in words.
        types: The types.
    """

    def read(value: object) -> Value:
        if not isinstance(value, types):
            raise TypeError
        return value

    return Rule(wanted, read)


def _plain_number(value: Value) -> Value:
    """A number of numpy as one of Python, so that JSON can hold it."""
    if type(value).__module__ == "numpy":
        return value.item()
    return value


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise TypeError


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _function(value: object) -> Value:
    if not callable(value):
        raise TypeError
    return value


def _name(value: Value) -> str:
    if not _text(value).strip():
        raise ValueError
    return value


def _names(value: object) -> Value:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError
    return tuple(map(_text, value))


def _rows(value: object) -> Value:
    if value is None or callable(value) or isinstance(value, _NO_ROWS):
        raise TypeError
    if isinstance(value, list | tuple):
        for item in value:
            _rows(item)
    if isinstance(value, Sized) and _is_empty(value):
        raise ValueError
    return value


def _is_empty(rows: Sized) -> bool:
    """Whether rows are known to be none; a stream does not know how many it has."""
    try:
        return len(rows) == 0
    except TypeError:
        return False


def _values(value: Value) -> list[Value]:
    if isinstance(value, str | bytes | Mapping):
        raise TypeError
    found = list(value)
    if not found:
        raise ValueError
    return found


def _mapping(value: object) -> Value:
    if not isinstance(value, Mapping):
        raise TypeError
    for name in value:
        _text(name)
    return value


def mapping_to(rule: Rule, example: str) -> Rule:
    """A mapping from names of variables to values that fit a rule, such as ``example``."""

    def read(value: Mapping[str, object]) -> dict[str, Value]:
        return {name: rule.read(own) for name, own in _mapping(value).items()}

    return Rule(f"a mapping from names of variables to {rule.wanted}, such as {example}", read)


def _different(value: Value) -> tuple[Value, ...]:
    found = tuple(_values(value))
    if len(set(found)) < len(found):
        raise ValueError
    return found


def _something(value: object) -> object:
    if value is None or isinstance(value, str | bytes | Number):
        raise TypeError
    return value


def _path(value: Value) -> Value:
    text = os.fspath(value)
    if not isinstance(text, str) or not text or "\0" in text:
        raise ValueError
    return value


FLAG = Rule("True or False", _flag)
FUNCTION = Rule("a function", _function)
TEXT = Rule("text", _text)
NAME = Rule("a name, as text", _name)
NAMES = Rule("the name of a variable or several names", _names)
MAPPING = Rule("a mapping from names of variables, such as {'X': 1}", _mapping)
DOMAINS = mapping_to(Rule("their different values", _different), "{'X': [0, 1]}")
ENCODERS = mapping_to(
    Rule("encoders, functions or arrays of projections", _something), "{'I': encoder}"
)
ROWS = Rule("rows: a table, a DataSource or a list of them", _rows)
VALUES = Rule("a list of values, at least one", _values)
PATH = Rule("a path, as text or a Path", _path)
SEED = whole(0, 2**63 - 1)
COUNT = whole(1, 2**53 - 1)
WIDTHS = several(whole(1, 1_000_000))
SHARE = number(above=0, below=1)


def read_argument(
    name: str, value: object, rule: Rule, error: type[CausalPlugError], where: str = ""
) -> Value:
    """The value of an argument as it will be used.

    Args:
        name: The argument.
        value: What was given.
        rule: What it may be.
        error: What is raised where the value does not fit.
        where: What takes the argument, for the message.

    Raises:
        CausalPlugError: An error of the class ``error``.
    """
    try:
        return rule.read(value)
    except _MISFITS:
        place = ""
        if where:
            place = f" by {where}"
        hint = ""
        if rule.known and isinstance(value, str):
            hint = did_you_mean(value, rule.known)
        raise (rule.error or error)(
            f"{name}={shortened(_shown(value))} cannot be used{place}{hint}: give {rule.wanted}."
        ) from None


def ruled(rule: Rule) -> dict[str, Rule]:
    """Metadata of a field with a rule, for one that needs a factory."""
    return {_RULE: rule}


def setting(default: object, rule: Rule, *, compare: bool = True) -> Value:
    """A field of a dataclass with its rule; see :func:`read_fields`.

    Args:
        default: Its default, or ``REQUIRED``.
        rule: What it may be.
        compare: Two instances differ where it does.
    """
    if default is REQUIRED:
        return field(metadata=ruled(rule), compare=compare)
    return field(default=default, metadata=ruled(rule), compare=compare)


def read_fields(owner: Value, error: type[CausalPlugError]) -> None:
    """Check the fields of a frozen dataclass that have rules, and put them as they will be used.

    Args:
        owner: The instance, in its ``__post_init__``.
        error: What is raised where a value does not fit.

    Raises:
        CausalPlugError: An error of the class ``error``.
    """
    given = vars(owner)
    where = type(owner).__name__
    for item in fields(owner):
        if _RULE in item.metadata:
            value = read_argument(item.name, given[item.name], item.metadata[_RULE], error, where)
            object.__setattr__(owner, item.name, value)


def takes(
    error: type[CausalPlugError], /, **rules: Rule
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Decorator: the arguments are checked before the function runs; a misspelt one is answered
    with the one that was meant.

    Args:
        error: What is raised where a value does not fit its rule.
        rules: Rules by argument; an argument that was left out is not checked.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        parameters = inspect.signature(function).parameters
        known = list(parameters)
        free = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
        where = function.__qualname__.removesuffix(".__init__")
        missing = sorted(set(rules) - set(known))
        if missing:
            raise TypeError(f"{where} has no argument {missing[0]}")

        @functools.wraps(function)
        def checked(*given: _P.args, **named: _P.kwargs) -> _R:
            for name in named:
                if name not in known and not free:
                    hint = did_you_mean(name, known) or f"; it takes {listed(known[1:], most=40)}"
                    raise TypeError(f"{function.__name__}() has no argument {name!r}{hint}")
            values = list(given)
            for place, (name, value) in enumerate(zip(known, given, strict=False)):
                if name in rules:
                    values[place] = read_argument(name, value, rules[name], error, where)
            for name in within(rules, named):
                named[name] = read_argument(name, named[name], rules[name], error, where)
            return function(*values, **named)  # type: ignore[arg-type]

        return checked

    return decorate


def _shown(value: object) -> str:
    """A value in a message: itself where it is plain, else its type."""
    if value is None or isinstance(value, str | bytes | bool | int | float):
        return _plain(value)
    if isinstance(value, list | tuple | dict | set) and len(value) < 10:
        return repr(value)
    return f"<{type(value).__name__}>"


def _plain(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 128:
        return f"<integer of {value.bit_length()} bits>"
    return repr(value[:200]) if isinstance(value, str | bytes) else repr(value)
