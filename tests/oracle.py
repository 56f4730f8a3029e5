"""An oracle for identifiability that knows no identification theory: exact Jacobians of random
models, modulo a prime.

A query that the available distributions determine has, at a generic model, a gradient in the span
of the gradients of these distributions; one whose gradient lies outside is not identifiable, since
the model can be moved without changing what is available. All probabilities of a discrete model are
polynomials in its parameters, so values and derivatives are computed exactly in a finite field, and
a rank is wrong only if random numbers hit a root (about one in a million per case).

The models are those of :mod:`tests.scm`. Two traps: confounders with too few states (or too few
values of an instrument) make things identifiable that are not so in general, so an unexpected "yes"
is asked again with more; and the oracle also accepts what only the inversion of a matrix can show,
which the graphical theory does not claim for partial recordings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.identification.query import Bound, Event, Query, Term, World

__all__ = ["identifiable_by_jacobian"]

# below 2**20, so that products of two numbers and sums of thousands of them stay exact in int64
PRIME = 1_048_573


def identifiable_by_jacobian(
    graph: CausalGraph,
    query: Query,
    sources: Sequence[Source],
    *,
    cardinality: int = 2,
    confounder_states: int = 4,
    types: int = 3,
    seed: int = 0,
    instances: int = 6,
) -> bool:
    """Whether every term of ``query`` is determined by ``sources`` at a generic model.

    Args:
        graph, query, sources: the question; sources that set a variable without naming values set
            it to all of them.
        cardinality: values of every variable.
        confounder_states: states of every confounder.
        types: states of the own type of a variable that the query needs in two worlds (others have
            one).
        seed: of the random models.
        instances: how many choices of the values that the query leaves open are tried, at first
            such that different things have different values; all must be determined.
    """
    rng = np.random.default_rng(seed)
    for _, term in query.terms:
        closings = [
            _close(term, graph, cardinality, rng, apart=i < 2) for i in range(8 * instances)
        ]
        tried = 0
        for closed in dict.fromkeys(closings):
            model = _Field(
                graph, cardinality, confounder_states, _copies(graph, closed, types), rng
            )
            gradient = model.query_gradient(closed)
            if gradient is None or not gradient.any():
                continue  # impossible for these values, or certain: nothing to determine
            tried += 1
            if tried > instances:
                break
            if not _in_row_space(model.source_jacobian(sources), gradient, rng):
                return False
    return True


def _close(
    term: Term, graph: CausalGraph, cardinality: int, rng: np.random.Generator, *, apart: bool
) -> Term:
    """``term`` with a random value for everything open; different things get different values if
    ``apart``."""
    used: dict[str, list[int]] = {v: [] for v in graph.variables}

    def note(event: Event) -> None:
        if isinstance(event.value, int):
            used[event.variable].append(event.value)
        for name, value in event.do.items():
            if isinstance(value, Event):
                note(value)
            elif isinstance(value, int):
                used[name].append(value)

    for event in term.events:
        note(event)
    chosen: dict[Any, int] = {}
    for _, variable, key in term.axes:
        every = list(range(cardinality))
        fresh = [x for x in every if x not in used[variable] or not apart] or every
        chosen[key] = int(rng.choice(fresh))
        used[variable].append(chosen[key])

    def world(old: World) -> World:
        new: dict[str, Any] = {}
        for name, value in old.items():
            if isinstance(value, Event):
                new[name] = Event(name, None, world(value.do))
            else:
                new[name] = chosen[name] if value is None else chosen.get(value, value)
        return World(new)

    def close(event: Event) -> Event:
        value = chosen[event] if event.value is None else chosen.get(event.value, event.value)
        return Event(event.variable, value, world(event.do))

    outcomes, evidence = (
        tuple(close(e) for e in events) for events in (term.outcomes, term.evidence)
    )
    # An expectation is determined for every coding of the values iff the probabilities are.
    return Term(outcomes, evidence)


def _copies(graph: CausalGraph, term: Term, types: int) -> dict[str, int]:
    """Per variable, its number of types: one if the query needs it in one world only."""
    return {v: types if len(worlds) > 1 else 1 for v, worlds in _needed(graph, term.events).items()}


def _needed(graph: CausalGraph, events: Sequence[Event]) -> dict[str, dict[World, None]]:
    """Per variable, the worlds in which its value matters to ``events``."""
    needed: dict[str, dict[World, None]] = {v: {} for v in graph.variables}

    def need(v: str, world: World) -> None:
        if v in world:
            if isinstance(world[v], Event):
                need(v, world[v].do)
        elif world not in needed[v]:
            needed[v][world] = None
            for p in graph.parents(v):
                need(p, world)

    for event in events:
        need(event.variable, event.do)
    return needed


@dataclass
class _Field:
    """A random model over the integers modulo PRIME; its parameters do not have to be
    probabilities."""

    graph: CausalGraph
    cardinality: int
    states: int
    types: Mapping[str, int]
    rng: np.random.Generator
    theta: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    tau: dict[str, np.ndarray] = field(default_factory=dict)
    tables: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        k = self.cardinality
        self.parents = {v: self.graph.parents(v) for v in self.graph.variables}
        self.edges = {
            v: tuple(e for e in self.graph.bidirected if v in e) for v in self.graph.variables
        }
        for edge in self.graph.bidirected:
            self.theta[edge] = self.simplex(self.states)
        for v in self.graph.variables:
            self.tau[v] = self.simplex(self.types[v])
            shape = (
                [k] * len(self.parents[v]) + [self.states] * len(self.edges[v]) + [self.types[v], k]
            )
            self.tables[v] = self.simplex(*shape)

    def simplex(self, *shape: int) -> np.ndarray:
        """Random non-zero field elements that sum to one along the last axis."""
        while True:
            draws = self.rng.integers(1, PRIME, shape)
            draws[..., -1] = (1 - draws[..., :-1].sum(-1)) % PRIME
            if (draws != 0).all():
                return draws

    # --- parameters as one vector: confounders, types, tables; each simplex with its last entry
    # dependent ---

    def flatten(self, gradient: Mapping[Any, np.ndarray], leading: int = 0) -> np.ndarray:
        """Derivatives by the free parameters, from those by all entries (axes after the first
        ``leading``)."""
        parts = []
        lead = next(iter(gradient.values())).shape[:leading]
        types = {("tau", v): p for v, p in self.tau.items()}
        for key, whole in {**self.theta, **types, **self.tables}.items():
            array = gradient.get(key, np.zeros((*lead, *whole.shape), np.int64))
            free = (array[..., :-1] - array[..., -1:]) % PRIME
            parts.append(free.reshape(*lead, -1))
        return np.concatenate(parts, -1)

    # --- sources ---

    def source_jacobian(self, sources: Sequence[Source]) -> np.ndarray:
        """One row per cell of every available distribution, one column per free parameter."""
        rows = [
            np.zeros(
                (
                    0,
                    self.flatten(
                        {next(iter(self.tables)): next(iter(self.tables.values())) * 0}
                    ).size,
                ),
                int,
            )
        ]
        for source in sources:
            names = [v for v in self.graph.variables if v in source.do]
            values = [source.values.get(v, range(self.cardinality)) for v in names]
            for setting in product(*values):
                rows.append(
                    self._distribution(dict(zip(names, setting, strict=True)), source.observed)
                )
        return np.concatenate(rows)

    def _distribution(self, do: Mapping[str, int], observed: frozenset[str]) -> np.ndarray:
        """Jacobian of P(observed | do(do)); the product tensor has axes (free variables,
        confounders)."""
        below = self.graph.do(list(do)).ancestors(observed) - set(do)
        variables = [v for v in self.graph.variables if v in below]
        edges = [e for e in self.graph.bidirected if below.intersection(e)]
        position: dict[Any, int] = {name: i for i, name in enumerate([*variables, *edges])}
        total = len(position)
        effective = {
            v: _mod_sum(self.tables[v] * self.tau[v][:, None] % PRIME, -2) for v in variables
        }
        placed: dict[Any, np.ndarray] = {
            e: _place(self.theta[e], [position[e]], total) for e in edges
        }
        axes_of: dict[Any, list[Any]] = {e: [e] for e in edges}
        for v in variables:
            table = effective[v]
            for axis, p in reversed(list(enumerate(self.parents[v]))):
                if p in do:
                    table = np.take(table, do[p], axis)
            axes_of[v] = [*(p for p in self.parents[v] if p not in do), *self.edges[v], v]
            placed[v] = _place(table, [position[a] for a in axes_of[v]], total)
        whole = np.ones((1,) * total, np.int64)
        for array in placed.values():
            whole = whole * array % PRIME
        kept = [position[v] for v in variables if v in observed]
        count = self.cardinality ** len(kept)
        gradient: dict[Any, np.ndarray] = {}
        for key, array in placed.items():
            own = [position[a] for a in axes_of[key]]
            left = sorted(set(kept) | set(own))
            tensor = _mod_sum(
                whole * _inverse(array) % PRIME, tuple(a for a in range(total) if a not in left)
            )
            dense = self._scatter(tensor, left, kept, own, count)
            if key in self.theta:
                gradient[key] = dense
                continue
            shape = [self.cardinality] * len(self.parents[key]) + [self.states] * len(
                self.edges[key]
            )
            by_effective = np.zeros((count, *shape, self.cardinality), np.int64)
            index = [do.get(p, slice(None)) for p in self.parents[key]]
            by_effective[(slice(None), *index)] = dense
            gradient[key] = by_effective[..., None, :] * self.tau[key][:, None] % PRIME
            by_type = by_effective[..., None, :] * self.tables[key] % PRIME
            gradient["tau", key] = _mod_sum(
                by_type, tuple(i for i in range(1, by_type.ndim) if i != by_type.ndim - 2)
            )
        return self.flatten(gradient, 1)

    def _scatter(
        self, tensor: np.ndarray, left: list[int], kept: list[int], own: list[int], count: int
    ) -> np.ndarray:
        """``tensor`` over the axes ``left`` as (cells of ``kept``, axes ``own``): diagonal where
        both have an axis."""
        where = {axis: i for i, axis in enumerate(left)}
        shape = tensor.shape
        grid = np.indices(shape).reshape(len(shape), -1)
        row = np.zeros(grid.shape[1], np.int64)
        for axis in kept:
            row = row * self.cardinality + grid[where[axis]]
        sizes = [shape[where[a]] for a in own]
        dense = np.zeros((count, *sizes), np.int64)
        dense[(row, *(grid[where[a]] for a in own))] = tensor.ravel()
        return dense

    # --- the query ---

    def query_gradient(self, term: Term) -> np.ndarray | None:
        """Gradient of the term by the free parameters; None where its evidence is impossible."""
        top, d_top = self._events(term.events)
        if not term.evidence:
            return self.flatten(d_top)
        bottom, d_bottom = self._events(term.evidence)
        if bottom == 0:
            return None
        # d(top / bottom) is a multiple of d(top) * bottom - top * d(bottom).
        keys = set(d_top) | set(d_bottom)
        zero = {key: np.zeros_like(d_top.get(key, d_bottom.get(key))) for key in keys}
        both = {
            key: (d_top.get(key, zero[key]) * bottom - d_bottom.get(key, zero[key]) * top) % PRIME
            for key in keys
        }
        return self.flatten(both)

    def _events(self, events: Sequence[Event]) -> tuple[int, dict[Any, np.ndarray]]:
        """Probability of ``events`` and its derivatives by all entries, by summing over all
        values in all worlds."""
        needed = [v for v, worlds in _needed(self.graph, events).items() if worlds]
        edges = [edge for edge in self.graph.bidirected if set(edge).intersection(needed)]
        latent: list[Any] = [*edges, *(("tau", v) for v in needed)]
        position = {key: i for i, key in enumerate(latent)}
        total = len(latent)
        weights: dict[Any, np.ndarray] = {
            e: _place(self.theta[e], [position[e]], total) for e in edges
        }
        weights |= {("tau", v): _place(self.tau[v], [position["tau", v]], total) for v in needed}
        prior = np.ones((1,) * total, np.int64)
        for array in weights.values():
            prior = prior * array % PRIME
        inverses = {key: _inverse(array) for key, array in weights.items()}
        slices: dict[Any, tuple[np.ndarray, np.ndarray]] = {}

        def factor(
            v: str, configuration: tuple[int, ...], value: int
        ) -> tuple[np.ndarray, np.ndarray]:
            key = v, configuration, value
            if key not in slices:
                axes = [position[e] for e in self.edges[v]] + [position["tau", v]]
                array = _place(self.tables[v][(*configuration, ..., value)], axes, total)
                slices[key] = array, _inverse(array)
            return slices[key]

        probability = 0
        gradient: dict[Any, np.ndarray] = {
            v: np.zeros_like(table) for v, table in self.tables.items()
        }
        by_latent = np.zeros(prior.shape, np.int64)
        for nodes in self._assignments(events):
            whole = prior
            for (v, configuration), value in nodes.items():
                whole = whole * factor(v, configuration, value)[0] % PRIME
            probability = (probability + int(_mod_sum(whole, None))) % PRIME
            by_latent = (by_latent + whole) % PRIME
            for (v, configuration), value in nodes.items():
                axes = [position[e] for e in self.edges[v]] + [position["tau", v]]
                rest = whole * factor(v, configuration, value)[1] % PRIME
                reduced = _mod_sum(rest, tuple(a for a in range(total) if a not in axes))
                gradient[v][(*configuration, ..., value)] += reduced
                gradient[v] %= PRIME
        for key, inverse in inverses.items():
            others = tuple(a for a in range(total) if a != position[key])
            gradient[key] = _mod_sum(by_latent * inverse % PRIME, others)
        return probability, gradient

    def _assignments(
        self, events: Sequence[Event]
    ) -> Iterator[dict[tuple[str, tuple[int, ...]], int]]:
        """All ways in which ``events`` can come about: values of variables under configurations
        of their parents."""
        needed = _needed(self.graph, events)
        order = [(v, world) for v in self.graph.topological_order() for world in needed[v]]
        wanted: dict[tuple[str, World], set[int]] = {}
        for event in events:
            wanted.setdefault((event.variable, event.do), set()).add(int(event.value))  # type: ignore[arg-type]
        values: dict[tuple[str, World], int] = {}
        nodes: dict[tuple[str, tuple[int, ...]], int] = {}

        def read(v: str, world: World) -> int:
            while v in world:
                setting = world[v]
                if not isinstance(setting, Event):
                    return int(setting)
                world = setting.do
            return values[v, world]

        def holds(v: str, world: World, value: int) -> bool:
            return wanted.get((v, world), {value}) == {value}

        def extend(i: int) -> Iterator[dict[tuple[str, tuple[int, ...]], int]]:
            if i == len(order):
                yield dict(nodes)
                return
            v, world = order[i]
            key = v, tuple(read(p, world) for p in self.parents[v])
            known = key in nodes
            for value in [nodes[key]] if known else range(self.cardinality):
                if holds(v, world, value):
                    values[v, world] = nodes[key] = value
                    yield from extend(i + 1)
            if not known:
                nodes.pop(key, None)

        for event in events:
            if event.variable in event.do and read_set(event) != event.value:
                return
        yield from extend(0)


def read_set(event: Event) -> Any:
    """What an event's own world sets its variable to, if that is a value."""
    value = event.do[event.variable]
    return event.value if isinstance(value, Event | Bound) else value


