"""Overlap: empty cells, deterministic relations, and images that give the confounded variable
away."""

from __future__ import annotations

import numpy as np
import pytest

from causalplug.checks.overlap import check_overlap
from causalplug.errors import DataError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from tests.scm import random_scm

FRONT_DOOR = CausalGraph.parse("D -> I -> A; D <-> A")


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's bundled handwritten digits 0 and 1: images (n, 8, 8) in [0, 1], labels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(n_class=2, return_X_y=True)
    return images.reshape(-1, 8, 8) / 16, labels


def _rows(
    digits: tuple[np.ndarray, np.ndarray], noise: float, n: int = 1500
) -> dict[str, np.ndarray]:
    """D confounded with A; I shows D's digit, or the other one with probability ``noise``."""
    images, labels = digits
    rng = np.random.default_rng(5)
    hidden = rng.random(n) < 0.5
    d = np.where(rng.random(n) < 0.2, ~hidden, hidden).astype(int)
    shown = np.where(rng.random(n) < noise, 1 - d, d)
    pool = [np.flatnonzero(labels == digit) for digit in (0, 1)]
    chosen = np.array([rng.choice(pool[digit]) for digit in shown])
    a = (shown + hidden + (rng.random(n) < 0.3)) % 3
    return {"D": d, "I": images[chosen], "A": a}


def _project(images: np.ndarray) -> np.ndarray:
    """A small fixed projection, as an encoder would give."""
    weights = np.random.default_rng(0).normal(size=(64, 12))
    return images.reshape(len(images), -1) @ weights


@pytest.mark.parametrize("query", ["P(A | do(D=1))", "ATE(A, D)"])
def test_an_image_that_always_shows_the_digit_is_flagged(
    digits: tuple[np.ndarray, np.ndarray], query: str
) -> None:
    report = check_overlap(FRONT_DOOR, query, _rows(digits, noise=0.0), {"I": _project})
    assert report.weak
    assert not report
    assert report.status == "no overlap"
    assert report.share > 0.95
    (finding,) = report.findings
    assert finding.variables == ("I", "D")
    assert "I gives D away" in str(report)
    assert report.identification.status == "identifiable"
    assert report.to_dict()["status"] == "no overlap"


def test_an_image_with_noise_is_not_flagged(digits: tuple[np.ndarray, np.ndarray]) -> None:
    rows = _rows(digits, noise=0.25)
    report = check_overlap(FRONT_DOOR, "P(A | do(D=1))", rows, {"I": _project(rows["I"])})
    assert report.status == "good"
    assert report
    assert report.share < 0.02


def test_half_way(digits: tuple[np.ndarray, np.ndarray]) -> None:
    """Only digit 0 has pictures of its own; the rest show either digit."""
    rows = _rows(digits, noise=0.5)
    images, labels = digits
    own = (np.arange(len(rows["D"])) % 2 == 0) & (rows["D"] == 0)
    rows["I"] = rows["I"].copy()
    rows["I"][own] = 1 - images[labels == 0][0]  # a picture that no other row has
    report = check_overlap(FRONT_DOOR, "P(A | do(D=1))", rows, {"I": _project})
    assert report.status == "weak overlap"
    assert abs(report.share - own.mean()) < 0.06


def test_without_an_encoder_the_image_is_said_to_be_unchecked(
    digits: tuple[np.ndarray, np.ndarray],
) -> None:
    report = check_overlap(FRONT_DOOR, "P(A | do(D=1))", _rows(digits, noise=0.25, n=60))
    assert report.notes == ("I: no projections; pass encoders={...}",)
    assert "not checked: I" in str(report)


def _asia(n: int = 4000) -> dict[str, np.ndarray]:
    """The network of Lauritzen & Spiegelhalter 1988, with tuberculosis more common so that rows
    show it."""
    rng = np.random.default_rng(2)

    def draw(p: object) -> np.ndarray:
        return rng.random(n) < np.asarray(p)

    asia, smoke = draw(0.3), draw(0.5)
    tub, lung, bronc = (
        draw(np.where(asia, 0.2, 0.05)),
        draw(np.where(smoke, 0.1, 0.02)),
        draw(np.where(smoke, 0.6, 0.3)),
    )
    either = tub | lung
    xray = draw(np.where(either, 0.98, 0.05))
    dysp = draw(np.where(either, np.where(bronc, 0.9, 0.7), np.where(bronc, 0.8, 0.1)))
    named = {
        "asia": asia,
        "smoke": smoke,
        "tub": tub,
        "lung": lung,
        "bronc": bronc,
        "either": either,
    }
    named |= {"xray": xray, "dysp": dysp}
    return {name: np.where(values, "yes", "no") for name, values in named.items()}


