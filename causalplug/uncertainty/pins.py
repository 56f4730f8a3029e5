"""Single values of numbers that are given: set in every row, which is weighed by their density."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from causalplug.mechanisms.base import Mechanism
from causalplug.model.model import Model
from causalplug.sampling.condition import Given, Point
from causalplug.sampling.terms import Case
from causalplug.sampling.worlds import Cell, Rows, World

__all__ = ["Density", "Pins"]


@dataclass(frozen=True, eq=False)
class Density:
    """A given value whose density differs from row to row.

    Attributes:
        name: The variable.
        mechanism: Its mechanism.
        value: ``(n,)`` the value, as the mechanism reads it.
        parents: What the mechanism reads.
        confounder: Confounder noise that it reads, or None.
    """

    name: str
    mechanism: Mechanism
    value: Tensor
    parents: dict[str, Tensor]
    confounder: Tensor | None

    def log_prob(self, rows: Tensor | slice = slice(None)) -> Tensor:
        """Log density of some of the rows."""
        confounder = self.confounder
        if confounder is not None:
            confounder = confounder[rows]
        parents = {key: value[rows] for key, value in self.parents.items()}
        return self.mechanism.log_prob(self.value[rows], parents, confounder)


@dataclass(frozen=True, eq=False)
class Pins:
    """The single values of numbers that a case is given.

    Attributes:
        dcm: The model.
        points: The values by cell, each with its world.
        weighted: Cells whose density differs from row to row.
        recovered: Variables whose noise another world needs; empty where rows can be weighed.
    """

    dcm: Model
    points: dict[Cell, tuple[World, Point]] = field(default_factory=dict)
    weighted: tuple[Cell, ...] = ()
    recovered: tuple[str, ...] = ()

    @classmethod
    def of(cls, dcm: Model, case: Case) -> Pins:
        """The pins of a case."""
        points: dict[Cell, tuple[World, Point]] = {}
        weighted: list[Cell] = []
        recovered: list[str] = []
        for place, given in enumerate(case.given):
            if not given.points:
                continue
            others = [(g.clamped, g.names) for i, g in enumerate(case.given) if i != place]
            fresh = Given(given.world, given.conditions, given.points)
            fresh.prepare(dcm, [*others, *case.targets])
            points |= {given.world.cell(p.name): (given.world, p) for p in given.points}
            weighted += list(map(given.world.cell, fresh.weighted))
            recovered += fresh.recovered
        return cls(dcm, points, tuple(weighted), tuple(recovered))

    @property
    def key(self) -> frozenset[tuple[Cell, object]]:
        """Equal for the same values."""
        return frozenset((cell, p.intervention.token) for cell, (_, p) in self.points.items())

    def set(self, rows: Rows) -> None:
        """Give the rows the values."""
        for cell, (_, point) in self.points.items():
            rows.cells[cell] = point.intervention.values(rows.noise, {})

    def densities(self, rows: Rows) -> Iterator[Density]:
        """What the rows are weighed by."""
        for cell in self.weighted:
            world, point = self.points[cell]
            mechanism = self.dcm.mechanism(point.name)
            values = rows.values(world, mechanism.parents)
            parents = {}
            for p in mechanism.parents:
                parents[p] = self.dcm._read(p, mechanism, values, {})
            value = self.dcm.variables[point.name].scale(rows.cells[cell])
            confounder = self.dcm.confounder(point.name, rows.noise)
            yield Density(point.name, mechanism, value, parents, confounder)

    def weights(self, rows: Rows) -> Tensor | float:
        """Weights ``(n,)`` of the rows, in float64."""
        if not self.weighted:
            return 1.0
        with torch.no_grad():
            logs = [density.log_prob().double() for density in self.densities(rows)]
        return torch.stack(logs).sum(0).exp()
