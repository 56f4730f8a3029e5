"""What another library's error says, for messages of ours."""

from __future__ import annotations

__all__ = ["first_line"]


def first_line(error: Exception) -> str:
    """The first line of an error without the mark at its end; its class where it says nothing."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(" .:;,?!") or type(error).__name__
