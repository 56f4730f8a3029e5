"""Refits on resampled rows: their spread, their store, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.data.source import Rows
from causalplug.training.replicates import resampled
from tests.scm import random_scm

GRAPH = cp.CausalGraph.parse("X -> Z -> Y; X <-> Y")
VARIABLES = {name: cp.Discrete(2) for name in GRAPH.variables}
SETTINGS = {"steps": 160, "held_out": 0.0, "check_fit": False, "progress": False}


@pytest.fixture(scope="module")
def data() -> dict:
    return random_scm(GRAPH, 2, seed=3, floor=0.3).sample(2000, seed=1)


@pytest.fixture(scope="module")
def fitted(data: dict) -> cp.DCM:
    dcm = cp.DCM(GRAPH, VARIABLES)
    cp.fit(dcm, data, replicates=12, **SETTINGS)
    return dcm


def test_replicates_and_influence_functions_agree(fitted: cp.DCM) -> None:
    one, other = (
        fitted.estimate("P(Y=1 | do(X=1))", interval=kind) for kind in ("influence", "replicates")
    )
    assert one.value == other.value
    assert other.standard_error == pytest.approx(one.standard_error, rel=0.5)  # twelve of them
    assert "12 replicates" in other.interval
    half = (other.table["high"] - other.table["low"]).item() / 2
    assert half / other.standard_error == pytest.approx(2.201, rel=1e-3)  # Student's t, 11


def test_they_travel_with_the_model(fitted: cp.DCM, tmp_path) -> None:
    fitted.save_pretrained(tmp_path)
    assert (tmp_path / "replicates.safetensors").stat().st_size < 4 << 20
    pulled = cp.from_pretrained(str(tmp_path))
    asked = {"n": 5000, "interval": "replicates"}
    before = fitted.estimate("ATE(Y, X)", **asked).table
    assert pulled.estimate("ATE(Y, X)", **asked).table.equals(before)
    cp.DCM(GRAPH, VARIABLES).save_pretrained(tmp_path)
    assert not (tmp_path / "replicates.safetensors").exists()


def test_the_model_is_what_it_is_without_them(fitted: cp.DCM, data: dict) -> None:
    plain = cp.DCM(GRAPH, VARIABLES)
    cp.fit(plain, data, **SETTINGS)
    for key, value in plain.trained_tensors().items():
        assert torch.equal(value, fitted.trained_tensors()[key]), key
    assert len(fitted.replicates) == 12
    assert plain.replicates == ()


def test_a_module_trained_by_critics_has_an_interval_by_them_alone(data: dict) -> None:
    rows = {name: value[:500] for name, value in data.items()}
    dcm = cp.DCM(GRAPH, VARIABLES)
    options = SETTINGS | {"objective": "adversarial", "steps": 20, "tolerance": 1.0}
    cp.fit(dcm, rows, **options)
    answer = dcm.estimate("ATE(Y, X)", n=1000)
    assert np.isnan(answer.table["low"]).all()
    assert "replicates=20" in answer.interval
    assert "objective='adversarial'" in answer.interval
    cp.fit(dcm, rows, replicates=5, **options)
    answer = dcm.estimate("ATE(Y, X)", n=1000)
    assert answer.standard_error > answer.monte_carlo_error
    assert "5 replicates" in answer.interval


def test_modules_of_several_objectives_are_refitted_together(data: dict, tmp_path) -> None:
    """One module by critics, one by both in turn, one by likelihood: the interval is by refits,
    and travels."""
    rows = {name: value[:300] for name, value in data.items()}
    rows["V"] = (rows["Y"] + (np.random.default_rng(0).random(300) < 0.2)) % 2
    graph = cp.CausalGraph.parse("X -> Z -> Y -> V; X <-> Y")
    dcm = cp.DCM(graph, dict.fromkeys(graph.variables, cp.Discrete(2)))
    objective = {"X": "adversarial", "Y": "adversarial", "Z": "likelihood", "V": "warm"}
    options = SETTINGS | {"objective": objective, "steps": 20, "tolerance": 1.0}
    cp.fit(dcm, rows, replicates=5, **options)
    answer = dcm.estimate("P(V=1 | do(X=1))", n=2000)
    assert "5 replicates" in answer.interval
    assert answer.standard_error > answer.monte_carlo_error
    for number, own in enumerate(dcm.replicates):
        for name in ("Y", "Z", "V"):  # each refit has weights of its own for every module
            key = f"_mechanisms.{name}.network.read_parents.weight"
            others = [r[key] for n, r in enumerate(dcm.replicates) if n != number]
            assert not any(torch.equal(own[key], other) for other in others), key
    dcm.save_pretrained(tmp_path)
    pulled = cp.from_pretrained(str(tmp_path))
    assert pulled.estimate("P(V=1 | do(X=1))", n=2000).standard_error == answer.standard_error


def test_finished_refits_are_read_back(data: dict, tmp_path, monkeypatch) -> None:
    from causalplug.training import replicates

    rows = {name: value[:300] for name, value in data.items()}
    options = SETTINGS | {"steps": 10, "output_dir": tmp_path}
    dcm = cp.DCM(GRAPH, VARIABLES)
    cp.fit(dcm, rows, replicates=5, **options)
    made: list[int] = []
    again = replicates._train_again
    monkeypatch.setattr(
        replicates, "_train_again", lambda *given: made.append(given[-1]) or again(*given)
    )
    resumed = cp.DCM(GRAPH, VARIABLES)
    cp.fit(resumed, rows, replicates=6, resume_from_checkpoint=True, **options)
    assert made == [5]
    for one, other in zip(dcm.replicates, resumed.replicates, strict=False):
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("count", [3, -1, 2.5, True])
def test_too_few_are_refused_before_training(data: dict, count: object) -> None:
    with pytest.raises(cp.errors.TrainingError, match="replicates="):
        cp.fit(cp.DCM(GRAPH, VARIABLES), data, replicates=count)  # type: ignore[arg-type]


def test_clusters_are_drawn_whole() -> None:
    clusters = torch.arange(40).repeat_interleave(5)
    rows = Rows(cp.Source(["X"]), {"X": torch.arange(200)}, clusters)
    index = resampled(rows, torch.Generator().manual_seed(0))
    counts = torch.bincount(index, minlength=200).view(40, 5)
    assert (counts == counts[:, :1]).all()
    assert len(index) == 200
    assert int(counts.max()) > 1


def test_a_column_names_clusters(data: dict) -> None:
    """Five copies of every row are no more than the rows: the interval with clusters is that of
    the rows, the one without them too narrow."""
    frame = {name: np.repeat(value[:1000], 5) for name, value in data.items()}
    frame["school"] = np.repeat([f"s{k}" for k in range(1000)], 5)
    source = cp.DataSource(frame, clusters="school")
    assert "school" not in source.names
    dcm = cp.DCM(GRAPH, VARIABLES)
    cp.fit(dcm, source, **SETTINGS)
    alone = dcm.estimate("P(Y=1 | do(X=1))", n=2000)
    assert np.isnan(alone.standard_error)
    assert "clusters" in alone.interval
    with_clusters = dcm.estimate("P(Y=1 | do(X=1))", data=source)
    del frame["school"]
    without = dcm.estimate("P(Y=1 | do(X=1))", data=frame)
    own = [a.standard_error**2 - a.monte_carlo_error**2 for a in (with_clusters, without)]
    assert own[0] / own[1] == pytest.approx(5, rel=0.05)
