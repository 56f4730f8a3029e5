"""Weights of few digits: what a mechanism knows of the units of its values keeps all of them."""

import pytest
import torch

import causalplug as cp
from causalplug.mechanisms.trainable.continuous import ContinuousSpline
from causalplug.mechanisms.trainable.mixed import MixedSpline
from causalplug.noise import Noise, NoiseSpec

NARROW = [torch.bfloat16, torch.float16]


def _model() -> cp.DCM:
    graph = cp.CausalGraph.parse("X -> Y; X -> A")
    number = cp.Continuous()
    dcm = cp.DCM(
        graph,
        {"X": number, "Y": number, "A": number},
        mechanisms={
            "X": ContinuousSpline(number, {}),
            "Y": ContinuousSpline(number, {"X": number}),
            "A": MixedSpline(number, {"X": number}, atoms=(1001.5,), knots=8),
        },
    )
    rows = torch.linspace(1001, 1005, 100)
    dcm.mechanism("X").standardise(rows)
    dcm.mechanism("Y").standardise(rows)
    dcm.mechanism("A").standardise(rows)
    for name in ("Y", "A"):
        dcm.mechanism(name).standardise_parents({"X": rows})
    return dcm


@pytest.mark.parametrize("dtype", [*NARROW, torch.float64])
def test_locations_and_atoms_are_not_rounded(tmp_path, dtype):
    """In bfloat16 the location 1003 is 1004, a whole standard deviation away."""
    dcm = _model()
    loaded = cp.from_pretrained(dcm.save_pretrained(tmp_path / "a"), dtype=dtype)
    assert {p.dtype for p in loaded.parameters()} == {dtype}
    exact, rounded = dcm.sample(2000, seed=1), loaded.sample(2000, seed=1)
    assert ((rounded - exact).abs().mean() < 0.02).all()
    assert (rounded["A"] == 1001.5).mean() > 0.2
    again = cp.from_pretrained(loaded.save_pretrained(tmp_path / "b"))
    assert {p.dtype for p in again.parameters()} == {dtype}
    assert again.sample(2000, seed=1).equals(rounded)


@pytest.mark.parametrize("dtype", [*NARROW, torch.float64])
def test_a_flow_of_vectors_runs_in_every_precision(tmp_path, dtype):
    graph = cp.CausalGraph.parse("X -> V; V -> Y")
    variables = {"X": cp.Discrete(2), "V": cp.Vector(2), "Y": cp.Continuous()}
    dcm = cp.DCM(graph, variables)
    loaded = cp.from_pretrained(dcm.save_pretrained(tmp_path / "a"), dtype=dtype)
    noise = Noise(50, 0)
    exact, rounded = dcm(noise), loaded(noise)
    assert {name: value.dtype for name, value in rounded.items()} == {
        name: value.dtype for name, value in exact.items()
    }
    assert torch.allclose(rounded["V"], exact["V"], atol=0.05)
    mechanism = loaded.mechanism("V")
    recovered = mechanism.abduct(rounded["V"], {"X": rounded["X"]})["normal"]
    assert torch.allclose(recovered, noise.draw("V/normal", NoiseSpec((2,))), atol=1e-3)


@pytest.fixture
def wide():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_noise_is_the_same_in_every_default_precision(wide):
    for distribution in ("normal", "uniform", "gumbel"):
        spec = NoiseSpec((2,), distribution)
        drawn = Noise(100, 3).draw("key", spec)
        torch.set_default_dtype(torch.float32)
        assert torch.equal(Noise(100, 3).draw("key", spec).double(), drawn)
        torch.set_default_dtype(torch.float64)


def test_a_model_of_single_precision_runs_where_double_is_the_default(wide):
    torch.set_default_dtype(torch.float32)
    graph = cp.CausalGraph.parse("X -> V; V -> Y")
    dcm = cp.DCM(graph, {"X": cp.Discrete(2), "V": cp.Vector(2), "Y": cp.Continuous()})
    single = dcm.sample(50, seed=2)
    torch.set_default_dtype(torch.float64)
    double = dcm.sample(50, seed=2)
    assert (single["X"] == double["X"]).all()
    assert (single["Y"] - double["Y"]).abs().max() < 1e-4
