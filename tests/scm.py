"""Exact discrete structural causal models: the truth that tests compare with.

A model has, per variable V, an own type t_V, and per bidirected edge e one confounder u_e, all with
few states. Given its parents' values, the confounders at V and its type, V has the probabilities
``tables[V]``; the residual noise is drawn afresh *per configuration of the parents*, so V under two
configurations is dependent through confounders and type, and V under the same configuration is the
same value in every world. That is a structural causal model (a random response function), rich
enough that nothing is identifiable by accident, and every probability is a finite sum.

    scm = random_scm(CausalGraph.parse("X -> Y; X <-> Y"), cardinalities=3, seed=0)
    scm.joint()                                   # P(X, Y), shape (3, 3)
    scm.joint(do={"X": 1}, keep=["Y"])            # P(Y | do(X=1)), shape (3,)
    scm.probability("P(Y_{X=1} | X=0)")           # shape (3,)
    scm.sample(1000, do={"X": 1}, seed=0)         # {"X": array, "Y": array}

Values are the integers 0 to k - 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.identification.query import Bound, Event, Query, Term, World
from causalplug.identification.tables import Table

__all__ = ["SCM", "exact_tables", "random_scm"]


@dataclass(frozen=True, eq=False)
class SCM:
    """One exact model.

    Attributes:
        graph: the causal graph.
        cardinalities: number of values per variable.
        confounders: per bidirected edge ``(A, B)``, the probabilities of its confounder's states.
        types: per variable, the probabilities of its types.
        tables: per variable, P(V | parents, confounders at V, type), with axes in this order
            (parents and confounders as listed by :meth:`family`), V last.
    """

    graph: CausalGraph
    cardinalities: Mapping[str, int]
    confounders: Mapping[tuple[str, str], np.ndarray]
    types: Mapping[str, np.ndarray]
    tables: Mapping[str, np.ndarray]

    def family(self, variable: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        """The parents of ``variable`` and the bidirected edges at it, in the order of the
        table's axes."""
        edges = tuple(edge for edge in self.graph.bidirected if variable in edge)
        return self.graph.parents(variable), edges

    # --- distributions ---

    def joint(
        self,
        do: Mapping[str, int] | None = None,
        keep: Sequence[str] | None = None,
        *,
        latents: bool = False,
    ) -> np.ndarray:
        """P(``keep`` | do(``do``)), one axis per variable.

        Args:
            do: what is set; a variable that is set has all its mass on that value.
            keep: variables in the order of the axes; all, as declared, by default.
            latents: append one axis per bidirected edge, its confounder.
        """
        keep = list(self.graph.variables if keep is None else keep)
        network = _Network(self)
        world = World(do or {})
        axes = [network.label(name, world) for name in keep]
        if latents:
            axes += [network.confounder(edge) for edge in self.graph.bidirected]
        return network.contract(axes)

    def probability(self, query: Query | Term | str) -> np.ndarray:
        """The answer to ``query``, with one axis per event or do() without a value, outcomes first.

        A conditional probability is NaN where its evidence has probability 0; an expectation is
        that of the value.
        """
        if isinstance(query, str):
            query = Query.parse(query)
        if isinstance(query, Query):
            return sum((c * self.probability(term) for c, term in query.terms), start=np.zeros(()))
        numerator = self._events(query, query.outcomes)
        if query.evidence:
            with np.errstate(invalid="ignore", divide="ignore"):
                numerator = numerator / self._events(query, ())
        if query.expectation:
            numerator = np.tensordot(np.arange(numerator.shape[0]), numerator, axes=1)
        return numerator

    def _events(self, term: Term, outcomes: Iterable[Event]) -> np.ndarray:
        """Joint probability of ``outcomes`` and the evidence, with the axes of all open events of
        ``term``.

        Those of outcomes that are left out have length 1.
        """
        network = _Network(self)
        open_axes: dict[Any, int] = {}
        wanted = set(outcomes)
        for event in term.events:
            asked = event in wanted or event in term.evidence
            size = self.cardinalities[event.variable]
            if event.value is None or isinstance(event.value, Bound):
                key = event if event.value is None else event.value
                length = 1 if event.value is None and not asked else size
                axis = open_axes.setdefault(key, network.open(event.value, event.variable, length))
                if asked:
                    network.equal(network.label(event.variable, event.do), axis, size)
                else:
                    network.ones(axis, length)
            elif asked:
                network.fix(network.label(event.variable, event.do), size, int(event.value))
        for event in term.events:
            network.open_worlds(event.do, open_axes)
        return network.contract(list(open_axes.values()))

    # --- samples ---

    def sample(
        self, n: int, do: Mapping[str, int] | None = None, seed: int = 0
    ) -> dict[str, np.ndarray]:
        """``n`` rows of all variables under do(``do``): integer arrays of length n."""
        return self.sample_worlds(n, [do or {}], seed)[0]

    def sample_worlds(
        self, n: int, worlds: Sequence[Mapping[str, int]], seed: int = 0
    ) -> list[dict[str, np.ndarray]]:
        """The same ``n`` units in each of ``worlds``: confounders, types and residual noise are
        shared."""
        rng = np.random.default_rng(seed)
        confounders = {edge: rng.choice(len(p), n, p=p) for edge, p in self.confounders.items()}
        types = {v: rng.choice(len(p), n, p=p) for v, p in self.types.items()}
        rows: list[dict[str, np.ndarray]] = [{} for _ in worlds]
        for v in self.graph.topological_order():
            parents, edges = self.family(v)
            configurations = int(np.prod([self.cardinalities[p] for p in parents]))
            noise = rng.random((n, configurations))
            table = self.tables[v].cumsum(-1)
            for world, values in zip(worlds, rows, strict=True):
                if v in world:
                    values[v] = np.full(n, world[v])
                    continue
                at = [values[p] for p in parents]
                index = np.zeros(n, int)
                for p, value in zip(parents, at, strict=True):
                    index = index * self.cardinalities[p] + value
                cumulative = table[(*at, *(confounders[e] for e in edges), types[v])]
                drawn = noise[np.arange(n), index]
                values[v] = (drawn[:, None] >= cumulative[:, :-1]).sum(1)
        return [{v: values[v] for v in self.graph.variables} for values in rows]


