"""``check-fit``: whether a frozen generator is fit for the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from causalplug.cli.models import load_part, revision_option
from causalplug.cli.output import json_option, png_option, save_figure, show_json
from causalplug.cli.sources import header
from causalplug.cli.tables import columns_option, encoded_rows, where_option
from causalplug.errors import DataError, MechanismError
from causalplug.selection import keep, without
from causalplug.values import Json

if TYPE_CHECKING:
    from causalplug.checks.fit import FitReport
    from causalplug.dcm import DCM

__all__ = ["check_fit"]


@click.command(
    "check-fit",
    epilog="""\b
    causalplug check-fit me/frontdoor rows/      every frozen generator of a model
    causalplug check-fit user/mnist-cgan rows/ --variable I    its labels are columns of the data
    causalplug check-fit run.toml                the generators of a run, before training
    """,
)
@click.argument("target", metavar="MODEL|GENERATOR|CONFIG")
@click.argument("data", required=False, type=click.Path(path_type=Path))
@columns_option
@where_option
@click.option("--variable", help="The image variable; for a generator, the column with the images.")
@click.option(
    "--rows", type=click.IntRange(min=1), default=400, show_default=True, help="Images per value."
)
@click.option("--seed", type=int, default=0, show_default=True)
@png_option("Draw the first report.")
@revision_option
@json_option
def check_fit(
    target: str,
    data: Path | None,
    columns: str | None,
    where: Sequence[str],
    variable: str | None,
    rows: int,
    seed: int,
    png: Path | None,
    revision: str | None,
    as_json: bool,
) -> None:
    """Compare generated images with those of DATA (a folder of images or a table), value by
    value of the parents."""
    options = {"per_configuration": rows, "seed": seed}
    chosen = {"columns": columns, "where": where}
    reports = _reports(target, data, variable, revision, options, chosen)
    if png is not None:
        from causalplug.plots import plot_fit

        save_figure(plot_fit(reports[0]), png)
    if as_json:
        show_json({report.name: report.to_dict() for report in reports})
    else:
        click.echo("\n".join(map(str, reports)))


def _reports(
    target: str,
    data: Path | None,
    variable: str | None,
    revision: str | None,
    options: Json,
    chosen: Json,
) -> list[FitReport]:
    if target.endswith((".toml", ".json")):
        from causalplug.cli.run_file import RunFile

        run = RunFile.read(Path(target))
        model = run.build()
        sources = [source.encode(model.variables) for source in run.sources()]
        return _of_model(
            model,
            [rows.values for rows in sources if not rows.source.do],
            variable,
            target,
            options,
        )
    if data is None:
        raise click.UsageError(
            "the real images are missing: give DATA, a folder with metadata.csv or a table"
        )
    loaded = load_part(target, revision)
    from causalplug.checks.fit import check_fit as check
    from causalplug.dcm import DCM
    from causalplug.mechanisms.frozen.generator import FrozenMechanism

    if isinstance(loaded, DCM):
        return _of_model(
            loaded, [encoded_rows(data, loaded.variables, **chosen)], variable, target, options
        )
    if not isinstance(loaded, FrozenMechanism):
        raise MechanismError(
            f"{target} cannot be checked: it holds a {type(loaded).__name__}, no generator"
        )
    parents = {label.name: label.values for label in loaded.labels}
    columns = header(data, chosen=())
    name = variable or next((column for column in columns if column not in parents), "image")
    missing = without((*parents, name), columns)
    if missing:
        raise DataError(
            f"{target} cannot be checked: {data} has no column {', '.join(missing)}; name columns "
            "after the generator's labels, or check it as part of a model"
        )
    return [
        check(
            loaded.bind(name, loaded.image, parents),
            encoded_rows(data, {**parents, name: loaded.image}, **chosen),
            **options,
        )
    ]


def _longest(tables: list[Json], needed: list[str]) -> Json:
    """The table with most rows among those that have the columns ``needed``, the first of which is
    the generator's."""
    having = [table for table in tables if set(needed) <= set(table)]
    if not having:
        raise DataError(
            f"the generator of {needed[0]} cannot be checked: no table has the columns "
            f"{', '.join(needed)} together"
        )
    return max(having, key=lambda table: len(table[needed[0]]))


def _of_model(
    model: DCM,
    tables: list[Json],
    variable: str | None,
    target: str,
    options: Json,
) -> list[FitReport]:
    """A report for every frozen generator, on the largest table that has its image and its
    parents."""
    from causalplug.checks.fit import check_fit as check
    from causalplug.mechanisms.frozen.label_columns import label_columns, with_label_values

    frozen = {name: m for name, m in model.mechanisms.items() if m.frozen}
    if variable is not None:
        frozen = keep(frozen, (variable,))
    if not frozen:
        raise MechanismError(
            "nothing can be checked: no frozen generator "
            f"{f'of {variable} ' if variable else ''}in {target}"
        )
    reports = []
    for name, mechanism in frozen.items():
        rows = _longest(tables, [name, *mechanism.parents, *label_columns(mechanism)])
        if mechanism.awaits_rows:
            told = with_label_values(mechanism, rows, model.variables)
            mechanism = mechanism.take_rows(told)
        reports.append(check(mechanism, rows, encoder=_trained_encoder(model, name), **options))  # type: ignore[arg-type]
    return reports


def _trained_encoder(model: DCM, name: str) -> object:
    """The encoder of an image; None where it is still to be trained."""
    encoder = model.encoders.get(name)
    if encoder is not None and encoder.trained:
        return encoder
    return None
