"""Building formulas and simplifying them while they are built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from causalplug.identification.expressions import (
    ONE,
    ZERO,
    Atom,
    Average,
    Cases,
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
from causalplug.selection import keep, values_at, within, without

__all__ = ["apart", "divide", "product", "substitute", "total"]


def _is_number(node: Expression, value: float) -> bool:
    return isinstance(node, Number) and node.value == value


def product(factors: Iterable[Expression]) -> Expression:
    """The product, flattened, without ones."""
    flat: list[Expression] = []
    for factor in factors:
        if isinstance(factor, Product):
            parts = factor.factors
        else:
            parts = (factor,)
        flat += [part for part in parts if not _is_number(part, 1)]
    if any(_is_number(part, 0) for part in flat):
        return ZERO
    if len(flat) == 1:
        return flat[0]
    if flat:
        return Product(tuple(flat))
    return ONE


def _left_to_sum(over: Iterable[Symbol], factors: list[Expression]) -> list[Symbol]:
    """The symbols of a sum without those that sum to one, which leave ``factors``, and those that
    nothing mentions."""
    left = list(dict.fromkeys(over))
    while summed := [symbol for symbol in left if _summed_out(factors, symbol)]:
        left = without(left, summed)
    free = frozenset[Symbol]().union(*(factor.free for factor in factors))
    return within(left, free)


def total(over: Iterable[Symbol], body: Expression) -> Expression:
    """The sum of ``body`` over ``over``; what sums to one is left out, and constant factors go
    before the sum."""
    factors = _factors(body)
    left = _left_to_sum(over, factors)
    outside = [f for f in factors if not f.free.intersection(left)]
    if not left:
        return product(factors)
    inside: Expression = product(f for f in factors if f.free.intersection(left))
    if isinstance(inside, Sum) and not set(inside.over).intersection(left):
        return product([*outside, Sum((*left, *inside.over), inside.body)])
    return product([*outside, Sum(tuple(left), inside)])


def _factors(body: Expression) -> list[Expression]:
    if isinstance(body, Product):
        return list(body.factors)
    return [body]


def _summed_out(factors: list[Expression], symbol: Symbol) -> bool:
    """Whether the sum over ``symbol`` was taken: one probability alone holds it, and loses it."""
    holders = [i for i, factor in enumerate(factors) if symbol in factor.free]
    if len(holders) != 1:
        return False
    (place,) = holders
    holder = factors[place]
    if not isinstance(holder, Probability) or symbol not in holder.of or not _once(holder, symbol):
        return False
    rest = tuple(a for a in holder.of if a != symbol)
    if rest:
        factors[place] = Probability(rest, holder.given, holder.do, holder.sources)
    else:
        factors[place] = ONE
    return True


def divide(top: Expression, bottom: Expression) -> Expression:
    """``top / bottom`` without the probabilities that both are multiplied by."""
    above, below = _factors(top), _factors(bottom)
    for factor in list(below):
        same = next((f for f in above if f is factor or _same_leaf(f, factor)), None)
        if same is not None:
            above.remove(same)
            below.remove(factor)
    rest = product(below)
    if isinstance(rest, Number) and rest.value == 1:
        return product(above)
    return Ratio(product(above), rest)


def _same_leaf(left: Expression, right: Expression) -> bool:
    return (
        isinstance(left, Probability)
        and isinstance(right, Probability)
        and (set(left.of), set(left.given), set(left.do), left.sources)
        == (set(right.of), set(right.given), set(right.do), right.sources)
    )


def _once(leaf: Probability, symbol: Symbol) -> bool:
    return sum(a == symbol for a in leaf.of + leaf.given + leaf.do) == 1


def substitute(expression: Expression, mapping: Mapping[Symbol, Atom]) -> Expression:
    """``expression`` with free symbols replaced; bound ones are renamed where they would capture
    a replacement."""
    return _substitute(expression, {s: a for s, a in mapping.items() if s != a}, {})


Done = dict[tuple[int, frozenset[tuple[Symbol, Atom]]], Expression]


def _substitute(node: Expression, mapping: Mapping[Symbol, Atom], done: Done) -> Expression:
    mapping = keep(mapping, node.free)
    if not mapping:
        return node
    key = id(node), frozenset(mapping.items())
    if key in done:
        return done[key]

    def swap(atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        return tuple(mapping.get(a, a) if isinstance(a, Symbol) else a for a in atoms)

    new: Expression
    match node:
        case Probability(of, given, do, sources):
            new = Probability(swap(of), swap(given), swap(do), sources)
        case Indicator(left, right):
            new = Indicator(*swap((left, right)))
        case Within(atom, region):
            new = Within(swap((atom,))[0], region)
        case Product(factors):
            new = product(_substitute(f, mapping, done) for f in factors)
        case Ratio(top, bottom):
            new = Ratio(_substitute(top, mapping, done), _substitute(bottom, mapping, done))
        case Sum(over, body):
            over, body = _substitute_bound(over, body, mapping, done)
            new = Sum(over, body)
        case Average(over, body, sources):
            over, body = _substitute_bound(over, body, mapping, done)
            new = Average(over, body, sources)
        case Cases(branches):
            changed = []
            for conditions, body in branches:
                swapped = tuple((swap((a,))[0], v) for a, v in conditions)
                changed.append((swapped, _substitute(body, mapping, done)))
            new = Cases(tuple(changed))
        case _:
            raise TypeError(f"{type(node).__name__} has no rule for substitution")
    done[key] = new
    return new


def _substitute_bound(
    over: tuple[Symbol, ...], body: Expression, mapping: Mapping[Symbol, Atom], done: Done
) -> tuple[tuple[Symbol, ...], Expression]:
    renamed = _renamed(over, body, mapping)
    return tuple(renamed.get(s, s) for s in over), _substitute(body, {**mapping, **renamed}, done)


def _renamed(
    over: tuple[Symbol, ...], body: Expression, mapping: Mapping[Symbol, Atom]
) -> dict[Symbol, Symbol]:
    taken = set(mapping.values()) | (body.free - set(over))
    renamed: dict[Symbol, Symbol] = {}
    for symbol in over:
        if symbol in taken:
            primes = symbol.primes
            while (
                (fresh := Symbol(symbol.variable, primes)) in taken
                or fresh in over
                or fresh in renamed.values()
            ):
                primes += 1
            renamed[symbol] = fresh
    return renamed


def apart(expression: Expression, *, everywhere: bool = False) -> Expression:
    """``expression`` with bound symbols renamed that also stand for something else around their
    sum.

    Args:
        expression: Any expression.
        everywhere: Give every sum symbols of its own, in sums beside each other too.
    """
    used: dict[str, int] = {}

    def fresh(symbol: Symbol) -> Symbol:
        used[symbol.variable] = max(
            used.get(symbol.variable, -1) + 1, 0 if everywhere else symbol.primes
        )
        return Symbol(symbol.variable, used[symbol.variable])

    def visit(node: Expression, scope: frozenset[Symbol]) -> Expression:
        match node:
            case Product(factors):
                return Product(tuple(visit(f, scope) for f in factors))
            case Ratio(top, bottom):
                return Ratio(visit(top, scope), visit(bottom, scope))
            case Cases(branches):
                return Cases(
                    tuple((conditions, visit(body, scope)) for conditions, body in branches)
                )
            case Sum(over, body) | Average(over, body):
                renamed = {s: fresh(s) for s in over if everywhere}
                for s in over:
                    primes = s.primes
                    while not everywhere and Symbol(s.variable, primes) in scope:
                        primes += 1
                    renamed.setdefault(s, Symbol(s.variable, primes))
                new = tuple(values_at(renamed, over))
                inner = visit(substitute(body, renamed), scope | set(new))
                if isinstance(node, Sum):
                    return Sum(new, inner)
                return Average(new, inner, _sources(node))
        return node

    for symbol in expression.free:
        used[symbol.variable] = max(used.get(symbol.variable, -1), symbol.primes)
    return visit(expression, expression.free)


def _sources(node: Expression) -> tuple[int, ...]:
    if isinstance(node, Average):
        return node.sources
    return ()
