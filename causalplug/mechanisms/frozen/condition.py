"""What a frozen mechanism reads: conditions, each matched to one parent by name and value."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor

from causalplug.arguments import NAME, REQUIRED, instance, read_fields, setting
from causalplug.errors import LabelMapError, MechanismError
from causalplug.selection import positions_of, values_at, without
from causalplug.values import Json, Named, Value
from causalplug.variables import Variable, variable_from_dict
from causalplug.wording import listed

__all__ = ["Condition", "ParentReading", "ReadsSpec", "check_reads", "match_conditions"]

ReadsSpec = Named | None
"""Condition to the parent that it is read from: a name, or a name with a table or function of the
parent's values."""


_KIND = instance(
    "the declaration of a variable, for example cp.Discrete(10) or cp.Continuous()", Variable
)


@dataclass(frozen=True)
class Condition:
    """One thing that a frozen mechanism reads.

    Args:
        name: Its name. A parent of the same name is read as this condition.
        kind: The values that the mechanism knows, as the declaration of a variable.

    Raises:
        MechanismError: The name is no text, or the kind is no declaration.

    Example:
        >>> import causalplug as cp
        >>> cp.Condition("digit", cp.Discrete(10)).kind.size
        10
    """

    name: str = setting(REQUIRED, NAME)
    kind: Variable = setting(REQUIRED, _KIND)

    def __post_init__(self) -> None:
        read_fields(self, MechanismError)

    def to_dict(self) -> Json:
        """The condition as JSON values."""
        return {"name": self.name, "kind": self.kind.to_dict()}

    @classmethod
    def from_dict(cls, data: Named) -> Condition:
        """Inverse of :meth:`to_dict`."""
        return cls(data["name"], variable_from_dict(data["kind"], data["name"]))


@dataclass(frozen=True, eq=False)
class ParentReading:
    """How one condition follows from one parent.

    Attributes:
        condition: What is read.
        parent: Name of the parent.
        variable: Declaration of the parent.
        table: For a discrete parent, the condition's encoded value ``(k, …)`` of each category;
            None where the parent's values are the condition's.
    """

    condition: Condition
    parent: str
    variable: Variable
    table: Tensor | None = None

    def __call__(self, value: Tensor) -> Tensor:
        """Encoded values of the condition ``(n, …)`` from those of the parent, codes or relaxed
        one-hot rows ``(n, k)``."""
        if self.table is not None:
            table = self.table.to(value.device)
            if not value.is_floating_point():
                return table[value]
            return self._relaxed(value, table)
        value = self.variable.scale(value)
        if self.condition.kind.is_number and not self.condition.kind.is_countable:
            return value.to(torch.get_default_dtype())  # counts come as whole numbers
        if not self.variable.is_image:
            return value
        own: Value = self.variable
        known: Value = self.condition.kind
        unit = (value - own.low) / (own.high - own.low)
        return known.low + (known.high - known.low) * unit

    def _relaxed(self, value: Tensor, table: Tensor) -> Tensor:
        if table.is_floating_point():
            return torch.tensordot(value.to(table.dtype), table, dims=1)
        size = self.condition.kind.cardinality or 0
        return value @ torch.nn.functional.one_hot(table, size).to(value.dtype)

    def to_dict(self) -> Json:
        """JSON values."""
        if self.table is None:
            table = None
        else:
            table = self.table.tolist()
        return {"condition": self.condition.name, "parent": self.parent, "table": table}


