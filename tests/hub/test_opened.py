"""A repository is opened once: its configuration is parsed once, the header of its weights too."""

import pytest
import torch

import causalplug as cp
from causalplug.files import weights as weights_file
from causalplug.hub import opened
from causalplug.hub.repository import resolve


@pytest.fixture
def counted(monkeypatch):
    """How often a configuration and a header were read, by file."""
    read = {"config": [], "header": []}
    read_json, read_header = opened.read_json, weights_file._read_header

    def config(path, **options):
        read["config"].append(path.name)
        return read_json(path, **options)

    def header(real, path):
        read["header"].append(real.name)
        return read_header(real, path)

    monkeypatch.setattr(opened, "read_json", config)
    monkeypatch.setattr(weights_file, "_read_header", header)
    return read


@pytest.fixture
def model():
    graph = cp.CausalGraph.parse("X -> Y")
    return cp.DCM(graph, {"X": cp.Discrete(2), "Y": cp.Continuous()}, seed=1)


def test_a_model_is_read_once(tmp_path, model, counted):
    model.save_pretrained(tmp_path / "model")
    again = cp.from_pretrained(tmp_path / "model")
    assert counted == {"config": ["config.json"], "header": ["model.safetensors"]}
    kept = again.trained_tensors()
    assert all(torch.equal(value, kept[name]) for name, value in model.trained_tensors().items())


def test_an_encoder_is_read_once(tmp_path, counted):
    encoder = cp.ConvEncoder(cp.Image(1, 8, 8), 4)
    encoder.save_pretrained(tmp_path / "encoder")
    again = cp.from_pretrained(tmp_path / "encoder")
    assert counted == {"config": ["config.json"], "header": ["model.safetensors"]}
    assert type(again) is type(encoder)


def test_what_is_open_is_shared_and_forgotten_afterwards(tmp_path, model):
    model.save_pretrained(tmp_path / "model")
    snapshot = resolve(tmp_path / "model")
    with snapshot.open() as outer:
        with snapshot.open() as inner:
            assert inner is outer
        first = outer.config
        assert outer.config is first
        assert outer.weights() is outer.weights()
    with snapshot.open() as later:
        assert later is not outer
        assert later.config == first


def test_a_damaged_header_is_refused_as_before(tmp_path, model):
    model.save_pretrained(tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(cp.RepositoryError, match=r"cut short|size or SHA-256|recorded"):
        cp.from_pretrained(tmp_path / "model")
