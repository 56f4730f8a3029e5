"""Layer 3: abduction, action, prediction; several worlds; rows of data with numbers and images
in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from causalplug.dcm import DCM
from causalplug.errors import (
    DataError,
    MechanismError,
    QueryError,
    SamplingError,
    UnknownVariableError,
)
from causalplug.graphs.graph import CausalGraph
from causalplug.mechanisms.trainable.table import DiscreteTable
from causalplug.noise import Noise
from causalplug.sampling.condition import Evidence
from causalplug.variables import Continuous, Discrete, Image
from tests.sampling.exact import as_dcm
from tests.sampling.toys import Linear, Stamp
from tests.scm import random_scm

N = 20_000


def _near(found: np.ndarray, truth: np.ndarray, n: int) -> bool:
    return bool(np.all(np.abs(found - truth) <= 4 * np.sqrt(truth * (1 - truth) / n) + 1e-9))


@pytest.fixture(scope="module")
def pair() -> tuple:
    """X -> M -> Y, X -> Y, X <-> Y: an exact SCM and the same as a DCM."""
    scm = random_scm(CausalGraph.parse("X -> M -> Y; X -> Y; X <-> Y"), cardinalities=2, seed=11)
    return scm, as_dcm(scm)


# -- worlds


def test_several_worlds_are_joint(pair: tuple) -> None:
    scm, dcm = pair
    worlds = {"treated": {"X": 1}, "untreated": {"X": 0}}
    frame = dcm.counterfactual(N, evidence={"M": 1}, worlds=worlds, variables=["Y"], factual=True)
    assert list(frame.columns) == [("factual", "Y"), ("treated", "Y"), ("untreated", "Y")]
    code = frame["factual", "Y"] * 4 + frame["treated", "Y"] * 2 + frame["untreated", "Y"]
    truth = scm.probability("P(Y, Y_{X=1}, Y_{X=0} | M=1)").ravel()
    assert _near(np.bincount(code, minlength=8) / N, truth, N)


def test_evidence_in_intervened_worlds(pair: tuple) -> None:
    scm, dcm = pair
    evidence = [{"X": 1}, Evidence({"Y": 1}, do={"X": 0}), Evidence({"M": 0}, do={"X": 0})]
    frame = dcm.counterfactual(N, evidence=evidence, do={"M": 1}, variables=["Y"])
    truth = scm.probability("P(Y_{M=1} | X=1, Y_{X=0}=1, M_{X=0}=0)")
    assert _near(np.bincount(frame["Y"], minlength=2) / N, truth, N)
    joined = dcm.counterfactual(
        500, evidence=[{"X": 1}, {"M": [0, 1]}, {"M": 0}], do={"X": 0}, seed=3
    )
    assert joined.equals(dcm.counterfactual(500, evidence={"X": 1, "M": 0}, do={"X": 0}, seed=3))


def test_what_the_intervention_does_not_reach_stays_as_it_was(pair: tuple) -> None:
    _, dcm = pair
    frame = dcm.counterfactual(2000, evidence={"X": 1, "Y": 0}, do={"M": 1}, factual=True)
    assert (frame["counterfactual", "X"] == frame["factual", "X"]).all()
    same = frame["factual", "M"] == 1
    assert 0.05 < same.mean() < 0.95
    assert (frame["counterfactual", "Y"] == frame["factual", "Y"])[same].all()


@pytest.mark.parametrize("batch_size", [10, 333])
def test_rows_do_not_depend_on_the_batch_size(pair: tuple, batch_size: int) -> None:
    _, dcm = pair
    options = {"evidence": {"X": 1, "Y": 0}, "do": {"X": 0}, "seed": 8}
    whole = dcm.counterfactual(1000, **options)
    assert dcm.counterfactual(300, batch_size=batch_size, **options).equals(whole.head(300))


# -- the noise


def test_noise_is_kept_saved_and_replayed(pair: tuple, tmp_path: Path) -> None:
    _, dcm = pair
    noise = dcm.abduct(1000, evidence={"X": 1, "Y": 0}, seed=8)
    noise.save(tmp_path / "noise.safetensors")
    assert (tmp_path / "noise.safetensors").stat().st_size < 10_000
    again = Noise.load(tmp_path / "noise.safetensors")
    frame = dcm.replay(again, do={"X": 0}, batch_size=77)
    assert frame.equals(dcm.counterfactual(1000, evidence={"X": 1, "Y": 0}, do={"X": 0}, seed=8))
    assert (dcm.replay(noise)["X"] == 1).all()
    assert frame.attrs["identification"] == "not checked"
    values = dcm(again, {"X": torch.zeros(1000, dtype=torch.int64)})
    assert values["Y"].tolist() == frame["Y"].tolist()
    by_place = dcm.replay(noise, do={"X": np.arange(1000) % 2}, batch_size=77)
    assert by_place["X"].tolist() == (np.arange(1000) % 2).tolist()


# -- numbers


def _linear(loading: float = 0.0) -> DCM:
    """X ~ N(0,1), Y = 2 X + loading U + N(0,1), Z = Y + X + N(0,1); X = loading U + N(0,1) if
    there is a loading."""
    graph = CausalGraph.parse("X -> Y -> Z; X -> Z" + ("; X <-> Y" if loading else ""))
    return DCM(
        graph,
        {name: Continuous() for name in "XYZ"},
        mechanisms={
            "X": Linear({}, loading=loading),
            "Y": Linear({"X": 2.0}, loading=loading),
            "Z": Linear({"Y": 1.0, "X": 1.0}),
        },
        confounder_size=1,
    )


def test_numbers_of_a_row_are_recovered_exactly() -> None:
    dcm = _linear()
    rows = pd.DataFrame({"X": [0.0, 1.0, -1.0], "Y": [1.0, 2.0, 0.5], "Z": [0.0, 3.0, 1.0]})
    frame = dcm.counterfactual(rows, do={"X": 2.0})
    own_y, own_z = rows["Y"] - 2 * rows["X"], rows["Z"] - rows["Y"] - rows["X"]
    y = 4 + own_y
    assert frame["Y"].to_numpy() == pytest.approx(y.to_numpy(), abs=1e-5)
    assert frame["Z"].to_numpy() == pytest.approx((y + 2 + own_z).to_numpy(), abs=1e-5)
    assert max(frame.attrs["reconstruction_error"].values()) < 1e-6
    one = dcm.counterfactual(dict(rows.iloc[1]), do={"X": 2.0})
    assert one.iloc[0].tolist() == pytest.approx(frame.iloc[1].tolist(), abs=1e-6)
    kept = dcm.counterfactual(rows, do={"Y": 7.0})
    assert kept["X"].tolist() == rows["X"].tolist()
    repeated = dcm.counterfactual(rows, do={"X": np.array([0.0, 1.0, 2.0])}, draws=2)
    assert repeated["X"].tolist() == [0, 0, 1, 1, 2, 2]
    assert repeated["Y"][::2].tolist() == pytest.approx(
        (own_y + 2 * np.array([0, 1, 2])).tolist(), abs=1e-5
    )


def test_a_hidden_confounder_is_weighed_by_the_density() -> None:
    """X = U1 + U2 + e, Y = 2X + U1 + f, W = U2 + 0.1 g: Y_{X=0} = Y - 2X = 0 exactly, and W
    shows U2 given X=1, Y=2."""
    graph = CausalGraph.parse("X -> Y; X <-> Y; X <-> W")
    mechanisms = {
        "X": Linear({}, loading=1.0),
        "Y": Linear({"X": 2.0}, loading=1.0),
        "W": Linear({}, loading=1.0, scale=0.1),
    }
    dcm = DCM(
        graph, {name: Continuous() for name in "XYW"}, mechanisms=mechanisms, confounder_size=1
    )
    frame = dcm.counterfactual(4000, evidence={"X": 1.0, "Y": 2.0}, do={"X": 0.0})
    assert frame["Y"].to_numpy() == pytest.approx(np.zeros(4000), abs=1e-5)
    covariance = np.array([[1, 1, 0], [1, 3, 1], [0, 1, 2]])  # of U2, X, U1 + f
    known, cross = covariance[1:, 1:], covariance[0, 1:]
    mean = cross @ np.linalg.solve(known, [1.0, 0.0])
    variance = 1 - cross @ np.linalg.solve(known, cross) + 0.01
    assert frame["W"].mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / 4000) + 0.02)
    assert frame["W"].var() == pytest.approx(variance, rel=0.1)
    assert frame.attrs["effective_pool"] > 10


def test_numbers_in_two_worlds_at_once_are_refused() -> None:
    dcm = _linear()
    evidence = [{"X": 1.0}, Evidence({"Y": 2.0}, do={"X": 0.0})]
    with pytest.raises(QueryError, match="two worlds at once"):
        dcm.counterfactual(10, evidence=evidence, do={"X": 2.0})
    frame = dcm.counterfactual(
        2000,
        evidence=[{"X": 1.0}, Evidence({"Y": (0.0, None)}, do={"X": 0.0})],
        do={"X": 2.0},
        variables=["X", "Y"],
    )
    assert (frame["Y"] >= 4).all()


# -- images


def _painted(abduction: str | None, error: float = 0.0) -> DCM:
    graph = CausalGraph.parse("D -> I -> A; D <-> A; D -> B")
    variables = {
        "D": Discrete(2),
        "I": Image(1, 4, 4, low=-8, high=8),
        "A": Discrete(3),
        "B": Discrete(["no", "yes"]),
    }
    return DCM(graph, variables, mechanisms={"I": Stamp("D", abduction, error)}, seed=1)


def test_the_image_of_a_row_is_rendered_under_the_intervention() -> None:
    dcm = _painted("exact")
    rows = dcm.sample(6, given={"D": 0}, seed=4)
    stamp = dcm.mechanism("I")
    frame = dcm.counterfactual(rows, do={"D": 1}, variables=["I", "D"])
    for before, after in zip(rows["I"], frame["I"], strict=True):
        assert np.allclose(after[:, :, :2], 1)
        assert np.array_equal(after[:, :, 2:], before[:, :, 2:])
    assert frame.attrs["reconstruction_error"]["I"] == 0
    stamp.calls = 0
    kept = dcm.counterfactual(rows, do={"B": "yes"}, variables=["I"])
    assert stamp.calls == 0
    assert all(np.array_equal(a, b) for a, b in zip(kept["I"], rows["I"], strict=True))


def test_an_approximate_recovery_reports_its_error() -> None:
    dcm = _painted("approximate", error=0.3)
    row = dcm.sample(1, seed=4).iloc[0]
    frame = dcm.counterfactual(row, do={"D": 1 - row["D"]}, variables=["I"])
    assert frame.attrs["reconstruction_error"]["I"] == pytest.approx(0.3 / np.sqrt(2), rel=1e-5)
    noise = dcm.abduct(row)
    assert np.allclose(
        dcm.replay(noise, variables=["I"])["I"][0][0, :, 2:], row["I"][0, :, 2:] + 0.3, atol=1e-6
    )


def test_an_image_without_a_way_back_is_refused_only_where_it_is_needed() -> None:
    dcm = _painted(None)
    row = dcm.sample(1, seed=4).iloc[0].to_dict()
    with pytest.raises(MechanismError, match=r"'I' cannot be recovered.*declares no abduction"):
        dcm.counterfactual(row, do={"D": 1 - row["D"]}, variables=["I"])
    with pytest.raises(MechanismError, match="'I' cannot be recovered"):
        dcm.counterfactual(row, do={"D": 1 - row["D"]}, variables=["A"])
    frame = dcm.counterfactual(row, do={"D": 1 - row["D"]}, variables=["B"], draws=50)
    assert len(frame) == 50
    with pytest.raises(MechanismError, match="has no density"):
        dcm.counterfactual({"I": row["I"]}, do={"B": "yes"})
    del row["I"]
    drawn = dcm.counterfactual(row, do={"D": 1 - row["D"]}, variables=["I"])
    assert np.allclose(drawn["I"][0][:, :, :2], 1 - row["D"])


def test_the_discrete_values_of_a_row_are_met_by_rejection() -> None:
    scm = random_scm(CausalGraph.parse("X -> Y; X <-> Y"), cardinalities=2, seed=3)
    dcm = as_dcm(scm)
    frame = dcm.counterfactual(
        pd.DataFrame({"X": [0, 1], "Y": [1, 0]}), do={"X": [1, 0]}, draws=8000, variables=["Y"]
    )
    for start, query in [(0, "P(Y_{X=1}=1 | X=0, Y=1)"), (8000, "P(Y_{X=0}=1 | X=1, Y=0)")]:
        truth = scm.probability(query)
        assert _near(np.array(frame["Y"][start : start + 8000].mean()), truth, 8000)


# -- bad input

BAD = [
    ({"n": 0}, SamplingError, "at least 1"),
    ({"n": "ten"}, QueryError, "number of rows"),
    ({"n": {"Q": 1}}, UnknownVariableError, "'Q'"),
    ({"n": {"X": 5}}, DataError, "outside its categories"),
    ({"n": {}}, QueryError, "no columns"),
    ({"n": {"X": [0, 1], "Y": [0]}}, QueryError, "different lengths"),
    ({"draws": 3}, QueryError, "draws=3"),
    ({"evidence": {"X": 7}}, DataError, "outside its categories"),
    ({"evidence": "X=1"}, QueryError, "mapping"),
    ({"evidence": [{"X": 0}, {"X": 1}]}, QueryError, "contradicts itself"),
    ({"evidence": Evidence({"X": 1}, do={"X": 1})}, QueryError, "same world"),
    ({"do": {"X": 1}, "worlds": {"a": {"X": 0}}}, QueryError, "together"),
    ({"worlds": {}}, QueryError, "maps names"),
    ({"do": {"W": 1}}, UnknownVariableError, "'W'"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_input_is_refused(
    pair: tuple, arguments: dict, error: type[Exception], message: str
) -> None:
    _, dcm = pair
    arguments = {"n": 10, **arguments}
    with pytest.raises(error, match=message):
        dcm.counterfactual(arguments.pop("n"), **arguments)


def test_impossible_evidence_ends_in_an_error() -> None:
    graph = CausalGraph.parse("X -> Y")
    table = DiscreteTable(Discrete(2), {"X": Discrete(2)}, [[1.0, 0.0], [0.0, 1.0]])
    dcm = DCM(graph, {"X": Discrete(2), "Y": Discrete(2)}, mechanisms={"Y": table})
    with pytest.raises(SamplingError, match="too rare: 0 of"):
        dcm.counterfactual(10, evidence={"X": 0, "Y": 1}, do={"X": 1}, min_acceptance=0.01)


def test_a_world_cannot_take_the_name_of_the_factual_one() -> None:
    dcm = DCM(CausalGraph.parse("X"), {"X": Discrete(2)})
    with pytest.raises(QueryError, match="cannot be called 'factual'"):
        dcm.counterfactual(3, worlds={"factual": {"X": 0}}, factual=True)
