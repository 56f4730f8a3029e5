"""Names of variables as arguments: one name or several, known or unknown."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Collection, Iterable, Sequence

from causalplug.errors import UnknownVariableError

__all__ = [
    "add_note",
    "aligned",
    "as_names",
    "check_known",
    "did_you_mean",
    "listed",
    "shortened",
]

_LONGEST = 100


def add_note(error: BaseException, text: str) -> None:
    """Add a line to an error, as ``error.add_note`` does from Python 3.11 on."""
    if sys.version_info >= (3, 11):
        error.add_note(text)
    else:
        error.__dict__.setdefault("__notes__", []).append(text)
        if isinstance(error, KeyboardInterrupt):  # tracebacks of Python 3.10 show no notes
            error.args = ("\n".join([*map(str, error.args), text]),)


def shortened(text: object, most: int = _LONGEST) -> str:
    """``text`` on one line of at most ``most`` characters, for messages that quote an input."""
    start = str(text)[: most + 1]
    line = " ".join(start.splitlines())
    if len(line) <= most:
        return line
    return line[: most - 1] + "…"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose columns are aligned; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = []
    for row in rows:
        padded.append([cell.ljust(width) for cell, width in zip(row, widths, strict=True)])
    return ["  ".join(row).rstrip() for row in padded]


def as_names(value: str | Iterable[str]) -> tuple[str, ...]:
    """The names in ``value``, in order and without repetition; a bare string is one name.

    Raises:
        UnknownVariableError: It holds something else than names.
    """
    if isinstance(value, str):
        return (value,)
    if isinstance(value, bytes) or not isinstance(value, Iterable):
        raise UnknownVariableError(
            f"{shortened(repr(value))} names no variables: give a name or several names."
        )
    found = tuple(value)
    for name in found:
        if not isinstance(name, str):
            raise UnknownVariableError(
                f"{shortened(repr(name))} is not the name of a variable: names are text."
            )
    return tuple(dict.fromkeys(found))


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """``' (did you mean "X"?)'`` for the closest known name, or an empty string."""
    if len(str(name)) > _LONGEST:
        return ""
    known = [k for k in known if len(str(k)) <= _LONGEST]
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
    if not close:
        folded = {k.casefold(): k for k in known}
        close = []
        if str(name).casefold() in folded:
            close = [folded[str(name).casefold()]]
    if close:
        return f' (did you mean "{close[0]}"?)'
    return ""


def listed(names: Iterable[object], *, most: int = 12) -> str:
    """``names`` joined by commas, cut after ``most`` of them if two or more are left; ``"none"``
    if there are none."""
    shown = list(map(shortened, names))
    rest = len(shown) - most
    return (
        ", ".join(shown[:most]) + f" and {rest} more" if rest > 1 else ", ".join(shown)
    ) or "none"


def check_known(names: Iterable[str], known: Collection[str], what: str) -> None:
    """Raise for the first of ``names`` that is not ``known``.

    Args:
        names: The names that a caller gave.
        known: The variables of the graph.
        what: What cannot be done, for the start of the message ("the parents cannot be listed").

    Raises:
        UnknownVariableError: With the closest known name, or the variables there are.
    """
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"; the variables are {listed(known)}"
            raise UnknownVariableError(
                f"{what}: {shortened(name)!r} is not a variable of the graph{hint}"
            )
