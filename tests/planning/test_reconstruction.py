"""The targets of a plan determine P(V) and P_I(V): the proof, on exact discrete models, with tables
for networks.

For every target P(T | Pa(T), do(I)) is taken from the exact model and nothing else is. The c-factor
of every trained c-component follows from it by Tian's lemma (a product of conditionals in
topological order); the product of all c-factors in plan order has to be the joint distribution,
without and with intervention, to the arithmetic's precision.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Mapping

import numpy as np
import pytest

from causalplug.errors import PlanError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.planning.plan import plan
from causalplug.planning.targets import Target
from tests.graph_cases import NAMED, random_admg
from tests.scm import SCM, random_scm

CASES = 300 if os.environ.get("CAUSALPLUG_EXHAUSTIVE") else 60
TOLERANCE = 1e-9


def world(scm: SCM, do: Iterable[str]) -> np.ndarray:
    """P_I(v) for every v: one axis per variable, those of I for the values that are set."""
    names, cut = scm.graph.variables, sorted(do)
    table = np.empty([scm.cardinalities[name] for name in names])
    for values in np.ndindex(*(scm.cardinalities[name] for name in cut)):
        chosen = dict(zip(cut, values, strict=True))
        where = tuple(chosen.get(name, slice(None)) for name in names)
        table[where] = scm.joint(do=chosen)[where]
    return table


def summed(table: np.ndarray, names: tuple[str, ...], out: Iterable[str]) -> np.ndarray:
    """``table`` without the variables ``out``, whose axes stay with length one."""
    axes = tuple(names.index(name) for name in out)
    return table.sum(axis=axes, keepdims=True)


def conditional(graph: CausalGraph, joint: np.ndarray, target: Target) -> np.ndarray:
    """P(T | Pa(T), do(I)) from the joint P_I of the source; all axes kept.

    Variables in I that are no parents of T must make no difference: they are averaged over, with
        equal weights.
    """
    names = graph.variables
    rest = [name for name in names if name not in {*target.variables, *target.given}]
    both = summed(joint, names, rest)
    table = both / summed(both, names, target.variables)
    idle = tuple(names.index(name) for name in target.do if name not in target.parents)
    assert np.ptp(table, axis=idle).max(initial=0) < TOLERANCE if idle else True
    return table.mean(axis=idle, keepdims=True) if idle else table


def factor(
    graph: CausalGraph, q: np.ndarray, inside: tuple[str, ...], wanted: frozenset[str]
) -> np.ndarray:
    """Q[``wanted``] from Q[``inside``], for a c-component of ``inside`` (Tian & Pearl 2002,
    lemma 4)."""
    names = graph.variables
    order = [name for name in graph.topological_order() if name in inside]
    product = np.ones(())
    for place, name in enumerate(order):
        if name in wanted:
            upto = summed(q, names, order[place + 1 :])
            product = product * upto / summed(upto, names, [name])
    return product


def check(graph: CausalGraph, sources: list[Source], seed: int) -> None:
    scm = random_scm(graph, 2, seed)
    worlds = {frozenset(source.do): world(scm, source.do) for source in sources}
    made = plan(graph, sources)
    own: dict[frozenset[str], np.ndarray] = {}
    further: dict[tuple[frozenset[str], frozenset[str]], np.ndarray] = {}
    for module in made.modules:
        for target in module.targets:
            do = frozenset(target.do)
            q = conditional(graph, worlds[do], target)
            cut = graph.do(do)
            for part in cut.subgraph(target.variables).c_components():
                if part in own and part <= set(target.frozen):
                    earlier = factor(graph, q, target.variables, part)
                    assert np.allclose(own[part], earlier, atol=TOLERANCE, rtol=0), (
                        "what was trained before fits"
                    )
                if part <= set(target.updated):
                    found = factor(graph, q, target.variables, part)
                    known = own if target.role == "own" else further
                    key = part if target.role == "own" else (part, do)
                    assert np.allclose(known.setdefault(key, found), found, atol=TOLERANCE, rtol=0)
    observed = np.ones(())
    for module in made.modules:
        for part in graph.subgraph(module.variables).c_components():
            observed = observed * own[part]
    assert np.abs(observed - worlds.get(frozenset(), scm.joint())).max() < TOLERANCE
    for do, joint in worlds.items():
        product = np.ones(())
        for part in (
            graph.do(do).subgraph([v for v in graph.variables if v not in do]).c_components()
        ):
            product = product * _known(part, do, own, further)
        assert np.abs(product - joint).max() < TOLERANCE, f"P_{sorted(do)}"


def _known(
    part: frozenset[str],
    do: frozenset[str],
    own: Mapping[frozenset[str], np.ndarray],
    further: Mapping[tuple[frozenset[str], frozenset[str]], np.ndarray],
) -> np.ndarray:
    return own[part] if part in own else further[part, do]


def random_sources(graph: CausalGraph, seed: int) -> list[Source]:
    """Fully recorded sources; usually an observational one, now and then experiments only."""
    rng = random.Random(seed)
    sources = [
        Source(
            graph.variables,
            do=rng.sample(graph.variables, rng.randint(1, min(2, len(graph.variables) - 1))),
        )
        for _ in range(rng.randint(1, 3))
    ]
    return [*sources, Source(graph.variables)] if rng.random() < 0.7 else sources


@pytest.mark.parametrize("start", range(0, CASES, 20))
def test_random_graphs_are_reconstructed(start: int) -> None:
    done = 0
    for seed in range(start, start + 20):
        graph = random_admg(seed, 2 + seed % 5, 0.5, 0.35)
        sources = random_sources(graph, seed)
        try:
            check(graph, sources, seed)
        except PlanError:
            assert all(source.do for source in sources)
        else:
            done += 1
    assert done >= 10


@pytest.mark.parametrize("name", NAMED)
def test_named_graphs_are_reconstructed(name: str) -> None:
    graph = CausalGraph.parse(NAMED[name])
    first = graph.topological_order()[0]
    check(graph, [Source(graph.variables), Source(graph.variables, do=[first])], seed=1)


def test_a_partly_recorded_intervened_module_gives_its_further_factor() -> None:
    graph = CausalGraph.parse(NAMED["sachs"])
    scm = random_scm(graph, 3, seed=4)
    made = plan(graph, [Source(graph.variables), Source(["Mek"], do=["PKA"], name="experiment")])
    target = next(t for t in made.module("Mek").targets if t.source == "experiment")
    assert (target.variables, target.given, target.frozen, target.updated) == (
        ("Mek",),
        ("PKA",),
        (),
        ("Mek",),
    )
    for value in range(3):
        generated = scm.joint(do={"PKA": value}, keep=["Mek"])
        joint = world(scm, ["PKA"])
        table = conditional(graph, joint, target)
        where = tuple({"PKA": value, "Mek": slice(None)}.get(name, 0) for name in graph.variables)
        assert np.allclose(table[where], generated, atol=TOLERANCE)
