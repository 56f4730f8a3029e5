"""What a class of pipelines gives, known from its code before any of its weights is fetched."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from causalplug.adapters.lazy_names import named
from causalplug.errors import MissingDependencyError, RepositoryError
from causalplug.selection import names_of
from causalplug.wording import listed

__all__ = ["PICTURES", "check_class", "declared_outputs"]

PICTURES = ("images", "image")
"""The names under which pipelines give pictures."""


def check_class(where: str, name: str) -> None:
    """Refuse a class of pipelines that cannot be plugged, whatever its weights are.

    Args:
        where: The repository, for messages.
        name: The class.

    Raises:
        RepositoryError: It is not loaded as a whole, is a parent of pipelines without a call of its
            own, or gives no pictures.
        MissingDependencyError: It needs a library that is not installed.
    """
    import diffusers

    found = named(diffusers, name)
    if found is None:
        return
    backends = vars(found).get("_backends")
    if backends:
        raise MissingDependencyError(
            f"The pipeline {name} in {where} cannot be loaded: it needs {listed(backends)}. Run: "
            f"pip install {' '.join(backends)}"
        )
    if not issubclass(found, diffusers.DiffusionPipeline):
        raise RepositoryError(
            f"cannot load {where}: its pipeline {name} is put together from blocks and is not "
            "loaded as a whole. Take the repository of a pipeline that has all its parts, or wrap "
            "it in causalplug.adapters.callable"
        )
    if not _has_call(found):
        raise RepositoryError(
            f"cannot load {where}: {name} is a parent of pipelines and paints nothing by itself. "
            'Write the class of the pipeline as "_class_name" into model_index.json'
        )
    outputs = declared_outputs(found)
    if outputs and not any(key in outputs for key in PICTURES):
        raise RepositoryError(
            f"cannot load {where}: its pipeline {name} gives {listed(outputs)}, no images. Take a "
            "pipeline that paints pictures, or wrap it in causalplug.adapters.callable"
        )


def _has_call(pipeline: type) -> bool:
    """Whether a class of pipelines, or one of its parents, says what a call does."""
    return any("__call__" in vars(parent) for parent in pipeline.__mro__)


def declared_outputs(pipeline: type) -> tuple[str, ...]:
    """The fields of what a pipeline's call returns; empty where its code does not say.

    They are those of the classes of outputs that the call names.
    """
    from diffusers.utils import BaseOutput

    call: Any = inspect.unwrap(vars(pipeline).get("__call__") or pipeline.__call__)
    if not inspect.isfunction(call):
        return ()
    known: Mapping[str, Any] = call.__globals__
    fields: dict[str, None] = {}
    for name in call.__code__.co_names:
        one: Any = known.get(name)
        if isinstance(one, type) and issubclass(one, BaseOutput):
            output: Any = one
            fields |= dict.fromkeys(names_of(dataclasses.fields(output)))
    return tuple(fields)
