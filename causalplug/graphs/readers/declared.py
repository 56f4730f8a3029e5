"""What readers of networks share: names that are declared once, and properties in one text."""

from __future__ import annotations

from causalplug.errors import GraphError
from causalplug.wording import shortened

__all__ = ["once", "pair"]


def once(name: str, seen: set[str]) -> None:
    """Note a name.

    Raises:
        GraphError: It was noted before.
    """
    if name in seen:
        raise GraphError(
            f"the network cannot be read: {shortened(name)!r} is declared, or has its parents "
            "listed, twice; keep one"
        )
    seen.add(name)


def pair(text: str) -> tuple[str, object]:
    """``key = value``, ``key value`` or a flag."""
    key, equals, value = text.partition("=")
    if not equals:
        key, _, value = text.strip().partition(" ")
    return key.strip(), value.strip().strip('"') or True
