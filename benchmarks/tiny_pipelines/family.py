"""Families of pipelines: parts that their classes share, and how each class is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import diffusers

import causalplug as cp
from benchmarks.tiny_pipelines import parts as part
from benchmarks.tiny_pipelines.parts import randomised, seeded
from causalplug.adapters.lazy_names import named

__all__ = [
    "CONTROL",
    "MASKED",
    "PICTURE",
    "SHORT",
    "SIZE",
    "T5_TEXT",
    "AbsentError",
    "Family",
    "Kind",
    "build",
    "class_of",
    "flow",
    "plain",
    "scheduler",
    "text",
]

SIZE = 16
PICTURE = {"image": cp.Image(3, SIZE, SIZE)}
MASKED = PICTURE | {"mask_image": cp.Image(1, SIZE, SIZE)}
CONTROL = {"control_image": cp.Image(3, SIZE, SIZE)}


@dataclass(frozen=True)
class Kind:
    """One class of pipelines and how it is called.

    Attributes:
        name: The class.
        images: Arguments that read pictures.
        call: Further arguments.
        parts: Parts that differ from its family's.
        settings: Arguments of the class beside its parts.
        steps: Steps of its scheduler.
    """

    name: str
    images: Mapping[str, cp.Image] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 2


@dataclass(frozen=True)
class Family:
    """Pipelines of the same parts.

    Attributes:
        name: The family.
        parts: The maker of every part that one of its classes has.
        kinds: Its classes.
        call: Arguments that all of them are called with.
    """

    name: str
    parts: Mapping[str, Callable[[], Any]]
    kinds: tuple[Kind, ...]
    call: Mapping[str, Any] = field(default_factory=dict)


class AbsentError(Exception):
    """The installed diffusers has no class of this name."""


def class_of(name: str) -> Any:
    """A class of diffusers.

    Raises:
        AbsentError: The installed version has none of this name.
        MissingDependencyError: It needs a library that is not installed.
    """
    found = named(diffusers, name)
    if found is None:
        raise AbsentError(f"diffusers {diffusers.__version__} has no {name}")
    return found


def build(family: Family, kind: Kind) -> Any:
    """The pipeline, with random weights.

    Raises:
        AbsentError: The installed diffusers lacks its class, or that of a part.
    """
    found = class_of(kind.name)
    takes = inspect.signature(found.__init__).parameters
    makers = {**family.parts, **kind.parts}
    given: dict[str, Any] = {}
    for name in takes:
        if name in kind.settings:
            given[name] = kind.settings[name]
        elif name in makers:
            given[name] = makers[name]()
        elif takes[name].default is inspect.Parameter.empty and name != "self":
            given[name] = None
    if "requires_safety_checker" in takes:
        given["requires_safety_checker"] = False
    return found(**given)


def text(*names: str) -> tuple[Kind, ...]:
    """Classes that are called with a text alone."""
    return tuple(Kind(name) for name in names)


def flow(**settings: Any) -> Any:
    """The scheduler of flow matching."""
    return diffusers.FlowMatchEulerDiscreteScheduler(**settings)


def scheduler(name: str, **settings: Any) -> Callable[[], Any]:
    """The maker of a scheduler by its class, which is looked up when it is made."""
    return lambda: class_of(name)(**settings)


def plain(name: str, spread: float = 0.02, **settings: Any) -> Callable[[], Any]:
    """The maker of a network by its class, which is looked up when it is made."""
    return lambda: randomised(seeded(lambda: class_of(name)(**settings)), spread)


SHORT = {"height": SIZE, "width": SIZE, "max_sequence_length": 16}


T5_TEXT = {"text_encoder": part.t5, "tokenizer": part.t5_tokenizer}
