"""Answers that follow from how many values a variable has."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

import causalplug as cp
from causalplug.graphs.source import as_sources
from causalplug.identification.evaluate import evaluate
from tests.attack.mutations import EXHAUSTIVE
from tests.graph_cases import random_admg
from tests.scm import exact_tables, random_scm

BOW = cp.CausalGraph.parse("X -> Y; X <-> Y")
BOTH = [cp.Source(["X", "Y"], name="rows"), cp.Source(["X", "Y"], do=["X"], name="trial")]
BINARY = {"X": (0, 1), "Y": (0, 1)}


@pytest.mark.parametrize("text", ["ETT(Y=1, X)", "ETT(Y, X)", "P(Y_{X=0}=1 | X=1)"])
def test_the_effect_on_the_treated_by_subtraction(text: str) -> None:
    assert cp.identify(BOW, text, BOTH, domains=BINARY).status == "identifiable"
    assert cp.identify(BOW, text, BOTH).status == "not identifiable"
    assert cp.identify(BOW, text, domains=BINARY).status == "not identifiable"
    many = {"X": (0, 1, 2), "Y": (0, 1)}
    assert cp.identify(BOW, text, BOTH, domains=many).status == "not identifiable"


def test_the_formula_says_what_is_subtracted() -> None:
    found = cp.identify(BOW, "P(Y_{X=0}=1 | X=1)", BOTH, domains=BINARY)
    assert str(found.estimand) == (
        "[P_2(Y=1 | do(X=0)) - P_1(X=0) P_1(Y=1 | X=0)] / [P_1(X=1)]   with P_1: rows, P_2: trial"
    )


def test_no_proof_is_claimed_that_two_values_may_break() -> None:
    found = cp.identify(BOW, "P(Y_{X=0} | X=1)", BOTH, domains=BINARY)
    assert found.status == "not shown"
    assert "with two values of a variable it may be determined" in found.reason


def test_formulas_by_subtraction_against_exact_models() -> None:
    gained = 0
    for seed in range(150 if EXHAUSTIVE else 30):
        graph = random_admg(seed, 4, 0.5, 0.3)
        order, values = list(graph.topological_order()), 2 + seed % 2
        x, z, y = order[Random(seed).randint(0, 1)], order[2], order[3]
        scm = random_scm(graph, cardinalities=values, seed=seed)
        sources = as_sources(
            graph, [cp.Source(order, name="rows"), cp.Source(order, do=[x], name="trial")]
        )
        domains = {name: tuple(range(values)) for name in order}
        for text in (
            f"P({y}_{{{x}=0}}=1 | {x}=1)",
            f"E[{y}_{{{x}=0}} | {x}=1]",
            f"P({y}_{{{x}=0}}=1, {x}=1)",
            f"ETT({y}=1, {x})",
            f"P({y}_{{{x}=0}}=1 | {x}=1, {z}=0)",
        ):
            found = cp.identify(graph, text, sources, domains=domains)
            if found:
                got = evaluate(found.estimand, exact_tables(scm, sources)).values
                assert np.allclose(got, scm.probability(text), atol=1e-9), (str(graph), text)
                gained += not cp.identify(graph, text, sources)
    assert gained > 5
