"""The notebooks of the documentation are its pages, were run without an error, and show figures."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SPEC = importlib.util.spec_from_file_location("make_notebooks", DOCS / "notebooks" / "make.py")
make = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make)


def read(name):
    return json.loads((DOCS / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))


def without_outputs(cells):
    return [
        {k: v for k, v in cell.items() if k not in ("outputs", "execution_count")} for cell in cells
    ]


@pytest.mark.parametrize("name", make.PAGES)
def test_a_notebook_is_its_page_and_was_run(name):
    found = read(name)
    assert without_outputs(found["cells"]) == without_outputs(make.notebook(name)["cells"])
    code = [cell for cell in found["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert outputs
    assert not [output for output in outputs if output["output_type"] == "error"]
    errors = [output for output in outputs if output.get("name") == "stderr"]
    assert not [output for output in errors if "Traceback" in "".join(output["text"])]
    assert "site-packages" not in json.dumps(found)


def test_a_notebook_shows_figures():
    shown = [
        kind
        for cell in read("tutorial_table")["cells"]
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
    ]
    assert "image/png" in shown
    assert "image/svg+xml" in shown


SHOWN = """
import causalplug as cp
from causalplug.notebook import bar_type
figure = cp.plots.plot_curve({"truth": ([0, 1], [0.1, 0.4])})
figure
"""
BAR = "for _ in bar_type()(range(3), desc='steps'): pass"


def test_a_figure_and_a_bar_show_in_a_fresh_kernel(monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    client = pytest.importorskip("nbclient", reason="nbclient is not installed")
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(t) for t in (SHOWN, BAR)])
    client.NotebookClient(made, timeout=120).execute()
    (output,) = made.cells[0].outputs
    assert "image/png" in output["data"]
    assert "steps: 100%" in "".join(part["text"] for part in made.cells[1].outputs)


def test_bars_need_no_widgets(monkeypatch):
    from causalplug.notebook import bar_type

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "ipywidgets" else find(n, *a)
    )
    assert bar_type().__module__ == "tqdm.std"
    assert "ipywidgets" not in sys.modules


def test_a_figure_is_its_own_picture():
    from causalplug import plots

    assert plots.plot_curve({"truth": ([0, 1], [0, 1])})._repr_png_().startswith(b"\x89PNG")
