"""Graph searches on bit sets: a set of variables is one Python integer, bit i standing for
variable i."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from causalplug.graphs.graph import CausalGraph
from causalplug.selection import values_at

__all__ = [
    "BitGraph",
    "ancestors_within",
    "bits",
    "component_within",
    "components_within",
    "mask_of",
]


def bits(mask: int) -> Iterator[int]:
    """The members of ``mask``, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def mask_of(members: Iterable[int]) -> int:
    """The bit set of ``members``."""
    mask = 0
    for v in members:
        mask |= 1 << v
    return mask


def ancestors_within(parents: Sequence[int], start: int, allowed: int) -> int:
    """``start`` and what has a directed path to it inside ``allowed``; one visit per variable."""
    seen = frontier = start
    while frontier:
        v = frontier.bit_length() - 1
        frontier ^= 1 << v
        new = parents[v] & allowed & ~seen
        seen |= new
        frontier |= new
    return seen


def component_within(siblings: Sequence[int], start: int, allowed: int) -> int:
    """What is connected to ``start`` by bidirected edges inside ``allowed``."""
    return ancestors_within(siblings, start, allowed)


def components_within(siblings: Sequence[int], allowed: int) -> list[int]:
    """The c-components of the subgraph over ``allowed``, in the order of their first variable."""
    found, left = [], allowed
    while left:
        component = component_within(siblings, left & -left, allowed)
        found.append(component)
        left &= ~component
    return found


@dataclass(frozen=True, eq=False)
class BitGraph:
    """A causal graph over some of the variables of another one, in that one's positions.

    Attributes:
        names: Names of all positions, present or not.
        present: The variables that the graph is over.
        parents: Per position, the bit set of its parents; siblings likewise.
        order: The present positions, causes before effects.
    """

    names: tuple[str, ...]
    present: int
    parents: Sequence[int]
    siblings: Sequence[int]
    order: tuple[int, ...]

    @cached_property
    def parent_lists(self) -> tuple[tuple[int, ...], ...]:
        """Per position, its parents, ascending."""
        return tuple(tuple(bits(mask)) for mask in self.parents)

    @classmethod
    def of(cls, graph: CausalGraph) -> BitGraph:
        """``graph`` in bit sets."""
        everything = (1 << len(graph.variables)) - 1
        return cls(
            graph.variables, everything, graph.parent_masks, graph.sibling_masks, graph.order
        )

    def induced(self, keep: int) -> BitGraph:
        """The subgraph over ``keep``; the latent projection, if ``keep`` contains its own
        ancestors."""
        if keep == self.present:
            return self
        parents, siblings = ([m & keep for m in masks] for masks in (self.parents, self.siblings))
        return BitGraph(
            self.names, keep, parents, siblings, tuple(v for v in self.order if keep >> v & 1)
        )

    def project(self, keep: int) -> BitGraph:
        """The latent projection on ``keep`` (Verma & Pearl 1990): all other variables are
        unobserved."""
        keep &= self.present
        above = ancestors_within(self.parents, keep, self.present)
        graph = self.induced(above)
        if above == keep:
            return graph
        parents, siblings = list(graph.parents), list(graph.siblings)
        children = [0] * len(parents)
        for v in graph.order:
            for p in bits(parents[v]):
                children[p] |= 1 << v
        for h in bits(above & ~keep):
            self_bit = 1 << h
            up, down, beside = parents[h], children[h], siblings[h]
            for p in bits(up):
                children[p] = (children[p] | down) & ~self_bit
            for c in bits(down):
                parents[c] = (parents[c] | up) & ~self_bit
                siblings[c] = (siblings[c] | down | beside) & ~self_bit & ~(1 << c)
            for s in bits(beside):
                siblings[s] = (siblings[s] | down) & ~self_bit & ~(1 << s)
            parents[h] = children[h] = siblings[h] = 0
        return BitGraph(
            self.names, keep, parents, siblings, tuple(v for v in graph.order if keep >> v & 1)
        )

    def parents_of(self, members: int) -> int:
        """The parents of the set ``members`` that lie outside it."""
        found = 0
        for v in bits(members):
            found |= self.parents[v]
        return found & ~members

    def ancestors(self, start: int) -> int:
        """``start`` and everything with a directed path to it."""
        return ancestors_within(self.parents, start, self.present)

    def named(self, mask: int) -> tuple[str, ...]:
        """The names of ``mask`` in the declared order."""
        return tuple(values_at(self.names, bits(mask)))
