"""Sets of values that an event may name: intervals, and everything but one value."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

from causalplug.arguments import FLAG, number, read_fields, setting
from causalplug.errors import QueryError

__all__ = ["Except", "Interval", "Region", "meet"]


@dataclass(frozen=True)
class Interval:
    """The numbers between two bounds.

    Attributes:
        low: Lower bound, or None for none.
        high: Upper bound, or None for none.
        includes_low: Whether ``low`` itself belongs to it.
        includes_high: Whether ``high`` itself belongs to it.

    Raises:
        QueryError: No bound, one that is no finite number, or no number between them.

    Example:
        >>> Interval(18, 65, includes_high=False).written("age")
        '18<=age<65'
    """

    low: float | None = setting(None, number().or_none("no bound"))
    high: float | None = setting(None, number().or_none("no bound"))
    includes_low: bool = setting(True, FLAG)
    includes_high: bool = setting(True, FLAG)

    def __post_init__(self) -> None:
        read_fields(self, QueryError)
        if self.low is None and self.high is None:
            raise QueryError("an interval without bounds holds every number: leave it out")
        if self.low is not None and self.high is not None and not self._has_numbers():
            raise QueryError(
                f"the interval {self.written('x')} holds no number: the lower bound comes first"
            )

    def _has_numbers(self) -> bool:
        closed = self.includes_low and self.includes_high
        return self.low < self.high or (closed and self.low == self.high)  # type: ignore[operator]

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float):
            return False
        if self.low is None:
            low = -math.inf
        else:
            low = self.low
        if self.high is None:
            high = math.inf
        else:
            high = self.high
        above = value > low or (self.includes_low and value == low)
        below = value < high or (self.includes_high and value == high)
        return above and below

    def written(self, name: str) -> str:
        """The interval as a condition on ``name``: ``name>=3``, ``18<=name<65``."""
        less, most = ("<=" if self.includes_low else "<"), ("<=" if self.includes_high else "<")
        if self.low is None:
            return f"{name}{most}{self.high}"
        if self.high is None:
            return f"{name}{'>=' if self.includes_low else '>'}{self.low}"
        return f"{self.low}{less}{name}{most}{self.high}"


@dataclass(frozen=True)
class Except:
    """Every value but one."""

    value: Hashable

    def __contains__(self, value: object) -> bool:
        return value != self.value

    def written(self, name: str) -> str:
        """The condition on ``name``: ``name!=3``."""
        value = str(self.value)
        plain = isinstance(self.value, int | float) or value.isidentifier()
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        if plain:
            return f"{name}!={value}"
        return f'{name}!="{quoted}"'


Region = Interval | Except


def meet(left: Interval, right: Interval) -> Interval:
    """The numbers in both intervals.

    Raises:
        QueryError: There are none.
    """
    low, includes_low = _tighter(left.low, left.includes_low, right.low, right.includes_low, 1)
    high, includes_high = _tighter(
        left.high, left.includes_high, right.high, right.includes_high, -1
    )
    return Interval(low, high, includes_low, includes_high)


def _tighter(
    a: float | None, has_a: bool, b: float | None, has_b: bool, sign: int
) -> tuple[float | None, bool]:
    if a is None or b is None:
        if a is None:
            return (b, has_b)
        return (a, has_a)
    if a == b:
        return a, has_a and has_b
    if sign * a > sign * b:
        return (a, has_a)
    return (b, has_b)
