"""From merged c-components to the modules of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from causalplug.errors import PlanError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.planning.closure import Closures
from causalplug.planning.module import Action, Module, Variables
from causalplug.planning.modules import Block, arrange
from causalplug.planning.pulling import Pull, PullVerdict
from causalplug.planning.targets import Target, Targets
from causalplug.selection import values_at, within
from causalplug.wording import listed

__all__ = ["Making"]


class Making:
    """A plan in the making: merged c-components in their order, and what becomes of each.

    Args:
        graph: The causal graph.
        sources: What was recorded and what was set.
        pulls: What was decided about pretrained mechanisms.
        offered: Variables that a pretrained model could be the mechanism of, with what would do.
        only: Variables whose modules are planned, with what they are trained through.
    """

    def __init__(
        self,
        graph: CausalGraph,
        sources: Sequence[Source],
        pulls: Sequence[Pull],
        offered: Mapping[str, str],
        only: str | Iterable[str] | None,
    ):
        self.graph, self.offered = graph, offered
        self.pulled = {pull.variables: pull for pull in pulls if pull.verdict == PullVerdict.PULL}
        self.renderers = {
            pull.variables[0] for pull in pulls if pull.verdict == PullVerdict.RENDERER
        }
        closures = Closures(graph)
        whole = list(map(graph.positions, self.pulled))
        self.blocks = arrange(graph, closures, whole)
        self.names = [graph.named(block.members) for block in self.blocks]
        self.targets = Targets(graph, sources, closures=closures)
        self.kept = set(range(len(self.blocks)))
        if only is not None:
            self.kept = _needed(self.blocks, graph.positions(only))

    @property
    def trained(self) -> dict[Variables, Variables]:
        """The modules that are trained, with the variables that each is trained through."""
        found = {}
        for number in sorted(self.kept):
            if self.names[number] not in self.pulled:
                found[self.names[number]] = self.graph.named(self.blocks[number].frozen)
        return found

    def modules(
        self,
        objectives: Mapping[Variables, str],
        undecided: Mapping[Variables, tuple[str, ...]],
    ) -> tuple[Module, ...]:
        """The modules in training order.

        Args:
            objectives: Module -> its objective.
            undecided: Module -> its possible objectives, where the kinds leave several.

        Raises:
            PlanError: No source gives the own c-factor of some module.
        """
        kept = values_at(self.blocks, sorted(self.kept))
        modules, uncovered = [], []
        for block in kept:
            matched = self._targets(block)
            if not matched and self._pull(block) is None:
                uncovered.append(block)
            made = self._module(block, matched, objectives.get(self._named(block)))
            modules.append(replace(made, objectives=undecided.get(made.variables, ())))
        if uncovered:
            raise PlanError(self._complaint(uncovered))
        return tuple(modules)

    def edges(self) -> tuple[tuple[Variables, Variables], ...]:
        """Pairs of modules, the first of which the second is trained through."""
        found = []
        for number in sorted(self.kept):
            for before in self.blocks[number].after:
                found.append((self.names[before], self.names[number]))
        return tuple(found)

    def _pull(self, block: Block) -> Pull | None:
        return self.pulled.get(self._named(block))

    def _named(self, block: Block) -> Variables:
        return self.graph.named(block.members)

    def _targets(self, block: Block) -> tuple[Target, ...]:
        if self._pull(block) is not None:
            return ()
        return self.targets.of(block.members)

    def _module(self, block: Block, matched: tuple[Target, ...], objective: str | None) -> Module:
        graph, pull = self.graph, self._pull(block)
        names = graph.named(block.members)
        inside = {*block.members, *block.frozen}
        could = len(names) == 1 and names[0] in self.offered
        rendered = tuple(within(names, self.renderers))
        action, generator = Action.TRAIN, None
        if pull is not None or could:
            action = Action.PULL
        if pull is not None:
            generator = pull.generator
        return Module(
            variables=names,
            ancestors=graph.named(block.frozen),
            parents=graph.named({p for v in inside for p in graph.parent_lists[v]} - inside),
            action=action,
            objective=objective,
            targets=matched,
            why=_why(graph, block, pull, rendered, self.offered if could else {}),
            renderers=rendered,
            generator=generator,
        )

    def _complaint(self, uncovered: Sequence[Block]) -> str:
        rest = [" + ".join(self.graph.named(block.members)) for block in uncovered[1:]]
        also = ""
        if rest:
            also = f". Nor can {listed(rest, most=6)}"
        served = _served(self.graph, self.blocks, uncovered)
        return self.targets.complaint(uncovered[0].members) + also + served


def _needed(blocks: Sequence[Block], wanted: Iterable[int]) -> set[int]:
    """The modules of the variables ``wanted``, and those that these are trained through."""
    reached, kept = set(wanted), set()
    for number in reversed(range(len(blocks))):  # what a module is trained through comes before it
        block = blocks[number]
        if reached.intersection(block.members):
            kept.add(number)
            reached.update(block.members, block.frozen)
    return kept


def _served(graph: CausalGraph, blocks: Sequence[Block], uncovered: Sequence[Block]) -> str:
    """Which questions could be served without the modules that no source covers."""
    missing = {v for block in uncovered for v in block.members}
    covered = []
    for v in range(len(graph.variables)):
        above = graph.positions(graph.ancestors([graph.variables[v]]))
        reached: set[int] = set()
        for n in _needed(blocks, above):
            reached.update(blocks[n].members)
        if not reached & missing:
            covered.append(graph.variables[v])
    if not covered:
        return ""
    return (
        f". Questions about {listed(covered, most=6)} alone can still be served, and others whose "
        "do() cuts the rest off: cp.fit(…, queries=[…]) trains only what they read"
    )


def _edges_within(graph: CausalGraph, block: Block) -> list[str]:
    """The bidirected edges between members of the block, as text."""
    found = []
    for v in block.members:
        for sibling in within(graph.sibling_lists[v], set(block.members)):
            if v < sibling:
                found.append(f"{graph.variables[v]} <-> {graph.variables[sibling]}")
    return found


def _why(
    graph: CausalGraph,
    block: Block,
    pull: Pull | None,
    renderers: Variables,
    offered: Mapping[str, str],
) -> str:
    if pull is not None:
        return pull.why
    names = graph.named(block.members)
    if offered:
        return f"no hidden confounder touches {names[0]}: {offered[names[0]]} may be plugged in"
    if len(names) > 1:
        reasons = [f"trained together: {listed(_edges_within(graph, block), most=4)}"]
    else:
        reasons = [f"{names[0]} has no generator, and no confounder"]
    if block.frozen:
        reasons.append(
            f"trained through {listed(graph.named(block.frozen), most=6)}, where paths leave it "
            "and return"
        )
    if renderers:
        reasons.append(f"the generator of {listed(renderers)} renders what a trained code says")
    return "; ".join(reasons)
