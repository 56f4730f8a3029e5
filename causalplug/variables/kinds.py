"""The registry of kinds of variables: a new kind is one file and a registration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from causalplug.errors import VariableError
from causalplug.registry import Registry
from causalplug.values import Named
from causalplug.variables.base import Variable

__all__ = ["VARIABLES", "register_variable", "variable_class", "variable_from_dict"]

_V = TypeVar("_V", bound=type[Variable])

VARIABLES: Registry[Variable] = Registry(
    "variable",
    {
        "discrete": "causalplug.variables.discrete",
        "continuous": "causalplug.variables.continuous",
        "image": "causalplug.variables.image",
        "count": "causalplug.variables.count",
        "vector": "causalplug.variables.vector",
        "text": "causalplug.variables.text",
    },
)
"""Every kind that a declaration may name: built in, registered ones and entry points."""


def register_variable(kind: str) -> Callable[[_V], _V]:
    """Class decorator: register a variable under ``kind``, the name that declarations are saved
    with.

    Raises:
        MechanismError: The name is taken by another class.
    """
    return VARIABLES.register(kind)


def variable_class(kind: Any) -> type[Variable] | None:
    """The class of a kind; None for one that is not registered."""
    if VARIABLES.knows(kind):
        return VARIABLES.resolve(kind)
    return None


def variable_from_dict(declaration: Named, name: str = "variable") -> Variable:
    """The variable that :meth:`Variable.to_dict` describes.

    Raises:
        VariableError: An unknown kind or unknown, missing or wrong fields.
    """
    fields = dict(declaration)
    kind = fields.pop("kind", None)
    cls = variable_class(kind)
    if cls is None:
        known = ", ".join(VARIABLES.kinds())
        raise VariableError(f"{name!r} has kind {kind!r}; known kinds are {known}.")
    try:
        return cls(**fields)
    except TypeError as error:
        raise VariableError(
            f"{name!r} of kind {kind} cannot be declared from {sorted(fields)}: {error}."
        ) from None
