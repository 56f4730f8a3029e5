"""Torch modules by variable, whatever the variables are called."""

from __future__ import annotations

import functools
from typing import cast
from urllib.parse import quote, unquote

from torch import nn

__all__ = ["NamedModules", "module_key", "named_by"]


@functools.lru_cache(maxsize=65_536)
def module_key(name: str) -> str:
    """A variable's name as the key of a module: torch refuses dots."""
    return quote(name, safe="").replace(".", "%2E")


def named_by(key: str) -> str:
    """The variable's name that :func:`module_key` turned into ``key``."""
    return unquote(key)


class NamedModules(nn.ModuleDict):
    """A ``ModuleDict`` whose keys may be any text, such as ``type``, ``to`` or ``items``.

    ``ModuleDict`` refuses keys that are called like one of its attributes. The modules here are
    only reached by ``modules[key]``, so that no attribute is in their way.
    """

    def add_module(self, name: str, module: nn.Module | None) -> None:
        """Add a module under ``name``."""
        self._modules[name] = cast("nn.Module", module)

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute of its own, such as ``training``; it is never a module."""
        object.__setattr__(self, name, value)
