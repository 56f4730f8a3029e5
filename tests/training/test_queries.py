"""Training for certain questions only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalplug as cp
from causalplug.errors import PlanError, QueryError, SamplingError, TrainingError

GRAPH = cp.CausalGraph.parse("X -> M -> Y; X -> W -> V; H -> V; H <-> V")
SOURCE = cp.Source(["X", "M", "Y", "W"])

pytestmark = pytest.mark.filterwarnings("ignore::causalplug.errors.ConvergenceWarning")


def rows() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 2, 400)
    m = (x + (generator.random(400) < 0.2)) % 2
    y = (m + (generator.random(400) < 0.3)) % 2
    return pd.DataFrame({"X": x, "M": m, "Y": y, "W": x})


def model() -> cp.DCM:
    return cp.DCM(GRAPH, dict.fromkeys(GRAPH.variables, cp.Discrete(2)))


def test_a_plan_that_must_refuse_says_what_it_could_serve() -> None:
    with pytest.raises(PlanError, match="Questions about X, M, Y, W alone can still be served"):
        cp.plan(GRAPH, SOURCE)
    made = cp.plan(GRAPH, SOURCE, only=["Y"])
    assert [module.variables for module in made.modules] == [("Y",)]
    made = cp.plan(GRAPH, SOURCE, only=cp.Query.parse("P(Y | do(X=1))").reads(GRAPH))
    assert {name for module in made.modules for name in module.variables} == {"M", "Y"}
    with pytest.raises(PlanError, match="no module of V"):
        made.explain("V")
    with pytest.raises(PlanError, match="cannot be trained"):
        cp.plan(GRAPH, SOURCE, only=["V"])


def test_only_what_the_questions_read_is_trained(tmp_path: Path) -> None:
    dcm = model()
    report = cp.fit(
        dcm, cp.DataSource(rows()), queries=["P(Y | do(X=1))", "ATE(Y, X)"], steps=300,
        objective="likelihood", progress=False,
    )  # fmt: skip
    assert sorted(name for module in report.modules for name in module.variables) == ["M", "Y"]
    dcm.save_pretrained(tmp_path / "model")
    for asked in (dcm, cp.from_pretrained(tmp_path / "model")):
        assert 0.4 < asked.estimate("ATE(Y, X)", n=5000).value + 0.2 < 0.9
        with pytest.raises(SamplingError, match="it reads W, V, H"):
            asked.estimate("P(V | do(X=1))")
        with pytest.raises(SamplingError, match="trained for other questions"):
            asked.sample(10)
        assert len(asked.sample(10, do={"X": 1}, variables=["Y"])) == 10


def test_a_recorded_treatment_is_trained_for_the_doubly_robust_effect() -> None:
    generator = np.random.default_rng(0)
    a = generator.normal(size=400)
    x = (generator.random(400) < 1 / (1 + np.exp(-a))).astype(int)
    table = pd.DataFrame({"A": a, "X": x, "Y": a + x + generator.normal(size=400)})
    table["W"] = table["Y"] + generator.normal(size=400)
    kinds = {name: cp.Discrete(2) if name == "X" else cp.Continuous() for name in table}
    dcm = cp.DCM(cp.CausalGraph.parse("A -> X; A -> Y; X -> Y -> W"), kinds)
    settings = {"steps": 60, "check_graph": False, "check_overlap": False}
    report = cp.fit(dcm, table, queries="ATE(Y, X)", progress=False, **settings)
    assert sorted(name for module in report.modules for name in module.variables) == list("AXY")
    answer = dcm.estimate("ATE(Y, X)", n=2000, data=table)
    assert "doubly robust" in answer.interval
    assert abs(answer.value - 1) < 3 * answer.standard_error


def test_questions_are_checked_before_training() -> None:
    for queries, error, why in (
        ([], TrainingError, "at least one"),
        ([3], TrainingError, "no question"),
        (["P(Y"], QueryError, "cannot be read"),
        (["P(Q)"], cp.UnknownVariableError, "'Q' is not a variable"),
    ):
        with pytest.raises(error, match=why):
            cp.fit(model(), cp.DataSource(rows()), queries=queries, progress=False)


def test_what_a_question_reads() -> None:
    def reads(text: str) -> set[str]:
        return set(cp.Query.parse(text).reads(GRAPH))

    assert reads("P(Y | do(M=1))") == {"Y"}
    assert reads("P(Y_{M=1} | X=0)") == {"Y", "X"}
    assert reads("P(Y_{X=1, M_{X=0}})") == {"Y", "M"}
    assert reads("P(V>0)") == {"X", "W", "V", "H"}
