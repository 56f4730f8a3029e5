"""``train``: a run that a file describes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from causalplug.cli.declarations import checked_settings
from causalplug.cli.given import pairs
from causalplug.cli.output import json_option, show_json
from causalplug.cli.run_file import RunFile
from causalplug.errors import TrainingError
from causalplug.values import Json
from causalplug.wording import add_note

__all__ = ["train"]


@click.command(
    epilog="""\b
    A CONFIG in TOML:
        graph = "D -> I -> A; D <-> A"
        output_dir = "runs/frontdoor"
        [variables]
        D = 2
        A = ["red", "green", "blue"]
        I = "image 3x32x32"
        [mechanisms.I]
        repo = "user/mnist-cgan"
        label_map = "estimate"
        [[sources]]
        file = "observed.csv"
        [settings]
        steps = 1500

    \b
    causalplug train run.toml --dry-run
    causalplug train run.toml --set steps=500 --set objective=likelihood --output-dir runs/b
    accelerate launch -m causalplug train run.toml
    """
)
@click.argument("config", type=click.Path(path_type=Path), metavar="CONFIG")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path),
    help="Output folder, in place of the file's output_dir.",
)
@click.option(
    "--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change a setting. Repeatable."
)
@click.option(
    "--preset",
    metavar="NAME",
    help="Preset settings: 'paper' has the settings and networks that the authors published.",
)
@click.option(
    "--log-with",
    metavar="TRACKER",
    help="Experiment tracker, by accelerate's name: tensorboard, wandb, …",
)
@click.option(
    "--replicates",
    type=click.IntRange(min=5),
    metavar="N",
    help="Refit on N resamples of the rows, 20 say, for intervals; saved with the model.",
)
@click.option(
    "--resume", is_flag=True, help="Continue from the last checkpoint in the output folder."
)
@click.option(
    "--dry-run", is_flag=True, help="Check everything but the rows, print the plan, train nothing."
)
@json_option
def train(
    config: Path,
    output_dir: Path | None,
    changes: Sequence[str],
    preset: str | None,
    log_with: str | None,
    replicates: int | None,
    resume: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train the model that CONFIG (.toml or .json) describes; save it to OUTPUT-DIR/model."""
    run = RunFile.read(config)
    given = _values(changes)
    if preset is not None:
        given["preset"] = preset
    settings = run.settings | checked_settings(given, "--set")
    folder = output_dir or run.output_dir
    if folder is None:
        raise TrainingError(
            f"{config} says no output_dir: write one into it, or give --output-dir FOLDER"
        )
    plan = run.plan()
    if dry_run:
        show_json(plan.to_dict()) if as_json else click.echo(str(plan))
        return
    _check_free(folder, resume)
    report = _train(run, settings, folder, resume, log_with, replicates or 0, quiet=as_json)
    if report is not None:
        show_json({**report.to_dict(), "model": str(folder / "model")}) if as_json else click.echo(
            f"{report}\n\nThe model is in {folder / 'model'}; ask it with: causalplug estimate "
            f"{folder / 'model'} QUERY"
        )


def _train(
    run: RunFile,
    settings: Json,
    folder: Path,
    resume: bool,
    log_with: str | None,
    replicates: int,
    *,
    quiet: bool,
) -> Any:
    """Train and save; the report, or None in a process that is not the first of several."""
    from causalplug.training.config import TrainingConfig
    from causalplug.training.trainer import Trainer

    dcm = run.build(settings.get("preset"))
    trainer = Trainer(
        dcm,
        run.sources(),
        config=TrainingConfig(**settings),
        output_dir=folder,
        accelerator=_accelerator(log_with, folder),
        progress=sys.stderr.isatty(),
    )
    main = trainer.accelerator.is_main_process
    if main and not quiet:
        count = trainer.accelerator.num_processes
        where = f"{count} process{'es' if count > 1 else ''} on {trainer.accelerator.device.type}"
        click.echo(f"{trainer.plan}\n\nTraining in {where}.\n")
    try:
        report = trainer.train(resume_from_checkpoint=resume, replicates=replicates)
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            click.echo(err=True)  # below the bar
        kept = (folder / "checkpoint").exists()
        word = "no checkpoint yet"
        if kept:
            word = f"the last checkpoint is in {folder / 'checkpoint'}; go on with --resume"
        stopped = KeyboardInterrupt()
        add_note(stopped, word)
        raise stopped from None
    if not main:
        return None
    dcm.save_pretrained(folder / "model")
    return report


def _accelerator(log_with: str | None, folder: Path) -> object:
    """One that reports to a tracker; None for the default."""
    if log_with is None:
        return None
    from accelerate import Accelerator

    try:
        return Accelerator(log_with=log_with, project_dir=folder)
    except ValueError:
        raise TrainingError(
            f"--log-with {log_with} cannot be used: accelerate knows no such tracker; name one "
            "that it does, such as tensorboard or wandb"
        ) from None


def _values(changes: Sequence[str]) -> Json:
    """``NAME=VALUE`` texts, the values as JSON where they are, as text otherwise."""
    found: Json = {}
    for name, text in pairs(changes, "--set").items():
        try:
            found[name] = json.loads(text)
        except json.JSONDecodeError:
            found[name] = text
    return found


def _check_free(folder: Path, resume: bool) -> None:
    """Refuse a folder with an earlier run in it, unless it is to go on."""
    earlier = []
    for name in ("checkpoint", "report.json", "model"):
        if (folder / name).exists():
            earlier.append(name)
    if earlier and not resume:
        raise TrainingError(
            f"cannot train into {folder}: it holds an earlier run ({', '.join(earlier)}); go on "
            "with it by --resume, or choose another --output-dir"
        )
