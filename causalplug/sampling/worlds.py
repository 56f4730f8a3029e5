"""Several worlds on the same noise: each variable is computed once for all worlds that agree on
it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalplug.errors import CycleError
from causalplug.graphs.graph import CausalGraph
from causalplug.noise import Noise
from causalplug.sampling.interventions import Intervention
from causalplug.selection import by_name, pick
from causalplug.tensors import rows_at

if TYPE_CHECKING:
    from causalplug.model.model import Model

__all__ = ["FromWorld", "Rows", "World"]

# rows: below this, matrix products round differently, and a row would depend on how many are beside
# it
_LEAST = 16

Projections = Callable[[Mapping[str, Tensor], Noise], Tensor]
"""From the values of an image's parents, and noise, to its projections."""

Cell = tuple[str, Hashable]
"""A variable in every world that agrees on what is set among its ancestors."""


class World:
    """What is set, and the graph that results.

    Args:
        graph: The causal graph.
        do: Interventions by variable.

    Attributes:
        graph: Without the edges into what is set, and with the edges that policies add.

    Raises:
        CycleError: A policy reads a descendant of what it sets.
    """

    def __init__(self, graph: CausalGraph, do: Mapping[str, Intervention] | None = None):
        self.do = dict(do or {})
        directed = [edge for edge in graph.directed if edge[1] not in self.do]
        added = []
        for name, intervention in self.do.items():
            for read in intervention.reads:
                added.append((read, name))
        bidirected = [edge for edge in graph.bidirected if not self.do.keys() & set(edge)]
        try:
            self.graph = CausalGraph(graph.variables, (*directed, *added), tuple(bidirected))
        except CycleError as error:
            policies = {name: list(i.reads) for name, i in self.do.items() if i.reads}
            raise CycleError(
                f"the policies {policies} cannot be followed: a policy may not read what its own "
                f"choice changes; {error}"
            ) from None
        self._below = {name: self.graph.descendants([name]) for name in self.do}
        self._cells: dict[str, Cell] = {}

    def run(self, names: Iterable[str]) -> list[tuple[str, World]]:
        """The variables whose mechanisms run to know ``names``, each with the world in which it
        runs: another one for what is set to its value there."""
        found: list[tuple[str, World]] = []
        for name in self.graph.ancestors(list(names)):
            intervention = self.do.get(name)
            if intervention is None:
                found.append((name, self))
            elif isinstance(intervention, FromWorld):
                found += intervention.other.run([name])
        return found

    def cell(self, name: str) -> Cell:
        """The variable, and what is set among it and its ancestors."""
        if name not in self._cells:
            above = {(x, i.token) for x, i in self.do.items() if name in self._below[x]}
            self._cells[name] = (name, frozenset(above))
        return self._cells[name]


