"""Conditions on values: which rows of noise agree with them, and the noise recovered from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalplug.arguments import MAPPING, REQUIRED, read_fields, ruled, setting
from causalplug.errors import MechanismError, QueryError
from causalplug.sampling.interventions import (
    ROUND,
    Constant,
    Intervention,
    PerRow,
)
from causalplug.sampling.worlds import Rows, World
from causalplug.selection import names_of
from causalplug.values import Named, Value
from causalplug.wording import listed

if TYPE_CHECKING:
    from causalplug.model.model import Model

__all__ = [
    "Condition",
    "Evidence",
    "Given",
    "Point",
    "seen_numbers",
]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was seen in an intervened world, for :meth:`DCM.counterfactual`.

    Args:
        values: Conditions by variable, as in ``given=``.
        do: What is set in that world.

    Raises:
        QueryError: One of them is no mapping from names of variables.

    Example:
        >>> Evidence({"Y": 1}, do={"X": 0})    # the event Y_{X=0} = 1
        Evidence(values={'Y': 1}, do={'X': 0})
    """

    values: Named = setting(REQUIRED, MAPPING)
    do: Named = field(default_factory=dict, metadata=ruled(MAPPING))

    def __post_init__(self) -> None:
        read_fields(self, QueryError)


@dataclass(frozen=True, eq=False)
class Condition:
    """Rows are kept whose variable lies in a set; see the makers below.

    Attributes:
        name: The variable.
        allowed: Mask over the categories, for a discrete variable with one condition for all rows.
        codes: ``(n,)`` the category of every row.
        low, high: Interval of a continuous variable.
        includes_low, includes_high: Whether the ends belong to it.
        excluded: A count that does not belong to it.
        value: The one value in users' terms, or None for a set, an interval or a value per row.
    """

    name: str
    allowed: Tensor | None = None
    codes: Tensor | None = None
    low: float = 0.0
    high: float = 0.0
    value: Value = None
    includes_low: bool = True
    includes_high: bool = True
    excluded: float | None = None

    @property
    def pins(self) -> bool:
        """Whether it leaves one value in every row."""
        return self.value is not None or self.codes is not None

    def holds(self, values: Tensor, rows: Tensor) -> Tensor:
        """Mask ``(n,)`` of the rows, with row numbers ``rows``, whose encoded ``values`` agree."""
        if self.allowed is not None:
            return self.allowed.to(values.device)[values]
        if self.codes is not None:
            return values == self.codes[rows % ROUND].to(values.device)
        if self.includes_low:
            above = values >= self.low
        else:
            above = values > self.low
        if self.includes_high:
            below = values <= self.high
        else:
            below = values < self.high
        if self.excluded is not None:
            return above & below & (values != self.excluded)
        return above & below


@dataclass(frozen=True, eq=False)
class Point:
    """A continuous variable or an image has exactly this value: it is set, weighted by its
    density, and its noise recovered."""

    name: str
    intervention: Intervention
    value: None = None
    pins: bool = True


