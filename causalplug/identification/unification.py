"""The nodes of a counterfactual graph, by unification in topological order.

A node is a variable together with the values that its parents have in the world where it lives. Two
worlds in which a variable's parents have the same values share that node, because the same
mechanism then reads the same values and the same noise. Every node carries an atom, the value that
it takes: a constant or a free symbol if an event of the query says so, a symbol of its own that is
summed over otherwise.

Source: Shpitser & Pearl 2008, "Complete Identification Methods for the Causal Hierarchy" (make-cg).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from causalplug.graphs.bits import BitGraph, ancestors_within, bits
from causalplug.identification.estimand import Atom, Constant, Symbol
from causalplug.identification.events import Bound, Event, World

__all__ = ["Node", "Unification"]


@dataclass(eq=False)
class Node:
    """One variable under given values of its parents.

    Attributes:
        variable: Its position.
        reads: Per parent, in ascending position, the atom that the variable reads.
        atom: The value that it takes; ``fixed`` if an event of the query says which.
        outcome, evidence: Whether an event before or behind the bar is about it.
        reads_evidence: The nodes with evidence that it reads in one of the worlds that share it.
        reads_other: Bit set of the parents that it reads, in one of these worlds, from nodes
            without evidence.
        reads_set: Bit set of the parents that one of these worlds sets to a value.
        reads_nested: Bit set of the parents that one of them sets to what another world makes of
            them.
    """

    variable: int
    reads: tuple[Atom, ...]
    atom: Atom
    fixed: bool = False
    outcome: bool = False
    evidence: bool = False
    reads_evidence: list[Node] = field(default_factory=list)
    reads_other: int = 0
    reads_set: int = 0
    reads_nested: int = 0


@dataclass(eq=False)
class _Setting:
    """What one world sets, by position; its nodes, once they are built."""

    atoms: dict[int, Atom] = field(default_factory=dict)
    nested: dict[int, World] = field(default_factory=dict)
    set_mask: int = 0
    nested_mask: int = 0
    needed: int = 0
    nodes: dict[int, Node] = field(default_factory=dict)


class Unification:
    """The nodes that a conjunction of events speaks of.

    Args:
        graph: The causal graph (or a projection that has every variable that matters).
        outcomes, evidence: The events.
        open_outcomes: Leave the outcomes' constants open; ``closing`` then says what to put in.

    Attributes:
        nodes: Per variable position, its nodes.
        node_of: Per event, outcomes first, the node that it is about; None if its own world sets
            its variable.
        targets: Per event, the atom that it asks for.
        contradiction: Two events that cannot both happen, or None.
        equal: Pairs of atoms that have to be the same value for the outcomes to happen.
        equal_evidence: Pairs that have to be the same value for the evidence to happen.
        closing: Symbol to constant, for ``open_outcomes``.
    """

    def __init__(
        self,
        graph: BitGraph,
        outcomes: Iterable[Event],
        evidence: Iterable[Event],
        *,
        open_outcomes: bool = False,
    ):
        self.graph = graph
        self.index = {graph.names[v]: v for v in graph.order}
        self.outcomes, self.evidence = tuple(outcomes), tuple(evidence)
        self.nodes: dict[int, list[Node]] = {}
        self.contradiction: tuple[str, str] | None = None
        self.equal: list[tuple[Atom, Atom]] = []
        self.equal_evidence: list[tuple[Atom, Atom]] = []
        self.closing: dict[Symbol, Constant] = {}
        self._primes: dict[str, int] = {}
        self._open: dict[Hashable, Symbol] = {}
        self._constants: dict[Constant, Constant] = {}
        self._settings: dict[World, _Setting] = {}
        events = self.outcomes + self.evidence
        targets = []
        for i, e in enumerate(events):
            targets.append(self._target(e, open_outcomes and i < len(self.outcomes)))
        self.targets = targets
        for event in events:
            self._enter(event.do)
        self._places = list(map(self._place, events))
        self.node_of: list[Node | None] = [None] * len(events)
        self._build()

    # --- atoms ---

    def _fresh(self, variable: str) -> Symbol:
        primes = self._primes.get(variable, 0)
        self._primes[variable] = primes + 1
        return Symbol(variable, primes)

    def _constant(self, variable: str, value: Hashable) -> Constant:
        """The one object for this constant, so that atoms are the same value iff they are the
        same object."""
        constant = Constant(variable, value)
        return self._constants.setdefault(constant, constant)

    def _opened(self, key: Hashable, variable: str) -> Symbol:
        if key not in self._open:
            self._open[key] = self._fresh(variable)
        return self._open[key]

    def _target(self, event: Event, opened: bool) -> Atom:
        """The atom that ``event`` asks for."""
        if isinstance(event.value, Bound):
            return self._opened(event.value, event.variable)
        if event.value is None:
            return self._fresh(event.variable)
        constant = self._constant(event.variable, event.value)
        if not opened:
            return constant
        symbol = self._fresh(event.variable)
        self.closing[symbol] = constant
        return symbol

    # --- worlds ---

    def _enter(self, world: World) -> _Setting:
        """Note what ``world`` sets, as far as the graph has it."""
        if world in self._settings:
            return self._settings[world]
        setting = self._settings[world] = _Setting()
        for name, value in world.items():
            v = self.index.get(name)
            if v is None:
                continue
            if isinstance(value, Event):
                self._enter(value.do)
                setting.nested[v] = value.do
                setting.nested_mask |= 1 << v
                continue
            if value is None or isinstance(value, Bound):
                setting.atoms[v] = self._opened(name if value is None else value, name)
            else:
                setting.atoms[v] = self._constant(name, value)
            setting.set_mask |= 1 << v
        return setting

    def _place(self, event: Event) -> tuple[int, World]:
        """Variable and world that ``event`` is about, once a variable set to another world's
        value is looked up."""
        v, world = self.index[event.variable], event.do
        while v in self._settings[world].nested:
            world = self._settings[world].nested[v]
        return v, world

    def _needed(self) -> None:
        """In every world, the variables whose value matters to some event."""
        waiting = [(world, 1 << v) for v, world in self._places]
        while waiting:
            world, start = waiting.pop()
            setting = self._settings[world]
            cut = setting.set_mask | setting.nested_mask
            new = start & ~cut & ~setting.needed
            setting.needed |= ancestors_within(self.graph.parents, new, self.graph.present & ~cut)
            read = (self.graph.parents_of(setting.needed) | start) & setting.nested_mask
            for v in bits(read):
                inner = setting.nested[v]
                if not self._settings[inner].needed >> v & 1:
                    waiting.append((inner, 1 << v))

    def _read(self, v: int, setting: _Setting) -> tuple[Atom, Node | None]:
        """The value of ``v`` in a world, and the node that takes it unless it is set."""
        while v in setting.nested:
            setting = self._settings[setting.nested[v]]
        if v in setting.atoms:
            return setting.atoms[v], None
        node = setting.nodes[v]
        return node.atom, node

    # --- nodes ---

    def _build(self) -> None:
        self._needed()
        asked: dict[tuple[int, int], list[int]] = {}
        for i, (v, world) in enumerate(self._places):
            setting = self._settings[world]
            if v in setting.atoms:
                event = (self.outcomes + self.evidence)[i]
                known = i >= len(self.outcomes)
                self._require_equal(
                    self.targets[i], setting.atoms[v], str(event), f"do({event.do})", known
                )
            else:
                asked.setdefault((v, id(setting)), []).append(i)
        settings = list(self._settings.values())
        for v in self.graph.order:
            by_reads: dict[tuple[int, ...], Node] = {}
            events: dict[int, list[int]] = {}
            for setting in settings:
                if setting.needed >> v & 1:
                    node = self._node(v, setting, by_reads)
                    events.setdefault(id(node), []).extend(asked.get((v, id(setting)), ()))
            for node in by_reads.values():
                self._settle(node, events[id(node)])

    def _node(self, v: int, setting: _Setting, by_reads: dict[tuple[int, ...], Node]) -> Node:
        """The node of ``v`` in a world: the one that reads the same atoms, or a new one."""
        parents = self.graph.parent_lists[v]
        found = [self._read(p, setting) for p in parents]
        key = tuple(id(atom) for atom, _ in found)
        node = by_reads.get(key)
        if node is None:
            node = by_reads[key] = Node(v, tuple(atom for atom, _ in found), Symbol("", 0))
            self.nodes.setdefault(v, []).append(node)
        for p, (_, above) in zip(parents, found, strict=True):
            if above is not None and above.evidence:
                node.reads_evidence.append(above)
            elif above is not None:
                node.reads_other |= 1 << p
        node.reads_set |= self.graph.parents[v] & setting.set_mask
        node.reads_nested |= self.graph.parents[v] & setting.nested_mask
        setting.nodes[v] = node
        return node

    def _settle(self, node: Node, asked: list[int]) -> None:
        """Give ``node`` its atom: a constant if some event asks for one, else a free symbol,
        else one to sum over."""
        events = self.outcomes + self.evidence
        node.outcome = any(i < len(self.outcomes) for i in asked)
        node.evidence = any(i >= len(self.outcomes) for i in asked)
        if not asked:
            node.atom = self._fresh(self.graph.names[node.variable])
            return
        first = min(
            asked, key=lambda i: (isinstance(self.targets[i], Symbol), i < len(self.outcomes), i)
        )
        node.atom, node.fixed = self.targets[first], True
        known = [i for i in asked if i >= len(self.outcomes)]
        for i in asked:
            self.node_of[i] = node
            # Evidence is compared among itself, since it is undefined, not false, where it differs.
            other = first
            if i in known[1:]:
                other = known[0]
            self._require_equal(
                self.targets[i],
                self.targets[other],
                str(events[i]),
                str(events[other]),
                i in known[1:],
            )

    def _require_equal(
        self, left: Atom, right: Atom, event: str, other: str, in_evidence: bool
    ) -> None:
        if left == right:
            return
        if isinstance(left, Constant) and isinstance(right, Constant):
            self.contradiction = self.contradiction or (event, other)
        (self.equal_evidence if in_evidence else self.equal).append((left, right))

    # --- symbols ---

    def symbol(self, key: Event | Bound | str) -> Symbol | None:
        """The free symbol of what a term leaves open (see ``Term.axes``), if this graph speaks
        of it."""
        if not isinstance(key, Event):
            return self._open.get(key)
        events = self.outcomes + self.evidence
        target = next((t for e, t in zip(events, self.targets, strict=True) if e == key), None)
        if isinstance(target, Symbol):
            return target
        return None

    def set_to(self, v: int, world: World) -> Atom:
        """The value that ``world`` sets ``v`` to."""
        return self._settings[world].atoms[v]

    def translation(self, other: Unification) -> dict[Symbol, Atom]:
        """This graph's open symbols in those of ``other``, which has the same evidence behind
        its outcomes."""
        pairs = list(zip(self.targets, other.targets[len(other.outcomes) :], strict=True))
        pairs += [(symbol, other._open[key]) for key, symbol in self._open.items()]
        return {mine: theirs for mine, theirs in pairs if isinstance(mine, Symbol)}
