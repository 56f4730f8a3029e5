"""``falsify``: is a graph better than the same graph with other names on its variables?

A graph of some size is hardly ever right in every detail, and enough rows contradict it. What can
be asked is whether it fits better than chance: whether graphs of the same shape with the variables
permuted contradict the rows as rarely (Eulig, Mastakouri, Blöbaum, Hardt & Janzing 2023; as in
DoWhy).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, permutations
from typing import Any

import numpy as np

from causalplug.arguments import COUNT, ENCODERS, ROWS, SEED, SHARE, takes
from causalplug.checks.graph_check import tables_to_test
from causalplug.checks.independence import IndependenceTests
from causalplug.errors import DataError
from causalplug.graphs.graph import CausalGraph, expect_graph
from causalplug.identification.implied import Constraint, implied_constraints
from causalplug.selection import values_at
from causalplug.values import Json

__all__ = ["Falsification", "falsify"]

_ALL = 8  # variables up to which permutations are drawn from the list of all
_Statement = tuple[frozenset[str], frozenset[str]]


@dataclass(frozen=True, eq=False)
class Falsification:
    """How often a graph contradicts the rows, beside permuted graphs; true in a condition unless
    it is falsified.

    Attributes:
        violations: Independences that the graph implies and the rows contradict.
        implied: Independences that it implies.
        permuted: Contradicted independences of every permuted graph.
        equivalent: Share of the permuted graphs that imply nothing else than the graph does.
        level: Level of every test, and of the comparison.
    """

    violations: int
    implied: int
    permuted: tuple[int, ...]
    equivalent: float
    level: float

    @property
    def p_value(self) -> float:
        """Share of the permuted graphs that contradict the rows as rarely as the graph does."""
        return float(np.mean(np.asarray(self.permuted) <= self.violations))

    @property
    def falsifiable(self) -> bool:
        """Whether rows could tell the graph from permuted ones."""
        return self.implied > 0 and self.equivalent <= self.level

    @property
    def falsified(self) -> bool:
        """Whether the graph fits no better than permuted ones do."""
        return self.falsifiable and self.violations > 0 and self.p_value > self.level

    def __bool__(self) -> bool:
        return not self.falsified

    def to_dict(self) -> Json:
        """What JSON can hold."""
        return {
            "violations": self.violations,
            "implied": self.implied,
            "permuted": list(self.permuted),
            "p_value": self.p_value,
            "equivalent": self.equivalent,
            "falsifiable": self.falsifiable,
            "falsified": self.falsified,
            "level": self.level,
        }

    def __str__(self) -> str:
        counted = (
            f"the rows contradict {self.violations} of {self.implied} implied independences; "
            f"{self.p_value:.0%} of {len(self.permuted)} graphs with permuted variables are "
            "contradicted as rarely"
        )
        if not self.implied:
            return "the graph implies no independence, so that no rows could contradict it"
        if not self.falsifiable:
            return (
                f"{counted}; {self.equivalent:.0%} of them imply the same, so that the comparison "
                "says little"
            )
        verdict = "the graph fits better than chance"
        if self.falsified:
            verdict = "the graph fits no better than chance"
        return f"{verdict}: {counted}"


@takes(
    DataError,
    data=ROWS,
    encoders=ENCODERS.or_none("none"),
    permutations=COUNT,
    level=SHARE,
    most_rows=COUNT,
    seed=SEED,
)
def falsify(
    graph: CausalGraph,
    data: object,
    *,
    encoders: Mapping[str, Callable[[Any], Any]] | None = None,
    permutations: int = 50,
    level: float = 0.05,
    most_rows: int = 2000,
    seed: int = 0,
) -> Falsification:
    """Compare ``graph`` with graphs of the same shape whose variables are permuted.

    Args:
        graph: The causal graph.
        data: One table of observations.
        encoders: For an image or another vector, a function from its column to projections
            ``(n, d)``. Without one an image is projected out of the graph.
        permutations: Number of permuted graphs; all of them where there are fewer.
        level: Level of every test of an independence, and of the comparison.
        most_rows: The most rows for tests that need regressions, drawn at random.
        seed: Seed of the permutations, the draw and the tests.

    Returns:
        A :class:`Falsification`.

    Raises:
        DataError: If there are several tables, or the table cannot be read.
        GraphError: If the graph is none.

    Example:
        >>> import numpy as np
        >>> random = np.random.default_rng(0)
        >>> x = random.normal(size=300)
        >>> y = x + random.normal(size=300)
        >>> rows = {"X": x, "Y": y, "Z": y + random.normal(size=300)}
        >>> falsify(CausalGraph.parse("X -> Y -> Z"), rows).violations
        0
    """
    expect_graph(graph, "the graph cannot be compared with others")
    if isinstance(data, list | tuple):
        raise DataError("the graph cannot be compared with others on several tables: give one")
    (table,) = tables_to_test(graph, [data], None, encoders or {}, most_rows, seed)
    if table.source.do:
        raise DataError("the graph cannot be compared with others on an experiment: give rows")
    tested = _Tested(IndependenceTests(table.columns, seed), level)
    names = table.graph.variables
    found = [tested.violations(_implied(table.graph))]
    same = 0
    for order in islice(_orders(names, seed), permutations):
        other = _permuted(table.graph, dict(zip(names, order, strict=True)))
        implied = _implied(other)
        found.append(tested.violations(implied))
        same += all(table.graph.m_separated(c.x, c.y, c.given) for c in implied)
    others = tuple(found[1:])
    share = same / max(len(others), 1)
    return Falsification(found[0], len(_implied(table.graph)), others, share, level)


def _implied(graph: CausalGraph) -> list[Constraint]:
    """The independences of pairs without an edge, none after fixing."""
    return implied_constraints(graph, most_fixed=0)[0]


def _orders(names: tuple[str, ...], seed: int) -> Iterator[tuple[str, ...]]:
    """Permutations other than the names as they are, each once."""
    random = np.random.default_rng(seed)
    if len(names) <= _ALL:
        every = [order for order in permutations(names) if order != names]
        for place in random.permutation(len(every)):
            yield every[place]
        return
    seen = {names}
    for _ in range(math.factorial(_ALL)):
        order = tuple(values_at(names, random.permutation(len(names))))
        if order not in seen:
            seen.add(order)
            yield order


def _permuted(graph: CausalGraph, other: Mapping[str, str]) -> CausalGraph:
    directed = tuple((other[a], other[b]) for a, b in graph.directed)
    bidirected = tuple((other[a], other[b]) for a, b in graph.bidirected)
    return CausalGraph(graph.variables, directed, bidirected)


@dataclass(eq=False)
class _Tested:
    """Independences on some columns, each tested once."""

    tests: IndependenceTests
    level: float
    _known: dict[_Statement, bool] = field(default_factory=dict)

    def violations(self, implied: list[Constraint]) -> int:
        """How many of them the rows contradict."""
        return sum(map(self._contradicted, implied))

    def _contradicted(self, constraint: Constraint) -> bool:
        key = frozenset((constraint.x, constraint.y)), frozenset(constraint.given)
        if key not in self._known:
            x, y = sorted(key[0])
            outcome = self.tests.compare(x, y, sorted(key[1]))
            self._known[key] = bool(outcome.p_value <= self.level)
        return self._known[key]
