"""Modules of one variable without a confounder, trained by likelihood side by side."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm import tqdm

from causalplug.data.source import Rows
from causalplug.errors import PlanError, TrainingError
from causalplug.mechanisms.trainable.continuous import ContinuousSpline
from causalplug.mechanisms.trainable.discrete import DiscreteMLP
from causalplug.model.model import Model
from causalplug.notebook import bar_type
from causalplug.selection import names_of, pick, sizes_of, values_at
from causalplug.tensors import first_rows
from causalplug.training.config import TrainingConfig
from causalplug.training.counts import start_at_counts
from causalplug.training.factors import served
from causalplug.training.learner import Learner
from causalplug.training.pace import Pace, pace_of
from causalplug.training.processes import Processes
from causalplug.training.progress import MATTERS, gained, paired
from causalplug.training.quantiles import fit_marginal
from causalplug.training.report import ModuleReport
from causalplug.training.stack import ROOM, Member, Stack, StackRows

__all__ = ["Single", "StackedTraining"]

_SCORED = 4096  # held-out rows of a mechanism that are scored
_LATE, _LARGER = 0.8, 8  # share of a cycle after which batches are larger, and by how much
_PASSES, _SOONEST = 5, 10  # passes over the rows between validations, and steps at least
_BYTES = 1 << 28  # of the features of one stack's rows
_WIDE_ROOM = 64.0  # of the weights' prior once two cycles have gained for sure
_FREE = 2  # cycles with the first


@dataclass
class Single:
    """One module.

    Attributes:
        name: Name of its variable.
        report: Filled as it trains.
        train, held_out: The mechanism with the rows that serve it.
        scores: ``(r,)`` log probabilities of held-out rows at the end of the last cycle.
    """

    name: str
    report: ModuleReport
    train: Member
    held_out: Member
    scores: Tensor = field(default_factory=lambda: torch.empty(0))

    @property
    def size(self) -> int:
        """Bytes of its features."""
        network = self.train.mechanism.network
        return 4 * max(1, len(network.loc)) * len(self.train.rows[self.name])


class StackLearner(Learner):
    """One cycle of a stack; losses are told apart by member.

    What is maximised is the posterior density of the weights: few rows would be learned by heart
    by likelihood alone. Of 450 rows, the chances of a treatment given five covariates come to lie
    at 0 and 1 within a cycle, and fifty held-out rows may not show it.
    """

    def __init__(
        self,
        dcm: Model,
        stack: Stack,
        rows: StackRows,
        config: TrainingConfig,
        *,
        steps: int,
        processes: Processes,
        pace: Pace,
        room: float,
    ):
        names = names_of(stack.members)
        parameters = list(stack.parameters())
        super().__init__(
            dcm,
            names,
            config,
            steps=steps,
            processes=processes,
            rate=pace.rate,
            betas=pace.betas,
            parameters=parameters,
            turned=pace.turned,
        )
        self.stack, self.rows = stack, rows
        self.prior = 1 / (room * rows.counts)
        self.losses: list[float] = []

    def step(self, index: int, generator: torch.Generator) -> float:
        self._anneal(index)
        losses: list[Tensor] = []

        def backward(part: int, scaled: Callable[[Tensor], Tensor] | None) -> Tensor:
            drawn = self.rows.drawn(self._rows_of(index), generator)
            each = -self.stack.log_prob(*drawn).mean(1)
            losses.append(each.detach())
            loss = self._differentiate(each.sum(), scaled)
            share = self.prior
            self.stack.add_prior(scaled(share) if scaled else share)
            return loss

        loss = self._update(self.optimizer, self.parameters, backward)
        self.average.update(index)
        self.losses = torch.stack(losses).mean(0).tolist()
        return float(loss)

    def _rows_of(self, index: int) -> int:
        """Rows of a step: more of them at the end, where the noise of batches would stay."""
        if index > _LATE * self.steps:
            return _LARGER * self.config.batch_size
        return self.config.batch_size

    @torch.no_grad()
    def scores(self, rows: StackRows) -> Tensor:
        """Log probabilities ``(m, r)`` of rows under the averaged weights."""
        self.average.swap()
        found = self.stack.log_prob(*rows.at(rows.first(min(_SCORED, len(rows)))))
        self.average.swap()
        return found


class StackedTraining:
    """Trains modules side by side, each until its own held-out likelihood stands still.

    Args:
        dcm: The model.
        config: Settings.
        processes: That make every update together.
        steps: Steps of all; None for as many as it takes.
        share: Share of the usual steps that are made, below one for a refit.
        track: Told of every validation: values by name, and the step.
        failed: What to say of the last checkpoint where a loss is no number.
        progress: Show a progress bar.
    """

    def __init__(
        self,
        dcm: Model,
        config: TrainingConfig,
        processes: Processes,
        *,
        steps: int | None,
        share: float,
        track: Callable[[dict[str, float], int], None],
        failed: Callable[[], str],
        progress: bool,
    ):
        self.dcm, self.config, self.processes = dcm, config, processes
        self.steps, self.share = steps, share
        self.track, self.failed, self.progress = track, failed, progress
        self.generator = torch.Generator(dcm.device)
        seed = config.seed * 1_000_003 + 7 + 1_000_000_007 * processes.index
        self.generator.manual_seed(seed % 2**63)

    def singles(
        self,
        names: Sequence[str],
        train: Sequence[Rows],
        held_out: Sequence[Rows],
    ) -> list[Single]:
        """The modules with the rows of all sources that determine them.

        Raises:
            PlanError: No source records a variable with its parents.
        """
        groups = [served(self.dcm.graph, r.source.recorded, r.source.do) for r in train]
        serving: dict[str, list[int]] = {}
        for place, of_source in enumerate(groups):
            for group in of_source:
                if len(group) == 1:
                    serving.setdefault(group[0], []).append(place)
        found = []
        for name in names:
            found.append(
                Single(
                    name,
                    ModuleReport((name,), "likelihood"),
                    self._member(name, values_at(train, serving.get(name, []))),
                    self._member(name, values_at(held_out, serving.get(name, []))),
                )
            )
        return found

    def _member(self, name: str, sources: Sequence[Rows]) -> Member:
        mechanism = self.dcm.mechanism(name)
        columns = (name, *mechanism.parents)
        if not sources:
            raise PlanError(
                f"{name} cannot be trained by likelihood: no source without an intervention on it "
                f"records all of {', '.join(columns)} together. Add such a source."
            )
        if len(sources) == 1:
            rows = pick(sources[0].values, columns)
        else:
            rows = {}
            for c in columns:
                rows[c] = torch.cat([s.values[c] for s in sources])
        return Member(name, mechanism, rows)  # type: ignore[arg-type]

    def train(self, singles: Sequence[Single]) -> None:
        """Train all of them; their mechanisms hold the result, and their reports say how."""
        stacks: dict[tuple[object, ...], list[list[Single]]] = {}
        for single in singles:
            start = time.perf_counter()
            if self._counted(single) or self._at_maximum(single):
                self._score(single, start)
                continue
            same = stacks.setdefault(single.train.shape, [[]])
            if same[-1] and sum(sizes_of(same[-1])) + single.size > _BYTES:
                same.append([])
            same[-1].append(single)
        for same in stacks.values():
            for together in same:
                self._cycles(together)

    def _counted(self, single: Single) -> bool:
        """Whether counts settle the mechanism of a model that was not trained before."""
        mechanism = single.train.mechanism
        return (
            self.dcm.sources is None
            and isinstance(mechanism, DiscreteMLP)
            and start_at_counts(mechanism, single.name, single.train.rows)
        )

    def _at_maximum(self, single: Single) -> bool:
        """Whether a number without parents has been fitted as a whole."""
        mechanism = single.train.mechanism
        if self.dcm.sources is not None or not isinstance(mechanism, ContinuousSpline):
            return False
        steps = fit_marginal(mechanism, single.train.rows[single.name])
        single.report.steps = single.report.best_step = steps
        return steps > 0

    @torch.no_grad()
    def _score(self, single: Single, start: float) -> None:
        member = single.held_out
        some = first_rows(member.rows, _SCORED)
        parents = pick(some, member.mechanism.parents)
        scores = member.mechanism.log_prob(some[single.name], parents)
        single.report.negative_log_likelihood = -float(scores.mean())
        single.report.seconds = time.perf_counter() - start

    def _cycles(self, singles: Sequence[Single]) -> None:
        networks = [p for s in singles for p in s.train.mechanism.parameters()]
        pace = pace_of(networks, self.processes)
        lengths = self._lengths(pace)
        active, done = list(singles), 0
        bar = bar_type()(
            total=sum(lengths),
            desc=f"{len(active)} modules likelihood",
            disable=None if self.progress else True,
            leave=False,
        )
        for number, length in enumerate(lengths):
            before = [single.scores for single in active]
            room = _WIDE_ROOM if number >= _FREE or self.share < 1 else ROOM
            done = self._cycle(active, length, done, pace, bar, room)
            gains = []
            for s, scores in zip(active, before, strict=True):
                gains.append(self._gained(s, scores))
            gains = self.processes.told(gains)
            active = [single for single, more in zip(active, gains, strict=True) if more]
            if not active:
                break
        bar.close()

    def _lengths(self, pace: Pace) -> tuple[int, ...]:
        """Steps of each cycle; a single one where their number is given or is only a share."""
        if self.steps is None and self.share >= 1:
            return pace.cycles
        return (max(1, math.ceil(self.share * (self.steps or sum(pace.cycles)))),)

    @staticmethod
    def _gained(single: Single, before: Tensor) -> bool:
        return not len(before) or gained(*paired(single.scores, before))

    def _cycle(
        self,
        singles: Sequence[Single],
        length: int,
        done: int,
        pace: Pace,
        bar: tqdm,
        room: float,
    ) -> int:
        """One cycle; returns the steps made so far."""
        start = time.perf_counter()
        stack = Stack([single.train for single in singles])
        rows = StackRows(stack.members)
        held_out = StackRows([single.held_out for single in singles])
        learner = StackLearner(
            self.dcm,
            stack,
            rows,
            self.config,
            steps=length,
            processes=self.processes,
            pace=pace,
            room=room,
        )
        best = _Best(singles, learner)
        every = self._between_validations(int(rows.counts.max()))
        for step in range(1, length + 1):
            learner.step(step, self.generator)
            self._check(singles, learner.losses, done + step)
            bar.update()
            if step % every == 0 or step == length:
                scores = self.processes.told(learner.scores(held_out))
                best.update(scores, done + step, held_out.counts)
                self._record(singles, learner.losses, scores, done + step)
                if best.patience_is_over(self.config.patience):
                    break
        best.keep()
        stack.write_back()
        share = (time.perf_counter() - start) / len(singles)
        for single in singles:
            single.report.steps = done + step
            single.report.seconds += share
        return done + length

    def _between_validations(self, rows: int) -> int:
        """Steps between validations: fewer where rows are few, which are soon learned by heart."""
        passes = max(1, rows // self.config.batch_size)
        return min(self.config.validate_every, max(_SOONEST, _PASSES * passes))

    def _check(self, singles: Sequence[Single], losses: Sequence[float], step: int) -> None:
        for single, loss in zip(singles, losses, strict=True):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"Training of {single.name} stopped at step {step}: the loss is {loss}. "
                    f"{self.failed()} Lower the learning rate, or look for extreme values in its "
                    "columns."
                )

    def _record(
        self, singles: Sequence[Single], losses: Sequence[float], scores: Tensor, step: int
    ) -> None:
        for single, loss, row in zip(singles, losses, scores, strict=True):
            nll = -float(row[: len(single.held_out.rows[single.name])].mean())
            single.report.curve.append({"step": float(step), "loss": loss, "nll": nll})
            name = f"{single.name}/likelihood"
            values = {f"{name}/{k}": v for k, v in single.report.curve[-1].items()}
            self.track(values, step)


class _Best:
    """The best validated weights of each member, and those of the last step where held-out rows do
    not tell the two apart by what matters.

    A network of its own for every variable learns few rows by heart: of 450 rows, the chances of a
    treatment given five covariates come to lie at 0 and 1 within a cycle, and fifty held-out rows
    show it long before two standard errors do. So an earlier state needs to be better by one of
    them, and by so much that answers differ: in the middle of a cycle the weights still wander.
    """

    def __init__(self, singles: Sequence[Single], learner: StackLearner):
        self.singles, self.learner = singles, learner
        self.before = [p.detach().clone() for p in learner.parameters]
        self.kept = [p.clone() for p in self.before]
        self.steps = [single.report.best_step for single in singles]
        self.scores: list[Tensor | None] = [s.scores if len(s.scores) else None for s in singles]
        self.last: list[Tensor] = []
        self.since = [0] * len(singles)
        self.step = 0

    def update(self, scores: Tensor, step: int, counts: Tensor) -> None:
        """Compare a validation with the best before."""
        self.step = step
        self.last = [row[:n] for row, n in zip(scores, counts.tolist(), strict=True)]
        for place, (best, now) in enumerate(zip(self.scores, self.last, strict=True)):
            if best is not None and float(now.mean()) < float(best.mean()):
                self.since[place] += 1
                continue
            self.scores[place], self.steps[place], self.since[place] = now, step, 0
            for kept, value in zip(self.kept, self.learner.average.values, strict=True):
                kept[place] = value[place]

    def patience_is_over(self, patience: int | None) -> bool:
        """Whether no member has improved for so many validations."""
        return patience is not None and min(self.since) > patience

    @torch.no_grad()
    def keep(self) -> None:
        """Put the chosen weights into the stack and the reports."""
        chosen = [value.clone() for value in self.learner.average.values]
        for place, (single, last) in enumerate(zip(self.singles, self.last, strict=True)):
            best = self.scores[place]
            if best is not None and _is_better(best, last):
                for value, kept in zip(chosen, self.kept, strict=True):
                    value[place] = kept[place]
                single.scores, single.report.best_step = best, self.steps[place]
            else:
                single.scores, single.report.best_step = last, self.step
            single.report.negative_log_likelihood = -float(single.scores.mean())
        self.learner.assign(chosen)


def _is_better(one: Tensor, other: Tensor) -> bool:
    mean, error = paired(one, other)
    return mean > max(MATTERS, error)
