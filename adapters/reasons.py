"""What another library's error says, for messages of ours."""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["first_line", "missing_library"]


def first_line(error: Exception) -> str:
    """The first line of an error without the mark at its end; its class where it says nothing."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(" .:;,?!") or type(error).__name__


def missing_library(error: Exception) -> str | None:
    """The library whose absence an error of diffusers shows; None where it shows none.

    Modules of diffusers import an optional library only where ``is_…_available`` finds it, and fail
    with a ``NameError`` otherwise.
    """
    if isinstance(error, ModuleNotFoundError) and error.name:
        return error.name.partition(".")[0]
    if isinstance(error, NameError) and error.name and _is_optional(error.name):
        return error.name
    return None


def _is_optional(name: str) -> bool:
    """Whether diffusers asks for a library of this name before it imports it, and it is missing."""
    from diffusers.utils import import_utils

    return f"is_{name}_available" in vars(import_utils) and find_spec(name) is None
