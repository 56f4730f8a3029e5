"""Which hidden causes a graph may have: the maximal cliques of its bidirected edges.

Every latent structure with a given latent projection keeps each hidden variable inside a clique of
bidirected edges, so one noise for every maximal clique can stand for any of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from causalplug.graphs.bits import bits
from causalplug.graphs.graph import CausalGraph

__all__ = ["ConfounderCliques", "confounder_cliques", "confounder_key"]

_FEW = 16  # maximal cliques of a c-component that are never too many
Cliques = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class ConfounderCliques:
    """Cliques of bidirected edges that together cover every edge of a graph.

    Attributes:
        cliques: Variables of each, in the graph's order.
        covered: C-components with more maximal cliques than bidirected edges. Their edges are
            covered by few cliques, not by all maximal ones.
    """

    cliques: Cliques
    covered: tuple[tuple[str, ...], ...] = ()


def confounder_key(variables: Sequence[str]) -> str:
    """Name of the noise of one clique: its variables in alphabetical order, joined by ``<->``."""
    return "<->".join(sorted(variables))


def confounder_cliques(graph: CausalGraph) -> ConfounderCliques:
    """The maximal cliques of bidirected edges.

    A graph may have exponentially many. A c-component with more than both sixteen and the number
    of its edges gets a cover instead: the edges in order, each grown greedily into a maximal
    clique where none found before contains it.
    """
    siblings = graph.sibling_masks
    found: list[int] = []
    covered: list[tuple[str, ...]] = []
    for component in graph.c_components():
        members = sum(1 << position for position in graph.positions(component))
        if members.bit_count() < 2:
            continue
        edges = sum(siblings[v].bit_count() for v in bits(members)) // 2
        cliques = _at_most(_maximal(siblings, members), max(_FEW, edges))
        if cliques is None:
            cliques = _cover(siblings, members)
            covered.append(graph.named(bits(members)))
        found += cliques
    ordered = sorted(tuple(bits(clique)) for clique in found)
    return ConfounderCliques(tuple(map(graph.named, ordered)), tuple(covered))


def _at_most(cliques: Iterator[int], limit: int) -> list[int] | None:
    """The cliques, None if there are more than ``limit``."""
    found: list[int] = []
    for clique in cliques:
        if len(found) == limit:
            return None
        found.append(clique)
    return found


def _maximal(siblings: Sequence[int], members: int) -> Iterator[int]:
    """Maximal cliques of two and more (Bron & Kerbosch 1973, with the pivot of Tomita et al.
    2006)."""
    pending = [(0, members, 0)]
    while pending:
        clique, open_, closed = pending.pop()
        if not open_:
            if not closed:
                yield clique
            continue
        pivot = max(bits(open_ | closed), key=lambda v: (siblings[v] & open_).bit_count())
        for v in bits(open_ & ~siblings[pivot]):
            pending.append((clique | 1 << v, open_ & siblings[v], closed & siblings[v]))
            open_ &= ~(1 << v)
            closed |= 1 << v


def _cover(siblings: Sequence[int], members: int) -> list[int]:
    """Maximal cliques such that every edge is in one of them."""
    found: list[int] = []
    reached = dict.fromkeys(bits(members), 0)
    for v in bits(members):
        while missing := siblings[v] & members & ~reached[v]:
            first = missing & -missing
            clique, candidates = 1 << v | first, siblings[v] & siblings[first.bit_length() - 1]
            while candidates:
                new = max(bits(candidates), key=lambda w: (missing >> w & 1, -w))
                clique |= 1 << new
                candidates &= siblings[new]
            for w in bits(clique):
                reached[w] |= clique
            found.append(clique)
    return found
