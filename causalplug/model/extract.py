"""A trained module taken out of a model, to be plugged into another one."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from causalplug.errors import PlanError
from causalplug.model.trained_module import TrainedModule
from causalplug.networks import freeze
from causalplug.planning.objectives import module_key
from causalplug.selection import pick, within

if TYPE_CHECKING:
    from causalplug.encoders.encoders import Encoder
    from causalplug.graphs.graph import CausalGraph
    from causalplug.mechanisms.base import Mechanism
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
    _check_whole(graph, named)
    held = dcm.mechanisms.unopened()
    part = held[named[0]].part_of
    if set(named) == _names(part) and all(held[v].part_of == part for v in named):
        return dcm.mechanism(named[0]).module
    _check_trained(held, named)
    return _copied(dcm, named)


def _check_whole(graph: CausalGraph, named: Sequence[str]) -> None:
    """Refuse a module that shares confounder noise with other variables."""
    label = "+".join(named)
    for v in named:
        for s in graph.siblings(v):
            if s not in named:
                raise PlanError(
                    f"the module {label} cannot be taken: {v} <-> {s} leaves it, and the "
                    f"mechanisms of both read one noise. Ask for {label}+{s}"
                )


def _check_trained(held: Mapping[str, Mechanism], named: Sequence[str]) -> None:
    for v in named:
        if not held[v].frozen:
            continue
        place = ""
        if held[v].origin:
            place = f" from {held[v].origin}"
        raise PlanError(
            f"the module {'+'.join(named)} cannot be taken: the mechanism of {v} was not trained "
            f"here but pulled{place}. Load it from there"
        )


def _copied(dcm: Model, named: Sequence[str]) -> TrainedModule:
    """Copies of the mechanisms and of the encoders that they read, frozen."""
    mechanisms = {v: copy.deepcopy(dcm.mechanism(v)) for v in named}
    encoders = _encoders(dcm, mechanisms.values())
    read = set(named).union(*(m.parents for m in mechanisms.values()))
    variables = pick(dcm.variables, within(dcm.graph.variables, read))
    sources = None if dcm.sources is None else tuple(dcm.sources)
    module = TrainedModule(
        dcm.graph, variables, mechanisms, encoders, dcm.confounder_size, dcm.origin, sources
    )
    label = "+".join(named)
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


def _encoders(dcm: Model, mechanisms: Iterable[Mechanism]) -> dict[str, Encoder]:
    """The encoders of images that are read as projections; copies of those trained here."""
    read: set[str] = set()
    for mechanism in mechanisms:
        if mechanism.reads_projections:
            read.update(mechanism.parents)
    found = {}
    for name in dcm.graph.variables:
        if name in read and name in dcm.encoders:
            encoder = dcm.encoder(name)
            found[name] = encoder
            if encoder.origin is None:
                found[name] = copy.deepcopy(encoder)
    return found


def _names(part: str | None) -> set[str]:
    if part is None:
        return set()
    return set(part.split("+"))
