"""Training in one call: :func:`fit` plans, trains what must be trained, and reports."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from accelerate import Accelerator

from causalplug.arguments import FLAG, PATH, ROWS, SEED, takes
from causalplug.data.source import as_data_sources
from causalplug.errors import TrainingError
from causalplug.identification.query import Query
from causalplug.model.model import Model
from causalplug.training.config import TrainingConfig, TrainingSettings
from causalplug.training.processes import known_accelerator
from causalplug.training.replicates import check_replicates
from causalplug.training.report import TrainingReport
from causalplug.training.rules import ACCELERATOR, FOLDER, MODEL, REPLICATES, RESUME, TRACKER
from causalplug.training.trainer import Trainer
from causalplug.wording import did_you_mean

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["fit"]


@takes(
    TrainingError,
    dcm=MODEL,
    sources=ROWS.or_else(PATH),
    output_dir=FOLDER,
    seed=SEED,
    accelerator=ACCELERATOR,
    log_with=TRACKER,
    resume_from_checkpoint=RESUME,
    progress=FLAG,
    replicates=REPLICATES,
)
def fit(
    dcm: Model,
    sources: object,
    *,
    output_dir: str | Path | None = None,
    seed: int = 0,
    accelerator: Accelerator | None = None,
    log_with: str | None = None,
    resume_from_checkpoint: bool | str | Path = False,
    progress: bool = True,
    replicates: int = 0,
    queries: str | Query | Iterable[str | Query] | None = None,
    **settings: Unpack[TrainingSettings],
) -> TrainingReport:
    """Train what the plan says must be trained, and leave the model ready to answer.

    Args:
        dcm: The model. Its trainable mechanisms are updated in place; frozen ones do not change.
        sources: The tables, observational and experimental: one or several
            :class:`causalplug.DataSource`, or one observational table of any kind that a DataSource
            accepts.
        output_dir: Folder for checkpoints and ``report.json``; by default nothing is written.
        seed: Seed of everything random. The same seed gives the same weights on a CPU.
        accelerator: Device, precision and processes; a CPU or the default device by default.
        log_with: A tracker of accelerate's (``"tensorboard"``, ``"wandb"``, …), where no
            accelerator is given; files go to ``output_dir``.
        resume_from_checkpoint: True: continue from the last checkpoint in ``output_dir``, if there
            is one. A path: from the checkpoint of another run, given by its ``output_dir`` or its
            own folder.
        progress: Show a progress bar (never in a pipe).
        replicates: Number of refits on resampled rows, such as 20. They give answers their
            intervals if modules were not trained by likelihood, and are saved and pushed with the
            model. Rows are drawn within every source, whole clusters at a time if a DataSource
            names them. Under ``accelerate launch`` the processes share the refits.
        queries: The questions that the model is for, as text or Query. Only the mechanisms behind
            them are trained, with what these are trained through, and the mechanisms of recorded
            treatments, which make effects doubly robust with ``data=``. Other questions are then
            refused. None trains everything.
        **settings: Fields of :class:`TrainingConfig`, such as ``steps=500``.

    Returns:
        A report. For every module it has the matched distributions, the distance from them, and
        the distance that chance alone would give.

    Raises:
        PlanError, SourceError, DataError: The sources cannot serve the graph; before any training.
        TrainingError: A loss that is no number, memory or disk exhausted, a checkpoint of a run
            with other data or settings; the last checkpoint stays, and the message says where it
            is.
    """
    check_replicates(replicates)
    tables = as_data_sources(sources)
    known = TrainingConfig.__dataclass_fields__
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise TrainingError(
            f"fit has no setting {', '.join(unknown)}{did_you_mean(unknown[0], known)}. Known: "
            f"{', '.join(sorted(known))}."
        )
    config = TrainingConfig(seed=seed, **settings)
    if log_with is not None:
        if accelerator is not None or output_dir is None:
            raise TrainingError(
                f"log_with={log_with!r} cannot be used "
                f"{'beside accelerator' if accelerator else 'without output_dir'}: the tracker's "
                "files need one place. Give output_dir and no accelerator, or an "
                "Accelerator(log_with=…, project_dir=…) of your own."
            )
        accelerator = known_accelerator(None, log_with=log_with, project_dir=output_dir)
    trainer = Trainer(
        dcm,
        tables,
        config=config,
        output_dir=output_dir,
        accelerator=accelerator,
        progress=progress,
        queries=queries,
    )
    return trainer.train(resume_from_checkpoint=resume_from_checkpoint, replicates=replicates)