def match_conditions(
    name: str,
    conditions: Sequence[Condition],
    parents: Mapping[str, Variable],
    reads: ReadsSpec = None,
) -> tuple[ParentReading, ...]:
    """One parent for each condition, and one condition for each parent.

    Conditions and parents of one name belong together; a single pair that is left may differ in
    name. Values are matched by what they are, never by their position. The work grows with the
    number of conditions, not with that of their joint values.

    Args:
        name: The variable, for messages.
        conditions: What the mechanism reads.
        parents: Declarations of the parents.
        reads: Condition to the parent that it is read from, where the names differ: a name, or a
            pair of a name and a table or function from the parent's values to the condition's.

    Raises:
        LabelMapError: A condition without a parent, a parent that is not read, or values that do
            not agree.
    """
    given = dict(reads or {})
    known = {condition.name: condition for condition in conditions}
    _check_names(name, given, known, parents)
    pairs = _paired(name, {key: _pair(spec)[0] for key, spec in given.items()}, known, parents)
    found = []
    for key, condition in known.items():
        through = None
        if key in given:
            through = _pair(given[key])[1]
        parent = pairs[key]
        table = _table(name, condition, parent, parents[parent], through)
        found.append(ParentReading(condition, parent, parents[parent], table))
    return tuple(found)


def _paired(
    name: str,
    given: Mapping[str, str],
    known: Mapping[str, Condition],
    parents: Mapping[str, Variable],
) -> dict[str, str]:
    """Every condition with its parent: as given, else by one name, else what alone is left."""
    pairs = dict(given)
    for key in known:
        if key not in pairs and key in parents and key not in pairs.values():
            pairs[key] = key
    left = without(known, pairs)
    unread = without(parents, pairs.values())
    if len(left) == len(unread) == 1:
        return pairs | {left[0]: unread[0]}
    if left or unread:
        raise LabelMapError(_unmatched(name, left, unread, parents))
    return pairs


def _pair(spec: Value) -> tuple[str, Value]:
    if isinstance(spec, str):
        return (spec, None)
    return (spec[0], spec[1])


def check_reads(name: str, reads: ReadsSpec, conditions: Collection[str]) -> None:
    """Refuse ``reads=`` that names a condition which a mechanism does not have.

    Raises:
        LabelMapError: With the condition that may be meant.
    """
    for key in reads or {}:
        if key not in conditions:
            raise LabelMapError(
                f"The mechanism of {name!r} cannot be bound: it has no condition {key!r}; its "
                f"conditions are {listed(conditions)}.{_near(key, dict.fromkeys(conditions))}"
            )


def _check_names(
    name: str,
    given: Named,
    known: Mapping[str, Condition],
    parents: Mapping[str, Variable],
) -> None:
    check_reads(name, given, list(known))
    for key, spec in given.items():
        named = isinstance(spec, str) or (isinstance(spec, tuple) and len(spec) == 2)
        if not named:
            raise LabelMapError(
                f"The mechanism of {name!r} cannot be bound: the condition {key!r} is read from "
                f"{spec!r}. Give the name of a parent, or a pair of a name and a table."
            )
        parent = _pair(spec)[0]
        if parent not in parents:
            raise LabelMapError(
                f"The mechanism of {name!r} cannot be bound: {parent!r}, from which its condition "
                f"{key!r} is read, is not one of its parents "
                f"{listed(parents)}.{_near(parent, parents)}"
            )


def _near(word: str, known: Named) -> str:
    close = difflib.get_close_matches(str(word), list(known), n=1)
    if close:
        return f" Did you mean {close[0]!r}?"
    return ""


def _unmatched(
    name: str, left: Sequence[str], unread: Sequence[str], parents: Mapping[str, Variable]
) -> str:
    parts = []
    if left:
        parts.append(f"no parent is read as {listed(left)}")
    if unread:
        parts.append(f"nothing reads the parent{'s' * (len(unread) > 1)} {listed(unread)}")
    pairs = dict(zip(left, [*unread, *parents] or ["…"], strict=False))
    return (
        f"The mechanism of {name!r} cannot be bound: {' and '.join(parts)}. Say which parent each "
        f"condition is read from, as in reads={pairs or {'condition': 'parent'}}, or change the "
        "graph."
    )


