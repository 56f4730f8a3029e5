"""The confounder noises of a model: what each stands for, and which mechanisms read it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from causalplug.arguments import NAMES, Rule, read_argument
from causalplug.errors import ConfounderWarning, MechanismError, warn_caller
from causalplug.graphs.confounders import confounder_cliques, confounder_key
from causalplug.graphs.graph import CausalGraph
from causalplug.mechanisms.base import Mechanism
from causalplug.model.deferred import DeferredMechanism
from causalplug.selection import values_at, without
from causalplug.wording import as_names, listed

__all__ = ["ConfounderLayout", "ConfounderSpec", "check_readers", "confounder_layout"]


def _groups(value: Any) -> list[tuple[str, ...]]:
    if isinstance(value, str | bytes | Mapping):
        raise TypeError
    return [as_names(NAMES.read(group)) for group in value]


_GROUPS = Rule("'cliques', 'edges' or groups of names", _groups)

ConfounderSpec = str | Iterable[Iterable[str]]
"""``"cliques"``, ``"edges"``, or the groups of variables that share a noise each."""


class ConfounderLayout:
    """The groups of variables that share one confounder noise each.

    Args:
        graph: The causal graph.
        groups: Cliques of bidirected edges that together cover every edge.
    """

    def __init__(self, graph: CausalGraph, groups: Iterable[Sequence[str]]):
        self.groups = tuple(map(tuple, groups))
        index = graph.index
        at: dict[str, list[tuple[tuple[int, ...], str]]] = {}
        for group in self.groups:
            positions = sorted(values_at(index, group))
            for name in group:
                others = tuple(p for p in positions if p != index[name])
                at.setdefault(name, []).append((others, confounder_key(group)))
        self._at = {name: tuple(key for _, key in sorted(found)) for name, found in at.items()}

    def at(self, name: str) -> tuple[str, ...]:
        """Names of the noises at a variable, in the order in which its mechanism reads them."""
        return self._at.get(name, ())


def _pairwise(graph: CausalGraph, mechanisms: Mapping[str, Mechanism]) -> set[str]:
    """Variables of the c-components in which a mechanism reads one confounder for each edge."""
    by_edge = set()
    for name, mechanism in mechanisms.items():
        if isinstance(mechanism, Mechanism) and mechanism.confounded_by_edge:
            by_edge.add(name)
    found: set[str] = set()
    for component in graph.c_components():
        if component & by_edge:
            found |= component
    return found


def confounder_layout(
    graph: CausalGraph, spec: ConfounderSpec, mechanisms: Mapping[str, Mechanism]
) -> ConfounderLayout:
    """The layout that a model's ``confounders=`` asks for.

    Args:
        graph: The causal graph.
        spec: What was asked for.
        mechanisms: Given ones. A c-component with one that reads a noise for every bidirected edge
            is laid out by edges.

    Raises:
        MechanismError: No known word, or groups that are no cliques or leave an edge out.
    """
    if not isinstance(spec, str):
        read_argument("confounders", spec, _GROUPS, MechanismError, "DCM")
        return ConfounderLayout(graph, _checked_groups(graph, spec))
    if spec == "edges":
        return ConfounderLayout(graph, graph.bidirected)
    if spec != "cliques":
        raise MechanismError(
            f"confounders={spec!r} cannot be used: choose 'cliques' or 'edges', or give the groups "
            "of variables that share a hidden cause."
        )
    found = confounder_cliques(graph)
    pairwise = _pairwise(graph, mechanisms)
    groups = [clique for clique in found.cliques if clique[0] not in pairwise]
    groups += [edge for edge in graph.bidirected if edge[0] in pairwise]
    for component in found.covered:
        if component[0] not in pairwise:
            _tell_cover(component, groups)
    return ConfounderLayout(graph, groups)


def _tell_cover(component: Sequence[str], groups: Sequence[Sequence[str]]) -> None:
    inside = [group for group in groups if group[0] in component]
    shown = listed(component[:6]) + (" and others" if len(component) > 6 else "")
    warn_caller(
        f"The bidirected edges among {shown} have more maximal cliques than edges. {len(inside)} "
        "confounder noises cover all edges, but a hidden cause of three or more variables that is "
        "in none of their groups (DCM.confounders.groups) cannot be learned. Give the groups that "
        "you want by confounders=.",
        ConfounderWarning,
    )


def _check_group(
    graph: CausalGraph, group: str | tuple[str, ...], edges: Collection[frozenset[str]]
) -> None:
    if isinstance(group, str) or len(set(group)) != len(group) or len(group) < 2:
        raise MechanismError(
            f"confounders= cannot be used: {group} is no group of two or more variables."
        )
    if unknown := without(group, graph):
        raise MechanismError(
            f"confounders= cannot be used: {unknown[0]!r} is no variable of the graph."
        )
    for a, b in _pairs(group):
        if frozenset((a, b)) not in edges:
            raise MechanismError(
                f"confounders= cannot be used: {listed(group)} may share no hidden cause, because "
                f"the graph has no edge {a} <-> {b}. Add the edge, or split the group."
            )


def _checked_groups(graph: CausalGraph, groups: Iterable[Iterable[str]]) -> list[tuple[str, ...]]:
    edges = set(map(frozenset, graph.bidirected))
    listed_groups = [group if isinstance(group, str) else tuple(group) for group in groups]
    covered: set[frozenset[str]] = set()
    for group in listed_groups:
        _check_group(graph, group, edges)
        covered |= set(map(frozenset, _pairs(group)))
    if missing := sorted(tuple(sorted(edge)) for edge in edges - covered):
        a, b = missing[0]
        raise MechanismError(
            f"confounders= cannot be used: no group holds {a} <-> {b}. Add one, or drop the edge."
        )
    return list(map(tuple, listed_groups))


def _pairs(group: Sequence[str]) -> Iterable[tuple[str, str]]:
    return ((a, b) for i, a in enumerate(group) for b in group[i + 1 :])


def check_readers(
    graph: CausalGraph, layout: ConfounderLayout, mechanisms: Mapping[str, Mechanism]
) -> None:
    """Raise unless both ends of every bidirected edge read a noise in common.

    Mechanisms that were trained elsewhere, or are tables, name the noises that they read.

    Raises:
        MechanismError: Two mechanisms that share a hidden cause read none in common.
    """
    known = {name: m for name, m in mechanisms.items() if not isinstance(m, DeferredMechanism)}
    own = {name: m.reads_confounders for name, m in known.items() if m.reads_confounders}
    for name, read in own.items():
        for sibling in graph.siblings(name):
            other = own.get(sibling, layout.at(sibling))
            if sibling in known and not set(read) & set(other):
                raise MechanismError(
                    f"The mechanisms of {name!r} and {sibling!r} cannot be used together: the "
                    f"graph has {name} <-> {sibling}, but one reads the confounder noise "
                    f"{listed(read)} and the other {listed(other)}. Give both the same groups."
                )
