"""Bounds against the closed forms of the literature, exact random models and random search."""

import contextlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalplug as cp
from causalplug.errors import DataError, QueryError
from causalplug.identification.tables import Table
from tests.random_cases import random_case
from tests.scm import exact_tables, random_scm

BOW = cp.CausalGraph.parse("X -> Y; X <-> Y")
IV = cp.CausalGraph.parse("Z -> X -> Y; X <-> Y")
BOTH = [cp.Source(["X", "Y"]), cp.Source(["X", "Y"], do=["X"])]
LATE = "P(Y_{X=1}=1 | X_{Z=1}=1, X_{Z=0}=0) - P(Y_{X=0}=1 | X_{Z=1}=1, X_{Z=0}=0)"
EXHAUSTIVE = os.environ.get("CAUSALPLUG_EXHAUSTIVE") == "1"


def response(function, argument):
    return (function >> argument) & 1


def bow_model(rng, allowed=(0, 1, 2, 3)):
    """P(X, Y) and P(Y | do(X)) of a random model whose responses are among ``allowed``."""
    types = rng.dirichlet(np.full(8, 0.5)).reshape(2, 4)
    types[:, [r for r in range(4) if r not in allowed]] = 0
    types /= types.sum()
    seen, done = np.zeros((2, 2)), np.zeros((2, 2))
    for x, r in itertools.product(range(2), range(4)):
        seen[x, response(r, x)] += types[x, r]
        for v in range(2):
            done[v, response(r, v)] += types[x, r]
    return seen, done


def instrument_model(rng, allowed=(0, 1, 2, 3)):
    """P(y, x | z) of a random instrument, and the types of X (rows) and Y (columns)."""
    types = rng.dirichlet(np.full(16, 0.3)).reshape(4, 4)
    types[[r for r in range(4) if r not in allowed]] = 0
    types /= types.sum()
    p = np.zeros((2, 2, 2))
    for rx, ry, z in itertools.product(range(4), range(4), range(2)):
        x = response(rx, z)
        p[response(ry, x), x, z] += types[rx, ry]
    return p, types


def joint_of(p, share=0.4):
    return np.einsum("yxz,z->zxy", p, np.array([1 - share, share]))


def balke_pearl(p):
    """Bounds of the average effect (Balke & Pearl 1997, equations 8 and 9); p[y, x, z]."""
    q = {f"{y}{x}.{z}": p[y, x, z] for y, x, z in itertools.product(range(2), repeat=3)}
    low = max(
        q["11.1"] + q["00.0"] - 1,
        q["11.0"] + q["00.1"] - 1,
        q["11.0"] - q["11.1"] - q["10.1"] - q["01.0"] - q["10.0"],
        q["11.1"] - q["11.0"] - q["10.0"] - q["01.1"] - q["10.1"],
        -q["01.1"] - q["10.1"],
        -q["01.0"] - q["10.0"],
        q["00.1"] - q["01.1"] - q["10.1"] - q["01.0"] - q["00.0"],
        q["00.0"] - q["01.0"] - q["10.0"] - q["01.1"] - q["00.1"],
    )
    high = min(
        1 - q["01.1"] - q["10.0"],
        1 - q["01.0"] - q["10.1"],
        -q["01.0"] + q["01.1"] + q["00.1"] + q["11.0"] + q["00.0"],
        -q["01.1"] + q["11.1"] + q["00.1"] + q["01.0"] + q["00.0"],
        q["11.1"] + q["00.1"],
        q["11.0"] + q["00.0"],
        -q["10.1"] + q["11.1"] + q["00.1"] + q["11.0"] + q["10.0"],
        -q["10.0"] + q["11.0"] + q["00.0"] + q["11.1"] + q["10.1"],
    )
    return low, high


def test_instrument_as_balke_and_pearl():
    rng = np.random.default_rng(0)
    for _ in range(20):
        p, _ = instrument_model(rng)
        found = cp.bounds(IV, "ATE(Y, X)", joint_of(p))
        assert (found.low, found.high) == pytest.approx(balke_pearl(p), abs=1e-6)
        assert found.sharp


def test_bow_as_manski():
    seen, _ = bow_model(np.random.default_rng(1))
    found = cp.bounds(BOW, "P(Y=1 | do(X))", seen)
    for x, low, high in found.table[["do(X)", "low", "high"]].itertuples(index=False):
        assert low == pytest.approx(seen[x, 1], abs=1e-6)
        assert high == pytest.approx(seen[x, 1] + 1 - seen[x].sum(), abs=1e-6)


