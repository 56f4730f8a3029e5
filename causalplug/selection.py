"""Parts of sequences and mappings in their order: kept, left out, looked up, changed."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from types import UnionType
from typing import Any, Protocol, TypeVar

__all__ = [
    "all_of_kind",
    "any_of_kind",
    "by_name",
    "dicts_by_name",
    "drop",
    "keep",
    "map_values",
    "names_of",
    "not_none",
    "of_kind",
    "pick",
    "positions_of",
    "sizes_of",
    "to_dicts",
    "values_at",
    "variables_of",
    "within",
    "without",
    "without_none",
]

K = TypeVar("K")
K_in = TypeVar("K_in", contravariant=True)
V = TypeVar("V")
V_out = TypeVar("V_out", covariant=True)
W = TypeVar("W")


class _Indexed(Protocol[K_in, V_out]):
    """A mapping or a sequence."""

    def __getitem__(self, key: K_in, /) -> V_out: ...


class _Record(Protocol):
    """What can be written as a dictionary."""

    def to_dict(self) -> dict[str, Any]: ...


class _HasName(Protocol[V_out]):
    @property
    def name(self) -> V_out: ...


class _HasSize(Protocol):
    @property
    def size(self) -> int: ...


class _HasVariable(Protocol):
    @property
    def variable(self) -> str: ...


def within(items: Iterable[V], kept: Container[object]) -> list[V]:
    """Those of ``items`` that are in ``kept``, in their order."""
    return [item for item in items if item in kept]


def without(items: Iterable[V], left_out: Container[object]) -> list[V]:
    """Those of ``items`` that are not in ``left_out``, in their order."""
    return [item for item in items if item not in left_out]


def values_at(values: _Indexed[K, V], keys: Iterable[K]) -> list[V]:
    """The values of a mapping or a sequence at ``keys``, in the order of ``keys``."""
    return [values[key] for key in keys]


def pick(values: _Indexed[K, V], keys: Iterable[K]) -> dict[K, V]:
    """The entries under ``keys``, in the order of ``keys``; each must be there."""
    return {key: values[key] for key in keys}


def keep(values: Mapping[K, V], keys: Container[object]) -> dict[K, V]:
    """The entries of a mapping whose key is in ``keys``, in the order of the mapping."""
    return {key: value for key, value in values.items() if key in keys}


def drop(values: Mapping[K, V], keys: Container[object]) -> dict[K, V]:
    """The entries of a mapping whose key is not in ``keys``, in the order of the mapping."""
    return {key: value for key, value in values.items() if key not in keys}


def without_none(values: Mapping[K, V | None]) -> dict[K, V]:
    """The entries of a mapping whose value is not None."""
    return {key: value for key, value in values.items() if value is not None}


def map_values(function: Callable[[V], W], values: Mapping[K, V]) -> dict[K, W]:
    """A mapping with ``function`` applied to each of its values."""
    return {key: function(value) for key, value in values.items()}


def by_name(function: Callable[[K], V], names: Iterable[K]) -> dict[K, V]:
    """``function`` of each name, under the name."""
    return {name: function(name) for name in names}


def positions_of(items: Iterable[K]) -> dict[K, int]:
    """The position of each item."""
    return {item: position for position, item in enumerate(items)}


def names_of(items: Iterable[_HasName[V_out]]) -> list[V_out]:
    """``item.name`` of each item."""
    return [item.name for item in items]


def sizes_of(items: Iterable[_HasSize]) -> list[int]:
    """``item.size`` of each item."""
    return [item.size for item in items]


def variables_of(items: Iterable[_HasVariable]) -> list[str]:
    """``item.variable`` of each item."""
    return [item.variable for item in items]


def dicts_by_name(items: Mapping[K, _Record]) -> dict[K, dict[str, Any]]:
    """``item.to_dict()`` of each item of a mapping."""
    return {key: item.to_dict() for key, item in items.items()}


def to_dicts(items: Iterable[_Record]) -> list[dict[str, Any]]:
    """``item.to_dict()`` of each item."""
    return [item.to_dict() for item in items]


def of_kind(items: Iterable[object], kind: type[V]) -> list[V]:
    """The items that are instances of ``kind``, in their order."""
    return [item for item in items if isinstance(item, kind)]


def not_none(items: Iterable[V | None]) -> list[V]:
    """The items that are not None, in their order."""
    return [item for item in items if item is not None]


def all_of_kind(items: Iterable[object], kind: type | UnionType) -> bool:
    """Whether every item is an instance of ``kind``."""
    return all(isinstance(item, kind) for item in items)


def any_of_kind(items: Iterable[object], kind: type | UnionType) -> bool:
    """Whether any item is an instance of ``kind``."""
    return any(isinstance(item, kind) for item in items)
