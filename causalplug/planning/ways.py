"""How gradients pass what a module is trained through, as far as the kinds of variables tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from causalplug.graphs.graph import CausalGraph
from causalplug.planning.gradients import Link, Passage, gradient_paths, ways_through
from causalplug.planning.module import Action, Module
from causalplug.planning.objectives import OBJECTIVES, kind_of
from causalplug.planning.targets import Target
from causalplug.values import Named

__all__ = ["draws_through", "merged_ways", "with_known_ways"]


def draws_through(module: Module) -> bool:
    """Whether a module is trained through frozen mechanisms that are drawn from."""
    rule = OBJECTIVES.get(module.objective or "")
    trained = module.action == Action.TRAIN and rule is not None and rule.draws
    return trained and any(target.frozen for target in module.targets)


def merged_ways(of_targets: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The ways through each frozen variable over all targets of a module."""
    found: dict[str, str] = {}
    for ways in of_targets:
        for name, way in ways.items():
            known = found.setdefault(name, way)
            if way not in known:
                found[name] = f"{known}, or {way}"
    return found


def with_known_ways(
    graph: CausalGraph,
    modules: Sequence[Module],
    kinds: Named | None,
    explicit: Mapping[str, bool] | None,
) -> tuple[Module, ...]:
    """The modules with how gradients pass what they are trained through, where all kinds that
    matter are known.

    Args:
        graph: The causal graph.
        modules: The modules of a plan.
        kinds: Variable -> word or declaration.
        explicit: Whether the mechanism of a variable has an explicit density, where that is known.
    """
    pulled = {n for module in modules if module.action == Action.PULL for n in module.variables}
    found = []
    for module in modules:
        ways: dict[str, str] = {}
        if draws_through(module) and kinds:
            ways = merged_ways(
                _ways(graph, target, kinds, explicit or {}, pulled) for target in module.targets
            )
        found.append(replace(module, gradients=ways) if ways else module)
    return tuple(found)


def _ways(
    graph: CausalGraph,
    target: Target,
    kinds: Named,
    explicit: Mapping[str, bool],
    pulled: Iterable[str],
) -> dict[str, str]:
    order = graph.in_order({*target.updated, *target.frozen})
    if not target.frozen or any(name not in kinds for name in order):
        return {}
    links = {}
    for name in order:
        trained = name in target.updated
        links[name] = _link(graph, name, kinds[name], trained, explicit, name not in pulled)
    paths = gradient_paths(links)
    sizes = {name: _size(kinds[name]) for name in paths.weighed}
    words = dict.fromkeys(paths.weighed, "enumeration or the score function")
    if None not in sizes.values() or any(_endless(kinds[name]) for name in paths.weighed):
        words = Passage.choose(order, paths, sizes).words(paths)
    return ways_through(links, paths, words)


def _link(
    graph: CausalGraph,
    name: str,
    kind: object,
    trained: bool,
    explicit: Mapping[str, bool],
    known: bool,
) -> Link:
    from causalplug.variables import variable_class

    found = variable_class(kind_of(kind))
    countable = found is not None and found.is_countable
    dense = countable or explicit.get(name, found is not None and found.has_density)
    return Link(graph.parents(name), trained, countable, dense, known=trained or known)


def _size(kind: object) -> int | None:
    """How many values a declared variable has; None for a word, and where they have no end."""
    if isinstance(kind, str):
        return None
    from causalplug.variables import Variable

    return kind.cardinality if isinstance(kind, Variable) else None


def _endless(kind: object) -> bool:
    return not isinstance(kind, str) and _size(kind) is None
