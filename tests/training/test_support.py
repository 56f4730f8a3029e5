"""A trained model remembers where its rows lack support, also when it is pulled without them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalplug as cp
from causalplug.caveats import Caveat
from causalplug.checks.records import OverlapRecord, RangeRecord
from causalplug.errors import RepositoryError
from causalplug.model.caveats import caveats_of

GRAPH = cp.CausalGraph.parse("X -> T, Y; F -> Y; T -> Y; X -> S; S -> Y")
VARIABLES = {
    "X": cp.Continuous(),
    "T": cp.Discrete(["no", "yes"]),
    "F": cp.Discrete(2),
    "S": cp.Discrete(2),
    "Y": cp.Continuous(),
}


def _rows(n: int = 1500) -> pd.DataFrame:
    """Nobody below zero has T; S is a lot that leans on X; F is a lot."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    t = (x > 0) & (rng.random(n) < 0.3)
    s = (rng.random(n) < 1 / (1 + np.exp(-0.5 * x))).astype(int)
    f = rng.integers(2, size=n)
    y = x + t + s + f + rng.normal(size=n)
    return pd.DataFrame({"X": x, "T": np.where(t, "yes", "no"), "F": f, "S": s, "Y": y})


@pytest.fixture(scope="module")
def trained() -> tuple[cp.DCM, cp.TrainingReport]:
    dcm = cp.DCM(GRAPH, VARIABLES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # twenty steps are few
        report = cp.fit(dcm, cp.DataSource(_rows()), steps=20, progress=False)
    return dcm, report


def _doubts(dcm: cp.DCM, query: str) -> list[Caveat]:
    found = caveats_of(dcm, [cp.Query.parse(query)])
    return [c for c in found if c.name in ("weak overlap", "extrapolation")]


def test_training_records_where_interventions_lack_support(
    trained: tuple[cp.DCM, cp.TrainingReport],
) -> None:
    _, report = trained
    weak = {(r.variable, r.value): r for r in report.overlap if r.of}
    assert list(weak) == [("T", "yes")]
    assert weak["T", "yes"].of == ("Y",)
    assert weak["T", "yes"].share == pytest.approx(0.5, abs=0.1)
    assert {r.variable for r in report.overlap} == {"T", "S"}
    assert set(report.ranges) == {"X", "Y"}
    assert report.ranges["X"].low == pytest.approx(_rows()["X"].min(), abs=0.5)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("E[Y | do(T=yes)]", ["weak overlap"]),
        ("E[Y_{T=yes} | T=no]", ["weak overlap"]),
        ("ATE(Y, T=yes vs no)", ["weak overlap"]),
        ("E[Y | do(T=no)]", []),
        ("E[Y | do(S=1)]", []),
        ("E[Y | do(F=1)]", []),
        ("P(S | do(T=yes))", []),
        ("E[Y | do(X=20)]", ["extrapolation"]),
        ("E[Y | do(X=1)]", []),
        ("E[Y | X=-20]", ["extrapolation"]),
    ],
)
def test_an_answer_carries_what_concerns_it(
    trained: tuple[cp.DCM, cp.TrainingReport], query: str, expected: list[str], tmp_path: Path
) -> None:
    dcm, _ = trained
    assert [c.name for c in _doubts(dcm, query)] == expected
    dcm.save_pretrained(tmp_path / "model")
    assert _doubts(cp.from_pretrained(tmp_path / "model"), query) == _doubts(dcm, query)


