"""What a graph implies about the data: independences, and those that only show after reweighting.

Every pair of variables without an edge gives at most one constraint: an independence given a
smallest set that separates them (Pearl 1988), or, where no set does, a Verma constraint: an
independence in the distribution that is left when other variables are fixed, as by do() (Verma &
Pearl 1990; Richardson, Evans, Robins & Shpitser 2023). Fixing divides by a conditional probability,
that is, it reweights the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from causalplug.graphs.graph import CausalGraph
from causalplug.selection import variables_of, within

__all__ = ["Constraint", "Fixing", "implied_constraints"]

_MOST_KERNELS = 500


@dataclass(frozen=True)
class Fixing:
    """A variable that is fixed, and its Markov blanket: rows are weighted by one over
    P(variable | blanket)."""

    variable: str
    blanket: tuple[str, ...]


@dataclass(frozen=True)
class Constraint:
    """An independence of ``x`` and ``y`` given ``given``, after ``fixed`` were fixed in turn."""

    x: str
    y: str
    given: tuple[str, ...]
    fixed: tuple[Fixing, ...] = ()

    @property
    def kind(self) -> str:
        """``"independence"`` or ``"Verma"``."""
        if self.fixed:
            return "Verma"
        return "independence"

    def __str__(self) -> str:
        given = ""
        if self.given:
            given = f" | {', '.join(self.given)}"
        fixed = ", ".join(variables_of(self.fixed))
        return f"{self.x} ⊥ {self.y}{given}" + (f" after fixing {fixed}" if fixed else "")


def implied_constraints(
    graph: CausalGraph, pairs: Iterable[tuple[str, str]] | None = None, *, most_fixed: int = 3
) -> tuple[list[Constraint], list[tuple[str, str]]]:
    """The constraints of pairs without an edge, and the pairs that have none.

    Args:
        graph: The causal graph over what is recorded.
        pairs: The pairs to look at; by default all without an edge.
        most_fixed: The most variables that are fixed for a Verma constraint.
    """
    found: list[Constraint] = []
    silent: list[tuple[str, str]] = []
    for x, y in _pairs(graph) if pairs is None else pairs:
        constraint = _independence(graph, x, y, ()) or _verma(graph, x, y, most_fixed)
        if constraint is None:
            silent.append((x, y))
        else:
            found.append(constraint)
    return found, silent


def _pairs(graph: CausalGraph) -> Iterator[tuple[str, str]]:
    order = graph.topological_order()
    joined = set(map(frozenset, (*graph.directed, *graph.bidirected)))
    for x, y in combinations(order, 2):
        if frozenset((x, y)) not in joined:
            yield x, y


def _independence(
    graph: CausalGraph, x: str, y: str, fixed: tuple[Fixing, ...]
) -> Constraint | None:
    """The constraint with a smallest separating set inside the ancestors; None if no set separates.

    If any set separates two variables, their ancestors do.
    """
    set_to = set(variables_of(fixed))
    above = graph.ancestors((x, y)) - {x, y}
    given = within(graph.topological_order(), above)
    if not graph.m_separated(x, y, given):
        return None
    for name in list(given):
        rest = [other for other in given if other != name]
        if name not in set_to and graph.m_separated(x, y, rest):
            given = rest
    return Constraint(x, y, tuple(given), fixed)


def _verma(graph: CausalGraph, x: str, y: str, most: int) -> Constraint | None:
    """The constraint that fixes the fewest variables, breadth first over sets of them."""
    level: list[tuple[CausalGraph, tuple[Fixing, ...]]] = [(_above(graph, x, y), ())]
    seen: set[frozenset[str]] = set()
    for _ in range(most):
        following = []
        for kernel, fixed in level:
            for step, after in _fixings(kernel, x, y, fixed):
                key = frozenset((*(f.variable for f in fixed), step.variable))
                if key in seen or len(seen) >= _MOST_KERNELS:
                    continue
                seen.add(key)
                smaller = _above(after, x, y)
                constraint = _independence(smaller, x, y, (*fixed, step))
                if constraint is not None:
                    return constraint
                following.append((smaller, (*fixed, step)))
        level = following
    return None


def _above(graph: CausalGraph, x: str, y: str) -> CausalGraph:
    return graph.subgraph(graph.ancestors((x, y)))


def _fixings(
    graph: CausalGraph, x: str, y: str, fixed: tuple[Fixing, ...]
) -> Iterator[tuple[Fixing, CausalGraph]]:
    """Variables that can be fixed: none of their descendants is in their district."""
    gone = set(variables_of(fixed))
    districts = {name: part for part in graph.c_components() for name in part}
    for name in graph.variables:
        if name in (x, y) or name in gone or not graph.parents(name):
            continue
        district = districts[name]
        if district & graph.descendants(name) != {name}:
            continue
        around = district.union(*map(graph.parents, district)) - {name}
        blanket = tuple(within(graph.variables, around))
        yield Fixing(name, blanket), graph.do(name)
