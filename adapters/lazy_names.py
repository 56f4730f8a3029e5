"""Names of libraries that import their parts when they are first used."""

from __future__ import annotations

from typing import Any

from causalplug.adapters.reasons import first_line
from causalplug.errors import MissingDependencyError

__all__ = ["named"]


def named(library: Any, name: str) -> Any:
    """What a library, or a class of it, has under a name; None where it has nothing.

    Raises:
        MissingDependencyError: The part of the library that holds it cannot be imported.
    """
    try:
        return getattr(library, name)
    except AttributeError:
        return None
    except (ImportError, RuntimeError) as error:
        why: Exception = error
        if isinstance(error.__cause__, Exception):  # what the library wraps
            why = error.__cause__
        raise MissingDependencyError(
            f"{name} of {library.__name__} cannot be imported: {first_line(why)}. Install or "
            "upgrade what it needs."
        ) from error
