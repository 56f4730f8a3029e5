"""An experiment at a few values determines those values; what lies between is taken only by
name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import causalplug as cp
from causalplug.errors import NotIdentifiableError, QueryError

GRAPH = cp.CausalGraph.parse("T -> Y; T <-> Y")
DOSES = [cp.Source(["T", "Y"]), cp.Source(["T", "Y"], do={"T": [-1.0, 0.0, 1.0]})]


@pytest.mark.parametrize("value", [-1.0, 0, 1.0])
def test_what_was_set_is_determined(value: float) -> None:
    result = cp.identify(GRAPH, f"E[Y | do(T={value})]", DOSES)
    assert result.status == "identifiable"
    assert result.interpolated == ()
    again = cp.identify(GRAPH, f"E[Y | do(T={value})]", DOSES, interpolate="T")
    assert again.interpolated == ()


@pytest.mark.parametrize("query", ["E[Y | do(T=0.5)]", "E[Y | do(T=0.5)] - E[Y | do(T=0)]"])
def test_what_lies_between_is_determined_by_interpolation_alone(query: str) -> None:
    refused = cp.identify(GRAPH, query, DOSES)
    assert refused.status == "not identifiable"
    assert "T=0.5" in refused.reason
    assert "interpolate=" in refused.reason
    result = cp.identify(GRAPH, query, DOSES, interpolate=["T"])
    assert result.status == "identifiable"
    assert result.interpolated == (("T", 0.5),)
    assert "by interpolation, T=0.5" in result.reason


@pytest.mark.parametrize("value", [10.0, -1.5])
def test_what_lies_beyond_is_never_determined(value: float) -> None:
    query = f"E[Y | do(T={value})]"
    assert cp.identify(GRAPH, query, DOSES, interpolate="T").status == "not identifiable"


def test_interpolation_mends_no_hedge() -> None:
    graph = cp.CausalGraph.parse("S -> T -> Y; T <-> Y; S <-> Y")
    sources = [cp.Source(["S", "T", "Y"]), cp.Source(["S", "T", "Y"], do={"S": [0.0, 1.0]})]
    result = cp.identify(graph, "E[Y | do(T=0.5)]", sources, interpolate="S")
    assert result.status == "not identifiable"


def test_a_name_that_means_nothing_is_refused() -> None:
    with pytest.raises(cp.UnknownVariableError, match="interpolate"):
        cp.identify(GRAPH, "P(Y)", DOSES, interpolate="Q")
    with pytest.raises(QueryError, match="no source sets Y to certain numbers"):
        cp.identify(GRAPH, "P(Y)", DOSES, interpolate="Y")
    named = [cp.Source(["T", "Y"], do={"T": ["low", "high"]})]
    with pytest.raises(QueryError, match="no source sets T to certain numbers"):
        cp.identify(GRAPH, "P(Y)", named, interpolate="T")


def _rows(doses: list[float] | None, n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    t = rng.normal(size=n) if doses is None else rng.choice(doses, n)
    return pd.DataFrame({"T": t, "Y": rng.normal(size=n)})


VARIABLES = {"T": cp.Continuous(), "Y": cp.Continuous()}


def test_a_data_source_says_which_doses_it_set() -> None:
    doses = [-1 / 3, 0.1, 1.0]
    source = cp.DataSource(_rows(doses), do=("T",)).source(VARIABLES)
    assert source.values["T"] == (-0.33333334, 0.1, 1.0)
    assert cp.DataSource(_rows(None), do=("T",)).source(VARIABLES).values == {}
    assert cp.DataSource(_rows([0.1]), do=("T",)).source(VARIABLES).values == {"T": (0.1,)}
    # Numbers that do not come again are no doses: every row has its own.
    assert cp.DataSource(_rows(None, 20), do=("T",)).source(VARIABLES).values == {}


@pytest.fixture(scope="module")
def model() -> cp.DCM:
    dcm = cp.DCM(GRAPH, VARIABLES)
    tables = [cp.DataSource(_rows(None)), cp.DataSource(_rows([-1 / 3, 0.1, 1.0]), do=("T",))]
    dcm.sources = tuple(table.source(VARIABLES) for table in tables)
    return dcm


def test_the_doors_of_the_model_keep_to_the_doses(model: cp.DCM) -> None:
    for value in (0.1, -1 / 3, 1):
        assert model.sample(5, do={"T": value}, variables=["Y"]).attrs["warnings"] == []
    assert float(model.estimate("E[Y | do(T=0.1)]", 50)) is not None
    both = model.sample(4, do={"T": [0.1, 1.0, 0.1, 1.0]}, variables=["Y"])
    assert both.attrs["identification"] == "identifiable"
    with pytest.raises(NotIdentifiableError):
        model.estimate("E[Y | do(T=0.5)]", 50)
    with pytest.raises(NotIdentifiableError):
        model.sample(5, do={"T": 0.5}, variables=["Y"])
    with pytest.raises(NotIdentifiableError):
        model.sample(5, do={"T": torch.distributions.Uniform(0.0, 1.0)}, variables=["Y"])
    with pytest.raises(NotIdentifiableError):
        model.curve("Y", "T", [0.1, 0.5], n=50)


def test_what_is_interpolated_is_marked_wherever_it_goes(model: cp.DCM) -> None:
    answer = model.estimate("E[Y | do(T=0.5)]", 50, interpolate="T")
    assert [w.name for w in answer.warnings] == ["interpolation"]
    assert "do(T=0.5)" in str(answer)
    frame = model.sample(5, do={"T": 0.5}, variables=["Y"], interpolate="T")
    assert frame.attrs["warnings"][0]["subject"] == "do(T=0.5)"
    curve = model.curve("Y", "T", [0.1, 0.5], n=50, interpolate="T")
    assert [w["subject"] for w in curve.attrs["warnings"]] == ["do(T=0.5)"]
    marked = model.sample(5, do={"T": 7.0}, variables=["Y"], allow_unidentified=True)
    assert marked.attrs["warnings"][0]["name"] == "unidentified"
