"""A module of a plan: mechanisms that are trained together, or pulled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.planning.candidates import CandidateFit
from causalplug.planning.pulling import Pull
from causalplug.planning.targets import Target
from causalplug.selection import to_dicts
from causalplug.values import Json, Named, Word

__all__ = ["Action", "Module", "PlanLike", "Variables"]

Variables = tuple[str, ...]


class Action(Word):
    """What is done with a module.

    Attributes:
        PULL: Its mechanisms are pretrained and stay as they are.
        TRAIN: Its mechanisms are trained.
    """

    PULL = "pull"
    TRAIN = "train"


@dataclass(frozen=True)
class Module:
    """Mechanisms that are trained together (the paper's h-node), or pulled. All tuples are in the
    declared order.

    Attributes:
        variables: M, whose mechanisms these are.
        ancestors: A = closure(M) without M: what the module is trained through, frozen, in
            observational data.
        parents: Pa(M and A), the values that a row gives when the module is trained on
            observational data.
        action: ``"pull"`` or ``"train"``. Without ``available=`` a plan says ``"pull"`` where one
            could be.
        objective: ``"adversarial"``, ``"likelihood"``, ``"warm"`` or ``"counterfactual"``; None
            for a module pulled from ``available=``.
        targets: The distributions that training matches; none for a module pulled from
            ``available=``.
        why: The reason for all this in a sentence or two; :meth:`Plan.explain` has the paths.
        renderers: Variables of a trained module whose available generator renders what a trained
            code says.
        generator: What the module is pulled from, if it is.
        gradients: Frozen variable that it is trained through -> how gradients pass it, in words,
            such as ``"enumeration of D"``; empty where the objective needs none, and where the
            kinds are not known.
        objectives: The objectives that training may choose from, where the plan does not know all
            kinds that the choice depends on: ``objective`` is then the one that works for every
            kind. Empty where the objective is certain.
    """

    variables: Variables
    ancestors: Variables
    parents: Variables
    action: Action
    objective: str | None = None
    targets: tuple[Target, ...] = ()
    why: str = ""
    renderers: Variables = ()
    generator: str | None = None
    gradients: Mapping[str, str] = field(default_factory=dict, hash=False)
    objectives: Variables = ()

    @property
    def name(self) -> str:
        """The variables joined by ``+``."""
        return "+".join(self.variables)

    @property
    def label(self) -> str:
        """The action in words: ``PULL``, ``TRAIN`` or ``TRAIN code, PULL renderer``."""
        if self.renderers:
            return "TRAIN code, PULL renderer"
        return self.action.upper()

    def to_dict(self) -> Json:
        """What JSON can hold, one entry per attribute.

        ``gradients`` and ``objectives`` are left out where they are empty.
        """
        return {
            "variables": list(self.variables),
            "ancestors": list(self.ancestors),
            "parents": list(self.parents),
            "action": self.action,
            "objective": self.objective,
            "renderers": list(self.renderers),
            "generator": self.generator,
            "why": self.why,
            "targets": to_dicts(self.targets),
            **({"gradients": dict(self.gradients)} if self.gradients else {}),
            **({"objectives": list(self.objectives)} if self.objectives else {}),
        }

    @classmethod
    def from_dict(cls, data: Named) -> Module:
        """The inverse of :meth:`to_dict`."""
        plain: Json = {}
        for key, v in data.items():
            plain[key] = tuple(v) if isinstance(v, list) else v
        targets = tuple(map(Target.from_dict, data["targets"]))
        return cls(**plain | {"targets": targets, "action": Action(data["action"])})


class PlanLike(Protocol):
    """What the printers and the explanations read of a :class:`causalplug.Plan`."""

    @property
    def graph(self) -> CausalGraph: ...
    @property
    def sources(self) -> tuple[Source, ...]: ...
    @property
    def modules(self) -> tuple[Module, ...]: ...
    @property
    def edges(self) -> tuple[tuple[Variables, Variables], ...]: ...
    @property
    def pulls(self) -> tuple[Pull, ...]: ...
    @property
    def pullable(self) -> tuple[Pull, ...]: ...
    @property
    def asked(self) -> bool: ...
    @property
    def strategy(self) -> str: ...
    @property
    def fits(self) -> Mapping[str, str]: ...
    @property
    def candidates(self) -> tuple[CandidateFit, ...]: ...
    @property
    def generations(self) -> tuple[tuple[Module, ...], ...]: ...
    def module(self, name: str | Iterable[str]) -> Module: ...
    def requires(self, module: str | Iterable[str]) -> tuple[Module, ...]: ...
