"""``bounds`` and ``check-graph``: a graph, a question and tables of rows. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from causalplug.cli.given import names, pairs, read_assumption, read_given_graph
from causalplug.cli.output import json_option, level_option, png_option, save_figure, show_json
from causalplug.cli.tables import columns_option, conditions, where_option
from causalplug.errors import DataError
from causalplug.selection import map_values, within, without
from causalplug.values import Json
from causalplug.wording import listed

__all__ = ["bounds", "check_graph"]

_graph = click.argument("graph", metavar="GRAPH")
_rows = click.option(
    "--data",
    "tables",
    multiple=True,
    required=True,
    metavar="FILE",
    help="A table of rows (CSV, JSON lines, Parquet and others); FILE:do=X,Z says what an "
    "experiment set. Repeatable.",
)


@click.command(
    epilog="""\b
    causalplug bounds "X -> Y; X <-> Y" "ATE(Y, X)" --data rows.csv
    causalplug bounds graph.dot "PNS(Y, X)" --data rows.csv --data trial.csv:do=X
    causalplug bounds "Z -> X -> Y; X <-> Y" "ATE(Y, X)" --data rows.csv --assume monotone:Z,X
    """
)
@_graph
@click.argument("query", metavar="QUERY")
@_rows
@columns_option
@where_option
@click.option(
    "--assume", multiple=True, metavar="KIND:CAUSE,EFFECT", help="monotone, antitone or additive."
)
@click.option(
    "--range", "ranges", multiple=True, metavar="NAME=LOW..HIGH", help="Of a continuous outcome."
)
@level_option
@json_option
def bounds(
    graph: str,
    query: str,
    tables: Sequence[str],
    columns: str | None,
    where: Sequence[str],
    assume: Sequence[str],
    ranges: Sequence[str],
    level: float,
    as_json: bool,
) -> None:
    """Say between which values the answer to QUERY lies, given GRAPH and the rows."""
    from causalplug.checks.bounding import bounds as bound

    known = read_given_graph(graph)
    data, sources = _read(tables, columns, where, known.variables)
    found = bound(
        known,
        query,
        data if len(data) > 1 else data[0],
        sources=sources,
        assume=list(map(read_assumption, assume)),
        ranges=map_values(_span, pairs(ranges, "--range")),
    )
    ends = found.interval(level)
    if as_json:
        if found.axes:
            rows = ends.to_dict("records")
        else:
            rows = [{"low": ends[0], "high": ends[1]}]
        show_json(found.to_dict() | {"level": level, "interval": rows})
        return
    click.echo(str(found))
    if found.axes:
        click.echo(f"{level:.0%} interval\n{ends.to_string(index=False)}")
    else:
        click.echo(f"  {level:.0%} interval: [{ends[0]:.6g}, {ends[1]:.6g}]")


@click.command(
    name="check-graph",
    epilog="""\b
    causalplug check-graph "X -> Z -> Y" --data rows.csv
    causalplug check-graph graph.dot --data rows.csv --data trial.csv:do=X --png graph.png
    """,
)
@_graph
@_rows
@columns_option
@where_option
@click.option(
    "--level", default=0.05, show_default=True, help="Chance that a true graph is rejected."
)
@click.option(
    "--require", is_flag=True, help="Make it an error (exit code 2) if the rows contradict it."
)
@png_option("Draw it.")
@json_option
def check_graph(
    graph: str,
    tables: Sequence[str],
    columns: str | None,
    where: Sequence[str],
    level: float,
    require: bool,
    png: Path | None,
    as_json: bool,
) -> None:
    """Say whether the rows contradict what GRAPH implies."""
    from causalplug.checks.graph_check import check_graph as check

    known = read_given_graph(graph)
    data, sources = _read(tables, columns, where, known.variables)
    found = check(known, data, sources=sources, level=level)
    if png is not None:
        save_figure(found.plot(), png)
    if require and not found:
        raise DataError(" ".join(str(found).split("\n- ")[:2]).split("\n")[0])
    if as_json:
        show_json(found.to_dict())
    else:
        click.echo(str(found))


def _read(
    texts: Sequence[str], columns: str | None, where: Sequence[str], variables: Sequence[str]
) -> tuple[list[Any], list[Any]]:
    """The tables, and what each is a sample of."""
    from causalplug.graphs.source import Source

    data, sources = [], []
    for text in texts:
        path, _, do = text.partition(":do=")
        if Path(path).is_dir():
            raise DataError(
                f"the rows cannot be read: {path} is a folder; name a table, such as a CSV file"
            )
        if not Path(path).is_file():
            raise DataError(f"the rows cannot be read: there is no file {path}; check the path")
        rows = _columns(Path(path), columns, where)
        if others := without(rows, variables):
            raise DataError(
                f"{path} cannot be used: {listed(others)} are no variables of the graph; name the "
                f"columns to take: --columns {','.join(within(rows, variables)) or 'X,Y'}"
            )
        data.append(rows)
        sources.append(Source(list(rows), do=names(do), name=Path(path).name))
    return data, sources


def _columns(path: Path, columns: str | None, where: Sequence[str]) -> Json:
    """The columns of a table, of the rows that are meant."""
    from causalplug.data.filter import filtered
    from causalplug.data.plain import plain_columns
    from causalplug.data.tables import table_of

    table = table_of(path)
    if where:
        table = filtered(table, conditions(where))
    if columns is not None:
        table = table.renamed(names(columns))
    elif "" in table.names:
        table = table.renamed(without(table.names, ("",)))
    return plain_columns(table.names, table.read(None))


def _span(text: str) -> tuple[float, float]:
    low, _, high = text.partition("..")
    try:
        return float(low), float(high)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not of the form LOW..HIGH", param_hint="--range"
        ) from None
