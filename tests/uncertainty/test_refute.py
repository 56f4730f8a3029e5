"""An effect that is there survives; a query that no placebo makes 0 is refused."""

import numpy as np
import pandas as pd
import pytest

import causalplug as cp
from causalplug.errors import QueryError


def test_an_effect_survives_what_should_not_change_it():
    random = np.random.default_rng(0)
    z = random.integers(0, 2, 2000)
    x = (random.random(2000) < 0.3 + 0.4 * z).astype(int)
    y = (random.random(2000) < 0.1 + 0.3 * x + 0.3 * z).astype(int)
    rows = pd.DataFrame({"Z": z, "X": x, "Y": y})
    graph = cp.CausalGraph.parse("Z -> X -> Y; Z -> Y")
    dcm = cp.DCM(graph, {name: cp.Discrete(2) for name in "ZXY"})
    cp.fit(dcm, rows, steps=200, objective="likelihood", progress=False)
    before = {key: value.clone() for key, value in dcm.trained_tensors().items()}
    report = dcm.refute("ATE(Y, X)", rows, n=20_000, steps=200)
    assert report, str(report)
    table = report.table.set_index("check")
    assert abs(table.loc["placebo treatment", "estimate"]) < 0.1
    assert abs(table.loc["as it is", "estimate"] - 0.3) < 0.1
    assert abs(table.loc["random common cause", "estimate"] - 0.3) < 0.1
    assert all((dcm.trained_tensors()[key] == value).all() for key, value in before.items())
    with pytest.raises(QueryError, match="placebo"):
        dcm.refute("P(Y=1 | do(X=1))", rows)
