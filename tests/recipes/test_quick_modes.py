"""Every recipe's quick mode within the bounds of its ``expected.json``, and a model that can be
loaded afterwards.

Recipes whose ``expected.json`` says ``"suite": false`` take longer: they run here with
``CAUSALPLUG_EXHAUSTIVE=1``, and in ``make recipes``.
"""

import importlib
import json
import os
import warnings

import pytest

import causalplug as cp
from causalplug.errors import ConvergenceWarning, FitWarning
from recipes.common import HOME, recipes, violations

EXHAUSTIVE = os.environ.get("CAUSALPLUG_EXHAUSTIVE") == "1"


@pytest.mark.parametrize("name", recipes())
def test_quick_mode(name, tmp_path):
    expected = json.loads((HOME / name / "expected.json").read_text())
    if not (expected["suite"] or EXHAUSTIVE):
        pytest.skip("takes more than some seconds: make recipes, or CAUSALPLUG_EXHAUSTIVE=1")
    main = importlib.import_module(f"recipes.{name}.run").main
    with warnings.catch_warnings():
        for category in (
            ConvergenceWarning,
            FitWarning,
        ):  # a quick mode is for looking; the bounds are below
            warnings.simplefilter("ignore", category)
        result = main(["--quick", "--output-dir", str(tmp_path)])
    assert violations(name, json.loads(json.dumps(result))) == []
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(json.dumps(result))
    assert {path.name for path in tmp_path.iterdir()} >= set(expected.get("files", []))
    models = [path for path in tmp_path.glob("dcm*") if path.is_dir()]
    assert models, "every recipe saves its model"
    for folder in models:
        assert isinstance(cp.from_pretrained(folder), cp.DCM)


@pytest.mark.parametrize("name", recipes())
def test_shape(name):
    """What a reader finds in every folder."""
    folder = HOME / name
    readme = (folder / "README.md").read_text()
    assert "```mermaid" in readme, "the graph, drawn"
    assert "**Question.**" in readme
    assert f"python -m recipes.{name}.run" in readme
    assert "## Measured" in readme
    config = json.loads((folder / "config.json").read_text())
    assert {"full", "quick"} <= set(config)
    expected = json.loads((folder / "expected.json").read_text())
    assert expected["quick"]
    assert expected["full"]
    assert len((folder / "run.py").read_text().splitlines()) <= 240
