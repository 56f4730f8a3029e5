"""The adapter of CONTRIBUTING.md is what it says: 30 lines that pass the suite for adapters."""

import importlib.util
import inspect
import re
import sys
from pathlib import Path

import pytest

from causalplug.mechanisms.base import MECHANISMS
from causalplug.testing import MechanismTester

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
ADAPTER, SUITE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CHECKS = [name for name in dir(MechanismTester) if name.startswith("test_")]


@pytest.fixture(scope="module")
def tester(tmp_path_factory):
    """The suite of the page, over the adapter of the page."""
    folder = tmp_path_factory.mktemp("contributed")
    (folder / "toy_gan.py").write_text(ADAPTER)
    (folder / "test_toy_gan.py").write_text(SUITE)
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location("test_toy_gan", folder / "test_toy_gan.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module.TestToyGAN
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("toy_gan", None)
        MECHANISMS._classes.pop("toy-gan", None)


def test_it_has_some_thirty_lines():
    assert len(ADAPTER.strip().splitlines()) <= 33
    assert len(CHECKS) >= 15


@pytest.mark.parametrize("check", CHECKS)
def test_it_passes_the_suite(tester, check, tmp_path):
    method = getattr(tester(), check)
    method(**({"tmp_path": tmp_path} if "tmp_path" in inspect.signature(method).parameters else {}))


def test_the_files_to_open_for_a_change_are_there_and_at_most_three():
    page = Path(__file__).parents[1] / "CONTRIBUTING.md"
    part = page.read_text(encoding="utf-8").split("## Where to change what")[1].split("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in part.splitlines() if line.startswith("| ")][1:]
    changes = {row[0].strip(): re.findall(r"`([\w/]+\.py)`", row[1]) for row in rows}
    changes = {name: files for name, files in changes.items() if files}
    assert len(changes) >= 7
    for name, files in changes.items():
        assert 1 <= len(files) <= 3, name
        for file in files:
            assert (page.parent / file).is_file(), f"{name}: {file}"
