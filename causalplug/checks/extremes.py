"""The smallest and largest value of a query over all models that agree with the data."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from causalplug.checks.bound_form import Form
from causalplug.checks.bound_program import Fitted, Reduced
from causalplug.checks.linear_program import Constraints, Infeasible, optimum, ratio
from causalplug.identification.factors import Factor, Polynomial
from causalplug.selection import by_name

__all__ = ["Extreme", "extreme", "extreme_ratio"]

_GAP = 1e-7
_SMALL = 1e-9  # a denominator that may be zero


@dataclass(frozen=True)
class Extreme:
    """An extreme value.

    Attributes:
        value: A proved bound: no model reaches past it.
        reached: What some model was seen to reach.
        form: The bound as a function of the tables' probabilities: this bounds the query for any
            tables, and is the best such function for these. None where it is not linear.
    """

    value: float
    reached: float
    form: Form | None = None

    @property
    def sharp(self) -> bool:
        """Whether a model reaches the bound, to 1e-6."""
        return abs(self.value - self.reached) <= 1e-6

    def within(self, natural: tuple[float, float]) -> Extreme:
        """The value, cut at the two ends that no model reaches past."""
        low, high = natural
        return replace(self, value=min(max(self.value, low), high))


def extreme(fitted: Fitted, polynomial: Polynomial, sign: int, *, nodes: int) -> Extreme:
    """The smallest (``sign`` 1) or largest (-1) value of a polynomial in c-factors.

    Args:
        fitted: The equations.
        polynomial: The query.
        sign: Which end.
        nodes: The most programs that are solved where products of unknown factors occur.
    """
    reduced = fitted.reduce(polynomial)
    if reduced.known:
        return Extreme(reduced.constant, reduced.constant, fitted.form_of(polynomial))
    if reduced.products:
        return _Search(fitted, reduced, sign).run(nodes)
    given = fitted.constraints(reduced.linear)
    best = optimum(fitted.line(reduced.linear), given, sign)
    value = reduced.constant + best.value
    return Extreme(value, value, fitted.bound_form(polynomial, best.prices, reduced.linear))


def extreme_ratio(
    fitted: Fitted, above: Polynomial, below: Polynomial, sign: int, *, nodes: int
) -> Extreme:
    """The same for a ratio of two polynomials.

    Raises:
        Infeasible: If what stands below is zero in every model.
    """
    bottom = fitted.reduce(below)
    if bottom.known:
        if bottom.impossible:
            raise Infeasible("the evidence has probability zero")
        found = extreme(fitted, above, sign, nodes=nodes)
        scale = 1 / bottom.constant
        if found.form is None:
            form = None
        else:
            form = found.form.over(fitted.form_of(below))
        return Extreme(found.value * scale, found.reached * scale, form)
    top = fitted.reduce(above)
    if not top.products and not bottom.products:
        given = fitted.constraints([*top.linear, *bottom.linear])
        pairs = [(part.constant, fitted.line(part.linear)) for part in (top, bottom)]
        value = ratio(pairs[0], pairs[1], given, sign)
        return Extreme(value, value)
    return _ratio_of_intervals(fitted, above, below, sign, nodes)


def _ratio_of_intervals(
    fitted: Fitted, above: Polynomial, below: Polynomial, sign: int, nodes: int
) -> Extreme:
    """What the two intervals of numerator and denominator allow: valid, hardly ever sharp, and
    infinite where the denominator may be zero."""
    tops = [extreme(fitted, above, s, nodes=nodes).value for s in (1, -1)]
    bottoms = [extreme(fitted, below, s, nodes=nodes).value for s in (1, -1)]
    if bottoms[1] <= _SMALL:
        raise Infeasible("the evidence has probability zero")
    ends = [_divided(top, bottom) for top in tops for bottom in bottoms]
    if sign > 0:
        value = min(ends)
    else:
        value = max(ends)
    return Extreme(value, float("nan"))


def _divided(top: float, bottom: float) -> float:
    """The ratio; its limit where the lower number is zero."""
    if bottom > _SMALL:
        return top / bottom
    if abs(top) <= _SMALL:
        return 0.0
    return math.copysign(math.inf, top)


class _Search:
    """Branch and bound over products of unknown factors, by McCormick's envelopes.

    Every factor has an interval. A product of two numbers in intervals lies between four planes, so
    that a linear program bounds the query; splitting the interval of the factor that the envelope
    fits worst makes it narrower.
    """

    def __init__(self, fitted: Fitted, reduced: Reduced, sign: int):
        self.fitted, self.reduced, self.sign = fitted, reduced, sign
        in_products = set(chain.from_iterable(reduced.products))
        self.factors = sorted(in_products, key=repr)
        self.base = fitted.constraints([*reduced.linear, *self.factors])
        self.lines = {f: fitted.line({f: 1.0}) for f in self.factors}
        self.chains = self._chains()
        self.start = fitted.line(reduced.linear)

    def _chains(self) -> list[tuple[float, list[tuple[object, Factor]]]]:
        """Every product as steps: what there is so far, times one more factor."""
        found = []
        for product, coefficient in self.reduced.products.items():
            ordered = sorted(product, key=repr)
            steps: list[tuple[object, Factor]] = []
            so_far: object = ordered[0]
            for factor in ordered[1:]:
                steps.append((so_far, factor))
                so_far = (so_far, factor)
            found.append((coefficient, steps))
        return found

    def run(self, nodes: int) -> Extreme:
        """Split until the gap is closed or ``nodes`` programs were solved."""
        box = by_name(self._interval, self.factors)
        bound, point = self._relaxed(box)
        best = self._improved(point)
        count = itertools.count()
        waiting = [(bound, next(count), box, point)]
        while waiting and nodes > 0:
            bound, _, box, point = waiting[0]
            if bound >= best - _GAP:
                break
            heapq.heappop(waiting)
            for part in self._split(box, point):
                nodes -= 1
                try:
                    lower, at = self._relaxed(part)
                except Infeasible:
                    continue
                best = min(best, self._value(at))
                if lower < best - _GAP / 2:
                    heapq.heappush(waiting, (max(lower, bound), next(count), part, at))
        proved = best
        if waiting:
            proved = min(waiting[0][0], best)
        return Extreme(self.sign * proved, self.sign * best)

    def _interval(self, factor: Factor) -> tuple[float, float]:
        line = self.lines[factor]
        low, high = (optimum(line, self.base, sign).value for sign in (1, -1))
        return max(low, 0.0), min(max(high, low), 1.0)

    def _split(
        self, box: Mapping[Factor, tuple[float, float]], point: np.ndarray
    ) -> list[dict[Factor, tuple[float, float]]]:
        """The box cut in two at the factor whose interval matters most."""
        errors = dict.fromkeys(self.factors, 0.0)
        for product, coefficient in self.reduced.products.items():
            widths = {f: box[f][1] - box[f][0] for f in product}
            for factor in product:
                others = max(w for f, w in widths.items() if f != factor)
                errors[factor] += abs(coefficient) * widths[factor] * others
        factor = max(self.factors, key=lambda f: errors[f])
        low, high = box[factor]
        at = float(self.lines[factor] @ point[: len(self.start)])
        middle = (low + high) / 2
        if min(at - low, high - at) < 0.1 * (high - low):
            cut = middle
        else:
            cut = (at + middle) / 2
        return [{**box, factor: (low, cut)}, {**box, factor: (cut, high)}]

    def _relaxed(self, box: Mapping[Factor, tuple[float, float]]) -> tuple[float, np.ndarray]:
        """The bound of the relaxed program in a box, for the smallest end, and where it is."""
        relaxation = _Relaxation(self, box)
        best = optimum(relaxation.objective(), relaxation.constraints(), 1)
        bound = best.value + self.sign * self.reduced.constant
        return bound, best.point[: len(self.start)]

    def _value(self, point: np.ndarray) -> float:
        """The query in a model, times the sign."""
        total = self.reduced.constant + float(self.start @ point)
        for product, coefficient in self.reduced.products.items():
            total += coefficient * float(np.prod([self.lines[f] @ point for f in product]))
        return self.sign * total

    def _improved(self, point: np.ndarray) -> float:
        """The value after each component in turn was put at its best."""
        best = self._value(point)
        for _ in range(20):
            before = best
            for number in sorted({factor[0] for factor in self.factors}):
                owned = self._owned(number)
                there = optimum(self._gradient(point, number) * owned, self.base, 1).point
                point = np.where(owned, there, point)
                best = min(best, self._value(point))
            if before - best < 1e-12:
                break
        return best

    def _gradient(self, point: np.ndarray, number: int) -> np.ndarray:
        """Coefficients on the unknowns of one component, the others staying where they are."""
        line = self.start.copy()
        for product, coefficient in self.reduced.products.items():
            for factor in product:
                if factor[0] == number:
                    others = [self.lines[f] @ point for f in product if f != factor]
                    line = line + coefficient * float(np.prod(others)) * self.lines[factor]
        return self.sign * line

    def _owned(self, number: int) -> np.ndarray:
        start = self.fitted.offsets[number]
        owned = np.zeros(len(self.start), bool)
        owned[start : start + self.fitted.program.blocks[number].size] = True
        return owned


class _Relaxation:
    """The linear program of one box: the unknowns, and one more for every product."""

    def __init__(self, search: _Search, box: Mapping[Factor, tuple[float, float]]):
        self.search, self.box = search, box
        keys: dict[tuple[object, Factor], None] = {}
        for _, steps in search.chains:
            for left, f in steps:
                keys[(left, f)] = None
        self.places = {key: len(search.start) + i for i, key in enumerate(keys)}
        self.size = len(search.start) + len(self.places)

    def objective(self) -> np.ndarray:
        """Coefficients, times the sign of the search."""
        line = np.zeros(self.size)
        line[: len(self.search.start)] = self.search.start
        for coefficient, steps in self.search.chains:
            line[self.places[steps[-1]]] += coefficient
        return self.search.sign * line

    def constraints(self) -> Constraints:
        """The equations, the intervals and the envelopes."""
        base = self.search.base
        matrix = np.zeros((len(base.values), self.size))
        matrix[:, : len(self.search.start)] = base.matrix
        upper: list[np.ndarray] = []
        limits: list[float] = []
        for factor, (low, high) in self.box.items():
            line = self._line(factor)
            upper += [line, -line]
            limits += [high, -low]
        for left, factor in self.places:
            self._envelope(left, factor, upper, limits)
        return Constraints(matrix, base.values, np.array(upper), np.array(limits))

    def _envelope(
        self, left: object, factor: Factor, upper: list[np.ndarray], limits: list[float]
    ) -> None:
        x, y = self._line(left), self._line(factor)
        w = np.zeros(self.size)
        w[self.places[left, factor]] = 1.0
        (a, b), (c, d) = self._range(left), self.box[factor]
        upper += [c * x + a * y - w, d * x + b * y - w, w - d * x - a * y, w - c * x - b * y]
        limits += [a * c, b * d, -a * d, -b * c]

    def _line(self, key: object) -> np.ndarray:
        line = np.zeros(self.size)
        if key in self.places:
            line[self.places[key]] = 1.0
        else:
            line[: len(self.search.start)] = self.search.lines[key]  # type: ignore[index]
        return line

    def _range(self, key: object) -> tuple[float, float]:
        if key in self.box:
            return self.box[key]  # type: ignore[index]
        left: object = key[0]  # type: ignore[index]
        (a, b), (c, d) = self._range(left), self.box[key[1]]  # type: ignore[index]
        return a * c, b * d
