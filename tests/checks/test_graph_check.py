"""check_graph rejects what the rows contradict, and nothing else."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalplug as cp
from benchmarks.graph_check import KINDS, random_graph, rows_of
from causalplug.checks.independence import IndependenceTests, column_of
from causalplug.errors import DataError
from causalplug.identification.implied import implied_constraints

EXHAUSTIVE = os.environ.get("CAUSALPLUG_EXHAUSTIVE") == "1"
CHAIN = cp.CausalGraph.parse("X -> Z -> Y")
VERMA = cp.CausalGraph.parse("A -> B -> C -> D; B <-> D")
FRONT_DOOR = cp.CausalGraph.parse("X -> M -> Y; X <-> Y")


def coin(random, chance):
    return (random.random(len(chance)) < chance).astype(int)


def verma_rows(direct, n=5000):
    random = np.random.default_rng(0)
    a, h = coin(random, np.full(n, 0.5)), coin(random, np.full(n, 0.5))
    b = coin(random, 0.1 + 0.4 * a + 0.4 * h)
    c = coin(random, 0.2 + 0.6 * b)
    d = coin(random, 0.05 + 0.3 * c + 0.4 * h + direct * a)
    return pd.DataFrame({"A": a, "B": b, "C": c, "D": d})


def front_door_rows(n, seed, do=None, direct=0.0):
    random = np.random.default_rng(seed)
    u = random.random(n) < 0.5
    x = coin(random, 0.2 + 0.6 * u) if do is None else coin(random, np.full(n, do))
    m = coin(random, 0.2 + 0.6 * x)
    return pd.DataFrame({"X": x, "M": m, "Y": coin(random, 0.1 + 0.3 * m + 0.3 * u + direct * x)})


def test_a_missing_arrow_is_named():
    random = np.random.default_rng(1)
    x = coin(random, np.full(2000, 0.5))
    z = coin(random, 0.2 + 0.5 * x)
    wrong = pd.DataFrame({"X": x, "Z": z, "Y": coin(random, 0.1 + 0.2 * z + 0.3 * x)})
    right = wrong.assign(Y=coin(random, 0.1 + 0.2 * z))
    found = cp.check_graph(CHAIN, wrong)
    assert not found
    assert str(found.failed[0].constraint) == "X ⊥ Y | Z"
    assert found.table.loc[0, "rejected"]
    assert cp.check_graph(CHAIN, right)


def test_a_verma_constraint_sees_what_no_independence_shows():
    assert cp.check_graph(VERMA, verma_rows(0.0))
    found = cp.check_graph(VERMA, verma_rows(0.2))
    assert [result.kind for result in found.failed] == ["Verma"]
    assert str(found.failed[0].constraint) == "A ⊥ D | C after fixing C"


def test_an_experiment_agrees_with_the_front_door_or_not():
    for direct, passes in ((0.0, True), (0.25, False)):
        tables = [
            cp.DataSource(front_door_rows(4000, 2, direct=direct), name="seen"),
            cp.DataSource(front_door_rows(4000, 3, do=0.5, direct=direct), do=["X"], name="done"),
        ]
        assert bool(cp.check_graph(FRONT_DOOR, tables)) is passes


def test_an_experiment_contradicts_an_observation():
    """X and Y are confounded, which the first graph denies: P(Y | X) is not P(Y | do(X))."""
    tables = [
        cp.DataSource(front_door_rows(4000, 2)[["X", "Y"]], name="seen"),
        cp.DataSource(front_door_rows(4000, 3, do=0.5)[["X", "Y"]], do=["X"], name="done"),
    ]
    found = cp.check_graph(cp.CausalGraph.parse("X -> Y"), tables)
    assert [result.kind for result in found.failed] == ["experiment"]
    assert cp.check_graph(cp.CausalGraph.parse("X -> Y; X <-> Y"), tables)


def test_a_pair_that_nothing_is_implied_about():
    rows = front_door_rows(2000, 4).rename(columns={"X": "Z", "M": "X"})
    instrument = cp.CausalGraph.parse("Z -> X -> Y; X <-> Y")
    assert cp.check_graph(instrument, rows).untested == (("Z", "Y"),)


@pytest.mark.parametrize("kind", KINDS)
def test_true_graphs_pass_and_a_removed_arrow_is_seen(kind):
    count = 50 if EXHAUSTIVE else 3
    passed = 0
    for seed in range(count):
        graph = random_graph(np.random.default_rng(seed))
        passed += bool(cp.check_graph(graph, rows_of(graph, kind, 2000, seed, seed)))
    assert passed >= 0.93 * count
    full = cp.CausalGraph.parse("A -> B -> C; A -> C; C -> D")
    lacking = cp.CausalGraph.parse("A -> B -> C; C -> D")
    assert not cp.check_graph(lacking, rows_of(full, kind, 2000, 0, 0))


def test_constraints_are_m_separations():
    random = np.random.default_rng(5)
    for _ in range(20):
        graph = random_graph(random)
        constraints, silent = implied_constraints(graph, most_fixed=1)
        joined = {frozenset(edge) for edge in (*graph.directed, *graph.bidirected)}
        pairs = len(graph.variables) * (len(graph.variables) - 1) // 2
        assert len(constraints) + len(silent) + len(joined) == pairs
        for constraint in constraints:
            if not constraint.fixed:
                assert graph.m_separated(constraint.x, constraint.y, constraint.given)
                for name in constraint.given:
                    rest = set(constraint.given) - {name}
                    assert not graph.m_separated(constraint.x, constraint.y, rest)


def test_strata_as_the_literature_has_them():
    """One stratum of a two by two table: Pearson's statistic times (n - 1) / n."""
    random = np.random.default_rng(6)
    x = coin(random, np.full(400, 0.4))
    y = coin(random, 0.3 + 0.1 * x)
    columns = {"X": column_of("X", x), "Y": column_of("Y", y)}
    found = IndependenceTests(columns).compare("X", "Y", [])
    table = pd.crosstab(x, y).to_numpy()
    statistic = stats.chi2_contingency(table, correction=False).statistic * 399 / 400
    assert found.p_value == pytest.approx(stats.chi2.sf(statistic, 1), rel=1e-9)
    assert found.association == pytest.approx(np.sqrt(statistic / 400))