ASIA = CausalGraph.parse(
    "asia -> tub; smoke -> lung, bronc; tub, lung -> either; either -> xray, dysp; bronc -> dysp"
)


def test_asias_either_is_named() -> None:
    report = check_overlap(ASIA, "P(dysp=yes | do(smoke=yes))", _asia())
    (relation,) = report.relations
    assert relation.variable == "either"
    assert set(relation.by) == {"tub", "lung"}
    assert relation.text.startswith("either is determined by tub, lung")
    assert "tub=no, lung=yes, either=no" in relation.never
    assert report.status == "good"


def test_cells_that_never_occur_are_flagged_where_the_formula_needs_them() -> None:
    confounded = CausalGraph.parse("tub, lung -> either -> dysp; lung -> dysp")
    rows = {name: _asia()[name] for name in confounded.variables}
    # either=no never occurs with lung=yes, but do(either=no) is asked for everybody.
    report = check_overlap(confounded, "P(dysp=yes | do(either=no))", rows)
    assert report.weak
    lung = (rows["lung"] == "yes").mean()
    assert report.share == pytest.approx(lung, abs=1e-9)
    assert report.findings[0].examples == ("no rows with lung=yes, either=no",)
    assert not check_overlap(confounded, "P(dysp=yes | do(either=yes))", rows).weak


def test_positive_rows_are_good_and_show_no_relations() -> None:
    graph = CausalGraph.parse("Z -> X -> M -> Y; Z -> Y; X <-> Y")
    rows = random_scm(graph, 2, 3, floor=0.4).sample(3000, seed=0)
    report = check_overlap(graph, "P(Y | do(X=1))", rows)
    assert report.status == "good"
    assert report.findings == ()
    assert report.relations == ()
    constant = dict(rows, Z=np.zeros(3000, int))
    assert [r.text for r in check_overlap(graph, "P(Y | do(X=1))", constant).relations] == [
        "Z is 0 in every row"
    ]


def test_continuous_covariates_stand_for_themselves() -> None:
    graph = CausalGraph.parse("Z -> X -> Y; Z -> Y")
    rng = np.random.default_rng(1)
    z = rng.normal(size=1500)
    mixed = (rng.random(1500) < 1 / (1 + np.exp(-z))).astype(int)
    good = check_overlap(graph, "P(Y | do(X=1))", {"Z": z, "X": mixed, "Y": mixed})
    assert not good.weak
    split = check_overlap(graph, "P(Y | do(X=1))", {"Z": z, "X": (z > 0).astype(int), "Y": mixed})
    assert split.weak
    assert split.findings[0].variables == ("Z", "X")
    assert 0.3 < split.share < 0.6  # only the rows below zero lack X=1


def test_several_sources_and_no_formula() -> None:
    graph = CausalGraph.parse("X -> Y; X <-> Y")
    rows = {"X": np.array([0, 1, 0, 1] * 10), "Y": np.array([0, 1, 1, 0] * 10)}
    sources = [Source(["X", "Y"]), Source(["Y"], ["X"], name="trial")]
    assert check_overlap(graph, "P(Y | do(X=1))", [rows, rows], sources=sources).status == "good"
    refused = check_overlap(graph, "P(Y | do(X=1))", rows)
    assert refused.notes == ("the query is not identifiable, so there is no formula to support",)
    with pytest.raises(DataError, match="give one for each"):
        check_overlap(graph, "P(Y | do(X=1))", rows, sources=sources)


