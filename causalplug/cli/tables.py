"""Rows of a table as a model reads them, and back as its users write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from causalplug.cli.sources import header
from causalplug.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from causalplug.variables import Variable

__all__ = ["encoded_rows", "rows_of"]


def encoded_rows(path: Path, variables: Mapping[str, Variable]) -> dict[str, Tensor]:
    """The columns of a table that are variables, encoded; the others are left out.

    Raises:
        DataError: it cannot be read, has no such column, or a value lies outside its declaration.
    """
    from causalplug.data.source import DataSource

    names = DataSource(path).names
    known = [name for name in names if name in variables]
    if not known:
        raise DataError(
            f"{path} cannot be used: none of its columns {', '.join(names)} is a variable; they "
            f"are {', '.join(variables)}"
        )
    return DataSource(path, columns=known).encode(variables).values


def rows_of(path: Path, variables: Mapping[str, Variable]) -> dict[str, Any]:
    """The same in users' values: category names, floats, images as arrays; a warning names columns
    that are left out.

    Raises:
        DataError: as :func:`encoded_rows`.
    """
    encoded = encoded_rows(path, variables)
    if unused := [name for name in header(path) if name not in encoded]:
        click.echo(
            f"warning: {path}: not variables of the model, and not used: {', '.join(unused)}",
            err=True,
        )
    return {name: variables[name].decode(codes[:]) for name, codes in encoded.items()}