@dataclass(eq=False)
class Given:
    """Conditions in one world, ready to be applied to rows of noise.

    Attributes:
        world: The world without the points.
        clamped: The world with every point's variable set to its value.
        conditions: Those that rows have to meet.
        points: Those that are set.
        weighted: Names of the points whose density differs from row to row.
        recovered: Names of the points whose noise a later world needs.
    """

    world: World
    conditions: list[Condition]
    points: list[Point]
    clamped: World = field(init=False)
    weighted: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        points = {point.name: point.intervention for point in self.points}
        if points:
            self.clamped = World(self.world.graph, {**self.world.do, **points})
        else:
            self.clamped = self.world

    @property
    def parts(self) -> list[Condition | Point]:
        """Conditions and points together."""
        return [*self.conditions, *self.points]

    @property
    def names(self) -> list[str]:
        """The variables that are conditioned on."""
        return names_of(self.parts)

    def prepare(self, dcm: Model, later: Sequence[tuple[World, Iterable[str]]]) -> None:
        """Decide which points need a weight and which have to be recovered, before any work.

        Raises:
            MechanismError: A density or a recovery is needed that the mechanism does not have.
        """
        pinned = {part.name for part in self.parts if part.pins}
        pinned |= {name for name, i in self.world.do.items() if isinstance(i, Constant | PerRow)}
        changed = self._changed(later)
        for point in self.points:
            name, mechanism = point.name, dcm.mechanism(point.name)
            if dcm.graph.siblings(name) or not pinned.issuperset(self.world.graph.parents(name)):
                open_ends = [
                    *dcm.graph.siblings(name),
                    *(p for p in dcm.graph.parents(name) if p not in pinned),
                ]
                if not mechanism.explicit:
                    raise MechanismError(
                        f"The value of {name!r} cannot be conditioned on: that says something "
                        f"about {listed(open_ends)}, and {type(mechanism).__name__} has no density "
                        "to weigh it by. Give the values of its parents as well, leave "
                        f"{name!r} out, or use a mechanism that has one{_such(dcm, name)}."
                    )
                self.weighted.append(name)
            if name in changed:
                self._must_recover(dcm, name)
        self._sort(dcm)

    def _changed(self, later: Sequence[tuple[World, Iterable[str]]]) -> set[str]:
        """Variables that later worlds compute anew."""
        found = set()
        for world, names in later:
            for name, own in world.run(names):
                if own.cell(name) != self.world.cell(name):
                    found.add(name)
        return found

    def recover_all(self, dcm: Model) -> None:
        """Have the noise of every point recovered, so that it can be replayed under any
        intervention.

        Raises:
            MechanismError: A mechanism declares no abduction.
        """
        for point in self.points:
            if point.name not in self.recovered:
                self._must_recover(dcm, point.name)
        self._sort(dcm)

    def _must_recover(self, dcm: Model, name: str) -> None:
        mechanism = dcm.mechanism(name)
        if mechanism.abduction is None:
            raise MechanismError(
                f"The noise of {name!r} cannot be recovered from its value: "
                f"{type(mechanism).__name__} declares no abduction, and the value of {name!r} is "
                f"needed under another intervention. Leave {name!r} out of the evidence (it is "
                f"then drawn given the rest), or use a mechanism that declares one"
                f"{_such(dcm, name)}."
            )
        self.recovered.append(name)

    def _sort(self, dcm: Model) -> None:
        order = dcm.graph.topological_order()
        self.recovered.sort(key=order.index)

    def filter(self, rows: Rows, keep: Value = ()) -> tuple[Rows, Tensor]:
        """The rows that agree, with weights and recovered noise, and their positions."""
        values = rows.values(self.clamped, names_of(self.conditions), keep)
        mask = torch.ones(len(rows), dtype=torch.bool, device=rows.noise.device)
        for condition in self.conditions:
            mask &= condition.holds(values[condition.name], rows.noise.rows)
        index = mask.nonzero().squeeze(-1).cpu()
        chosen = rows.select(index)
        for name in self.weighted:
            self._weigh(chosen, name)
        if self.points and len(chosen):
            chosen.values(self.clamped, names_of(self.points))
            self.recover(chosen, self.clamped)
            if self.clamped is not self.world:
                for name in chosen.dcm.graph.variables:
                    if self.clamped.cell(name) in chosen.cells:
                        chosen.cells[self.world.cell(name)] = chosen.cells[self.clamped.cell(name)]
        return chosen, index

    def recover(self, rows: Rows, world: World) -> None:
        """Fix the noise of the points that a later world needs; ``world`` is the one whose
        values the rows hold."""
        for name in self.recovered:
            self._recover(rows, world, name)

    def _inputs(
        self, rows: Rows, world: World, name: str
    ) -> tuple[Value, Tensor, dict[str, Tensor], Tensor | None]:
        """Mechanism, value, parents as it reads them, and confounder noise."""
        dcm, mechanism = rows.dcm, rows.dcm.mechanism(name)
        value = dcm.variables[name].scale(rows.values(world, [name])[name])
        parents = rows.values(world, mechanism.parents)
        inputs = {p: dcm._read(p, mechanism, parents, {}) for p in mechanism.parents}
        return mechanism, value, inputs, dcm.confounder(name, rows.noise)

    def _weigh(self, rows: Rows, name: str) -> None:
        if not len(rows):
            rows.marks.setdefault("log_weight", torch.zeros(0, dtype=torch.float64))
            return
        mechanism, value, parents, confounder = self._inputs(rows, self.clamped, name)
        density = mechanism.log_prob(value, parents, confounder).double()
        rows.marks["log_weight"] = rows.marks.get("log_weight", 0) + density

    def _recover(self, rows: Rows, world: World, name: str) -> None:
        mechanism, value, parents, confounder = self._inputs(rows, world, name)
        noise = mechanism.abduct(
            value, parents, confounder, prior=rows.dcm.own_noise(name, rows.noise)
        )
        again = mechanism(parents, noise, confounder)
        if value.ndim > 1:
            difference = (again.double() - value.double()).flatten(1)
        else:
            difference = (again - value).double()[:, None]
        rows.marks[f"error of {name}"] = difference.square().mean(-1).sqrt()
        rows.noise = rows.noise.fix({f"{name}/{key}": drawn for key, drawn in noise.items()})


def seen_numbers(given: Iterable[Given]) -> Iterator[tuple[str, float, float]]:
    """Variable, lowest and highest number of what was seen of numbers, where that is the same in
    every row."""
    for part in given:
        for point in part.points:
            values = point.intervention.support or ()
            if len(values) == 1 and isinstance(values[0], int | float):
                yield point.name, float(values[0]), float(values[0])
        for condition in part.conditions:
            if condition.allowed is None and condition.codes is None:
                yield condition.name, condition.low, condition.high


def _such(dcm: Model, name: str) -> str:
    """An example of a mechanism that has a density and recovers its noise, for an image."""
    if dcm.variables[name].is_image:
        return (
            ", such as the trained cp.InvertibleImage() that a model built with "
            "counterfactuals=True gives an image"
        )
    return ""
