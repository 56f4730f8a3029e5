"""The strategy ``joint``: the whole model trained at once against each source's distribution (the
paper's Algorithm 3).

Kept for comparison: nothing is learned before anything else, so an image's gradient reaches every
mechanism from the first step on, and a critic reads everything that a source records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from causalplug.errors import PlanError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source, as_sources
from causalplug.planning.module import Action
from causalplug.planning.objectives import module_key
from causalplug.planning.plan import Module, Plan, Target
from causalplug.planning.pulling import judge_available
from causalplug.selection import not_none, within, without
from causalplug.values import Named
from causalplug.wording import listed

__all__ = ["joint_plan"]


def joint_plan(
    graph: CausalGraph,
    sources: Sequence[Source],
    *,
    frozen: Named,
    kinds: Mapping[str, str],
) -> Plan:
    """A plan with one module of all mechanisms that are trained, matched to every source as it
    stands.

    Args:
        graph: The causal graph.
        sources: What was recorded and what was set.
        frozen: Pulled mechanisms by variable, or modules (``"C+N"``); they are drawn from and not
            updated.
        kinds: ``"image"``, ``"discrete"`` or ``"continuous"`` by variable.

    Raises:
        PlanError: A trained mechanism has no influence on what any source records.
        SourceError: A source contradicts the graph or another source.
    """
    checked = as_sources(graph, sources)
    held: set[str] = set()
    for key in frozen:
        held.update(module_key(graph, key, "the model cannot be trained"))
    trained = without(graph.variables, held)
    found = (_target(graph, source, trained) for source in checked)
    targets = not_none(found)
    reached = set[str]().union(*(target.updated for target in targets))
    through = held & set[str]().union(*(target.frozen for target in targets))
    idle = without(trained, reached)
    if idle:
        raise PlanError(
            f"the model cannot be trained jointly: no source records {listed(idle)}, or anything "
            "that it affects, without setting it; add such a source"
        )
    module = Module(
        variables=tuple(trained),
        ancestors=tuple(within(graph.variables, through)),
        parents=(),
        action=Action.TRAIN,
        objective="adversarial",
        targets=tuple(targets),
        why='strategy="joint": the whole model at once, against the distribution of each source',
    )
    pulls = judge_available(graph, frozen, kinds=kinds)
    pulled = []
    for pull in pulls:
        pulled.append(
            Module(
                pull.variables,
                (),
                graph.parents(pull.variables[0]),
                Action.PULL,
                why=pull.why,
                generator=pull.generator,
            )
        )
    read = [m.variables for m in pulled if not through.isdisjoint(m.variables)]
    edges = tuple((variables, module.variables) for variables in read)
    return Plan(
        graph,
        checked,
        (*pulled, *([module] if trained else [])),
        edges,
        pulls,
        asked=True,
        strategy="joint",
    )


def _target(graph: CausalGraph, source: Source, trained: Sequence[str]) -> Target | None:
    """Everything that a source records of the trained mechanisms and of what they are drawn
    from."""
    seen = graph.do(source.do)
    wanted = []
    for name in trained:
        if name in source.recorded and name not in source.do:
            wanted.append(name)
    if not wanted:
        return None
    drawn = set(seen.ancestors(wanted)) - set(
        source.do
    )  # the recorded ones among them are compared
    parents = set(chain.from_iterable(map(graph.parents, drawn))) - drawn

    def named(names: set[str]) -> tuple[str, ...]:
        return tuple(within(graph.variables, names))

    return Target(
        source=str(source.name),
        variables=named(drawn & set(source.recorded)),
        parents=named(parents),
        given=named(parents | set(source.do)),
        do=named(set(source.do)),
        frozen=named(drawn - set(trained)),
        updated=named(drawn & set(trained)),
    )
