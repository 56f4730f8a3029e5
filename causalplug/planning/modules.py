"""C-components merged into modules that can be trained one after the other."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.search import components
from causalplug.planning.closure import Closures, ClosureState, bits
from causalplug.selection import values_at

__all__ = ["Block", "arrange"]


@dataclass
class Block:
    """A module by positions: ``members`` are trained together, ``frozen`` = closure(members) minus
    members.

    ``after`` holds the indices, in the list that :func:`arrange` returns, of the modules that must
    be trained before and are not implied by others (the transitive reduction); ``depth`` is the
    generation.
    """

    members: tuple[int, ...]
    frozen: tuple[int, ...] = ()
    after: list[int] = field(default_factory=list)
    depth: int = 0


def arrange(
    graph: CausalGraph, closures: Closures, ready: Iterable[Iterable[int]] = ()
) -> list[Block]:
    """The modules of ``graph`` in training order, merged as far as necessary and no further.

    Modules start as the c-components. A module M waits for every module that closure(M) meets;
    where modules wait for one another in a circle they are merged and the closure is taken afresh,
    until there is no circle.

    Args:
        graph: The causal graph.
        closures: Its closures without intervention.
        ready: Sets of positions, each a union of c-components whose mechanisms exist already: they
            wait for nothing and stay modules of their own.

    Returns:
        The modules, every one after those it waits for; the declared order where there is a choice.
    """
    ready_sets = list(map(frozenset, ready))
    taken = frozenset().union(*ready_sets)
    groups = [c for c in components(graph.sibling_lists) if not taken.issuperset(c)]
    merged = _merge(closures, [closures.mask(c) for c in groups if len(c) > 1])
    alone = [c for c in groups if len(c) == 1] + list(map(sorted, ready_sets))
    return _in_order(graph, closures, merged, alone)


def _merge(closures: Closures, units: list[int]) -> list[tuple[int, int]]:
    """Pairs (members, closure) of masks: the strongly connected unions of ``units``, dependencies
    first.

    Path-based search for strong components (Gabow 2000) in which the successors of a vertex, the
    units that its closure meets, are found while the closure grows: it stops at the first unit that
    is not finished and descends into that one; where the path is met again its end is contracted,
    and the closures are merged instead of being taken again.
    """
    unit_of = {v: number for number, unit in enumerate(units) for v in bits(unit)}
    on_path = [False] * len(units)
    path: list[tuple[int, ClosureState]] = []
    finished: list[tuple[int, int]] = []
    unfinished = 0
    for unit in units:
        unfinished |= unit

    def descend(number: int) -> None:
        on_path[number] = True
        path.append((units[number], closures.start(units[number])))

    for number, unit in enumerate(units):
        if unit & unfinished:
            descend(number)
        while path:
            members, state = path[-1]
            met = state.reached & unfinished & ~members
            if met:
                lowest = (met & -met).bit_length() - 1
                if on_path[unit_of[lowest]]:
                    _contract(path, lowest)
                else:
                    descend(unit_of[lowest])
            elif not closures.grow(state):
                path.pop()
                unfinished &= ~members
                finished.append((members, state.reached))
    return finished


def _contract(path: list[tuple[int, ClosureState]], met: int) -> None:
    """Merge the end of ``path``, down to the entry that holds vertex ``met``, into one entry."""
    members, state = path.pop()
    while not members >> met & 1:
        other_members, other = path.pop()
        members |= other_members
        other.merge(state)
        state = other
    path.append((members, state))


def _in_order(
    graph: CausalGraph, closures: Closures, merged: list[tuple[int, int]], alone: list[list[int]]
) -> list[Block]:
    """Blocks with the reduced edges between them, in a topological order that follows the
    declared one."""
    blocks = [Block(tuple(members), _around(graph, members)) for members in alone]
    own = []
    for block in blocks:
        own.append(closures.mask(v for v in block.members if v in closures.bit))
    owner = {}
    for number, mask in enumerate(own):
        for v in bits(mask):
            owner[v] = number
    spans = list(own)
    for members, closure in merged:
        after, spanned = _reduced(closure & ~members, own, spans, owner, len(alone))
        owner.update(dict.fromkeys(bits(members), len(blocks)))
        own.append(members)
        spans.append(members | spanned)
        frozen = sorted(closures.positions(closure & ~members))
        blocks.append(Block(tuple(sorted(closures.positions(members))), tuple(frozen), after))
    return _sorted(blocks)


def _around(graph: CausalGraph, members: list[int]) -> tuple[int, ...]:
    if len(members) == 1:
        return ()
    closed = graph.positions(graph.closure(graph.named(members)))
    return tuple(sorted(set(closed).difference(members)))


def _reduced(
    frozen: int, own: list[int], spans: list[int], owner: dict[int, int], first_merged: int
) -> tuple[list[int], int]:
    """The blocks that own the variables ``frozen``, without those that another one waits for, and
    all that these span.

    Blocks are numbered in the order in which they were finished, so a block is implied by later
    ones only: going backwards, one is needed iff it owns something that no later one spans. While
    much is left it pays to try the latest blocks one by one, because they tend to span the rest;
    once little is left its owners are looked up.
    """
    after: list[int] = []
    spanned = 0
    for number in range(len(own) - 1, first_merged - 1, -1):
        left = frozen & ~spanned
        if left.bit_count() < 64:
            break
        if own[number] & left:
            after.append(number)
            spanned |= spans[number]
    for number in sorted(set(values_at(owner, bits(frozen & ~spanned))), reverse=True):
        if own[number] & ~spanned:
            after.append(number)
            spanned |= spans[number]
    return after, spanned


def _readers(blocks: Sequence[Block]) -> list[list[int]]:
    """Numbers of the blocks that come after each block."""
    found: list[list[int]] = [[] for _ in blocks]
    for number, block in enumerate(blocks):
        for dependency in block.after:
            found[dependency].append(number)
    return found


def _sorted(blocks: list[Block]) -> list[Block]:
    waiting = [len(block.after) for block in blocks]
    readers = _readers(blocks)
    queue = [(blocks[n].members[0], n) for n, count in enumerate(waiting) if not count]
    heapq.heapify(queue)
    place: dict[int, int] = {}
    ordered: list[Block] = []
    while queue:
        _, number = heapq.heappop(queue)
        place[number] = len(ordered)
        ordered.append(blocks[number])
        for reader in readers[number]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(queue, (blocks[reader].members[0], reader))
    for block in ordered:
        block.after = sorted(values_at(place, block.after))
        block.depth = 1 + max((ordered[dependency].depth for dependency in block.after), default=-1)
    return ordered
