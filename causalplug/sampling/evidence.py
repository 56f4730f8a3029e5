"""What users write as a condition or as evidence, compiled into conditions on encoded values."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from causalplug.errors import DataError, QueryError
from causalplug.identification.regions import Except, Interval, Region
from causalplug.sampling.condition import Condition, Evidence, Given, Point
from causalplug.sampling.interventions import (
    Constant,
    PerRow,
    compile_do,
    is_per_row,
)
from causalplug.sampling.worlds import World
from causalplug.selection import all_of_kind, names_of, within
from causalplug.values import Named, Value
from causalplug.wording import check_known, listed

if TYPE_CHECKING:
    from causalplug.model.model import Model

__all__ = [
    "compile_evidence",
    "compile_given",
    "make_condition",
    "points_first",
    "region_condition",
    "single_value",
]


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
    return points_first(found)


def points_first(found: Iterable[Given]) -> list[Given]:
    """Evidence by world in the order in which it is met: the world whose numbers or images were
    seen comes first, because what is recovered from them decides what the others show.

    Raises:
        QueryError: Single values of numbers or images were seen in two worlds.
    """
    ordered = sorted(found, key=lambda given: not given.points)
    if len(ordered) > 1 and ordered[1].points:
        names = [*names_of(ordered[0].points), *names_of(ordered[1].points)]
        raise QueryError(
            f"evidence of single values of {listed(list(dict.fromkeys(names)))} in two worlds at "
            "once cannot be used: the noise behind numbers and images could only be recovered "
            "from one of them. Use intervals in the other world."
        )
    return ordered


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
    if isinstance(region, Except) and variable.is_countable:
        one = single_value(variable, name, region.value)
        return Condition(name, low=float("-inf"), high=float("inf"), excluded=one)
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


def single_value(variable: Value, name: str, value: object) -> float:
    """One number as it is encoded.

    Raises:
        DataError: A value that the variable does not take.
    """
    return float(variable.encode([value], name)[0])


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
