"""What is released: one version everywhere, a complete wheel that works on its own, bounds that
are tested."""

import email
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import causalplug as cp

ROOT = Path(__file__).parents[1]
if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILD = "from setuptools import build_meta as b; b.build_{}({!r})"
OUTSIDE = ("build", "dist", "runs", "shared", "*.egg-info", "__pycache__", ".*")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A wheel that was built from the sdist of a copy of the sources, as an installer does it."""
    home = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, home / "source", symlinks=True, ignore=shutil.ignore_patterns(*OUTSIDE))
    run([sys.executable, "-c", BUILD.format("sdist", str(home))], cwd=home / "source")
    (sdist,) = home.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(home / "unpacked", filter="data")
    (unpacked,) = (home / "unpacked").iterdir()
    run([sys.executable, "-c", BUILD.format("wheel", str(home))], cwd=unpacked)
    (wheel,) = home.glob("*.whl")
    return sdist, wheel


def run(command, **options):
    """What a command prints; it must succeed, and does not see this checkout by ``PYTHONPATH``."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The ``bin`` of an environment with the wheel, and beside it the libraries of this one, but
    not its causalplug."""
    home = tmp_path_factory.mktemp("installed")
    run([sys.executable, "-m", "venv", "--without-pip", home / "venv"])
    python = home / "venv" / "bin" / "python"
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            built[1],
        ]
    )
    libraries = {
        Path(importlib.util.find_spec(name).origin).parents[1]
        for name in ("click", "numpy", "torch", "pandas")
    }
    (packages,) = (home / "venv").glob("lib/python3*/site-packages")
    (packages / "libraries.pth").write_text("\n".join(map(str, sorted(libraries))))
    return python.parent


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """A folder that is not the checkout."""
    return {"cwd": tmp_path_factory.mktemp("outside")}


# -- one version


def test_one_version_everywhere(built):
    assert Version(cp.__version__).release >= (0, 1, 0)
    assert (
        re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
        == cp.__version__
    )
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == cp.__version__
    assert {"cff-version", "message", "title", "authors", "references"} <= set(cited)
    with zipfile.ZipFile(built[1]) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        facts = email.message_from_string(wheel.read(name).decode())
    assert facts["Version"] == cp.__version__
    assert facts["License-Expression"] == "Apache-2.0"
    assert set(PROJECT["optional-dependencies"]) == set(facts.get_all("Provides-Extra"))


# -- what is in the archives


def test_the_wheel_holds_every_module_and_nothing_else(built):
    homes = {
        "causalplug": "causalplug",
        "adapters": "causalplug/adapters",
        "model_cards": "causalplug/model_cards",
    }
    expected = {"causalplug/py.typed"}
    for folder, home in homes.items():
        for path in (ROOT / folder).rglob("*"):
            inner = path.relative_to(ROOT / folder).as_posix()
            linked = folder == "causalplug" and inner.startswith(("adapters/", "model_cards/"))
            kept = path.suffix in (".py", ".json") or (
                folder == "model_cards" and path.suffix == ".md"
            )
            if kept and not linked:
                expected.add(f"{home}/{inner}")
    with zipfile.ZipFile(built[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        texts = [name for name in wheel.namelist() if name.endswith("licenses/LICENSE")]
    assert names == expected
    assert len(texts) == 1


def test_the_sdist_can_be_tested(built):
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CITATION.cff",
        "CONTRIBUTING.md",
        "Makefile",
    }
    wanted |= {
        "constraints.txt",
        "tests/conftest.py",
        "tests/hub_server.py",
        "docs/cli.md",
        "recipes/__init__.py",
    }
    assert wanted <= names
    assert not [name for name in names if name.endswith(".pyc")]


# -- the wheel by itself


def test_the_wheel_is_what_runs(installed, outside):
    script = "import causalplug; print(causalplug.__file__, causalplug.__version__)"
    place, version = run([installed / "python", "-c", script], **outside).split()
    assert Path(place).is_relative_to(installed.parent)
    assert version == cp.__version__


def test_the_command_runs_outside_the_checkout(installed, outside):
    assert "2 modules" in run([installed / "causalplug", "plan", "D -> I -> A; D <-> A"], **outside)
    assert "identifiable" in run(
        [installed / "causalplug", "identify", "D -> I -> A; D <-> A", "P(A | do(D=1))"], **outside
    )
    assert cp.__version__ in run([installed / "python", "-m", "causalplug", "--version"], **outside)


def test_a_model_is_trained_saved_described_and_asked_by_the_wheel(installed, outside):
    home = outside["cwd"]
    (home / "rows.csv").write_text("X,Y\n" + "0,0\n1,1\n0,1\n1,0\n" * 30)
    (home / "run.json").write_text(
        json.dumps(
            {
                "graph": "X -> Y",
                "output_dir": "run",
                "variables": {"X": 2, "Y": 2},
                "sources": [{"file": "rows.csv"}],
                "settings": {"steps": 2, "objective": "likelihood", "tolerance": 0.99},
            }
        )
    )
    code = """
import causalplug as cp
from causalplug.cli import main
assert main(["train", "run.json"]) == 0
model = cp.from_pretrained("run/model")
print(model.estimate("P(Y | do(X=1))", 2000).table["estimate"].sum())
print(len(cp.list_adapters()))
"""
    *printed, total, adapters = run([installed / "python", "-c", code], **outside).splitlines()
    assert any("The model is in run/model" in line for line in printed)
    assert (
        "# model" in (home / "run" / "model" / "README.md").read_text()
    )  # its template is in the wheel
    assert float(total) == pytest.approx(1)
    assert int(adapters) >= 6


# -- bounds


def test_the_lowest_allowed_versions_are_those_that_are_tested():
    wanted = [
        *PROJECT["dependencies"],
        *(r for extra in PROJECT["optional-dependencies"].values() for r in extra),
    ]
    bounds = {}
    for requirement in map(Requirement, wanted):
        for part in requirement.specifier:
            if part.operator == ">=":
                bounds[requirement.name] = Version(part.version)
    tested = {}
    for line in (ROOT / "constraints-lowest.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pinned = Requirement(line)
            tested[pinned.name] = Version(next(iter(pinned.specifier)).version)
    tools = {"ruff", "mypy", "setuptools", "sphinx", "myst-parser", "furo"}
    behind = {"pyparsing"}  # read by pydot, whose own bound is too low for it
    assert {name: bound for name, bound in bounds.items() if name not in tools} == {
        name: version for name, version in tested.items() if name not in behind
    }