class _Network:
    """A tensor network over the variables of several worlds, contracted by einsum."""

    def __init__(self, scm: SCM):
        self.scm = scm
        self.sizes: dict[int, int] = {}
        self.operands: list[tuple[np.ndarray, list[int]]] = []
        self.nodes: dict[str, dict[tuple[int, ...], int]] = {}
        self.worlds: dict[tuple[str, World], int] = {}
        self.opened: dict[Any, int] = {}
        self.latent: dict[Any, int] = {}

    def new(self, size: int) -> int:
        label = len(self.sizes)
        self.sizes[label] = size
        return label

    def open(self, key: Any, variable: str, size: int) -> int:
        """The axis of a Bound value or, for ``None``, a new one."""
        if key is None:
            return self.new(size)
        if key not in self.opened:
            self.opened[key] = self.new(size)
        return self.opened[key]

    def label(self, variable: str, world: World) -> int:
        """The axis of ``variable`` in ``world``; worlds in which its parents have the same axes
        share it."""
        key = variable, world
        if key not in self.worlds:
            self.worlds[key] = self._label(variable, world)
        return self.worlds[key]

    def _label(self, variable: str, world: World) -> int:
        size = self.scm.cardinalities[variable]
        if variable in world:
            value = world[variable]
            if isinstance(value, Event):
                return self.label(variable, value.do)
            if value is None or isinstance(value, Bound):
                return self.open(("do", variable) if value is None else value, variable, size)
            key = "set", variable, value
            if key not in self.opened:
                self.opened[key] = self.new(size)
                self.fix(self.opened[key], size, int(value))
            return self.opened[key]
        parents, _ = self.scm.family(variable)
        axes = tuple(self.label(p, world) for p in parents)
        nodes = self.nodes.setdefault(variable, {})
        if axes not in nodes:
            nodes[axes] = self.new(size)
        return nodes[axes]

    def open_worlds(self, world: World, axes: dict[Any, int]) -> None:
        """Add the axes of what ``world`` leaves open to ``axes``."""
        for name, value in world.items():
            if isinstance(value, Event):
                self.open_worlds(value.do, axes)
            elif value is None or isinstance(value, Bound):
                key = ("do", name) if value is None else value
                axis = self.open(key, name, self.scm.cardinalities[name])
                axes.setdefault(key, axis)
                self.ones(axis, self.scm.cardinalities[name])

    def confounder(self, edge: tuple[str, str]) -> int:
        if edge not in self.latent:
            probabilities = self.scm.confounders[edge]
            self.latent[edge] = self.new(len(probabilities))
            self.operands.append((probabilities, [self.latent[edge]]))
        return self.latent[edge]

    def fix(self, axis: int, size: int, value: int) -> None:
        self.operands.append((np.eye(size)[value], [axis]))

    def ones(self, axis: int, size: int) -> None:
        self.operands.append((np.ones(size), [axis]))

    def equal(self, left: int, right: int, size: int) -> None:
        self.operands.append((np.eye(size), [left, right]))

    def contract(self, axes: list[int]) -> np.ndarray:
        operands = list(self.operands)
        # Visiting confounders adds operands, so the tables are collected first.
        tables = [self._table(v, nodes) for v, nodes in self.nodes.items()]
        operands = [*self.operands, *tables]
        arguments: list[Any] = []
        for array, labels in operands:
            arguments += [array, labels]
        # An axis may be asked for twice, as in P(X | do(X=1)) with X kept: unique axes, then a view
        # of them.
        unique = list(dict.fromkeys(axes))
        result = np.einsum(*arguments, unique, optimize="greedy")
        return (
            result
            if unique == axes
            else np.moveaxis(result, range(len(unique)), [axes.index(a) for a in unique])
        )

    def _table(
        self, variable: str, nodes: dict[tuple[int, ...], int]
    ) -> tuple[np.ndarray, list[int]]:
        """P(all copies of ``variable`` | their parents, confounders, type summed out)."""
        parents, edges = self.scm.family(variable)
        table = self.scm.tables[variable]
        k = self.scm.cardinalities[variable]
        sizes = [self.scm.cardinalities[p] for p in parents]
        latent_sizes = [len(self.scm.confounders[e]) for e in edges]
        configurations = int(np.prod(sizes))
        types = self.scm.types[variable]
        flat = table.reshape(
            configurations, -1, len(types), k
        )  # configuration, confounders, type, value
        count = len(nodes)
        whole = np.ones((1,) * (2 * count + 2))

        def place(array: np.ndarray, *axes: int) -> np.ndarray:
            """``array`` with its axes at ``axes`` of (configuration, value) per copy,
            confounders, type."""
            shape = [1] * (2 * count + 2)
            for axis, size in zip(axes, array.shape, strict=True):
                shape[axis] = size
            return array.transpose(np.argsort(axes)).reshape(shape)

        for j in range(count):
            fresh = place(flat, 2 * j, 2 * count, 2 * count + 1, 2 * j + 1)
            for i in range(j):
                same = place(np.eye(configurations), 2 * i, 2 * j) > 0
                fresh = np.where(same, place(np.eye(k), 2 * i + 1, 2 * j + 1), fresh)
            whole = whole * fresh
        whole = whole @ types if count else whole
        labels: list[int] = []
        shape: list[int] = []
        for axes, own in nodes.items():
            labels += [*axes, own]
            shape += [*sizes, k]
        labels += [self.confounder(e) for e in edges]
        return whole.reshape(shape + latent_sizes), labels


