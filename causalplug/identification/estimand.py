"""The formula of a query in probabilities of the data sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from causalplug.identification.algebra import apart, divide, product, substitute, total
from causalplug.identification.arithmetic import Formula, Leaf
from causalplug.identification.arithmetic import Number as Value
from causalplug.identification.expressions import (
    ONE,
    ZERO,
    Atom,
    Average,
    Cases,
    Constant,
    Expression,
    Indicator,
    Number,
    Probability,
    Product,
    Ratio,
    Sum,
    Symbol,
    Within,
)
from causalplug.identification.notation import _Latex, _Text, walk

__all__ = [
    "ONE",
    "ZERO",
    "Atom",
    "Average",
    "Cases",
    "Constant",
    "Estimand",
    "Expression",
    "Indicator",
    "Number",
    "Probability",
    "Product",
    "Ratio",
    "Sum",
    "Symbol",
    "TermEstimand",
    "Within",
    "apart",
    "divide",
    "estimand_to_latex",
    "estimand_to_text",
    "product",
    "substitute",
    "total",
]


@dataclass(frozen=True, eq=False)
class TermEstimand:
    """The formula of one term.

    Attributes:
        formula: The tree.
        axes: What the answer is indexed by: pairs of a label (``"Y"``, ``"Y_{X=1}"``, ``"do(X)"``)
            and its symbol, outcomes first.
        expectation: The label of the outcome whose mean is taken, or None.
    """

    formula: Expression
    axes: tuple[tuple[str, Symbol], ...]
    expectation: str | None = None


@dataclass(frozen=True, eq=False)
class Estimand:
    """The formula of a query in probabilities of the data sources.

    Attributes:
        query: The query in words.
        terms: Pairs of a coefficient and a :class:`TermEstimand`.
        sources: Names of the data sources, in the order of the tables that :func:`evaluate` takes.
    """

    query: str
    terms: tuple[tuple[float, TermEstimand], ...]
    sources: tuple[str, ...]
    combination: Formula | None = None
    """How the terms are put together; None for their sum."""

    def combined(self, values: Sequence[object]) -> Any:
        """The answer from the values of the terms, coefficients included."""
        if self.combination is None:
            return sum(values)
        return self.combination.value(values)

    @property
    def formula(self) -> Expression:
        """The tree of an estimand with one term.

        Raises:
            ValueError: A contrast has several; go through ``terms``.
        """
        if len(self.terms) != 1:
            raise ValueError(
                f"{self.query} has {len(self.terms)} formulas; go through estimand.terms"
            )
        return self.terms[0][1].formula

    def __str__(self) -> str:
        return estimand_to_text(self)

    def to_latex(self) -> str:
        """The formula for a paper."""
        return estimand_to_latex(self)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.to_latex()}$"


def estimand_to_text(estimand: Estimand) -> str:
    """The whole estimand on one line, with a list of the sources where it uses several."""
    return _whole(estimand, _Text) + _legend(estimand)


def estimand_to_latex(estimand: Estimand) -> str:
    """The whole estimand."""
    return _whole(estimand, _Latex)


def _whole(estimand: Estimand, notation: Callable[[list[Expression]], _Text]) -> str:
    formulas = [apart(term.formula) for _, term in estimand.terms]
    writer = notation(formulas)
    if estimand.combination is not None:
        pairs = zip(estimand.terms, formulas, strict=True)
        bodies = [_mean(writer, term, formula) for (_, term), formula in pairs]
        return _arithmetic(writer, estimand.combination, bodies)
    text = ""
    for (coefficient, term), formula in zip(estimand.terms, formulas, strict=True):
        body = _mean(writer, term, formula)
        sign, size = ("-" if coefficient < 0 else "+"), abs(coefficient)
        if size == 1:
            factor = ""
        else:
            factor = f"{size:g} "
        text += (f" {sign} " if text else sign.replace("+", "")) + factor + body
    return text or "0"


def _arithmetic(writer: _Text, formula: Formula, bodies: Sequence[str]) -> str:
    """Ratios and products of terms, with a fraction for every ratio."""
    if isinstance(formula, Value):
        return f"{formula.number:g}"
    if isinstance(formula, Leaf):
        return bodies[formula.position]
    left, right = (_arithmetic(writer, side, bodies) for side in (formula.left, formula.right))
    if formula.sign == "/":
        return writer.ratio(left, right)
    brackets = formula.sign == "*"
    if brackets and not isinstance(formula.left, Leaf | Value):
        left = f"({left})"
    plain = isinstance(formula.right, Leaf | Value) or formula.sign == "+"
    return f"{left} {formula.sign} {right if plain else writer.brackets(right)}".replace("* ", "")


def _mean(writer: _Text, term: TermEstimand, formula: Expression) -> str:
    if term.expectation is None:
        return writer.write(formula)
    symbol = dict(term.axes)[term.expectation]
    written = writer.atom(symbol)
    return writer.sum(written, f"{written} " + writer._factor(formula, last=True))


def _legend(estimand: Estimand) -> str:
    leaves = []
    for _, t in estimand.terms:
        for n in walk(t.formula):
            if isinstance(n, Probability):
                leaves.append(n)
    used = sorted({i for leaf in leaves for i in leaf.sources})
    if len({leaf.sources for leaf in leaves}) < 2:
        return ""
    return "   with " + ", ".join(f"P_{i + 1}: {estimand.sources[i]}" for i in used)
