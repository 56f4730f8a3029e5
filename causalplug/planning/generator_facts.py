"""What the planner is told of a pretrained generator, without running it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from causalplug.errors import PlanError
from causalplug.graphs.graph import CausalGraph

__all__ = ["GeneratorFacts", "Pluggable", "facts_of"]


@dataclass(frozen=True)
class GeneratorFacts:
    """What a generator declares to the planner.

    Attributes:
        label: Its repository, or what else a message may call it.
        conditions_on: The labels that it was trained on, in its order; None where it does not say.
        mapped_from: The parents that its label map reads; None without a label map.
        parents: The parents that it reads; None where it does not say.
        unbound: It has not been bound to a variable yet, and binding compares its one label with
            the one parent, or makes the label map.
        makes_map: Binding makes a label map from what it was given.
        graph: That of the model which it is, for a whole model or a module of one.
    """

    label: str
    conditions_on: tuple[str, ...] | None = None
    mapped_from: tuple[str, ...] | None = None
    parents: tuple[str, ...] | None = None
    unbound: bool = False
    makes_map: bool = False
    graph: CausalGraph | None = None


@runtime_checkable
class Pluggable(Protocol):
    """A mechanism, a model or a module of one: it tells the planner what it is."""

    def generator_facts(self) -> GeneratorFacts:
        """What it declares to the planner."""
        ...


def facts_of(generator: object) -> GeneratorFacts:
    """The facts of what ``available=`` names: a repository, a mechanism, a model, or facts.

    Raises:
        PlanError: It is something else.
    """
    if isinstance(generator, GeneratorFacts):
        return generator
    if isinstance(generator, str):
        return GeneratorFacts(generator)
    if isinstance(generator, Pluggable):
        return generator.generator_facts()
    raise PlanError(
        f"available= cannot be used with a {type(generator).__name__}: give the name of a "
        "repository, a mechanism, a model or a module of one, or GeneratorFacts(label, "
        "conditions_on=…)"
    )
