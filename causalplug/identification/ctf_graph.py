"""The counterfactual graph of a query and its factorisation into c-factors.

Nodes are built in :mod:`causalplug.identification.unification`; nodes of one variable share its
noise, so they count as confounded.

Source: Correa, Lee & Bareinboim 2021, "Nested Counterfactual Identification from Arbitrary
Surrogate Experiments" (factorisation, consistency, ancestral components for the conditional case);
Shpitser & Pearl 2008 (ID*, IDC*).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from causalplug.graphs.bits import ancestors_within, bits, components_within, mask_of
from causalplug.identification.estimand import Atom, Symbol
from causalplug.identification.events import Event
from causalplug.identification.unification import Node, Unification

__all__ = ["Clash", "CounterfactualGraph", "Factor"]


@dataclass(frozen=True)
class Factor:
    """A consistent c-factor: the variables ``inside`` under do() on their parents outside.

    Attributes:
        inside: Bit set of the variables.
        outside: Bit set of their parents that are not inside.
        atoms: The values that all of them take.
    """

    inside: int
    outside: int
    atoms: Mapping[int, Atom]


@dataclass(frozen=True)
class Clash:
    """A c-component in which one variable is needed at two values: no experiment shows both at
    once.

    Attributes:
        inside: Bit set of the component's variables.
        variable: Position of the variable that is needed at two values.
        atoms: These two, or the same atom twice if the variable itself is needed under two parent
            values.
    """

    inside: int
    variable: int
    atoms: tuple[Atom, Atom]


class CounterfactualGraph(Unification):
    """What the nodes of a conjunction of events say: what is connected, what cancels, which
    c-factors there are."""

    @cached_property
    def mask(self) -> int:
        """The variables that have nodes."""
        found = 0
        for v in self.nodes:
            found |= 1 << v
        return found

    @cached_property
    def _links(self) -> dict[int, int]:
        """Per variable, those that it is joined to by a directed edge that is not out of
        evidence."""
        links: dict[int, int] = {}
        for nodes in self.nodes.values():
            for node in nodes:
                links[node.variable] = links.get(node.variable, 0) | node.reads_other
                for p in bits(node.reads_other):
                    links[p] = links.get(p, 0) | 1 << node.variable
        return links

    def tied(self, events: Iterable[Event], *, keep_evidence: bool = False) -> int:
        """The variables that are connected to ``events`` once the edges out of evidence are cut.

        Connections are directed edges between nodes, and bidirected ones; all other nodes have
        factors that cancel out of the conditional probability. Nodes of evidence start nothing,
        unless ``keep_evidence``.
        """
        wanted = set(events)
        present, links = self.mask, self._links
        frontier = found = 0
        for event, node in zip(self.outcomes + self.evidence, self.node_of, strict=True):
            if event in wanted and node is not None and (keep_evidence or not node.evidence):
                frontier |= 1 << node.variable
        while frontier:
            v = frontier.bit_length() - 1
            found |= 1 << v
            frontier = (frontier | self.graph.siblings[v] & present | links.get(v, 0)) & ~found
        return found

    def set_for(self, kept: int, *, nested: bool = False) -> int:
        """The variables whose do() some node of ``kept`` reads; with ``nested``, those set to
        another world's value."""
        found = 0
        for v in bits(kept & self.mask):
            for node in self.nodes[v]:
                if nested:
                    found |= node.reads_nested
                else:
                    found |= node.reads_set
        return found

    def evidence_within(self, kept: int) -> tuple[Event, ...]:
        """The evidence about variables in ``kept``."""
        return tuple(event for event in self.evidence if kept >> self.index[event.variable] & 1)

    def evidence_read(self, kept: int, *, above: bool = False) -> tuple[Event, ...]:
        """The evidence that ``kept`` reads or has, or that settles an outcome; with ``above``,
        on its causes too."""
        read = self._read_by(kept)
        own = []
        for event, node in zip(self.evidence, self.node_of[len(self.outcomes) :], strict=True):
            if node is not None:
                own.append((event, node))
        causes = 0
        if above:
            about = kept | mask_of(node.variable for _, node in own if id(node) in read)
            causes = ancestors_within(self.graph.parents, about, self.graph.present)
        return tuple(
            event for event, node in own if id(node) in read or causes >> node.variable & 1
        )

    def _read_by(self, kept: int) -> set[int]:
        """The nodes that ``kept`` has or whose evidence it reads, and the outcomes that evidence
        settles, by identity."""
        read: set[int] = set()
        for nodes in self.nodes.values():
            read.update(id(node) for node in nodes if node.outcome and node.evidence)
        for v in bits(kept):
            for node in self.nodes[v]:
                read.add(id(node))
                read.update(map(id, node.reads_evidence))
        return read

    def signature(self, kept: int) -> tuple[object, ...]:
        """What the factors of ``kept`` are made of, the same for two graphs that differ in names
        of symbols only."""
        numbers: dict[Symbol, int] = {}

        def plain(atom: Atom) -> object:
            if isinstance(atom, Symbol):
                return numbers.setdefault(atom, len(numbers))
            return atom

        parts = []
        for v in self.graph.order:
            if kept >> v & 1:
                for node in self.nodes.get(v, ()):
                    parts.append((v, tuple(map(plain, node.reads)), plain(node.atom), node.fixed))
        return kept, tuple(parts)

    def factors(self, kept: int) -> list[Factor | Clash]:
        """The c-factors of the nodes of ``kept``; their product, summed over ``summed(kept)``,
        is the probability."""
        return list(map(self._factor, components_within(self.graph.siblings, kept)))

    def summed(self, kept: int) -> tuple[Symbol, ...]:
        """The symbols of the nodes of ``kept`` that no event fixes."""
        symbols = []
        for v in bits(kept):
            for n in self.nodes[v]:
                if not n.fixed and isinstance(n.atom, Symbol):
                    symbols.append(n.atom)
        return tuple(symbols)

    def _factor(self, component: int) -> Factor | Clash:
        atoms: dict[int, Atom] = {}
        for v in bits(component):
            if len(self.nodes[v]) > 1:
                first, second = self.nodes[v][:2]
                return Clash(component, *self._difference(first, second))
            atoms[v] = self.nodes[v][0].atom
        for v in bits(component):
            for p, atom in zip(self.graph.parent_lists[v], self.nodes[v][0].reads, strict=True):
                if atoms.setdefault(p, atom) != atom:
                    return Clash(component, p, (atoms[p], atom))
        outside = 0
        for p in atoms:
            outside |= 1 << p
        return Factor(component, outside & ~component, atoms)

    def _difference(self, first: Node, second: Node) -> tuple[int, tuple[Atom, Atom]]:
        for p, one, two in zip(
            self.graph.parent_lists[first.variable], first.reads, second.reads, strict=True
        ):
            if one != two:
                return p, (one, two)
        return first.variable, (first.atom, second.atom)
