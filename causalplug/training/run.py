"""One run of a plan: the modules one after another, with validation, the best state kept, and
checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from causalplug.data.source import Rows
from causalplug.errors import ConvergenceWarning, MechanismError, TrainingError, warn_caller
from causalplug.files.validation import configured
from causalplug.files.weights import refuse_infinite
from causalplug.mechanisms.trainable.continuous import ContinuousSpline
from causalplug.mechanisms.trainable.mixed import MixedSpline
from causalplug.notebook import bar_type
from causalplug.planning.objectives import OBJECTIVES, ObjectiveName
from causalplug.planning.plan import Module
from causalplug.selection import without_none
from causalplug.training.checkpoint import Checkpoints, starting_with
from causalplug.training.counterfactual_game import CounterfactualLearner
from causalplug.training.factors import served
from causalplug.training.games import game_for
from causalplug.training.learner import AdversarialLearner, Learner, LikelihoodLearner, trainable
from causalplug.training.likelihood import Likelihood
from causalplug.training.pace import USUAL, Pace, pace_of
from causalplug.training.phase import Phase
from causalplug.training.prepared import Prepared
from causalplug.training.processes import Processes
from causalplug.training.report import ModuleReport
from causalplug.training.stack import stackable
from causalplug.training.stacked import StackedTraining
from causalplug.training.validation import Distance
from causalplug.values import Json, Named

if TYPE_CHECKING:
    from accelerate import Accelerator

    from causalplug.model.model import Model
    from causalplug.training.config import TrainingConfig

__all__ = ["Run", "report_from"]

_TURNED = (ContinuousSpline, MixedSpline)  # those derived from them may differ

State = tuple[Json, dict[str, Tensor]]


class Owner(Protocol):
    """What a run reads of the trainer that it belongs to."""

    dcm: Model
    config: TrainingConfig
    accelerator: Accelerator
    progress: bool

    def kept(self) -> str:
        """Where the last checkpoint is, in a sentence."""

    def track(self, values: Mapping[str, float], step: int) -> None:
        """Report figures of a step to the trackers."""


class Run:
    """The state of one run: what is finished, and the module at work.

    Args:
        trainer: Whose plan is run.
        processes: That work on each module together.
        checkpoints: Where this process writes while a module trains; None writes nothing.
        facts: What a run that goes on from a checkpoint must have in common with it.
        loaded: The checkpoint to go on from.

    Attributes:
        reports: Reports of the finished modules, by their position among those that are trained.
        share_of_steps: Share of the usual steps that a module takes, below one for a refit.
    """

    prepared: Prepared
    share_of_steps: float = 1.0

    def __init__(
        self,
        trainer: Owner,
        processes: Processes,
        checkpoints: Checkpoints | None,
        facts: Named,
        loaded: State | None,
    ):
        self.trainer, self.processes, self.checkpoints, self.facts = (
            trainer,
            processes,
            checkpoints,
            facts,
        )
        self.dcm, self.config, self.accelerator = trainer.dcm, trainer.config, trainer.accelerator
        self.reports: dict[int, ModuleReport] = {}
        self._at_rest = False
        self._groups: list[list[tuple[str, ...]]] | None = None
        self.pending: State | None = None
        if loaded is not None:
            self.take(loaded)

    def take(self, loaded: State) -> None:
        """Go on from a checkpoint: weights, label maps, finished modules, and the one at work."""
        state, tensors = loaded
        by_name = {}
        with configured("the checkpoint"):
            for name, binding in state["bindings"].items():
                mechanism = self.dcm.mechanism(name)
                if mechanism.awaits_rows:
                    self.dcm.replace_mechanism(name, mechanism.bind_as(name, binding))
            for position, record in state["reports"].items():
                by_name[int(position)] = report_from(record)
        self.dcm.load_trained(starting_with("model.", tensors))
        if state["scaler"] is not None and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.reports |= by_name
        if state["step"] is not None:
            self.pending = loaded
        else:
            self.pending = None

    def side_by_side(self, modules: Mapping[int, Module]) -> None:
        """Train modules of one variable without a confounder by likelihood, all at once."""
        chosen = {}
        for p, m in modules.items():
            if p not in self.reports and self._single(m):
                chosen[p] = m
        if not chosen:
            return
        self._rest()
        training = StackedTraining(
            self.dcm,
            self.config,
            self.processes,
            steps=self.config.steps,
            share=self.share_of_steps,
            track=self.trainer.track,
            failed=self.trainer.kept,
            progress=self.trainer.progress,
        )
        names = [module.variables[0] for module in chosen.values()]
        singles = training.singles(names, self.prepared.train, self.prepared.held_out)
        training.train(singles)
        for (position, module), single in zip(chosen.items(), singles, strict=True):
            self._refuse_diverged(module, single.name)
            single.report.distances = tuple(
                self._distances(module, self._seed(position), final=True)
            )
            self._finish(position, single.report)
        self.save(None)

    def _served(self, rows: Sequence[Rows]) -> list[list[tuple[str, ...]]]:
        """What each source determines, found once for all modules."""
        if self._groups is None:
            sources = [r.source for r in rows]
            self._groups = [served(self.dcm.graph, s.recorded, s.do) for s in sources]
        return self._groups

    def _rest(self) -> None:
        """Switch all gradients off, once: with thousands of modules, every time would be long."""
        if not self._at_rest:
            self.dcm.requires_grad_(False)
            self._at_rest = True

    def _single(self, module: Module) -> bool:
        (name, *others) = module.variables
        return (
            not others
            and str(module.objective) == "likelihood"
            and not self.dcm.graph.siblings(name)
            and stackable(self.dcm.mechanism(name))
        )

    def _seed(self, position: int, phase: int = 0) -> int:
        return (self.config.seed * 1_000_003 + position * 10_007 + phase * 101) % 2**63

    def module(self, position: int, module: Module) -> None:
        """Train one module: one phase, or two for ``warm``."""
        objective = str(module.objective)
        ways = dict(module.gradients)
        report = ModuleReport(tuple(module.variables), objective, gradients=ways)
        first = 0
        if self.pending is not None and self.pending[0]["position"] == position:
            state = self.pending[0]
            report, first = report_from(state["report"]), state["phase"]
        clock = _Clock(report)
        self._rest()
        for name in module.variables:
            for parameter in trainable(self.dcm.mechanism(name)):
                parameter.requires_grad_(True)
        for index in range(first, len(OBJECTIVES[objective].phases)):
            self._phase(position, index, module, clock)
        for name in module.variables:
            self.dcm.mechanism(name).requires_grad_(False)
        self._refuse_diverged(module, report.name)
        clock.stop()
        self._finish(position, report)
        self.save(None)

    def _finish(self, position: int, report: ModuleReport) -> None:
        """Judge a trained module, and warn if it has not converged."""
        if report.distances:
            report.converged = all(d.converged(self.config.tolerance) for d in report.distances)
        if report.converged is False and self.processes.index == 0:
            worst = max(
                report.distances, key=lambda d: (not d.converged(self.config.tolerance), d.score)
            )
            warn_caller(
                f"Module {report.name} has not converged: {worst.describe()}. Modules that depend "
                "on it inherit the error. Train longer (steps=), try another objective=, or look "
                "at the data of this module.",
                ConvergenceWarning,
            )
        self.reports[position] = report

    def _refuse_diverged(self, module: Module, name: str) -> None:
        """Raise where training left weights that are no numbers."""
        for variable in module.variables:
            try:
                refuse_infinite(self.dcm.mechanism(variable).state_dict(), variable)
            except MechanismError:
                raise TrainingError(
                    f"Module {name} cannot be used: its training diverged, and weights of "
                    f"{variable!r} are NaN or infinite. Train with a smaller learning_rate, or "
                    "look for extreme values in its rows."
                ) from None

    def _share(self, steps: int) -> int:
        """So many of the usual steps as this run takes."""
        return max(1, math.ceil(self.share_of_steps * steps))

    def _learner(self, module: Module, objective: str) -> Learner:
        options: Json = {"processes": self.processes}
        if objective == ObjectiveName.LIKELIHOOD:
            rows = self.prepared.with_pixels(self.dcm, module, "train")
            groups = self._served(rows)
            likelihood = Likelihood(self.dcm, module.variables, rows, self.config, groups=groups)
            held_out = likelihood.on(self.prepared.with_pixels(self.dcm, module, "held_out"))
            steps = self.config.steps
            pace = self._pace(module, likelihood)
            options["steps"] = self._share(steps or sum(pace.cycles))
            if steps or options["steps"] < sum(pace.cycles):
                options["cycles"] = None
            else:
                options["cycles"] = pace.cycles
            rates = [self.dcm.mechanism(name).learning_rate for name in module.variables]
            options["rate"] = min([pace.rate, *(rate for rate in rates if rate is not None)])
            options |= {"betas": pace.betas, "turned": pace.turned}
            return LikelihoodLearner(
                self.dcm, module.variables, self.config, likelihood, held_out, **options
            )
        if objective == ObjectiveName.COUNTERFACTUAL:
            rows = self.prepared.with_pixels(self.dcm, module, "train")
            options["steps"] = self._share(self.config.steps or self.config.image_steps)
            return CounterfactualLearner(self.dcm, module.variables, self.config, rows, **options)
        games = []
        for target in module.targets:
            pixels = self.prepared.pixels(self.dcm, module, self.config)
            table = self.prepared.rows(target.source, "train", pixels)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.config.seed)
                game = game_for(
                    self.dcm, target, table, self.config, banks=self.prepared.banks, pixels=pixels
                )
            games.append(game.to(self.accelerator.device))
        image = any(self.dcm.variables[name].needs_encoder for name in module.variables)
        if image:
            usual = self.config.image_steps
        else:
            usual = max(game.rule.steps for game in games)
        options["steps"] = self._share(self.config.steps or usual)
        return AdversarialLearner(self.dcm, module.variables, self.config, games, **options)

    def _pace(self, module: Module, likelihood: Likelihood) -> Pace:
        """How fast a module is trained by likelihood: a number without a confounder faster."""
        mechanisms = [self.dcm.mechanism(name) for name in module.variables]
        if not likelihood.exact or any(type(m) not in _TURNED for m in mechanisms):
            return USUAL
        parameters = [p for mechanism in mechanisms for p in trainable(mechanism)]
        pace = pace_of(parameters, self.processes)
        if pace.turned:
            return pace
        return USUAL

    def _phase(self, position: int, index: int, module: Module, clock: _Clock) -> None:
        """Train one phase of a module."""
        report = clock.report
        objective = OBJECTIVES[str(module.objective)].phases[index]
        phase = self._begun(position, index, module, objective)
        learner = phase.learner
        silent: bool | None = True
        if self.trainer.progress:
            silent = None
        name = f"{report.name} {objective}"
        bar = bar_type()(
            total=learner.steps, initial=phase.step, desc=name, disable=silent, leave=False
        )
        while phase.step < learner.steps:
            phase.step += 1
            loss = learner.step(phase.step, phase.generator)
            self._refuse_infinite_loss(report, phase.step, loss)
            bar.update()
            if phase.is_validated(self.config.validate_every):
                record = self._judge(module, phase, report, loss)
                bar.set_postfix(record, refresh=False)
            report.steps = phase.step
            if phase.is_over(self.config.patience):
                break
            if phase.step % self.config.save_every == 0 and phase.step < learner.steps:
                clock.stop()
                at = {"position": position, "phase": index, "report": report.to_dict()}
                self.save(at, phase)
        bar.close()
        phase.keep(report)
        if isinstance(learner, LikelihoodLearner):
            report.negative_log_likelihood = learner.held_out.score(phase.seed)
        report.distances = tuple(self._distances(module, phase.seed, final=True))

    def _begun(self, position: int, index: int, module: Module, objective: str) -> Phase:
        """A phase at its first step, or where the checkpoint has it."""
        seed = self._seed(position, index)
        generator = torch.Generator(self.accelerator.device)
        generator.manual_seed((seed + 1_000_000_007 * self.processes.index) % 2**63)
        learner = self._learner(module, objective)
        phase = Phase(objective, learner, generator, self.processes, seed)
        if self.pending is not None and self.pending[0]["position"] == position:
            phase.resume(*self.pending)
            self.pending = None
        return phase

    def _refuse_infinite_loss(self, report: ModuleReport, step: int, loss: float) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"Training of {report.name} stopped at step {step}: the loss is {loss}. "
                f"{self.trainer.kept()} Lower the learning rate, or look for extreme values in "
                "its columns."
            )

    def _judge(
        self, module: Module, phase: Phase, report: ModuleReport, loss: float
    ) -> dict[str, float]:
        """Validate the averaged weights, and put down what they are worth."""
        phase.learner.average.swap()
        found = self.processes.told(self._validate(module, phase.learner, phase.seed))
        score, by_chance, record = found
        if phase.judge(score, by_chance):
            report.best_step = phase.step
        phase.learner.average.swap()
        report.curve.append({"step": float(phase.step), "loss": loss, **record})
        name = f"{report.name}/{phase.objective}"
        values = {f"{name}/{key}": value for key, value in report.curve[-1].items()}
        self.trainer.track(values, phase.step)
        return record

    def _validate(
        self, module: Module, learner: Learner, seed: int
    ) -> tuple[float, float, dict[str, float]]:
        """Score of the current weights on held-out rows, how far chance moves it, and what to
        record; lower is better.
        """
        if isinstance(learner, LikelihoodLearner):
            nll = learner.held_out.score(seed)
            return nll, 0.0, {"nll": nll}
        distances = self._distances(module, seed)
        tvds = [d.tvd for d in distances if d.tvd is not None]
        record = {}
        if tvds:
            record = {"tvd": max(tvds)}
        return sum(d.score for d in distances), sum(d.by_chance for d in distances), record

    def _distances(self, module: Module, seed: int, *, final: bool = False) -> list[Distance]:
        generator = torch.Generator(self.accelerator.device).manual_seed(seed + 1)
        return self.prepared.distances(self.dcm, module, generator, final=final)

    def save(self, position: Json | None, phase: Phase | None = None) -> None:
        """Write a checkpoint: between two modules (``position`` None) or in the middle of one.

        Every process takes part, since each has a generator of its own; the first of them writes.
        """
        if self.checkpoints is None:
            return
        tensors = {}
        for key, value in self.dcm.trained_tensors().items():
            tensors[f"model.{key}"] = value
        bindings = {name: m.binding() for name, m in self.dcm.mechanisms.items()}
        scaler = self.accelerator.scaler
        state: Json = {
            "facts": self.facts,
            "reports": {str(place): report.to_dict() for place, report in self.reports.items()},
            "bindings": without_none(bindings),
            "step": None,
            "scaler": None,
        }
        if scaler is not None:
            state["scaler"] = scaler.state_dict()
        if position is not None and phase is not None:
            state |= position | phase.state()
            tensors |= phase.tensors()
        if self.processes.index == 0:
            self.checkpoints.save(state, {key: value.clone() for key, value in tensors.items()})


class _Clock:
    """The wall time of a module, over interruptions."""

    def __init__(self, report: ModuleReport):
        self.report, self.spent, self.start = report, report.seconds, time.perf_counter()

    def stop(self) -> None:
        """Put down the seconds so far."""
        self.report.seconds = self.spent + time.perf_counter() - self.start


def report_from(record: Named) -> ModuleReport:
    """Inverse of :meth:`ModuleReport.to_dict`."""
    fields = dict(record)
    fields["variables"] = tuple(fields["variables"])
    fields["distances"] = tuple(map(Distance.from_dict, fields["distances"]))
    return ModuleReport(**fields)
