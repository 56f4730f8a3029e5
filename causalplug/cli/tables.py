"""Rows of a table as a model reads them, and back as its users write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from causalplug.cli.given import names, pairs
from causalplug.cli.sources import header
from causalplug.errors import DataError
from causalplug.selection import within, without
from causalplug.values import Json

if TYPE_CHECKING:
    from torch import Tensor

    from causalplug.variables import Variable

__all__ = [
    "check_has_table",
    "columns_option",
    "conditions",
    "data_option",
    "encoded_rows",
    "rows_of",
    "tables_of",
    "where_option",
]


columns_option = click.option(
    "--columns",
    metavar="A,B",
    help="The columns to take from tables, so that ids and notes may stay in the file.",
)
data_option = click.option(
    "--data",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Rows that it was trained on, for the intervals and the overlap: a table for each "
    "source, in order. Repeatable.",
)
where_option = click.option(
    "--where",
    multiple=True,
    metavar="NAME=VALUE",
    help="Take these rows of tables only: a value, several (A=red,blue), or an interval "
    "(N=0.5..1). Repeatable.",
)


def check_has_table(
    given: object, columns: str | None, where: Sequence[str], *, option: str = "--data"
) -> None:
    """Refuse ``--columns`` and ``--where`` where no table is given."""
    if (columns or where) and not given:
        raise click.UsageError(f"--columns and --where need a table: give {option} FILE")


def encoded_rows(
    path: Path,
    variables: Mapping[str, Variable],
    *,
    columns: str | None = None,
    where: Iterable[str] = (),
) -> dict[str, Tensor]:
    """The columns of a table that are variables, encoded; the others are left out.

    Args:
        path: The table.
        variables: The model's.
        columns: Names of the columns to take, separated by commas; all of the variables' by
            default.
        where: ``NAME=VALUE`` texts, which rows must meet.

    Raises:
        DataError: It cannot be read, has no such column, or a value lies outside its declaration.
    """
    from causalplug.data.source import DataSource

    if columns is None:
        found = header(path, chosen=())
        known = within(found, variables)
        if not known:
            raise DataError(
                f"{path} cannot be used: none of its columns {', '.join(found)} is a variable; "
                f"they are {', '.join(variables)}"
            )
    else:
        known = names(columns)
    source = DataSource(path, columns=known, where=conditions(where))
    return source.encode(variables).values


def conditions(texts: Iterable[str]) -> Json:
    """``NAME=VALUE`` texts as conditions on rows."""
    return {name: _condition(name, text) for name, text in pairs(texts, "--where").items()}


def _condition(name: str, text: str) -> object:
    low, dots, high = text.partition("..")
    if not dots:
        return list(dict.fromkeys([text, *names(text)]))
    try:
        return (float(low) if low else None, float(high) if high else None)
    except ValueError:
        raise click.BadParameter(
            f"{name}={text} is not an interval: write {name}=0.5..1", param_hint="--where"
        ) from None


def rows_of(
    path: Path,
    variables: Mapping[str, Variable],
    *,
    columns: str | None = None,
    where: Iterable[str] = (),
) -> Json:
    """The same in users' values: category names, floats, images as arrays; a warning names columns
    that are left out without being told to.

    Raises:
        DataError: As :func:`encoded_rows`.
    """
    encoded = encoded_rows(path, variables, columns=columns, where=where)
    if columns is not None:
        unused = []
    else:
        unused = header(path, chosen=())
    if unused := without(unused, encoded):
        click.echo(
            f"warning: {path}: not variables of the model, and not used: {', '.join(unused)}",
            err=True,
        )
    return {name: variables[name].decode(codes[:]) for name, codes in encoded.items()}


def tables_of(
    paths: Sequence[Path],
    variables: Mapping[str, Variable],
    *,
    columns: str | None = None,
    where: Iterable[str] = (),
) -> Any:
    """One table, or a list of several; None without any. Arguments and errors as for
    :func:`rows_of`."""
    tables = [rows_of(path, variables, columns=columns, where=where) for path in paths]
    if len(tables) == 1:
        return tables[0]
    return tables or None
