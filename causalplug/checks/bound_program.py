"""From equations on c-factors to the smallest and largest value of a polynomial in them.

Factors that the equations determine become numbers. What is left is linear where every product has
one unknown factor, and a linear program then gives sharp bounds. Products of several unknown
factors go to branch and bound.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from causalplug.checks.bound_form import Form
from causalplug.checks.factor_rows import Row
from causalplug.checks.linear_program import Constraints, Infeasible, nearest
from causalplug.checks.response_types import ResponseTypes
from causalplug.identification.assumptions import Assume
from causalplug.identification.factors import Factor, Model, Polynomial
from causalplug.selection import by_name, sizes_of

__all__ = ["BoundProgram", "Fitted", "Reduced"]

_CLOSE = 1e-9
_NOTHING = 1e-12  # a probability that rounding makes of zero


@dataclass(frozen=True, eq=False)
class Reduced:
    """A polynomial with numbers for the factors that are known.

    Attributes:
        constant: What is known of it.
        linear: Coefficients of single unknown factors.
        products: Coefficients of products of several.
    """

    constant: float = 0.0
    linear: Mapping[Factor, float] = field(default_factory=dict)
    products: Mapping[frozenset[Factor], float] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether nothing is left open."""
        return not self.linear and not self.products

    @property
    def impossible(self) -> bool:
        """Whether it is known to be the probability of nothing: zero, up to rounding."""
        return self.known and self.constant <= _NOTHING


class BoundProgram:
    """The part of the program that does not depend on the numbers in the tables.

    Args:
        model: The graph and the values of its variables.
        rows: What the tables say.
        polynomials: What will be asked for.
        assumptions: Declared ones.
        most: The largest number of response types of a component.

    Raises:
        QueryError: If a component has too many response types.
    """

    def __init__(
        self,
        model: Model,
        rows: Sequence[Row],
        polynomials: Iterable[Polynomial],
        assumptions: Sequence[Assume],
        most: int,
    ):
        self.model, self.rows, self.assumptions = model, rows, assumptions
        self.direct = _direct(rows)
        asked = _factors_of(polynomials)
        needed = {factor[0] for factor in asked if factor not in self.direct}
        self.mixed = [n for n, row in enumerate(rows) if self._is_mixed(row, needed)]
        mixed = _factors_of(rows[n].polynomial for n in self.mixed)
        helpers = {f for f in mixed if f[0] in needed or f not in self.direct}
        self.blocks: dict[int, _Block] = {}
        for number in sorted(needed | {f[0] for f in helpers}):
            own = {f for f in asked | helpers if f[0] == number}
            self.blocks[number] = _Block(self, number, own, most)

    def _is_mixed(self, row: Row, needed: set[int]) -> bool:
        components = set()
        for product in row.polynomial:
            for factor in product:
                components.add(factor[0])
        return len(components) > 1 and bool(components & needed)

    @cached_property
    def unknowns(self) -> int:
        """The number of unknowns after the canonical partition."""
        return sum(sizes_of(self.blocks.values()))


def _direct(rows: Sequence[Row]) -> dict[Factor, list[int]]:
    """Numbers of the rows that give a factor by itself."""
    found: dict[Factor, list[int]] = {}
    for number, row in enumerate(rows):
        products = list(row.polynomial)
        if len(products) == 1 and len(products[0]) == 1:
            (factor,) = products[0]
            found.setdefault(factor, []).append(number)
    return found


def _factors_of(polynomials: Iterable[Polynomial]) -> set[Factor]:
    found: set[Factor] = set()
    for polynomial in polynomials:
        for product in polynomial:
            found.update(product)
    return found