def random_scm(
    graph: CausalGraph,
    cardinalities: int | Mapping[str, int] = 2,
    seed: int = 0,
    *,
    confounder_states: int = 2,
    types: int = 2,
    floor: float = 0.1,
) -> SCM:
    """A random model of ``graph``.

    Args:
        graph: the causal graph.
        cardinalities: number of values, of all variables or per variable.
        seed: of the numpy generator.
        confounder_states: states of every confounder.
        types: states of every variable's own type.
        floor: every conditional probability is at least ``floor / k``, so the model is positive; 0
            allows any.
    """
    rng = np.random.default_rng(seed)
    sizes = {
        v: cardinalities if isinstance(cardinalities, int) else cardinalities[v]
        for v in graph.variables
    }

    def simplex(*shape: int) -> np.ndarray:
        draws = rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])
        return floor / shape[-1] + (1 - floor) * draws

    confounders = {edge: simplex(confounder_states) for edge in graph.bidirected}
    own = {v: simplex(types) for v in graph.variables}
    tables = {}
    for v in graph.variables:
        edges = [edge for edge in graph.bidirected if v in edge]
        parents = [sizes[p] for p in graph.parents(v)]
        tables[v] = simplex(*parents, *[confounder_states] * len(edges), types, sizes[v])
    return SCM(graph, sizes, confounders, own, tables)


def exact_tables(scm: SCM, sources: Iterable[Source]) -> list[Table]:
    """What infinitely many rows of each source would show; what a source sets takes its values
    equally often."""
    tables = []
    for source in sources:
        observed = [v for v in scm.graph.variables if v in source.observed]
        intervened = [v for v in scm.graph.variables if v in source.do]
        cells = np.zeros([scm.cardinalities[v] for v in intervened + observed])
        for setting in product(
            *(source.values.get(v, range(scm.cardinalities[v])) for v in intervened)
        ):
            cells[setting] = scm.joint(dict(zip(intervened, setting, strict=True)), observed)
        tables.append(Table.from_array(intervened + observed, cells))
    return tables
