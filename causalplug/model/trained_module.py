"""A trained module of a model: mechanisms that share confounders, plugged into another model
with the same edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from causalplug.errors import MechanismError, PlanError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.mechanisms.base import Mechanism
from causalplug.planning.generator_facts import GeneratorFacts
from causalplug.planning.objectives import module_key
from causalplug.planning.pulling import PullVerdict, judge_available
from causalplug.values import Json, Named
from causalplug.variables import Variable

if TYPE_CHECKING:
    from causalplug.encoders.encoders import Encoder
    from causalplug.hub.snapshot import Snapshot

__all__ = ["TrainedModule", "expand_modules", "pretrained"]


@dataclass(frozen=True, eq=False)
class TrainedModule:
    """Frozen mechanisms that were trained together, and what they need to run elsewhere.

    It is plugged in as a whole: ``DCM(graph, variables, mechanisms={"C+N": module})``. The planner
    takes it, too: ``plan(graph, sources, available={"C+N": module})``.

    Attributes:
        graph: Graph of the model that it was taken from.
        variables: Declarations of its variables and their parents.
        mechanisms: By variable; frozen, each names the confounder noises that it reads.
        encoders: Encoders of the image parents that the mechanisms read as projections.
        confounder_size: Numbers of one confounder noise.
        origin: The snapshot of that model, None if it was never saved.
        sources: The data sources that the model was trained on, or None.
    """

    graph: CausalGraph
    variables: Mapping[str, Variable] = field(repr=False)
    mechanisms: Mapping[str, Mechanism]
    encoders: Mapping[str, Encoder] = field(repr=False)
    confounder_size: int
    origin: Snapshot | None = None
    sources: tuple[Source, ...] | None = None

    @property
    def name(self) -> str:
        """The variables joined by ``+``."""
        return "+".join(self.mechanisms)

    @property
    def repo_id(self) -> str | None:
        """The Hub id of that model, None for a folder."""
        if self.origin is None:
            return None
        return self.origin.repo_id

    def licensed_parts(self) -> list[object]:
        """The pretrained parts of the module, each with ``origin`` and ``license``."""
        return pretrained(self.mechanisms, self.encoders)

    def generator_facts(self) -> GeneratorFacts:
        """What the planner is told where the module is offered to another model."""
        return GeneratorFacts(self.repo_id or type(self).__name__, graph=self.graph)

    def check(
        self, key: str, graph: CausalGraph, variables: Mapping[str, Variable], confounder_size: int
    ) -> None:
        """Raise unless it can be plugged into a model.

        Args:
            key: The variables that it is given for, as ``"C+N"``.
            graph, variables, confounder_size: Graph, variables and confounder size of the model.

        Raises:
            PlanError: Other variables, edges or parents.
            MechanismError: Other declarations, or another size of the confounder noise.
        """
        named = module_key(graph, key, f"the module {self.name} cannot be plugged in")
        if set(named) != set(self.mechanisms):
            raise PlanError(
                f"the module {self.name} cannot be plugged in for {key}: its variables are others. "
                f'Write mechanisms={{"{self.name}": …}}, or load the module of {key}'
            )
        (verdict,) = judge_available(graph, {key: self})
        if verdict.verdict != PullVerdict.PULL:
            raise PlanError(f"the module {self.name} cannot be plugged in: {verdict.why}")
        differing = [
            name for name, variable in self.variables.items() if variables[name] != variable
        ]
        if differing:
            name = differing[0]
            raise MechanismError(
                f"The module {self.name} cannot be plugged in: {name!r} is {self.variables[name]} "
                f"where it was trained and {variables[name]} here. Declare it as there, or train "
                "the module."
            )
        if confounder_size != self.confounder_size and any(map(graph.siblings, named)):
            raise MechanismError(
                f"The module {self.name} cannot be plugged in: its confounder noise has "
                f"{self.confounder_size} numbers each and the model's {confounder_size}. Build the "
                f"model with confounder_size={self.confounder_size}."
            )


def pretrained(
    mechanisms: Mapping[str, Mechanism], encoders: Mapping[str, Encoder]
) -> list[object]:
    """What is frozen or was loaded among the parts of a model, generators of renderers included."""
    generators = [one.frozen_generator or one for one in mechanisms.values()]
    inside: list[Any] = [*generators, *encoders.values()]
    return [part for part in inside if part.frozen or part.origin is not None]


def expand_modules(
    graph: CausalGraph,
    variables: Mapping[str, Variable],
    confounder_size: int,
    mechanisms: Named,
    encoders: Mapping[str, Encoder],
) -> tuple[Json, dict[str, Encoder]]:
    """Mechanisms and encoders by variable, those of modules among them.

    Raises:
        PlanError, MechanismError: As :meth:`TrainedModule.check`; or two parts for one variable.
    """
    given, read = (
        {k: m for k, m in mechanisms.items() if not isinstance(m, TrainedModule)},
        dict(encoders),
    )
    for key, module in mechanisms.items():
        if not isinstance(module, TrainedModule):
            continue
        module.check(key, graph, variables, confounder_size)
        both: list[tuple[str, Json, Named]] = [
            ("mechanism", given, module.mechanisms),
            ("encoder", read, module.encoders),
        ]
        for what, own, brought in both:
            for name, part in brought.items():
                if own.get(name, part) is not part:
                    raise MechanismError(
                        f"The module {module.name} cannot be plugged in: it brings its own {what} "
                        f"of {name!r}, and another is given. Leave that one out."
                    )
                own[name] = part
    return given, read
