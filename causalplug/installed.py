"""Whether an optional library is installed, found out without loading it."""

from __future__ import annotations

import importlib.util

from causalplug.errors import MissingDependencyError

__all__ = ["require"]


def require(what: str, extra: str, *libraries: str) -> None:
    """Raise if a library of an extra is missing.

    Args:
        what: What cannot be done without it, such as ``"no picture can be drawn"``.
        extra: The extra of causalplug that installs it.
        libraries: The names under which the libraries are imported.

    Raises:
        MissingDependencyError: The first library that is not installed.
    """
    for name in libraries:
        if importlib.util.find_spec(name) is None:
            raise MissingDependencyError(
                f"{what}: {name} is not installed; run `pip install causalplug[{extra}]`"
            )
