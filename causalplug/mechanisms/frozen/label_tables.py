"""Tables of ``P(label | parents)`` from what users write or count, with errors that name the
values in question."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence

import torch
from torch import Tensor

from causalplug.errors import LabelMapError
from causalplug.mechanisms.frozen.label import Label
from causalplug.selection import names_of, positions_of, sizes_of, values_at, without
from causalplug.values import Named, Value
from causalplug.variables import Variable

__all__ = [
    "Entry",
    "as_discrete",
    "check_identity",
    "combination",
    "counted",
    "listed",
    "matched_by_value",
    "ravel",
    "table_from",
]

Entry = Hashable | Sequence[Hashable] | Mapping[Value, float]
"""What a table gives for one combination of parent values: a label, several labels, or a
probability for each."""


def _same_values(parent: Variable, label: Label) -> bool:
    """Whether the values of a parent are the label's, or name its places."""
    if set(parent.categories) == set(label.categories):
        return True
    return _plain(parent) != _plain(label.values) and _words(parent, label.values)


def check_identity(discrete: Mapping[str, Variable], labels: Sequence[Label]) -> None:
    """Raise unless each parent can stand for the label in its place.

    Raises:
        LabelMapError: Another number, order, size or naming of values.
    """
    names, wanted = list(discrete), names_of(labels)
    if len(names) != len(wanted):
        raise LabelMapError(
            f"Parents {listed(discrete)} cannot stand for the labels {listed(labels)} one for one: "
            f"{len(names)} against {len(wanted)}. {_way_out(discrete, labels)}"
        )
    if names != wanted and len(names) > 1:
        reordered = sorted(names) == sorted(wanted)
        why = "their names differ"
        if reordered:
            why = "they come in another order"
        raise LabelMapError(
            f"Parents {listed(discrete)} cannot stand for the labels {listed(labels)} one for one: "
            f"{why}. {_way_out(discrete, labels, reordered=reordered)}"
        )
    for (name, parent), label in zip(discrete.items(), labels, strict=True):
        if parent.size != label.size:
            raise LabelMapError(
                f"Parent {name!r} cannot stand for the label {label.name!r}: it has {parent.size} "
                f"values, the label {label.size}. {_way_out(discrete, labels)}"
            )
        if not _same_values(parent, label):
            raise LabelMapError(
                f"Parent {name!r} cannot stand for the label {label.name!r}: its values "
                f"{list(parent.categories)} are not the label's {list(label.categories)}. "
                f"{_way_out(discrete, labels)}"
            )


def _plain(variable: Variable) -> bool:
    return variable.categories == tuple(range(variable.size))


def _words(*variables: Variable) -> bool:
    """Whether the values are texts wherever they are not the numbers from 0."""
    named = [variable for variable in variables if not _plain(variable)]
    return all(isinstance(value, str) for one in named for value in one.categories)


def matched_by_value(parent: Variable, label: Label) -> Tensor:
    """``P(label | parent)`` ``(k, k)`` of a parent that stands for a label: equal values belong
    together, whatever their places; the numbers from 0 stand for the places of names."""
    place = positions_of(label.categories)
    same = set(place) == set(parent.categories)
    if same:
        codes = values_at(place, parent.categories)
    else:
        codes = list(range(label.size))
    return torch.eye(label.size, dtype=torch.float64)[codes]


def _check_key(key: object, values: Sequence[Hashable], discrete: Mapping[str, Variable]) -> None:
    if len(values) != len(discrete):
        raise LabelMapError(
            f"The label map's key {key!r} cannot be read: give one value for each of "
            f"{listed(discrete)}."
        )
    for (name, parent), value in zip(discrete.items(), values, strict=True):
        Label(name, parent.categories).code(value)


def table_from(
    table: Mapping[Value, Entry], discrete: Mapping[str, Variable], labels: Sequence[Label]
) -> Tensor:
    """``P(labels | parents)`` ``(joint values of the parents, joint values of the labels)`` from a
    dictionary.

    Raises:
        LabelMapError: A joint value of the parents without an entry, an unknown value or label.
    """
    size = math.prod(sizes_of(labels))
    found: dict[tuple[Hashable, ...], Entry] = {}
    for key, entry in table.items():
        values = key if isinstance(key, tuple) else (key,)
        _check_key(key, values, discrete)
        found[values] = entry
    keys = list(itertools.product(*(p.categories for p in discrete.values())))
    holes = without(keys, found)
    if holes:
        shown = ", ".join(str(key[0] if len(key) == 1 else key) for key in holes[:5])
        more = f" and {len(holes) - 5} more" if len(holes) > 5 else ""
        raise LabelMapError(
            f"The label map from {listed(discrete)} has no label for {shown}{more}: every "
            "combination of parent values needs one. Add the entries; for a combination that never "
            "occurs any label will do."
        )
    rows = torch.zeros(len(keys), size, dtype=torch.float64)
    for row, key in enumerate(keys):
        entry = found[key]
        weights = entry if isinstance(entry, Mapping) else {_hashable(entry): 1.0}
        for label, weight in weights.items():
            rows[row, _joint_code(label, labels)] += float(weight)
    return rows


