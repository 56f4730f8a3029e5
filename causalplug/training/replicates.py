"""Refits of a trained model on resampled rows: what another sample would have made of it.

Rows are drawn with replacement within every source (Efron 1979), whole clusters of them where a
column names clusters. Every refit starts from the trained weights and takes a share of the steps.
"""

from __future__ import annotations

import copy
import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from causalplug.data.source import Rows
from causalplug.errors import ConvergenceWarning, RepositoryError, TrainingError
from causalplug.files.weights import read_safetensors, safetensors_writer
from causalplug.planning.plan import Module
from causalplug.selection import values_at
from causalplug.tensors import copied
from causalplug.training.prepared import Prepared, source_name
from causalplug.training.processes import Processes
from causalplug.training.run import Owner, Run
from causalplug.values import Named

__all__ = ["check_replicates", "refit", "resampled"]

_SHARE = 0.25  # of a fit's steps that a refit takes
_FEWEST = 5


def check_replicates(count: int) -> int:
    """The number of replicates, if it is one.

    Raises:
        TrainingError: It is no whole number, or too small to tell a spread.
    """
    if isinstance(count, bool) or not isinstance(count, int) or 0 < count < _FEWEST or count < 0:
        raise TrainingError(
            f"replicates={count!r} cannot be used: a spread needs at least {_FEWEST} refits, and "
            "20 are usual. Leave it out for none."
        )
    return count


def resampled(rows: Rows, generator: torch.Generator) -> Tensor:
    """Positions of as many rows, drawn with replacement, whole clusters together.

    Args:
        rows: The rows of one source.
        generator: Source of the draws.
    """
    if rows.clusters is None:
        return torch.randint(len(rows), (len(rows),), generator=generator)
    _, cluster = torch.unique(rows.clusters, return_inverse=True)
    order = torch.argsort(cluster, stable=True)
    sizes = torch.bincount(cluster)
    chosen = torch.randint(len(sizes), (len(sizes),), generator=generator)
    groups = order.split(sizes.tolist())
    return torch.cat(values_at(groups, chosen.tolist()))


def refit(
    trainer: Owner,
    prepared: Prepared,
    modules: Sequence[Module],
    count: int,
    facts: Named,
    *,
    folder: Path | None,
    resume: bool,
) -> list[dict[str, Tensor]]:
    """The trained tensors of ``count`` refits; the model is left as it was.

    Args:
        trainer: Whose model was trained.
        prepared: The rows that it was trained on.
        modules: The modules that were trained, in order.
        count: How many refits.
        facts: What a refit that is read back must have in common with this run.
        folder: Output folder of the run, where finished refits are kept.
        resume: Read finished refits from the output folder.
    """
    dcm = trainer.dcm
    together = Processes(trainer.accelerator)
    trained = copied(dcm.trained_tensors())
    names = [key for key in trained if not key.startswith("_encoders.")]
    store = _Store(folder, facts)
    found: list[dict[str, Tensor]] = []
    for number in range(count):
        known = None
        if resume:
            known = store.load(number, names, trained)
        owner = number % together.count
        if known is None and owner == together.index:
            dcm.load_trained(trained)
            _train_again(trainer, prepared, modules, number)
            known = {key: dcm.trained_tensors()[key].detach().clone() for key in names}
            store.save(number, known)
        if known is None:
            known = {key: trained[key].clone() for key in names}
        found.append(known)
    dcm.load_trained(trained)
    for number, tensors in enumerate(found):
        together.share(tensors.values(), source=number % together.count)
    return [{key: value.cpu() for key, value in tensors.items()} for tensors in found]


def _train_again(
    trainer: Owner, prepared: Prepared, modules: Sequence[Module], number: int
) -> None:
    twin = copy.copy(trainer)
    seed = (trainer.config.seed + 7919 * (number + 1)) % 2**63
    twin.config, twin.progress = replace(trainer.config, seed=seed), False
    run = Run(twin, Processes(trainer.accelerator, alone=True), None, {}, None)
    run.share_of_steps = _SHARE
    run.prepared = _drawn(prepared, torch.Generator().manual_seed(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        run.side_by_side(dict(enumerate(modules)))
        for position, module in enumerate(modules):
            if position not in run.reports:
                run.module(position, module)


def _drawn(prepared: Prepared, generator: torch.Generator) -> Prepared:
    """Prepared rows with those of training drawn anew."""
    train, images = [], dict(prepared.images)
    for rows in prepared.train:
        index = resampled(rows, generator)
        train.append(rows.select(index.to(next(iter(rows.values.values())).device)))
        key = (source_name(rows), "train")
        if key in images:
            images[key] = Rows(rows.source, images[key]).select(index).values
    return Prepared(train, prepared.held_out, images, prepared.banks)


class _Store:
    """Finished refits in ``<output_dir>/replicates``, so that a run can be resumed."""

    def __init__(self, folder: Path | None, facts: Named):
        if folder is None:
            self.folder = None
        else:
            self.folder = folder / "replicates"
        text = json.dumps(facts, sort_keys=True, default=str)
        self.run = hashlib.sha256(text.encode()).hexdigest()[:16]

    def _path(self, number: int) -> Path | None:
        if self.folder is None:
            return None
        return self.folder / f"{self.run}-{number}.safetensors"

    def load(
        self, number: int, names: Sequence[str], like: Mapping[str, Tensor]
    ) -> dict[str, Tensor] | None:
        path = self._path(number)
        if path is None or not path.is_file():
            return None
        try:
            tensors = read_safetensors(path)
        except RepositoryError:
            return None  # cut off while it was written: made anew
        fits = set(tensors) == set(names) and all(
            tensors[key].shape == like[key].shape for key in names
        )
        if fits:
            return {key: tensors[key].to(like[key].device) for key in names}
        return None

    def save(self, number: int, tensors: Mapping[str, Tensor]) -> None:
        path = self._path(number)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".part")
        safetensors_writer({key: value.cpu() for key, value in tensors.items()})(new)
        new.replace(path)
