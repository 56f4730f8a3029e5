"""Estimands: their text, and their values on exact tables against exact models.

CAUSALPLUG_EXHAUSTIVE=1 runs the long version (2,000 random cases of up to 7 variables).
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from causalplug.errors import DataError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.identification.estimand import Estimand
from causalplug.identification.evaluate import evaluate
from causalplug.identification.identification import identify
from causalplug.identification.tables import Table
from tests.random_cases import random_case
from tests.scm import exact_tables, random_scm

EXHAUSTIVE = os.environ.get("CAUSALPLUG_EXHAUSTIVE") == "1"
CASES = 2000 if EXHAUSTIVE else 400


def _estimand(graph: str, query: str, *sources: Source, **options: object) -> Estimand:
    estimand = identify(CausalGraph.parse(graph), query, list(sources) or None, **options).estimand
    assert estimand is not None
    return estimand


FORMULAS = {
    ("X -> Y", "P(Y | X=1)"): "P(y | X=1)",
    ("X -> Y", "P(Y=1 | do(X))"): "P(Y=1 | x)",
    ("Z -> X -> Y; Z -> Y", "P(Y | do(X=1))"): "Σ_{z} P(z) P(y | z, X=1)",
    ("D -> I -> A; D <-> A", "P(A | do(D))"): "Σ_{i} P(i | d) Σ_{d'} P(d') P(a | d', i)",
    ("D -> I -> A; D <-> A", "P(A=1 | do(D=0))"): "Σ_{i} P(i | D=0) Σ_{d} P(d) P(A=1 | d, i)",
    ("X -> Y; X <-> Z <-> Y", "P(Y | do(X))"): "P(y | x)",
    (
        "A -> B -> C -> D; B <-> D",
        "P(D | do(C))",
    ): "(Σ_{b} P(b | a) P(d | a, b, c)) (the same for every a)",
    ("W -> Z -> X -> Y; W <-> X; W <-> Y", "P(Y | do(X))"): (
        "[Σ_{w} P(w) P(x | w, z) P(y | w, z, x)] / [Σ_{y', w} P(w) P(x | w, z) P(y' | w, z, x)] "
        "(the same for every z)"
    ),
    ("X -> M -> Y; X -> Y", "P(Y_{X=1, M_{X=0}})"): "Σ_{m} P(m | X=0) P(y | X=1, m)",
    ("X -> Y", "ATE(Y, X)"): "Σ_{y} y P(y | X=1) - Σ_{y} y P(y | X=0)",
    ("X -> Y", "P(Y=1 | Y=0)"): "0",
    ("X -> Y; Z", "P(Y_{Z=1} | Y=0)"): "1[y is Y=0]",
}


@pytest.mark.parametrize(("graph", "query"), FORMULAS)
def test_classical_formulas(graph: str, query: str) -> None:
    assert str(_estimand(graph, query)) == FORMULAS[graph, query]


def test_formulas_of_several_sources_are_numbered() -> None:
    sources = [Source(["PKA", "Mek", "Erk"]), Source(["Mek"], {"PKA": 2}, name="experiment")]
    estimand = _estimand(
        "PKA -> Mek -> Erk; PKA -> Erk; PKA <-> Mek", "P(Erk | do(PKA=2))", *sources
    )
    assert str(estimand) == (
        "Σ_{mek} P_2(mek | do(PKA=2)) P_1(erk | PKA=2, mek)   with P_1: P(Erk, Mek, PKA), P_2: "
        "experiment"
    )
    assert estimand.to_latex() == (
        "\\sum_{\\mathit{mek}} P_{2}(\\mathit{mek} \\mid \\mathrm{do}(\\mathit{PKA}=2)) "
        "P_{1}(\\mathit{erk} \\mid \\mathit{PKA}=2, \\mathit{mek})"
    )


def test_latex() -> None:
    front = _estimand("D -> I -> A; D <-> A", "P(A | do(D))")
    assert front.to_latex() == "\\sum_{i} P(i \\mid d) \\sum_{d'} P(d') P(a \\mid d', i)"
    assert front._repr_latex_().startswith("$\\displaystyle")
    ratio = _estimand("W -> Z -> X -> Y; W <-> X; W <-> Y", "P(Y | do(X))")
    assert ratio.to_latex().startswith("\\frac{\\sum_{w} P(w)")
    # Names that differ in case only keep it.
    assert str(_estimand("x -> X", "P(X | x)")) == "P(X | x)"


# --- values ---


def test_random_estimands_equal_the_truth() -> None:
    """Exact tables in, exact answer out: all layers, conditional, several sources, limited
    values, partial data."""
    largest, checked, layers = 0.0, 0, {1: 0, 2: 0, 3: 0}
    i = 0
    while checked < CASES:
        i += 1
        case = random_case(
            np.random.default_rng([51, i]), n=(3, 7 if EXHAUSTIVE or i % 4 == 0 else 5)
        )
        result = identify(case.graph, case.query, case.sources, domains=case.domains)
        if not result:
            continue
        scm = random_scm(case.graph, case.cardinality, i)
        truth = scm.probability(case.query)
        estimate = evaluate(
            result.estimand, exact_tables(scm, case.sources), categories=case.domains
        )
        assert estimate.values.shape == truth.shape, str(case)
        assert (np.isnan(truth) == np.isnan(estimate.values)).all(), str(case)
        error = np.nanmax(np.abs(truth - estimate.values), initial=0.0)
        assert error < 1e-9, str(case)
        largest, checked = max(largest, error), checked + 1
        layers[case.query.layer] += 1
    print(f"{checked} estimands, largest error {largest:.1e}, by layer {layers}")
    assert min(layers.values()) > CASES / 20


def test_contrasts_and_expectations() -> None:
    graph = CausalGraph.parse("X -> M -> Y; X -> Y; X <-> M; Z -> Y")
    sources = [Source(graph.variables), Source(["M"], ["X"], name="trial")]
    for seed in range(5):
        scm = random_scm(graph, 3, seed)
        tables = exact_tables(scm, sources)
        for query in (
            "ATE(Y, X=2 vs 0)",
            "ATE(Y, X | Z=1)",
            "2 * P(Y | do(X=1)) - P(Y | do(X=0), Z=2)",
            "E[Y | X]",
        ):
            estimate = evaluate(identify(graph, query, sources).estimand, tables)
            assert np.allclose(estimate.values, scm.probability(query), atol=1e-12)
    assert float(evaluate(identify(graph, "ATE(Y, X)", sources).estimand, tables)) == pytest.approx(
        float(scm.probability("ATE(Y, X)")), abs=1e-12
    )


def test_different_sources_for_different_values() -> None:
    graph = CausalGraph.parse("X -> Y; X <-> Y; Z -> Y")
    sources = [
        Source(["Y", "Z"], {"X": 0}, name="a"),
        Source(["Y"], {"X": 1, "Z": None}, name="b"),
        Source(graph.variables, name="c"),
    ]
    scm = random_scm(graph, 2, 4)
    for query in ("P(Y | do(X))", "P(Y=1 | do(X=1))", "ATE(Y, X)", "P(Y | do(X), Z)"):
        result = identify(graph, query, sources, domains={"X": (0, 1)})
        estimate = evaluate(result.estimand, exact_tables(scm, sources))
        assert np.allclose(estimate.values, scm.probability(query), atol=1e-12)
    by_name = dict(zip("abc", exact_tables(scm, sources), strict=True))
    assert np.allclose(
        evaluate(result.estimand, by_name).values, scm.probability(query), atol=1e-12
    )


def test_plug_in_on_rows_approaches_the_truth() -> None:
    pd = pytest.importorskip("pandas")
    graph = CausalGraph.parse("D -> I -> A; D <-> A")
    scm = random_scm(graph, {"D": 2, "I": 3, "A": 2}, 27, types=1)
    rows = pd.DataFrame(scm.sample(200_000, seed=1))
    rows["A"] = rows["A"].map({0: "red", 1: "blue"})
    estimand = identify(graph, "P(A | do(D=1))").estimand
    estimate = evaluate(estimand, rows)
    assert estimate.axes == ("A",)
    assert estimate.categories == (("blue", "red"),)
    truth = scm.probability("P(A | do(D=1))")
    assert abs(estimate[{"A": "red"}] - truth[0]) < 0.01
    assert abs(scm.probability("P(A=0 | D=1)") - truth[0]) > 0.1  # the naive answer is another one
    assert float(estimate.to_frame()["red"]) == estimate[{"A": "red"}]
    assert np.allclose(
        evaluate(estimand, {k: rows[k].to_numpy() for k in rows}).values, estimate.values
    )
    ordered = evaluate(estimand, rows, categories={"A": ["red", "blue"]})
    assert np.allclose(ordered.values, estimate.values[::-1])


def test_cells_without_rows() -> None:
    graph = CausalGraph.parse("Z -> X -> Y; Z -> Y")
    rows = {"Z": [0, 0, 0, 1, 1], "X": [0, 1, 1, 0, 0], "Y": [0, 1, 0, 1, 1]}
    effect = identify(graph, "P(Y=1 | do(X=1))").estimand
    missing = evaluate(effect, rows)
    assert np.isnan(float(missing))
    assert missing.unsupported == ("no rows with Z=1, X=1",)
    # A cell that is multiplied by zero does no harm.
    assert float(evaluate(effect, {k: v[:3] for k, v in rows.items()})) == 0.5
    fine = evaluate(identify(graph, "P(Y=1 | do(X=0))").estimand, rows)
    assert float(fine) == pytest.approx(3 / 5 * 0 + 2 / 5 * 1)
    assert fine.unsupported == ()
    # Evidence that never occurs, and a value that no row has.
    never = evaluate(identify(graph, "P(Y | X=1, Z=1)").estimand, rows)
    assert np.isnan(never.values).all()
    assert never.unsupported
    unknown = evaluate(identify(graph, "P(Y=1 | do(X=7))").estimand, rows)
    assert np.isnan(float(unknown))
    assert "no rows with Z=0, X=7" in unknown.unsupported
    assert float(evaluate(identify(graph, "P(Y=9)").estimand, rows)) == 0


def test_bad_tables() -> None:
    graph = CausalGraph.parse("Z -> X -> Y; Z -> Y")
    effect = identify(graph, "P(Y=1 | do(X=1))").estimand
    with pytest.raises(DataError, match="no column Z"):
        evaluate(effect, {"X": [0, 1], "Y": [0, 1]})
    with pytest.raises(DataError, match="2 tables for the 1 sources"):
        evaluate(effect, [{"X": [0]}, {"X": [0]}])
    with pytest.raises(DataError, match="give a DataFrame"):
        evaluate(effect, 3)
    with pytest.raises(DataError, match="differ in length"):
        Table.from_rows({"X": [0, 1], "Y": [0]})
    with pytest.raises(DataError, match="missing values"):
        Table.from_rows({"X": [0.0, float("nan")]})
    with pytest.raises(DataError, match="no column W"):
        Table.from_rows({"X": [0]}, ["W"])
    with pytest.raises(DataError, match="not among"):
        Table.from_rows({"X": [0, 3]}, categories={"X": [0, 1]})
    with pytest.raises(DataError, match="one value per row"):
        Table.from_rows({"X": np.zeros((2, 2))})
    with pytest.raises(DataError, match="axes for the variables"):
        Table.from_array(["X"], np.ones((2, 2)) / 4)
    with pytest.raises(DataError, match="not numbers"):
        evaluate(identify(graph, "E[Y]").estimand, {"Z": [0], "X": [0], "Y": ["red"]})
    with pytest.raises(DataError, match="its axes are Y"):
        evaluate(identify(graph, "P(Y)").estimand, {"Z": [0], "X": [0], "Y": [1]})[{"X": 0}]
    with pytest.raises(DataError, match="indexed by different"):
        evaluate(identify(graph, "P(Y) - P(X)").estimand, {"Z": [0], "X": [0], "Y": [1]})
    alone = CausalGraph.parse("X -> Y; Z")
    with pytest.raises(DataError, match="values are not known"):
        evaluate(
            identify(alone, "P(Y | X, Z)", [Source(["X", "Y"])]).estimand, {"X": [1], "Y": [0]}
        )
