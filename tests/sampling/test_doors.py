"""Noise that is kept, replayed or run by hand, and modules that are plugged elsewhere, give
nothing that a counterfactual refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from causalplug.dcm import DCM
from causalplug.errors import NotIdentifiableError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.noise import Noise
from causalplug.sampling.condition import Evidence
from causalplug.variables import Discrete


def _model(text: str, *sources: Source) -> DCM:
    graph = CausalGraph.parse(text)
    dcm = DCM(graph, {name: Discrete(2) for name in graph.variables}, seed=1)
    dcm.sources = sources or (Source(recorded=graph.variables),)
    return dcm


@pytest.fixture
def bow() -> DCM:
    """X -> Y, X <-> Y: nothing about do(X) is determined."""
    return _model("X -> Y; X <-> Y")


@pytest.mark.parametrize("kept", ["as it is", "selected", "saved", "moved"])
def test_a_replay_needs_what_the_counterfactual_needs(bow: DCM, kept: str, tmp_path: Path) -> None:
    noise = bow.abduct(50, evidence={"X": 1, "Y": 0})
    if kept == "selected":
        noise = noise.select(torch.arange(20))
    if kept == "moved":
        noise = next(noise.to("cpu").chunks(30))
    if kept == "saved":
        noise.save(tmp_path / "noise.safetensors")
        noise = Noise.load(tmp_path / "noise.safetensors")
    do = {"X": torch.zeros(len(noise), dtype=torch.int64)}
    with pytest.raises(NotIdentifiableError):
        bow.counterfactual(50, evidence={"X": 1, "Y": 0}, do={"X": 0}, variables=["Y"])
    with pytest.raises(NotIdentifiableError):
        bow.replay(noise, do={"X": 0}, variables=["Y"])
    with pytest.raises(NotIdentifiableError):
        bow(noise, do, ["Y"])
    frame = bow.replay(noise, do={"X": 0}, variables=["Y"], allow_unidentified=True)
    assert frame.attrs["identification"] == "not identifiable"
    assert frame.attrs["warnings"]
    values = bow(noise, do, ["Y"], allow_unidentified=True)
    assert values["Y"].tolist() == frame["Y"].tolist()


def test_rows_as_they_were_may_be_replayed(bow: DCM) -> None:
    noise = bow.abduct(50, evidence={"X": 1})
    frame = bow.replay(noise)
    assert (frame["X"] == 1).all()
    assert frame.attrs["identification"] == "identifiable"
    assert bow(noise)["X"].tolist() == [1] * 50


def test_what_was_allowed_when_noise_was_chosen_stays_allowed(bow: DCM) -> None:
    noise = bow.abduct(50, evidence={"X": 1, "Y": 0}, allow_unidentified=True)
    frame = bow.replay(noise, do={"X": 0})
    assert frame.attrs["identification"] == "not identifiable"


def test_fresh_noise_under_an_intervention_needs_what_a_sample_needs(bow: DCM) -> None:
    do = {"X": torch.ones(8, dtype=torch.int64)}
    with pytest.raises(NotIdentifiableError):
        bow.sample(8, do={"X": 1}, variables=["Y"])
    with pytest.raises(NotIdentifiableError):
        bow(Noise(8), do, ["Y"])
    with pytest.raises(NotIdentifiableError):
        bow.replay(Noise(8), do={"X": 1}, variables=["Y"])
    assert len(bow(Noise(8), do, ["X"])["X"]) == 8
    plain = _model("X -> Y")
    assert len(plain(Noise(8), do, ["Y"])["Y"]) == 8


def test_evidence_of_another_world_is_kept_with_its_intervention() -> None:
    dcm = _model("X -> Y")
    noise = dcm.abduct(20, evidence=Evidence({"Y": 1}, do={"X": 1}))
    (seen,) = noise.provenance.seen
    assert (seen.name, seen.value, seen.do) == ("Y", 1, (("X", 1),))
    with pytest.raises(NotIdentifiableError):
        dcm.replay(noise, do={"X": 0}, variables=["Y"])
    assert (
        dcm.replay(noise, do={"X": 1}, variables=["Y"]).attrs["identification"]
        == (
            dcm.counterfactual(
                20, evidence=Evidence({"Y": 1}, do={"X": 1}), do={"X": 1}, variables=["Y"]
            ).attrs["identification"]
        )
    )


def test_a_model_that_is_put_together_knows_what_its_modules_were_trained_on(bow: DCM) -> None:
    module = bow.module("X+Y")
    other = DCM(bow.graph, bow.variables, mechanisms={"X+Y": module})
    with pytest.raises(NotIdentifiableError):
        other.counterfactual(10, evidence={"X": 1, "Y": 0}, do={"X": 0}, variables=["Y"])
    with pytest.raises(NotIdentifiableError):
        other.sample(10, do={"X": 0}, variables=["Y"])
    marked = other.sample(10, do={"X": 0}, variables=["Y"], allow_unidentified=True)
    assert marked.attrs["identification"] == "not identifiable"
    assert other.sample(10).attrs["identification"] == "identifiable"
