"""The declared contract of mechanisms and encoders: which names are hooks, and what may stand
there.

Training, saving and binding call the methods that :class:`~causalplug.Mechanism` and
:class:`~causalplug.Encoder` declare, and read the attributes that they declare. All other names
belong to whoever writes a subclass. A declared name that is set to something which cannot be the
hook is refused when it is set.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from causalplug.errors import MechanismError
from causalplug.values import Json, Named

__all__ = ["check_attribute", "check_overrides", "declare"]

_Method = property | classmethod | staticmethod


def declare(cls: type, types: Named) -> None:
    """Record what a class declares: its public methods, and the types of its attributes.

    Args:
        cls: The class whose contract it is.
        types: Attribute to the types that it may have, as :func:`isinstance` takes them. The first
            is the one that messages name.
    """
    methods = {}
    for name, value in vars(cls).items():
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, _Method)):
            methods[name] = value
    cls._methods = {**_of(cls, "_methods"), **methods}  # type: ignore[attr-defined]
    cls._types = {**_of(cls, "_types"), **types}  # type: ignore[attr-defined]
    _of.cache_clear()


@functools.cache
def _of(cls: type, table: str) -> Json:
    found: Json = {}
    for base in reversed(cls.__mro__):
        found |= vars(base).get(table, {})
    return found


def check_attribute(part: object, name: str, value: object) -> None:
    """Refuse a value that cannot be what the contract declares under this name.

    Raises:
        MechanismError: The name is a hook, and the value is not one.
    """
    cls: type = type(part)
    method = _of(cls, "_methods").get(name)
    if method is not None:
        _check_replacement(cls, name, method, value)
    types = _of(cls, "_types").get(name)
    if types is not None and not isinstance(value, types):
        raise MechanismError(_refusal(cls, name, value, f"it declares {_words(types)}"))


def _check_replacement(cls: type, name: str, method: object, value: object) -> None:
    is_code = callable(value) and not isinstance(value, nn.Module | Tensor)
    if is_code or (isinstance(method, property) and method.fset is not None):
        return
    raise MechanismError(_refusal(cls, name, value, "it is a method that causalplug calls"))


def _refusal(cls: type, name: str, value: object, why: str) -> str:
    return (
        f"{cls.__name__}.{name} cannot be set to a {type(value).__name__}: the name {name!r} is "
        f"reserved by causalplug.{_owner(cls, name)}, where {why}. Give the attribute another name."
    )


def _owner(cls: type, name: str) -> str:
    """The public class whose contract the name belongs to: not the base that they share."""
    declaring = []
    for base in cls.__mro__:
        if name in vars(base).get("_types", {}) or name in vars(base).get("_methods", {}):
            declaring.append(base.__name__)
    return next((found for found in reversed(declaring) if found != "Part"), declaring[-1])


def _several(types: Any) -> tuple[type, ...]:
    if isinstance(types, tuple):
        return types
    return (types,)


def _words(types: object) -> str:
    names = ["None" if one is type(None) else one.__name__ for one in _several(types)]
    return " or ".join(names)


def check_overrides(cls: type) -> None:
    """Refuse a subclass whose own methods or attributes cannot be called as the hooks are.

    Raises:
        MechanismError: A hook is no method, takes other arguments, or an attribute has a wrong
            type.
    """
    methods, types = _of(cls, "_methods"), _of(cls, "_types")
    for name, own in vars(cls).items():
        declared = methods.get(name)
        if declared is not None and own is not declared:
            _check_method(cls, name, declared, own)
        elif name in types and not isinstance(own, (property, *_several(types[name]))):
            raise MechanismError(_refusal(cls, name, own, f"it declares {_words(types[name])}"))


def _check_method(cls: type, name: str, declared: object, own: object) -> None:
    if isinstance(declared, property):
        if callable(own) or isinstance(own, nn.Module | Tensor):
            raise MechanismError(_refusal(cls, name, own, "it is a property"))
        return
    if not (inspect.isfunction(own) or isinstance(own, classmethod | staticmethod)):
        raise MechanismError(_refusal(cls, name, own, "it is a method that causalplug calls"))
    wanted, found = _signature(declared), _signature(own)
    if not _takes(found, wanted):
        raise MechanismError(
            f"{cls.__name__}.{name}{found} cannot be used: causalplug.{_owner(cls, name)} declares "
            f"{name}{wanted} and calls it so. Take these arguments, or give the method another "
            "name."
        )


def _signature(method: Any) -> inspect.Signature:
    """The signature as a caller sees it."""
    function: Callable[..., Any] = method
    if isinstance(method, classmethod | staticmethod):
        function = method.__func__
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    skipped = 1
    if isinstance(method, staticmethod):
        skipped = 0
    return inspect.Signature(parameters[skipped:])


def _takes(own: inspect.Signature, declared: inspect.Signature) -> bool:
    positional, named = [], {}
    for name, parameter in declared.parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[name] = object()
        elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            positional.append(object())
    try:
        own.bind(*positional, **named)
    except TypeError:
        return False
    return True