class _Block:
    """The response types of a component, those alike being one unknown.

    Attributes:
        row_numbers: Equations that concern this component alone.
        matrix: Their coefficients.
        targets: Coefficients of factors that are asked for, and of helper functions.
    """

    def __init__(self, program: BoundProgram, number: int, factors: set[Factor], most: int):
        types = ResponseTypes(program.model, number, program.assumptions, most)
        self.number = number
        own_rows = []
        for n, row in enumerate(program.rows):
            if all(f[0] == number for product in row.polynomial for f in product):
                own_rows.append(n)
        self.row_numbers = own_rows
        self.additive = _additive_rows(program.model, types)
        factors = factors | {factor for _, factor, _ in self.additive.equations}
        keys: list[Hashable] = [*factors, *self.additive.lines]
        types.check_memory(len(self.row_numbers) + len(keys))
        lines = [self._line(program.rows[n], types) for n in self.row_numbers]
        extra = [types.indicator(factor[1]) for factor in factors]
        stacked = np.array([*lines, *extra, *self.additive.lines.values()], float)
        columns = np.unique(stacked.reshape(-1, types.size), axis=1)
        self.size = columns.shape[1]
        self.matrix = columns[: len(lines)]
        self.targets = dict(zip(keys, columns[len(lines) :], strict=True))

    def _line(self, row: Row, types: ResponseTypes) -> np.ndarray:
        line = np.zeros(types.size)
        for product, coefficient in row.polynomial.items():
            (factor,) = product
            line += coefficient * types.indicator(factor[1])
        return line


@dataclass(frozen=True, eq=False)
class _Additive:
    """Equations that additivity gives: the first line equals a probability times the second."""

    lines: Mapping[Hashable, np.ndarray]
    equations: tuple[tuple[Hashable, Factor, Hashable], ...]


def _additive_rows(model: Model, types: ResponseTypes) -> _Additive:
    """E[(Y_a - Y_b) 1(W_s = w)] = P(W_s = w) E[Y_a - Y_b] for every other variable W of the
    component: what they share unobserved does not change the mean effect."""
    lines: dict[Hashable, np.ndarray] = {}
    equations: list[tuple[Hashable, Factor, Hashable]] = []
    for assumption in types.assumptions:
        if assumption.kind != "additive":
            continue
        for step in types.steps(assumption):
            whole: Hashable = ("effect", assumption, step)
            effect = types.difference(assumption.effect, step)
            lines[whole] = effect
            for response in types.others(assumption.effect):
                part: Hashable = ("part", assumption, step, response)
                lines[part] = effect * types.indicator([response])
                factor = model.owner[assumption.effect], frozenset([response])
                equations.append((part, factor, whole))
    return _Additive(lines, tuple(equations))


