"""One phase of a module's training: steps, validation, the best state kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from causalplug.training.checkpoint import starting_with
from causalplug.training.learner import Learner, LikelihoodLearner
from causalplug.training.likelihood import advantage
from causalplug.training.processes import Processes
from causalplug.training.report import ModuleReport
from causalplug.values import Json

__all__ = ["Phase"]

_SIGNIFICANT = 2.0  # standard errors by which an earlier state must be better than the last


@dataclass
class Phase:
    """Where a phase is.

    Attributes:
        objective: What the learner pursues.
        learner: Makes the steps.
        generator: Of the random numbers of this process.
        processes: That work on the module together.
        seed: Of validations.
        step: Steps made.
        score: Of the last validation; lower is better.
        by_chance: How far chance moves it.
        best: Weights of the best validation.
        best_score: Its score.
        since: Validations without improvement.
    """

    objective: str
    learner: Learner
    generator: torch.Generator
    processes: Processes
    seed: int
    step: int = 0
    score: float = math.inf
    by_chance: float = 0.0
    best: list[Tensor] | None = None
    best_score: float = math.inf
    since: int = 0

    def resume(self, state: Json, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a checkpoint; the inverse of :meth:`state` and :meth:`tensors`."""
        self.step, self.since = state["step"], state["since"]
        if state["best_score"] is not None:
            self.best_score = state["best_score"]
        self.learner.load(starting_with("learner.", tensors))
        best = starting_with("best.", tensors)
        if best:
            device = self.generator.device
            self.best = [best[str(i)].to(device) for i in range(len(best))]
        self.generator.set_state(tensors[f"generator.{self.processes.index}"].cpu())

    def state(self) -> Json:
        """What a checkpoint says of it."""
        best_score = None
        if math.isfinite(self.best_score):
            best_score = self.best_score
        return {"step": self.step, "best_score": best_score, "since": self.since}

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds of it; every process takes part."""
        found = {f"learner.{key}": value for key, value in self.learner.tensors().items()}
        found |= {f"best.{i}": value for i, value in enumerate(self.best or [])}
        states = self.processes.states(self.generator)
        return found | {f"generator.{i}": value for i, value in enumerate(states)}

    def is_validated(self, every: int) -> bool:
        """Whether this step is: each so many, at the end of a cycle, and at the last."""
        ends = (self.learner.steps, *accumulate(self.learner.cycles))
        return self.step % every == 0 or self.step in ends

    def judge(self, score: float, by_chance: float) -> bool:
        """Take a validation; returns whether it is the best so far."""
        self.score, self.by_chance = score, by_chance
        if score > self.best_score:
            self.since += 1
            return False
        self.best_score, self.since = score, 0
        self.best = [p.detach().clone() for p in self.learner.parameters]
        return True

    def is_over(self, patience: int | None) -> bool:
        """Whether validations have not improved for too long, or a training whose length was not
        given stands still."""
        if patience is not None and self.since > patience:
            return True
        learner = self.learner
        if not isinstance(learner, LikelihoodLearner) or len(learner.cycles) == 1:
            return False
        return bool(self.processes.told(learner.stands_still(self.step, self.seed)))

    def keep(self, report: ModuleReport) -> None:
        """Leave the best validated state, or the last one where held-out rows do not tell the two
        apart.

        Which of several good states is best on some hundred rows is decided by the few rarest of
        them, and the last state has learned for the longest at the smallest rate.

        Args:
            report: Says which state was kept.
        """
        last = self.learner.average.values
        if self.best is not None and report.best_step < report.steps and self._is_worse(last):
            self.learner.assign(self.best)
            return
        if self.best is not None:
            report.best_step = report.steps
        self.learner.assign(last)

    def _is_worse(self, last: Sequence[Tensor]) -> bool:
        """Whether the last state is worse than the best by more than chance explains; likelihoods
        are compared row by row."""
        learner = self.learner
        if not isinstance(learner, LikelihoodLearner):
            return self.score - self.best_score > self.by_chance
        of_last = learner.assign(last).held_out.scores(self.seed)
        of_best = learner.assign(self.best or last).held_out.scores(self.seed)
        return bool(self.processes.told(advantage(of_best, of_last)) >= _SIGNIFICANT)
