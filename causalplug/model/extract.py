"""A trained module taken out of a model, to be plugged into another one."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING

from causalplug.errors import PlanError
from causalplug.model.trained_module import TrainedModule
from causalplug.networks import freeze
from causalplug.planning.objectives import module_key

if TYPE_CHECKING:
    from causalplug.model.model import Model

__all__ = ["extract_module"]


def extract_module(dcm: Model, name: str | Iterable[str]) -> TrainedModule:
    """A module of a model; see :meth:`causalplug.DCM.module`."""
    graph = dcm.graph
    if isinstance(name, str):
        key: str | tuple[str, ...] = name
    else:
        key = tuple(name)
    named = module_key(graph, key, "the module cannot be taken")
    label = "+".join(named)
    leaving = [(v, s) for v in named for s in graph.siblings(v) if s not in named]
    if leaving:
        v, s = leaving[0]
        raise PlanError(
            f"the module {label} cannot be taken: {v} <-> {s} leaves it, and the mechanisms of "
            f"both read one noise. Ask for {label}+{s}"
        )
    held = dcm.mechanisms.unopened()
    if {held[v].part_of for v in named} == {held[named[0]].part_of} and set(named) == _names(
        held[named[0]].part_of
    ):
        return dcm.mechanism(named[0]).module
    if pulled := [v for v in named if held[v].frozen]:
        origin = held[pulled[0]].origin
        raise PlanError(
            f"the module {label} cannot be taken: the mechanism of {pulled[0]} was not trained "
            f"here but pulled{f' from {origin}' if origin else ''}. Load it from there"
        )
    mechanisms = {v: copy.deepcopy(dcm.mechanism(v)) for v in named}
    images = {
        p
        for m in mechanisms.values()
        if m.reads_projections
        for p in m.parents
        if p in dcm.encoders
    }
    encoders = {p: dcm.encoder(p) for p in graph.variables if p in images}
    encoders = {p: copy.deepcopy(e) if e.origin is None else e for p, e in encoders.items()}
    declared = [
        v for v in graph.variables if v in named or any(v in m.parents for m in mechanisms.values())
    ]
    variables = {v: dcm.variables[v] for v in declared}
    if dcm.sources is None:
        sources = None
    else:
        sources = tuple(dcm.sources)
    module = TrainedModule(
        graph, variables, mechanisms, encoders, dcm.confounder_size, dcm.origin, sources
    )
    for v, mechanism in mechanisms.items():
        mechanism.reads_confounders = dcm.confounder_keys(v)
        mechanism.frozen, mechanism.part_of = True, label
        mechanism.module, mechanism.origin = module, dcm.origin
        freeze(mechanism)
    for encoder in encoders.values():
        if encoder.origin is None and dcm.origin is not None:
            encoder.origin, encoder.part_of = dcm.origin, label
        freeze(encoder)
    return module


def _names(part: str | None) -> set[str]:
    if part is None:
        return set()
    return set(part.split("+"))
