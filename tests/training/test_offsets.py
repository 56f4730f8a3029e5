"""Numbers far from zero, or tiny: offset and scale are taken in float64 before anything becomes
float32, in training, under do(), as evidence and in answers."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

import causalplug as cp
from causalplug.errors import DataError
from causalplug.variables.continuous import blurred

N = 1000
UNITS = {  # offset and unit of a quantity that runs from 0 to 10 units
    "seconds since 1970": (1.7e9, 10.0),
    "milliseconds since 1970": (1.7e12, 100.0),
    "Julian days": (2460000.5, 1e-4),
    "nanomolar": (0.0, 1e-9),
    "attomolar": (0.0, 1e-27),
    "a large quantity": (0.0, 1e25),
    "plain": (0.0, 1.0),
}


def rows(seed=0):
    rng = np.random.default_rng(seed)
    t = rng.random(N) * 10
    return t, t / 5 + rng.normal(size=N) * 0.1  # E[Y | do(T=t)] = t / 5


def fitted(cause, effect, **options):
    dcm = cp.DCM(cp.CausalGraph.parse("T -> Y"), {"T": cp.Continuous(), "Y": cp.Continuous()})
    options = {"objective": "likelihood", "steps": 100} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pd.DataFrame({"T": cause, "Y": effect})
        cp.fit(dcm, cp.DataSource(data), progress=False, seed=0, **options)
    return dcm


def mean(dcm, query):
    return float(dcm.estimate(query, n=2000).table["estimate"].iloc[0])


@pytest.mark.parametrize("unit", UNITS)
def test_the_unit_of_cause_and_effect_does_not_matter(unit, tmp_path):
    offset, size = UNITS[unit]
    t, y = rows()
    dcm = fitted(offset + size * t, offset + size * y)
    dcm.save_pretrained(tmp_path / "m")
    dcm = cp.from_pretrained(tmp_path / "m")
    low, middle, high = (repr(offset + size * at) for at in (1.0, 5.0, 9.0))
    answer = dcm.estimate(f"E[Y | do(T={high})] - E[Y | do(T={low})]", n=2000).table
    assert answer["estimate"].iloc[0] / size == pytest.approx(1.6, abs=0.16)
    assert 0 <= answer["monte_carlo_error"].iloc[0] < 0.05 * size
    single = dcm.estimate(f"E[Y | do(T={middle})]", n=2000).table
    assert (single["estimate"].iloc[0] - offset) / size == pytest.approx(1, abs=0.1)
    assert single["monte_carlo_error"].iloc[0] / size == pytest.approx(0.1 / 2000**0.5, rel=0.5)
    drawn = dcm.sample(500, seed=0)
    assert (drawn["T"].mean() - offset) / size == pytest.approx(5, abs=0.7)


@pytest.mark.parametrize("unit", ["seconds since 1970", "Julian days", "nanomolar"])
def test_evidence_and_counterfactuals_keep_their_digits(unit):
    offset, size = UNITS[unit]
    t, y = rows()
    dcm = fitted(offset + size * t, offset + size * y)
    seen = {"T": offset + size * 2.0, "Y": offset + size * 0.5}
    would = dcm.counterfactual(
        1, evidence=seen, do={"T": offset + size * 7.0}, seed=0, allow_unidentified=True
    )
    assert (would["Y"].iloc[0] - offset) / size == pytest.approx(1.5, abs=0.15)
    given = dcm.sample(200, given={"T": offset + size * 4.0}, seed=0)
    assert (given["Y"].mean() - offset) / size == pytest.approx(0.8, abs=0.1)
    assert ((given["T"] - offset) / size).to_numpy() == pytest.approx(4, abs=1e-3)


def test_the_adversary_reads_the_digits_too():
    t, y = rows()
    plain = fitted(10 * t, y, objective="adversarial", steps=30).sample(500, seed=0)
    moved = fitted(1.7e9 + 10 * t, 1e8 + y, objective="adversarial", steps=30).sample(500, seed=0)
    assert (moved["T"] - 1.7e9).to_numpy() == pytest.approx(plain["T"].to_numpy(), abs=0.5)
    assert (moved["Y"] - 1e8).to_numpy() == pytest.approx(plain["Y"].to_numpy(), abs=0.05)


def test_a_constant_of_an_experiment_keeps_the_digits_that_the_other_rows_need():
    t, y = rows()
    observed = cp.DataSource(pd.DataFrame({"T": 1.7e9 + t, "Y": y}))
    experiment = cp.DataSource(pd.DataFrame({"Y": y[:100]}), do={"T": 1.7e9 + 0.125})
    dcm = cp.DCM(cp.CausalGraph.parse("T -> Y"), {"T": cp.Continuous(), "Y": cp.Continuous()})
    trainer = cp.Trainer(dcm, [observed, experiment], progress=False)
    values = [table.values["T"] for table in trainer.tables]
    assert [v.dtype for v in values] == [torch.float64, torch.float64]
    assert float(values[1][0]) == 1.7e9 + 0.125
    assert dcm.variables["T"].precise
    assert not dcm.variables["Y"].precise


def test_the_precision_of_a_column_follows_its_rows():
    rng = np.random.default_rng(0)
    for plain in (rng.normal(size=N), 100 + rng.normal(size=N), rng.lognormal(0, 2, N), [1e9, 2e9]):
        assert not blurred(np.asarray(plain))
    for fine in (1e8 + rng.normal(size=N), [1.7e9 + 10, 1.7e9 + 90] * 5, 1e300 * rng.random(N)):
        assert blurred(np.asarray(fine))


def test_numbers_that_no_scale_makes_distinct_are_refused():
    rng = np.random.default_rng(0)
    heaps = np.concatenate([rng.normal(size=500), 1e9 + rng.normal(size=500)])
    with pytest.raises(DataError, match=r"orders of magnitude.*logarithm"):
        cp.DataSource({"X": heaps}).encode({"X": cp.Continuous()})


def test_half_precision_keeps_large_offsets(tmp_path):
    t, y = rows()
    dcm = fitted(1.7e9 + 10 * t, y)
    dcm.save_pretrained(tmp_path / "m")
    half = cp.from_pretrained(tmp_path / "m", dtype="float16")
    assert mean(half, "E[Y | do(T=1700000090)]") == pytest.approx(1.8, abs=0.1)
