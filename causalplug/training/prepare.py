"""What is done before the first module trains: rows are split, label maps, encoders and scales
fitted, images projected, banks filled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalplug.data.source import Rows
from causalplug.errors import DataError, MechanismError
from causalplug.mechanisms.base import Mechanism
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.mechanisms.frozen.label_columns import label_columns, with_label_values
from causalplug.model.model import Model
from causalplug.training.config import TrainingConfig
from causalplug.training.factors import as_made, read_parents
from causalplug.training.prepared import Prepared, source_name
from causalplug.values import Json

if TYPE_CHECKING:
    from causalplug.mechanisms.frozen.bank import SampleBank

__all__ = ["prepare"]

# of a bank that is for comparison alone: samples of a label, and their seconds
_COMPARED, _SECONDS = 500, 20.0


def prepare(
    dcm: Model,
    tables: Sequence[Rows],
    config: TrainingConfig,
    *,
    banks_for: Mapping[str, bool],
    device: torch.device,
    seconds: dict[str, float],
    progress: bool,
    ready: bool,
    share: Callable[[Iterable[Tensor]], None] = lambda tensors: None,
    folder: Path | None = None,
) -> Prepared:
    """Split the rows and make what training reads.

    Args:
        dcm: The model; its label maps, encoders and scales are set.
        tables: Encoded rows of every source.
        config: Settings.
        banks_for: Frozen image variables that are drawn from: True where adversarial training needs
            them, False where only a comparison with the rows does, which is left out where the
            generator is slow.
        device: Where rows go.
        seconds: Wall time by phase is added here.
        progress: Show progress of slow generators.
        ready: The model's encoders are trained already (a resumed run).
        share: Gives all processes the tensors of the first one.
        folder: Folder of the run; sample banks are kept there, so that a resumed run need not draw
            them again.

    Raises:
        DataError: An encoder has to be trained and no source records its image.
    """
    train, held_out = _split(tables, config)
    with _timed(seconds, "label maps"):
        for name, mechanism in dcm.mechanisms.items():
            if mechanism.awaits_rows:
                values = _rows_with(dcm, name, mechanism, train)
                dcm.replace_mechanism(name, mechanism.take_rows(values))
    with _timed(seconds, "encoders"):
        for name, encoder in dcm.encoders.items():
            if not encoder.trained and not ready:
                _fit_encoder(dcm, name, train, config)
            encoder.trained = True
            encoder.requires_grad_(False).eval()
            share(encoder.state_dict().values())
    prepared = Prepared([], [])
    with _timed(seconds, "projections"):
        for part, kept, rows_of_part in (
            ("train", prepared.train, train),
            ("held_out", prepared.held_out, held_out),
        ):
            for rows in rows_of_part:
                kept.append(_projected(dcm, rows, device))
                prepared.images[source_name(rows), part] = _pixels(dcm, rows)
    if not ready:
        _standardise(dcm, prepared)
        share(dcm.trained_tensors().values())
    with _timed(seconds, "banks"):
        for name, needed in sorted(banks_for.items()):
            mechanism, rows_per_label = dcm.mechanism(name), config.bank_rows
            if not needed:
                rows_per_label = _affordable(mechanism, config.bank_rows)
            if rows_per_label:
                bank = _bank(dcm, name, rows_per_label, config, progress=progress, folder=folder)
                prepared.banks[name] = bank.to(device)
    return prepared


def _split(tables: Sequence[Rows], config: TrainingConfig) -> tuple[list[Rows], list[Rows]]:
    """Rows to train on and rows held out, of every source."""
    train, held_out, few = [], [], []
    for number, rows in enumerate(tables):
        one, other = rows.split(config.held_out, config.seed + number)
        if len(one) < 2:
            few.append(f"{one.source} has {len(one) + len(other)}")
        train.append(one)
        if len(other):
            held_out.append(other)
        else:
            held_out.append(one)
    if few:
        raise DataError(
            f"Training cannot start: {'; '.join(few)} row(s), and at least two are needed beside "
            "those held out. Give more rows, or leave the source out."
        )
    return train, held_out


def _projected(dcm: Model, rows: Rows, device: torch.device) -> Rows:
    """Rows as networks read them: images behind an encoder as projections."""
    from causalplug.encoders.encoders import project

    values = {}
    for name, value in rows.values.items():
        if name in dcm.encoders:
            values[name] = project(dcm.encoders[name], value, device=device)
        else:
            values[name] = value.to(device)
    return replace(rows, values=values)


def _pixels(dcm: Model, rows: Rows) -> dict[str, Tensor]:
    """The columns of images as they are."""
    return {n: value for n, value in rows.values.items() if dcm.variables[n].needs_encoder}


def _bank(
    dcm: Model,
    name: str,
    rows_per_label: int,
    config: TrainingConfig,
    *,
    progress: bool,
    folder: Path | None,
) -> SampleBank:
    from causalplug.mechanisms.frozen.bank import SampleBank

    mechanism, reads = dcm.mechanism(name), None
    if config.projections and not _painted_for(dcm, name):
        reads = dcm.encoders.get(name)
    return SampleBank(
        mechanism,  # type: ignore[arg-type]
        reads,
        rows_per_label=rows_per_label,
        seed=config.seed,
        progress=progress,
        folder=_bank_folder(mechanism, folder),
        max_bytes=1 << 50,  # the disk decides
    )


def _bank_folder(mechanism: Mechanism, folder: Path | None) -> Path | None:
    """Where the bank of a generator is kept: nowhere if it does not say which version it is."""
    try:
        mechanism.fingerprint()
    except MechanismError:
        return None
    if folder is None:
        return None
    return folder / "banks"


def _affordable(mechanism: Mechanism, wanted: int) -> int:
    """Samples of each label that a comparison may cost, 0 where the generator is too slow."""
    if not isinstance(mechanism, FrozenMechanism) or mechanism.label_map is None:
        return 0
    labels = len(mechanism.label_map.used)
    rows = min(wanted, _COMPARED)
    if mechanism.batch_cost * labels * rows / 64 <= _SECONDS:
        return rows
    return 0


class _timed:
    """Adds the wall time of a block to a dictionary."""

    def __init__(self, seconds: dict[str, float], phase: str):
        self.seconds, self.phase = seconds, phase

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *exc: object) -> None:
        self.seconds[self.phase] = (
            self.seconds.get(self.phase, 0.0) + time.perf_counter() - self.start
        )


def _rows_with(dcm: Model, name: str, mechanism: Mechanism, train: Sequence[Rows]) -> Json:
    """Rows of the largest source that tells what is to be estimated of a frozen mechanism."""
    told = label_columns(mechanism) or (name,)
    needed = tuple(dict.fromkeys((*mechanism.parents, *told)))
    made = tuple(dict.fromkeys((name, *told)))
    having = []
    for r in train:
        if set(needed) <= set(r.values) and not set(made).intersection(r.source.do):
            having.append(r)
    if not having:
        what = "error"
        if isinstance(mechanism, FrozenMechanism):
            what = "label map"
        raise DataError(
            f"The {what} of {name!r} cannot be estimated: no source records {', '.join(needed)} "
            f"together without setting {' or '.join(made)}. Give one whose columns are variables "
            f"of the graph, or state the {what}."
        )
    return with_label_values(mechanism, max(having, key=len).values, dcm.variables)


def _fit_encoder(dcm: Model, name: str, train: Sequence[Rows], config: TrainingConfig) -> None:
    """Train an encoder on the source that records its image beside the most other variables."""
    from causalplug.encoders.fit import fit_encoder

    having = [rows for rows in train if name in rows.values and name not in rows.source.do]
    if not having:
        raise DataError(
            f"The encoder of {name!r} cannot be trained: no source records {name!r}. Give images "
            f"of it, or a pretrained encoder (encoders={{{name!r}: …}})."
        )
    rows = max(having, key=lambda r: (len(r.values), len(r)))
    targets = {}
    for other, value in rows.values.items():
        if other != name and not dcm.variables[other].needs_encoder:
            targets[other] = (value, dcm.variables[other])
    fit_encoder(
        dcm.encoders[name], rows.values[name], targets, seed=config.seed, steps=config.encoder_steps
    )


def _standardise(dcm: Model, prepared: Prepared) -> None:
    """Set the scales of trainable mechanisms from the source that records the most of what they
    read."""
    train = prepared.train
    for name, mechanism in dcm.mechanisms.items():
        if mechanism.frozen:
            continue
        complete = [rows for rows in train if set(mechanism.parents) <= set(rows.values)]
        if complete:
            columns = prepared.columns(dcm, name, max(complete, key=len))
            mechanism.standardise_parents(read_parents(dcm, name, columns))
        having = []
        for rows in train:
            if name in rows.values and name not in rows.source.do:
                having.append(rows)
        if not having:
            continue
        values = as_made(dcm, name, prepared.columns(dcm, name, max(having, key=len)))
        mechanism.standardise(values)
        if dcm.sources is None:  # what was trained before stays
            mechanism.start_at(values)


def _painted_for(dcm: Model, name: str) -> bool:
    """Whether a child's mechanism reads the pixels of an image, so that a bank has to keep them."""
    children = dcm.graph.children(name)
    return any(not dcm.mechanism(child).reads_projections for child in children)