class Rows:
    """Rows of noise, and the variables that were computed from them so far.

    Args:
        dcm: The model.
        noise: Noise of n rows.

    Attributes:
        cells: Encoded values ``(n, *event_shape)`` by cell.
        marks: ``(n,)`` numbers by name that stay with the rows: ``"log_weight"``, where rows have
            weights, and ``"error of X"`` for the error with which the noise of X was recovered.
        banks: Projections by image variable that stand for images nobody asks for.
    """

    def __init__(self, dcm: Model, noise: Noise):
        self.dcm = dcm
        self.noise = noise
        self.cells: dict[Cell, Tensor] = {}
        self.marks: dict[str, Tensor] = {}
        self.banks: Mapping[str, Projections] = {}

    def __len__(self) -> int:
        return len(self.noise)

    def values(
        self, world: World, names: Iterable[str], keep: Collection[Cell] = ()
    ) -> dict[str, Tensor]:
        """Encoded values of ``names`` in ``world``; only what is not known yet is computed.

        Args:
            world: What is set.
            names: What is asked for.
            keep: Cells of images that are to be kept although nobody asked for them now.
        """
        names = list(names)
        missing = [name for name in names if world.cell(name) not in self.cells]
        if missing:
            self._compute(world, missing, keep)
        return {name: self.cells[world.cell(name)] for name in names}

    def _compute(self, world: World, missing: list[str], keep: Collection[Cell]) -> None:
        needed = self._needed(world, missing)
        for name in world.graph.topological_order():
            if name in world.do and name in needed:
                intervention = world.do[name]
                read = self.values(world, intervention.reads, keep)
                if isinstance(intervention, FromWorld):
                    other = self.values(intervention.other, [name], keep)
                    self.cells[world.cell(name)] = other[name]
                else:
                    self.cells[world.cell(name)] = intervention.values(self.noise, read)
        needed = self._needed(world, missing)
        asked = []
        for name in self.dcm.graph.variables:
            if name not in needed or name in self.banks:
                continue
            painted = self.dcm.variables[name].needs_encoder
            if not painted or name in missing or world.cell(name) in keep:
                asked.append(name)
        if not asked:
            return
        cells = by_name(world.cell, self.dcm.graph.variables)
        known = {name: self.cells[cell] for name, cell in cells.items() if cell in self.cells}
        for name, value in self._forward(known, asked, needed).items():
            self.cells[world.cell(name)] = value

    def _needed(self, world: World, missing: Iterable[str]) -> set[str]:
        """``missing`` and the ancestors in ``world`` that have to be computed for them."""
        needed: set[str] = set()
        stack = list(missing)
        while stack:
            name = stack.pop()
            if name not in needed and world.cell(name) not in self.cells:
                needed.add(name)
                stack += world.graph.parents(name)
        return needed

    def _forward(
        self, known: dict[str, Tensor], asked: list[str], needed: set[str]
    ) -> dict[str, Tensor]:
        """The model's forward pass; of few rows variable by variable, on more rows than wanted,
        save for images."""
        n = len(self)
        if not 0 < n < _LEAST:
            return self.dcm.generate(self.noise, known, asked, self.banks)
        index = torch.arange(_LEAST) % n
        more = self.noise.select(index)
        found = dict(known)
        for name in self.dcm.graph.topological_order():
            if name not in needed or name in known or name in self.banks:
                continue
            if self.dcm.variables[name].needs_encoder:
                found |= self.dcm.generate(self.noise, found, [name], self.banks)
            else:
                padded = rows_at(found, index)
                found[name] = self.dcm.generate(more, padded, [name], self.banks)[name][:n]
        return pick(found, asked)

    def select(self, index: Tensor) -> Rows:
        """Some of the rows, by positions or by a mask."""
        chosen = Rows(self.dcm, self.noise.select(index))
        chosen.cells = rows_at(self.cells, index)
        chosen.banks = self.banks
        chosen.marks = rows_at(self.marks, index)
        return chosen

    def only(self, cells: Collection[Cell]) -> Rows:
        """The same rows, remembering ``cells`` alone."""
        self.cells = {cell: value for cell, value in self.cells.items() if cell in cells}
        return self

    def frontier(self, targets: Iterable[tuple[World, Iterable[str]]]) -> set[Cell]:
        """The known or computable cells at which the way back from ``targets`` may stop, and every
        small one beyond.

        Discrete and continuous cells cost little and are all in it. An image is in it if a target
        asks for it or if a variable that is not known yet reads it.
        """
        kept = set()
        for cell in self.cells:
            if not self.dcm.variables[cell[0]].needs_encoder:
                kept.add(cell)
        for world, names in targets:
            for name in self._needed(world, [n for n in names if world.cell(n) not in self.cells]):
                kept |= set(map(world.cell, world.graph.parents(name)))
            kept |= set(map(world.cell, names))
        return kept

    @staticmethod
    def cat(parts: list[Rows]) -> Rows:
        """Join rows, one after the other; what is known of all of them stays known."""
        if len(parts) == 1:
            return parts[0]
        joined = Rows(parts[0].dcm, Noise.cat([part.noise for part in parts]))
        shared = set.intersection(*(set(part.cells) for part in parts))
        joined.cells = {cell: torch.cat([part.cells[cell] for part in parts]) for cell in shared}
        joined.banks = parts[0].banks
        entries = {}
        for key in parts[0].marks:
            entries[key] = torch.cat([part.marks[key] for part in parts])
        joined.marks = entries
        return joined


@dataclass(frozen=True, eq=False)
class FromWorld(Intervention):
    """A variable set to what another world makes of it, as ``M_{X=0}`` in ``P(Y_{X=1,
    M_{X=0}})``."""

    name: str
    other: World

    @property
    def token(self) -> Hashable:  # type: ignore[override]
        return ("world", self.other.cell(self.name))
