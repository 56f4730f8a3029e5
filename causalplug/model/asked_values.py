"""What the values in a question meet in the rows that a model was trained on: their range, and
the overlap that was recorded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

from causalplug.caveats import Caveat
from causalplug.checks.records import OverlapRecord, RangeRecord
from causalplug.errors import RepositoryError
from causalplug.identification.query import Event, Query
from causalplug.identification.query import World as Setting
from causalplug.selection import all_of_kind, map_values
from causalplug.values import Named

__all__ = [
    "beyond_range",
    "beyond_seen",
    "never_seen",
    "rarely_seen",
    "recorded_categories",
    "recorded_overlap",
    "recorded_ranges",
    "weak_overlap",
]


def recorded_ranges(history: Named) -> dict[str, RangeRecord]:
    """The ranges of a training history.

    Raises:
        RepositoryError: They are not ranges.
    """
    ranges = history.get("ranges", {})
    if not isinstance(ranges, Mapping):
        raise RepositoryError("The history of the model holds ranges that are not a mapping.")
    return map_values(RangeRecord.from_list, ranges)


def recorded_overlap(history: Named) -> list[OverlapRecord]:
    """The records of overlap of a training history.

    Raises:
        RepositoryError: They are not such records.
    """
    records = history.get("overlap", [])
    if not isinstance(records, list):
        raise RepositoryError("The history of the model holds records of overlap that are no list.")
    return list(map(OverlapRecord.from_dict, records))


def recorded_categories(history: Named) -> tuple[Named, Named]:
    """The categories of a training history that no row has, and those that few rows have.

    Raises:
        RepositoryError: They are not lists by variable.
    """
    unseen, rare = history.get("unseen", {}), history.get("rare", {})
    if not isinstance(unseen, Mapping) or not all_of_kind(unseen.values(), list):
        raise RepositoryError("The history of the model holds unseen categories of no known form.")
    if not isinstance(rare, Mapping) or not all(map(_are_counts, rare.values())):
        raise RepositoryError("The history of the model holds rare categories of no known form.")
    return unseen, rare


def beyond_range(history: Named, queries: Iterable[Query]) -> Iterator[Caveat]:
    """A caveat for every number in a question beyond which hardly a row lies."""
    return _beyond(history, _values(queries))


def beyond_seen(history: Named, seen: Iterable[tuple[str, float, float]]) -> Iterator[Caveat]:
    """A caveat for what was seen of a number, from the lowest to the highest, if hardly a row lies
    there; it names the end that is nearer to the rows."""
    ranges = recorded_ranges(history)
    nearest = []
    for name, low, high in seen:
        known = ranges.get(name)
        if known is not None and low > known.inner_high:
            nearest.append((name, low, False))
        elif known is not None and high < known.inner_low:
            nearest.append((name, high, False))
    return _beyond(history, nearest)


def _beyond(history: Named, values: Iterable[tuple[str, Any, bool]]) -> Iterator[Caveat]:
    ranges = recorded_ranges(history)
    for name, value, is_set in values:
        known = ranges.get(name)
        if known is None or not _is_number(value):
            continue
        if known.inner_low <= value <= known.inner_high:
            continue
        if is_set:
            what = f"do({name}={value:g})"
        else:
            what = f"{name}={value:g}"
        outside = not known.low <= value <= known.high
        where = "beyond all but a few of the"
        if outside:
            where = "beyond all"
        text = (
            f"{name}={value:g} lies {where} rows that the model was trained on, which go from "
            f"{known.low:g} to {known.high:g}."
        )
        figures = {"value": float(value), "low": known.low, "high": known.high}
        yield Caveat("extrapolation", what, text, figures)


def never_seen(history: Named, queries: Iterable[Query]) -> Iterator[Caveat]:
    """A caveat for every declared category in a question that no row has."""
    unseen, _ = recorded_categories(history)
    asked: dict[tuple[str, object, bool], None] = dict.fromkeys(_values(queries))
    events = (e for query in queries for _, term in query.terms for e in term.events)
    asked |= {(event.variable, event.value, False): None for event in events}
    for name, value, is_set in asked:
        if value is not None and str(value) in map(str, unseen.get(name, [])):
            if is_set:
                what = f"do({name}={value})"
            else:
                what = f"{name}={value}"
            text = (
                f"No row that the model was trained on has {name}={value}: what it says of it is "
                "supported by no data."
            )
            yield Caveat("extrapolation", what, text, {}, (name,))


def rarely_seen(history: Named, queries: Iterable[Query]) -> Iterator[Caveat]:
    """A caveat for every category that is set or given in a question and that few rows have."""
    _, rare = recorded_categories(history)
    asked: dict[tuple[str, Any, bool], None] = dict.fromkeys(_values(queries))
    given = (e for query in queries for _, term in query.terms for e in term.evidence)
    asked = {key: None for key in asked if key[2]}
    asked |= {(event.variable, event.value, False): None for event in given}
    for name, value, is_set in asked:
        counts = {str(category): count for category, count in rare.get(name, [])}
        if str(value) not in counts:
            continue
        rows = counts[str(value)]
        what = f"{name}={value}"
        text = f"Of the rows that the model was trained on {rows} have {what}."
        if is_set:
            what = f"do({what})"
        yield Caveat("few rows", what, text, {"rows": float(rows)})


def _are_counts(pairs: object) -> bool:
    """Whether it is a list of categories, each with its number."""
    if not isinstance(pairs, list) or not all_of_kind(pairs, list):
        return False
    return all(len(pair) == 2 and isinstance(pair[1], int) for pair in pairs)


def weak_overlap(history: Named, queries: Iterable[Query], run: set[str]) -> Iterator[Caveat]:
    """A caveat for every intervention that the rows did not support, if the answer runs what
    lacks support."""
    by_variable: dict[str, list[OverlapRecord]] = {}
    for record in recorded_overlap(history):
        by_variable.setdefault(record.variable, []).append(record)
    for name, value, is_set in _values(queries):
        if not is_set or name not in by_variable:
            continue
        for record in _meant(by_variable[name], value):
            if not run & set(record.of):
                continue
            what = f"do({name}={record.value})"
            text = record.text[:1].upper() + record.text[1:].rstrip(".") + "."
            if not record.checked:
                yield Caveat("not checked", f"do({name})", text, {}, record.of)
                continue
            figures = {"share": record.share, "standard_error": record.standard_error}
            yield Caveat("weak overlap", what, text, figures, record.of)


def _meant(records: Sequence[OverlapRecord], value: Any) -> list[OverlapRecord]:
    """The records of a value: of every one where none is named, of the nearest for a number."""
    if value is None:
        return list(records)
    exact = [record for record in records if record.value == value]
    if exact or not _is_number(value):
        return exact
    numbers = [record for record in records if _is_number(record.value)]
    return sorted(numbers, key=lambda record: abs(float(record.value) - value))[:1]


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _values(queries: Iterable[Query]) -> Iterator[tuple[str, Any, bool]]:
    """Variable, value (None: every value) and whether it is set, for all that questions set or
    see."""
    found: dict[tuple[str, object, bool], None] = {}
    for query in queries:
        for _, term in query.terms:
            for event in term.events:
                if _is_number(event.value):
                    found[event.variable, event.value, False] = None
                found |= dict.fromkeys(_set_in(event.do))
    return iter(found)


def _set_in(setting: Setting) -> Iterator[tuple[str, object, bool]]:
    for name, value in setting.items():
        if isinstance(value, Event):
            yield from _set_in(value.do)
        else:
            yield name, value if isinstance(value, str | Real) else None, True
