"""The counterfactual graph of a query, built by unification, and its factorisation into c-factors.

A node is a variable together with the values that its parents have in the world where it lives. Two worlds in which a
variable's parents have the same values share that node, because the same mechanism then reads the same values and the
same noise. Every node carries an atom, the value that it takes: a constant or a free symbol if an event of the query
says so, a symbol of its own that is summed over otherwise. Nodes of one variable share its noise, so they count as
confounded.

Sources: Shpitser & Pearl 2008 (make-cg, ID*, IDC*); Correa, Lee & Bareinboim 2021, "Nested Counterfactual
Identification from Arbitrary Surrogate Experiments" (factorisation, consistency, ancestral components for the
conditional case).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from causalplug.causal.bits import BitGraph, bits, components_within
from causalplug.causal.estimand import Atom, Constant, Symbol
from causalplug.causal.query import Bound, Event, World

__all__ = ["Clash", "CounterfactualGraph", "Factor", "Node"]


@dataclass(eq=False)
class Node:
    """One variable under given values of its parents.

    Attributes:
        variable: its position.
        reads: per parent, in the order of ``bits(parents)``, the atom that the variable reads.
        atom: the value that it takes; ``fixed`` if an event of the query says which.
        outcome, evidence: whether an event before or behind the bar is about it.
        above: the nodes that it reads in one of the worlds that share it.
        set_above: bit set of the parents that are set to a value in one of them.
        nested_above: bit set of those that are set to what another world makes of them.
    """

    variable: int
    reads: tuple[Atom, ...]
    atom: Atom
    fixed: bool = False
    outcome: bool = False
    evidence: bool = False
    above: list[Node] = field(default_factory=list)
    set_above: int = 0
    nested_above: int = 0


@dataclass(frozen=True)
class Factor:
    """A consistent c-factor: the variables ``inside`` under do() on their parents outside.

    Attributes:
        inside: bit set of the variables.
        outside: bit set of their parents that are not inside.
        atoms: the values that all of them take.
    """

    inside: int
    outside: int
    atoms: Mapping[int, Atom]


@dataclass(frozen=True)
class Clash:
    """A c-component in which one variable is needed at two values: no experiment shows both at once.

    Attributes:
        inside: bit set of the component's variables.
        variable: position of the variable that is needed at two values.
        atoms: these two, or the same atom twice if the variable itself is needed under two parent values.
    """

    inside: int
    variable: int
    atoms: tuple[Atom, Atom]


class CounterfactualGraph:
    """The nodes that a conjunction of events speaks of.

    Args:
        graph: the causal graph (or a projection that has every variable that matters).
        outcomes, evidence: the events.
        open_outcomes: leave the outcomes' constants open; ``closing`` then says what to put in.

    Attributes:
        nodes: per variable position, its nodes.
        contradiction: two events that cannot both happen, or None.
        equal: pairs of atoms that have to be the same value.
        closing: symbol to constant, for ``open_outcomes``.
        targets: per event, outcomes first, the atom that it asks for.
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
        self.closing: dict[Symbol, Constant] = {}
        self._primes: dict[str, int] = {}
        self._do_symbols: dict[Any, Symbol] = {}
        self._node_of: dict[tuple[int, World], Node] = {}
        self.targets = [self._target(event, open_outcomes) for event in self.outcomes]
        self.targets += [self._target(event, False) for event in self.evidence]
        self._build()

    # --- construction ---

    def _fresh(self, variable: str) -> Symbol:
        primes = self._primes.get(variable, 0)
        self._primes[variable] = primes + 1
        return Symbol(variable, primes)

    def _target(self, event: Event, opened: bool) -> Atom:
        """The atom that ``event`` asks for."""
        if isinstance(event.value, Bound):
            if event.value not in self._do_symbols:
                self._do_symbols[event.value] = self._fresh(event.variable)
            return self._do_symbols[event.value]
        if event.value is None:
            return self._fresh(event.variable)
        constant = Constant(event.variable, event.value)
        if not opened:
            return constant
        symbol = self._fresh(event.variable)
        self.closing[symbol] = constant
        return symbol

    def _build(self) -> None:
        for event in self.outcomes + self.evidence:
            self._collect_symbols(event.do)
        needed = self._needed()
        events: dict[tuple[int, World], list[int]] = {}
        for i, event in enumerate(self.outcomes + self.evidence):
            v = self.index[event.variable]
            if event.variable in event.do:
                self._require_equal(self.targets[i], self._read(v, event.do)[0], event, f"do({event.do})")
            else:
                events.setdefault((v, event.do), []).append(i)
        for v in self.graph.order:
            by_reads: dict[tuple[Atom, ...], Node] = {}
            asked: dict[int, list[int]] = {}
            for world in needed.get(v, ()):
                found = [self._read(p, world) for p in bits(self.graph.parents[v])]
                reads = tuple(atom for atom, _ in found)
                node = by_reads.get(reads)
                if node is None:
                    node = by_reads[reads] = Node(v, reads, Symbol("", 0))
                    self.nodes.setdefault(v, []).append(node)
                node.above += [above for _, above in found if above is not None]
                self._note_settings(node, world)
                self._node_of[v, world] = node
                asked.setdefault(id(node), []).extend(events.get((v, world), ()))
            for node in by_reads.values():
                self._settle(node, asked[id(node)])

    def _collect_symbols(self, world: World) -> None:
        for name, value in world.items():
            key = name if value is None else value
            if (value is None or isinstance(value, Bound)) and key not in self._do_symbols:
                self._do_symbols[key] = self._fresh(name)
            elif isinstance(value, Event):
                self._collect_symbols(value.do)

    def _needed(self) -> dict[int, dict[World, None]]:
        """Per variable, the worlds in which its value matters to some event."""
        needed: dict[int, dict[World, None]] = {}
        stack = [(self.index[event.variable], event.do) for event in self.outcomes + self.evidence]
        while stack:
            v, world = stack.pop()
            name = self.graph.names[v]
            if name in world:
                if isinstance(world[name], Event):
                    stack.append((v, world[name].do))
                continue
            worlds = needed.setdefault(v, {})
            if world not in worlds:
                worlds[world] = None
                stack += [(p, world) for p in bits(self.graph.parents[v])]
        return needed

    def _read(self, v: int, world: World) -> tuple[Atom, Node | None]:
        """The value of ``v`` in ``world``, and the node that takes it unless it is set."""
        name = self.graph.names[v]
        while name in world:
            value = world[name]
            if isinstance(value, Event):
                world = value.do
            elif value is None:
                return self._do_symbols[name], None
            elif isinstance(value, Bound):
                return self._do_symbols[value], None
            else:
                return Constant(name, value), None
        node = self._node_of[v, world]
        return node.atom, node

    def read_set(self, v: int, world: World) -> Atom:
        """The value that ``world`` sets ``v`` to."""
        return self._read(v, world)[0]

    def _settle(self, node: Node, asked: list[int]) -> None:
        """Give ``node`` its atom: a constant if some event asks for one, else a free symbol, else one to sum over."""
        events = self.outcomes + self.evidence
        node.outcome = any(i < len(self.outcomes) for i in asked)
        node.evidence = any(i >= len(self.outcomes) for i in asked)
        if not asked:
            node.atom = self._fresh(self.graph.names[node.variable])
            return
        # Evidence first: an outcome on the same node is then compared with what is known.
        ranked = sorted(asked, key=lambda i: (isinstance(self.targets[i], Symbol), i < len(self.outcomes), i))
        first = ranked[0]
        node.atom, node.fixed = self.targets[first], True
        for i in ranked[1:]:
            self._require_equal(self.targets[i], node.atom, events[i], str(events[first]))

    def _require_equal(self, left: Atom, right: Atom, event: Event, other: str) -> None:
        if left == right:
            return
        if isinstance(left, Constant) and isinstance(right, Constant):
            self.contradiction = self.contradiction or (str(event), other)
        self.equal.append((left, right))

    def _note_settings(self, node: Node, world: World) -> None:
        for p in bits(self.graph.parents[node.variable]):
            if isinstance(world.get(self.graph.names[p]), Event):
                node.nested_above |= 1 << p
            elif self.graph.names[p] in world:
                node.set_above |= 1 << p

    def symbol(self, key: Event | Bound | str) -> Symbol | None:
        """The free symbol of what a term leaves open (see ``Term.axes``), if this graph speaks of it."""
        if not isinstance(key, Event):
            return self._do_symbols.get(key)
        events = self.outcomes + self.evidence
        target = self.targets[events.index(key)] if key in events else None
        return target if isinstance(target, Symbol) else None

    # --- what it says ---

    @property
    def mask(self) -> int:
        """The variables that have nodes."""
        found = 0
        for v in self.nodes:
            found |= 1 << v
        return found

    def tied(self, events: Iterable[Event], *, keep_evidence: bool = False) -> int:
        """The variables that are connected to ``events`` once the edges out of evidence are cut.

        Connections are directed edges between nodes, and bidirected ones; all other nodes have factors that cancel out
        of the conditional probability. Nodes of evidence alone start nothing, unless ``keep_evidence``.
        """
        links: dict[int, int] = {}
        for nodes in self.nodes.values():
            for node in nodes:
                for above in node.above:
                    if not above.evidence:
                        links[node.variable] = links.get(node.variable, 0) | 1 << above.variable
                        links[above.variable] = links.get(above.variable, 0) | 1 << node.variable
        starts = [self._node_of.get((self.index[event.variable], event.do)) for event in events]
        frontier = found = 0
        for start in starts:
            if start is not None and (keep_evidence or not start.evidence):
                frontier |= 1 << start.variable
        present = self.mask
        while frontier:
            v = frontier.bit_length() - 1
            found |= 1 << v
            frontier = (frontier | self.graph.siblings[v] & present | links.get(v, 0)) & ~found
        return found

    def set_for(self, kept: int, *, nested: bool = False) -> int:
        """The variables whose do() some node of ``kept`` reads; with ``nested``, those set to another world's value."""
        found = 0
        for v in bits(kept & self.mask):
            for node in self.nodes[v]:
                found |= node.nested_above if nested else node.set_above
        return found

    def evidence_within(self, kept: int) -> tuple[Event, ...]:
        """The evidence about variables in ``kept``."""
        return tuple(event for event in self.evidence if kept >> self.index[event.variable] & 1)

    def evidence_read(self, kept: int, *, above: bool = False) -> tuple[Event, ...]:
        """The evidence that ``kept`` reads or contains, or that settles an outcome; with ``above``, its causes too."""
        nodes = [node for v in bits(kept) for node in self.nodes[v]]
        known = [node for copies in self.nodes.values() for node in copies if node.outcome and node.evidence]
        read = {id(node) for node in (*nodes, *known)}
        waiting = [up for node in nodes for up in node.above if up.evidence]
        waiting += [up for node in known for up in node.above] if above else []
        while waiting:
            node = waiting.pop()
            if id(node) not in read:
                read.add(id(node))
                waiting += node.above if above else ()
        own = ((event, self._node_of.get((self.index[event.variable], event.do))) for event in self.evidence)
        return tuple(event for event, node in own if node is not None and id(node) in read)

    def signature(self, kept: int) -> tuple[Any, ...]:
        """What the factors of ``kept`` are made of, the same for two graphs that differ in names of symbols only."""
        numbers: dict[Symbol, int] = {}

        def plain(atom: Atom) -> Any:
            return numbers.setdefault(atom, len(numbers)) if isinstance(atom, Symbol) else atom

        return kept, tuple(
            (v, tuple(plain(atom) for atom in node.reads), plain(node.atom), node.fixed)
            for v in self.graph.order
            if kept >> v & 1
            for node in self.nodes.get(v, ())
        )

    def factors(self, kept: int) -> list[Factor | Clash]:
        """The c-factors of the nodes of ``kept``; their product, summed over ``summed(kept)``, is the probability."""
        return [self._factor(component) for component in components_within(self.graph.siblings, kept)]

    def summed(self, kept: int) -> tuple[Symbol, ...]:
        """The symbols of the nodes of ``kept`` that no event fixes."""
        return tuple(n.atom for v in bits(kept) for n in self.nodes[v] if not n.fixed and isinstance(n.atom, Symbol))

    def translation(self, other: CounterfactualGraph) -> dict[Symbol, Atom]:
        """This graph's open symbols in those of ``other``, which has the same evidence behind its outcomes."""
        pairs = list(zip(self.targets, other.targets[len(other.outcomes) :], strict=True))
        pairs += [(symbol, other._do_symbols[key]) for key, symbol in self._do_symbols.items()]
        return {mine: theirs for mine, theirs in pairs if isinstance(mine, Symbol)}

    def _factor(self, component: int) -> Factor | Clash:
        atoms: dict[int, Atom] = {}
        for v in bits(component):
            if len(self.nodes[v]) > 1:
                first, second = self.nodes[v][:2]
                return Clash(component, *self._difference(first, second))
            atoms[v] = self.nodes[v][0].atom
        for v in bits(component):
            for p, atom in zip(bits(self.graph.parents[v]), self.nodes[v][0].reads, strict=True):
                if atoms.setdefault(p, atom) != atom:
                    return Clash(component, p, (atoms[p], atom))
        outside = 0
        for p in atoms:
            outside |= 1 << p
        return Factor(component, outside & ~component, atoms)

    def _difference(self, first: Node, second: Node) -> tuple[int, tuple[Atom, Atom]]:
        for p, one, two in zip(bits(self.graph.parents[first.variable]), first.reads, second.reads, strict=True):
            if one != two:
                return p, (one, two)
        return first.variable, (first.atom, second.atom)