def _table(
    name: str, condition: Condition, parent: str, variable: Variable, through: object
) -> Tensor | None:
    """The encoded value of a condition for each category of a discrete parent; None where the
    parent's values are taken as they are."""
    kind = condition.kind
    if variable.is_discrete:
        categories: tuple[Value, ...] = variable.categories
        if isinstance(through, Mapping):
            _check_entries(name, condition, parent, categories, through)
        values = [_mapped(name, condition, parent, c, through) for c in categories]
        if kind.is_discrete:
            return _codes(name, condition, parent, values)
        wrong = [value for value in values if not isinstance(value, Real)]
        if kind.is_number and wrong:
            what = f"{parent!r} has names as categories"
            if through is not None:
                what = f"a category of {parent!r} is mapped to {wrong[0]!r}"
            raise LabelMapError(
                f"The mechanism of {name!r} cannot be bound: {what}, and its condition "
                f"{condition.name!r} is a number. Give "
                f"reads={{{condition.name!r}: ({parent!r}, {{category: number, …}})}}."
            )
        return kind.encode(values, condition.name)
    if through is not None:
        raise LabelMapError(
            f"The mechanism of {name!r} cannot be bound: {parent!r} is not discrete, so that its "
            "values cannot be listed in a table. Give its name alone, and convert the column."
        )
    same_number = kind.is_number and variable.is_number
    if same_number or (kind.kind == variable.kind and kind.event_shape == variable.event_shape):
        return None
    raise LabelMapError(
        f"The mechanism of {name!r} cannot be bound: its condition {condition.name!r} reads "
        f"{kind.describe()}, and {parent!r} is {variable.describe()}. Declare the parent as the "
        "condition is, or put a variable between that converts it."
    )


def _check_entries(
    name: str, condition: Condition, parent: str, categories: Sequence[object], table: Named
) -> None:
    """Refuse entries of a table for what is not a category of the parent."""
    unknown = [entry for entry in table if entry not in categories]
    if unknown:
        raise LabelMapError(
            f"The mechanism of {name!r} cannot be bound: the table from {parent!r} to its "
            f"condition {condition.name!r} has an entry for {unknown[0]!r}, which is not a "
            f"category of {parent!r}. Its categories are {listed(map(repr, categories), most=6)}."
        )


def _mapped(name: str, condition: Condition, parent: str, category: Value, through: Value) -> Value:
    if through is None:
        return category
    if isinstance(through, Mapping):
        if category not in through:
            raise LabelMapError(
                f"The mechanism of {name!r} cannot be bound: the table from {parent!r} to its "
                f"condition {condition.name!r} has no entry for {category!r}. Add one."
            )
        return through[category]
    if isinstance(through, Callable):  # type: ignore[arg-type]
        try:
            return through(category)
        except Exception as error:
            raise LabelMapError(
                f"The mechanism of {name!r} cannot be bound: the function from {parent!r} to its "
                f"condition {condition.name!r} fails on {category!r} ({type(error).__name__}: "
                f"{error}). Let it take every category, or give a table."
            ) from error
    raise LabelMapError(
        f"The mechanism of {name!r} cannot be bound: {parent!r} is mapped to its condition "
        f"{condition.name!r} by {through!r}. Give a table or a function."
    )


def _codes(name: str, condition: Condition, parent: str, values: Sequence[object]) -> Tensor:
    categories: tuple[Value, ...] = condition.kind.categories
    place = positions_of(categories)
    unknown = [value for value in values if not _held(value, place)]
    if unknown:
        raise LabelMapError(
            f"The mechanism of {name!r} cannot be bound: its condition {condition.name!r} does not "
            f"know {listed(map(repr, unknown[:5]))} of {parent!r}; it knows "
            f"{condition.kind.describe()}. Give "
            f"reads={{{condition.name!r}: ({parent!r}, {{category: value, …}})}}."
        )
    return torch.tensor(values_at(place, values))


def _held(value: object, place: Mapping[Value, int]) -> bool:
    """Whether a value is a category; one that has no hash is none."""
    try:
        return value in place
    except TypeError:
        return False
