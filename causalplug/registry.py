"""Registries by name: what a repository's ``config.json`` may name, and nothing else."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from causalplug.arguments import NAME, read_argument
from causalplug.errors import MechanismError

__all__ = ["SHIPPED_ADAPTERS", "Registry"]

SHIPPED_ADAPTERS: dict[str, str] = {
    "callable": "causalplug.adapters.callable",
    "conditional-gan": "causalplug.adapters.conditional_gan",
    "cxr-acgan": "causalplug.adapters.cxr_acgan",
    "diffusers": "causalplug.adapters.diffusers",
    "diffusers-pipeline": "causalplug.adapters.pipelines",
    "diffusers-image-pipeline": "causalplug.adapters.pipeline_images",
    "image-bank": "causalplug.adapters.image_bank",
    "trained-generator": "causalplug.adapters.trained",
    "transformers-classifier": "causalplug.adapters.transformers_classifier",
    "transformers-embedding": "causalplug.adapters.transformers_numbers",
    "transformers-regressor": "causalplug.adapters.transformers_numbers",
    "transformers-text": "causalplug.adapters.transformers_text",
}
"""The kind of each adapter of ``adapters/`` and the module that registers it."""

_T = TypeVar("_T")
_C = TypeVar("_C", bound=type)


class Registry(Generic[_T]):
    """Classes by kind; modules of known kinds are imported when the kind is first asked for.

    Args:
        what: The word for one entry in messages, for example ``"mechanism"``.
        known: Kind to the module that registers it.

    Third parties add kinds with :meth:`register` or by an entry point in the group
    ``causalplug.<what>s`` whose value is the module to import.
    """

    def __init__(self, what: str, known: Mapping[str, str]):
        self.what = what
        self._known = dict(known)
        self._classes: dict[str, type[_T]] = {}

    def register(self, kind: str) -> Callable[[_C], _C]:
        """Class decorator that registers the class under ``kind`` and sets its attribute ``kind``.

        Raises:
            MechanismError: The kind belongs to another class.
        """

        read_argument("kind", kind, NAME, MechanismError, f"register_{self.what}")

        def decorate(cls: _C) -> _C:
            other = self._classes.get(kind)
            if other is not None and (other.__module__, other.__qualname__) != (
                cls.__module__,
                cls.__qualname__,
            ):
                raise MechanismError(
                    f"{self.what} kind {kind!r} cannot be registered for {cls.__qualname__}: "
                    f"{other.__module__}.{other.__qualname__} has it. Choose another name."
                )
            cls.kind = kind  # type: ignore[attr-defined]
            self._classes[kind] = cls
            return cls

        return decorate

    def _modules(self) -> dict[str, str]:
        points = {}
        for point in entry_points(group=f"causalplug.{self.what}s"):
            points[point.name] = point.value
        return {
            **points,
            **self._known,
            **{kind: cls.__module__ for kind, cls in self._classes.items()},
        }

    def module(self, kind: str) -> str:
        """The module that registers ``kind``."""
        return self._modules()[kind].partition(":")[0]

    def package(self, kind: str) -> str | None:
        """The distribution that brings ``kind``, None for one that was registered by hand."""
        for point in entry_points(group=f"causalplug.{self.what}s"):
            if point.name == kind and kind not in self._known:
                if point.dist is not None:
                    return point.dist.name
                return None
        if kind in self._known:
            return "causalplug"
        return None

    def knows(self, kind: object) -> bool:
        """Whether :meth:`resolve` finds this kind; entry points are read for unknown kinds only."""
        if not isinstance(kind, str):
            return False
        return kind in self._classes or kind in self._known or kind in self._modules()

    def kinds(self) -> list[str]:
        """Every kind that :meth:`resolve` finds."""
        return sorted(self._modules())

    def resolve(self, kind: str) -> type[_T]:
        """The class registered under ``kind``.

        Raises:
            MechanismError: No such kind; near matches are named.
        """
        if kind not in self._classes:
            modules = (
                self._known if kind in self._known else self._modules()
            )  # entry points take a while to read
            if kind not in modules:
                near = difflib.get_close_matches(str(kind), modules, n=1)
                hint = ""
                if near:
                    hint = f"Did you mean {near[0]!r}? "
                raise MechanismError(
                    f"{self.what} kind {kind!r} is not registered. {hint}Known kinds: "
                    f"{', '.join(sorted(modules))}. Import the package that registers it, or "
                    "install one that declares the entry point."
                )
            importlib.import_module(modules[kind].partition(":")[0])
        if kind not in self._classes:
            raise MechanismError(
                f"{modules[kind]} was imported but registers no {self.what} kind {kind!r}."
            )
        return self._classes[kind]
