"""Modules of one generation trained side by side, each by one process."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from causalplug.planning.plan import Module, Plan
from causalplug.selection import dicts_by_name, map_values, without
from causalplug.training.checkpoint import Checkpoints
from causalplug.training.processes import Processes
from causalplug.training.report import ModuleReport
from causalplug.training.run import Owner, Run, report_from

__all__ = ["train_apart"]


class Generations(Owner, Protocol):
    """What is read of the trainer whose plan is spread over processes."""

    plan: Plan
    output_dir: Path | None


def train_apart(trainer: Generations, run: Run, modules: Sequence[Module], *, resume: bool) -> None:
    """Give the modules of each generation to different processes, and the trained weights to
    all of them.

    A process keeps a checkpoint of its own while a generation trains; at the end of it the
    common one is written.
    """
    together, index = run.processes, trainer.accelerator.process_index
    apart = Run(trainer, Processes(trainer.accelerator, alone=True), None, run.facts, None)
    apart.prepared = run.prepared
    for number, generation in enumerate(trainer.plan.generations):
        places = [modules.index(module) for module in generation if module in modules]
        places = without(places, run.reports)
        if not places:
            continue
        owner = {place: k % together.count for k, place in enumerate(places)}
        apart.reports = {}
        if trainer.output_dir is not None:
            name = f"checkpoint-generation-{number}-process-{index}"
            apart.checkpoints = Checkpoints(trainer.output_dir, name)
            loaded = apart.checkpoints.load(run.facts) if resume else None
            if loaded is not None:
                apart.take(loaded)
        for place in places:
            if owner[place] == index and place not in apart.reports:
                apart.module(place, modules[place])
        for place in places:
            for name in modules[place].variables:
                together.share(
                    trainer.dcm.mechanism(name).state_dict().values(), source=owner[place]
                )
        _gather_reports(trainer, run, apart.reports)
        run.save(None)
        if apart.checkpoints is not None:
            shutil.rmtree(apart.checkpoints.folder, ignore_errors=True)


def _gather_reports(trainer: Owner, run: Run, own: Mapping[int, ModuleReport]) -> None:
    """The reports of all processes; the first process tracks for all."""
    records = dicts_by_name(own)
    for told in run.processes.all_told(records):
        found = map_values(report_from, told)
        for place in found.keys() - own.keys():
            for step, values in found[place].tracked():
                trainer.track(values, step)
        run.reports |= found
