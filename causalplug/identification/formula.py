"""From a derivation to its formula: Tian's lemmas written as expressions.

Everything is first written with one generic symbol per variable; the caller then puts in the values
of the query.
"""

from __future__ import annotations

from collections.abc import Mapping

from causalplug.graphs.bits import BitGraph, bits, component_within, mask_of
from causalplug.identification.c_factor import Effect, Recursion, Regime
from causalplug.identification.ctf_graph import CounterfactualGraph
from causalplug.identification.decide import Answer, Resolved
from causalplug.identification.estimand import (
    Atom,
    Average,
    Cases,
    Constant,
    Expression,
    Indicator,
    Probability,
    Ratio,
    Symbol,
    TermEstimand,
    divide,
    product,
    substitute,
    total,
)
from causalplug.identification.query import Term
from causalplug.identification.solver import Composite, Resolution
from causalplug.selection import of_kind, values_at, within

__all__ = ["Writer", "term_estimand"]


def term_estimand(answer: Answer, term: Term) -> TermEstimand:
    """The formula of an identified term, with an axis for everything that the term leaves open."""
    numerator = answer.numerator
    if answer.direct is None:
        expression = _ratio(answer)
    else:
        expression = _direct(answer, answer.direct)
    expression = substitute(expression, numerator.closing)
    closing = numerator.closing
    possible, happening = (
        product(Indicator(_closed(left, closing), _closed(right, closing)) for left, right in pairs)
        for pairs in (numerator.equal_evidence, numerator.equal)
    )
    expression = product([happening, expression])
    if numerator.equal_evidence:
        expression = Ratio(product([possible, expression]), possible)
    axes: dict[str, Symbol] = {}
    for label, variable, key in term.axes:
        symbol = numerator.symbol(key) or Symbol(variable)
        while symbol in axes.values() or (
            numerator.symbol(key) is None and symbol in expression.free
        ):
            symbol = Symbol(variable, symbol.primes + 1)
        axes[label] = symbol
    return TermEstimand(
        expression, tuple(axes.items()), term.axes[0].label if term.expectation else None
    )


def _closed(atom: Atom, closing: Mapping[Symbol, Constant]) -> Atom:
    if isinstance(atom, Symbol):
        return closing.get(atom, atom)
    return atom


def _direct(answer: Answer, regime: Regime) -> Expression:
    numerator = answer.numerator
    ((factor, _),) = answer.factors
    split = len(numerator.outcomes)
    do = tuple(values_at(factor.atoms, bits(factor.outside)))
    return Probability(
        tuple(numerator.targets[:split]), tuple(numerator.targets[split:]), do, regime.sources
    )


def _ratio(answer: Answer) -> Expression:
    writer = Writer(answer.graph.names)

    def probability(graph: CounterfactualGraph, kept: int, factors: Resolved) -> Expression:
        written = (writer.instance(writer.resolution(way), factor.atoms) for factor, way in factors)
        return total(graph.summed(kept), product(written))

    numerator = answer.numerator
    top = probability(numerator, answer.kept, answer.factors)
    if not answer.conditional:
        return top
    if answer.evidence is None:
        nodes = (node for v in bits(answer.kept) for node in numerator.nodes[v])
        outcomes = [node.atom for node in nodes if node.outcome and not node.evidence]
        return divide(top, total(of_kind(outcomes, Symbol), top))
    alone = answer.evidence[0]
    bottom = probability(*answer.evidence)
    return divide(top, substitute(bottom, alone.translation(numerator)))