def counted(
    joint: Tensor, discrete: Mapping[str, Variable], labels: Sequence[Label], smoothing: float
) -> Tensor:
    """``P(labels | parents)`` from the joint values ``(n,)`` of parents and labels in rows of data.

    Raises:
        LabelMapError: A combination of parents without rows.
    """
    size = math.prod(sizes_of(labels))
    rows = math.prod(sizes_of(discrete.values()))
    counts = torch.bincount(joint, minlength=rows * size).view(rows, size).double() + smoothing
    empty = (counts.sum(1) == 0).nonzero().squeeze(1)
    if len(empty):
        raise LabelMapError(
            f"P({listed(labels)} | {listed(discrete)}) cannot be counted: no row has "
            f"{combination(discrete, int(empty[0]))}. Give rows with it, a table, or smoothing=1 "
            "if it never matters."
        )
    return counts / counts.sum(1, keepdim=True)


def as_discrete(parents: Mapping[str, Variable]) -> dict[str, Variable]:
    """The parents, if all are discrete.

    Raises:
        LabelMapError: One is not.
    """
    wrong = []
    for name, variable in parents.items():
        if not variable.is_discrete:
            wrong.append(name)
    if wrong:
        raise LabelMapError(
            f"A label map cannot read {', '.join(wrong)}: a generator's labels are discrete, and "
            "these parents are not. Declare them Discrete in bins, or train a mechanism for the "
            "variable."
        )
    return dict(parents)


def ravel(codes: Sequence[Tensor], sizes: Sequence[int], n: int | None = None) -> Tensor:
    """Mixed-radix index ``(n,)``, the last code varying fastest."""
    if not codes:
        index = torch.zeros(n or 0, dtype=torch.int64)
    else:
        index = torch.zeros_like(codes[0])
    for code, size in zip(codes, sizes, strict=True):
        index = index * size + code
    return index


def listed(items: Named | Sequence[Label]) -> str:
    """The names of parents or labels, for messages."""
    if isinstance(items, Mapping):
        names = list(items)
    else:
        names = names_of(items)
    return ", ".join(map(str, names)) or "nothing"


def _hashable(entry: object) -> Value:
    if isinstance(entry, list):
        return tuple(entry)
    return entry


def _joint_code(value: object, labels: Sequence[Label]) -> int:
    if isinstance(value, tuple) and len(labels) != 1:
        values = value
    else:
        values = (value,)
    if len(values) != len(labels):
        raise LabelMapError(
            f"The label map's entry {value!r} cannot be read: give one value for each of "
            f"{listed(labels)}."
        )
    joint = 0
    for item, label in zip(values, labels, strict=True):
        joint = joint * label.size + label.code(item)
    return joint


def combination(parents: Mapping[str, Variable], row: int) -> str:
    """The joint value of the parents in a row of the table, for messages."""
    parts = []
    for name, parent in reversed(list(parents.items())):
        parts.append(f"{name}={parent.categories[row % parent.size]!r}")
        row //= parent.size
    return ", ".join(reversed(parts)) or "no parents"


def _way_out(
    parents: Mapping[str, Variable], labels: Sequence[Label], *, reordered: bool = False
) -> str:
    """The label map that would mend it, written out for the first values."""
    if reordered:
        names = ", ".join(map(str, parents))
        return f"Pass label_map=lambda {names}: ({', '.join(names_of(labels))}) to reorder them."
    key = ", ".join(repr(p.categories[0]) for p in parents.values())
    value = ", ".join(repr(label.categories[0]) for label in labels)
    if len(parents) != 1:
        key = f"({key})"
    if len(labels) != 1:
        value = f"({value})"
    return (
        f"Pass a label map, such as label_map={{{key}: {value}, …}}, or label_map='estimate' to "
        "estimate it from data."
    )
