"""``plan`` and ``identify``: what a graph and its data allow. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from causalplug.cli.given import assume_option, names, pairs, read_assumption, read_given_graph
from causalplug.cli.output import json_option, png_option, save_figure, show_json
from causalplug.cli.sources import read_given_sources, source_option
from causalplug.cli.tables import columns_option
from causalplug.values import Json

if TYPE_CHECKING:
    from causalplug.identification.identification import Identification

__all__ = ["identify", "plan"]

_graph = click.argument("graph", metavar="GRAPH")
_format = click.option(
    "--format",
    help="Format of the graph: text, dot, dagitty, lavaan, bif, cg, tetrad, json, gml, graphml.",
)
_latents = click.option(
    "--latents", default="", metavar="NAMES", help="Hidden variables to project out, such as A,B."
)
_png = png_option("Write a picture to FILE.")


@click.command(
    epilog="""\b
    causalplug plan "D -> I -> A; D <-> A"
    causalplug plan sachs.dot --source observed.csv --source pka.csv:do=PKA
    causalplug plan "D -> I -> A; D <-> A" --available I=user/mnist-cgan --md
    causalplug plan "D -> I -> A; D <-> A" --candidate user/mnist-cgan --kind I=image
    """
)
@_graph
@source_option
@columns_option
@click.option(
    "--available", multiple=True, metavar="NAME=REPO", help="A generator that you have. Repeatable."
)
@click.option(
    "--candidate",
    multiple=True,
    metavar="REPO",
    help="A folder or Hub repository that may fit somewhere. Repeatable.",
)
@click.option(
    "--kind",
    multiple=True,
    metavar="NAME=KIND",
    help="Kind of a variable: image, discrete, continuous, vector, text or count. Repeatable.",
)
@click.option(
    "--objective",
    help="Objective of all modules: adversarial, likelihood, warm or counterfactual.",
)
@click.option(
    "--explain", metavar="NAME", help="Explain the module of NAME, with the paths behind it."
)
@click.option("--md", is_flag=True, help="Print Markdown, with the reasons.")
@click.option("--dot", is_flag=True, help="Print Graphviz text.")
@_png
@json_option
@_format
@_latents
def plan(
    graph: str,
    sources: Sequence[str],
    columns: str | None,
    available: Sequence[str],
    candidate: Sequence[str],
    kind: Sequence[str],
    objective: str | None,
    explain: str | None,
    md: bool,
    dot: bool,
    png: Path | None,
    as_json: bool,
    format: str | None,
    latents: str,
) -> None:
    """Say which mechanisms of GRAPH may be pulled and which are trained together, in which order,
    on what.

    GRAPH is a file, the text itself, or - for stdin.
    """
    from causalplug.planner import plan as make

    read = read_given_graph(graph, format=format, latents=names(latents))
    made = make(
        read,
        read_given_sources(sources, columns=columns),
        available=pairs(available, "--available") or None,
        objective=objective,
        kinds=pairs(kind, "--kind") or None,
        candidates=list(candidate) or None,
    )
    if png is not None:
        save_figure(made.plot(), png)
    if as_json:
        explained = {"explained": made.explain(explain)} if explain else {}
        show_json(made.to_dict() | explained)
    elif explain:
        click.echo(made.explain(explain))
    elif dot:
        click.echo(made.to_dot(), nl=False)
    elif md:
        click.echo(made.to_markdown(), nl=False)
    elif png is None:
        click.echo(str(made))


@click.command(
    epilog="""\b
    causalplug identify "D -> I -> A; D <-> A" "P(A | do(D=1))"
    causalplug identify graph.dot "P(Y_{X=1} | X=0)" --source "P(X, Y)" --source "P(Y | do(X))"
    """
)
@_graph
@click.argument("query", metavar="QUERY")
@source_option
@columns_option
@click.option(
    "--values",
    multiple=True,
    metavar="NAME=A,B",
    help="All values that a variable can take. Repeatable.",
)
@assume_option
@click.option(
    "--words", is_flag=True, help="Say how the answer is worked out, with all adjustment sets."
)
@click.option("--suggest", is_flag=True, help="Name experiments that would determine the answer.")
@click.option(
    "--require",
    is_flag=True,
    help="Make it an error (exit code 2) if the answer is not determined.",
)
@_png
@json_option
@_format
@_latents
def identify(
    graph: str,
    query: str,
    sources: Sequence[str],
    columns: str | None,
    values: Sequence[str],
    assume: Sequence[str],
    words: bool,
    suggest: bool,
    require: bool,
    png: Path | None,
    as_json: bool,
    format: str | None,
    latents: str,
) -> None:
    """Say whether graph and data determine the answer to QUERY, by which formula, or what stands
    in the way."""
    from causalplug.identification.identification import identify as decide
    from causalplug.identification.identification import require_identifiable

    read = read_given_graph(graph, format=format, latents=names(latents))
    domains = {}
    for name, text in pairs(values, "--values").items():
        domains[name] = list(map(_number, names(text)))
    found = (require_identifiable if require else decide)(
        read,
        query,
        read_given_sources(sources, columns=columns),
        domains=domains or None,
        assume=list(map(read_assumption, assume)),
    )
    experiments = None
    if suggest:
        experiments = found.suggest()
    if png is not None:
        save_figure(found.plot().figure, png)
    if as_json:
        show_json(
            found.to_dict()
            | (_words(found) if words else {})
            | ({} if experiments is None else {"suggestions": list(map(list, experiments))})
        )
    else:
        click.echo(str(found))
        if words:
            click.echo(f"  {found.in_words}")
        _show_suggestions(found, experiments)


def _words(found: Identification) -> Json:
    return {
        "in_words": found.in_words,
        "adjustment_sets": list(map(sorted, found.adjustment_sets)),
        "front_door_sets": list(map(sorted, found.front_door_sets)),
        "instruments": list(map(str, found.instruments)),
    }


def _show_suggestions(found: Identification, experiments: list[tuple[str, ...]] | None) -> None:
    if experiments is None or found.answerable:
        return
    if not experiments:
        click.echo("  no experiments on up to 3 variables were found that would determine it")
    for variables in experiments:
        setting = ", ".join(f"do({name})" for name in variables)
        click.echo(f"  an experiment that would determine it: {setting}")


def _number(text: str) -> Any:
    if text.lstrip("-").isdigit():
        return int(text)
    return text
