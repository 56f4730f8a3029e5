"""Saving, loading and publishing: folders written atomically, repositories read with suspicion, cards from facts.

The names below are loaded when they are first used; nothing here imports the Hub's client or torch before it needs
them.
"""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "card": ["CARD_FACTS", "card_data", "render_card"],
    "card_check": ["card_problems", "check_card"],
    "card_facts": ["dcm_facts"],
    "facts": ["file_facts"],
    "licenses": ["may_copy", "redistribution"],
    "push": ["push_folder"],
    "reference": ["REFERENCE_SCHEMA", "Reference"],
    "repository": ["resolve"],
    "snapshot": ["Snapshot", "check_trust"],
    "storage": ["read_folder", "stable_copy", "write_folder"],
    "validation": ["check_keys", "read_json", "safe_relative"],
    "weights": ["read_safetensors", "safetensors_writer"],
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
