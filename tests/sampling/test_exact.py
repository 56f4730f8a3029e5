"""Every answer against exact discrete SCMs: tables in place of networks, so that there is no
training error."""

from __future__ import annotations

import os

import numpy as np
import pytest

from causalplug.dcm import DCM
from tests.sampling.exact import random_model
from tests.scm import SCM

EXHAUSTIVE = bool(os.environ.get("CAUSALPLUG_EXHAUSTIVE"))
MODELS, ROWS = (200, 200_000) if EXHAUSTIVE else (10, 20_000)


def _queries(rng: np.random.Generator, scm: SCM) -> list[str]:
    """Two questions of each layer, conditional ones included, with random variables and values."""
    names = list(rng.permutation(scm.graph.variables))

    def value(name: str) -> int:
        return int(rng.integers(scm.cardinalities[name]))

    a, b, c, d = names[:4]
    x = value(a)
    other = (x + 1) % scm.cardinalities[a]
    return [
        f"P({a}, {b})",
        f"P({a} | {b}={value(b)}, {c}={value(c)})",
        f"P({b}, {c} | do({a}={x}))",
        f"P({c} | do({a}={x}), {d}={value(d)})",
        f"P({b}_{{{a}={x}}} | {a}={value(a)}, {c}={value(c)})",
        f"P({b}_{{{a}={other}}}, {b}_{{{a}={x}}}, {d})",
        f"P({c}_{{{a}={x}, {b}={value(b)}}}, {d} | {c}_{{{a}={other}}}={value(c)}, {b}={value(b)})",
        f"E[{c} | do({a}={x})] - E[{c} | do({a}={other})]",
        f"P({c}_{{{a}={x}, {b}_{{{a}={other}}}}} | {d}={value(d)})",
    ]


def _compare(dcm: DCM, scm: SCM, query: str, seed: int) -> float:
    """The largest distance of an estimate from the truth, in Monte-Carlo standard errors."""
    answer = dcm.estimate(query, n=ROWS, seed=seed)
    truth = np.asarray(scm.probability(query)).ravel()
    found = answer.table["estimate"].to_numpy()
    assert found.shape == truth.shape
    if query.startswith("P"):
        assert answer.n == ROWS
        error = np.sqrt(truth * (1 - truth) / ROWS)
        assert answer.table["monte_carlo_error"].to_numpy() == pytest.approx(
            error, rel=0.25, abs=1.5 / ROWS
        )
        return float(np.max(np.abs(found - truth) / np.maximum(error, 1 / ROWS)))
    return float(
        np.max(
            np.abs(found - truth) / np.maximum(answer.table["monte_carlo_error"].to_numpy(), 1e-9)
        )
    )


@pytest.mark.parametrize("seed", range(MODELS))
def test_every_layer_equals_the_exact_answer(seed: int) -> None:
    rng = np.random.default_rng(10_000 + seed)
    scm, dcm = random_model(seed, int(rng.integers(4, 8)))
    for k, query in enumerate(_queries(rng, scm)):
        distance = _compare(dcm, scm, query, seed=1000 * seed + k)
        assert distance <= 4, f"{query} in {scm.graph}: {distance:.2f} standard errors"


@pytest.mark.parametrize("seed", range(3))
def test_samples_have_the_exact_distribution(seed: int) -> None:
    """The same through the tables of sample() and counterfactual()."""
    scm, dcm = random_model(seed, 4)
    a, b, c, d = scm.graph.variables
    n = 40_000
    checks = [
        (dcm.sample(n, seed=seed), list("abcd"), f"P({a}, {b}, {c}, {d})"),
        (
            dcm.sample(n, do={b: 1}, given={c: 0}, variables=[a, d]),
            "ad",
            f"P({a}, {d} | do({b}=1), {c}=0)",
        ),
        (
            dcm.counterfactual(n, evidence={a: 0, d: 1}, do={a: 1}, variables=[c]),
            "c",
            f"P({c}_{{{a}=1}} | {a}=0, {d}=1)",
        ),
    ]
    for frame, letters, query in checks:
        truth = scm.probability(query)
        names = [scm.graph.variables["abcd".index(letter)] for letter in letters]
        index = np.ravel_multi_index([frame[name].to_numpy() for name in names], truth.shape)
        found = np.bincount(index, minlength=truth.size) / n
        flat = truth.ravel()
        assert np.all(np.abs(found - flat) <= 4 * np.sqrt(flat * (1 - flat) / n)), query


def test_open_conditions_and_interventions_are_axes() -> None:
    scm, dcm = random_model(5, 4)
    a, b, c, _ = scm.graph.variables
    n = 60_000
    for query, order in [
        (f"P({c} | {b})", [c, b]),
        (f"P({c} | do({a}))", [c, a]),
        (f"P({c} | do({a}), {b})", [c, b, a]),
    ]:
        answer = dcm.estimate(query, n=n, seed=3)
        truth = scm.probability(query)
        assert len(answer.table) == truth.size
        for row in answer.table.to_dict("records"):
            exact = truth[tuple(row[name] for name in order)]
            spread = np.sqrt(exact * (1 - exact) / row["effective_sample_size"])
            assert abs(row["estimate"] - exact) <= 4 * spread
            assert answer.at(**{name: row[name] for name in order}) == row["estimate"]
