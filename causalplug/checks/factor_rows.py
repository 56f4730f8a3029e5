"""What tables say about c-factors: equations between probabilities of responses and numbers.

The distribution of the recorded variables under what was set factorizes into the districts of the
latent projection (Tian & Pearl 2002). Each district's factor is a product of conditional
probabilities, given the Markov pillow of every variable in it, and a polynomial in the c-factors of
the full graph. Settings that no row has give no equation.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.identification.factors import Model, Polynomial, Response
from causalplug.identification.tables import Table
from causalplug.selection import values_at, within, without

__all__ = ["Row", "Sampled", "rows_of", "values_of"]


@dataclass(frozen=True, eq=False)
class Sampled:
    """A table and what it is a sample of; ``exact`` if its weights are probabilities."""

    source: Source
    table: Table
    exact: bool

    @property
    def count(self) -> float:
        """The number of rows; infinite for an exact distribution."""
        if self.exact:
            return float("inf")
        return float(self.table.weights.sum())


@dataclass(frozen=True, eq=False)
class Row:
    """An equation: a polynomial in c-factors has this value.

    Attributes:
        polynomial: The left side.
        sampled: The table that the right side comes from.
        cells: The right side as a product of conditional probabilities, each a cell of
            P(first | others): the names of its axes and the codes on them.
        text: The left side in the table's terms, for messages.
    """

    polynomial: Polynomial
    sampled: int
    cells: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...]
    text: str


def rows_of(model: Model, tables: Sequence[Sampled]) -> list[Row]:
    """All equations that the tables give."""
    found = []
    for number, sampled in enumerate(tables):
        for district in _districts(model.graph, sampled.source):
            found += _DistrictRows(model, sampled, number, district).rows()
    return found


def values_of(rows: Sequence[Row], tables: Sequence[Sampled]) -> tuple[np.ndarray, np.ndarray]:
    """The right sides of ``rows`` by these tables, NaN without support, and the rows of each."""
    known = list(map(_Conditionals, tables))
    pairs = [known[row.sampled].product(row) for row in rows]
    values, counts = (np.array([pair[i] for pair in pairs], float) for i in (0, 1))
    return values, counts


class _Conditionals:
    """Conditional probabilities of one table, each worked out once."""

    def __init__(self, sampled: Sampled):
        self.sampled = sampled
        self.found: dict[tuple[str, ...], tuple[np.ndarray, np.ndarray]] = {}

    def of(self, axes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """P(first | others) and the weight of every setting of the others."""
        if axes not in self.found:
            joint = self.sampled.table.margin(axes)
            below = joint.sum(0)
            empty = np.full(joint.shape, np.nan)
            self.found[axes] = np.divide(joint, below, out=empty, where=below > 0), below
        return self.found[axes]

    def product(self, row: Row) -> tuple[float, float]:
        value, fewest = 1.0, self.sampled.count
        for axes, at in row.cells:
            values, below = self.of(axes)
            value *= float(values[at])
            if not self.sampled.exact:
                fewest = min(fewest, float(below[at[1:]]))
            if value == 0:
                break
        return value, fewest


@dataclass(frozen=True, eq=False)
class _District:
    """A district of what was recorded.

    Attributes:
        members: Its variables, causes before effects.
        pillows: What each is conditioned on, in the same order.
        hidden: Unrecorded variables that belong to it, causes before effects.
        above: Every other variable that its factor reads.
    """

    members: tuple[str, ...]
    pillows: tuple[tuple[str, ...], ...]
    hidden: tuple[str, ...]
    above: tuple[str, ...]


def _districts(graph: CausalGraph, source: Source) -> Iterator[_District]:
    mutilated = graph.do(source.do)
    needed = mutilated.subgraph(mutilated.ancestors(source.observed))
    kept = within(needed.variables, source.recorded)
    projected = needed.latent_projection(kept)
    order = within(projected.topological_order(), source.observed)
    hidden = without(needed.topological_order(), source.recorded)
    for component in projected.c_components():
        members = tuple(within(order, component))
        if not members:
            continue
        pillows = tuple(_pillow(projected, order[: order.index(m) + 1], m) for m in members)
        own = tuple(name for name in hidden if _leads_to(needed, name, source, component))
        yield _District(members, pillows, own, tuple(_parents_of(needed, {*members, *own})))


def _parents_of(graph: CausalGraph, names: set[str]) -> list[str]:
    """The parents of a set outside of it, in the graph's order."""
    reads: set[str] = set()
    for name in names:
        reads.update(graph.parents(name))
    return [name for name in graph.variables if name in reads and name not in names]


