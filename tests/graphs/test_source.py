"""Data sources: what they declare, how they are named, and contradictions."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest

from causalplug.errors import SourceError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source, as_sources

GRAPH = CausalGraph.parse("PKA -> Mek -> Erk; PKA <-> Mek")


def test_what_was_set_counts_as_recorded() -> None:
    source = Source(["Mek"], do=["PKA"])
    assert source.recorded == {"Mek", "PKA"}
    assert source.observed == {"Mek"}
    assert source.do == {"PKA"}
    assert source.values == {}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (Source(["Mek", "Erk"]), "P(Erk, Mek)"),
        (Source(["Mek"], do="PKA"), "P(Mek | do(PKA))"),
        (Source(["Mek"], do={"PKA": 2}), "P(Mek | do(PKA=2))"),
        (Source(["Mek"], do={"PKA": [0, 2], "Erk": None}), "P(Mek | do(Erk, PKA in {0, 2}))"),
        (Source(["Mek"], do={"PKA": "high"}), "P(Mek | do(PKA=high))"),
    ],
)
def test_sources_describe_their_distribution(source: Source, text: str) -> None:
    assert source.describe() == text
    assert Source.from_dict(json.loads(json.dumps(source.to_dict()))) == source
    assert hash(Source.from_dict(source.to_dict())) == hash(source)
    assert eval(repr(source)) == source


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Source([]), "it records nothing"),
        (lambda: Source(["A", "B", "A"]), "column 'A' is listed twice"),
        (lambda: Source(["A"], do={"B": []}), "do(B) has an empty list of values"),
        (lambda: Source([3]), "several names"),
        (lambda: Source.from_dict({"do": ["A"]}), "no key 'recorded'"),
        (lambda: Source.from_dict({"recorded": ["A"], "rows": 3}), "unknown keys rows"),
        (lambda: as_sources(GRAPH, []), "the list of sources is empty"),
        (
            lambda: as_sources(GRAPH, [Source(["mek"])]),
            "it records 'mek', which is not in the graph (did you mean \"Mek\"",
        ),
        (
            lambda: as_sources(GRAPH, [Source(["Mek"], do=["Raf"])]),
            "it intervenes on 'Raf', which is not in the graph",
        ),
        (lambda: as_sources(GRAPH, ["Mek"]), "'Mek' is not a data source"),
        (
            lambda: as_sources(GRAPH, [Source(["Mek"], name="a"), Source(["Erk"], name="a")]),
            "'a' is declared as P(Mek) and as P(Erk)",
        ),
        (lambda: as_sources(GRAPH, [Source(["Mek"], name="a")] * 2), "'a' is declared twice"),
        (
            lambda: as_sources(GRAPH, {"b": Source(["Mek"], name="a")}),
            "the entry 'b' holds a source that is named 'a'",
        ),
    ],
)
def test_contradictions_are_named(make, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SourceError, match=re.escape(message)):
        make()


def test_every_source_gets_a_name_of_its_own() -> None:
    same = Source(["Mek"], do=["PKA"])
    assert [s.name for s in as_sources(GRAPH)] == ["observational"]
    assert [s.name for s in as_sources(GRAPH, [same, same, Source(["Erk"], name="x")])] == [
        "P(Mek | do(PKA))",
        "P(Mek | do(PKA)) (2)",
        "x",
    ]
    assert [s.name for s in as_sources(GRAPH, {"a": same, "b": Source(["Erk"], name="b")})] == [
        "a",
        "b",
    ]
    assert as_sources(GRAPH, same)[0].do == {"PKA"}
    assert as_sources(GRAPH, [SimpleNamespace(source=same)])[0].recorded == same.recorded


def test_values_survive_naming() -> None:
    (source,) = as_sources(GRAPH, Source(["Mek"], do={"PKA": [0, 2]}))
    assert source.values == {"PKA": (0, 2)}
