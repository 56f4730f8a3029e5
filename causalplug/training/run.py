"""One run of a plan: the modules one after another, with validation, the best state kept, and
checkpoints."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from tqdm.auto import tqdm

from causalplug.data.source import Rows
from causalplug.errors import ConvergenceWarning, MechanismError, TrainingError
from causalplug.files.weights import refuse_infinite
from causalplug.planning.objectives import OBJECTIVES, ObjectiveName
from causalplug.planning.plan import Module
from causalplug.training.checkpoint import Checkpoints
from causalplug.training.counterfactual_game import CounterfactualLearner
from causalplug.training.factors import served
from causalplug.training.games import game_for
from causalplug.training.learner import AdversarialLearner, Learner, LikelihoodLearner, trainable
from causalplug.training.likelihood import Likelihood, advantage
from causalplug.training.prepare import Prepared
from causalplug.training.processes import Processes
from causalplug.training.progress import CYCLES
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

_SIGNIFICANT = (
    2.0  # standard errors by which an earlier state must be better on held-out rows than the last
)

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
        trainer: whose plan is run.
        processes: that work on each module together.
        checkpoints: where this process writes while a module trains; None writes nothing.
        facts: what a run that goes on from a checkpoint must have in common with it.
        loaded: the checkpoint to go on from.

    Attributes:
        reports: of the finished modules, by their position among those that are trained.
        share_of_steps: share of the usual steps that a module takes, below one for a refit.
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
        for name, binding in state["bindings"].items():
            mechanism = self.dcm.mechanism(name)
            if mechanism.awaits_rows:
                self.dcm.replace_mechanism(name, mechanism.bind_as(name, binding))
        self.dcm.load_trained(
            {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        )
        if state["scaler"] is not None and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.reports |= {
            int(position): report_from(record) for position, record in state["reports"].items()
        }
        if state["step"] is not None:
            self.pending = loaded
        else:
            self.pending = None

    def side_by_side(self, modules: Mapping[int, Module]) -> None:
        """Train modules of one variable without a confounder by likelihood, all at once."""
        chosen = {p: m for p, m in modules.items() if p not in self.reports and self._single(m)}
        if not chosen:
            return
        self._rest()
        training = StackedTraining(
            self.dcm,
            self.config,
            self.processes,
            steps=self._steps_of_stacks(),
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

    def _steps_of_stacks(self) -> int | None:
        if self.config.steps is None and self.share_of_steps >= 1:
            return None
        return self._share(self.config.steps or sum(CYCLES))

    def _single(self, module: Module) -> bool:
        (name, *others) = module.variables
        return (
            not others
            and str(module.objective) == "likelihood"
            and not self.dcm.graph.siblings(name)
            and stackable(self.dcm.mechanism(name))
        )

    def _seed(self, position: int, phase: int = 0) -> int:
        return self.config.seed * 1_000_003 + position * 10_007 + phase * 101

    def module(self, position: int, module: Module) -> None:
        """Train one module: one phase, or two for ``warm``."""
        objective = str(module.objective)
        phases = OBJECTIVES[objective].phases
        report = ModuleReport(tuple(module.variables), objective)
        start, spent = time.perf_counter(), 0.0
        first = 0
        if self.pending is not None and self.pending[0]["position"] == position:
            state = self.pending[0]
            report = report_from(state["report"])
            first, spent = state["phase"], report.seconds
        self._rest()
        for name in module.variables:
            for parameter in trainable(self.dcm.mechanism(name)):
                parameter.requires_grad_(True)
        for index in range(first, len(phases)):
            self._phase(position, index, module, phases[index], report, start, spent)
        for name in module.variables:
            self.dcm.mechanism(name).requires_grad_(False)
        self._refuse_diverged(module, report.name)
        report.seconds = spent + time.perf_counter() - start
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
            warnings.warn(
                f"Module {report.name} has not converged: {worst.describe()}. Modules that depend "
                "on it inherit the error. Train longer (steps=), try another objective=, or look "
                "at the data of this module.",
                ConvergenceWarning,
                stacklevel=5,
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
            options["steps"] = self._share(steps or sum(CYCLES))
            if steps or options["steps"] < sum(CYCLES):
                options["cycles"] = None
            else:
                options["cycles"] = CYCLES
            rates = [self.dcm.mechanism(name).learning_rate for name in module.variables]
            options["rate"] = min([1e-2, *(rate for rate in rates if rate is not None)])
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
        seed = self._seed(position, phase)
        generator = torch.Generator(device).manual_seed(seed + 1_000_000_007 * self.processes.index)
        best: list[Tensor] | None = None
        best_score, since, begin = float("inf"), 0, 0
        score, by_chance = float("inf"), 0.0
        if self.pending is not None and self.pending[0]["position"] == position:
            state, tensors = self.pending
            self.pending = None
            begin, best_score, since = state["step"], state["best_score"], state["since"]
            if best_score is None:
                best_score = float("inf")
            learner.load(
                {
                    k.removeprefix("learner."): v
                    for k, v in tensors.items()
                    if k.startswith("learner.")
                }
            )
            if "best.0" in tensors:
                best = [tensors[f"best.{i}"].to(device) for i in range(len(learner.parameters))]
            generator.set_state(tensors[f"generator.{self.processes.index}"].cpu())
        silent: bool | None = True
        if self.trainer.progress:
            silent = None
        name = f"{report.name} {objective}"
        bar = tqdm(total=learner.steps, initial=begin, desc=name, disable=silent, leave=False)
        for step in range(begin + 1, learner.steps + 1):
            loss = learner.step(step, generator)
            if loss != loss or loss in (float("inf"), float("-inf")):
                raise TrainingError(
                    f"Training of {report.name} stopped at step {step}: the loss is {loss}. "
                    f"{self.trainer.kept()} Lower the learning rate, or look for extreme values in "
                    "its columns."
                )
            bar.update()
            ends = step == learner.steps or step in accumulate(learner.cycles)
            if step % config.validate_every == 0 or ends:
                learner.average.swap()
                score, by_chance, record = self.processes.told(
                    self._validate(module, learner, seed)
                )
                if score <= best_score:
                    best_score, since = score, 0
                    best = [p.detach().clone() for p in learner.parameters]
                    report.best_step = step
                else:
                    since += 1
                learner.average.swap()
                report.curve.append({"step": float(step), "loss": loss, **record})
                self.trainer.track(
                    {f"{report.name}/{objective}/{k}": v for k, v in report.curve[-1].items()}, step
                )
                bar.set_postfix(record, refresh=False)
            report.steps = step
            if config.patience is not None and since > config.patience:
                break
            if self._stands_still(learner, step, seed):
                break
            if (
                self.checkpoints is not None
                and step % config.save_every == 0
                and step < learner.steps
            ):
                report.seconds = spent + time.perf_counter() - start
                state = {
                    "position": position,
                    "phase": phase,
                    "step": step,
                    "best_score": best_score,
                    "since": since,
                }
                self.save(state | {"report": report.to_dict()}, learner, best, generator)
        bar.close()
        self._keep(learner, best, score - best_score > by_chance, seed, report)
        self._validate_final(module, objective, learner, seed, report)

    def _stands_still(self, learner: Learner, step: int, seed: int) -> bool:
        """Whether a training whose length was not given has come to its end."""
        if not isinstance(learner, LikelihoodLearner) or len(learner.cycles) == 1:
            return False
        return bool(self.processes.told(learner.stands_still(step, seed)))

    def _keep(
        self,
        learner: Learner,
        best: Sequence[Tensor] | None,
        worse: bool,
        seed: int,
        report: ModuleReport,
    ) -> None:
        """Leave the best validated state, or the last one where held-out rows do not tell the two
        apart.

        Which of several good states is best on some hundred rows is decided by the few rarest of
        them, and the last state has learned for the longest at the smallest rate.

        Args:
            learner: whose averaged weights are the last state.
            best: weights of the best state.
            worse: whether the last state's score is worse by more than chance explains; likelihoods
                are compared row by row instead.
            seed: of the comparison.
            report: says which state was kept.
        """
        last = learner.average.values
        if best is not None and report.best_step < report.steps:
            if isinstance(learner, LikelihoodLearner):
                of_last, of_best = (
                    learner.assign(state).held_out.scores(seed) for state in (last, best)
                )
                worse = self.processes.told(advantage(of_best, of_last)) >= _SIGNIFICANT
            if not worse:
                best, report.best_step = None, report.steps
        learner.assign(best or last)

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
        record = {"tvd": max(d.tvd for d in distances if d.tvd is not None)} if any(
            d.tvd is not None for d in distances
        ) else {}  # fmt: skip
        return sum(d.score for d in distances), sum(d.by_chance for d in distances), record

    def _validate_final(
        self, module: Module, objective: str, learner: Learner, seed: int, report: ModuleReport
    ) -> None:
        if isinstance(learner, LikelihoodLearner):
            report.negative_log_likelihood = learner.held_out.score(seed)
        report.distances = tuple(self._distances(module, seed, final=True))

    def _distances(self, module: Module, seed: int, *, final: bool = False) -> list[Distance]:
        generator = torch.Generator(self.accelerator.device).manual_seed(seed + 1)
        return self.prepared.distances(self.dcm, module, generator, final=final)

    def save(
        self,
        position: Json | None,
        learner: Learner | None = None,
        best: Sequence[Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        """Write a checkpoint: between two modules (``position`` None) or in the middle of one.

        Every process takes part, since each has a generator of its own; the first of them writes.
        """
        if self.checkpoints is None:
            return
        tensors = {f"model.{key}": value for key, value in self.dcm.trained_tensors().items()}
        bindings = {name: m.binding() for name, m in self.dcm.mechanisms.items()}
        state: Json = {
            "facts": self.facts,
            "reports": {str(place): report.to_dict() for place, report in self.reports.items()},
            "bindings": {name: found for name, found in bindings.items() if found is not None},
            "step": None,
            "scaler": None
            if self.accelerator.scaler is None
            else self.accelerator.scaler.state_dict(),
        }
        if position is not None and learner is not None and generator is not None:
            state |= position
            if position["best_score"] == float("inf"):
                state["best_score"] = None
            else:
                state["best_score"] = position["best_score"]
            tensors |= {f"learner.{key}": value for key, value in learner.tensors().items()}
            tensors |= {f"best.{i}": value for i, value in enumerate(best or [])}
            tensors |= {
                f"generator.{i}": value for i, value in enumerate(self.processes.states(generator))
            }
        if self.processes.index == 0:
            self.checkpoints.save(state, {key: value.clone() for key, value in tensors.items()})


def report_from(record: Named) -> ModuleReport:
    """Inverse of :meth:`ModuleReport.to_dict`."""
    fields = dict(record)
    fields["variables"] = tuple(fields["variables"])
    fields["distances"] = tuple(Distance.from_dict(d) for d in fields["distances"])
    return ModuleReport(**fields)