def test_bad_projections(digits: tuple[np.ndarray, np.ndarray]) -> None:
    rows = _rows(digits, noise=0.25, n=40)
    with pytest.raises(DataError, match="an encoder gives"):
        check_overlap(FRONT_DOOR, "P(A | do(D=1))", rows, {"I": lambda images: images[:, 0, 0]})
    with pytest.raises(DataError, match="3 projections for 40 rows"):
        check_overlap(FRONT_DOOR, "P(A | do(D=1))", rows, {"I": np.zeros((3, 2))})
    with pytest.raises(DataError, match="infinite or missing"):
        check_overlap(FRONT_DOOR, "P(A | do(D=1))", rows, {"I": np.full((40, 2), np.nan)})


def test_a_combination_in_three_rows_is_as_good_as_one_in_none():
    """P(Y | X=1) rests on three rows for Z=1: the formula has a value, but nothing supports it."""
    graph = CausalGraph.parse("Z -> X, Y; X -> Y")
    rows = {
        "Z": [0] * 500 + [1] * 500,
        "X": ([0, 1] * 250) + [0] * 497 + [1] * 3,
        "Y": [0, 1] * 500,
    }
    report = check_overlap(graph, "P(Y | do(X=1))", rows)
    assert report.weak
    assert report.share == pytest.approx(0.5)
    assert report.findings[0].examples == ("3 rows with Z=1, X=1",)
    assert "in fewer than 5 rows" in report.findings[0].text
    # Three rows are a fortieth of what independence gives; both rules have to let them pass.
    assert not check_overlap(graph, "P(Y | do(X=1))", rows, fewest=3)
    assert check_overlap(graph, "P(Y | do(X=1))", rows, fewest=3, threshold=0.01)


def test_an_encoder_of_images_reads_the_users_column() -> None:
    """D -> I -> A with an image that always shows D: the toolkit's own encoder on arrays of
    pixels."""
    import causalplug as cp

    rng = np.random.default_rng(0)
    d = rng.integers(2, size=400)
    images = np.full((400, 1, 8, 8), 30, np.uint8) + (200 * d[:, None, None, None]).astype(np.uint8)
    data = {"D": d, "I": images, "A": rng.integers(2, size=400)}
    variable = cp.Image(1, 8, 8)
    encoder = cp.ConvEncoder(variable)
    encoder.whiten(variable.encode(images))
    graph = cp.CausalGraph.parse("D -> I -> A; D <-> A")
    assert cp.check_overlap(graph, "P(A | do(D))", data, {"I": encoder}).share > 0.9


BACK_DOOR = CausalGraph.parse("X -> T; X -> Y; T -> Y")


