"""Effects by two proxies of a hidden cause, against exact models that have one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import causalplug as cp
from causalplug.errors import QueryError
from causalplug.identification.evaluate import evaluate
from causalplug.identification.tables import Table

SIX = "Z <-> W; Z <-> X; Z <-> Y; W <-> X; W <-> Y; X <-> Y"
PLAIN = f"Z -> X -> Y; W -> Y; {SIX}"
WITH_C = f"{PLAIN}; C -> Z; C -> X; C -> Y; C -> W"


def assumed() -> cp.Assume:
    return cp.Assume("proxies", cause="X", effect="Y", proxies=("Z", "W"))


class Exact:
    """A random model with a hidden U of ``size`` values; C has two values, or one.

    Attributes:
        joint: P(c, z, w, x, y).
        do: By treatment, P(c, x', y of do(x)), where x' is what X would have been.
    """

    def __init__(self, size: int, covariate: bool, seed: int, values: int | None = None):
        rng = np.random.default_rng(seed)
        k, c = values or size, 2 if covariate else 1

        def table(*shape: int) -> np.ndarray:
            drawn = rng.gamma(0.7, size=shape) + 0.05
            return drawn / drawn.sum(-1, keepdims=True)

        p_c, p_u = table(c), table(size)
        z, w = table(c, size, k), table(c, size, k)
        x, y = table(c, size, k, 2), table(c, size, k, 2, 2)
        weights = np.einsum("c,u,cuz,cuw,cuzx->cuzwx", p_c, p_u, z, w, x)
        self.joint = np.einsum("cuzwx,cuwxy->czwxy", weights, y)
        self.do = [np.einsum("cuzwx,cuwy->cxy", weights, y[..., t, :]) for t in (0, 1)]
        self.sizes = (c, k, k, 2, 2)

    def table(self, names: str = "CZWXY") -> Table:
        domains = {name: tuple(range(n)) for name, n in zip("CZWXY", self.sizes, strict=True)}
        kept = [name for name in domains if name in names]
        codes = np.array(list(itertools.product(*domains.values())))
        columns = [list(domains).index(name) for name in kept]
        return Table({n: domains[n] for n in kept}, codes[:, columns], self.joint.reshape(-1))


def found(graph: cp.CausalGraph, exact: Exact, text: str) -> float:
    domains = {n: tuple(range(k)) for n, k in zip("CZWXY", exact.sizes, strict=True) if n in graph}
    assert not cp.identify(graph, text, domains=domains)
    result = cp.identify(graph, text, domains=domains, assume=assumed())
    assert result
    assert result.assumptions == (str(assumed()),)
    return float(evaluate(result.estimand, exact.table("".join(graph.variables))))


@pytest.mark.parametrize("size", [2, 3])
def test_effects_are_those_of_models_with_a_hidden_cause_of_as_many_values(size):
    for seed in range(3):
        exact = Exact(size, covariate=False, seed=seed)
        graph = cp.CausalGraph.parse(PLAIN)
        one, other = (do.sum((0, 1))[1] for do in (exact.do[1], exact.do[0]))
        assert found(graph, exact, "P(Y=1 | do(X=1))") == pytest.approx(one, abs=1e-7)
        assert found(graph, exact, "E[Y | do(X=0)]") == pytest.approx(other, abs=1e-7)
        assert found(graph, exact, "ATE(Y, X)") == pytest.approx(one - other, abs=1e-7)


def test_effects_on_the_treated_and_within_covariates():
    exact = Exact(2, covariate=True, seed=4)
    graph = cp.CausalGraph.parse(WITH_C)
    whole = exact.do[1].sum((0, 1))[1]
    assert found(graph, exact, "P(Y=1 | do(X=1))") == pytest.approx(whole, abs=1e-7)
    within = exact.do[1][1].sum(0)
    assert found(graph, exact, "P(Y=1 | do(X=1), C=1)") == pytest.approx(
        within[1] / within.sum(), abs=1e-7
    )
    treated = [do[:, 1].sum(0) for do in exact.do]
    effect = treated[1][1] / treated[1].sum() - treated[0][1] / treated[0].sum()
    assert found(graph, exact, "ETT(Y, X)") == pytest.approx(effect, abs=1e-7)


@pytest.mark.parametrize(
    "text",
    [
        f"{PLAIN}; Z -> Y",  # the treatment's proxy acts on the outcome
        f"{PLAIN}; Z -> W",
        f"{PLAIN}; C -> Y; C <-> X; C <-> Y",  # another hidden cause
    ],
)
def test_a_graph_that_denies_it_gives_no_answer(text):
    graph = cp.CausalGraph.parse(text)
    domains = dict.fromkeys(graph.variables, (0, 1))
    assert not cp.identify(graph, "ATE(Y, X)", domains=domains, assume=assumed())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proxies": ("Z",)}, "name two other variables"),
        ({"proxies": ("Z", "X")}, "name two other variables"),
        ({"proxies": ("Z", "Y2")}, "Y2"),
        ({"cause": "Y", "effect": "X", "proxies": ("Z", "W")}, "no path leads from Y to X"),
    ],
)
def test_what_is_declared_wrongly(options, message):
    graph = cp.CausalGraph.parse(PLAIN)
    given = {"cause": "X", "effect": "Y", **options}
    with pytest.raises((QueryError, cp.UnknownVariableError), match=message):
        cp.identify(graph, "ATE(Y, X)", assume=cp.Assume("proxies", **given))


def test_proxies_need_values_equally_many():
    graph = cp.CausalGraph.parse(PLAIN)
    with pytest.raises(QueryError, match="Z cannot be a proxy with no declared values"):
        cp.identify(graph, "ATE(Y, X)", assume=assumed())
    uneven = {"X": (0, 1), "Y": (0, 1), "Z": (0, 1), "W": (0, 1, 2)}
    with pytest.raises(QueryError, match="Merge values of the one that has more"):
        cp.identify(graph, "ATE(Y, X)", domains=uneven, assume=assumed())
    with pytest.raises(QueryError, match="is used by identify"):
        cp.bounds(graph, "ATE(Y, X)", np.full((2, 2, 2, 2), 1 / 16), assume=assumed())
    with pytest.raises(QueryError, match="only 'proxies' has them"):
        cp.Assume("monotone", cause="X", effect="Y", proxies=("Z", "W"))
