"""Influence functions against closed forms: the efficient standard errors of exact models."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.identification.query import Query
from causalplug.sampling.terms import compile_query
from causalplug.training.learner import trainable
from causalplug.uncertainty.enumerated import enumerated_gradient
from causalplug.uncertainty.gradient import NoGradient, answer_gradient
from causalplug.uncertainty.influence import influence_of
from causalplug.uncertainty.intervals import with_intervals
from causalplug.uncertainty.numbers import AnswerNumbers
from causalplug.uncertainty.samples import Sample
from causalplug.uncertainty.scores import Factor, Scores, log_factors, rows_to_read
from tests.scm import random_scm

FRONT_DOOR = cp.CausalGraph.parse("X -> Z -> Y; X <-> Y")
NAPKIN = cp.CausalGraph.parse("W -> R -> X -> Y; W <-> X; W <-> Y")


def _fitted(graph: cp.CausalGraph, rows: int = 4000, seed: int = 3) -> tuple:
    scm = random_scm(graph, 2, seed=seed, floor=0.3)
    dcm = cp.DCM(graph, {name: cp.Discrete(2) for name in graph.variables})
    data = scm.sample(rows, seed=1)
    cp.fit(dcm, data, steps=150, held_out=0.0, check_fit=False, progress=False)
    return scm, dcm, data


@pytest.fixture(scope="module")
def front_door() -> tuple:
    return _fitted(FRONT_DOOR)


@pytest.fixture(scope="module")
def napkin() -> tuple:
    return _fitted(NAPKIN)


def _front_door(p: np.ndarray, x: int) -> float:
    """P(Y=1 | do(X=x)) from P(X, Z, Y)."""
    of_z = p[x].sum(1) / p[x].sum()
    of_x = p.sum((1, 2)) / p.sum()
    return float(
        sum(of_z[z] * sum(p[w, z, 1] / p[w, z].sum() * of_x[w] for w in (0, 1)) for z in (0, 1))
    )


def _napkin(p: np.ndarray, x: int) -> float:
    """P(Y=1 | do(X=x)) from P(W, R, X, Y), at R = 0 and R = 1 alike."""
    of_w = p.sum((1, 2, 3)) / p.sum()
    joint = sum(of_w[w] * p[w, 0, x] / p[w, 0].sum() for w in (0, 1))
    return float(joint[1] / joint.sum())


def _efficient(formula: Callable[[np.ndarray], float], p: np.ndarray, rows: int) -> float:
    """Standard error of a formula's value at the frequencies of ``rows`` rows, by the delta
    method."""
    slopes = np.zeros_like(p)
    for cell in np.ndindex(p.shape):
        moved = p.copy()
        moved[cell] += 1e-6
        slopes[cell] = (formula(moved) - formula(p)) / 1e-6
    centred = slopes - (slopes * p).sum()
    return float(np.sqrt((centred**2 * p).sum() / rows))


def test_the_front_door_has_the_standard_error_of_its_formula(front_door: tuple) -> None:
    scm, dcm, _ = front_door
    p = scm.joint({}, ["X", "Z", "Y"])
    table = dcm.estimate("P(Y=1 | do(X))").table
    for x in (0, 1):
        exact = _efficient(lambda q, x=x: _front_door(q, x), p, 4000)
        sampling = table["monte_carlo_error"][x]
        found = np.sqrt(table["standard_error"][x] ** 2 - sampling**2)
        assert found == pytest.approx(exact, rel=0.1)
    effect = dcm.estimate("ATE(Y, X)")
    exact = _efficient(lambda q: _front_door(q, 1) - _front_door(q, 0), p, 4000)
    assert effect.standard_error == pytest.approx(exact, rel=0.15)
    assert "4,000 rows" in effect.interval
    assert "4,000 rows" in str(effect)


def test_the_napkin_knows_more_than_one_plug_in_formula(napkin: tuple) -> None:
    """The formula may be read at every value of R, so that either alone is less efficient."""
    scm, dcm, _ = napkin
    p = scm.joint({}, ["W", "R", "X", "Y"])
    exact = _efficient(lambda q: _napkin(q, 1), p, 4000)
    found = dcm.estimate("P(Y=1 | do(X=1))").standard_error
    assert 0.4 * exact < found < 1.1 * exact


def test_a_pulled_model_has_the_intervals_of_one_with_rows(front_door: tuple, tmp_path) -> None:
    _, dcm, data = front_door
    dcm.save_pretrained(tmp_path)
    pulled = cp.from_pretrained(str(tmp_path)).estimate("ATE(Y, X)")
    with_rows = dcm.estimate("ATE(Y, X)", data=data)
    assert pulled.standard_error == pytest.approx(with_rows.standard_error, rel=0.1)
    assert pulled.table["low"].item() < pulled.value < pulled.table["high"].item()


def test_the_one_step_correction_leaves_the_formula(front_door: tuple) -> None:
    _, dcm, data = front_door
    p = np.zeros((2, 2, 2))
    np.add.at(p, (data["X"], data["Z"], data["Y"]), 1 / 4000)
    formula = _front_door(p, 1) - _front_door(p, 0)
    corrected = dcm.estimate("ATE(Y, X)", data=data, one_step=True, n=400_000).value
    assert corrected == pytest.approx(formula, abs=1.5e-3)


@pytest.mark.parametrize(
    "text",
    [
        "P(Y=1 | do(X=1))",
        "E[Y | do(X=1)] - E[Y | do(X=0)]",
        "P(Y=1 | do(X=0), Z=1)",
        "P(Y_{X=1}=1 | X=0)",
        "P(Y_{X=1}=1, Y_{X=0}=0)",
        "P(Y_{X=1}=1 | X=0, Y=0)",
    ],
)
def test_gradients_are_those_of_finite_differences(front_door: tuple, text: str) -> None:
    """Along a random direction, on the same noise: an answer by counting jumps, so that the
    step is wide and the rows are many."""
    _, dcm, _ = front_door
    numbers = AnswerNumbers(dcm, compile_query(dcm, Query.parse(text)))
    parameters = {name: trainable(dcm.mechanism(name)) for name in dcm.graph.variables}
    found = answer_gradient(dcm, numbers, parameters, rows=60_000)
    exact = enumerated_gradient(dcm, numbers, parameters)
    generator = torch.Generator().manual_seed(0)
    way = {
        n: [torch.randn(p.shape, generator=generator) for p in ps] for n, ps in parameters.items()
    }
    step, slope = 0.02, 0.0
    for sign in (1, -1):
        with torch.no_grad():
            for name, own in parameters.items():
                for parameter, along in zip(own, way[name], strict=True):
                    parameter.add_(along, alpha=sign * step)
            value = dcm.estimate(text, n=100_000, allow_unidentified=True, interval="none").value
            for name, own in parameters.items():
                for parameter, along in zip(own, way[name], strict=True):
                    parameter.sub_(along, alpha=sign * step)
        slope += sign * value / (2 * step)
    along = {name: torch.cat([a.flatten() for a in way[name]]).double() for name in way}
    slopes = [sum(float(g[name][0] @ along[name]) for name in way) for g in (found, exact) if g]
    assert slopes == pytest.approx([slope] * len(slopes), abs=0.03 + 0.05 * abs(slope))
    assert (exact is None) == (text.count("_{") + text.count(", Y=0") > 1)


def test_clusters_widen_the_interval(front_door: tuple) -> None:
    _, dcm, data = front_door
    numbers = AnswerNumbers(dcm, compile_query(dcm, Query.parse("P(Y=1)")))
    rows = {name: torch.as_tensor(np.repeat(value, 5)) for name, value in data.items()}
    sample = Sample(dcm.sources[0], rows, len(rows["X"]), True)
    found = influence_of(dcm, numbers, [sample], dcm.graph.variables)
    clusters = torch.arange(4000).repeat_interleave(5)
    assert float(found.clustered([clusters]) / found.variance) == pytest.approx(5, rel=0.05)


def test_no_rows_no_interval_and_the_way_to_get_one() -> None:
    dcm = cp.DCM(FRONT_DOOR, {name: cp.Discrete(2) for name in FRONT_DOOR.variables})
    answer = dcm.estimate("P(Y=1 | do(X=1))", n=500)
    assert np.isnan(answer.table[["low", "high"]].to_numpy()).all()
    assert answer.monte_carlo_error > 0
    assert "Monte-Carlo error alone" in answer.interval
    assert "cp.fit" in answer.interval


def test_a_level_is_a_probability(front_door: tuple) -> None:
    _, dcm, _ = front_door
    narrow, wide = (dcm.estimate("P(Y=1 | do(X=1))", n=2000, level=level) for level in (0.5, 0.99))
    width = [float((a.table["high"] - a.table["low"]).item()) for a in (narrow, wide)]
    assert width[1] / width[0] == pytest.approx(2.5758 / 0.6745, rel=1e-3)
    with pytest.raises(cp.errors.QueryError, match="level=95"):
        dcm.estimate("P(Y=1 | do(X=1))", level=95)


def test_what_data_do_not_determine_has_no_interval(front_door: tuple) -> None:
    _, dcm, _ = front_door
    answer = dcm.estimate("PNS(Y, X)", n=2000, allow_unidentified=True)
    assert np.isnan(answer.table["low"]).all()
    assert "bounds" in answer.interval


def test_a_history_that_does_not_fit_gives_no_interval(front_door: tuple) -> None:
    _, dcm, _ = front_door
    good = dcm.history
    try:
        for bad in (None, [], [{}], [{"rows": -1, "set": {}}], [{"rows": 10, "set": {"X": []}}], 7):
            dcm.history = {**good, "sources": bad}
            answer = dcm.estimate("P(Y=1 | do(X=1))", n=500)
            assert np.isnan(answer.standard_error), bad
            assert "give data=" in answer.interval
    finally:
        dcm.history = good


def test_data_that_are_not_all_of_the_tables_give_no_interval(front_door: tuple) -> None:
    _, dcm, data = front_door
    two = [cp.DataSource(data), cp.DataSource(data, do=("X",))]
    answer = with_intervals(dcm, dcm.estimate("P(Y=1)", n=500), "P(Y=1)", data=two)
    assert "data= has 2 tables" in answer.interval


def test_a_history_that_does_not_say_how_modules_were_trained_gives_no_interval(
    front_door: tuple,
) -> None:
    _, dcm, _ = front_door
    good = dcm.history
    try:
        for bad in (None, 3, [3], [{"variables": ["X"], "converged": True}]):
            query = cp.Query.parse("P(Y=1 | do(X=1))")
            dcm.history = good
            answer = dcm.estimate(query, n=500, interval="none")
            dcm.history = {**good, "modules": bad}
            found = with_intervals(dcm, answer, query)
            assert np.isnan(found.standard_error), bad
            assert "does not know how" in found.interval
    finally:
        dcm.history = good


def _confounded_numbers() -> tuple[cp.DCM, dict]:
    graph = cp.CausalGraph.parse("T -> Y; T <-> Y")
    torch.manual_seed(0)
    dcm = cp.DCM(graph, {"T": cp.Continuous(), "Y": cp.Continuous()})
    rng = np.random.default_rng(0)
    t = rng.normal(size=60)
    data = {"T": t, "Y": t + rng.normal(size=60)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cp.fit(dcm, data, steps=2, objective="likelihood", check_fit=False, progress=False)
    return dcm, {name: torch.tensor(column, dtype=torch.float32) for name, column in data.items()}


def test_scores_of_rows_with_numbers_are_those_of_one_row_at_a_time() -> None:
    dcm, rows = _confounded_numbers()
    factor = Factor.of(dcm, ["T", "Y"], rows, 60)
    parameters = [p for name in ("T", "Y") for p in trainable(dcm.mechanism(name))]
    scores = []
    for one in factor.split(1):
        for parameter in parameters:
            parameter.requires_grad_(True)
        (value,) = log_factors(dcm, one, 0)
        parts = torch.autograd.grad(value, parameters, allow_unused=True)
        pairs = zip(parts, parameters, strict=True)
        flat = [torch.zeros_like(p) if g is None else g for g, p in pairs]
        scores.append(torch.cat([g.flatten() for g in flat]).double())
    matrix = torch.stack(scores)
    gradients = torch.randn(1, matrix.shape[1], dtype=torch.float64)
    variances = []
    for parameter in parameters:
        inputs = parameter.shape[1] if parameter.ndim > 1 else 1
        variances += [8.0 / inputs] * parameter.numel()
    variance = torch.tensor(variances, dtype=torch.float64)
    fisher = (matrix * variance) @ matrix.T + torch.eye(60, dtype=torch.float64)
    expected = torch.linalg.solve(fisher, matrix @ (gradients * variance).T)
    found = Scores(dcm, [factor], parameters).influence(gradients)
    assert torch.allclose(found, expected, rtol=1e-2, atol=1e-3 * float(expected.abs().max()))


def test_rows_that_are_read_become_fewer_and_then_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    dcm, rows = _confounded_numbers()
    many = {name: value.repeat(10) for name, value in rows.items()}
    factor = Factor.of(dcm, ["T", "Y"], many, 600)
    parameters = [p for name in ("T", "Y") for p in trainable(dcm.mechanism(name))]
    size = sum(parameter.numel() for parameter in parameters)
    (whole,) = rows_to_read(dcm, [factor], parameters)
    monkeypatch.setattr("causalplug.uncertainty.scores._MEMORY", 200 * size)
    (some,) = rows_to_read(dcm, [factor], parameters)
    assert whole == 400
    assert some == pytest.approx(200, abs=1)
    monkeypatch.setattr("causalplug.uncertainty.scores._MEMORY", 20 * size)
    with pytest.raises(NoGradient, match="parameters"):
        rows_to_read(dcm, [factor], parameters)


def test_intervals_of_risk_and_odds_ratios_are_symmetric_in_the_logarithm(
    front_door: tuple,
) -> None:
    _, dcm, _ = front_door
    for text in ("RR(Y, X)", "OR(Y, X)"):
        answer = dcm.estimate(text, n=2000, level=0.999999)
        (row,) = answer.table.to_dict("records")
        assert 0 < row["low"] < row["estimate"] < row["high"]
        assert row["low"] * row["high"] == pytest.approx(row["estimate"] ** 2)
        wide = np.log(row["high"] / row["estimate"]) * row["estimate"]
        assert wide == pytest.approx(4.8916 * row["standard_error"], rel=1e-3)
    other = dcm.estimate("1 - RR(Y, X)", n=2000).table.iloc[0]
    middle = (other["low"] + other["high"]) / 2
    assert middle == pytest.approx(other["estimate"])