class Writer:
    """Writes effects as expressions; what is needed twice is one shared tree."""

    def __init__(self, names: tuple[str, ...]):
        self.names = names
        self._written: dict[int, tuple[object, Expression]] = {}

    def symbol(self, v: int) -> Symbol:
        """The generic symbol of the variable at position ``v``."""
        return Symbol(self.names[v])

    def symbols(self, mask: int) -> tuple[Symbol, ...]:
        """The generic symbols of ``mask``."""
        return tuple(map(self.symbol, bits(mask)))

    def resolution(self, way: Resolution) -> Expression:
        """The effect as an expression in the generic symbols of its target and of what is under
        do()."""
        if len(way.branches) == 1 and not way.branches[0][0]:
            return self.effect(way.branches[0][1])
        items = []
        for config, step in way.branches:
            items.append(
                (tuple((self.symbol(v), value) for v, value in config.items()), self.effect(step))
            )
        return Cases(tuple(items))

    def effect(self, way: Effect | Composite) -> Expression:
        """The effect obtained in one way."""
        if id(way) not in self._written:
            if isinstance(way, Effect):
                factors = []
                for step in way.factors:
                    factors.append(self.recursion(way.graph, way.regime, step))
            else:
                factors = [self.resolution(inner) for _, _, inner in way.factors]
            # The key is an id, so the object is kept alive beside its expression.
            self._written[id(way)] = way, total(self.symbols(way.summed), product(factors))
        return self._written[id(way)][1]

    def recursion(self, graph: BitGraph, regime: Regime, found: Recursion) -> Expression:
        """Q[target] by the steps of ``found`` (Tian & Pearl 2002, Lemmas 3 and 4)."""
        order = [v for v in graph.order if regime.observed >> v & 1]
        (ancestral, component), *further = found.steps
        expression = self._chain_rule(graph, regime, order, ancestral, component)
        for ancestral, smaller in further:
            margin = total(self.symbols(component & ~ancestral), expression)
            expression = self._split(order, ancestral, smaller, margin)
            component = smaller
        expression = total(self.symbols(component & ~found.target), expression)
        return self._average(expression, regime, graph, found.target)

    def _chain_rule(
        self, graph: BitGraph, regime: Regime, order: list[int], ancestral: int, component: int
    ) -> Expression:
        """Q of a c-component of the regime: every member given what separates it from the rest
        before it."""
        factors, before = [], 0
        for v in order:
            if not ancestral >> v & 1:
                continue
            before |= 1 << v
            if not component >> v & 1:
                continue
            district = component_within(graph.siblings, 1 << v, before)
            blanket = (district | graph.parents_of(district)) & ~(1 << v)
            factors.append(
                self.leaf(regime, 1 << v, blanket & regime.observed, blanket & regime.set_variables)
            )
        return product(factors)

    def _split(
        self, order: list[int], ancestral: int, component: int, margin: Expression
    ) -> Expression:
        """Q[component] out of Q[ancestral]; runs of neighbours in the order cancel to one ratio."""
        members = [v for v in order if ancestral >> v & 1]
        factors = []
        i = 0
        while i < len(members):
            if not component >> members[i] & 1:
                i += 1
                continue
            end = i
            while end < len(members) and component >> members[end] & 1:
                end += 1
            top = total(self.symbols(mask_of(members[end:])), margin)
            # The sum over all members is one, so the first run needs no denominator.
            factors.append(
                Ratio(top, total(self.symbols(mask_of(members[i:])), margin)) if i else top
            )
            i = end
        return product(factors)

    def _average(
        self, expression: Expression, regime: Regime, graph: BitGraph, target: int
    ) -> Expression:
        """Close the symbols on which Q[target] does not depend, though its formula has them."""
        wanted = set(self.symbols(target | graph.parents_of(target)))
        extra = sorted(expression.free - wanted, key=lambda s: s.variable)
        if extra:
            return Average(tuple(extra), expression, self._sources(regime))
        return expression

    def leaf(self, regime: Regime, of: int, given: int, do: int) -> Expression:
        """P(of | given, do(do)) in the regime, whose rows may themselves be worked out from
        others."""
        if regime.sources:
            return Probability(
                self.symbols(of), self.symbols(given), self.symbols(do), regime.sources
            )
        joint = self.effect(regime.origin)
        rest = self.symbols(regime.observed & ~of & ~given)
        top = total(rest, joint)
        bottom = total((*rest, *self.symbols(of)), joint)
        if _is_one(bottom):
            ratio = top
        else:
            ratio = Ratio(top, bottom)
        extra = tuple(within(self.symbols(regime.set_variables & ~do), ratio.free))
        if extra:
            return Average(extra, ratio, self._sources(regime))
        return ratio

    def _sources(self, regime: Regime) -> tuple[int, ...]:
        if regime.sources:
            return regime.sources
        return tuple(sorted(_origins(regime.origin)))

    def instance(self, expression: Expression, atoms: Mapping[int, object]) -> Expression:
        """``expression`` at the values of the query."""
        return substitute(expression, {self.symbol(v): atom for v, atom in atoms.items()})  # type: ignore[misc]


def _is_one(expression: Expression) -> bool:
    return getattr(expression, "value", None) == 1


def _origins(way: Effect | Composite) -> set[int]:
    if isinstance(way, Effect):
        if way.regime.sources:
            return set(way.regime.sources)
        return _origins(way.regime.origin)
    found = set()
    for _, _, inner in way.factors:
        for _, branch in inner.branches:
            found.update(_origins(branch))
    return found
