"""Rows in clusters: what takes rows as independent says so, and gives no interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalplug as cp
from causalplug.checks.overlap import check_overlap
from causalplug.errors import DataError, QueryError, UnknownVariableError
from causalplug.sampling.bounded import model_bounds

COIN = cp.Discrete(2)
BOW = cp.CausalGraph.parse("X -> Y; X <-> Y")


@pytest.fixture(scope="module")
def clustered() -> cp.DataSource:
    """Forty independent pairs, each twenty times."""
    random = np.random.default_rng(0)
    some = pd.DataFrame({"X": random.integers(2, size=40), "Y": random.integers(2, size=40)})
    rows = some.loc[np.repeat(np.arange(40), 20)].assign(school=np.repeat(np.arange(40), 20))
    return cp.DataSource(rows.reset_index(drop=True), clusters="school")


def test_bounds_of_clustered_rows_have_no_interval(clustered):
    found = cp.bounds(BOW, "P(Y=1 | do(X=1))", [clustered])
    assert 0 <= found.low < found.high <= 1
    with pytest.raises(DataError, match="come in clusters"):
        found.interval()


def test_an_estimate_with_bounds_says_that_clusters_leave_no_interval(clustered):
    dcm = cp.DCM(BOW, {"X": COIN, "Y": COIN})
    cp.fit(dcm, clustered, steps=5, progress=False)
    for data in (clustered, None):
        found = model_bounds(dcm, "P(Y=1 | do(X=1))", data)
        assert found.resample is None
        assert "come in clusters" in found.notes[-1]


def test_a_graph_is_not_tested_on_clustered_rows(clustered):
    graph = cp.CausalGraph.parse("X; Y")
    for check in (cp.check_graph, cp.falsify):
        with pytest.raises(DataError, match="come in clusters"):
            check(graph, clustered)


def test_an_answer_is_not_refuted_on_clustered_rows(clustered):
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y"), {"X": COIN, "Y": COIN})
    with pytest.raises(QueryError, match="come in clusters"):
        dcm.refute("ATE(Y, X)", clustered)


def test_a_table_without_the_columns_of_its_source_is_refused():
    rows = {"Q": np.zeros(50)}
    with pytest.raises(DataError, match="has none of its columns"):
        cp.check_graph(BOW, rows, sources=[cp.Source(["X", "Y"])])


def test_names_of_options_are_those_of_the_graph(clustered):
    with pytest.raises(UnknownVariableError, match="encoders= cannot be used: 'x'"):
        cp.check_graph(BOW, clustered, encoders={"x": len})
    for option in ("domains", "ranges", "encoders"):
        with pytest.raises(UnknownVariableError, match=f"{option}= cannot be used: 'x'"):
            cp.bounds(BOW, "P(Y=1 | do(X=1))", clustered, **{option: {"x": (0, 1)}})


def test_overlap_of_a_list_within_a_list_is_refused(clustered):
    rows = pd.DataFrame({"X": [0, 1], "Y": [0, 1]})
    with pytest.raises(DataError, match="cannot be checked on a list"):
        check_overlap(cp.CausalGraph.parse("X -> Y"), "P(Y=1 | do(X=1))", [[rows]])