def test_necessity_and_sufficiency_as_tian_and_pearl():
    rng = np.random.default_rng(2)
    for _ in range(8):
        seen, done = bow_model(rng)
        data = [seen, Table.from_array(["X", "Y"], done)]
        y, y1, y0 = seen[:, 1].sum(), done[1, 1], done[0, 1]
        right = {
            "PNS(Y, X)": (
                max(0, y1 - y0, y - y0, y1 - y),
                min(y1, 1 - y0, seen[1, 1] + seen[0, 0], y1 - y0 + seen[1, 0] + seen[0, 1]),
            ),
            "PN(Y, X)": (
                max(0, (y - y0) / seen[1, 1]),
                min(1, (1 - y0 - seen[0, 0]) / seen[1, 1]),
            ),
            "PS(Y, X)": (
                max(0, (y1 - y) / seen[0, 0]),
                min(1, (y1 - seen[1, 1]) / seen[0, 0]),
            ),
        }
        for query, ends in right.items():
            found = cp.bounds(BOW, query, data, sources=BOTH)
            assert (found.low, found.high) == pytest.approx(ends, abs=1e-6), query
            assert found.sharp


def test_effect_on_the_treated_by_subtraction():
    seen, done = bow_model(np.random.default_rng(3))
    data = [seen, Table.from_array(["X", "Y"], done)]
    found = cp.bounds(BOW, "ETT(Y, X)", data, sources=BOTH)
    right = (seen[1, 1] - (done[0, 1] - seen[0, 1])) / seen[1].sum()
    assert found.status == "identified"
    assert found.low == pytest.approx(right, abs=1e-6)


def test_monotone_effects_determine_necessity_and_sufficiency():
    seen, done = bow_model(np.random.default_rng(4), allowed=(0, 2, 3))
    data = [seen, Table.from_array(["X", "Y"], done)]
    free = cp.bounds(BOW, "PNS(Y, X)", data, sources=BOTH)
    found = cp.bounds(BOW, "PNS(Y, X)", data, sources=BOTH, assume=cp.Assume("monotone", "X", "Y"))
    assert found.low == pytest.approx(done[1, 1] - done[0, 1], abs=1e-6)
    assert found.high == pytest.approx(found.low, abs=1e-7)
    assert free.low - 1e-9 <= found.low < free.high
    assert "monotone X -> Y" in str(found)


def test_the_local_effect_needs_monotonicity():
    p, _ = instrument_model(np.random.default_rng(5), allowed=(0, 2, 3))
    wald = (p[1, :, 1].sum() - p[1, :, 0].sum()) / (p[:, 1, 1].sum() - p[:, 1, 0].sum())
    assumed = cp.bounds(IV, LATE, joint_of(p), assume=cp.Assume("monotone", cause="Z", effect="X"))
    assert assumed.low == pytest.approx(wald, abs=1e-6)
    assert assumed.high == pytest.approx(wald, abs=1e-6)
    free = cp.bounds(IV, LATE, joint_of(p))
    assert free.high - free.low > 1e-3


def test_an_additive_effect_is_walds_ratio():
    rng = np.random.default_rng(6)
    share, base, effect = rng.dirichlet(np.ones(4)), rng.uniform(0.1, 0.6, 4), 0.3
    p = np.zeros((2, 2, 2))
    for r, z in itertools.product(range(4), range(2)):
        x = response(r, z)
        p[1, x, z] += share[r] * (base[r] + effect * x)
        p[0, x, z] += share[r] * (1 - base[r] - effect * x)
    assumed = cp.Assume("additive", cause="X", effect="Y")
    found = cp.bounds(IV, "ATE(Y, X)", joint_of(p), assume=assumed)
    assert (found.low, found.high) == pytest.approx((effect, effect), abs=1e-6)


def test_a_contradicted_assumption_is_an_error():
    seen, done = bow_model(np.random.default_rng(7), allowed=(1,))
    data = [seen, Table.from_array(["X", "Y"], done)]
    with pytest.raises(DataError, match="and the assumptions has these distributions"):
        cp.bounds(BOW, "PNS(Y, X)", data, sources=BOTH, assume=cp.Assume("monotone", "X", "Y"))


def test_distributions_that_no_instrument_has():
    p = np.zeros((2, 2, 2))
    p[1, 0, 0] = p[0, 0, 1] = 1.0  # X never moves, and Y follows Z: Z acts on Y directly
    with pytest.raises(DataError, match="no model of the graph"):
        cp.bounds(IV, "ATE(Y, X)", joint_of(p))


