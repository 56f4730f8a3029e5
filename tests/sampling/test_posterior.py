"""Rows given what was seen, by inference: against exact enumeration, closed forms and rejection."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import truncnorm

from causalplug.dcm import DCM
from causalplug.errors import SamplingError
from causalplug.graphs.graph import CausalGraph
from causalplug.mechanisms.trainable.table import DiscreteTable
from causalplug.noise import Noise
from causalplug.sampling.condition import Evidence
from causalplug.variables import Continuous, Count, Discrete
from tests.counting import calls
from tests.sampling.exact import as_dcm, random_model
from tests.sampling.toys import Coin, Linear
from tests.scm import random_scm

N = 20_000


class Tight(Linear):
    """A linear mechanism that grows with its noise."""

    monotone = True


def _near(found: np.ndarray, truth: np.ndarray, n: int, inflation: float = 1.5) -> bool:
    """Within four standard errors; rows of a shared pool repeat some confounder noise, which
    makes their variance up to half as large again."""
    spread = np.sqrt(inflation * truth * (1 - truth) / n)
    return bool(np.all(np.abs(found - truth) <= 4 * spread + 1e-9))


def _rare(size: int, parents: dict[str, Discrete], share: float) -> DiscreteTable:
    """One with probability ``share``, twice that where the first parent is one."""
    rows = np.empty((*(p.size for p in parents.values()), size))
    rows[..., 1], rows[1, ..., 1] = share, 2 * share
    rows[..., 0] = 1 - rows[..., 1]
    return DiscreteTable(Discrete(size), parents, rows)


# -- own noise given a category


@pytest.mark.parametrize("responses", ["shared", "independent"])
@pytest.mark.parametrize("own", [None, [0.2, 0.5, 0.3]])
def test_noise_given_its_value_is_the_noise_of_rows_that_have_it(
    responses: str, own: list[float] | None
) -> None:
    """The value under every other parent has the distribution that rejection gives it."""
    rng = np.random.default_rng(0)
    shape = (3, 3) if own is None else (3, len(own), 3)
    table = rng.dirichlet(np.ones(3), size=shape[:-1])
    mechanism = DiscreteTable(Discrete(3), {"P": Discrete(3)}, table, own=own, responses=responses)
    n = 60_000
    noise = {key: Noise(n, 3).draw(key, spec) for key, spec in mechanism.noise.items()}
    fresh = {key: Noise(n, 4).draw(key, spec) for key, spec in mechanism.noise.items()}
    parents = {"P": torch.zeros(n, dtype=torch.int64)}
    value = mechanism(parents, noise)
    recovered = mechanism.abduct(value, parents, prior=fresh)
    assert torch.equal(mechanism(parents, recovered), value)
    for other in (1, 2):
        elsewhere = {"P": torch.full((n,), other)}
        for seen in range(3):
            rows = value == seen
            truth, found = (
                torch.bincount(mechanism(elsewhere, own)[rows], minlength=3) / rows.sum()
                for own in (noise, recovered)
            )
            spread = (2 * truth * (1 - truth) / rows.sum()).sqrt()
            assert torch.all((found - truth).abs() <= 4.5 * spread + 1e-6)


# -- exact discrete models


@pytest.mark.parametrize("seed", range(6))
def test_rows_counterfactuals_equal_those_of_the_exact_model(seed: int) -> None:
    """A row with all values, and one with some, against sums over the noise of the model."""
    rng = np.random.default_rng(seed)
    scm, dcm = random_model(seed + 50, 5)
    names = list(scm.graph.variables)
    row = dcm.sample(1, seed=seed).iloc[0]
    x, y = rng.choice(names, 2, replace=False)
    other = int((row[x] + 1) % scm.cardinalities[x])
    n = 6000
    for seen in (names, [str(name) for name in rng.choice(names, 3, replace=False)]):
        given = ", ".join(f"{name}={row[name]}" for name in seen)
        truth = scm.probability(f"P({y}_{{{x}={other}}} | {given})")
        frame = dcm.counterfactual(
            pd.DataFrame([row[seen]]), do={x: other}, variables=[y], draws=n, seed=seed
        )
        found = np.bincount(frame[y], minlength=len(truth)) / n
        assert _near(found, truth, n, 1.0), (scm.graph, seen, x, y)


@pytest.mark.parametrize("seed", range(6))
def test_rare_conditions_have_the_exact_distribution(seed: int) -> None:
    """Evidence on three variables, rare enough to be inferred, in samples and estimates."""
    scm, dcm = random_model(seed + 80, 6)
    names = list(scm.graph.variables)
    rng = np.random.default_rng(seed)
    seen = [str(name) for name in rng.choice(names, 4, replace=False)]
    joint = scm.joint(keep=seen)
    value = np.unravel_index(np.argsort(joint.ravel())[1], joint.shape)
    given = {name: int(v) for name, v in zip(seen, value, strict=True)}
    asked = next(name for name in names if name not in given)
    text = ", ".join(f"{name}={v}" for name, v in given.items())
    truth = scm.probability(f"P({asked} | {text})")
    frame = dcm.sample(N, given=given, variables=[asked], seed=seed)
    assert _near(np.bincount(frame[asked], minlength=len(truth)) / N, truth, N)
    answer = dcm.estimate(f"P({asked} | {text})", n=N, seed=seed)
    error = answer.table["monte_carlo_error"].to_numpy()
    assert np.all(np.abs(answer.table["estimate"] - truth) <= 4 * error)
    assert np.all(error <= 1.2 * np.sqrt(truth * (1 - truth) / N) + 1e-4)


def test_errors_of_weighted_estimates_are_calibrated() -> None:
    scm, dcm = random_model(91, 5)
    names = list(scm.graph.variables)
    joint = scm.joint(keep=names[1:4])
    rare = np.unravel_index(np.argsort(joint.ravel())[2], joint.shape)
    text = ", ".join(f"{name}={v}" for name, v in zip(names[1:4], rare, strict=True))
    query = f"P({names[0]}=1 | {text})"
    truth = float(np.asarray(scm.probability(query)))
    answers = [dcm.estimate(query, n=1000, seed=seed) for seed in range(60)]
    scores = np.array([(a.value - truth) / a.monte_carlo_error for a in answers])
    assert abs(scores.mean()) <= 4 / np.sqrt(60)
    assert 0.7 < scores.std() < 1.35


def test_evidence_in_two_worlds_is_inferred_in_one_and_met_in_the_other() -> None:
    scm = random_scm(CausalGraph.parse("X -> M -> Y; X -> Y; X <-> Y"), cardinalities=2, seed=11)
    dcm = as_dcm(scm)
    row = pd.DataFrame({"X": [1], "M": [0], "Y": [1]})
    evidence = Evidence({"Y": 1}, do={"X": 0})
    frame = dcm.counterfactual(row, evidence=evidence, do={"M": 1}, variables=["Y"], draws=8000)
    truth = scm.probability("P(Y_{M=1} | X=1, M=0, Y=1, Y_{X=0}=1)")
    assert _near(np.bincount(frame["Y"], minlength=2) / 8000, truth, 8000)


# -- closed forms


def _leaves(count: int) -> DCM:
    graph = CausalGraph.parse("; ".join(f"Z -> Y{i}" for i in range(count)))
    leaves = {f"Y{i}": Linear({"Z": 1.0}, scale=0.3) for i in range(count)}
    variables = {name: Continuous() for name in graph.variables}
    return DCM(graph, variables, mechanisms={"Z": Linear({}), **leaves})


@pytest.mark.parametrize("count", [1, 2, 4, 12])
def test_several_numbers_are_conditioned_on_at_once(count: int) -> None:
    """Z ~ N(0, 1) and leaves Z + 0.3 e at 2.5: a normal posterior in closed form."""
    dcm = _leaves(count)
    variance = 1 / (1 + count / 0.09)
    mean = variance * count * 2.5 / 0.09
    given = {f"Y{i}": 2.5 for i in range(count)}
    frames = [
        dcm.sample(5000, given=given, variables=["Z"], seed=1),
        dcm.counterfactual(5000, evidence=given, do={}, variables=["Z"], seed=2),
        dcm.counterfactual(given, do={}, variables=["Z"], draws=1500, seed=3),
    ]
    for frame in frames:
        z = frame["Z"].to_numpy()
        assert z.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / len(z)))
        assert z.std() == pytest.approx(np.sqrt(variance), rel=0.08)
        assert frame.attrs["effective_pool"] >= 64
        assert frame.attrs["pool_bias"] <= 1 / 64
    answer = dcm.estimate(f"E[Z | {', '.join(f'{k}={v}' for k, v in given.items())}]", n=N)
    assert abs(answer.value - mean) <= 4 * answer.monte_carlo_error
    assert answer.monte_carlo_error <= 1.5 * np.sqrt(variance / N)


def test_the_hidden_causes_of_a_row_of_numbers_have_their_normal_posterior() -> None:
    """X = U1 + e, Y = X + U1 + U2 + f, W = U2 + g, confounded in a chain: E[W_{X=0} | x, y, w]."""
    graph = CausalGraph.parse("X -> Y; X <-> Y; Y <-> W; W -> V")
    mechanisms = {
        "X": Linear({}, loading=1.0),
        "Y": Linear({"X": 1.0}, loading=1.0),
        "W": Linear({}, loading=1.0),
        "V": Linear({"W": 1.0}),
    }
    dcm = DCM(graph, {n: Continuous() for n in "XYWV"}, mechanisms=mechanisms, confounder_size=1)
    rows = pd.DataFrame({"X": [2.0, -1.0], "Y": [5.0, -4.0], "W": [3.0, 0.0]})
    frame = dcm.counterfactual(rows, do={"X": 0.0}, variables=["Y", "W", "V"], draws=500)
    for i in range(2):
        part = frame.iloc[500 * i : 500 * (i + 1)]
        assert part["Y"].to_numpy() == pytest.approx(rows["Y"][i] - rows["X"][i], abs=1e-4)
        assert part["W"].to_numpy() == pytest.approx(rows["W"][i], abs=1e-4)
        assert part["V"].mean() == pytest.approx(rows["W"][i], abs=0.2)
    assert max(frame.attrs["reconstruction_error"].values()) < 1e-5


def test_intervals_of_trained_splines_are_met_exactly_and_without_rejection() -> None:
    """A spline at its start is a monotone map; the tail of its distribution is drawn at once."""
    graph = CausalGraph.parse("Z -> X -> Y")
    dcm = DCM(graph, {name: Continuous() for name in "ZXY"}, seed=4)
    plain = dcm.sample(200_000, seed=1)
    low = float(plain["X"].quantile(0.98))
    frame = dcm.sample(4000, given={"X": (low, None)}, seed=2)
    assert (frame["X"] >= low - 1e-5).all()
    truth = plain[plain["X"] >= low]
    for name in "ZXY":
        spread = truth[name].std() / np.sqrt(len(truth) / 2)
        assert frame[name].mean() == pytest.approx(truth[name].mean(), abs=5 * spread)
        assert frame[name].std() == pytest.approx(truth[name].std(), rel=0.08)


@pytest.mark.parametrize("below", [False, True])
def test_an_interval_that_most_causes_rule_out_still_gives_numbers(below: bool) -> None:
    """Z puts X within .01 of itself, so that the interval is hundreds of deviations away for most
    candidates; what they give W and Y has to be a number, to be weighed."""
    graph = CausalGraph.parse("Z -> X -> W -> Y; X -> Y")
    made = {
        "Z": Linear({}),
        "X": Tight({"Z": 1.0}, scale=0.01),
        "W": Linear({"X": 1.0}, scale=0.1),
        "Y": Linear({"X": 2.0, "W": -1.0}, scale=0.5),
    }
    dcm = DCM(graph, {v: Continuous() for v in made}, mechanisms=made)
    sign = -1 if below else 1
    given = {"X": (None, -2.0) if below else (2.0, None), "Y": sign * 1.5}
    frame = dcm.sample(4000, given=given, variables=["Z", "X"], seed=1)
    precision = 1 / 1.0001 + 1 / (0.5**2 + 0.1**2)
    mean, spread = 1.5 / (0.5**2 + 0.1**2) / precision, precision**-0.5
    truth = truncnorm((2 - mean) / spread, np.inf, mean, spread)
    for name in ("Z", "X"):
        assert sign * frame[name].mean() == pytest.approx(truth.mean(), abs=0.02)
        assert frame[name].std() == pytest.approx(truth.std(), abs=0.02)


def test_counts_are_met_as_numbers_and_as_ranges() -> None:
    dcm = DCM(
        CausalGraph.parse("Z -> K; K -> Y"),
        {"Z": Continuous(), "K": Count(), "Y": Continuous()},
        seed=3,
    )
    plain = dcm.sample(100_000, seed=1)
    often = int(plain["K"].quantile(0.9))
    for given, rows in (
        ({"K": often}, plain["K"] == often),
        ({"K": (often, None)}, plain["K"] >= often),
    ):
        truth = plain[rows]
        frame = dcm.sample(8000, given=given, seed=2)
        spread = truth["Z"].std() * np.sqrt(1.5 / len(frame) + 1 / len(truth))
        assert frame["Z"].mean() == pytest.approx(truth["Z"].mean(), abs=5 * spread)
        assert (frame["K"] >= often).all()
        assert frame["K"].mean() == pytest.approx(truth["K"].mean(), rel=0.05)


# -- cost


def _chain(length: int, size: int, confounded: bool) -> DCM:
    names = [f"V{i}" for i in range(length)]
    text = "; ".join(f"{a} -> {b}" for a, b in itertools.pairwise(names))
    if confounded:
        pairs = [(names[i], names[i + 2]) for i in range(0, length - 2, 3)]
        text = f"{text}; " + "; ".join(f"{a} <-> {b}" for a, b in pairs)
    return DCM(CausalGraph.parse(text), {name: Discrete(size) for name in names}, seed=2)


@pytest.mark.parametrize(
    ("length", "size", "rows", "draws", "confounded"),
    [(20, 4, 1, 100, True), (10, 2, 100, 1, True), (20, 2, 200, 1, True)],
)
def test_rows_of_ones_own_cost_as_much_as_their_variables(
    length: int, size: int, rows: int, draws: int, confounded: bool
) -> None:
    dcm = _chain(length, size, confounded)
    data = dcm.sample(rows, seed=5)
    made: list[pd.DataFrame] = []
    asked = {"do": {"V0": 1}, "factual": True, "draws": draws}
    assert calls(lambda: made.append(dcm.counterfactual(data, **asked))) < 10_000 * length
    frame = made[0]
    repeated = data.loc[data.index.repeat(draws)]
    assert (frame["factual"].to_numpy() == repeated.to_numpy()).all()


@pytest.mark.parametrize("share", [2e-2, 2e-4, 1e-6])
def test_the_cost_does_not_grow_with_the_rarity_of_a_leaf(share: float) -> None:
    graph = CausalGraph.parse("Z -> X -> Y; Z -> Y; Z -> L")
    variables = {name: Discrete(2) for name in graph.variables}
    dcm = DCM(graph, variables, mechanisms={"L": _rare(2, {"Z": Discrete(2)}, share)}, seed=1)
    frame = dcm.sample(N, given={"L": 1})
    assert frame.attrs["candidates"] <= 2 * N
    z = dcm.mechanism("Z").logits({}).softmax(-1)[1].item()
    truth = np.array([1 - z, 2 * z]) / (1 + z)
    assert _near(np.bincount(frame["Z"], minlength=2) / N, truth, N)
    answer = dcm.estimate("P(Z=1 | L=1)", n=N)
    assert answer.candidates <= 2 * N
    assert abs(answer.value - truth[1]) <= 4 * answer.monte_carlo_error


# -- it always stops


def test_a_search_stops_by_its_share_or_its_time() -> None:
    graph = CausalGraph.parse("X -> Y")
    table = DiscreteTable(Discrete(2), {"X": Discrete(2)}, [[1.0, 0.0], [0.5, 0.5]])
    dcm = DCM(graph, {n: Discrete(2) for n in "XY"}, mechanisms={"X": Coin(1e-5), "Y": table})
    for options in ({"given": {"Y": 1}}, {"given": {"Y": np.ones(3, int)}}):
        with pytest.raises(SamplingError, match="too rare"):
            dcm.sample(3, min_acceptance=1e-3, **options)
    with pytest.raises(SamplingError, match="time_limit"):
        dcm.sample(3, given={"Y": 1}, min_acceptance=1e-9, time_limit=0.2)
    with pytest.raises(SamplingError, match="time_limit"):
        dcm.sample(3, given={"Y": np.ones(3, int)}, min_acceptance=1e-9, time_limit=0.2)
    with pytest.raises(SamplingError, match="time_limit"):
        dcm.estimate("P(X | Y=1)", n=100, min_acceptance=1e-9, time_limit=0.2)