def _treated_above_zero(share: float, n: int, seed: int) -> dict[str, np.ndarray]:
    """One normal covariate; nobody below zero is treated."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    t = ((x > 0) & (rng.random(n) < 2 * share)).astype(int)
    return {"X": x, "T": t, "Y": x + t}


@pytest.mark.parametrize(("share", "n"), [(0.01, 4000), (0.02, 4000), (0.2, 1500)])
def test_a_rare_treatment_is_judged_as_well_as_a_frequent_one(share: float, n: int) -> None:
    rows = _treated_above_zero(share, n, seed=3)
    report = check_overlap(BACK_DOOR, "P(Y | do(T=1))", rows)
    assert report.status == "weak overlap"
    assert report.share == pytest.approx(0.5, abs=0.12)
    assert abs(report.share - 0.5) < 3 * report.standard_error + 0.02
    assert report.to_dict()["standard_error"] == report.standard_error
    assert report.findings[0].rows == pytest.approx(rows["T"].sum())


@pytest.mark.parametrize(("share", "seed"), [(0.02, 0), (0.05, 1), (0.5, 2)])
def test_a_treatment_by_lot_is_good_whatever_its_share(share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = CausalGraph.parse("A, B, C, K -> T; A, B, C, K, T -> Y")
    rows: dict[str, np.ndarray] = {name: rng.normal(size=2000) for name in "ABC"}
    rows["K"] = rng.poisson(0.8, 2000).astype(float)
    rows |= {"T": (rng.random(2000) < share).astype(int), "Y": rows["A"]}
    assert check_overlap(graph, "P(Y | do(T=1))", rows).status == "good"


def test_many_binary_covariates_are_no_empty_cells() -> None:
    """Ten fair covariates have more cells than there are rows; the lot decides nonetheless."""
    rng = np.random.default_rng(0)
    names = [f"Z{i}" for i in range(10)]
    listed = ", ".join(names)
    graph = CausalGraph.parse(f"{listed} -> T; {listed}, T -> Y")
    rows = {name: rng.integers(2, size=800) for name in [*names, "T", "Y"]}
    assert check_overlap(graph, "P(Y | do(T=1))", rows).status == "good"
    rows["T"] = rows["T"] * rows["Z0"]
    report = check_overlap(graph, "P(Y | do(T=1))", rows)
    assert report.share == pytest.approx(0.5, abs=0.08)


def _doses(n: int = 3000) -> dict[str, np.ndarray]:
    """The dose depends on a coin: around 1 or around -1."""
    rng = np.random.default_rng(1)
    u = rng.integers(2, size=n)
    dose = np.where(u == 1, 1.0, -1.0) + 0.5 * rng.normal(size=n)
    return {"U": u, "T": dose, "Y": dose + u}


def test_a_continuous_treatment_is_judged_at_the_asked_value() -> None:
    graph = CausalGraph.parse("U -> T -> Y; U -> Y")
    reports = {t: check_overlap(graph, f"E[Y | do(T={t})]", _doses()) for t in (-2, 0, 2, 8)}
    assert reports[0].status == "good"
    assert reports[2].share == pytest.approx(0.5, abs=0.1)
    assert reports[-2].share == pytest.approx(0.5, abs=0.1)
    assert reports[8].status == "no overlap"
    assert "hardly any rows have T near 8" in str(reports[8])
    contrast = check_overlap(graph, "E[Y | do(T=2)] - E[Y | do(T=0)]", _doses())
    assert contrast.weak


def test_a_value_of_a_continuous_covariate_is_no_crash() -> None:
    rows = _treated_above_zero(0.2, 1500, seed=0)
    report = check_overlap(BACK_DOOR, "P(Y | do(T=1), X=1.5)", rows)
    assert report.status in ("good", "weak overlap", "no overlap")


def test_a_mediator_that_hardly_ever_differs_from_its_cause_has_no_overlap() -> None:
    rng = np.random.default_rng(0)
    graph = CausalGraph.parse("X -> M -> Y; X <-> Y")
    x = rng.integers(2, size=20000)
    for noise, status in ((0.005, "weak overlap"), (0.25, "good")):
        m = np.where(rng.random(20000) < noise, 1 - x, x)
        report = check_overlap(graph, "P(Y | do(X=1))", {"X": x, "M": m, "Y": m})
        assert report.status == status, report


def test_a_continuous_front_door() -> None:
    """x' is drawn apart from the mediator: where the mediator follows X closely, they never
    meet."""
    rng = np.random.default_rng(0)
    graph = CausalGraph.parse("X -> M -> Y; X <-> Y")
    x = rng.normal(size=3000)
    shares = []
    for noise in (0.1, 2.0):
        m = x + noise * rng.normal(size=3000)
        shares.append(check_overlap(graph, "E[Y | do(X=1)]", {"X": x, "M": m, "Y": m}).share)
    assert shares[0] > 0.5
    assert shares[1] < 0.1


def test_many_values_take_no_more_classifiers_than_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """P(Y | M, X) is needed at twelve values of X on every M, one of which only low M have."""
    from causalplug.checks import density_ratio

    rng = np.random.default_rng(0)
    x = rng.integers(0, 12, 4000)
    m = rng.normal(size=4000)
    m = np.where(x == 3, -np.abs(m), m)
    rows = {"X": x, "M": m, "Y": m + rng.normal(size=4000)}
    fits = []
    odds = density_ratio._odds
    monkeypatch.setattr(density_ratio, "_odds", lambda *inputs: (fits.append(1), odds(*inputs))[1])
    graph = CausalGraph.parse("X -> M -> Y; X <-> Y")
    report = check_overlap(graph, "E[Y | do(X=3)]", rows)
    assert report.status == "weak overlap"
    assert report.share == pytest.approx(0.5, abs=0.06)
    assert report.standard_error < 0.04
    assert len(fits) <= 35