@pytest.mark.parametrize("seed", range(200 if EXHAUSTIVE else 25))
def test_the_truth_of_a_random_model_lies_inside(seed):
    case = random_case(np.random.default_rng(seed))
    scm = random_scm(case.graph, cardinalities=case.cardinality, seed=seed)
    tables = exact_tables(scm, case.sources)
    options = {
        "sources": case.sources,
        "domains": case.domains,
        "nodes": 100,
        "most_unknowns": 5000,
    }
    with contextlib.suppress(QueryError):
        check_truth(case, scm, cp.bounds(case.graph, case.query, tables, **options))


def check_truth(case, scm, found):
    truth = np.asarray(scm.probability(case.query)).ravel()
    known = ~np.isnan(truth)
    assert (found.lows[known] <= truth[known] + 1e-6).all()
    assert (found.highs[known] >= truth[known] - 1e-6).all()
    if found.identification.estimand is not None and found.sharp:
        assert np.allclose(found.lows, found.highs, atol=1e-5, equal_nan=True)


def test_random_search_reaches_both_ends_and_no_further():
    """Models with the same P(V): a start, and steps in the directions that leave it alone."""
    rng = np.random.default_rng(8)
    p, types = instrument_model(rng)
    found = cp.bounds(IV, "ATE(Y, X)", joint_of(p))
    rows, effect = [], np.zeros(16)
    for y, x, z in itertools.product(range(2), repeat=3):
        line = np.zeros((4, 4))
        for rx, ry in itertools.product(range(4), repeat=2):
            line[rx, ry] = response(rx, z) == x and response(ry, x) == y
        rows.append(line.ravel())
    for rx, ry in itertools.product(range(4), repeat=2):
        effect[4 * rx + ry] = response(ry, 1) - response(ry, 0)
    free = np.linalg.svd(np.array(rows))[2][np.linalg.matrix_rank(np.array(rows)) :]
    reached = []
    for _ in range(40):
        q = types.ravel().copy()
        for _ in range(60):
            step = free.T @ rng.normal(size=len(free))
            step *= np.sign(step @ effect) * rng.choice([-1, 1])
            room = np.where(step < 0, q / np.where(step < 0, -step, 1), np.inf)
            q = np.maximum(q + rng.random() * room.min() * step, 0)
        reached.append(q @ effect)
    assert found.low - 1e-6 <= min(reached)
    assert max(reached) <= found.high + 1e-6


def test_a_product_of_two_unknown_components():
    """P(Y_{X=1}=1, Y_{X=0}=0) through a mediator: neither joint response is determined."""
    graph = cp.CausalGraph.parse("X -> M -> Y")
    scm = random_scm(graph, seed=3)
    found = cp.bounds(graph, "PNS(Y, X)", exact_tables(scm, [cp.Source(["X", "M", "Y"])])[0])
    m, y = (scm.joint(do={name: 1}) for name in ("X", "M"))
    m = np.array([scm.joint({"X": x}, ["M"])[1] for x in range(2)])
    y = np.array([scm.joint({"M": x}, ["Y"])[1] for x in range(2)])

    def ends(one, zero):
        return max(0.0, one - zero), min(one, 1 - zero)

    up, down = ends(m[1], m[0]), ends(m[0], m[1])
    rise, fall = ends(y[1], y[0]), ends(y[0], y[1])
    # P(M rises) - P(M falls) is known, and so is P(Y rises) - P(Y falls): one unknown each.
    grid = [
        (up[0] + a) * (rise[0] + b) + (down[0] + a) * (fall[0] + b)
        for a in (0, up[1] - up[0])
        for b in (0, rise[1] - rise[0])
    ]
    assert (found.low, found.high) == pytest.approx((min(grid), max(grid)), abs=1e-6)
    assert found.sharp


def test_a_continuous_outcome_is_bounded_by_its_range():
    rng = np.random.default_rng(9)
    x = rng.integers(0, 2, 500)
    y = rng.random(500) / 2 + x / 4
    rows = pd.DataFrame({"X": x, "Y": y})
    found = cp.bounds(BOW, "E[Y | do(X=1)]", rows, ranges={"Y": (0, 1)})
    seen = (x * y).mean()
    assert (found.low, found.high) == pytest.approx((seen, seen + 1 - x.mean()), abs=1e-6)
    with pytest.raises(DataError, match="not discrete"):
        cp.bounds(BOW, "P(Y=1 | do(X=1))", rows)


