"""What the verdict of a training looks at: moments, and the joint distribution."""

import warnings

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.errors import ConvergenceWarning
from causalplug.model.caveats import known_caveats
from causalplug.training.doubts import tail_doubts
from causalplug.training.moments import moments_off, moments_off_by_value
from causalplug.training.report import ModuleReport
from causalplug.training.validation import Distance, _pair_distances, tvd

N = 4000


def normal(n=N, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=n))


@pytest.mark.parametrize(
    ("fake", "words"),
    [
        (normal(20_000, 1) + 0.15, "the mean of K is"),
        (1.2 * normal(20_000, 1), "the standard deviation of K is"),
        (normal(20_000, 1).clamp(-2.2, 2.2), "of K lie below"),
    ],
)
def test_moments_that_are_off_are_named(fake, words):
    assert any(words in text for text in moments_off("K", normal(), fake))


def test_samples_of_one_distribution_are_not_off():
    draws = [moments_off("K", normal(N, s), normal(20_000, s + 100)) for s in range(20)]
    assert sum(bool(texts) for texts in draws) <= 1


def test_what_is_right_on_average_and_wrong_at_each_dose_is_off():
    doses = torch.arange(N) % 2 * 2.0 - 1
    real, fake = normal() + doses, normal(N, 1) + doses
    assert moments_off_by_value("Y", real, fake, "T", doses) == []
    tilted = fake + 0.15 * doses
    assert moments_off("Y", real, tilted) == []
    texts = moments_off_by_value("Y", real, tilted, "T", doses)
    assert [text[:24] for text in texts] == ["the mean of Y at T=-1 is", "the mean of Y at T=1 is "]
    assert moments_off_by_value("Y", real, tilted, "T", normal()) == []


def test_heavy_tails_are_called_so():
    far = torch.where(torch.arange(10_000) % 333 == 0, 50.0, 1.0) * normal(10_000).exp()
    (text, *_) = moments_off("cost", far, far.clamp(max=20))
    assert "tails are heavy" in text


def test_a_graph_without_an_edge_passes_its_modules_and_fails_as_a_whole():
    draw = np.random.default_rng(0)
    x = draw.integers(2, size=N)
    y = np.where(draw.random(N) < 0.8, x, 1 - x)
    rows = cp.DataSource({"X": x, "Y": y})
    kinds = {"X": cp.Discrete(2), "Y": cp.Discrete(2)}
    apart = cp.DCM(cp.CausalGraph.parse("X; Y"), kinds)
    with pytest.warns(ConvergenceWarning, match="The graph may leave an edge out"):
        report = cp.fit(apart, rows, check_graph=False, progress=False)
    assert [module.converged for module in report.modules] == [True, True]
    assert not report.converged
    assert not apart.history["joint_converged"]
    (caveat,) = apart.estimate("P(X, Y)", 100).warnings
    assert (caveat.name, caveat.subject) == ("joint distribution", "P(X, Y)")
    assert caveat.figures["tvd"] > caveat.figures["floor"]
    right = cp.DCM(cp.CausalGraph.parse("X -> Y"), kinds)
    assert cp.fit(right, rows, progress=False).converged
    assert not right.estimate("P(X, Y)", 100).warnings


def test_the_whole_of_continuous_variables_is_compared():
    draw = np.random.default_rng(0)
    x = draw.normal(size=N)
    rows = cp.DataSource({"X": x, "Y": x + 0.5 * draw.normal(size=N)})
    apart = cp.DCM(cp.CausalGraph.parse("X; Y"), {"X": cp.Continuous(), "Y": cp.Continuous()})
    with pytest.warns(ConvergenceWarning, match=r"P\(X, Y\)"):
        cp.fit(apart, rows, steps=200, check_graph=False, progress=False)


def test_what_an_experiment_set_is_given():
    draw = np.random.default_rng(0)
    x = draw.integers(2, size=N)
    rows = cp.DataSource({"X": x, "Y": draw.integers(2, size=N) & x}, do=("X",))
    seen = draw.integers(2, size=N)
    both = [rows, cp.DataSource({"X": seen, "Y": draw.integers(2, size=N) & seen})]
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y"), {"X": cp.Discrete(2), "Y": cp.Discrete(2)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = cp.fit(dcm, both, progress=False)
    assert report.converged


def test_tails_that_a_model_does_not_follow_are_a_caveat():
    far = torch.where(torch.arange(2000) % 333 == 0, 50.0, 1.0) * normal(2000).exp()
    kinds = {"K": cp.Continuous(), "L": cp.Continuous()}
    dcm = cp.DCM(cp.CausalGraph.parse("K; L"), kinds)
    tables = [cp.DataSource({"K": far, "L": normal(2000)}).encode(kinds)]
    off = Distance("P(K)", 200, off=("the mean of K is 1 where that of the rows is 2",))
    reports = [ModuleReport((name,), "likelihood", distances=(off,)) for name in ("K", "L")]
    (caveat,) = tail_doubts(dcm, tables, reports)
    assert (caveat.name, caveat.subject, caveat.variables) == ("heavy tails", "K", ("K",))
    assert "the mean of K is 1" in caveat.text
    dcm.history = {"modules": [reports[0].to_dict() | {"converged": False}]}
    assert "the mean of K is 1" in known_caveats(dcm)[0].text


def test_few_rows_are_a_caveat_of_what_rests_on_them():
    draw = np.random.default_rng(0)
    x = np.array(["often"] * 394 + ["rare"] * 6)
    rows = {"X": x, "Y": draw.integers(2, size=400)}
    kinds = {"X": cp.Discrete(["often", "rare"]), "Y": cp.Discrete(2), "W": cp.Discrete(2)}
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y -> W"), kinds)
    both = [rows, {"Y": draw.integers(2, size=30), "W": draw.integers(2, size=30)}]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cp.fit(dcm, [cp.DataSource(table) for table in both], steps=5, progress=False)

    def few(query):
        return [c.subject for c in dcm.estimate(query, 100).warnings if c.name == "few rows"]

    assert few("P(Y | do(X=rare))") == ["do(X=rare)"]
    assert few("P(Y | X=rare)") == ["X=rare"]
    assert few("P(Y | do(X=often))") == []
    assert few("P(X=rare)") == []
    assert few("P(W | Y=1)") == ["W"]


def test_all_pairs_of_columns_are_compared_at_once():
    draw = torch.Generator().manual_seed(0)
    sizes = [2, 3, 4, 2]
    real, fake = (
        torch.stack([torch.randint(k, (n,), generator=draw) for k in sizes], 1) for n in (300, 500)
    )
    pairs = [(0, 1), (0, 3), (1, 2), (2, 3)]
    found = _pair_distances(real, fake, sizes, pairs)
    expected = [tvd(real[:, pair], fake[:, pair]) for pair in pairs]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)
