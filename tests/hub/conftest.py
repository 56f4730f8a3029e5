"""A small model folder, and the same folder published on the Hub."""

import json
import random

import pytest

LARGE = 12_000_000


@pytest.fixture
def model(tmp_path):
    """A folder as a model is saved: small text files and weights of some megabytes."""
    folder = tmp_path / "model"
    (folder / "modules").mkdir(parents=True)
    rng = random.Random(0)
    (folder / "config.json").write_text(json.dumps({"format": "test", "version": 1}))
    (folder / "README.md").write_text(
        "---\nlicense: apache-2.0\ntags:\n- causalplug\n---\n# A model\n"
    )
    (folder / "model.safetensors").write_bytes(rng.randbytes(100_000))
    (folder / "modules" / "large.safetensors").write_bytes(rng.randbytes(LARGE))
    return folder


@pytest.fixture
def published(hub, model, repo):
    """The model folder on the Hub; returns its first commit."""
    commit = hub.plant(
        repo,
        {p.relative_to(model).as_posix(): p.read_bytes() for p in model.rglob("*") if p.is_file()},
    )
    hub.steer("clear")
    return commit


@pytest.fixture
def cache(tmp_path):
    """An empty cache."""
    return tmp_path / "cache"