def test_what_is_not_discrete_is_projected_out():
    graph = cp.CausalGraph.parse("X -> M -> Y; X <-> Y")
    rng = np.random.default_rng(10)
    rows = pd.DataFrame({"X": rng.integers(0, 2, 400), "M": rng.normal(size=400)})
    rows["Y"] = rng.integers(0, 2, 400)
    found = cp.bounds(graph, "P(Y=1 | do(X=1))", rows)
    bow = cp.bounds(BOW, "P(Y=1 | do(X=1))", rows[["X", "Y"]])
    assert (found.low, found.high) == pytest.approx((bow.low, bow.high), abs=1e-9)
    assert any("M is not discrete" in note for note in found.notes)
    by_class = cp.bounds(graph, "P(Y=1 | do(X=1))", rows, encoders={"M": lambda m: (m > 0) * 1})
    assert by_class.high - by_class.low < 1e-9


def test_forms_of_data_give_the_same():
    rng = np.random.default_rng(11)
    rows = pd.DataFrame({"X": rng.integers(0, 2, 300), "Y": rng.integers(0, 2, 300)})
    share = rows.value_counts(normalize=True)
    forms = [
        rows,
        {name: rows[name].to_numpy() for name in rows},
        cp.DataSource(rows),
        share,
        share.sort_index().to_numpy().reshape(2, 2),
    ]
    found = [cp.bounds(BOW, "ATE(Y, X)", form, resamples=50) for form in forms]
    assert [b.low for b in found] == pytest.approx([found[0].low] * 5)
    assert [b.interval() == (b.low, b.high) for b in found] == [False, False, False, True, True]


def test_intervals_cover():
    rng = np.random.default_rng(12)
    p, _ = instrument_model(rng)
    flat = joint_of(p, 0.5).ravel()
    low, high = balke_pearl(p)
    covered = 0
    for seed in range(200 if EXHAUSTIVE else 6):
        cells = np.repeat(np.arange(8), np.random.default_rng(seed).multinomial(500, flat))
        z, x, y = np.unravel_index(cells, (2, 2, 2))
        rows = pd.DataFrame({"Z": z, "X": x, "Y": y})
        ends = cp.bounds(IV, "ATE(Y, X)", rows, resamples=300).interval(0.95)
        covered += ends[0] <= low and high <= ends[1]
    assert covered >= (186 if EXHAUSTIVE else 5)


def test_a_program_that_is_too_large_is_refused_with_its_size():
    graph = cp.CausalGraph.parse("A, B, C, D -> X -> Y; X <-> Y; A, B, C, D -> Y")
    rng = np.random.default_rng(13)
    rows = {name: rng.integers(0, 3, 200) for name in "ABCDXY"}
    with pytest.raises(QueryError, match=r"10\^\d+ response types"):
        cp.bounds(graph, "ATE(Y, X)", rows)


def test_open_values_make_a_table():
    seen, _ = bow_model(np.random.default_rng(14))
    found = cp.bounds(BOW, "P(Y | do(X))", seen)
    assert list(found.table.columns) == ["Y", "do(X)", "low", "high"]
    assert len(found.table) == 4
    with pytest.raises(QueryError, match="look into"):
        found.low  # noqa: B018


@pytest.mark.parametrize(
    ("assumption", "message"),
    [
        (lambda: cp.Assume("monoton", "X", "Y"), "did you mean"),
        (lambda: cp.bounds(IV, "ATE(Y, X)", np.ones((2, 2, 2)) / 8, assume=["monotone"]), "is not"),
        (
            lambda: cp.bounds(
                IV, "ATE(Y, X)", np.ones((2, 2, 2)) / 8, assume=cp.Assume("monotone", "Z", "Y")
            ),
            "no arrow Z -> Y",
        ),
    ],
)
def test_assumptions_are_checked(assumption, message):
    with pytest.raises(QueryError, match=message):
        assumption()


