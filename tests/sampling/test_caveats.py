"""What is known to be doubtful travels with the answer, and only with answers that it concerns."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest

import causalplug as cp
from causalplug.caveats import CAVEATS, unique_caveats
from causalplug.errors import RepositoryError
from causalplug.model.caveats import known_caveats
from tests.sampling.exact import as_dcm
from tests.scm import random_scm

CHAIN = "Z -> X -> Y"


def _module(name: str, converged: bool | None) -> dict[str, Any]:
    distance = {"target": f"P({name})", "rows": 500, "tvd": 0.2, "floor": 0.02}
    found = {"variables": name.split("+"), "objective": "likelihood"}
    return {**found, "distances": [distance], "converged": converged}


def _model(*modules: dict[str, Any], text: str = CHAIN, **history: Any) -> cp.DCM:
    graph = cp.CausalGraph.parse(text)
    dcm = as_dcm(random_scm(graph, cardinalities=2, seed=1))
    dcm.sources = (cp.Source(graph.variables),)
    dcm.history = {"modules": list(modules), **history}
    return dcm


def names(answer: Any) -> list[str]:
    return [caveat.name for caveat in answer.warnings]


def test_a_module_that_did_not_converge_is_named_in_every_form_of_the_answer() -> None:
    dcm = _model(_module("X", False), _module("Y", True))
    answer = dcm.estimate("P(Y | Z=1)", n=50)
    assert names(answer) == ["not converged"]
    (caveat,) = answer.warnings
    assert caveat.subject == "X"
    assert caveat.figures["tvd"] == 0.2
    assert "not converged (X)" in str(answer)
    assert "not converged" in answer._repr_html_()
    assert json.loads(json.dumps(answer.to_dict()))["warnings"][0]["name"] == "not converged"
    frame = dcm.sample(20, given={"Z": 1}, variables=["Y"])
    assert [item["name"] for item in frame.attrs["warnings"]] == ["not converged"]
    seen = dcm.counterfactual(20, evidence={"Z": 1}, do={"Z": 0}, variables=["Y"])
    assert [item["name"] for item in seen.attrs["warnings"]] == ["not converged"]


def test_an_intervention_takes_the_caveat_of_what_it_replaces_away() -> None:
    dcm = _model(_module("X", False))
    assert names(dcm.estimate("P(Y | do(X=1))", n=50)) == []
    assert names(dcm.estimate("P(Z)", n=50)) == []
    assert names(dcm.estimate("P(Y_{X=1} | X=0)", n=50)) == ["not converged"]
    assert dcm.sample(20, do={"X": 1}).attrs["warnings"] == []


def test_a_good_model_has_no_caveats() -> None:
    dcm = _model(_module("X", True), _module("Y", None), fits=[])
    assert dcm.estimate("P(Y)", n=50).warnings == ()
    assert "warning" not in str(dcm.estimate("P(Y)", n=50))


def test_an_unfit_generator_and_what_training_noted() -> None:
    noted = cp.Caveat("atoms", "Z", "0 is the value of 40 % of the rows.", {"share": 0.4}, ("Z",))
    fit = {"name": "Y", "verdict": "unfit", "reasons": ["it draws another class"]}
    dcm = _model(fits=[fit], warnings=[noted.to_dict()])
    assert names(dcm.estimate("P(Y)", n=20)) == ["unfit generator", "atoms"]
    assert dcm.estimate("P(Z)", n=20).warnings == (noted,)
    assert len(known_caveats(dcm)) == 2


def test_what_is_not_determined_is_marked_as_such() -> None:
    dcm = _model(text="X -> Y; X <-> Y")
    answer = dcm.estimate("P(Y | do(X=1))", n=20, allow_unidentified=True)
    assert names(answer) == ["unidentified"]
    assert "X <-> Y and X -> Y" in answer.warnings[0].text
    frame = dcm.sample(20, do={"X": 1}, variables=["Y"], allow_unidentified=True)
    assert frame.attrs["warnings"][0]["name"] == "unidentified"


def test_curves_and_ensembles_join_the_caveats_of_their_parts() -> None:
    first, second = _model(_module("X", False)), _model(_module("X", True))
    joined = cp.Ensemble([first, second]).estimate("P(Y | Z=1)", n=50)
    assert names(joined) == ["not converged"]
    curve = first.curve("Y", "Z", [0, 1], n=50)
    assert [item["name"] for item in curve.attrs["warnings"]] == ["not converged"]
    stacked = cp.Ensemble([second, first]).sample(10, variables=["Y"])
    assert [item["name"] for item in stacked.attrs["warnings"]] == ["not converged"]


def test_a_saved_model_brings_its_caveats_and_its_card_has_them(tmp_path: Any) -> None:
    noted = cp.Caveat(
        "weak overlap", "do(X=1)", "Half of the rows have no support.", {"share": 0.5}
    )
    graph = cp.CausalGraph.parse(CHAIN)
    dcm = cp.DCM(graph, dict.fromkeys(graph.variables, cp.Discrete(2)))
    dcm.sources = (cp.Source(graph.variables),)
    dcm.history = {"modules": [_module("X", False)], "warnings": [noted.to_dict()]}
    dcm.save_pretrained(tmp_path / "model")
    again = cp.from_pretrained(tmp_path / "model")
    assert names(again.estimate("P(Y)", n=20)) == ["not converged", "weak overlap"]
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "Half of the rows have no support." in card
    assert "not converged" in card


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "unheard of", "subject": "X", "text": "…"},
        {"name": "atoms", "subject": 3, "text": "…"},
        {"name": "atoms", "subject": "X", "text": "…", "figures": {"share": "much"}},
        {"name": "atoms", "subject": "X", "text": "…", "variables": "X"},
        {},
    ],
)
def test_a_caveat_that_cannot_be_read_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RepositoryError, match="not a caveat"):
        cp.Caveat.from_dict(wrong)


def test_a_caveat_is_a_value() -> None:
    caveat = cp.Caveat("atoms", "Z", "Many zeros.", {"share": 0.4}, ["Z"])
    assert caveat == cp.Caveat.from_dict(json.loads(json.dumps(caveat.to_dict())))
    assert copy.deepcopy(caveat) == caveat
    assert pickle.loads(pickle.dumps(caveat)) == caveat
    assert unique_caveats([caveat, caveat]) == (caveat,)
    assert all(text.endswith(".") for text in CAVEATS.values())
    with pytest.raises(ValueError, match="not the name of a caveat"):
        cp.Caveat("something", "Z", "…")


def test_overlap_of_the_rows_that_are_given_is_a_caveat_of_the_answer() -> None:
    rng = np.random.default_rng(0)
    z = rng.integers(2, size=600)
    rows = {"Z": z, "X": z * rng.integers(2, size=600), "Y": rng.integers(2, size=600)}
    dcm = _model(text="Z -> X, Y; X -> Y")
    answer = dcm.estimate("P(Y | do(X=1))", n=50, data=rows)
    assert names(answer) == ["weak overlap"]
    assert answer.warnings[0].figures["share"] == pytest.approx(0.5, abs=0.1)
    assert dcm.estimate("P(Y | do(X=0))", n=50, data=rows).warnings == ()


@pytest.mark.parametrize(
    ("seen", "subjects"),
    [
        (25.0, ["Z=25"]),
        (cp.Interval(4.0, 30.0), ["Z=4"]),
        (cp.Interval(-30.0, -5.0), ["Z=-5"]),
        (cp.Interval(-30.0, 30.0), []),
        (0.5, []),
    ],
)
def test_what_was_seen_beyond_the_rows_is_named(seen: Any, subjects: list[str]) -> None:
    graph = cp.CausalGraph.parse("Z -> Y")
    dcm = cp.DCM(graph, {"Z": cp.Continuous(), "Y": cp.Continuous()})
    dcm.sources = (cp.Source(graph.variables),)
    dcm.history = {"ranges": {"Z": [-3.0, -2.5, 2.5, 3.0]}}
    rows = dcm.sample(given={"Z": seen}, n=2, min_acceptance=1e-12, variables=["Y"])
    assert [w["subject"] for w in rows.attrs["warnings"]] == subjects
