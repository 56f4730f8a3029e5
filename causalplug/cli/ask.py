"""``sample``, ``estimate`` and ``counterfactual``: questions to a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from causalplug.cli.given import assume_option, names, pairs, read_assumption, settings
from causalplug.cli.models import load_model, revision_option
from causalplug.cli.output import (
    asked_for,
    check_folder,
    json_option,
    level_option,
    png_option,
    show_json,
    show_rows,
    tell,
)
from causalplug.cli.tables import (
    check_has_table,
    columns_option,
    data_option,
    rows_of,
    tables_of,
    where_option,
)
from causalplug.errors import QueryError
from causalplug.identification.assumptions import Assume
from causalplug.identification.query import Query

if TYPE_CHECKING:
    import pandas as pd

    from causalplug.dcm import DCM


__all__ = ["counterfactual", "estimate", "sample"]

_F = TypeVar("_F", bound=Callable[..., Any])

_repo = click.argument("repo", metavar="MODEL")
_do = click.option(
    "--do", "do", multiple=True, metavar="NAME=VALUE", help="Set a variable. Repeatable."
)
_count = click.IntRange(min=1)
_variables = click.option(
    "--variables", metavar="NAMES", help="Variables to show, such as A,B; default: all."
)
_out = click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write metadata.csv and pictures there.",
)


def _sampling(command: _F) -> _F:
    """Options that every question has."""
    options = [
        click.option("--seed", type=int, default=0, show_default=True, help="Seed of the noise."),
        click.option("--batch-size", type=_count, help="Rows per pass through the networks."),
        click.option(
            "--min-acceptance",
            type=float,
            default=1e-4,
            show_default=True,
            help="Give up if a smaller share of candidates meets the evidence.",
        ),
        click.option(
            "--allow-unidentified",
            is_flag=True,
            help="Answer even if the data do not determine the answer; it is marked.",
        ),
        click.option(
            "--interpolate",
            multiple=True,
            metavar="NAME",
            help="Take the effect of NAME as smooth between the values that an experiment set; the "
            "answer is marked. Repeatable.",
        ),
        revision_option,
        json_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command(
    epilog="""\b
    causalplug sample me/frontdoor --do D=1 -n 100 --variables A
    causalplug sample me/frontdoor --do D=1 --given A=red,blue -n 16 --out pictures
    """
)
@_repo
@_do
@click.option(
    "--given",
    multiple=True,
    metavar="NAME=VALUE",
    help="Condition: A=red, A=red,blue, N=0.5..1, N=..1, 'N<50', '18<=N<65'.",
)
@click.option("-n", "n", type=_count, default=100, show_default=True, help="Number of rows.")
@_variables
@_out
@_sampling
def sample(
    repo: str,
    do: Sequence[str],
    given: Sequence[str],
    n: int,
    variables: str | None,
    out: Path | None,
    seed: int,
    batch_size: int | None,
    min_acceptance: float,
    allow_unidentified: bool,
    interpolate: Sequence[str],
    revision: str | None,
    as_json: bool,
) -> None:
    """Draw rows of P(variables | do, given) from MODEL, as CSV."""
    if out is not None:
        check_folder(out)
    model = load_model(repo, revision)
    parts = model.sample_batches(
        n,
        do=settings(do, model.variables, "--do"),
        given=settings(given, model.variables, "--given", condition=True) or None,
        variables=asked_for(_names(variables), model.variables, folder=out),
        seed=seed,
        batch_size=batch_size,
        images="pil",
        min_acceptance=min_acceptance,
        allow_unidentified=allow_unidentified,
        interpolate=interpolate,
    )
    show_rows(parts, model.variables, folder=out, as_json=as_json)


@click.command(
    epilog="""\b
    causalplug counterfactual me/frontdoor --evidence D=0 --do D=1 -n 1000 --variables A
    causalplug counterfactual me/frontdoor --rows patients.csv --do D=1 --variables A
    """
)
@_repo
@click.option(
    "--evidence",
    multiple=True,
    metavar="NAME=VALUE",
    help="What was observed; written like --given of sample.",
)
@click.option(
    "--rows",
    "table",
    type=click.Path(exists=True, path_type=Path),
    help="Rows that were seen, a table.",
)
@columns_option
@where_option
@_do
@click.option(
    "-n", "n", type=_count, help="Number of rows; default: 100, or one for each row of --rows."
)
@click.option(
    "--draws", type=_count, default=1, show_default=True, help="Draws for each row of --rows."
)
@click.option("--factual", is_flag=True, help="Also show the factual values.")
@click.option(
    "--assume",
    multiple=True,
    metavar="NAME=KIND",
    help="What is assumed of a mechanism: I=invertible, Y='monotone noise'. Repeatable.",
)
@_variables
@_out
@_sampling
def counterfactual(
    repo: str,
    evidence: Sequence[str],
    table: Path | None,
    columns: str | None,
    where: Sequence[str],
    do: Sequence[str],
    n: int | None,
    draws: int,
    factual: bool,
    assume: Sequence[str],
    variables: str | None,
    out: Path | None,
    seed: int,
    batch_size: int | None,
    min_acceptance: float,
    allow_unidentified: bool,
    interpolate: Sequence[str],
    revision: str | None,
    as_json: bool,
) -> None:
    """Draw what would have been under do, given what was seen, as CSV."""
    if table is not None and (evidence or n is not None):
        raise click.UsageError(
            "--rows says what was seen and how many rows there are: leave out --evidence and -n"
        )
    check_has_table(table, columns, where, option="--rows")
    if table is None and not evidence:
        raise click.UsageError(
            "nothing was seen: give --evidence NAME=VALUE or --rows FILE, or use sample"
        )
    if out is not None:
        check_folder(out)
    model = load_model(repo, revision)
    seen = settings(evidence, model.variables, "--evidence", condition=True)
    rows = model.counterfactual(
        rows_of(table, model.variables, columns=columns, where=where)
        if table is not None
        else n or 100,
        evidence=seen or None,
        do=settings(do, model.variables, "--do"),
        variables=asked_for(_names(variables), model.variables, folder=out),
        factual=factual,
        draws=draws,
        assume=[Assume(kind, effect=name) for name, kind in pairs(assume, "--assume").items()],
        seed=seed,
        batch_size=batch_size,
        images="pil",
        min_acceptance=min_acceptance,
        allow_unidentified=allow_unidentified,
        interpolate=interpolate,
    )
    show_rows(_once(rows), model.variables, folder=out, as_json=as_json)


@click.command(
    epilog="""\b
    causalplug estimate me/frontdoor "P(A | do(D=1))"
    causalplug estimate me/cxr "E[N | do(C=1)] - E[N | do(C=0)]" -n 1000000 --json
    """
)
@_repo
@click.argument("query", metavar="QUERY")
@click.option("-n", "n", type=_count, default=100_000, show_default=True, help="Rows to sample.")
@data_option
@columns_option
@where_option
@level_option
@click.option(
    "--one-step", is_flag=True, help="Apply the one-step correction with the rows in --data."
)
@assume_option
@click.option(
    "--compare", is_flag=True, help="Add a column with the identified formula evaluated on --data."
)
@png_option("Write the images that QUERY asks for to this file.", images=True)
@_sampling
def estimate(
    repo: str,
    query: str,
    n: int,
    data: Sequence[Path],
    columns: str | None,
    where: Sequence[str],
    level: float,
    one_step: bool,
    assume: Sequence[str],
    compare: bool,
    png: Path | None,
    seed: int,
    batch_size: int | None,
    min_acceptance: float,
    allow_unidentified: bool,
    interpolate: Sequence[str],
    revision: str | None,
    as_json: bool,
) -> None:
    """Answer QUERY from MODEL, with intervals that hold all that is uncertain."""
    check_has_table(data, columns, where)
    if one_step and not data:
        raise click.UsageError("--one-step needs the rows: give --data FILE")
    if compare and not data:
        raise click.UsageError("--compare needs the rows: give --data FILE")
    asked = Query.parse(query)
    model = load_model(repo, revision)
    if png is not None:
        _check_draws_images(asked, model)
    answer = model.estimate(
        asked,
        n,
        seed=seed,
        batch_size=batch_size,
        min_acceptance=min_acceptance,
        allow_unidentified=allow_unidentified,
        interpolate=interpolate,
        data=tables_of(data, model.variables, columns=columns, where=where),
        level=level,
        one_step=one_step or None,
        assume=list(map(read_assumption, assume)),
        compare="plug-in" if compare else None,
    )
    if png is not None:
        answer.grid().save(png)
    if as_json:
        show_json(answer.to_dict())
    else:
        click.echo(str(answer))
    if answer.marked:
        if answer.identification is None:
            reason = ""
        else:
            reason = f": {answer.identification.reason}"
        click.echo(f"warning: {answer.query} is {answer.status}{reason}", err=True)
    tell(answer.warnings)


def _check_draws_images(query: Query, model: DCM) -> None:
    """Refuse ``--png`` before any work where the question leaves no image open.

    Raises:
        QueryError: There is nothing to draw.
    """
    outcomes = set()
    for _, term in query.terms:
        for e in term.events:
            if e.value is None:
                outcomes.add(e.variable)
    if not any(model.variables[name].is_image for name in outcomes if name in model.variables):
        raise QueryError(
            f"--png cannot be served: {query} asks for no image; leave --png out, or draw what the "
            "answer rests on with causalplug drivers --png"
        )


def _names(text: str | None) -> list[str] | None:
    if text is None:
        return None
    return names(text)


def _once(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    yield rows
