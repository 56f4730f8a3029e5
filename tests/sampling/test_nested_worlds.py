"""A variable that is set to its value in another world: the mechanisms that run there count."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import causalplug as cp
from causalplug.mechanisms.trainable.table import DiscreteTable

COIN = cp.Discrete(2)
CHAIN = cp.CausalGraph.parse("X -> M; M -> Y; X -> Y")
ROWS = 100_000


def _tables() -> cp.DCM:
    outcome = [[[0.9, 0.1], [0.6, 0.4]], [[0.5, 0.5], [0.2, 0.8]]]
    return cp.DCM(
        CHAIN,
        dict.fromkeys("XMY", COIN),
        mechanisms={
            "X": DiscreteTable(COIN, {}, [0.9, 0.1]),
            "M": DiscreteTable(COIN, {"X": COIN}, [[0.6, 0.4], [0.3, 0.7]]),
            "Y": DiscreteTable(COIN, {"X": COIN, "M": COIN}, outcome),
        },
    )


def test_evidence_is_about_the_noise_of_the_other_world_too():
    """All noise is kept where the evidence holds, as by hand."""
    dcm = _tables()
    noise, one = cp.Noise(ROWS, 5), torch.ones(ROWS, dtype=torch.int64)
    seen = dcm(noise)
    mediator = dcm(noise, {"X": 0 * one}, ["M"])["M"]
    outcome = dcm(noise, {"X": one, "M": mediator}, ["Y"])["Y"]
    kept = (seen["X"] == 1) & (seen["M"] == 1) & (seen["Y"] == 1)
    right = float(outcome[kept].double().mean())
    found = dcm.estimate("P(Y_{X=1, M_{X=0}}=1 | X=1, M=1, Y=1)", 20_000)
    assert found.value == pytest.approx(right, abs=0.015)


def test_the_noise_of_a_number_is_recovered_for_the_other_world():
    dcm = cp.DCM(CHAIN, {"X": COIN, "M": cp.Continuous(), "Y": cp.Continuous()}, seed=1)
    with torch.no_grad():
        for name in "MY":
            for parameter in dcm.mechanism(name).parameters():
                parameter.mul_(3)
    noise, one = cp.Noise(5000, 5), torch.ones(5000, dtype=torch.int64)
    mediator = dcm.mechanism("M")
    own = mediator.abduct(torch.full((5000,), 0.4), {"X": one})
    other = mediator({"X": 0 * one}, own)
    right = float(dcm(noise, {"X": one, "M": other}, ["Y"])["Y"].detach().mean())
    found = dcm.estimate("E[Y_{X=1, M_{X=0}} | X=1, M=0.4]", 5000)
    assert found.value == pytest.approx(right, abs=4 * found.monte_carlo_error + 1e-3)


def _mediation(rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    x = random.integers(0, 2, rows)
    m = (random.random(rows) < np.where(x, 0.8, 0.3)).astype(int)
    y = (random.random(rows) < 0.2 + 0.3 * m + 0.2 * x).astype(int)
    return pd.DataFrame({"X": x, "M": m, "Y": y})


def _indirect(rows: pd.DataFrame) -> float:
    """The natural indirect effect at X = 0, by the mediation formula (Pearl 2001)."""
    outcome, mediator = rows.groupby(["X", "M"]).Y.mean(), rows.groupby("X").M.mean()
    return (outcome[0, 1] - outcome[0, 0]) * (mediator[1] - mediator[0])


def test_the_interval_of_an_indirect_effect_holds_what_is_uncertain_about_the_mediator():
    rows = _mediation(400, 0)
    dcm = cp.DCM(CHAIN, dict.fromkeys("XMY", COIN))
    cp.fit(dcm, rows, steps=200, progress=False, held_out=0.0)
    found = dcm.estimate("NIE(Y, X, M)", 50_000)
    spread = np.std([_indirect(_mediation(400, 100 + seed)) for seed in range(200)])
    assert found.standard_error == pytest.approx(spread, rel=0.2)


def test_an_experiment_alone_has_an_interval():
    """What the question sets is not run, so that it need not have been trained."""
    rows = _mediation(600, 1)[["X", "Y"]]
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y"), {"X": COIN, "Y": COIN})
    source = cp.DataSource(rows, do=["X"])
    cp.fit(dcm, source, queries=["ATE(Y, X)"], steps=150, progress=False, held_out=0.0)
    found = dcm.estimate("ATE(Y, X)", 50_000)
    shares = rows.groupby("X").Y.agg(["mean", "size"])
    error = np.sqrt((shares["mean"] * (1 - shares["mean"]) / shares["size"]).sum())
    assert found.standard_error == pytest.approx(error, rel=0.1)
    for data in (rows, [rows], source):
        again = dcm.estimate("ATE(Y, X)", 50_000, data=data, one_step=True)
        assert again.value == pytest.approx(float(shares["mean"].diff().iloc[-1]), abs=0.01)
