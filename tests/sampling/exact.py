"""Models that are exact discrete SCMs: the same tables as tests/scm.py, put in place of
networks."""

from __future__ import annotations

import numpy as np

from causalplug.dcm import DCM
from causalplug.graphs.graph import CausalGraph
from causalplug.mechanisms.trainable.table import DiscreteTable
from causalplug.variables import Discrete
from tests.scm import SCM, random_scm

__all__ = ["as_dcm", "random_graph", "random_model"]


def as_dcm(scm: SCM, confounder_size: int = 2, names: dict[str, list[str]] | None = None) -> DCM:
    """The DCM that draws from exactly the distribution of ``scm``, in every world."""
    graph = scm.graph
    variables = {
        v: Discrete((names or {}).get(v, int(scm.cardinalities[v]))) for v in graph.variables
    }
    mechanisms = {}
    for name in graph.variables:
        parents, edges = scm.family(name)
        wanted = [next(e for e in edges if sibling in e) for sibling in graph.siblings(name)]
        order = [
            *range(len(parents)),
            *(len(parents) + edges.index(edge) for edge in wanted),
            len(parents) + len(edges),
            len(parents) + len(edges) + 1,
        ]
        mechanisms[name] = DiscreteTable(
            variables[name],
            {parent: variables[parent] for parent in parents},
            np.transpose(scm.tables[name], order),
            confounders=[scm.confounders[edge] for edge in wanted],
            own=scm.types[name],
            confounder_size=confounder_size,
            responses="independent",
        )
    return DCM(graph, variables, mechanisms=mechanisms, confounder_size=confounder_size)


def random_graph(rng: np.random.Generator, n: int) -> CausalGraph:
    """A graph over V0 … of at most two parents a variable and about n / 3 bidirected edges."""
    names = [f"V{i}" for i in range(n)]
    directed = []
    for i in range(1, n):
        count = int(rng.integers(0, min(i, 2) + 1))
        directed += [(names[j], names[i]) for j in rng.choice(i, count, replace=False)]
    pairs = [(names[i], names[j]) for i in range(n) for j in range(i + 1, n)]
    chosen = rng.choice(len(pairs), max(1, n // 3), replace=False)
    return CausalGraph.from_edges(directed, [pairs[k] for k in chosen], names)


def random_model(seed: int, n: int) -> tuple[SCM, DCM]:
    """A random exact SCM of n variables with two or three values, and the same as a DCM."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, n)
    sizes = {name: int(rng.integers(2, 4)) for name in graph.variables}
    scm = random_scm(graph, cardinalities=sizes, seed=seed)
    return scm, as_dcm(scm)