class Fitted:
    """A program with the numbers of some tables.

    Args:
        program: The program.
        values: The right sides of its rows, NaN where the tables have none.
        counts: The rows that each was counted on.

    Attributes:
        misfit: The largest change of a right side, in standard errors (absolute for exact tables),
            that was needed for some model to have all of them; 0 if none was.
        unused: Equations that are polynomials and were left out.
    """

    def __init__(self, program: BoundProgram, values: np.ndarray, counts: np.ndarray):
        self.program, self.values, self.counts = program, values, counts
        self.misfit, self.worst, self.unused = 0.0, "", 0
        self.exact_misfit = 0.0
        self._found: dict[Factor, float | None] = {}
        self._forms: dict[Factor, Form] = {}
        self._parts: dict[int, Constraints] = {}
        self._origin: dict[int, list[int] | None] = {}
        for number in program.blocks:
            self._parts[number] = self._constraints(number, [], [])
        extra = by_name(self._extra, program.blocks)
        for number, (lines, right) in extra.items():
            if lines:
                self._parts[number] = self._constraints(number, lines, right)
        self._found = {}

    # --- equations ---

    def _constraints(self, number: int, lines: list[np.ndarray], right: list[float]) -> Constraints:
        block = self.program.blocks[number]
        own = self.values[block.row_numbers]
        there = ~np.isnan(own)
        parts = [block.matrix[there], np.ones((1, block.size)), *(line[None] for line in lines)]
        matrix = np.vstack(parts)
        values = np.concatenate([own[there], [1.0], right])
        weights = np.concatenate(
            [self._weights(block.row_numbers)[there], [np.inf], np.full(len(right), 1e3)]
        )
        texts = [self.program.rows[n].text for n in block.row_numbers]
        names = [t for t, kept in zip(texts, there, strict=True) if kept]
        used = [n for n, kept in zip(block.row_numbers, there, strict=True) if kept]
        if lines:
            self._origin[number] = None
        else:
            self._origin[number] = used
        return self._consistent(Constraints(matrix, values), weights, names)

    def _weights(self, numbers: Sequence[int]) -> np.ndarray:
        """One over the standard error of every right side."""
        value, count = self.values[numbers], self.counts[numbers]
        exact = np.isinf(count)
        count = np.where(exact, 1e12, count)
        smoothed = (np.nan_to_num(value) * count + 1) / (count + 2)
        return np.asarray(np.sqrt(count / (smoothed * (1 - smoothed))))

    def _consistent(
        self, given: Constraints, weights: np.ndarray, names: Sequence[str]
    ) -> Constraints:
        """Right sides that some model has, as close as possible to those of the tables."""
        values = nearest(given, weights)
        change = np.abs(values - given.values)
        if change.max(initial=0.0) <= _CLOSE:
            return given
        apart = np.where(np.isinf(weights), 0.0, change * np.minimum(weights, 1e300))
        worst = 0
        if names:
            worst = int(np.argmax(apart[: len(names)]))
        if apart[worst] > self.misfit:
            self.misfit = float(apart[worst])
            if names:
                self.worst = names[worst]
            else:
                self.worst = ""
        self.exact_misfit = max(self.exact_misfit, float(change.max()))
        return Constraints(given.matrix, values)

    def _extra(self, number: int) -> tuple[list[np.ndarray], list[float]]:
        """Equations that become linear once factors of other components are known, and those of
        additive effects."""
        lines, right = [], []
        block = self.program.blocks[number]
        for n in self.program.mixed:
            line = self._linear(block, self.program.rows[n].polynomial)
            if line is not None and not np.isnan(self.values[n]):
                lines.append(line[1])
                right.append(float(self.values[n]) - line[0])
        for part, factor, whole in block.additive.equations:
            share = self.value(factor)
            if share is not None:
                lines.append(block.targets[part] - share * block.targets[whole])
                right.append(0.0)
        return lines, right

    def _linear(self, block: _Block, polynomial: Polynomial) -> tuple[float, np.ndarray] | None:
        """The polynomial as a constant and coefficients on the types of ``block``, if it is."""
        reduced = self.reduce(polynomial)
        if reduced.products or not reduced.linear:
            if reduced.products:
                self.unused += 1
            return None
        if any(factor[0] != block.number for factor in reduced.linear):
            return None
        line = np.zeros(block.size)
        for factor, coefficient in reduced.linear.items():
            line = line + coefficient * block.targets[factor]
        return reduced.constant, line

    # --- factors ---

    def value(self, factor: Factor) -> float | None:
        """The value of a factor that the equations determine, else None."""
        if factor not in self._found:
            self._found[factor] = self._determined(factor)
        return self._found[factor]

    def _determined(self, factor: Factor) -> float | None:
        numbers = [n for n in self.program.direct.get(factor, ()) if self.values[n] >= 0]
        if numbers and factor[0] not in self.program.blocks:
            shares = np.minimum(self.counts[numbers], 1e12)
            form = self._form(0.0, numbers, shares / shares.sum())
            self._forms[factor] = form
            return float(form(self.values[None])[0])
        given = self._parts.get(factor[0])
        if given is None:
            return None
        target = self.program.blocks[factor[0]].targets.get(factor)
        if target is None:
            return None
        solution, *_ = np.linalg.lstsq(given.matrix.T, target, rcond=None)
        if np.abs(given.matrix.T @ solution - target).max() > 1e-8:
            return None
        used = self._origin[factor[0]]
        if used is not None:
            self._forms[factor] = self._form(solution[len(used)], used, solution[: len(used)])
        return float(np.clip(solution @ given.values, 0.0, 1.0))

    def _form(self, constant: float, numbers: Sequence[int], weights: np.ndarray) -> Form:
        whole = np.zeros(len(self.values))
        np.add.at(whole, list(numbers), weights)
        return Form(float(constant), whole)

    def form_of(self, polynomial: Polynomial) -> Form | None:
        """A polynomial in known factors as a function of the tables, if it is linear."""
        constant, weights = 0.0, np.zeros(len(self.values))
        for product, coefficient in polynomial.items():
            if len(product) > 1:
                return None
            for factor in product:
                if self.value(factor) is None or factor not in self._forms:
                    return None
                constant += coefficient * self._forms[factor].constant
                weights = weights + coefficient * self._forms[factor].weights
            if not product:
                constant += coefficient
        return Form(constant, weights)

    def bound_form(
        self, polynomial: Polynomial, prices: np.ndarray, factors: Iterable[Factor]
    ) -> Form | None:
        """The bound with these dual ``prices`` as a function of the tables, if it is linear."""
        known = {}
        for product, coefficient in polynomial.items():
            if all(self.value(factor) is not None for factor in product):
                known[product] = coefficient
        if any(len(product) > 1 for product in polynomial):
            return None
        form = self.form_of(known)
        if form is None:
            return None
        constant, weights = form.constant, form.weights.copy()
        at = 0
        for number in sorted({factor[0] for factor in factors}):
            used = self._origin[number]
            if used is None:
                return None
            np.add.at(weights, used, prices[at : at + len(used)])
            constant += float(prices[at + len(used)])
            at += len(used) + 1
        return Form(constant, weights)

    def reduce(self, polynomial: Polynomial) -> Reduced:
        """``polynomial`` with the known factors as numbers."""
        constant = 0.0
        linear: dict[Factor, float] = {}
        products: dict[frozenset[Factor], float] = {}
        for product, coefficient in polynomial.items():
            open_factors = []
            for factor in product:
                value = self.value(factor)
                if value is None:
                    open_factors.append(factor)
                else:
                    coefficient *= value
            if coefficient == 0:
                continue
            if not open_factors:
                constant += coefficient
            elif len(open_factors) == 1:
                linear[open_factors[0]] = linear.get(open_factors[0], 0.0) + coefficient
            else:
                key = frozenset(open_factors)
                products[key] = products.get(key, 0.0) + coefficient
        return Reduced(constant, linear, products)

    # --- one program over several components ---

    @cached_property
    def offsets(self) -> dict[int, int]:
        """Where the unknowns of every component start."""
        found, at = {}, 0
        for number, block in self.program.blocks.items():
            found[number] = at
            at += block.size
        return found

    def line(self, linear: Mapping[Factor, float]) -> np.ndarray:
        """Coefficients on all unknowns."""
        whole = np.zeros(self.program.unknowns)
        for factor, coefficient in linear.items():
            block = self.program.blocks[factor[0]]
            start = self.offsets[factor[0]]
            whole[start : start + block.size] += coefficient * block.targets[factor]
        return whole

    def constraints(self, factors: Iterable[Factor]) -> Constraints:
        """The equations of the components that ``factors`` belong to, on all unknowns.

        Raises:
            Infeasible: If a factor's component has no equations and no types.
        """
        numbers = sorted({factor[0] for factor in factors})
        if not numbers:
            raise Infeasible("nothing is unknown")
        rows, values = [], []
        for number in numbers:
            part = self._parts[number]
            whole = np.zeros((len(part.values), self.program.unknowns))
            start = self.offsets[number]
            whole[:, start : start + part.matrix.shape[1]] = part.matrix
            rows.append(whole)
            values.append(part.values)
        return Constraints(np.vstack(rows), np.concatenate(values))