def test_bounds_load_no_torch():
    code = (
        "import sys, numpy as np, causalplug as cp\n"
        "g = cp.CausalGraph.parse('X -> Y; X <-> Y')\n"
        "cp.bounds(g, 'ATE(Y, X)', np.full((2, 2), 0.25))\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ranges_of_values_are_sums():
    rng = np.random.default_rng(15)
    seen = rng.dirichlet(np.ones(6)).reshape(2, 3)
    found = cp.bounds(BOW, "P(Y>=1 | do(X=1))", seen)
    right = seen[1, 1:].sum(), seen[1, 1:].sum() + seen[0].sum()
    assert (found.low, found.high) == pytest.approx(right, abs=1e-6)


BACK_DOOR = cp.CausalGraph.parse("X, W -> T; X, W -> Y; T -> Y")


def back_door_rows(n, seed, *, overlap):
    """Units with X < 0 never get the treatment where there is no overlap; its effect is 1 + X."""
    random = np.random.default_rng(seed)
    x, w = random.normal(size=n), random.integers(0, 2, n)
    chance = 0.3 + 0.4 * w if overlap else (0.3 + 0.4 * w) * (x > 0)
    t = (random.random(n) < chance).astype(int)
    y = x + w + (1 + x) * t + random.normal(size=n)
    return pd.DataFrame({"X": x, "W": w, "T": t, "Y": y})


def test_with_overlap_a_back_door_effect_is_a_point():
    found = cp.bounds(BACK_DOOR, "ATE(Y, T)", back_door_rows(3000, 0, overlap=True))
    low, high = found.interval()
    assert found.high - found.low < 0.4
    assert low <= 1 <= high
    assert high - low < 0.8


def test_without_overlap_the_range_of_the_outcome_bounds_it():
    rows = back_door_rows(3000, 1, overlap=False)
    found = cp.bounds(BACK_DOOR, "ATE(Y, T)", rows, ranges={"Y": (-8, 12)})
    note = next(note for note in found.notes if "no support" in note)
    assert "T=1" in note
    share = float(note.split("on ")[1].split("%")[0]) / 100
    assert share == pytest.approx(0.5, abs=0.12)
    assert found.high - found.low == pytest.approx(20 * share, rel=0.1)
    assert found.low <= 1 <= found.high
    treated = cp.bounds(BACK_DOOR, "ETT(Y, T)", rows)
    low, high = treated.interval()
    assert low <= 1 + np.sqrt(2 / np.pi) <= high
    assert treated.high - treated.low < 1


REAL_CAUSE = Path(__file__).parents[2].parent / "shared" / "data" / "realcause"


@pytest.mark.skipif(not REAL_CAUSE.exists(), reason="the shared files are not here")
@pytest.mark.parametrize("number", range(5) if EXHAUSTIVE else [0])
def test_effects_on_real_covariates(number):
    rows = pd.read_csv(REAL_CAUSE / f"lalonde_psid_sample{number}.csv.gz")
    covariates = [name for name in rows if name not in ("t", "y", "y0", "y1", "ite")]
    edges = [(name, end) for name in covariates for end in "ty"]
    graph = cp.CausalGraph.from_edges([*edges, ("t", "y")])
    found = cp.bounds(graph, "ATE(y, t)", rows[[*covariates, "t", "y"]])
    assert found.low <= rows.ite.mean() <= found.high
    assert any("t=1 has no support" in note for note in found.notes)


def test_values_that_never_occur_are_refused_unless_they_are_declared():
    rows = {"X": ["no", "yes"] * 50, "Y": ["low", "high", "high", "high"] * 25}
    graph = cp.CausalGraph.parse("X -> Y; X <-> Y")
    with pytest.raises(DataError, match=r"X=0 never occurs; X has the values no, yes.*X=yes vs no"):
        cp.bounds(graph, "ATE(Y=high, X)", rows)
    with pytest.raises(DataError, match="Y=hihg never occurs"):
        cp.bounds(graph, "P(Y=hihg | do(X=yes))", rows)
    declared = {"X": ["no", "maybe", "yes"]}
    found = cp.bounds(graph, "P(Y=high | do(X=maybe))", rows, domains=declared)
    assert (found.low, found.high) == (pytest.approx(0), pytest.approx(1))


@pytest.mark.parametrize(
    "query", ["P(Y_{X=1}=1 | X=1, Y=0)", "P(Y_{X=1}=1 | X=1)", "P(Y_{X=0}=1 | X=1)"]
)
def test_evidence_that_never_occurs_leaves_nothing_to_bound(query):
    graph = cp.CausalGraph.parse("X -> Y; X <-> Y")
    outcome = np.repeat([0, 1], 50)
    both = {"X": [0, 1], "Y": [0, 1]}
    never = cp.bounds(graph, query, {"X": np.zeros(100, int), "Y": outcome}, domains=both)
    assert never.status == "undefined"
    assert np.isnan([never.low, never.high]).all()
    seen = cp.bounds(graph, query, {"X": np.tile([0, 1], 50), "Y": outcome}, domains=both)
    assert seen.status != "undefined"
