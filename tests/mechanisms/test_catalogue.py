"""Adapters of third parties are found by their entry points, listed and loaded; broken ones are
listed with why."""

import json
import sys
from pathlib import Path

import pytest

import causalplug as cp
from causalplug.errors import MechanismError
from causalplug.mechanisms.base import MECHANISMS
from causalplug.registry import SHIPPED_ADAPTERS

PLUGIN = '''
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.noise import NoiseSpec
from causalplug.variables import Image

@register_mechanism("checkers")
class Checkers(FrozenMechanism):
    """Paints checkers."""
    needs = ("a_package_that_nobody_has",)
    weights_license = "cc0-1.0"

    def __init__(self):
        super().__init__(Image(1, 2, 2), [], {"level": NoiseSpec((), "uniform")})

    def generate(self, labels, noise):
        return noise["level"].view(-1, 1, 1, 1).expand(-1, 1, 2, 2)

    def config(self):
        return {}
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution with two entry points, one of them to a module that cannot be imported."""
    (tmp_path / "checkers_plugin.py").write_text(PLUGIN)
    (tmp_path / "broken_plugin.py").write_text(
        "raise ImportError('it needs a library of its own')\n"
    )
    facts = tmp_path / "checkers_plugin-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: checkers-plugin\nVersion: 1.0\n")
    points = "[causalplug.mechanisms]\ncheckers = checkers_plugin\nbroken = broken_plugin\n"
    (facts / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("checkers_plugin", None)
    MECHANISMS._classes.pop("checkers", None)


def test_third_party_adapters_are_listed_and_loaded(installed: Path) -> None:
    found = {info.kind: info for info in cp.list_adapters()}
    mine, broken = found["checkers"], found["broken"]
    assert (mine.package, mine.role, mine.summary, mine.license) == (
        "checkers-plugin",
        "generator",
        "Paints checkers.",
        "cc0-1.0",
    )
    assert mine.missing == ("a_package_that_nobody_has",)
    assert not mine.usable
    assert "pip install a_package_that_nobody_has" in str(mine)
    assert broken.error == "it needs a library of its own"
    assert not broken.usable
    folder = installed / "saved"
    MECHANISMS.resolve("checkers")().save_pretrained(folder)
    assert type(cp.from_pretrained(folder)).__name__ == "Checkers"


def test_every_shipped_adapter_is_listed_and_no_trained_mechanism() -> None:
    found = {info.kind: info for info in cp.list_adapters() if info.package == "causalplug"}
    assert set(SHIPPED_ADAPTERS) <= set(found)
    assert {"discrete-mlp", "conv-generator", "renderer"}.isdisjoint(found)
    assert found["diffusers"].needs == ("diffusers",)
    assert found["cxr-acgan"].license == "mit"
    assert {"conv-encoder", "pca", "random-projection", "transformers-vision"} <= set(found)
    assert all(info.summary and info.error is None for info in found.values())
    assert len(json.dumps([info.to_dict() for info in found.values()])) > 100


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(MechanismError, match="Did you mean 'diffusers'"):
        MECHANISMS.resolve("difusers")
