"""Variables and settings as a file writes them."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from causalplug.errors import VariableError
from causalplug.files.validation import check_keys
from causalplug.values import Json, Named

if TYPE_CHECKING:
    from causalplug.variables import Variable

__all__ = ["checked_settings", "declared"]

_IMAGE = re.compile(r"image (\d+) ?[x×] ?(\d+) ?[x×] ?(\d+)")


def declared(item: object, name: str) -> Variable:
    """The variable that a file declares: a number, a list, a word, or the keys of
    ``Variable.to_dict``.

    Raises:
        VariableError: It declares nothing.
    """
    from causalplug.variables import Continuous, Discrete, Image, variable_from_dict

    if isinstance(item, int | list) and not isinstance(item, bool):
        return Discrete(item)
    if item == "continuous":
        return Continuous()
    if isinstance(item, str) and (match := _IMAGE.fullmatch(item)):
        return Image(*map(int, match.groups()))
    if isinstance(item, dict):
        return variable_from_dict(item, name)
    raise VariableError(
        f"the variable {name} cannot be declared by {item!r}: write the number of its categories, "
        'a list of their names, "continuous", or "image 3x32x32" (channels x height x width)'
    )


def checked_settings(given: Named, where: str) -> Json:
    """Settings of training with their types checked, lists turned into tuples.

    Raises:
        RepositoryError: An unknown setting, or a value of another type.
        TrainingError: A value out of its range.
    """
    from causalplug.training.config import TrainingConfig

    hints = typing.get_type_hints(TrainingConfig)
    check_keys(
        dict(given), {f"{name}?": _json_type(kind) for name, kind in hints.items()}, where=where
    )
    settings: Json = {}
    for key, value in given.items():
        settings[key] = tuple(value) if isinstance(value, list) else value
    TrainingConfig(**settings)
    return settings


def _json_type(kind: object) -> Any:
    """What JSON or TOML has in place of a setting's type."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        found = list(map(_json_type, args))
        union = found[0]
        for choice in found[1:]:
            union = union | choice
        return union
    if origin is tuple:
        return list[float if float in args else int]  # type: ignore[misc]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, object]
    return kind
