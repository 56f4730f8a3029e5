"""Training a model: plan, prepare, then every module in the plan's order."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator

from causalplug.arguments import (
    FLAG,
    PATH,
    ROWS,
    SEED,
    TEXT,
    Rule,
    instance,
    several,
    takes,
    whole,
)
from causalplug.caveats import Caveat
from causalplug.checks.fit import FitReport
from causalplug.checks.records import OverlapRecord
from causalplug.data.source import DataSource, Rows, as_data_sources
from causalplug.errors import ConvergenceWarning, MechanismError, PlanError, TrainingError
from causalplug.identification.query import Query
from causalplug.mechanisms.base import Mechanism
from causalplug.mechanisms.frozen.generator import FrozenMechanism, state_hash
from causalplug.mechanisms.frozen.renderer import Renderer
from causalplug.model.model import Model
from causalplug.planning.joint import joint_plan
from causalplug.planning.module import Action
from causalplug.planning.objectives import OBJECTIVES, ObjectiveName
from causalplug.planning.plan import Module, Plan, plan
from causalplug.selection import dicts_by_name, map_values, values_at, without
from causalplug.training.checkpoint import Checkpoints, differences
from causalplug.training.columns import suit_columns
from causalplug.training.config import TrainingConfig, TrainingSettings
from causalplug.training.counted import counted
from causalplug.training.counterfactual_game import check_counterfactual
from causalplug.training.doubts import few_rows_doubts, joint_doubts, tail_doubts
from causalplug.training.encode import encoded
from causalplug.training.fitness import check_generators
from causalplug.training.graph_doubts import graph_doubts
from causalplug.training.links import with_ways
from causalplug.training.prepare import prepare
from causalplug.training.processes import Processes, Unanswered, known_accelerator, out_of_memory
from causalplug.training.questions import read_by
from causalplug.training.replicates import check_replicates, refit
from causalplug.training.report import ModuleReport, TrainingReport
from causalplug.training.run import Run, report_from
from causalplug.training.signals import ending_like_interrupts
from causalplug.training.support import (
    overlap_records,
    range_records,
    rare_categories,
    unseen_categories,
)
from causalplug.training.threads import limited_threads
from causalplug.training.validation import Distance
from causalplug.values import Json, Named
from causalplug.wording import add_note, did_you_mean, listed

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Trainer", "fit"]

_MODEL = instance("a model (DCM)", Model)
_TABLES = ROWS.or_else(PATH)
_FOLDER = PATH.or_none("nothing on disk")
_ACCELERATOR = instance("an Accelerator of accelerate", Accelerator).or_none("a new one")
_TRACKER = Rule("the name of a tracker, such as 'tensorboard'", TEXT.read).or_none("none")
_REPLICATES = whole(0, 100_000)
_HASHED = 65_536  # rows that are hashed together


@takes(
    TrainingError,
    dcm=_MODEL,
    sources=_TABLES,
    output_dir=_FOLDER,
    seed=SEED,
    accelerator=_ACCELERATOR,
    log_with=_TRACKER,
    resume_from_checkpoint=FLAG.or_else(PATH),
    progress=FLAG,
    replicates=_REPLICATES,
)
def fit(
    dcm: Model,
    sources: Any,
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


def _with_accumulation(config: TrainingConfig, accelerator: Accelerator) -> TrainingConfig:
    """The settings, with the accelerator's accumulation of gradients where they name none."""
    steps = accelerator.gradient_accumulation_steps
    if steps > 1 and config.gradient_accumulation_steps == 1:
        return replace(config, gradient_accumulation_steps=steps)
    return config


def _folder(output_dir: str | Path | None) -> Path | None:
    if output_dir is None:
        return None
    folder = Path(output_dir)
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"Training cannot start: output_dir {folder} is a file. Name a folder.")
    return folder


