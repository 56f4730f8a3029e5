"""Training a model: plan, prepare, then every module in the plan's order."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from accelerate import Accelerator

from causalplug.arguments import FLAG, instance, several, takes
from causalplug.caveats import Caveat
from causalplug.checks.fit import FitReport
from causalplug.checks.records import OverlapRecord
from causalplug.data.source import DataSource, Rows
from causalplug.errors import PlanError, TrainingError
from causalplug.identification.query import Query
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.mechanisms.frozen.renderer import Renderer
from causalplug.model.model import Model
from causalplug.planning.joint import joint_plan
from causalplug.planning.module import Action
from causalplug.planning.objectives import OBJECTIVES, ObjectiveName
from causalplug.planning.plan import Module, Plan, plan
from causalplug.signals import ending_like_interrupts
from causalplug.training.agreement import check_agreement, run_facts
from causalplug.training.apart import train_apart
from causalplug.training.checkpoint import Checkpoints
from causalplug.training.columns import suit_columns
from causalplug.training.config import TrainingConfig
from causalplug.training.counterfactual_game import check_counterfactual
from causalplug.training.encode import encoded
from causalplug.training.fitness import check_generators
from causalplug.training.graph_doubts import graph_doubts
from causalplug.training.links import with_ways
from causalplug.training.outcome import report_of, write_report
from causalplug.training.prepare import prepare
from causalplug.training.processes import Processes, Unanswered, known_accelerator, out_of_memory
from causalplug.training.questions import read_by
from causalplug.training.replicates import refit
from causalplug.training.report import TrainingReport
from causalplug.training.rules import ACCELERATOR, FOLDER, MODEL, REPLICATES, RESUME
from causalplug.training.run import Run
from causalplug.training.support import (
    overlap_records,
)
from causalplug.training.threads import limited_threads
from causalplug.values import Json
from causalplug.wording import add_note, listed

__all__ = ["Trainer"]


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
        dcm=MODEL,
        sources=several(instance("a DataSource", DataSource), least=1),
        config=instance("a TrainingConfig", TrainingConfig).or_none("the defaults"),
        output_dir=FOLDER,
        accelerator=ACCELERATOR,
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
            if dcm.counterfactuals:
                raise TrainingError(
                    'strategy="joint" cannot be used for a model whose counterfactuals= names '
                    f"{listed(dcm.counterfactuals)}: it trains all by critics, and so does not "
                    "train what recovers an image's noise. Leave one of the two out."
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
            counterfactuals=dcm.counterfactuals,
            only=only,
        )

    @takes(TrainingError, resume_from_checkpoint=RESUME, replicates=REPLICATES)
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
        report = report_of(self, run, modules, seconds, fits, doubts)
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
            write_report(report, self.output_dir, kept=self.kept())
        return report

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
            facts = run_facts(self.dcm, self.tables, self.config, together.count)
        if together.count > 1:
            check_agreement(together.all_told(facts))
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
                train_apart(self, run, modules, resume=resume is True)
                return
            run.side_by_side(dict(enumerate(modules)))
            for position, module in enumerate(modules):
                if position not in run.reports:
                    run.module(position, module)

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
