"""The objective ``adversarial``: WGAN-GP against every target of a module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from causalplug.data.source import Rows
from causalplug.model.model import Model
from causalplug.planning.gradients import SCORE_COPIES
from causalplug.planning.plan import Target
from causalplug.selection import pick, values_at
from causalplug.tensors import rows_at
from causalplug.training.config import TrainingConfig
from causalplug.training.critics import Critic, CriticInput, Scaled, between
from causalplug.training.factors import (
    Cells,
    ConfounderDraws,
    confounders_of,
    distinct,
    ravel,
)
from causalplug.training.rollout import Roller

if TYPE_CHECKING:
    from causalplug.mechanisms.frozen.bank import SampleBank

__all__ = ["Game", "RowGame", "Rule", "TableGame", "taken_values"]

_PENALTY_ROWS = 64  # rows of the gradient penalty in a step


@dataclass(frozen=True)
class Rule:
    """What a kind of game wants where the configuration leaves it open.

    Attributes:
        steps: Steps of the generator.
        critic_steps: Critic steps of the critic per step of the generator; None: the
            configuration's.
        rate, critic_rate: Learning rates.
        betas: Betas of Adam, for both.
    """

    steps: int = 1500
    critic_steps: int | None = None
    rate: float = 2e-3
    critic_rate: float = 2e-3
    betas: tuple[float, float] = (0.0, 0.9)


class Game(nn.Module):
    """One target and its critic.

    Attributes:
        critic: Scores rows; it lives as long as its module trains.
        rule: How it is played.
    """

    critic: nn.Module
    rule = Rule()

    def __init__(self, config: TrainingConfig):
        super().__init__()
        self.config = config

    @property
    def critic_steps(self) -> int:
        """Steps of the critic per step of the generator."""
        return self.rule.critic_steps or self.config.critic_steps

    @property
    def rounds(self) -> int:
        """Batches that the critic compares per step of the generator."""
        return self.critic_steps * self.config.gradient_accumulation_steps

    def prepare(self, generator: torch.Generator) -> None:
        """Draw what the critic compares in one step of the generator."""

    def critic_backward(self, index: int, step: int, scaled: Scaled) -> Tensor:
        """Differentiate ``E D(fake) - E D(real)`` and the gradient penalty by the critic; returns
        the loss.

        Args:
            index: Step of the generator.
            step: Step of the critic within it.
            scaled: What the loss is multiplied by before.
        """
        raise NotImplementedError

    def generator_loss(self, generator: torch.Generator, temperature: float) -> Tensor:
        """``-E D(fake)`` with gradients to the module's mechanisms."""
        raise NotImplementedError


class TableGame(Game):
    """A target in which everything is discrete and its joint values are few: both distributions are
    tables.

    The generator's expectation is exact given the confounder noise: every joint value of T is
    scored once and weighted by ``Q(T | do(Pa(T)))``. Real rows enter by their frequencies.

    Args:
        dcm: The model.
        target: What is matched.
        rows: Training rows of its source.
        config: Settings.
    """

    rule = Rule(
        steps=1000, rate=5e-3, critic_rate=4e-3
    )  # its gradients are exact, so steps may be fewer and longer
    critic: Critic
    features: Tensor
    weight: Tensor
    real: Tensor

    def __init__(self, dcm: Model, target: Target, rows: Rows, config: TrainingConfig):
        super().__init__(config)
        given, inside = list(target.parents), list(target.variables)
        names = [*given, *inside]
        size = {name: dcm.variables[name].size for name in names}
        taken, counts = taken_values(rows, given, size)
        grid = torch.cartesian_prod(
            *[torch.arange(size[name], device=counts.device) for name in inside]
        )
        grid = grid.view(-1, len(inside))
        codes = {name: value.repeat_interleave(len(grid)) for name, value in taken.items()}
        codes |= {name: grid[:, i].repeat(len(counts)) for i, name in enumerate(inside)}
        joint = ravel(values_at(rows.values, names), values_at(size, names))
        here = ravel(values_at(codes, names), values_at(size, names))
        occurring, shares = torch.unique(joint, return_counts=True)
        place = torch.searchsorted(here.sort().values, occurring)
        real = torch.zeros(len(here), device=here.device)
        real[here.argsort()[place]] = shares / len(rows)
        self.cells = Cells(dcm, inside, codes)
        self.draws = ConfounderDraws(confounders_of(dcm, inside), dcm.confounder_size, config.draws)
        reads = CriticInput(pick(dcm.variables, names), {})
        self.critic = Critic(reads, hidden=config.critic_hidden)
        self.register_buffer("features", reads(codes)[0])
        share = counts.sqrt() / counts.sqrt().sum()
        self.register_buffer("weight", share.repeat_interleave(len(grid)))
        self.register_buffer(
            "real", real * (share * len(rows) / counts).repeat_interleave(len(grid))
        )
        self._fake = self.real
        self._drawn: Tensor | None = None

    def fake(self, generator: torch.Generator) -> Tensor:
        """The model's probability ``(r,)`` of every cell."""
        return self.cells.log_mean(self.draws(generator)).exp() * self.weight

    def prepare(self, generator: torch.Generator) -> None:
        self._drawn = self.fake(generator)
        self._fake = self._drawn.detach()
        n = _PENALTY_ROWS * self.rounds
        real = torch.multinomial(self.real, n, replacement=True, generator=generator)
        fake = torch.multinomial(self._fake, n, replacement=True, generator=generator)
        lines = between([self.features[real]], [self.features[fake]], generator)
        self._lines = _split(lines, self.rounds)
        self._surplus = self._fake - self.real

    def critic_backward(self, index: int, step: int, scaled: Scaled) -> Tensor:
        return self.critic.backward(
            [self.features], self._surplus, self._lines[step], self.config.penalty, scaled
        )

    def generator_loss(self, generator: torch.Generator, temperature: float) -> Tensor:
        with torch.no_grad():
            scores = self.critic([self.features])
            scores = scores - (scores * self._fake).sum()
        drawn, self._drawn = (
            self._drawn,
            None,
        )  # what the critic has seen; further parts of an update draw afresh
        return -((self.fake(generator) if drawn is None else drawn) * scores).sum()


