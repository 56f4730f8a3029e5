"""Bounds of ratios and products of terms.

A ratio of two sums of probabilities is a linear-fractional program, whose ends are sharp where the
response types belong to one component (Charnes & Cooper 1962). Of anything else the parts are
bounded one by one, and put together by interval arithmetic: no model reaches past those ends, but
narrower ones may exist.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from causalplug.checks.bound_program import Fitted
from causalplug.checks.extremes import Extreme, extreme, extreme_ratio
from causalplug.checks.linear_program import Infeasible
from causalplug.identification.arithmetic import Formula, Leaf, Number, Operation
from causalplug.identification.factors import Polynomial, add, scaled

__all__ = ["Fraction", "formula_ends"]

_SMALL = 1e-9  # a denominator that may be zero


@dataclass(frozen=True, eq=False)
class Fraction:
    """A term as a ratio of two polynomials.

    Attributes:
        coefficient: What the ratio is multiplied by in the query.
        above, below: Numerator and denominator; None stands for one.
        natural: What the ratio lies between whatever the model: 0 and 1 for a probability, the
            smallest and the largest value of the outcome for an expectation.
    """

    coefficient: float
    above: Polynomial
    below: Polynomial | None
    natural: tuple[float, float] = (0.0, 1.0)

    @property
    def limits(self) -> tuple[float, float]:
        """What the term, with its coefficient, lies between."""
        low, high = sorted(self.coefficient * end for end in self.natural)
        return low, high


@dataclass(frozen=True)
class _Range:
    """The two ends of a part."""

    low: Extreme
    high: Extreme

    @property
    def values(self) -> tuple[float, float]:
        """The ends as numbers."""
        return self.low.value, self.high.value

    @property
    def known(self) -> bool:
        """Whether the two are one, and proved."""
        return self.low.sharp and self.high.sharp and self.low.value == self.high.value

    def within(self, natural: tuple[float, float]) -> _Range:
        """The ends, cut at what no model reaches past."""
        return _Range(self.low.within(natural), self.high.within(natural))


def formula_ends(
    fitted: Fitted, formula: Formula, parts: Sequence[Fraction], *, nodes: int
) -> tuple[Extreme, Extreme]:
    """The smallest and the largest value of a formula.

    Args:
        fitted: The equations.
        formula: Ratios, products and sums of the terms.
        parts: The terms.
        nodes: The most programs that are solved where products of unknown factors occur.

    Raises:
        Infeasible: If evidence, or a denominator, is zero in every model.
    """
    found = _Parts(fitted, parts, nodes).range(formula)
    return found.low, found.high


@dataclass(frozen=True, eq=False)
class _Parts:
    fitted: Fitted
    parts: Sequence[Fraction]
    nodes: int

    def range(self, formula: Formula) -> _Range:
        """The ends of a formula."""
        plain = self._linear(formula)
        if plain is not None:
            return _Range(self._extreme(plain, 1), self._extreme(plain, -1))
        if isinstance(formula, Number):
            return _known(formula.number)
        if isinstance(formula, Leaf):
            part = self.parts[formula.position]
            found = self._ratio(part.above, part.below or {frozenset(): 1.0})
            return found.within(part.natural)
        above_, below_ = self._linear(formula.left), self._linear(formula.right)
        if formula.sign == "/" and above_ is not None and below_ is not None:
            return self._ratio(above_, below_)
        return _combined(formula.sign, self.range(formula.left), self.range(formula.right))

    def _ratio(self, above: Polynomial, below: Polynomial) -> _Range:
        """The ends of a ratio of two polynomials, the lower one being a sum of probabilities."""
        if min(below.values(), default=0.0) < 0 and self._extreme(below, 1).value < -_SMALL:
            tops, bottoms = (
                _Range(self._extreme(part, 1), self._extreme(part, -1)) for part in (above, below)
            )
            return _combined("/", tops, bottoms)
        return _Range(self._end(above, below, 1), self._end(above, below, -1))

    def _end(self, above: Polynomial, below: Polynomial, sign: int) -> Extreme:
        """An end of a ratio; infinite where what is divided by may be zero."""
        try:
            return extreme_ratio(self.fitted, above, below, sign, nodes=self.nodes)
        except Infeasible:
            if self._extreme(below, -1).value <= _SMALL:
                raise Infeasible("what is divided by is zero in every model") from None
            if self._extreme(below, 1).value > _SMALL:
                raise
            return Extreme(-sign * math.inf, -sign * math.inf)

    def _extreme(self, polynomial: Polynomial, sign: int) -> Extreme:
        return extreme(self.fitted, polynomial, sign, nodes=self.nodes)

    def _linear(self, formula: Formula) -> Polynomial | None:
        """The formula as one polynomial, None if it is none."""
        if isinstance(formula, Number):
            return {frozenset(): formula.number}
        if isinstance(formula, Leaf):
            return self._term(formula.position)
        left, right = self._linear(formula.left), self._linear(formula.right)
        if left is None or right is None:
            return None
        if formula.sign == "+":
            return add((1.0, left), (1.0, right))
        if formula.sign == "-":
            return add((1.0, left), (-1.0, right))
        return _scaled(formula, left, right)

    def _term(self, position: int) -> Polynomial | None:
        part = self.parts[position]
        if part.below is None:
            return scaled(part.coefficient, part.above)
        bottom = self.fitted.reduce(part.below)
        if not bottom.known:
            return None
        if bottom.impossible:
            raise Infeasible("the evidence has probability zero")
        return scaled(part.coefficient / bottom.constant, part.above)


def _scaled(formula: Operation, left: Polynomial, right: Polynomial) -> Polynomial | None:
    """A product with a number, or a ratio to one; None for others."""
    if formula.sign == "*" and isinstance(formula.left, Number):
        return scaled(formula.left.number, right)
    if formula.sign == "*" and isinstance(formula.right, Number):
        return scaled(formula.right.number, left)
    if formula.sign == "/" and isinstance(formula.right, Number):
        return scaled(1 / formula.right.number, left)
    return None


def _known(number: float) -> _Range:
    end = Extreme(number, number)
    return _Range(end, end)


def _combined(sign: str, left: _Range, right: _Range) -> _Range:
    """Interval arithmetic; what may be divided by zero is unbounded."""
    (a, b), (c, d) = left.values, right.values
    if sign == "+":
        ends = [a + c, b + d]
    elif sign == "-":
        ends = [a - d, b - c]
    elif sign == "*":
        ends = [_times(x, y) for x in (a, b) for y in (c, d)]
    else:
        ends = [_times(x, y) for x in (a, b) for y in _inverse(c, d)]
    if left.known and right.known:
        return _known(ends[0])
    return _Range(Extreme(min(ends), math.nan), Extreme(max(ends), math.nan))


def _inverse(low: float, high: float) -> tuple[float, float]:
    """The ends of one over an interval."""
    if max(abs(low), abs(high)) <= _SMALL:
        raise Infeasible("what is divided by is zero in every model")
    if low >= -_SMALL:
        return 1 / high, math.inf if low <= _SMALL else 1 / low
    if high <= _SMALL:
        return -math.inf if high >= -_SMALL else 1 / high, 1 / low
    return -math.inf, math.inf


def _times(left: float, right: float) -> float:
    if left == 0 or right == 0:
        return 0.0
    return left * right
