"""Arithmetic of the terms of a query: sums, products and ratios, with their slopes.

The value of a formula at the terms' values may be worked out on numbers, NumPy arrays and tensors
alike; its slopes are what an error of each term does to it, to first order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Formula", "Leaf", "Number", "Operation", "linear"]

Values = Any
"""Numbers, arrays of NumPy or tensors: what can be added and multiplied."""


@dataclass(frozen=True)
class Number:
    """A constant."""

    number: float

    def value(self, terms: Sequence[Values]) -> Values:
        """The constant, in the form of the terms."""
        return self.number + 0 * terms[0]

    def slopes(self, terms: Sequence[Values]) -> list[Values]:
        """Derivatives with respect to every term."""
        return [0 * term for term in terms]

    def moved(self, places: Sequence[int]) -> Formula:
        """The formula with term i at ``places[i]``."""
        return self

    def written(self, terms: Sequence[str]) -> str:
        """The formula as text."""
        return f"{self.number:g}"


@dataclass(frozen=True)
class Leaf:
    """A term, by its position."""

    position: int

    def value(self, terms: Sequence[object]) -> Values:
        """The term's value."""
        return terms[self.position]

    def slopes(self, terms: Sequence[Values]) -> list[Values]:
        """Derivatives with respect to every term."""
        return [0 * t + (1 if i == self.position else 0) for i, t in enumerate(terms)]

    def moved(self, places: Sequence[int]) -> Formula:
        """The formula with term i at ``places[i]``."""
        return Leaf(places[self.position])

    def written(self, terms: Sequence[str]) -> str:
        """The formula as text."""
        return terms[self.position]


@dataclass(frozen=True)
class Operation:
    """Two formulas joined by ``+``, ``-``, ``*`` or ``/``."""

    sign: str
    left: Formula
    right: Formula

    def value(self, terms: Sequence[object]) -> Values:
        """The value at the terms' values; a ratio to zero is not a number."""
        left, right = self.left.value(terms), self.right.value(terms)
        if self.sign == "+":
            return left + right
        if self.sign == "-":
            return left - right
        if self.sign == "*":
            return left * right
        return left / right

    def slopes(self, terms: Sequence[object]) -> list[Values]:
        """Derivatives with respect to every term."""
        left, right = self.left.value(terms), self.right.value(terms)
        pairs = zip(self.left.slopes(terms), self.right.slopes(terms), strict=True)
        if self.sign == "+":
            return [a + b for a, b in pairs]
        if self.sign == "-":
            return [a - b for a, b in pairs]
        if self.sign == "*":
            return [a * right + b * left for a, b in pairs]
        return [a / right - b * left / right**2 for a, b in pairs]

    def moved(self, places: Sequence[int]) -> Formula:
        """The formula with term i at ``places[i]``."""
        return Operation(self.sign, self.left.moved(places), self.right.moved(places))

    def written(self, terms: Sequence[str]) -> str:
        """The formula as text that is read back."""
        left, right = self.left.written(terms), self.right.written(terms)
        if self.sign in "*/":
            if _is_sum(self.left):
                left = f"({left})"
            inner = _is_sum(self.right) or (self.sign == "/" and isinstance(self.right, Operation))
        else:
            inner = self.sign == "-" and _is_sum(self.right)
        if inner:
            return f"{left} {self.sign} ({right})"
        return f"{left} {self.sign} {right}"


Formula = Number | Leaf | Operation


def linear(coefficients: Sequence[float]) -> Formula:
    """The sum of the terms times their coefficients."""
    total: Formula | None = None
    for position, coefficient in enumerate(coefficients):
        if total is None:
            size = coefficient
        else:
            size = abs(coefficient)
        leaf = Leaf(position)
        if size == 1:
            part: Leaf | Operation = leaf
        else:
            part = Operation("*", Number(size), leaf)
        sign = "+"
        if coefficient < 0:
            sign = "-"
        if total is None:
            total = part
        else:
            total = Operation(sign, total, part)
    if total is None:
        return Number(0.0)
    return total


def _is_sum(formula: Formula) -> bool:
    return isinstance(formula, Operation) and formula.sign in "+-"