def test_p_values_are_uniform_where_the_dependence_on_what_is_given_is_bent():
    p_values = []
    for seed in range(200 if EXHAUSTIVE else 40):
        random = np.random.default_rng(seed)
        z = random.normal(size=1000)
        x, y = np.sin(2 * z) + random.normal(size=1000), z**2 + random.normal(size=1000)
        columns = {name: column_of(name, v) for name, v in (("X", x), ("Y", y), ("Z", z))}
        p_values.append(IndependenceTests(columns).compare("X", "Y", ["Z"]).p_value)
    assert np.mean(np.array(p_values) < 0.1) < (0.15 if EXHAUSTIVE else 0.25)


def test_a_dependence_of_spread_is_seen():
    random = np.random.default_rng(7)
    x = random.normal(size=2000)
    rows = {"X": x, "Y": x * random.normal(size=2000)}
    assert not cp.check_graph(cp.CausalGraph.from_edges(variables=["X", "Y"]), rows)


def test_an_image_is_projected_out_or_read_by_its_encoder():
    random = np.random.default_rng(8)
    x = coin(random, np.full(800, 0.5))
    images = x[:, None, None, None] + random.normal(size=(800, 1, 4, 4))
    rows = {"X": x, "I": images, "Y": coin(random, 0.2 + 0.5 * x)}
    graph = cp.CausalGraph.parse("X -> I; Y")
    plain = cp.check_graph(graph, rows)
    assert [str(result.constraint) for result in plain.failed] == ["X ⊥ Y"]
    assert any("encoder" in note for note in plain.notes)
    found = cp.check_graph(graph, rows, encoders={"I": lambda i: i.mean((1, 2, 3))[:, None]})
    assert {str(result.constraint) for result in found.failed} == {"X ⊥ Y", "I ⊥ Y"}


def test_it_is_drawn_and_written():
    random = np.random.default_rng(9)
    x = random.normal(size=300)
    found = cp.check_graph(CHAIN, {"X": x, "Z": random.normal(size=300), "Y": x})
    assert found.plot().axes
    assert found.to_dict()["passed"] is False


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"X": [1.0, np.nan] * 30, "Y": [0, 1] * 30, "Z": [0, 1] * 30}, "missing values"),
        ({"X": [0, 1], "Y": [0, 1], "Z": [1, 0]}, "the table has 2"),
        ({"Q": [0, 1]}, "none of the columns Q"),
    ],
)
def test_rows_that_cannot_be_used(rows, message):
    with pytest.raises(DataError, match=message):
        cp.check_graph(CHAIN, rows)


def test_it_loads_no_torch():
    code = (
        "import sys, numpy as np, causalplug as cp\n"
        "r = np.random.default_rng(0)\n"
        "g = cp.CausalGraph.parse('X -> Y')\n"
        "cp.check_graph(g, {'X': r.normal(size=99), 'Y': r.normal(size=99)})\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
