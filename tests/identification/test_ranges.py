"""Ranges of values, ratios and values bound by evidence: formulas against exact models."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

import causalplug as cp
from causalplug.graphs.source import as_sources
from causalplug.identification.evaluate import evaluate
from causalplug.identification.query import Query
from tests.attack.mutations import EXHAUSTIVE
from tests.graph_cases import random_admg
from tests.scm import SCM, exact_tables, random_scm

GRAPHS = 200 if EXHAUSTIVE else 25


def value(scm: SCM, text: str) -> tuple[str, np.ndarray | None]:
    found = cp.identify(scm.graph, text)
    assert str(found)
    if not found:
        return found.status, None
    assert found.estimand is not None
    assert found.estimand.to_latex()
    tables = exact_tables(scm, as_sources(scm.graph, None))
    return found.status, evaluate(found.estimand, tables).values


def ranged(scm: SCM, x: str, m: str, y: str, z: str) -> dict[str, np.ndarray]:
    """Questions and their answers, by sums over the joint distribution of an exact model."""
    do = f"do({x}=1)"
    p = scm.probability(f"P({y}, {m} | {do}, {z}=0)")
    w = scm.probability(f"P({y}_{{{x}=1}}, {m} | {x}=0)")
    return {
        f"P({y}>=1 | {do}, {m}<2, {z}=0)": p[1:, :2].sum() / p[:, :2].sum(),
        f"P({y}=1 | {do}, {m}!=1, {z}=0)": p[1, [0, 2]].sum() / p[:, [0, 2]].sum(),
        f"P({y} | {do}, {m}>0, {z}=0)": p[:, 1:].sum(1) / p[:, 1:].sum(),
        f"E[{y} | {do}, {m}>0, {z}=0]": np.arange(3) @ p[:, 1:].sum(1) / p[:, 1:].sum(),
        f"P(1<={y}<2, {m}<1 | {do}, {z}=0)": p[1, 0],
        f"P({y}_{{{x}=1}}<2 | {x}=0, {m}>=1)": w[:2, 1:].sum() / w[:, 1:].sum(),
        f"P({y}>0 | {do}, {y}<2, {z}=0)": p[1].sum() / p[:2].sum(),
        f"P({y}>0 | {do}, {z}=0) / P({y}=0 | {do}, {z}=0)": p[1:].sum() / p[0].sum(),
        f"1 - P({y}=1 | {do}, {z}=0)": 1 - p[1].sum(),
    }


def test_formulas_of_ranges_and_ratios_against_exact_models() -> None:
    counted: Counter[str] = Counter()
    for seed in range(GRAPHS):
        graph = random_admg(seed, 4, 0.5, 0.25)
        names = list(graph.variables)
        Random(seed).shuffle(names)
        scm = random_scm(graph, cardinalities=3, seed=seed)
        for text, truth in ranged(scm, *names).items():
            status, found = value(scm, text)
            counted[status] += 1
            if found is not None:
                assert np.allclose(found, truth, atol=1e-9), (str(graph), text)
    assert counted["identifiable"] > 3 * GRAPHS
    assert counted["not identifiable"] > GRAPHS


def test_values_bound_by_evidence_on_every_graph() -> None:
    checked = 0
    for seed in range(GRAPHS):
        graph = random_admg(seed, 4, 0.5, 0.25)
        names = list(graph.variables)
        Random(seed).shuffle(names)
        x, m, y, z = names
        scm = random_scm(graph, cardinalities=2, seed=seed)
        for text in (
            f"P({y}_{{{m}=$m}} | {m}_{{{x}=0}}=$m)",
            f"P({y}_{{{m}=$m, {x}=1}} | {m}=$m, {z}=0)",
            f"P({y}_{{{m}=$m}}=1 | {m}_{{{x}=0}}=$m, {x}=1)",
            f"P({y}_{{{m}=$m}}, {m}_{{{x}=0}}=$m)",
        ):
            _, found = value(scm, text)
            if found is not None:
                checked += 1
                assert np.allclose(found, scm.probability(text), atol=1e-9), (str(graph), text)
    assert checked > 2 * GRAPHS


def test_a_range_is_refused_where_one_value_is() -> None:
    bow = cp.CausalGraph.parse("X -> Y; X <-> Y")
    found = cp.identify(bow, "P(Y>=1 | do(X=1))")
    assert found.status == "not identifiable"
    assert "X <-> Y" in found.reason
    chain = cp.CausalGraph.parse("X -> M -> Y")
    text = str(cp.identify(chain, "P(Y>0.5 | do(X=1), M<2)").estimand)
    assert text == "[Σ_{y, m} 1[y>0.5] 1[m<2] P(m | X=1) P(y | m)] / [Σ_{m} 1[m<2] P(m | X=1)]"


@pytest.mark.parametrize(
    "text",
    [
        "P(Y>0.5 | do(X=1), M<2)",
        'P(18<=age<65, Y>=3 | Z!="a b")',
        "1 - P(Y=1) / P(Z=1)",
        "P(Y_{X=1}>3 | X=0)",
        "P(-3<Y<=-1)",
        "P(Y=1) - (P(Y=2) - P(Z=1) / P(Y=1))",
        "P(Y=1) / (P(Y=2) / P(Z=1))",
        "(2 * P(Y=1) + P(Y=2)) / P(Z=1)",
    ],
)
def test_texts_are_written_as_they_are_read(text: str) -> None:
    assert str(Query.parse(text)) == text
    assert Query.parse(str(Query.parse(text))) == Query.parse(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("PS(Y)", "it has no treatment; write PS"),
        ("ATE(Y)", "it has no treatment; write ATE"),
        ("NDE(Y, X)", "it has no mediator; write NDE"),
        ("RR(Y)", "it has no treatment"),
        ("ATE(Y, X, Z)", "too many variables"),
        ("P(Y | do(X=nan))", "nan is no number"),
        ("P(Y=inf)", "inf is no number"),
        ("P(Y>1e999)", "has to be finite"),
        ("1e999 * P(Y=1)", "has to be finite"),
        (f"P(Y={'9' * 5000})", "more than 300 digits"),
        ("P(5<Y<3)", "holds no number"),
        ("P(3<Y>5)", "expected '<' after Y"),
        ("P(Y>a)", "expected a number to compare with"),
        ("P(Y | do(X>1))", "do"),
        ("P(Y_{X>1})", "do"),
        ("E[Y>1]", "expectation"),
        ("P(Y=1) / 0", "divided by 0"),
        ("3", "a number and no query"),
        ("P(" + "Y_{X=" * 50 + "1" + "}" * 50 + ")", "character"),
        ("(" * 50 + "P(Y)" + ")" * 50, "more than 30 parentheses"),
        (" + ".join(f"P(Y={i}) / P(Z={i})" for i in range(60)), "more than 50 terms"),
    ],
)
def test_questions_that_are_refused(text: str, why: str) -> None:
    with pytest.raises(cp.QueryError, match=why) as caught:
        Query.parse(text)
    assert len(str(caught.value)) < 600


def test_numbers_that_are_no_numbers_are_refused_in_python_too() -> None:
    for make in (
        lambda: Query({"Y": float("nan")}),
        lambda: Query("Y", do={"X": float("inf")}),
        lambda: float("inf") * Query("Y"),
        lambda: Query("Y") / float("nan"),
        lambda: cp.Interval(low=float("nan")),
        lambda: cp.Interval(3, 2),
        lambda: cp.Interval(),
        lambda: Query("Y", do={"X": cp.Interval(low=1)}),
    ):
        with pytest.raises(cp.QueryError):
            make()


def test_queries_are_put_together_in_python() -> None:
    high, low = (Query({"Y": 1}, do={"X": x}) for x in (1, 0))
    assert high / low == Query.parse("RR(Y, X)")
    assert (high / (1 - high)) / (low / (1 - low)) == Query.parse("OR(Y, X)")
    assert str(1 - high / low) == "1 - P(Y=1 | do(X=1)) / P(Y=1 | do(X=0))"
    assert Query.parse("RR(Y=2, X=3 vs 1 | Z=0)").name == "RR(Y=2, X=3 vs 1 | Z=0)"
