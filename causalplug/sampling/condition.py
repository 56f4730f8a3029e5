"""Conditioning: what users may say about values, which rows of noise agree, and recovering noise
from values."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalplug.arguments import MAPPING, REQUIRED, read_fields, ruled, setting
from causalplug.errors import DataError, MechanismError, QueryError
from causalplug.identification.regions import Except, Interval, Region
from causalplug.sampling.interventions import (
    ROUND,
    Constant,
    Intervention,
    PerRow,
    compile_do,
    is_per_row,
)
from causalplug.sampling.worlds import Rows, World
from causalplug.selection import all_of_kind, names_of, within
from causalplug.values import Named, Value
from causalplug.wording import check_known, listed

if TYPE_CHECKING:
    from causalplug.model.model import Model

__all__ = [
    "Condition",
    "Evidence",
    "Given",
    "Point",
    "compile_evidence",
    "compile_given",
    "make_condition",
    "region_condition",
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


def compile_evidence(dcm: Model, evidence: object, n: int) -> list[Given]:
    """What was seen, as conditions by world.

    Args:
        dcm: The model.
        evidence: A mapping, an :class:`Evidence`, or several of them.
        n: Number of rows asked for.
    """
    if evidence is None:
        return []
    several = evidence
    if isinstance(evidence, Mapping | Evidence):
        several = [evidence]
    if isinstance(several, str) or not isinstance(several, Sequence):
        raise QueryError(
            f"evidence={evidence!r} cannot be used: give a mapping from variables to values, "
            "Evidence(values, do=…), or a list of these."
        )
    found: list[Given] = []
    for part in several:
        if not isinstance(part, Evidence):
            part = Evidence(part)
        if not isinstance(part.values, Mapping):
            raise QueryError(
                f"evidence {part.values!r} cannot be used: it has to map variables to values."
            )
        given = compile_given(dcm, part.values, World(dcm.graph, compile_do(dcm, part.do, n)), n)
        same = next((g for g in found if _tokens(g.world) == _tokens(given.world)), None)
        if same is not None:
            given = _merged(same, given)
            found.remove(same)
        if given.conditions or given.points:
            found.append(given)
    if sum(1 for given in found if given.points) > 1:
        raise QueryError(
            "evidence of single values of continuous variables or images in two worlds at once "
            "cannot be used: their noise could only be recovered from one of them. Use intervals "
            "in the other world."
        )
    return sorted(found, key=lambda given: not given.points)


def _tokens(world: World) -> frozenset[tuple[str, Hashable]]:
    return frozenset((name, intervention.token) for name, intervention in world.do.items())


def _merged(a: Given, b: Given) -> Given:
    """Conditions of one world from two mappings; clashing ones are refused."""
    conditions = {c.name: c for c in a.conditions}
    for c in b.conditions:
        other = conditions.get(c.name)
        if other is None:
            conditions[c.name] = c
        elif (
            c.allowed is not None
            and other.allowed is not None
            and bool((c.allowed & other.allowed).any())
        ):
            both = c.allowed & other.allowed
            single = int(both.sum()) == 1
            if single:
                value = other.value if c.value is None else c.value
            else:
                value = None
            conditions[c.name] = Condition(c.name, allowed=both, value=value)
        else:
            raise QueryError(
                f"the evidence contradicts itself: {c.name} is given two values in one world; keep "
                "one."
            )
    twice = set(names_of(a.points)) & (set(names_of(b.points)) | set(conditions))
    twice |= set(names_of(b.points)) & set(conditions)
    if twice:
        raise QueryError(
            f"the evidence contradicts itself: {listed(sorted(twice))} is given twice in one "
            "world; keep one."
        )
    return Given(a.world, list(conditions.values()), [*a.points, *b.points])


def compile_given(dcm: Model, given: Named | None, world: World, n: int) -> Given:
    """Conditions in one world, checked.

    Args:
        dcm: The model.
        given: By variable: a category; several categories (any of them); for a continuous variable
            an interval ``(low, high)``, ends included, or a number; an image; an array with one
            value per row.
        world: The world that they are about.
        n: Number of rows asked for.

    Raises:
        UnknownVariableError: A name that the graph does not have.
        QueryError: A variable that is set in the same world, or a condition that no row can meet.
        DataError: A value outside the declaration.
    """
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise QueryError(
            f"given={given!r} cannot be used: it has to map variables to values, for example "
            f"{{'Z': 0}}."
        )
    check_known(given, dcm.graph.index, "the condition cannot be used")
    clash = within(given, world.do)
    if clash:
        raise QueryError(
            f"{listed(clash)} cannot be conditioned on: do() sets it in the same world, so its "
            "value says nothing. Leave it out of one of the two; to ask what would have been, use "
            "counterfactual(evidence=…, do=…)."
        )
    conditions: list[Condition] = []
    points: list[Point] = []
    for name, value in given.items():
        made = make_condition(dcm, name, value, n)
        (points if isinstance(made, Point) else conditions).append(made)  # type: ignore[arg-type]
    return Given(world, conditions, points)


def make_condition(dcm: Model, name: str, value: Value, n: int) -> Condition | Point:
    variable: Value = dcm.variables[name]
    if isinstance(value, Region):
        return region_condition(dcm, name, value)
    array = hasattr(value, "shape") and len(value.shape) > len(variable.event_shape)
    if variable.is_discrete:
        return _of_rows(variable, name, value, n) if array else _of_any(variable, name, value)
    if variable.is_number and not array and _is_interval(value):
        return _within(variable, name, value)
    intervention = compile_do(dcm, {name: value}, n)[name]
    if not isinstance(intervention, Constant | PerRow):
        raise QueryError(
            f"{name!r} cannot be conditioned on {value!r}: give a value, an interval or one value "
            "per row."
        )
    return Point(name, intervention)


def _within(variable: Value, name: str, value: Value) -> Condition:
    """A number that lies in an interval."""
    low, high = _interval(name, value)
    with_low, with_high = _ends_included(value)
    empty = not low <= high or (low == high and not (with_low and with_high))
    if empty or high < variable.low or low > variable.high:
        raise QueryError(
            f"{name!r} cannot be conditioned on {'[' if with_low else '('}{low}, "
            f"{high}{']' if with_high else ')'}: no value of [{variable.low}, {variable.high}] "
            "lies in it."
        )
    return Condition(name, low=low, high=high, includes_low=with_low, includes_high=with_high)


def _of_rows(variable: Value, name: str, values: Value, n: int) -> Condition:
    """A category of its own for each row."""
    codes = variable.encode(values, name)
    if len(codes) != n:
        raise DataError(
            f"{name!r} was given {len(codes)} values to condition on for {n} rows: give one per "
            "row, or one."
        )
    return Condition(name, codes=codes)


def _of_any(variable: Value, name: str, value: Value) -> Condition:
    """One category, or any of several."""
    several = [value]
    if isinstance(value, set | frozenset) or is_per_row(variable, value):
        several = list(value)
    if not several:
        raise QueryError(
            f"{name!r} cannot be conditioned on no value at all: name the categories that may "
            "occur."
        )
    codes = variable.encode(several, name)
    if len(torch.unique(codes)) < len(codes):
        raise QueryError(
            f"{name!r} cannot be conditioned on {value!r}: a list means any of its categories, and "
            "one is there twice. Give an array or a column for one per row."
        )
    allowed = torch.zeros(variable.size, dtype=torch.bool)
    allowed[codes] = True
    single = None
    if len(torch.unique(codes)) == 1:
        single = variable.decode(codes[:1]).tolist()[0]
    return Condition(name, allowed=allowed, value=single)


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


def region_condition(dcm: Model, name: str, region: Region) -> Condition:
    """The condition that a variable lies in a range of values.

    Raises:
        QueryError: An image, names that are compared with numbers, or no value that lies in it.
    """
    variable = dcm.variables[name]
    written = region.written(name)
    if variable.is_discrete:
        return _region_of_categories(variable, name, region)
    if not variable.is_number:
        raise QueryError(f"{written} cannot be asked: {name} is {variable}, which has no order.")
    if isinstance(region, Except):
        raise QueryError(
            f"{written} cannot be asked: {name} is continuous, and takes no single value with a "
            f"probability. Write a range, such as {name}<{region.value}."
        )
    if region.low is None:
        low = float("-inf")
    else:
        low = float(region.low)
    if region.high is None:
        high = float("inf")
    else:
        high = float(region.high)
    if high < variable.low or low > variable.high:
        raise QueryError(
            f"{written} cannot be asked: {name} has values between {variable.low} and "
            f"{variable.high}."
        )
    return Condition(
        name,
        low=low,
        high=high,
        includes_low=region.includes_low,
        includes_high=region.includes_high,
    )


def _region_of_categories(variable: Value, name: str, region: Region) -> Condition:
    numbers = all_of_kind(variable.categories, int | float)
    if isinstance(region, Interval) and not numbers:
        raise QueryError(
            f"{region.written(name)} cannot be asked: the values of {name} are names without an "
            f"order, {listed(variable.categories)}. Name the one that is meant."
        )
    held = torch.tensor([category in region for category in variable.categories])
    if not bool(held.any()):
        raise QueryError(
            f"{region.written(name)} cannot be asked: none of the values of {name} lies in it, "
            f"which are {listed(variable.categories)}."
        )
    codes = held.nonzero().squeeze(-1)
    single = None
    if len(codes) == 1:
        single = variable.decode(codes).tolist()[0]
    return Condition(name, allowed=held, value=single)


def _is_interval(value: object) -> bool:
    few = isinstance(value, Sequence) and (len(value) == 2 or not isinstance(value, list))
    return isinstance(value, slice) or hasattr(value, "left") or few


def _ends_included(value: Value) -> tuple[bool, bool]:
    """Whether the ends belong to an interval: those of pandas say, and all others have both."""
    if hasattr(value, "left"):
        return bool(value.closed_left), bool(value.closed_right)
    return True, True


def _interval(name: str, value: Value) -> tuple[float, float]:
    """Ends of ``(low, high)``, a slice or a pandas Interval; None is no bound."""
    if isinstance(value, slice):
        ends: Value = (value.start, value.stop)
    elif hasattr(value, "left"):
        ends = (value.left, value.right)
    else:
        ends = tuple(value)
    if len(ends) != 2:
        raise QueryError(
            f"{name!r} cannot be conditioned on {value!r}: an interval is (low, high), with None "
            "for no bound."
        )
    low, high = ends
    return (float("-inf") if low is None else float(low)), (
        float("inf") if high is None else float(high)
    )


def _such(dcm: Model, name: str) -> str:
    """An example of a mechanism that has a density and recovers its noise, for an image."""
    if dcm.variables[name].is_image:
        return ", such as a trained cp.InvertibleImage()"
    return ""
