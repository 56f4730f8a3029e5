"""Any variable name works: in a model, its training, its files and the questions asked of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch import nn

import causalplug as cp
from causalplug.graphs.text import quoted
from tests.attack.mutations import EXHAUSTIVE

NAMES = ["type", "training", "_modules", "__class__", "a.b/c", 'x "y", z', "größe 年龄"]
MORE = [
    *("to", "items", "values", "update", "pop", "keys", "train", "eval", "forward", "parameters"),
    *(
        "class",
        "lambda",
        "None",
        "True",
        "do",
        "P",
        "E",
        "vs",
        "weight",
        "bias",
        "source",
        "target",
    ),
    *("0", "1.5", "-1", "*", "$m", "|", "'", "\\", "a=b", "a\nb", "#", "..", "con", "x" * 300),
    *sorted(set(dir(nn.ModuleDict()))),
]


@pytest.mark.filterwarnings("ignore::causalplug.errors.ConvergenceWarning")
@pytest.mark.parametrize("name", NAMES + (MORE if EXHAUSTIVE else []))
def test_a_model_of_a_variable_of_any_name(name: str, tmp_path: Path) -> None:
    graph = cp.CausalGraph.from_edges([(name, "Y"), (name, "N")], [("N", "Y")])
    variables = {name: cp.Discrete(["a", "b"]), "Y": cp.Discrete(2), "N": cp.Continuous()}
    dcm = cp.DCM(graph, variables)
    numbers = np.random.default_rng(0).normal(size=100)
    rows = pd.DataFrame({name: ["a", "b"] * 50, "Y": [0, 1] * 50, "N": numbers})
    cp.fit(dcm, cp.DataSource(rows), objective="likelihood", steps=2, progress=False)
    dcm.save_pretrained(tmp_path / "model")
    again = cp.from_pretrained(tmp_path / "model")
    drawn = again.sample(20, do={name: "b"}, seed=0)
    assert list(drawn.columns) == [name, "Y", "N"]
    pd.testing.assert_frame_equal(drawn, dcm.sample(20, do={name: "b"}, seed=0), check_exact=True)
    found = again.estimate(f"P(Y=1 | do({quoted(name)}=a))", n=200)
    assert found.table.shape[0] == 1
    assert len(again.counterfactual(3, evidence={name: "a"}, do={name: "b"}, seed=0)) == 3
    assert again.module("N+Y") is not None
    assert cp.CausalGraph.parse(str(graph)) == graph
    assert cp.CausalGraph.parse(graph.to_dot(), "dot") == graph
