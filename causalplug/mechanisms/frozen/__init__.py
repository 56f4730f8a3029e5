"""Frozen mechanisms: pretrained generators, label maps, sample banks and renderers."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["FrozenMechanism"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.generator"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