def _place(array: np.ndarray, axes: Sequence[int], total: int) -> np.ndarray:
    """``array`` with its axes at ``axes`` of ``total``, all others of length 1."""
    shape = [1] * total
    for axis, size in zip(axes, array.shape, strict=True):
        shape[axis] = size
    return np.transpose(array, np.argsort(axes)).reshape(shape)


def _mod_sum(array: np.ndarray, axes: Any) -> np.ndarray:
    return np.sum(array, axis=axes) % PRIME


def _inverse(array: np.ndarray) -> np.ndarray:
    """Modular inverses, by Fermat's little theorem."""
    result, base, power = np.ones_like(array), array % PRIME, PRIME - 2
    while power:
        if power & 1:
            result = result * base % PRIME
        base = base * base % PRIME
        power >>= 1
    return result


def _in_row_space(jacobian: np.ndarray, gradient: np.ndarray, rng: np.random.Generator) -> bool:
    """Whether ``gradient`` is a combination of the rows of ``jacobian``; columns are mixed at
    random first."""
    matrix = np.concatenate([jacobian, gradient[None]])
    width = min(matrix.shape[1], len(matrix) + 4)
    mixed = _mod_matmul(matrix, rng.integers(0, PRIME, (matrix.shape[1], width)))
    return _last_row_reduces_to_zero(mixed)


def _mod_matmul(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    high, low = left >> 10, left & 1023
    parts = [(part.astype(float) @ right.astype(float)) % PRIME for part in (high, low)]
    return ((parts[0].astype(np.int64) << 10) + parts[1].astype(np.int64)) % PRIME


def _last_row_reduces_to_zero(matrix: np.ndarray) -> bool:
    """Eliminate with all rows but the last and see whether anything is left of it."""
    rows, columns = matrix.shape
    rank = 0
    for column in range(columns):
        pivots = np.nonzero(matrix[rank : rows - 1, column])[0]
        if len(pivots) == 0:
            continue
        pivot = rank + int(pivots[0])
        if pivot != rank:
            matrix[[rank, pivot]] = matrix[[pivot, rank]]
        row = matrix[rank, column:] * pow(int(matrix[rank, column]), PRIME - 2, PRIME) % PRIME
        matrix[rank, column:] = row
        below = matrix[rank + 1 :, column].copy()
        active = np.nonzero(below)[0]
        block = matrix[rank + 1 + active, column:]
        matrix[rank + 1 + active, column:] = (block - below[active, None] * row) % PRIME
        rank += 1
        if rank == rows - 1:
            break
    return not matrix[-1].any()
