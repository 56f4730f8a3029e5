"""TOML and JSON files that a person writes."""

from __future__ import annotations

import sys
from pathlib import Path

from causalplug.errors import DataError
from causalplug.files.validation import parse_json
from causalplug.values import Json

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["read_file"]


def read_file(path: Path) -> Json:
    """The object in a ``.toml`` or ``.json`` file.

    Raises:
        DataError: There is no such file, or it is malformed; with the line.
        RepositoryError: A JSON file is malformed.
    """
    if path.suffix not in (".toml", ".json"):
        raise DataError(
            f"{path} cannot be read: it is not a .toml or .json file; write one, or give it the "
            "suffix of what it is"
        )
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} cannot be read: there is no such file; check the path") from None
    if path.suffix == ".json":
        return parse_json(data, str(path), remedy="correct it")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(
            f"{path} cannot be read: it is no TOML: {error}; correct that line"
        ) from error