def taken_values(
    rows: Rows, names: Sequence[str], size: Mapping[str, int]
) -> tuple[dict[str, Tensor], Tensor]:
    """Joint values of some columns that occur, and how often; without columns there is one."""
    if not names:
        return {}, torch.tensor([len(rows)], device=next(iter(rows.values.values())).device)
    found, _, counts = distinct(pick(rows.values, names), values_at(size, names))
    return found, counts


class RowGame(Game):
    """Any other target: batches of generated rows against batches of real rows.

    Args:
        dcm: The model.
        target: What is matched.
        rows: Training rows of its source; images as projections, or as pixels where the module
            paints them.
        config: Settings.
        banks: Samples of frozen image mechanisms.
        pixels: Image variables that the critic reads as pixels.
    """

    _sides: Tensor

    def __init__(
        self,
        dcm: Model,
        target: Target,
        rows: Rows,
        config: TrainingConfig,
        *,
        banks: Mapping[str, SampleBank],
        pixels: Sequence[str] = (),
    ):
        super().__init__(config)
        self.given = list(target.parents)
        names = [*target.parents, *target.variables]
        self.rows = pick(rows.values, names)
        self.size = len(rows)
        self.roller = Roller(
            dcm, target.variables, target.parents, target.updated, banks=banks, pixels=pixels
        )
        projections = {}
        for n in names:
            if n in dcm.encoders and n not in pixels:
                projections[n] = dcm.encoders[n].size
        self.reads = CriticInput(pick(dcm.variables, names), projections)
        self.reads.standardise(self.rows)
        self.critic = self._new_critic()
        passage = self.roller.passage(config.gradient, config.max_enumeration)
        self.mode, self.spread = passage.mode, set(passage.spread)
        self.batch = min(config.batch_size, self.size)
        share = torch.full((self.batch,), 1 / self.batch)  # generated rows minus real rows
        self.register_buffer("_sides", torch.cat([share, -share]))
        self._real: list[list[Tensor]] = []
        self._fake: list[list[Tensor]] = []

    def _new_critic(self) -> nn.Module:
        return Critic(self.reads, hidden=self.config.critic_hidden)

    def _rows(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        index = torch.randint(self.size, (n,), generator=generator, device=generator.device)
        return rows_at(self.rows, index)

    def _given(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return pick(rows, self.given)

    def prepare(self, generator: torch.Generator) -> None:
        self._draw(generator)
        few = max(1, min(self.batch, max(_PENALTY_ROWS, self.batch // 4)))
        pairs = zip(self._real, self._fake, strict=True)
        compared = []
        for real, fake in pairs:
            compared.append(between([r[:few] for r in real], [f[:few] for f in fake], generator))
        self._lines = compared

    def _draw(self, generator: torch.Generator) -> None:
        n = self.batch * self.rounds
        rows = self._rows(n, generator)
        with torch.no_grad():
            fake = self.roller(self._given(rows), n, generator).values
            self._real = _split(self.reads(rows), self.rounds)
            self._fake = _split(self.reads(fake), self.rounds)

    def critic_backward(self, index: int, step: int, scaled: Scaled) -> Tensor:
        rows = []
        for f, r in zip(self._fake[step], self._real[step], strict=True):
            rows.append(torch.cat([f, r]))
        critic: Critic = self.critic  # type: ignore[assignment]
        return critic.backward(rows, self._sides, self._lines[step], self.config.penalty, scaled)

    def generator_loss(self, generator: torch.Generator, temperature: float) -> Tensor:
        given = self._given(self._rows(self.batch, generator))
        copies = 1
        if self.mode == "score":
            copies = SCORE_COPIES
        out = self.roller(
            given,
            self.batch,
            generator,
            mode=self.mode,
            copies=copies,
            spread=self.spread,
            temperature=temperature,
        )
        worth = self._worth(self.critic(self.reads(out.values))).view(out.copies, -1)
        if out.weight is not None:
            worth = out.weight * (worth - worth.mean().detach())
            worth = worth.view(-1, out.draws, worth.shape[-1]).sum(0)
        if out.log_prob is None:
            return -worth.mean()
        detached = worth.detach()
        others = (detached.sum(0) - detached) / (out.draws - 1)
        return -worth.mean() - ((detached - others) * out.log_prob).mean()

    def _worth(self, scores: Tensor) -> Tensor:
        """What the generator wants to be large."""
        return scores


def _split(rows: Sequence[Tensor], parts: int) -> list[list[Tensor]]:
    return list(map(list, zip(*[r.chunk(parts) for r in rows], strict=True)))
