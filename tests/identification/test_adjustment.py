"""Adjustment sets, front-door sets and instruments, against definitions that know no graph."""

from __future__ import annotations

from itertools import chain, combinations
from random import Random

import numpy as np
import pytest

import causalplug as cp
from causalplug.identification.adjustment import Effect, adjustment_sets, front_door_sets
from causalplug.identification.separators import minimal_separators
from tests.attack.mutations import EXHAUSTIVE
from tests.graph_cases import random_admg
from tests.scm import SCM, random_scm

GRAPHS = 300 if EXHAUSTIVE else 40


def subsets(names: list[str]) -> list[frozenset[str]]:
    found = chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))
    return [frozenset(names) for names in found]


def minimal(sets: list[frozenset[str]]) -> set[frozenset[str]]:
    return {names for names in sets if not any(other < names for other in sets)}


def adjusted(scm: SCM, x: str, y: str, z: list[str], given: list[str]) -> np.ndarray:
    """Sum over z of P(y | x, z, given) P(z | given)."""
    joint = scm.joint(keep=[y, x, *z, *given])
    axes = tuple(range(2, 2 + len(z)))
    weights = joint.sum((0, 1), keepdims=True)
    weights = weights / weights.sum(axes, keepdims=True)
    return (joint / joint.sum(0, keepdims=True) * weights).sum(axes)


def truth(scm: SCM, x: str, y: str, given: list[str]) -> np.ndarray:
    joints = [scm.joint({x: value}, [y, *given]) for value in range(2)]
    return np.stack([joint / joint.sum(0, keepdims=True) for joint in joints], 1)


def valid(models: list[SCM], x: str, y: str, z: frozenset[str], given: list[str]) -> bool:
    return all(
        np.allclose(
            adjusted(scm, x, y, sorted(z), given), truth(scm, x, y, given), rtol=0, atol=1e-10
        )
        for scm in models
    )


def models_of(graph: cp.CausalGraph, seed: int) -> list[SCM]:
    return [random_scm(graph, cardinalities=2, seed=1000 * again + seed) for again in range(3)]


@pytest.mark.parametrize("conditional", [False, True])
def test_adjustment_sets_are_those_that_give_the_effect_in_exact_models(conditional: bool) -> None:
    several = 0
    for seed in range(GRAPHS):
        graph = random_admg(seed, 6, 0.4, 0.12)
        chance, order = Random(seed), list(graph.topological_order())
        x, y = order[chance.randint(1, 3)], order[chance.randint(4, 5)]
        before = [name for name in order if name not in graph.descendants(x) and name != y]
        given = [chance.choice(before)] if conditional and before else []
        rest = [name for name in order if name not in (x, y, *given)]
        models = models_of(graph, seed)
        expected = minimal([z for z in subsets(rest) if valid(models, x, y, z, given)])
        found = adjustment_sets(graph, Effect((x,), (y,), tuple(given)), order)
        assert set(found) == expected, (str(graph), x, y, given)
        assert found.complete
        several += len(expected) > 1
    assert several > 0


def front_door(scm: SCM, x: str, y: str, m: list[str]) -> np.ndarray:
    """Sum over m of P(m | x) sum over x' of P(y | x', m) P(x')."""
    joint = scm.joint(keep=[y, x, *m])
    axes = tuple(range(2, joint.ndim))
    over_x = joint.sum((0, *axes))
    first = joint.sum(0) / over_x.reshape(-1, *[1] * len(m))
    second = (joint / joint.sum(0, keepdims=True)) * over_x.reshape(1, -1, *[1] * len(m))
    return np.tensordot(
        second.sum(1), np.moveaxis(first, 0, -1), (range(1, 1 + len(m)), range(len(m)))
    )


def test_front_door_sets_give_the_effect_in_exact_models() -> None:
    found = 0
    for seed in range(GRAPHS):
        graph = random_admg(seed, 5, 0.4, 0.15)
        order = list(graph.topological_order())
        x, y = order[0], order[-1]
        for names in front_door_sets(graph, Effect((x,), (y,)), order):
            found += 1
            for scm in models_of(graph, seed):
                value = front_door(scm, x, y, sorted(names))
                assert np.allclose(value, truth(scm, x, y, []), atol=1e-9), (str(graph), names)
    assert found > 3
    graph = cp.CausalGraph.parse("X -> M1 -> Y; X -> M2 -> Y; X <-> Y")
    assert front_door_sets(graph, Effect(("X",), ("Y",)), ["X", "M1", "M2", "Y"]) == ({"M1", "M2"},)


def test_minimal_separators_are_all_that_m_separate() -> None:
    for seed in range(GRAPHS):
        graph = random_admg(seed, 7, 0.3, 0.15)
        x, y, *rest = graph.variables
        given = rest[: seed % 2]
        allowed = rest[1 : 5 + seed % 2]
        kept = [name for name in allowed if name not in given]
        separating = [z for z in subsets(kept) if graph.m_separated([x], [y], [*z, *given])]
        found = list(minimal_separators(graph, [x], [y], kept, given))
        assert len(set(found)) == len(found)
        assert set(found) == minimal(separating), (str(graph), kept, given)


