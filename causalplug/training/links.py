"""What a model's mechanisms say of the gradients that pass them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from causalplug.mechanisms.base import Mechanism
from causalplug.model.deferred import DeferredMechanism
from causalplug.model.model import Model
from causalplug.planning.gradients import Link, Passage, gradient_paths, ways_through
from causalplug.planning.plan import Module, Target
from causalplug.planning.ways import draws_through, merged_ways
from causalplug.training.config import TrainingConfig
from causalplug.variables import Variable

__all__ = ["links_of", "with_ways"]


def links_of(
    dcm: Model,
    order: Sequence[str],
    updated: Collection[str],
    mechanisms: Mapping[str, Mechanism] | None = None,
) -> dict[str, Link]:
    """The link of every variable of a target, in topological order.

    Args:
        dcm: The model.
        order: The variables that are drawn.
        updated: Those whose mechanisms are trained.
        mechanisms: The mechanisms, where those that were not opened yet are to stay so.
    """
    if mechanisms is None:
        mechanisms = {name: dcm.mechanism(name) for name in order}
    found = {}
    for name in order:
        found[name] = _link(mechanisms[name], dcm.variables[name], name in updated)
    return found


def _link(mechanism: Mechanism, variable: Variable, trained: bool) -> Link:
    parents, countable = tuple(mechanism.parents), variable.is_countable
    if isinstance(mechanism, DeferredMechanism):  # it says nothing before it is opened
        return Link(parents, trained, countable, countable, known=False)
    opaque = []
    for parent in mechanism.parents:
        if not mechanism.passes_gradient(parent):
            opaque.append(parent)
    explicit = mechanism.explicit and not variable.needs_encoder
    return Link(parents, trained, countable, explicit, frozenset(opaque), chooses=mechanism.chooses)


def with_ways(dcm: Model, modules: Sequence[Module], config: TrainingConfig) -> tuple[Module, ...]:
    """The modules of a plan with how gradients pass what each is trained through.

    Raises:
        PlanError: A gradient would be lost, or cannot pass as ``config.gradient`` asks.
    """
    held = dcm.mechanisms.unopened()
    found = []
    for module in modules:
        ways: dict[str, str] = {}
        if draws_through(module):
            ways = merged_ways(_ways(dcm, t, config, held) for t in module.targets)
        found.append(replace(module, gradients=ways) if ways else module)
    return tuple(found)


def _ways(
    dcm: Model, target: Target, config: TrainingConfig, held: Mapping[str, Mechanism]
) -> dict[str, str]:
    order = dcm.graph.in_order({*target.updated, *target.frozen})
    links = links_of(dcm, order, target.updated, held)
    paths = gradient_paths(links)
    sizes = {name: dcm.variables[name].cardinality for name in paths.weighed}
    passage = Passage.choose(
        order, paths, sizes, gradient=config.gradient, most=config.max_enumeration
    )
    return ways_through(links, paths, passage.words(paths))
