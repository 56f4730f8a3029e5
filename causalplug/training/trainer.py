"""Training a model: plan, prepare, then every module in the plan's order."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from tqdm.auto import tqdm

from causalplug.causal.plan import Module, Plan, plan
from causalplug.errors import ConvergenceWarning, PlanError, TrainingError
from causalplug.mechanisms.fit_check import FitReport
from causalplug.model import DCM
from causalplug.training.adversarial import game_for
from causalplug.training.checkpoint import Checkpoints
from causalplug.training.config import TrainingConfig
from causalplug.training.data import DataSource
from causalplug.training.fitness import check_generators
from causalplug.training.joint import joint_plan
from causalplug.training.learner import AdversarialLearner, Learner, LikelihoodLearner, trainable
from causalplug.training.likelihood import Likelihood
from causalplug.training.prepare import Prepared, prepare
from causalplug.training.report import ModuleReport, TrainingReport
from causalplug.training.validation import Distance

__all__ = ["Trainer", "fit"]

_HASHED = 65_536  # rows that are hashed together


def fit(
    dcm: DCM,
    sources: DataSource | Sequence[DataSource],
    *,
    output_dir: str | Path | None = None,
    seed: int = 0,
    accelerator: Accelerator | None = None,
    resume_from_checkpoint: bool = False,
    progress: bool = True,
    **settings: Any,
) -> TrainingReport:
    """Train what the plan says must be trained, and leave the model ready to answer.

    Args:
        dcm: the model; its trainable mechanisms are updated in place, frozen ones stay bit-equal.
        sources: the tables, observational and experimental.
        output_dir: where checkpoints and ``report.json`` go; None keeps nothing on disk.
        seed: of everything random; the same seed gives the same weights on a CPU.
        accelerator: device, precision and processes; a CPU or the default device by default.
        resume_from_checkpoint: continue from the last checkpoint in ``output_dir``, if there is one.
        progress: show a progress bar (never in a pipe).
        **settings: the fields of :class:`TrainingConfig`.

    Returns:
        A report per module: what was matched, to what distance, against the sampling floor.

    Raises:
        PlanError, SourceError, DataError: the sources cannot serve the graph; before any training.
        TrainingError: a loss that is no number, memory exhausted; the last checkpoint stays.
    """
    tables = [sources] if isinstance(sources, DataSource) else list(sources)
    unknown = sorted(set(settings) - set(TrainingConfig.__dataclass_fields__))
    if unknown:
        raise TrainingError(
            f"fit has no setting {', '.join(unknown)}. Known: {', '.join(sorted(TrainingConfig.__dataclass_fields__))}."
        )
    config = TrainingConfig(seed=seed, **settings)
    trainer = Trainer(dcm, tables, config=config, output_dir=output_dir, accelerator=accelerator, progress=progress)
    return trainer.train(resume_from_checkpoint=resume_from_checkpoint)


class Trainer:
    """The training of one model, with the plan open to inspection before it starts.

    Args:
        dcm: the model.
        sources: the tables.
        config: settings.
        output_dir: where checkpoints and the report go.
        accelerator: device, precision and processes.
        progress: show a progress bar.

    Attributes:
        plan: the plan that will be followed.

    Raises:
        PlanError, SourceError, DataError: the sources cannot serve the graph.
    """

    def __init__(
        self,
        dcm: DCM,
        sources: Sequence[DataSource],
        *,
        config: TrainingConfig | None = None,
        output_dir: str | Path | None = None,
        accelerator: Accelerator | None = None,
        progress: bool = True,
    ):
        self.dcm, self.config = dcm, config or TrainingConfig()
        self.accelerator = accelerator or Accelerator()
        self.progress = progress and self.accelerator.is_main_process
        self.output_dir = Path(output_dir) if output_dir is not None else None
        self.tables = [source.encode(dcm.variables, cache_dir=self.output_dir) for source in sources]
        frozen = {name: mechanism for name, mechanism in dcm.mechanisms.items() if mechanism.frozen}
        kinds = {name: variable.kind for name, variable in dcm.variables.items()}
        described = [rows.source for rows in self.tables]
        if self.config.strategy == "joint":
            made = joint_plan(dcm.graph, described, frozen=frozen, kinds=kinds)
        else:
            made = plan(dcm.graph, described, available=frozen, kinds=kinds)
        self.tables = [replace(rows, source=named) for rows, named in zip(self.tables, made.sources, strict=True)]
        self._check_objective()
        modules = [m if m.action == "pull" else replace(m, objective=self._objective(m)) for m in made.modules]
        self.plan: Plan = replace(made, modules=tuple(modules))

    def _check_objective(self) -> None:
        """Refuse a mapping of objectives that names what the graph does not have."""
        wanted = self.config.objective
        if isinstance(wanted, Mapping):
            for key in wanted:
                for name in [key] if key in self.dcm.variables else key.split("+"):
                    self.dcm.mechanism(name)

    def _objective(self, module: Module) -> str:
        """What a module is trained by: the user's word, else the plan's; one word for all means where it applies."""
        implicit = [name for name in module.variables if not self.dcm.mechanism(name).explicit]
        wanted = self.config.objective
        if isinstance(wanted, Mapping):
            named = [wanted[key] for key in (*module.variables, module.name) if key in wanted]
            if named and named[0] != "adversarial" and implicit:
                raise PlanError(
                    f"{module.name} cannot be trained with objective={named[0]!r}: the mechanism of "
                    f"{', '.join(implicit)} has no explicit density. Use 'adversarial' for this module."
                )
            wanted = named[0] if named else None
        return "adversarial" if implicit else wanted or str(module.objective)

    def train(self, *, resume_from_checkpoint: bool = False) -> TrainingReport:
        """Run the plan; see :func:`fit`.

        Raises:
            TrainingError: as :func:`fit`; the last checkpoint stays.
        """
        threads = torch.get_num_threads()
        if self.config.threads is not None and self.accelerator.device.type == "cpu":
            torch.set_num_threads(self.config.threads)
        try:
            return self._train(resume_from_checkpoint)
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"Training ran out of memory: {error}. {self._kept()} Use a smaller batch_size."
            ) from error
        except KeyboardInterrupt as interrupt:
            interrupt.add_note(self._kept())
            raise
        finally:
            torch.set_num_threads(threads)

    def _kept(self) -> str:
        if self.checkpoints is None or not self.checkpoints.folder.exists():
            return "No checkpoint was written (give output_dir to have one)."
        return f"The last checkpoint is in {self.checkpoints.folder}; continue with resume_from_checkpoint=True."

    @property
    def checkpoints(self) -> Checkpoints | None:
        """Where checkpoints go, None without an output folder."""
        return Checkpoints(self.output_dir) if self.output_dir is not None else None

    def _fingerprint(self) -> str:
        """What has to agree between a run and the one that resumes it."""
        digest = hashlib.sha256()
        facts = [
            self.config.to_dict(),
            replace(self.plan, fits={}).to_dict(),
            {n: v.to_dict() for n, v in self.dcm.variables.items()},
        ]
        digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
        for rows in self.tables:
            for name in sorted(rows.values):
                value = rows.values[name]
                digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
                for part in value.split(_HASHED):
                    digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()

    def _train(self, resume: bool) -> TrainingReport:
        start = time.perf_counter()
        self.dcm.to(self.accelerator.device)
        fingerprint = self._fingerprint() if self.checkpoints else ""
        loaded = self.checkpoints.load(fingerprint) if resume and self.checkpoints else None
        seconds: dict[str, float] = {}
        if loaded is not None:
            weights = {k.removeprefix("model."): v for k, v in loaded[1].items() if k.startswith("model.")}
            self.dcm.load_trained(weights)
        modules = [module for module in self.plan.modules if module.action != "pull"]
        needs_bank = {name for module in modules for name in self._frozen_images(module)}
        prepared = prepare(
            self.dcm, self.tables, self.config, banks_for=needs_bank, device=self.accelerator.device, seconds=seconds,
            progress=self.progress, ready=loaded is not None,
        )  # fmt: skip
        fits = self._check_fit(seconds)
        run = _Run(self, prepared, fingerprint, loaded)
        finished = list(run.reports)
        for position, module in enumerate(modules):
            if position < len(finished):
                continue
            run.module(position, module)
        seconds["training"] = sum(report.seconds for report in run.reports)
        seconds["all"] = time.perf_counter() - start
        pulled = [name for module in self.plan.modules if module.action == "pull" for name in module.variables]
        report = TrainingReport(run.reports, pulled, seconds, self.config.to_dict(), fits)
        self.dcm.eval()
        self.dcm.plan = self.plan
        self.dcm.sources = tuple(rows.source for rows in self.tables)
        self.dcm.history = report.to_dict()
        if self.output_dir is not None and self.accelerator.is_main_process:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            (self.output_dir / "report.json").write_text(json.dumps(report.to_dict(), indent=1))
        return report

    def _check_fit(self, seconds: dict[str, float]) -> list[FitReport]:
        """Compare the frozen generators with the rows, and have the plan say what came of it."""
        if not self.config.check_fit:
            return []
        start = time.perf_counter()
        fits = check_generators(self.dcm, self.tables, seed=self.config.seed)
        said = {fit.name: f"{fit.verdict} for the rows" + (f": {'; '.join(fit.reasons)}" if fit.reasons else "")
                for fit in fits}  # fmt: skip
        self.plan = replace(self.plan, fits=said)
        seconds["fit checks"] = time.perf_counter() - start
        return fits

    def _frozen_images(self, module: Module) -> set[str]:
        """Frozen image mechanisms that this module's adversarial training draws from."""
        if module.objective == "likelihood":
            return set()
        drawn = {name for target in module.targets for name in target.frozen}
        return {name for name in drawn if self.dcm.variables[name].kind == "image" and self.dcm.mechanism(name).frozen}


