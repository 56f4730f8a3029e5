"""Formulas as text and as LaTeX.

A symbol is written as its variable in lower case, with primes; a constant as ``X=1``. Probabilities
of different sources are numbered where an estimand uses several.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from causalplug.identification.algebra import apart
from causalplug.identification.expressions import (
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
    Within,
)
from causalplug.selection import of_kind, variables_of

__all__ = ["to_latex", "to_text"]


def to_text(expression: Expression) -> str:
    """``Σ_{i} P(i | d) Σ_{d'} P(a | d', i) P(d')``"""
    expression = apart(expression)
    return _Text([expression]).write(expression)


def to_latex(expression: Expression) -> str:
    """The same for a paper."""
    expression = apart(expression)
    return _Latex([expression]).write(expression)


class _Text:
    """Writes expressions; subclasses change the notation.

    Args:
        roots: Everything that will be written, so that names and sources can be told apart.
    """

    def __init__(self, roots: Iterable[Expression]):
        nodes = chain.from_iterable(map(walk, roots))
        leaves = of_kind(nodes, Probability)
        names: set[str] = set()
        for leaf in leaves:
            names |= set(variables_of(leaf.of + leaf.given + leaf.do))
        spelled = Counter(map(str.lower, names))
        self.clashing = {name for name in names if spelled[name.lower()] > 1}
        self.numbered = len({leaf.sources for leaf in leaves}) > 1

    # --- notation ---

    def atom(self, atom: Atom) -> str:
        if isinstance(atom, Constant):
            return f"{atom.variable}={atom.value}"
        if atom.variable in self.clashing:
            name = atom.variable
        else:
            name = atom.variable.lower()
        return name + "'" * atom.primes

    def p(self, sources: tuple[int, ...]) -> str:
        if self.numbered:
            return "P" + "".join(f"_{i + 1}" for i in sources)
        return "P"

    def probability(self, head: str, of: str, given: str) -> str:
        if given:
            return f"{head}({of} | {given})"
        return f"{head}({of})"

    def do(self, atoms: str) -> str:
        return f"do({atoms})"

    def sum(self, over: str, body: str) -> str:
        return f"Σ_{{{over}}} {body}"

    def ratio(self, top: str, bottom: str) -> str:
        return f"[{top}] / [{bottom}]"

    def brackets(self, body: str) -> str:
        return f"({body})"

    def indicator(self, left: str, right: str) -> str:
        return f"1[{left} is {right}]"

    def within(self, condition: str) -> str:
        return f"1[{condition}]"

    def average(self, over: str, body: str) -> str:
        return f"{body} (the same for every {over})"

    def cases(self, rows: list[tuple[str, str]]) -> str:
        return "{" + "; ".join(f"{body} if {condition}" for body, condition in rows) + "}"

    # --- structure ---

    def atoms(self, atoms: Iterable[Atom]) -> str:
        return ", ".join(map(self.atom, atoms))

    def write(self, node: Expression) -> str:
        match node:
            case Number(value):
                return f"{value:g}"
            case Probability(of, given, do, sources):
                known = ([self.do(self.atoms(do))] if do else []) + (
                    [self.atoms(given)] if given else []
                )
                return self.probability(self.p(sources), self.atoms(of), ", ".join(known))
            case Product(factors):
                ranked = sorted(factors, key=lambda f: isinstance(f, Sum))
                return " ".join(
                    self._factor(f, last=i == len(ranked) - 1) for i, f in enumerate(ranked)
                )
            case Sum(over, body):
                return self.sum(self.atoms(over), self._factor(body, last=True))
            case Ratio(top, bottom):
                return self.ratio(self.write(top), self.write(bottom))
            case Indicator(left, right):
                return self.indicator(self.atom(left), self.atom(right))
            case Within(atom, region):
                return self.within(region.written(self.atom(atom)))
            case Average(over, body):
                return self.average(self.atoms(over), self._factor(body, last=False))
            case Cases(branches):
                return self.cases(
                    [
                        (
                            self.write(body),
                            ", ".join(f"{self.atom(a)} is {value}" for a, value in conditions),
                        )
                        for conditions, body in branches
                    ]
                )
            case _:
                raise TypeError(f"{type(node).__name__} has no notation")

    def _factor(self, node: Expression, *, last: bool) -> str:
        body = self.write(node)
        open_ended = isinstance(node, Average) or (isinstance(node, Sum) and not last)
        if open_ended:
            return self.brackets(body)
        return body


class _Latex(_Text):
    def atom(self, atom: Atom) -> str:
        if isinstance(atom, Constant):
            return f"{_word(atom.variable)}={_word(str(atom.value))}"
        if atom.variable in self.clashing:
            name = atom.variable
        else:
            name = atom.variable.lower()
        return _word(name) + "'" * atom.primes

    def p(self, sources: tuple[int, ...]) -> str:
        if self.numbered:
            return f"P_{{{','.join(str(i + 1) for i in sources)}}}"
        return "P"

    def probability(self, head: str, of: str, given: str) -> str:
        if given:
            return f"{head}({of} \\mid {given})"
        return f"{head}({of})"

    def do(self, atoms: str) -> str:
        return f"\\mathrm{{do}}({atoms})"

    def sum(self, over: str, body: str) -> str:
        return f"\\sum_{{{over}}} {body}"

    def ratio(self, top: str, bottom: str) -> str:
        return f"\\frac{{{top}}}{{{bottom}}}"

    def brackets(self, body: str) -> str:
        return f"\\left({body}\\right)"

    def indicator(self, left: str, right: str) -> str:
        return f"\\mathbf{{1}}[{left} \\equiv {right}]"

    def within(self, condition: str) -> str:
        signs = {"<=": "\\le ", ">=": "\\ge ", "!=": "\\ne "}
        for sign, command in signs.items():
            condition = condition.replace(sign, command)
        return f"\\mathbf{{1}}[{condition}]"

    def average(self, over: str, body: str) -> str:
        return f"{body}_{{\\text{{any }} {over}}}"

    def cases(self, rows: list[tuple[str, str]]) -> str:
        lines = " \\\\ ".join(f"{body} & \\text{{if }} {condition}" for body, condition in rows)
        return f"\\begin{{cases}} {lines} \\end{{cases}}"


def walk(expression: Expression) -> Iterator[Expression]:
    """Every node once, shared ones too."""
    seen: set[int] = set()
    stack = [expression]
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            stack += node.children


def _word(name: str) -> str:
    plain = (
        name.replace("\\", "\\backslash ")
        .replace("_", "\\_")
        .replace("%", "\\%")
        .replace("&", "\\&")
    )
    if len(name) == 1 or name.lstrip("-").replace(".", "").isdigit():
        return plain
    return f"\\mathit{{{plain}}}"