class Trainer:
    """The training of one model, with the plan open to inspection before it starts.

    Args:
        dcm: The model.
        sources: The tables.
        config: Settings.
        output_dir: Where checkpoints and the report go.
        accelerator: Device, precision and processes.
        progress: Show a progress bar.
        queries: The questions that the model is for; None for all.

    Attributes:
        plan: The plan that will be followed.

    Raises:
        PlanError, SourceError, DataError: The sources cannot serve the graph.
    """

    @takes(
        TrainingError,
        dcm=_MODEL,
        sources=several(instance("a DataSource", DataSource), least=1),
        config=instance("a TrainingConfig", TrainingConfig).or_none("the defaults"),
        output_dir=_FOLDER,
        accelerator=_ACCELERATOR,
        progress=FLAG,
    )
    def __init__(
        self,
        dcm: Model,
        sources: Sequence[DataSource],
        *,
        config: TrainingConfig | None = None,
        output_dir: str | Path | None = None,
        accelerator: Accelerator | None = None,
        progress: bool = True,
        queries: str | Query | Iterable[str | Query] | None = None,
    ):
        self.dcm = dcm
        self.accelerator = known_accelerator(accelerator)
        self.config = _with_accumulation(config or TrainingConfig(), self.accelerator)
        self.progress = progress and self.accelerator.is_main_process
        self.output_dir = _folder(output_dir)
        self.tables = encoded(dcm, sources, self.output_dir)
        self.config = self.config.of_length(max(map(len, self.tables)), self._drawing())
        made = self._planned(None if queries is None else read_by(dcm, queries))
        self.plan = replace(made, modules=with_ways(dcm, made.modules, self.config))
        self._check_counterfactuals()
        named = zip(self.tables, self.plan.sources, strict=True)
        self.tables = [replace(rows, source=source) for rows, source in named]

    def _planned(self, only: tuple[str, ...] | None) -> Plan:
        """The plan for the tables, for the variables ``only`` or for all."""
        dcm, described = self.dcm, [rows.source for rows in self.tables]
        kinds = {name: variable.kind for name, variable in dcm.variables.items()}
        if self.config.strategy == "joint":
            if only is not None:
                raise TrainingError(
                    'queries= cannot be used with strategy="joint", which trains everything at '
                    "once: leave one of the two out."
                )
            return joint_plan(dcm.graph, described, frozen=dcm.pulled, kinds=kinds)
        available: dict[str, object] = {**dcm.pulled}
        for name, mechanism in dcm.mechanisms.items():
            if isinstance(mechanism, Renderer) and dcm.graph.siblings(name):
                available[name] = mechanism.generator
        held = dcm.mechanisms.unopened()
        return plan(
            dcm.graph,
            described,
            available=available,
            objective=self.config.objective,
            kinds=kinds,
            explicit={name: m.explicit for name, m in held.items() if not m.frozen},
            only=only,
        )

    @takes(TrainingError, resume_from_checkpoint=FLAG.or_else(PATH), replicates=_REPLICATES)
    def train(
        self, *, resume_from_checkpoint: bool | str | Path = False, replicates: int = 0
    ) -> TrainingReport:
        """Run the plan; see :func:`fit`.

        Raises:
            TrainingError: As :func:`fit`; the last checkpoint stays.
        """
        threads = self.config.threads
        if self.accelerator.device.type != "cpu":
            threads = None
        try:
            with limited_threads(threads), ending_like_interrupts():
                return self._train(resume_from_checkpoint, replicates)
        except Unanswered as error:
            raise TrainingError(
                f"Training stopped in process {self.accelerator.process_index}: another process "
                f"has ended or does not answer ({error}). {self.kept()} Look for the first error "
                "among the processes, and start all of them again."
            ) from error
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, TrainingError) or not out_of_memory(error):
                raise
            raise TrainingError(
                f"Training ran out of memory: {error}. {self.kept()} Use a smaller batch_size; "
                "with gradient_accumulation_steps a step can still see as many rows."
            ) from error
        except KeyboardInterrupt as interrupt:
            add_note(interrupt, self.kept())
            raise

    def _drawing(self) -> int:
        """Number of processes that draw batches for the same module."""
        if self.config.processes == "rows":
            return self.accelerator.num_processes
        return 1

    def kept(self) -> str:
        """Where the last checkpoint is, as a sentence."""
        if self.checkpoints is None:
            return "No checkpoint was written (give output_dir to have one)."
        if not self.checkpoints.folder.exists():
            return "It had not come to its first checkpoint."
        return (
            f"The last checkpoint is in {self.checkpoints.folder}; continue with "
            "resume_from_checkpoint=True."
        )

    @property
    def checkpoints(self) -> Checkpoints | None:
        """Where checkpoints go, None without an output folder."""
        if self.output_dir is not None:
            return Checkpoints(self.output_dir)
        return None

    def track(self, values: Mapping[str, float], step: int) -> None:
        """Tell the accelerator's trackers, if it has any."""
        if self.accelerator.trackers:
            self.accelerator.log(dict(values), step=step)

    def _check_counterfactuals(self) -> None:
        """Refuse modules that cannot be trained by counterfactuals, and judges that serve none."""
        chosen = []
        for module in self.plan.modules:
            if module.objective == ObjectiveName.COUNTERFACTUAL:
                chosen.append(module)
        if self.config.judges and not chosen:
            raise PlanError(
                f"judges= names {listed(self.config.judges)}, but no module is trained with "
                'objective "counterfactual": judges are for counterfactual images. Leave them '
                "out, or name the image in objective=."
            )
        for module in chosen:
            check_counterfactual(self.dcm, module.variables, self.config.judges)

    def _facts(self) -> Json:
        """What has to agree between a run and the one that resumes it, by kind and name."""
        data = {}
        for rows in self.tables:
            for name in sorted(rows.values):
                value = rows.values[name]
                digest = hashlib.sha256(f"{tuple(value.shape)}{value.dtype}".encode())
                for part in value.split(_HASHED):
                    digest.update(part.contiguous().numpy().data)
                data[f"column {name!r} of source {rows.source.name!r}"] = digest.hexdigest()
        facts = {
            "settings": self.config.to_dict(),
            "variables": dicts_by_name(self.dcm.variables),
            "graph": str(self.dcm.graph),
            "data": data,
            "weights": {
                key: list(value.shape) for key, value in self.dcm.trained_tensors().items()
            },
            "generators": {
                name: _version(m) for name, m in self.dcm.mechanisms.items() if m.frozen
            },
            "judges": {
                name: state_hash(judge.state_dict())
                for name, judge in (self.config.judges or {}).items()
            },
            "processes": self.accelerator.num_processes,
        }
        return json.loads(json.dumps(facts))  # as a checkpoint gives them back

    def _train(self, resume: bool | str | Path, replicates: int) -> TrainingReport:
        start = time.perf_counter()
        doubts = suit_columns(self.dcm, self.tables, self.config.seed)
        self.dcm.to(self.accelerator.device)
        self.dcm.replicates = ()
        run, resumed = self._run(resume)
        seconds: dict[str, float] = {}
        modules = [module for module in self.plan.modules if module.action != Action.PULL]
        run.prepared = prepare(
            self.dcm,
            self.tables,
            self.config,
            banks_for=self._banks(modules),
            device=self.accelerator.device,
            seconds=seconds,
            progress=self.progress,
            ready=resumed,
            share=run.processes.share,
            folder=self.output_dir,
        )
        doubts += self._check_graph(seconds)
        fits = self._check_fit(seconds)
        if not resumed:
            run.save(None)  # encoders and label maps were work, too
        self._run_modules(run, modules, resume)
        seconds["training"] = sum(report.seconds for report in run.reports.values())
        seconds["all"] = time.perf_counter() - start
        report = self._report(run, modules, seconds, fits, doubts)
        report.overlap = self._check_overlap(run.prepared.train, seconds)
        self.dcm.eval()
        self.dcm.plan = self.plan
        self.dcm.sources = tuple(rows.source for rows in self.tables)
        self.dcm.history = report.to_dict()
        if replicates:
            found = refit(
                self,
                run.prepared,
                modules,
                replicates,
                run.facts,
                folder=self.output_dir,
                resume=bool(resume),
            )
            self.dcm.replicates = tuple(found)
        if self.output_dir is not None and self.accelerator.is_main_process:
            self._write(report)
        return report

    def _joint(self, run: Run, modules: Sequence[Module], together: Processes) -> list[Distance]:
        """Distances of the whole model from the sources."""
        generator = torch.Generator(self.accelerator.device).manual_seed(self.config.seed + 1)
        return together.told(run.prepared.joint(self.dcm, modules, generator))

    def _tell_joint(self, report: TrainingReport) -> None:
        if self.accelerator.is_main_process:
            worst = max(report.joint, key=lambda d: (not d.converged(report.tolerance), d.score))
            warnings.warn(
                "Every module has converged, but the whole model has not the distribution of the "
                f"rows: {worst.describe()}. The graph may leave an edge out. check_graph(graph, "
                "data) says which independence the rows do not have.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _write(self, report: TrainingReport) -> None:
        """Put ``report.json`` into the output folder, whole or not at all."""
        folder: Path = self.output_dir  # type: ignore[assignment]
        new = folder / ".report.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(report.to_dict(), indent=1))
            new.replace(folder / "report.json")
        except OSError as error:
            new.unlink(missing_ok=True)
            raise TrainingError(
                f"The report could not be written to {folder}: {error.strerror}. The model is "
                f"trained. {self.kept()}"
            ) from error

    def _run(self, resume: bool | str | Path) -> tuple[Run, bool]:
        """The run, and whether it goes on from a checkpoint."""
        together = Processes(self.accelerator)
        together.share(self.dcm.trained_tensors().values())
        if isinstance(resume, bool):
            checkpoints = self.checkpoints
        else:
            checkpoints = Checkpoints.at(resume)
        facts: Json = {}
        if self.checkpoints or checkpoints or together.count > 1:
            facts = self._facts()
        if together.count > 1:
            _check_agreement(together.all_told(facts))
        loaded = None
        if resume and checkpoints:
            loaded = checkpoints.load(facts)
        return Run(self, together, self.checkpoints, facts, loaded), loaded is not None

    def _banks(self, modules: Sequence[Module]) -> dict[str, bool]:
        """Frozen images that training meets, and whether it draws them."""
        banks: dict[str, bool] = {}
        for module in modules:
            for name in self._frozen_images(module):
                banks[name] = banks.get(name, False) or OBJECTIVES[str(module.objective)].draws
        return banks

    def _run_modules(self, run: Run, modules: Sequence[Module], resume: bool | str | Path) -> None:
        """Train what is not finished, one module after another or spread over processes."""
        with self._tracked():
            if self.config.processes == "modules" and run.processes.count > 1:
                self._train_apart(run, modules, resume=resume is True)
                return
            run.side_by_side(dict(enumerate(modules)))
            for position, module in enumerate(modules):
                if position not in run.reports:
                    run.module(position, module)

    def _report(
        self,
        run: Run,
        modules: Sequence[Module],
        seconds: dict[str, float],
        fits: list[FitReport],
        doubts: Sequence[Caveat],
    ) -> TrainingReport:
        """What came of the run, and what is doubtful about it."""
        reports = values_at(run.reports, range(len(modules)))
        pulled: list[str] = []
        for module in self.plan.modules:
            if module.action == Action.PULL:
                pulled += module.variables
        counts = [counted(rows, self.dcm.variables) for rows in run.prepared.train]
        report = TrainingReport(reports, pulled, seconds, self.config.to_dict(), fits, counts)
        report.tolerance = self.config.tolerance
        report.processes = run.processes.count
        report.joint = self._joint(run, modules, run.processes)
        if not report.joint_converged and all(m.converged for m in reports):
            self._tell_joint(report)
        report.warnings = [
            *doubts,
            *joint_doubts(report),
            *tail_doubts(self.dcm, self.tables, reports),
            *few_rows_doubts(modules, self.tables),
        ]
        report.ranges = range_records(run.prepared.train, self.dcm)
        report.unseen = unseen_categories(self.tables, self.dcm)
        report.rare = rare_categories(self.tables, self.dcm)
        return report

    def _train_apart(self, run: Run, modules: Sequence[Module], *, resume: bool) -> None:
        """Give the modules of each generation to different processes, and the trained weights to
        all of them.

        A process keeps a checkpoint of its own while a generation trains; at the end of it the
        common one is written.
        """
        together, index = run.processes, self.accelerator.process_index
        apart = Run(self, Processes(self.accelerator, alone=True), None, run.facts, None)
        apart.prepared = run.prepared
        for number, generation in enumerate(self.plan.generations):
            places = [modules.index(module) for module in generation if module in modules]
            places = without(places, run.reports)
            if not places:
                continue
            owner = {place: k % together.count for k, place in enumerate(places)}
            apart.reports = {}
            if self.output_dir is not None:
                name = f"checkpoint-generation-{number}-process-{index}"
                apart.checkpoints = Checkpoints(self.output_dir, name)
                loaded = apart.checkpoints.load(run.facts) if resume else None
                if loaded is not None:
                    apart.take(loaded)
            for place in places:
                if owner[place] == index and place not in apart.reports:
                    apart.module(place, modules[place])
            for place in places:
                for name in modules[place].variables:
                    together.share(
                        self.dcm.mechanism(name).state_dict().values(), source=owner[place]
                    )
            self._gather_reports(run, apart.reports)
            run.save(None)
            if apart.checkpoints is not None:
                shutil.rmtree(apart.checkpoints.folder, ignore_errors=True)

    def _gather_reports(self, run: Run, own: Mapping[int, ModuleReport]) -> None:
        """The reports of all processes; the first process tracks for all."""
        records = dicts_by_name(own)
        for told in run.processes.all_told(records):
            found = map_values(report_from, told)
            for place in found.keys() - own.keys():
                for step, values in found[place].tracked():
                    self.track(values, step)
            run.reports |= found

    @contextlib.contextmanager
    def _tracked(self) -> Iterator[None]:
        """Start the accelerator's trackers, unless the caller has, and end those that were
        started here."""
        started = bool(self.accelerator.log_with) and not self.accelerator.trackers
        if started:
            settings = {}
            for k, v in self.config.to_dict().items():
                if isinstance(v, bool | int | float | str):
                    settings[k] = v
            self.accelerator.init_trackers("causalplug", config=settings)
        try:
            yield
        finally:
            if started:
                for tracker in self.accelerator.trackers:
                    tracker.finish()
                self.accelerator.trackers = []

    def _check_graph(self, seconds: dict[str, float]) -> list[Caveat]:
        """What the rows contradict in the graph; the main process warns of it."""
        if not self.config.check_graph:
            return []
        start = time.perf_counter()
        with warnings.catch_warnings():
            if not self.accelerator.is_main_process:
                warnings.simplefilter("ignore")
            found = graph_doubts(
                self.dcm.graph, self.dcm.variables, self.tables, seed=self.config.seed
            )
        seconds["graph check"] = time.perf_counter() - start
        return found

    def _check_overlap(
        self, tables: Sequence[Rows], seconds: dict[str, float]
    ) -> tuple[OverlapRecord, ...]:
        """Where interventions lack overlap, unless the settings leave it out."""
        if not self.config.check_overlap:
            return ()
        start = time.perf_counter()
        found = overlap_records(self.dcm, tables, seed=self.config.seed)
        seconds["overlap"] = time.perf_counter() - start
        return found

    def _check_fit(self, seconds: dict[str, float]) -> list[FitReport]:
        """Compare the frozen generators with the rows, and have the plan say what came of it."""
        if not self.config.check_fit:
            return []
        start = time.perf_counter()
        fits = check_generators(self.dcm, self.tables, seed=self.config.seed)
        said = {}
        for fit in fits:
            said[fit.name] = f"{fit.verdict} for the rows" + (
                f": {'; '.join(fit.reasons)}" if fit.reasons else ""
            )
        self.plan = replace(self.plan, fits=said)
        seconds["fit checks"] = time.perf_counter() - start
        return fits

    def _frozen_images(self, module: Module) -> set[str]:
        """Frozen generators of images that this module's targets are drawn through: those that
        fill a sample bank."""
        drawn: set[str] = set()
        for target in module.targets:
            drawn.update(target.frozen)
        names = set()
        for name in drawn:
            if isinstance(self.dcm.mechanism(name), FrozenMechanism):
                names.add(name)
        return names


def _check_agreement(told: Sequence[Named]) -> None:
    """Refuse processes that were given different things: their gradients would be of different
    losses."""
    for index, other in enumerate(told):
        if found := differences(told[0], other):
            raise TrainingError(
                f"Training cannot start: processes 0 and {index} were given other "
                f"{', '.join(found[:3])}. Give every process the same model, sources and settings; "
                "each draws batches of its own."
            )


def _version(mechanism: Mechanism) -> str:
    """What says which frozen generator it is, where it knows."""
    try:
        facts: Any = mechanism.fingerprint()
    except MechanismError:
        facts = mechanism.kind
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
