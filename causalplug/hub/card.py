"""Model cards: what they say, and reading what they declare."""

from __future__ import annotations

__all__ = ["card_data"]

import os
import re
from pathlib import Path
from typing import Any

_FRONT = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_MAX_FRONT = 1 << 16


def card_data(path: str | os.PathLike) -> dict[str, Any]:
    """Return the metadata at the head of a card; empty where there is none or it cannot be read.

    A card is written for people; a mistake in it must not keep a model from loading.
    """
    import yaml  # type: ignore[import-untyped]

    with open(Path(path), "rb") as file:
        text = file.read(_MAX_FRONT).decode(errors="replace")
    if (match := _FRONT.match(text)) is None:
        return {}
    try:
        value = yaml.safe_load(match[1])
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
