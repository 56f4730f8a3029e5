"""Answers of models by proxies of a hidden cause, and whether the proxies tell its values apart."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import causalplug as cp
from causalplug.errors import SamplingError
from causalplug.identification.query import Query
from causalplug.uncertainty.completeness import completeness_caveats

GRAPH = cp.CausalGraph.parse(
    "Z -> X -> Y; W -> Y; Z <-> W; Z <-> X; Z <-> Y; W <-> X; W <-> Y; X <-> Y"
)
PROXIES = cp.Assume("proxies", cause="X", effect="Y", proxies=("Z", "W"))


def rows(strength: float, seed: int, count: int = 6000) -> dict[str, np.ndarray]:
    """X adds .3 to the chance of Y; the hidden cause adds to both."""
    rng = np.random.default_rng(seed)

    def coin(chance: np.ndarray) -> np.ndarray:
        return (rng.random(count) < chance).astype(int)

    u = coin(np.full(count, 0.5))
    z, w = coin(0.5 + strength * (u - 0.5)), coin(0.5 + strength * (u - 0.5))
    x = coin(0.2 + 0.4 * u + 0.2 * z)
    y = coin(0.1 + 0.3 * x + 0.4 * u + 0.1 * w)
    return {"Z": z, "W": w, "X": x, "Y": y}


def trained(table: dict[str, np.ndarray]) -> cp.DCM:
    dcm = cp.DCM(GRAPH, dict.fromkeys(GRAPH.variables, cp.Discrete(2)))
    cp.fit(dcm, table, progress=False, check_fit=False, check_graph=False, steps=200)
    return dcm


def test_the_effect_with_its_interval_and_what_it_rests_on():
    dcm = trained(rows(0.7, 1))
    seen = dcm.estimate("P(Y=1 | X=1) - P(Y=1 | X=0)", n=20_000).value
    answer = dcm.estimate("ATE(Y, X)", n=20_000, assume=PROXIES)
    assert seen - 0.3 > 0.1
    assert abs(answer.value - 0.3) < 3 * answer.standard_error
    assert 0.01 < answer.standard_error < 0.06
    assert answer.assumptions == (str(PROXIES),)
    assert [caveat.name for caveat in answer.warnings] == ["assumption"]


def test_proxies_that_say_nothing_are_refused():
    dcm = trained(rows(0.0, 2))
    with pytest.raises(SamplingError, match=r"P\(W=1 \| X=1, Z=1\).*cannot be told from zero"):
        dcm.estimate("P(Y=1 | do(X=1))", n=20_000, assume=PROXIES)


@pytest.mark.parametrize(
    ("value", "error", "name"),
    [(0.3, 0.05, None), (0.12, 0.05, "weak proxies"), (0.3, float("nan"), "not checked")],
)
def test_weak_and_untested_proxies_are_told(value, error, name):
    domains = dict.fromkeys(GRAPH.variables, (0, 1))
    decided = cp.identify(GRAPH, "P(Y=1 | do(X=1))", domains=domains, assume=PROXIES)

    def ask(test: Query) -> SimpleNamespace:
        assert str(test) == "P(W=1 | X=1, Z=1) - P(W=1 | X=1, Z=0)"
        return SimpleNamespace(value=value, standard_error=error)

    found = completeness_caveats(decided, ask)
    assert [caveat.name for caveat in found] == ([name] if name else [])
