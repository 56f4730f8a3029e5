"""What came of a run: the report, the match of the whole model, and what is doubtful about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch

from causalplug.caveats import Caveat
from causalplug.checks.fit import FitReport
from causalplug.data.source import Rows
from causalplug.errors import ConvergenceWarning, TrainingError, warn_caller
from causalplug.planning.module import Action
from causalplug.planning.plan import Module, Plan
from causalplug.selection import values_at
from causalplug.training.counted import counted
from causalplug.training.doubts import few_rows_doubts, joint_doubts, tail_doubts
from causalplug.training.report import TrainingReport
from causalplug.training.run import Owner, Run
from causalplug.training.support import range_records, rare_categories, unseen_categories
from causalplug.training.validation import Distance

__all__ = ["report_of", "write_report"]


class Trained(Owner, Protocol):
    """What is read of the trainer that a report is about."""

    plan: Plan
    tables: list[Rows]


def report_of(
    trainer: Trained,
    run: Run,
    modules: Sequence[Module],
    seconds: dict[str, float],
    fits: list[FitReport],
    doubts: Sequence[Caveat],
) -> TrainingReport:
    """What came of the run, and what is doubtful about it."""
    reports = values_at(run.reports, range(len(modules)))
    pulled: list[str] = []
    for module in trainer.plan.modules:
        if module.action == Action.PULL:
            pulled += module.variables
    counts = [counted(rows, trainer.dcm.variables) for rows in run.prepared.train]
    report = TrainingReport(reports, pulled, seconds, trainer.config.to_dict(), fits, counts)
    report.tolerance = trainer.config.tolerance
    report.processes = run.processes.count
    report.joint = _joint(run, modules)
    alone_good = all(m.converged for m in reports)
    if alone_good and not report.joint_converged and trainer.accelerator.is_main_process:
        _tell_joint(report)
    report.warnings = [
        *doubts,
        *joint_doubts(report),
        *tail_doubts(trainer.dcm, trainer.tables, reports),
        *few_rows_doubts(modules, trainer.tables),
    ]
    report.ranges = range_records(run.prepared.train, trainer.dcm)
    report.unseen = unseen_categories(trainer.tables, trainer.dcm)
    report.rare = rare_categories(trainer.tables, trainer.dcm)
    return report


def _joint(run: Run, modules: Sequence[Module]) -> list[Distance]:
    """Distances of the whole model from the sources."""
    generator = torch.Generator(run.accelerator.device).manual_seed(run.config.seed + 1)
    return run.processes.told(run.prepared.joint(run.dcm, modules, generator))


def _tell_joint(report: TrainingReport) -> None:
    """Warn that modules fit one by one and not together, naming the worst distance."""
    worst = max(report.joint, key=lambda d: (not d.converged(report.tolerance), d.score))
    warn_caller(
        "Every module has converged, but the whole model has not the distribution of the "
        f"rows: {worst.describe()}. The graph may leave an edge out. check_graph(graph, "
        "data) says which independence the rows do not have.",
        ConvergenceWarning,
    )


def write_report(report: TrainingReport, folder: Path, *, kept: str) -> None:
    """Put ``report.json`` into the output folder, whole or not at all."""
    new = folder / ".report.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(report.to_dict(), indent=1))
        new.replace(folder / "report.json")
    except OSError as error:
        new.unlink(missing_ok=True)
        raise TrainingError(
            f"The report could not be written to {folder}: {error.strerror}. The model is "
            f"trained. {kept}"
        ) from error
