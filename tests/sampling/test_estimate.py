"""Estimates: numbers, their errors, contrasts, curves, ensembles, and how they print."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from causalplug.checks.overlap import check_overlap
from causalplug.data.source import DataSource
from causalplug.dcm import DCM
from causalplug.ensemble import Ensemble
from causalplug.errors import (
    DataError,
    MechanismError,
    QueryError,
    QuerySyntaxError,
    SamplingError,
    UnknownVariableError,
)
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.identification.query import Query
from causalplug.sampling.compare import plug_in
from causalplug.sampling.moments import Contribution, Moments
from causalplug.variables import Continuous, Discrete, Image
from tests.sampling.exact import as_dcm
from tests.sampling.toys import Linear, Stamp
from tests.scm import random_scm

N = 20_000
NAMES = {"X": ["no", "yes"], "Y": ["low", "mid", "high"]}


@pytest.fixture(scope="module")
def model() -> tuple:
    """Z -> X -> Y, X <-> Y; X and Y have names, Z has numbers."""
    scm = random_scm(
        CausalGraph.parse("Z -> X -> Y; X <-> Y"), cardinalities={"Z": 2, "X": 2, "Y": 3}, seed=21
    )
    return scm, as_dcm(scm, names=NAMES)


def _far(answer: object, truth: float) -> float:
    return abs(answer.value - truth) / answer.monte_carlo_error  # type: ignore[attr-defined]


# -- numbers and their errors


def test_names_are_understood_and_given_back(model: tuple) -> None:
    scm, dcm = model
    answer = dcm.estimate('P(Y | do(X="yes"), Z=1)', n=N)
    truth = scm.probability("P(Y | do(X=1), Z=1)")
    assert answer.table["Y"].tolist() == NAMES["Y"]
    for name, exact in zip(NAMES["Y"], truth, strict=True):
        assert abs(answer.at(Y=name) - exact) <= 4 * np.sqrt(exact * (1 - exact) / N)
    assert answer.table["estimate"].sum() == pytest.approx(1)
    assert answer.n == N
    assert answer.acceptance_rate == pytest.approx(scm.joint(keep=["Z"])[1], abs=0.02)
    assert dcm.estimate("P(Z=1)", n=N).value == dcm.estimate('P(Z="1")', n=N).value


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("P(Y=high | do(X=yes)) - P(Y=high | do(X=no))", "P(Y=2 | do(X=1)) - P(Y=2 | do(X=0))"),
        ("P(Y=low | X=yes) - P(Y=low | X=no)", "P(Y=0 | X=1) - P(Y=0 | X=0)"),
        ("P(Y=low | Z=1) - P(Y=low | do(X=no), Z=1)", "P(Y=0 | Z=1) - P(Y=0 | do(X=0), Z=1)"),
        ("2 * P(Y=mid | X=yes) - 0.5 * P(Z=1, Y=low)", "2 * P(Y=1 | X=1) - 0.5 * P(Z=1, Y=0)"),
        ("P(Y_{X=yes}=low | X=no) - P(Y=low | X=no)", "P(Y_{X=1}=0 | X=0) - P(Y=0 | X=0)"),
        ("ATE(Y=high, X=yes vs no)", "P(Y=2 | do(X=1)) - P(Y=2 | do(X=0))"),
        ("ETT(Y=high, X=yes vs no)", "P(Y_{X=1}=2 | X=1) - P(Y_{X=0}=2 | X=1)"),
        ("PNS(Y=high vs low, X=yes vs no)", "PNS(Y=2 vs 0, X=1 vs 0)"),
        ("PN(Y=high vs low, X=yes vs no)", "PN(Y=2 vs 0, X=1 vs 0)"),
        ("PS(Y=high vs low, X=yes vs no)", "PS(Y=2 vs 0, X=1 vs 0)"),
    ],
)
def test_contrasts_and_named_quantities(model: tuple, text: str, exact: str) -> None:
    scm, dcm = model
    answer = dcm.estimate(text, n=N, seed=1)
    assert _far(answer, float(scm.probability(exact))) <= 4


@pytest.mark.parametrize(
    "text",
    [
        "P(Y=high)",
        "P(Y=high | X=yes)",
        "P(Y=high | do(X=yes)) - P(Y=high | do(X=no))",
        "P(Y=low | X=yes) - P(Y=low | Z=1)",
        "E[Z | Y=mid] - E[Z]",
    ],
)
def test_standard_errors_are_those_of_repeated_estimates(model: tuple, text: str) -> None:
    _, dcm = model
    answers = [dcm.estimate(text, n=500, seed=seed) for seed in range(80)]
    spread = np.std([answer.value for answer in answers], ddof=1)
    claimed = np.mean([answer.monte_carlo_error for answer in answers])
    assert claimed == pytest.approx(spread, rel=0.35)


def test_moments_agree_with_the_delta_method_on_rows() -> None:
    """Weighted ratios of two terms, against the influence function written out row by row."""
    rng = np.random.default_rng(0)
    n = 400
    weights = [rng.random(n) * (rng.random(n) < share) for share in (0.5, 0.8)]
    numbers = [rng.normal(size=n), rng.normal(size=n) + weights[0]]
    moments = Moments([1.0, -2.0], 1, 1)
    for part in np.array_split(np.arange(n), 7):
        contributions = []
        for w, x in zip(weights, numbers, strict=True):
            index = np.flatnonzero(w[part] > 0)
            zeros = np.zeros(len(index), np.int64)
            contributions.append(Contribution(index, zeros, zeros, w[part][index], x[part][index]))
        moments.add(contributions)
    ratios = [(w @ x) / w.sum() for w, x in zip(weights, numbers, strict=True)]
    influence = sum(
        c * w * (x - r) / w.sum()
        for c, w, x, r in zip((1, -2), weights, numbers, ratios, strict=True)
    )
    assert moments.estimate.item() == pytest.approx(ratios[0] - 2 * ratios[1])
    assert moments.standard_error.item() == pytest.approx(np.sqrt((influence**2).sum()))
    assert moments.effective.item() == pytest.approx(min(w.sum() ** 2 / (w @ w) for w in weights))


def test_a_count_of_zero_is_not_certainty() -> None:
    zeros = np.zeros(1000, np.int64)
    moments = Moments([1.0], 1, 2)
    moments.add([Contribution(np.arange(1000), zeros, zeros)])
    assert moments.estimate.tolist() == [[1.0, 0.0]]
    assert moments.standard_error[0].tolist() == pytest.approx([7e-4, 7e-4], rel=0.1)


def test_evidence_that_never_occurs_among_open_values_is_nan(model: tuple) -> None:
    scm = random_scm(CausalGraph.parse("X -> Y"), cardinalities=2, seed=0)
    scm.tables["X"][:] = [[1.0, 0.0]]
    answer = as_dcm(scm).estimate("P(Y | X)", n=500)
    rows = answer.table[answer.table["X"] == 1]
    assert rows["estimate"].isna().all()
    assert rows["standard_error"].isna().all()


def test_estimates_do_not_depend_on_the_batch_size(model: tuple) -> None:
    _, dcm = model
    for text in ["P(Y | X=yes)", "P(Y=low | X=yes) - P(Y=low | X=no)", "E[Z | Y=high]"]:
        one = dcm.estimate(text, n=700, seed=4)
        other = dcm.estimate(text, n=700, seed=4, batch_size=37)
        assert one.candidates == other.candidates
        assert one.table["estimate"].tolist() == pytest.approx(
            other.table["estimate"].tolist(), abs=1e-12
        )
        assert one.table["monte_carlo_error"].tolist() == pytest.approx(
            other.table["monte_carlo_error"].tolist(), abs=1e-12
        )


# -- numbers, images, curves


def _continuous() -> DCM:
    graph = CausalGraph.parse("X -> Y; B -> Y")
    mechanisms = {"X": Linear({}), "Y": Linear({"X": 2.0, "B": 3.0})}
    variables = {"X": Continuous(), "B": Discrete(2), "Y": Continuous()}
    return DCM(graph, variables, mechanisms=mechanisms, seed=0)


def test_continuous_outcomes_have_moments_and_quantiles() -> None:
    dcm = _continuous()
    answer = dcm.estimate("P(Y | do(X=1, B=1))", n=N)
    row = answer.table.iloc[0]
    assert abs(row["mean"] - 5) <= 4 * row["mean_mc"]
    assert row["mean_mc"] == pytest.approx(1 / np.sqrt(N), rel=0.05)
    assert row["sd"] == pytest.approx(1, rel=0.03)
    for name, exact in [("q05", 5 - 1.6449), ("q50", 5), ("q95", 5 + 1.6449)]:
        assert abs(row[name] - exact) <= 4 * row[f"{name}_mc"]
    assert row["q50_mc"] == pytest.approx(np.sqrt(np.pi / 2 / N), rel=0.3)
    by_b = dcm.estimate("P(Y, B | do(X=0))", n=N)
    assert len(by_b.table) == 2
    assert by_b.summaries["Y"]["mean"].tolist() == pytest.approx([0, 3], abs=0.1)
    assert "Y" in str(by_b)
    effect = dcm.estimate("E[Y | do(X=1)] - E[Y | do(X=0)]", n=1000)
    assert effect.value == pytest.approx(2, abs=1e-5)
    weighed = dcm.estimate("E[X | Y=3, B=1]", n=N)
    assert _far(weighed, 0.0) <= 4
    assert N <= weighed.table["effective_sample_size"].item() < 1.1 * N


def test_curves_over_a_number() -> None:
    dcm = _continuous()
    frame = dcm.curve("Y", "X", [0.0, 0.5, 1.0], n=2000)
    assert frame["X"].tolist() == [0, 0.5, 1]
    assert np.diff(frame["estimate"]) == pytest.approx([1, 1], abs=1e-4)
    assert frame.attrs["identification"] == "not checked"
    names = dcm.curve("B", "X", [0.0, 1.0], n=500)
    assert set(names["X"]) == {0.0, 1.0}
    with pytest.raises(QueryError, match="at least one"):
        dcm.curve("Y", "X", [])


def test_images_are_shown_and_no_more_than_asked_for() -> None:
    graph = CausalGraph.parse("D -> I -> A; D <-> A")
    variables = {"D": Discrete(2), "I": Image(1, 4, 4, low=-8, high=8), "A": Discrete(2)}
    stamp = Stamp("D")
    dcm = DCM(graph, variables, mechanisms={"I": stamp}, seed=0)
    answer = dcm.estimate("P(I, D)", n=5000, pictures=10)
    assert stamp.rows == 10
    assert answer.pictures["I"].shape == (10, 1, 4, 4)
    assert answer.grid().size == (8 * 5, 2 * 5)
    assert len(answer.table) == 2
    only = dcm.estimate("P(I | do(D=1))", n=100)
    assert np.allclose(only.pictures["I"][:, 0, :, :2], 1)
    assert "estimate" not in only.table
    with pytest.raises(QueryError, match="is an image"):
        dcm.estimate("E[I]")


# -- effects and ensembles


def test_average_effects(model: tuple) -> None:
    scm, dcm = model
    answer = dcm.ate("Y", "X", value="high", n=N)
    truth = scm.probability("P(Y=2 | do(X=1)) - P(Y=2 | do(X=0))")
    assert _far(answer, float(truth)) <= 4
    assert answer.query == "ATE(Y=high, X=yes vs no)"
    back = dcm.ate("Y", "X", value="high", treated="no", control="yes", n=N)
    assert back.value == pytest.approx(-answer.value)
    assert dcm.ate("X", "Z", n=N).query == "ATE(X=yes, Z=1 vs 0)"
    assert (
        _far(dcm.ate("X", "Z", n=N), float(scm.probability("P(X=1 | do(Z=1)) - P(X=1 | do(Z=0))")))
        <= 4
    )
    within = dcm.ate("Y", "X", value="low", given={"Z": 1}, n=N)
    assert (
        _far(within, float(scm.probability("P(Y=0 | do(X=1), Z=1) - P(Y=0 | do(X=0), Z=1)"))) <= 4
    )
    with pytest.raises(QueryError, match="value='high'"):
        dcm.ate("Y", "X")
    with pytest.raises(QueryError, match="treated= and control="):
        dcm.ate("X", "Y")
    with pytest.raises(UnknownVariableError):
        dcm.ate("Y", "Q")


def test_an_ensemble_shows_what_its_members_disagree_on() -> None:
    graph = CausalGraph.parse("X -> Y; X <-> Y")
    variables = {"X": Discrete(2), "Y": Discrete(2)}
    members = [DCM(graph, variables, seed=seed) for seed in range(3)]
    ensemble = Ensemble(members)
    answer = ensemble.estimate("P(Y=1 | do(X=1))", n=4000, seed=2)
    single = [
        member.estimate("P(Y=1 | do(X=1))", n=4000, seed=2 + k).value
        for k, member in enumerate(members)
    ]
    row = answer.table.iloc[0]
    assert answer.value == pytest.approx(np.mean(single))
    assert row["disagreement"] == pytest.approx(np.std(single, ddof=1))
    assert np.isnan([row["low"], row["high"], answer.standard_error]).all()
    assert "or on how many rows" in answer.interval
    assert answer.members.iloc[0].tolist() == pytest.approx(single)
    assert answer.n == 12_000
    assert ensemble.ate("Y", "X", n=500).table["disagreement"].item() > 0
    assert len(ensemble.curve("Y", "X", [0, 1], n=500)) == 2
    frame = ensemble.sample(5, do={"X": 1}, variables=["Y"])
    assert frame.index.names == ["member", "row"]
    assert frame.loc[1]["Y"].tolist() == members[1].sample(5, do={"X": 1}, seed=1)["Y"].tolist()
    assert len(ensemble.counterfactual(4, evidence={"X": 1}, do={"X": 0})) == 12
    assert (len(ensemble), ensemble[0], list(ensemble)) == (3, members[0], members)
    with pytest.raises(MechanismError, match="at least two"):
        Ensemble(members[:1])
    with pytest.raises(MechanismError, match="0 and 1"):
        Ensemble([members[0], DCM(CausalGraph.parse("X -> Y"), variables)])


def test_an_interval_covers_a_further_training() -> None:
    """Members whose answers are draws from a normal: the interval holds the next draw 95 times
    in 100."""
    rng = np.random.default_rng(1)
    covered = []
    graph, variables = CausalGraph.parse("X"), {"X": Discrete(2)}
    scm = random_scm(graph, cardinalities=2, seed=0)
    dcm = as_dcm(scm)
    answer = dcm.estimate("P(X=1)", n=100)
    ensemble = Ensemble([dcm, DCM(graph, variables), DCM(graph, variables), DCM(graph, variables)])
    for _ in range(200):
        draws = rng.normal(0.4, 0.05, size=5)
        members = [_replaced(answer, draw) for draw in draws[:4]]
        row = ensemble._joined(members, 0.95, 0.0).table.iloc[0]
        covered.append(row["low"] <= draws[4] <= row["high"])
    assert np.mean(covered) == pytest.approx(0.95, abs=0.05)


def _replaced(answer: object, value: float) -> object:
    from dataclasses import replace

    return replace(answer, table=answer.table.assign(estimate=value))  # type: ignore[attr-defined, type-var]


# -- the classical answer beside the model's


def test_the_identified_formula_on_rows_agrees_with_a_right_model() -> None:
    graph = CausalGraph.parse("D -> M -> A; D <-> A")
    scm = random_scm(graph, cardinalities={"D": 2, "M": 2, "A": 3}, seed=2)
    dcm = as_dcm(scm, names={"A": ["r", "g", "b"]})
    dcm.sources = (Source(graph.variables),)
    rows = dcm.sample(60_000, seed=9)
    for text in (
        "P(A | do(D=1))",
        "P(A | do(D))",
        "P(A_{D=1} | D=0)",
        "E[M | do(D=1)] - E[M | do(D=0)]",
    ):
        answer = dcm.estimate(text, n=60_000)
        beside = plug_in(dcm, answer.identification, answer.table, rows)
        assert beside == pytest.approx(answer.table["estimate"].tolist(), abs=0.02)
    with pytest.raises(QueryError, match="plug-in"):
        dcm.estimate("P(A)", n=10, compare="plug-in")
    with pytest.raises(QueryError, match="'plug-in'"):
        dcm.estimate("P(A)", n=10, compare="other", data=rows)
    with pytest.raises(QueryError, match="no identified formula"):
        plug_in(dcm, None, answer.table, rows)


def test_data_of_several_sources_are_one_table_for_each() -> None:
    """The bow: an experiment on X identifies P(Y | do(X)), and the formula is its share of rows."""
    graph = CausalGraph.parse("X -> Y; X <-> Y")
    scm = random_scm(graph, cardinalities=2, seed=4)
    dcm = as_dcm(scm)
    dcm.sources = (
        Source(graph.variables, name="seen"),
        Source(graph.variables, do=["X"], name="done"),
    )
    done = {"X": np.arange(20_000) % 2}
    done["Y"] = np.where(done["X"], *(scm.sample(20_000, do={"X": x}, seed=x)["Y"] for x in (1, 0)))
    answer = dcm.estimate(
        "P(Y=1 | do(X=1))", n=20_000, data=[scm.sample(20_000), done], compare="plug-in"
    )
    assert answer.overlap.status == "good"
    assert answer.table["plug_in"].item() == pytest.approx(
        done["Y"][done["X"] == 1].mean(), abs=1e-9
    )
    with pytest.raises(DataError, match="1 tables for the sources"):
        dcm.estimate("P(Y=1 | do(X=1))", n=10, data=done)


# -- how it prints, and what is refused


def test_answers_print_and_can_be_stored(model: tuple) -> None:
    _, dcm = model
    answer = dcm.estimate("P(Y | do(X=yes))", n=300)
    text, html = str(answer), answer._repr_html_()
    for part in ("P(Y | do(X=yes))", "standard_error", "high", "300 rows", "not checked"):
        assert part in text
        assert part in html
    assert "e+" not in str(dcm.estimate("P(Z=1)", n=20_000)).partition("rows")[0]
    stored = json.loads(json.dumps(answer.to_dict()))
    assert [row["Y"] for row in stored["table"]] == NAMES["Y"]
    assert float(dcm.estimate("P(Z=1)", n=300)) == dcm.estimate("P(Z=1)", n=300).value
    with pytest.raises(QueryError, match="3 numbers"):
        _ = answer.value
    with pytest.raises(QueryError, match="not open"):
        answer.at(Z=1)
    with pytest.raises(QueryError, match="0 rows"):
        answer.at(Y="huge")
    with pytest.raises(QueryError, match="no image"):
        answer.grid()


BAD = [
    ("P(Y | do(X=yes)", QuerySyntaxError, "character"),
    ("P(Q)", UnknownVariableError, "'Q'"),
    ("P(Y=huge)", DataError, "outside its categories"),
    ("P(Y | X=yes, X=no)", QueryError, "two values"),
    ("P(Y | do(X=yes), X=yes)", QueryError, "same world"),
    ("E[Y]", QueryError, "names, not numbers"),
    ("P(Y) - P(Y)", QueryError, "cancel"),
    ("P(Y) - P(X)", QueryError, "different variables open"),
    (Query("Y"), None, ""),
    (7, QueryError, "a Query"),
]


@pytest.mark.parametrize(("query", "error", "message"), BAD)
def test_bad_questions_are_refused(
    model: tuple, query: object, error: type[Exception] | None, message: str
) -> None:
    _, dcm = model
    if error is None:
        assert len(dcm.estimate(query, n=10).table) == 3
        return
    with pytest.raises(error, match=message):
        dcm.estimate(query, n=10)


def test_numbers_at_every_value_are_refused() -> None:
    dcm = _continuous()
    for text, message in [
        ("P(B | do(X))", "infinitely many"),
        ("P(B | Y)", "not discrete"),
        ("P(Y=1)", "not discrete"),
        ("P(Y | B=1) - P(Y)", "not discrete"),
    ]:
        with pytest.raises(QueryError, match=message):
            dcm.estimate(text, n=10)
    with pytest.raises(SamplingError, match="at least 1"):
        dcm.estimate("P(B)", n=0)


def test_overlap_is_checked_on_a_data_source_as_on_its_table(model: tuple) -> None:
    scm, dcm = model
    text = "P(Y | do(X=yes), Z=1)"
    variables = dcm.variables
    table = {
        name: variables[name].decode(torch.from_numpy(v))
        for name, v in scm.sample(500, seed=0).items()
    }
    plain, held = (dcm.estimate(text, n=50, data=d).overlap for d in (table, DataSource(table)))
    assert plain is not None
    assert str(plain) == str(held)
    with pytest.raises(DataError, match="DataSource: give a DataFrame"):
        check_overlap(dcm.graph, text, DataSource(table))


@pytest.mark.parametrize("query", ["ATE(Y=yes, X)", "PN(Y, X)", "RR(Y=yes, X)", "ETT(Y=yes, X)"])
def test_a_quantity_of_named_levels_asks_which_two_are_meant(query):
    levels = {"X": Discrete(["f", "m"]), "Y": Discrete(["no", "yes"])}
    dcm = DCM(CausalGraph.parse("X -> Y"), levels)
    with pytest.raises(QueryError, match=r"X at 1 and at 0.*as in X=m vs f"):
        dcm.estimate(query, n=50)
    with pytest.raises(DataError, match="outside its categories: 'q'"):
        dcm.estimate("ATE(Y=yes, X=q vs f)", n=50)