def _pillow(graph: CausalGraph, before: Sequence[str], name: str) -> tuple[str, ...]:
    """The Markov pillow: the district among what comes before, and its parents."""
    inside = graph.subgraph([*before, *_fixed(graph, before)])
    district = next(part for part in inside.c_components() if name in part)
    around = district.union(*map(graph.parents, district)) - {name}
    return tuple(within(graph.variables, around))


def _fixed(graph: CausalGraph, before: Sequence[str]) -> list[str]:
    parents = set(chain.from_iterable(map(graph.parents, before)))
    return [p for p in graph.variables if p in parents and p not in before]


def _leads_to(graph: CausalGraph, name: str, source: Source, component: frozenset[str]) -> bool:
    """Whether a hidden variable reaches ``component`` through hidden ones only."""
    waiting, seen = [name], {name}
    while waiting:
        for child in graph.children(waiting.pop()):
            if child in component:
                return True
            if child not in source.recorded and child not in seen:
                seen.add(child)
                waiting.append(child)
    return False


class _DistrictRows:
    """The equations of one district."""

    def __init__(self, model: Model, sampled: Sampled, number: int, district: _District):
        self.model, self.sampled, self.number, self.district = model, sampled, number, district
        known = _Conditionals(sampled)
        axes = []
        for name, pillow in zip(district.members, district.pillows, strict=True):
            axes.append((name, *pillow))
        self.axes = axes
        self.parts = list(map(known.of, self.axes))

    def rows(self) -> list[Row]:
        """One per setting; where a later variable was never seen, one for those before it."""
        names = (*self.district.above, *self.district.members)
        sizes = [range(self.model.size(name)) for name in names]
        found: dict[tuple[int, tuple[int, ...]], Row] = {}
        for codes in itertools.product(*sizes):
            known = dict(zip(names, codes, strict=True))
            depth, cells = self._cells(known)
            members = self.district.members[:depth]
            key = depth, tuple(values_at(known, (*self._above(members), *members)))
            if depth and key not in found:
                found[key] = self._row(known, members, cells)
        return list(found.values())

    def _cells(self, known: Mapping[str, int]) -> tuple[int, tuple[object, ...]]:
        """How many of the members have a conditional here, and its cells."""
        cells: list[tuple[tuple[str, ...], tuple[int, ...]]] = []
        for depth, (axes, (values, below)) in enumerate(zip(self.axes, self.parts, strict=True)):
            at = tuple(values_at(known, axes))
            if below[at[1:]] <= 0:
                return depth, tuple(cells)
            cells.append((axes, at))
            if values[at] == 0:
                break
        return len(self.axes), tuple(cells)

    def _read(self, members: tuple[str, ...]) -> set[str]:
        """What ``members`` read, directly and through hidden variables."""
        read: set[str] = set()
        waiting = list(members)
        while waiting:
            for parent in self.model.parents[waiting.pop()]:
                if parent in self.district.hidden and parent not in read:
                    waiting.append(parent)
                read.add(parent)
        return read

    def _above(self, members: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(within(self.district.above, self._read(members)))

    def _hidden(self, members: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(within(self.district.hidden, self._read(members)))

    def _row(
        self, known: Mapping[str, int], members: tuple[str, ...], cells: tuple[Any, ...]
    ) -> Row:
        hidden = self._hidden(members)
        total: Polynomial = {}
        for codes in itertools.product(*(range(self.model.size(name)) for name in hidden)):
            case = {**known, **dict(zip(hidden, codes, strict=True))}
            responses: list[Response] = []
            for name in (*members, *hidden):
                responses.append((name, self.model.setting(name, case), case[name]))
            product = self.model.product(responses)
            total[product] = total.get(product, 0.0) + 1.0
        return Row(total, self.number, cells, self._text(known, members))

    def _text(self, known: Mapping[str, int], members: tuple[str, ...]) -> str:
        def shown(names: tuple[str, ...]) -> str:
            return ", ".join(f"{n}={self.model.domains[n][known[n]]}" for n in names)

        above = self._above(members)
        given = ""
        if above:
            given = f" | {shown(above)}"
        return f"{self.sampled.source.describe()}: P({shown(members)}{given})"
