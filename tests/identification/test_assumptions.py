"""Answers by declared assumptions, against exact models that have what is assumed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import causalplug as cp
from causalplug.errors import QueryError
from causalplug.graphs.source import as_sources
from causalplug.identification.evaluate import evaluate
from tests.scm import SCM, exact_tables, random_scm

BOW = cp.CausalGraph.parse("X -> Y; X <-> Y")
IV = cp.CausalGraph.parse("Z -> X -> Y; X <-> Y")
CHAIN = cp.CausalGraph.parse("C -> X -> M -> Y; C -> Y")
UP = cp.Assume("monotone", cause="X", effect="Y")
COMPLIERS = "X_{Z=1}=1, X_{Z=0}=0"
TYPES = 6


def monotone_scm(graph: cp.CausalGraph, arrows: dict[tuple[str, str], int], seed: int) -> SCM:
    """A binary model in which every type of unit follows the signs of ``arrows``: a variable is 1
    from a threshold on that falls (or rises) with the cause."""
    rng = np.random.default_rng(seed)
    scm = random_scm(graph, seed=seed, types=TYPES)
    tables = dict(scm.tables)
    for name in dict.fromkeys(effect for _, effect in arrows):
        parents, edges = scm.family(name)
        shape = [2] * (len(parents) + len(edges))
        threshold = rng.integers(0, TYPES + 1, shape)
        for axis, parent in enumerate(parents):
            if (parent, name) in arrows:
                ordered = np.sort(threshold, axis=axis)
                threshold = np.flip(ordered, axis) if arrows[parent, name] > 0 else ordered
        one = np.arange(TYPES) >= threshold[..., None]
        tables[name] = np.stack([~one, one], -1).astype(float)
    return replace(scm, tables=tables)


CASES = [
    (BOW, {("X", "Y"): 1}, "PNS(Y, X)", True),
    (BOW, {("X", "Y"): 1}, "PN(Y, X)", True),
    (BOW, {("X", "Y"): -1}, "PS(Y=0 vs 1, X)", True),
    (BOW, {("X", "Y"): 1}, "P(Y_{X=1}=1, Y_{X=0}=1)", True),
    (BOW, {("X", "Y"): 1}, "P(Y_{X=1}=0, Y_{X=0}=1)", True),
    (CHAIN, {("X", "M"): -1, ("M", "Y"): -1}, "PN(Y, X | C=1)", False),
    (CHAIN, {("X", "M"): 1, ("M", "Y"): -1}, "PNS(Y=0 vs 1, X)", False),
    (IV, {("Z", "X"): 1}, f"P(Y_{{X=1}}=1 | {COMPLIERS})", False),
    (IV, {("Z", "X"): 1}, f"E[Y_{{X=0}} | {COMPLIERS}]", False),
    (IV, {("Z", "X"): 1}, "LATE(Y, X, Z)", False),
    (IV, {("Z", "X"): 1}, "LATE(Y=1, X, Z)", False),
]


@pytest.mark.parametrize(("graph", "arrows", "text", "trial"), CASES)
def test_formulas_are_those_of_models_that_have_what_is_assumed(
    graph: cp.CausalGraph, arrows: dict[tuple[str, str], int], text: str, trial: bool
) -> None:
    sources = [cp.Source(graph.variables, name="rows")]
    if trial:
        sources.append(cp.Source(graph.variables, do=["X"], name="trial"))
    known = as_sources(graph, sources)
    kinds = {1: "monotone", -1: "antitone"}
    assume = [cp.Assume(kinds[sign], *arrow) for arrow, sign in arrows.items()]
    domains = dict.fromkeys(graph.variables, (0, 1))
    assert not cp.identify(graph, text, known, domains=domains)
    found = cp.identify(graph, text, known, domains=domains, assume=assume)
    assert found.status == "identifiable"
    assert set(found.assumptions) == {str(a) for a in assume}
    assert str(assume[0]) in str(found)
    assert str(assume[0]) in found.in_words
    compared = 0
    for seed in range(6):
        scm = monotone_scm(graph, arrows, seed)
        truth = scm.probability(text)
        if np.isnan(truth).any():
            continue
        got = evaluate(found.estimand, exact_tables(scm, known)).values
        assert np.allclose(got, truth, atol=1e-9)
        compared += 1
    assert compared >= 3


def test_bounds_agree_with_the_formula() -> None:
    """The linear program knows nothing of the rewriting."""
    scm = monotone_scm(IV, {("Z", "X"): 1}, seed=1)
    text = f"P(Y_{{X=1}}=1 | {COMPLIERS})"
    assume = cp.Assume("monotone", cause="Z", effect="X")
    limits = cp.bounds(IV, text, scm.joint({}, list(IV.variables)), assume=assume)
    assert limits.low == pytest.approx(limits.high, abs=1e-6)
    assert limits.low == pytest.approx(float(scm.probability(text)), abs=1e-6)


def test_what_is_not_needed_is_not_named() -> None:
    graph = cp.CausalGraph.parse("X -> Y")
    assert cp.identify(graph, "ATE(Y, X)", assume=UP).assumptions == ()


def test_two_values_that_were_not_declared_are_named() -> None:
    found = cp.identify(cp.CausalGraph.parse("X -> Y"), "PNS(Y, X)", assume=UP)
    assert str(found.estimand) == "P(Y=1 | X=1) - P(Y=1 | X=0)"
    assert "Y has the two values 0 and 1" in found.assumptions
    many = {"Y": (0, 1, 2)}
    assert not cp.identify(cp.CausalGraph.parse("X -> Y"), "PNS(Y, X)", domains=many, assume=UP)


def test_every_way_has_to_go_the_same_way() -> None:
    graph = cp.CausalGraph.parse("X -> M -> Y; X -> Y")
    through = [cp.Assume("antitone", "X", "M"), cp.Assume("antitone", "M", "Y")]
    assert not cp.identify(graph, "PNS(Y, X)", assume=through)
    assert cp.identify(graph, "PNS(Y, X)", assume=[*through, UP])
    other = cp.Assume("antitone", "X", "Y")
    assert not cp.identify(graph, "PNS(Y, X)", assume=[*through, other])


def test_the_wrong_direction_does_not_help() -> None:
    """That both are 1 has the probability of one that is not determined; what cannot happen has
    probability 0."""
    down = cp.Assume("antitone", "X", "Y")
    assert not cp.identify(BOW, "P(Y_{X=1}=1, Y_{X=0}=1)", assume=down)
    never = cp.identify(BOW, "P(Y_{X=1}=1, Y_{X=0}=0)", assume=down)
    assert str(never.estimand) == "0 P(Y=1)"


def test_the_effect_on_compliers_is_that_of_the_instrument_by_that_on_the_treatment() -> None:
    assume = cp.Assume("monotone", "Z", "X")
    found = cp.identify(IV, "LATE(Y, X, Z)", assume=assume, domains={"X": (0, 1)})
    assert str(found.estimand) == (
        "[Σ_{y} y Σ_{x} P(x | Z=1) P(y | Z=1, x) - Σ_{y} y Σ_{x} P(x | Z=0) P(y | Z=0, x)]"
        " / [P(X=1 | Z=1) - P(X=1 | Z=0)]"
    )
    past = cp.CausalGraph.parse("Z -> X -> Y; X <-> Y; Z -> Y")
    assert not cp.identify(past, "LATE(Y, X, Z)", assume=assume)


def test_noise_that_is_recovered_determines_counterfactuals_of_numbers() -> None:
    graph = cp.CausalGraph.parse("Z -> X -> Y; Z -> Y")
    text = "E[Y_{X=1.0} | X=0.0, Y=2.0, Z=1.0]"
    noise = cp.Assume("monotone noise", effect="Y")
    assert not cp.identify(graph, text)
    found = cp.identify(graph, text, assume=noise)
    assert found.status == "identifiable"
    assert found.assumptions == (str(noise),)
    assert found.estimand is None
    assert "noise recovered" in found.reason
    assert str(noise) in found.in_words
    both = "E[Y_{Z=1.0} | X=0.0, Y=2.0, Z=0.0]"
    assert not cp.identify(graph, both, assume=noise)
    more = [noise, cp.Assume("monotone noise", effect="X")]
    assert cp.identify(graph, both, assume=more).assumptions == (str(more[1]), str(noise))
    assert not cp.identify(graph, text, [cp.Source(["X", "Y"])], assume=noise)


@pytest.mark.parametrize(
    ("assume", "message"),
    [
        ("monotone", "not an assumption"),
        (7, "not an assumption"),
        (cp.Assume("additive", "X", "Y"), "give it to causalplug.bounds"),
        (cp.Assume("monotone", "Y", "X"), "there is no arrow Y -> X"),
        (cp.Assume("monotone noise", effect="Y"), "shares a hidden cause with X"),
    ],
)
def test_assumptions_that_do_not_fit_are_errors(assume: object, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        cp.identify(BOW, "ATE(Y, X)", assume=assume)


def test_noise_of_a_variable_with_few_values_cannot_be_recovered() -> None:
    graph = cp.CausalGraph.parse("X -> Y")
    with pytest.raises(QueryError, match="finitely many values"):
        cp.identify(
            graph,
            "ATE(Y, X)",
            domains={"Y": (0, 1)},
            assume=cp.Assume("monotone noise", effect="Y"),
        )
    with pytest.raises(QueryError, match="one variable, the effect"):
        cp.Assume("monotone noise", cause="X", effect="Y")
    with pytest.raises(QueryError, match="name a cause"):
        cp.Assume("monotone", effect="Y")
    with pytest.raises(QueryError, match="give it to identify"):
        cp.bounds(
            graph, "P(Y=1)", np.ones((2, 2)) / 4, assume=cp.Assume("monotone noise", effect="Y")
        )
