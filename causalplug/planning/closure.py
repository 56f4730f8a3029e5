"""Closures of many sets in one graph, on bit sets: what planning thousands of variables needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set

from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.search import reach
from causalplug.selection import positions_of, values_at, within, without

__all__ = ["ClosureState", "Closures", "bits", "mask_of"]


def bits(mask: int) -> Iterator[int]:
    """Positions of the ones in ``mask``, ascending."""
    text = bin(mask)[:1:-1]
    position = text.find("1")
    while position >= 0:
        yield position
        position = text.find("1", position + 1)


def mask_of(positions: Iterable[int]) -> int:
    """The bit set with ones at ``positions``."""
    mask = 0
    for position in positions:
        mask |= 1 << position
    return mask


class ClosureState:
    """A closure on its way: :meth:`Closures.grow` moves it on, :meth:`merge` joins it with another
    one.

    Attributes:
        above: An(H) for the set H that the closure is taken of.
        below: De(W) for what is in the closure W so far.
        beside: The siblings of ``done``.
        done: The members whose siblings have been looked up.
    """

    __slots__ = ("above", "below", "beside", "done")

    def __init__(self, above: int = 0, below: int = 0) -> None:
        self.above, self.below, self.beside, self.done = above, below, 0, 0

    @property
    def reached(self) -> int:
        """The members of the closure found so far."""
        return self.above & self.below

    def merge(self, other: ClosureState) -> None:
        """Go on with the closure of the union; nothing that was found is looked up again."""
        self.above |= other.above
        self.below |= other.below
        self.beside |= other.beside
        self.done |= other.done


def _without_arrows_into(
    graph: CausalGraph, cut: Set[int]
) -> tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]]:
    """Parents and children of every variable once no arrow points to a variable of ``cut``."""
    if not cut:
        return graph.parent_lists, graph.child_lists
    parents = [() if v in cut else tuple(row) for v, row in enumerate(graph.parent_lists)]
    children = [tuple(without(row, cut)) for row in graph.child_lists]
    return parents, children


class Closures:
    """The closures of sets of confounded variables in one graph under ``do``.

    With A = An(H), closure(H) is what can be reached from H inside A along directed edges forwards
    and bidirected edges (see :meth:`CausalGraph.closure`). What is reached is A ∩ De(W), so the
    ancestors and descendants of every confounded variable, one bit set each, leave a loop over
    confounded variables only. Everything happens in the *core*, the variables that are both above
    and below a confounded one: no closure of confounded variables leaves it.

    Args:
        graph: The causal graph; its confounded variables are those with a bidirected edge.
        do: Positions of intervened variables, whose incoming edges are ignored.

    Attributes:
        core: Positions of the core's variables in topological order; bit i of every mask is
            ``core[i]``.
        bit: Position in the graph -> bit in the masks.
        confounded: Mask of the variables that have a bidirected edge in ``graph`` and are not in
            ``do``.
    """

    def __init__(self, graph: CausalGraph, do: Iterable[int] = ()) -> None:
        cut = frozenset(do)
        marked = {v for v, siblings in enumerate(graph.sibling_lists) if siblings and v not in cut}
        parents, children = _without_arrows_into(graph, cut)
        inside = reach(marked, parents) & reach(marked, children)
        self.core = tuple(within(graph.order, inside))
        self.bit = positions_of(self.core)
        self.confounded = self.mask(marked)
        above_lists = [values_at(self.bit, within(parents[v], inside)) for v in self.core]
        below_lists = [values_at(self.bit, within(children[v], inside)) for v in self.core]
        self._above = self._spread(above_lists, below_lists, range(len(self.core)))
        self._below = self._spread(below_lists, above_lists, reversed(range(len(self.core))))
        by_name = {}
        for v in marked:
            by_name[self.bit[v]] = self.mask(within(graph.sibling_lists[v], marked))
        self._beside = by_name

    def _spread(
        self, sources: list[list[int]], readers: list[list[int]], order: Iterable[int]
    ) -> dict[int, int]:
        """For every confounded vertex itself and all it can reach along ``sources``; the rest is
        freed once read."""
        waiting = list(map(len, readers))
        reached: dict[int, int] = {}
        for v in order:
            mask = 1 << v
            for w in sources[v]:
                mask |= reached[w]
                waiting[w] -= 1
                if not waiting[w] and not self.confounded >> w & 1:
                    del reached[w]
            reached[v] = mask
        return {v: mask for v, mask in reached.items() if self.confounded >> v & 1}

    def start(self, members: int) -> ClosureState:
        """The closure of ``members`` (confounded variables), not grown yet."""
        above = below = 0
        for v in bits(members):
            above |= self._above[v]
            below |= self._below[v]
        return ClosureState(above, below)

    def grow(self, state: ClosureState) -> bool:
        """Add the siblings of what is reached, and what lies below them; False once the closure
        is complete."""
        fresh = state.above & state.below & self.confounded & ~state.done
        if fresh:
            state.done |= fresh
            for v in bits(fresh):
                state.beside |= self._beside[v]
        added = state.beside & state.above & ~state.below
        for v in bits(added):
            state.below |= self._below[v]
        return bool(added)

    def closure(self, members: int) -> int:
        """The closure of the confounded variables ``members``, as masks of the core."""
        state = self.start(members)
        while self.grow(state):
            pass
        return state.reached

    def mask(self, positions: Iterable[int]) -> int:
        """The mask of the core's variables at these positions of the graph."""
        return mask_of(self.bit[v] for v in positions)

    def positions(self, mask: int) -> list[int]:
        """Positions in the graph of a mask's variables, in topological order."""
        return values_at(self.core, bits(mask))
