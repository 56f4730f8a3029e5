"""The numbers of an answer as contrasts of ratios of means over rows of noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from causalplug.identification.arithmetic import Formula
from causalplug.model.model import Model
from causalplug.sampling.terms import Axis, Case, CompiledTerm, numbers_of
from causalplug.sampling.worlds import Rows, World
from causalplug.uncertainty.pins import Pins

__all__ = ["AnswerNumbers", "Block", "Linearised", "Place"]


Place = tuple[int, int]
"""A case: number of the block, and position of the term."""


@dataclass(frozen=True)
class Linearised:
    """A contrast of ratios at its value: what one row of noise adds to every number.

    Attributes:
        ratios: ``(t, k)`` the terms.
        weights: ``(t, k)`` mean weights of the rows that meet the evidence.
    """

    ratios: Tensor
    weights: Tensor


@dataclass(eq=False)
class Block:
    """One value of every symbol: a case for each term."""

    cases: list[Case]
    sizes: tuple[list[int], list[int]]
    numbers: list[Tensor | None] = field(default_factory=list)
    pins: list[Pins] = field(default_factory=list)
    width: int = 1  # numbers of a cell

    @property
    def cells(self) -> int:
        """Numbers of the block."""
        return math.prod(self.sizes[0]) * math.prod(self.sizes[1]) * self.width


class AnswerNumbers:
    """The numbers of an answer, in the order of its table.

    Every number is ``sum_t c_t mean(a_t) / mean(b_t)`` over rows of noise, where ``b_t`` says
    whether a row meets the evidence of term t and ``a_t`` is ``b_t`` times what is asked for.

    Args:
        dcm: The model.
        terms: The compiled terms of the query; their evidence is discrete.
        combination: Ratios and products of the terms; None for their sum, times the coefficients.
    """

    smooth = True
    """Whether the numbers are smooth in every value that they read."""
    joint = False
    """Whether cells hold outcomes as well as evidence, so that weights depend on interventions."""

    def __init__(
        self, dcm: Model, terms: Sequence[CompiledTerm], combination: Formula | None = None
    ):
        self.dcm, self.terms, self.combination = dcm, list(terms), combination
        self.coefficients = torch.tensor([float(t.coefficient) for t in terms], dtype=torch.float64)
        self.blocks = list(map(self._block, self._matched()))
        self.size = sum(block.cells for block in self.blocks)
        if any(self.case(place).ranges for place in self.places):
            self.smooth = False

    def _matched(self) -> list[list[Case]]:
        """The cases of all terms with the same values of the symbols."""
        order = self.terms[0].symbols
        by_symbols = []
        for term in self.terms:
            by_symbols.append(
                {tuple(str(case.symbols[label]) for label in order): case for case in term.cases}
            )
        found = []
        for key in by_symbols[0]:
            found.append([cases[key] for cases in by_symbols])
        return found

    def _block(self, cases: list[Case]) -> Block:
        first = cases[0]
        sizes = (self._sizes(first.evidence), self._sizes(self._discrete(first)))
        block = Block(cases, sizes)
        for case in cases:
            block.numbers.append(self._category_numbers(case))
            block.pins.append(Pins.of(self.dcm, case))
        return block

    def _discrete(self, case: Case) -> list[Axis]:
        return [a for a in case.outcomes if self.dcm.variables[a.variable].is_discrete]

    def _sizes(self, axes: Sequence[Axis]) -> list[int]:
        return [self.dcm.variables[axis.variable].size for axis in axes]

    def _category_numbers(self, case: Case) -> Tensor | None:
        if case.mean is None:
            return None
        found = numbers_of(self.dcm.variables[case.mean.variable], case.mean.variable)
        if found is None:
            return None
        return torch.tensor(found, dtype=torch.float64)

    @property
    def targets(self) -> list[tuple[World, str]]:
        """Every world and variable that a number reads."""
        targets = []
        for place in self.places:
            targets.extend(self.targets_of(self.case(place)))
        return targets

    @staticmethod
    def targets_of(case: Case) -> list[tuple[World, str]]:
        """Every world and variable that a case reads."""
        found = []
        for given in case.given:
            for name in given.names:
                found.append((given.world, name))
        return found + [(world, name) for world, names in case.targets for name in names]

    @property
    def places(self) -> list[Place]:
        """All cases."""
        terms = range(len(self.terms))
        found = []
        for number in range(len(self.blocks)):
            for position in terms:
                found.append((number, position))
        return found

    def columns(self, place: Place) -> slice:
        """Which of the numbers a case is part of."""
        before = sum(block.cells for block in self.blocks[: place[0]])
        return slice(before, before + self.blocks[place[0]].cells)

    def case(self, place: Place) -> Case:
        """The case at a place."""
        return self.blocks[place[0]].cases[place[1]]

    def pins(self, place: Place) -> Pins:
        """The single values of numbers that a case is given."""
        return self.blocks[place[0]].pins[place[1]]

    def parts(self, rows: Rows, place: Place) -> tuple[Tensor, Tensor]:
        """``a`` and ``b`` of every row for one case, each ``(n, cells)`` of float64."""
        return self.of_case(self.blocks[place[0]], place[1], rows)

    def of_case(self, block: Block, position: int, rows: Rows) -> tuple[Tensor, Tensor]:
        case = block.cases[position]
        weight = self._met(case, rows) * block.pins[position].weights(rows)
        evidence = _one_hot(rows, case.evidence, block.sizes[0]) * weight[:, None]
        outcome = _one_hot(rows, self._discrete(case), block.sizes[1])
        for world, name, code in case.fixed:
            outcome = outcome * (rows.values(world, [name])[name] == code)[:, None]
        for world, condition in case.ranges:
            values = rows.values(world, [condition.name])[condition.name]
            outcome = outcome * condition.holds(values, rows.noise.rows)[:, None]
        if case.mean is not None:
            outcome = outcome * self._number(case.mean, block.numbers[position], rows)[:, None]
        a = (evidence[:, :, None] * outcome[:, None, :]).flatten(1)
        b = evidence[:, :, None].expand(-1, -1, outcome.shape[1]).flatten(1)
        return a, b

    def _met(self, case: Case, rows: Rows) -> Tensor:
        met = torch.ones(len(rows), dtype=torch.bool, device=rows.noise.device)
        for given in case.given:
            for condition in given.conditions:
                value = rows.values(given.world, [condition.name])[condition.name]
                met = met & condition.holds(value, rows.noise.rows)
        return met.double()

    @staticmethod
    def _number(axis: Axis, categories: Tensor | None, rows: Rows) -> Tensor:
        values = rows.values(axis.world, [axis.variable])[axis.variable]
        if categories is None:
            return values.double()
        return categories.to(values.device)[values]

    def combined(self, ratios: Tensor) -> Tensor:
        """The numbers ``(k,)`` from the terms ``(t, k)``."""
        if self.combination is None:
            return (self.coefficients[:, None] * ratios).sum(0)
        return self.combination.value(list(ratios))

    def slopes(self, ratios: Tensor) -> Tensor:
        """``(t, k)``: what an error of each term does to the numbers, to first order."""
        if self.combination is None:
            return self.coefficients[:, None].expand_as(ratios)
        return torch.stack(self.combination.slopes(list(ratios)))

    def influence(self, rows: Rows, at: Linearised, places: Sequence[Place]) -> Tensor:
        """``(n, k)``: what every row adds to the numbers by some cases, to first order; NaN where
        no row met the evidence."""
        device = rows.noise.device
        total = torch.zeros(len(rows), self.size, dtype=torch.float64, device=device)
        slopes = self.slopes(at.ratios)
        for place in places:
            position, columns = place[1], self.columns(place)
            a, b = self.parts(rows, place)
            centred = (a - at.ratios[position, columns] * b) / at.weights[position, columns]
            total[:, columns] += slopes[position, columns] * centred
        return total


def _one_hot(rows: Rows, axes: Sequence[Axis], sizes: Sequence[int]) -> Tensor:
    """Indicators ``(n, cells)`` of the joint value of several discrete axes."""
    code = torch.zeros(len(rows), dtype=torch.int64, device=rows.noise.device)
    for axis, size in zip(axes, sizes, strict=True):
        code = code * size + rows.values(axis.world, [axis.variable])[axis.variable]
    return torch.nn.functional.one_hot(code, math.prod(sizes)).double()
