"""Saving, loading and publishing: repositories read with suspicion, models by reference, cards from
facts.

The names below are loaded when they are first used; nothing here imports the Hub's client or torch
before it needs them.
"""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "card": ["CARD_FACTS", "card_data", "render_card"],
    "card_check": ["card_problems", "check_card"],
    "licenses": ["may_copy", "redistribution"],
    "push": ["push_folder"],
    "reference": ["REFERENCE_SCHEMA", "Reference"],
    "repository": ["resolve"],
    "snapshot": ["Snapshot", "check_trust"],
}
_HOME = {name: module for module, names in _EXPORTS.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
