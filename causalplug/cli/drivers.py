"""``drivers``: what drives an answer of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from causalplug.cli.given import assume_option, read_assumption
from causalplug.cli.models import load_model, revision_option
from causalplug.cli.output import json_option, level_option, png_option, save_figure, show_json
from causalplug.cli.tables import (
    check_has_table,
    columns_option,
    data_option,
    tables_of,
    where_option,
)
from causalplug.identification.query import Query

__all__ = ["drivers"]


@click.command(
    epilog="""\b
    causalplug drivers me/frontdoor "P(A | do(D=1))"
    causalplug drivers me/frontdoor "P(A | do(D=1))" --data rows.csv --png drivers.png
    """
)
@click.argument("repo", metavar="MODEL")
@click.argument("query", metavar="QUERY")
@click.option(
    "-n",
    "n",
    type=click.IntRange(min=1),
    help="Rows to sample; default: as many as estimate takes.",
)
@data_option
@columns_option
@where_option
@level_option
@assume_option
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the noise.")
@click.option(
    "--allow-unidentified",
    is_flag=True,
    help="Answer even if the data do not determine the answer; it is marked.",
)
@png_option("Draw it on one page: .png, .svg or .pdf.")
@revision_option
@json_option
def drivers(
    repo: str,
    query: str,
    n: int | None,
    data: Sequence[Path],
    columns: str | None,
    where: Sequence[str],
    level: float,
    assume: Sequence[str],
    seed: int,
    allow_unidentified: bool,
    png: Path | None,
    revision: str | None,
    as_json: bool,
) -> None:
    """Show what the answer to QUERY rests on: modules, generators, overlap and uncertainty."""
    check_has_table(data, columns, where)
    asked = Query.parse(query)
    model = load_model(repo, revision)
    found = model.drivers(
        asked,
        n,
        data=tables_of(data, model.variables, columns=columns, where=where),
        level=level,
        assume=[read_assumption(text) for text in assume],
        seed=seed,
        allow_unidentified=allow_unidentified,
    )
    if png is not None:
        save_figure(found.plot(), png)
    if as_json:
        show_json(found.to_dict())
    else:
        click.echo(str(found))