def test_it_stands_on_the_answer_and_on_the_card(
    trained: tuple[cp.DCM, cp.TrainingReport], tmp_path: Path
) -> None:
    dcm, _ = trained
    frame = dcm.sample(10, do={"T": "yes"}, variables=["Y"])
    assert "weak overlap" in [w["name"] for w in frame.attrs["warnings"]]
    both = dcm.sample(10, do={"T": {"yes": 0.5, "no": 0.5}}, variables=["Y"])
    assert "weak overlap" in [w["name"] for w in both.attrs["warnings"]]
    dcm.save_pretrained(tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "do(T=yes)" in card


def test_it_can_be_left_out() -> None:
    dcm = cp.DCM(GRAPH, VARIABLES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = cp.fit(
            dcm, cp.DataSource(_rows(200)), steps=2, check_overlap=False, progress=False
        )
    assert report.overlap == ()
    assert "overlap" not in report.seconds


def test_a_history_that_was_tampered_with_is_refused(
    trained: tuple[cp.DCM, cp.TrainingReport], tmp_path: Path
) -> None:
    dcm, _ = trained
    for number, (key, value) in enumerate(
        [
            ("overlap", 3),
            ("overlap", [{"variable": "T"}]),
            ("overlap", [{**dcm.history["overlap"][0], "share": "much"}]),
            ("overlap", [{**dcm.history["overlap"][0], "value": None}]),
            ("ranges", []),
            ("ranges", {"X": [0, 1]}),
            ("ranges", {"X": ["a", "b", "c", "d"]}),
            ("warnings", [{"name": "unheard of"}]),
        ]
    ):
        folder = dcm.save_pretrained(tmp_path / f"model-{number}")
        path = Path(folder) / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["history"][key] = value
        path.write_text(json.dumps(config), encoding="utf-8")
        with pytest.raises(RepositoryError):
            cp.from_pretrained(folder)


def test_records_are_values() -> None:
    record = OverlapRecord("T", 1.5, ("Y",), 0.25, 0.01, "On a quarter of the rows …")
    assert OverlapRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    limits = RangeRecord(-1.0, 2.0, -0.5, 1.5)
    assert RangeRecord.from_list(json.loads(json.dumps(limits.to_list()))) == limits


def test_a_category_that_no_row_has_is_named_by_the_answers_that_need_it(tmp_path):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"T": rng.integers(2, size=400), "Y": rng.integers(2, size=400)})
    dcm = cp.DCM(cp.CausalGraph.parse("T -> Y"), {"T": cp.Discrete(3), "Y": cp.Discrete(2)})
    cp.fit(dcm, rows, objective="likelihood", steps=5, progress=False, seed=0)
    dcm.save_pretrained(tmp_path / "m")
    for model in (dcm, cp.from_pretrained(tmp_path / "m")):
        answers = [model.estimate(f"P(Y=1 | do(T={t}))", n=500) for t in (1, 2)]
        told = [" ".join(caveat.text for caveat in answer.warnings) for answer in answers]
        assert ["No row" in text for text in told] == [False, True]
        assert "has T=2" in told[1]


def test_beyond_the_work_that_is_allowed_an_answer_says_that_it_was_not_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("causalplug.training.support._WORK", 1)
    monkeypatch.setattr("causalplug.training.support._WORK_EACH", 0)
    dcm = cp.DCM(GRAPH, VARIABLES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = cp.fit(dcm, cp.DataSource(_rows(300)), steps=2, progress=False)
    assert {r.variable for r in report.overlap if not r.checked} == {"T", "S"}
    found = caveats_of(dcm, [cp.Query.parse("E[Y | do(T=yes)]")])
    (told,) = [c for c in found if c.name == "not checked" and c.subject == "do(T)"]
    assert "check_overlap" in told.text
    assert not [c for c in found if c.name == "weak overlap"]


def test_the_record_of_a_continuous_front_door_takes_few_trees(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ratios are shared by interventions: x' meets the mediator alike, whatever is set."""
    from causalplug.checks import density_ratio

    asked = []
    ratio = density_ratio.event_ratio
    monkeypatch.setattr(
        density_ratio, "event_ratio", lambda *a, **k: (asked.append(k["trees"]), ratio(*a, **k))[1]
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    m = x + rng.normal(size=500)
    rows = pd.DataFrame({"X": x, "M": m, "Y": m + x})
    dcm = cp.DCM(
        cp.CausalGraph.parse("X -> M -> Y; X <-> Y"), dict.fromkeys("XMY", cp.Continuous())
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = cp.fit(dcm, rows, steps=2, progress=False)
    assert all(record.checked for record in report.overlap)
    assert len(report.overlap) == 10
    assert len(asked) <= 40


@pytest.mark.parametrize(
    "change", [{"later": 1}, {"of": "Y"}, {"share": True}, {"text": None}, {"checked": 1}]
)
def test_records_of_overlap_that_are_none_are_refused(change):
    record = OverlapRecord("X", 1).to_dict()
    with pytest.raises(RepositoryError, match="record of overlap that is none"):
        OverlapRecord.from_dict(record | change)


@pytest.mark.parametrize("data", [None, [1], "X"])
def test_what_is_no_record_of_overlap_is_refused(data):
    with pytest.raises(RepositoryError, match="record of overlap that is none"):
        OverlapRecord.from_dict(data)
