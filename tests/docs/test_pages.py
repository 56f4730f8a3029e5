"""All code on the pages of the documentation runs, says what the page says, and the site builds
without a warning.

Blocks of Python are run in the order of the page, in an empty folder, with the names that
``scopes.py`` has for the page; blocks with ``>>>`` are compared with what they print.
"""

from __future__ import annotations

import doctest
import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import causalplug
from causalplug.errors import ConvergenceWarning

sys.path.insert(0, str(Path(__file__).parent))
from scopes import SCOPES

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def run_page(name: str, scope: dict[str, Any]) -> dict[str, Any]:
    """Run the blocks of a page; the line numbers of an error are those of the page."""
    text = (DOCS / name).read_text(encoding="utf-8")
    setups = SCOPES.get(name, {})
    blocks = [match for match in BLOCK.finditer(text) if not match[1].lstrip().startswith(">>>")]
    for number, match in enumerate(blocks):
        if number in setups:
            scope = setups[number]()
        scope.setdefault("__name__", "page")
        before = text[: match.start(1)].count("\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # examples train for a moment
            warnings.filterwarnings(
                "ignore", "Use 'content=", DeprecationWarning
            )  # how the Hub's client uses its own
            exec(compile("\n" * before + match[1], str(DOCS / name), "exec"), scope)
    return scope


@pytest.mark.parametrize("name", PAGES)
def test_the_code_of_a_page_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scope = run_page(name, {})
    if name == "start.md":
        assert abs(scope["answer"].at(cancer="yes") - 0.57) < 0.03
        assert abs(scope["answer"].at(cancer="yes") - 0.69) > 0.08
        assert scope["report"].converged
        assert "NotIdentifiableError" in scope
        assert (
            scope["again"].estimate("P(cancer | do(smoking=yes))", n=1000).status == "identifiable"
        )
    if name == "walkthrough.md":
        assert abs(scope["ring"].value - 0.67) < 0.04
        assert abs(scope["cross"].value - 0.43) < 0.04
        assert scope["ring"].status == "identifiable"
        assert scope["cross"].overlap.status == "good"
        original, loaded = (
            scope[which].sample(200, do={"die": "cross"}, seed=3) for which in ("dcm", "again")
        )
        assert original["grade"].equals(loaded["grade"])
        assert scope["again"].mechanism("photo").origin.repo_id == "alice/stamped-shapes"
    if name == "tutorial_table.md":
        assert scope["effect"].table["low"].item() < 0.2 < scope["effect"].table["high"].item()
        assert abs(scope["naive"] - 0.2) > 0.1
    if name == "tutorial_experiments.md":
        assert abs(scope["drug"].value - 0.12) < 0.04
        assert abs(scope["marker"].value - 0.30) < 0.04
    if name == "howto.md":
        assert Path("plan.png").stat().st_size > 0


@pytest.mark.parametrize(
    "name", [name for name in PAGES if ">>> " in (DOCS / name).read_text(encoding="utf-8")]
)
def test_what_a_page_shows_is_what_is_printed(name: str) -> None:
    result = doctest.testfile(
        str(DOCS / name), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert result.attempted > 0
    assert result.failed == 0


def modules_with_examples() -> list[str]:
    home = Path(causalplug.__file__).parent
    found = [module.name for module in pkgutil.walk_packages([str(home)], "causalplug.")]
    origins = {name: importlib.util.find_spec(name) for name in found}
    texts = {
        name: Path(spec.origin).read_text("utf-8")
        for name, spec in origins.items()
        if spec and spec.origin
    }
    return [name for name, text in texts.items() if re.search(r">>> (?!.*\+SKIP)", text)]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_in_docstrings(name: str) -> None:
    result = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert result.attempted > 0
    assert result.failed == 0


def test_every_drawing_is_there_and_used() -> None:
    spec = importlib.util.spec_from_file_location("draw", DOCS / "drawings" / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    used = {
        name
        for page in PAGES
        for name in re.findall(r"\(drawings/([\w.-]+)\)", (DOCS / page).read_text("utf-8"))
    }
    files = {path.name for path in (DOCS / "drawings").iterdir() if path.suffix in (".svg", ".png")}
    assert used <= files == set(draw.DRAWINGS)
    for name in (
        "front-door.svg",
        "may-not-be-pulled.svg",
        "hedge.svg",
        "overlap.svg",
        "interventions.png",
    ):
        assert draw.DRAWINGS[name]().axes


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip(
        "furo", reason="the documentation's tools are not installed: pip install causalplug[docs]"
    )
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-d",
        str(tmp_path / "trees"),
    ]
    done = subprocess.run(
        [*command, str(DOCS), str(tmp_path / "site")],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "reference" / "models.html").read_text(encoding="utf-8").count(
        "causalplug.DCM"
    ) > 20
