"""The Python file that a repository may bring to register a kind; reading it runs nothing."""

from __future__ import annotations

from pathlib import Path

from causalplug.errors import RepositoryError
from causalplug.files.validation import regular_file

__all__ = ["read_code"]

_MOST_CODE = 4 << 20  # bytes


def read_code(path: Path, within: Path | None = None) -> bytes:
    if path.suffix != ".py":
        raise RepositoryError(
            f"cannot use {path} as code: give a file of Python, with a name that ends in .py"
        )
    with open(regular_file(path, within=within), "rb") as file:
        text = file.read(_MOST_CODE + 1)
    if len(text) > _MOST_CODE:
        raise RepositoryError(
            f"cannot use {path}: it has more than {_MOST_CODE:,} bytes, too many for a file of code"
        )
    return text
