"""Parts of sequences and mappings keep the order of what they are taken from."""

import pytest

from causalplug import selection
from causalplug.graphs.source import Source


def test_items_are_kept_and_left_out_in_their_order():
    assert selection.within("dbca", {"a", "d"}) == ["d", "a"]
    assert selection.without("dbca", {"a", "d"}) == ["b", "c"]


def test_values_are_looked_up_in_the_order_of_the_keys():
    assert selection.values_at({"a": 1, "b": 2}, "ba") == [2, 1]
    assert selection.values_at([5, 6, 7], (2, 0)) == [7, 5]
    assert list(selection.pick({"a": 1, "b": 2, "c": 3}, "ca").items()) == [("c", 3), ("a", 1)]
    with pytest.raises(KeyError):
        selection.pick({"a": 1}, "b")


def test_entries_are_kept_and_dropped_in_the_order_of_the_mapping():
    found = {"c": 1, "a": 2, "b": None}
    assert list(selection.keep(found, {"a", "c", "z"})) == ["c", "a"]
    assert list(selection.drop(found, {"a", "z"})) == ["c", "b"]
    assert selection.without_none(found) == {"c": 1, "a": 2}


def test_functions_are_applied_to_values_and_to_names():
    assert selection.map_values(len, {"a": "xy", "b": ""}) == {"a": 2, "b": 0}
    assert selection.by_name(str.upper, "ba") == {"b": "B", "a": "A"}
    assert selection.to_dicts([Source(["X"])]) == [Source(["X"]).to_dict()]


def test_kinds_are_asked_of_all_and_of_any():
    assert selection.all_of_kind([1, 2.0], int | float)
    assert not selection.all_of_kind([1, "2"], int | float)
    assert selection.any_of_kind([1, "2"], str)
    assert selection.all_of_kind([], int)
    assert not selection.any_of_kind([], int)
    assert selection.of_kind([1, "2", 3], int) == [1, 3]
    assert selection.not_none([None, 0, None, "x"]) == [0, "x"]


def test_positions_and_attributes_are_listed():
    assert selection.positions_of("ba") == {"b": 0, "a": 1}
    sources = {"s": Source(["X"], name="s"), "t": Source(["Y"], name="t")}
    assert selection.names_of(sources.values()) == ["s", "t"]
    assert selection.dicts_by_name(sources)["t"] == sources["t"].to_dict()