def test_instruments() -> None:
    def named(text: str) -> list[str]:
        graph = cp.CausalGraph.parse(text)
        return [str(found) for found in cp.identify(graph, "P(Y | do(X=1))").instruments]

    assert named("Z -> X -> Y; X <-> Y") == ["Z"]
    assert named("Z -> X -> Y; X <-> Y; Z -> Y") == []
    assert named("Z -> X -> Y; X <-> Y; W -> Z; W -> Y") == ["Z given W"]
    assert named("Z <-> X; X -> Y; X <-> Y") == ["Z"]
    assert named("X -> Z; X -> Y") == []


@pytest.mark.parametrize(
    ("graph", "query", "words"),
    [
        ("Z -> X; Z -> Y; X -> Y", "ATE(Y, X)", "For ATE(Y, X), adjust for Z: within every value"),
        (
            "X -> Y",
            "P(Y | do(X=1))",
            "Nothing has to be adjusted for: P(Y | do(X=1)) compares rows",
        ),
        ("X -> M -> Y; X <-> Y", "P(Y | do(X=1))", "go through the front door M: all that X does"),
        ("Z -> X -> Y; X <-> Y", "P(Y | do(X=1))", "has no answer here: X <-> Y"),
        ("Z -> X -> Y; X <-> Y", "P(Y | do(X=1))", "Instruments are Z"),
        ("W -> V -> X -> Y; W <-> X; W <-> Y", "P(Y | do(X=1))", "by no adjustment or front-door"),
        ("A -> B; A -> X; B -> Y; X -> Y", "RR(Y, X)", "Other sets that do: B."),
        ("X -> Y", "P(Y | X=1)", "is read off the rows of observational as it stands"),
    ],
)
def test_the_way_in_words(graph: str, query: str, words: str) -> None:
    assert words in cp.identify(cp.CausalGraph.parse(graph), query).in_words


def test_only_recorded_variables_are_adjusted_for() -> None:
    graph = cp.CausalGraph.parse("A -> B; A -> X; B -> Y; X -> Y")
    found = cp.identify(graph, "P(Y | do(X=1))", cp.Source(["B", "X", "Y"]))
    assert found.adjustment_sets == ({"B"},)
    assert str(cp.identify(graph, "P(Y | do(X=1))").adjustment_sets) == "A, or B"
    experiment = cp.Source(["X", "Y"], do=["X"])
    assert cp.identify(graph, "P(Y | do(X=1))", experiment).adjustment_sets == ()
    assert "read off the rows" in cp.identify(graph, "P(Y | do(X=1))", experiment).in_words


def test_many_sets_are_cut_off_and_said() -> None:
    text = "; ".join(f"X <- A{i} -> B{i} -> Y" for i in range(8)) + "; X -> Y"
    found = cp.identify(cp.CausalGraph.parse(text), "P(Y | do(X=1))").adjustment_sets
    assert len(found) == 100
    assert not found.complete
    assert str(found).endswith(", or others")


def test_instruments_are_none_among_units_chosen_by_what_follows() -> None:
    graph = cp.CausalGraph.parse("Z -> X; X -> Y; X <-> Y; X -> M; W -> Z")
    assert cp.identify(graph, "P(Y | do(X=1), W=1)").instruments
    assert not cp.identify(graph, "P(Y | do(X=1), M=1)").instruments


def test_front_door_sets_beyond_those_that_are_tried_are_said() -> None:
    aside = "; ".join(f"A -> N{i}; N{i} -> Y; N{i} <-> Y" for i in range(25))
    edges = cp.CausalGraph.parse(f"{aside}; X -> A -> Y; X -> B -> Y; X -> C -> Y; X <-> Y")
    names = ("X", *(f"N{i}" for i in range(25)), "A", "B", "C", "Y")
    graph = cp.CausalGraph(names, edges.directed, edges.bidirected)
    effect = Effect(("X",), ("Y",))
    cut_off = front_door_sets(graph, effect, names)
    assert not cut_off.complete
    assert str(cut_off) == "no set of recorded variables among those that were tried"
    whole = front_door_sets(graph, effect, ("X", "N0", "A", "B", "C", "Y"))
    assert whole.complete
    assert list(whole) == [frozenset("ABC")]


def test_instruments_come_in_the_order_of_the_sources() -> None:
    names = [f"Z{i}" for i in range(6)]
    edges = "; ".join(f"{name} -> X" for name in names)
    graph = cp.CausalGraph.parse(f"{edges}; X -> Y; X <-> Y")
    sources = [cp.Source(recorded=["X", "Y", name]) for name in reversed(names)]
    found = cp.identify(graph, "P(Y | do(X=1))", sources=sources).instruments
    assert [item.variable for item in found] == names[::-1]