class _Run:
    """The state of one run: what is finished, and the module at work."""

    def __init__(
        self,
        trainer: Trainer,
        prepared: Prepared,
        fingerprint: str,
        loaded: tuple[dict[str, Any], dict[str, Tensor]] | None,
    ):
        self.trainer, self.prepared, self.fingerprint = trainer, prepared, fingerprint
        self.dcm, self.config, self.accelerator = trainer.dcm, trainer.config, trainer.accelerator
        self.reports: list[ModuleReport] = []
        self.pending: tuple[dict[str, Any], dict[str, Tensor]] | None = None
        if loaded is not None:
            state, tensors = loaded
            self.reports = [_report_from(record) for record in state["reports"]]
            if state["step"] is not None:
                self.pending = (state, tensors)

    def module(self, position: int, module: Module) -> None:
        """Train one module: one phase, or two for ``warm``."""
        objective = str(module.objective)
        phases = ["likelihood", "adversarial"] if objective == "warm" else [objective]
        report = ModuleReport(tuple(module.variables), objective)
        start, spent = time.perf_counter(), 0.0
        first = 0
        if self.pending is not None:
            state = self.pending[0]
            report = _report_from(state["report"])
            first, spent = state["phase"], report.seconds
        self.dcm.requires_grad_(False)
        for name in module.variables:
            for parameter in trainable(self.dcm.mechanism(name)):
                parameter.requires_grad_(True)
        for index in range(first, len(phases)):
            self._phase(position, index, module, phases[index], report, start, spent)
        self.dcm.requires_grad_(False)
        report.seconds = spent + time.perf_counter() - start
        if report.distances:
            report.converged = all(d.converged(self.config.tolerance) for d in report.distances)
        if report.converged is False:
            worst = max(report.distances, key=lambda d: d.score)
            warnings.warn(
                f"Module {report.name} has not converged: {worst.target} is at TVD {worst.tvd} (floor "
                f"{worst.floor}), MMD² "
                f"{worst.mmd}. Modules that depend on it inherit the error. Train longer (steps=), try another "
                "objective=, or "
                "look at the data of this module.",
                ConvergenceWarning,
                stacklevel=4,
            )
        self.reports.append(report)
        self._save(None)

    def _learner(self, module: Module, objective: str) -> Learner:
        image = any(self.dcm.variables[name].kind == "image" for name in module.variables)
        options = {"steps": self.config.steps_of(objective, image=image), "accelerator": self.accelerator}
        if objective == "likelihood":
            likelihood = Likelihood(self.dcm, module.variables, self.prepared.train, self.config)
            return LikelihoodLearner(self.dcm, module.variables, self.config, likelihood, **options)
        games = []
        for target in module.targets:
            pixels = self.prepared.pixels(self.dcm, module, self.config)
            rows = self.prepared.rows(target.source, "train", pixels)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.config.seed)
                game = game_for(self.dcm, target, rows, self.config, banks=self.prepared.banks, pixels=pixels)
            games.append(game.to(self.accelerator.device))
        return AdversarialLearner(self.dcm, module.variables, self.config, games, **options)

    def _phase(
        self,
        position: int,
        phase: int,
        module: Module,
        objective: str,
        report: ModuleReport,
        start: float,
        spent: float,
    ) -> None:
        config, device = self.config, self.accelerator.device
        learner = self._learner(module, objective)
        seed = config.seed * 1_000_003 + position * 10_007 + phase * 101
        generator = torch.Generator(device).manual_seed(seed + 7 * self.accelerator.process_index)
        best: list[Tensor] | None = None
        best_score, since, begin = float("inf"), 0, 0
        if self.pending is not None:
            state, tensors = self.pending
            self.pending = None
            begin, best_score, since = state["step"], state["best_score"], state["since"]
            best_score = float("inf") if best_score is None else best_score
            learner.load({k.removeprefix("learner."): v for k, v in tensors.items() if k.startswith("learner.")})
            if "best.0" in tensors:
                best = [tensors[f"best.{i}"].to(device) for i in range(len(learner.parameters))]
            generator.set_state(tensors["generator"])
        silent = None if self.trainer.progress else True
        name = f"{report.name} {objective}"
        bar = tqdm(total=learner.steps, initial=begin, desc=name, disable=silent, leave=False)
        for step in range(begin + 1, learner.steps + 1):
            loss = learner.step(step, generator)
            if loss != loss or loss in (float("inf"), float("-inf")):
                raise TrainingError(
                    f"Training of {report.name} stopped at step {step}: the loss is {loss}. {self.trainer._kept()} "
                    "Lower the learning rate, or look for extreme values in its columns."
                )
            bar.update()
            if step % config.validate_every == 0 or step == learner.steps:
                learner.average.swap()
                score, record = self._validate(module, objective, learner, seed)
                if score <= best_score:
                    best_score, since = score, 0
                    best = [p.detach().clone() for p in learner.parameters]
                    report.best_step = step
                else:
                    since += 1
                learner.average.swap()
                report.curve.append({"step": float(step), "loss": loss, **record})
                bar.set_postfix(record, refresh=False)
            report.steps = step
            if self.trainer.checkpoints is not None and step % config.save_every == 0 and step < learner.steps:
                report.seconds = spent + time.perf_counter() - start
                state = {"phase": phase, "step": step, "best_score": best_score, "since": since}
                self._save(state | {"report": report.to_dict()}, learner, best, generator)
            if config.patience is not None and since > config.patience:
                break
        bar.close()
        with torch.no_grad():
            for p, value in zip(learner.parameters, best or learner.average.values, strict=True):
                p.copy_(value)
        self._validate_final(module, objective, learner, seed, report)

    def _validate(self, module: Module, objective: str, learner: Learner, seed: int) -> tuple[float, dict[str, float]]:
        """Score of the current weights on held-out rows, and what to record; lower is better."""
        if isinstance(learner, LikelihoodLearner):
            nll = self.prepared.held_out_loss(self.dcm, module.variables, self.config, seed)
            return nll, {"nll": nll}
        distances = self._distances(module, seed)
        record = {"tvd": max(d.tvd for d in distances if d.tvd is not None)} if any(
            d.tvd is not None for d in distances
        ) else {}  # fmt: skip
        return sum(d.score for d in distances), record

    def _validate_final(
        self, module: Module, objective: str, learner: Learner, seed: int, report: ModuleReport
    ) -> None:
        if isinstance(learner, LikelihoodLearner):
            report.negative_log_likelihood = self.prepared.held_out_loss(self.dcm, module.variables, self.config, seed)
        report.distances = tuple(self._distances(module, seed))

    def _distances(self, module: Module, seed: int) -> list[Distance]:
        generator = torch.Generator(self.accelerator.device).manual_seed(seed + 1)
        return self.prepared.distances(self.dcm, module, generator)

    def _save(
        self,
        position: dict[str, Any] | None,
        learner: Learner | None = None,
        best: Sequence[Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        """Write a checkpoint: after a module (``position`` None) or in the middle of one."""
        if self.trainer.checkpoints is None or not self.accelerator.is_main_process:
            return
        tensors = {f"model.{key}": value for key, value in self.dcm.trained_tensors().items()}
        state: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "reports": [r.to_dict() for r in self.reports],
            "step": None,
        }
        if position is not None and learner is not None and generator is not None:
            state |= position
            state["best_score"] = None if position["best_score"] == float("inf") else position["best_score"]
            tensors |= {f"learner.{key}": value for key, value in learner.tensors().items()}
            tensors |= {f"best.{i}": value for i, value in enumerate(best or [])}
            tensors["generator"] = generator.get_state()
        self.trainer.checkpoints.save(state, {key: value.clone() for key, value in tensors.items()})


def _report_from(record: Mapping[str, Any]) -> ModuleReport:
    fields = dict(record)
    fields["variables"] = tuple(fields["variables"])
    fields["distances"] = tuple(Distance(**d) for d in fields["distances"])
    return ModuleReport(**fields)
