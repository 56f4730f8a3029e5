"""Graphs that several tests share: textbook ones, rings of c-components, random ones, and files
beside the checkout."""

from __future__ import annotations

import random
from pathlib import Path

import networkx as nx
import pytest

from causalplug.graphs.graph import CausalGraph

__all__ = ["D_SEPARATED", "NAMED", "node_link", "random_admg", "ring", "shared"]

RECENT = tuple(map(int, nx.__version__.split(".")[:2])) >= (3, 4)
D_SEPARATED = nx.is_d_separator if RECENT else nx.d_separated
NAMED = {
    "front-door": "D -> I -> A; D <-> A",
    "two mediators": "D -> I1 -> I2 -> A; D <-> A",
    "bow": "X -> Y; X <-> Y",
    "napkin": "W -> Z -> X -> Y; W <-> X; W <-> Y",
    "m-bias": "X -> Y; X <-> Z <-> Y",
    "verma": "A -> B -> C -> D; B <-> D",
    "asia": "asia -> tub -> either; lung -> either -> xray, dysp; lung <-> dysp",
    "sachs": "PKA -> Mek -> Erk -> Akt; PKA -> Erk, Akt; Mek -> Akt; PKA <-> Mek",
    "two that need each other": "X1 -> Z1 -> X2 -> Z2; X1 <-> X2; Z1 <-> Z2",
    "instrument": "Z -> X -> Y; X <-> Y",
    "seven": "X0 -> W0, W1; X1, X2 -> W1; W0, W1 -> Y0; W1 -> Y1; X0 <-> Y0; X1 <-> X2 <-> Y1",
    "isolated": "A; B; C <-> D",
}


def node_link(graph: nx.Graph) -> dict[str, object]:
    """The dict that networkx writes as JSON, with its edges under "links"; the argument for that
    has changed its name."""
    argument = "edges" if RECENT else "link"
    found: dict[str, object] = nx.node_link_data(graph, **{argument: "links"})
    return found


def ring(size: int) -> CausalGraph:
    """``size`` c-components, each trained through the next one and through no other: they have to
    be merged.

    Component i is ``Ai <-> Xi <-> Bi``, and ``Ai -> X(i+1) -> Bi`` leaves it, meets component i + 1
    (modulo ``size``) and returns.
    """
    after = [(i, (i + 1) % size) for i in range(size)]
    directed = [(f"A{i}", f"X{j}") for i, j in after] + [(f"X{j}", f"B{i}") for i, j in after]
    bidirected = [(f"X{i}", f"{end}{i}") for i in range(size) for end in "AB"]
    return CausalGraph.from_edges(directed, bidirected)


def random_admg(
    seed: int, size: int, directed: float = 0.3, bidirected: float = 0.2
) -> CausalGraph:
    """An ADMG with edges drawn independently, its variables declared in an order that is not
    topological."""
    rng = random.Random(seed)
    order = [f"V{i}" for i in range(size)]
    rng.shuffle(order)
    pairs = [(order[i], order[j]) for i in range(size) for j in range(i + 1, size)]
    return CausalGraph.from_edges(
        [pair for pair in pairs if rng.random() < directed],
        [pair for pair in pairs if rng.random() < bidirected],
        [f"V{i}" for i in range(size)],
    )


def shared(*parts: str) -> Path:
    """A file or folder beside the checkout; the test is skipped if it is not there."""
    path = Path(__file__).resolve().parents[2].joinpath("shared", *parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(parts)} is not beside the checkout")
    return path
