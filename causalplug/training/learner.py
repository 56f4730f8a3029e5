"""One objective at work on one module: losses, optimizers and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import accumulate

import torch
from torch import Tensor, nn
from typing_extensions import Self

from causalplug.errors import TrainingError
from causalplug.hub.part import Part
from causalplug.mechanisms.base import Mechanism
from causalplug.model.model import Model
from causalplug.training.adam import Adam
from causalplug.training.adversarial import Game
from causalplug.training.checkpoint import optimizer_tensors, restore_optimizer
from causalplug.training.config import TrainingConfig
from causalplug.training.critics import Scaled
from causalplug.training.likelihood import Likelihood, gain
from causalplug.training.processes import Processes
from causalplug.training.progress import cycle_progress, gained
from causalplug.training.soap import Soap

__all__ = ["AdversarialLearner", "Average", "Learner", "LikelihoodLearner", "trainable"]


def trainable(mechanism: Mechanism) -> list[nn.Parameter]:
    """The parameters of a mechanism that training updates: not those of a frozen generator
    inside it."""
    frozen = set()
    for part in mechanism.modules():
        if isinstance(part, Part) and part.frozen:
            for p in part.parameters():
                frozen.add(id(p))
    return [p for p in mechanism.parameters() if id(p) not in frozen]


class Average:
    """Exponential moving average of parameters, with a short memory at the start."""

    def __init__(self, parameters: Sequence[Tensor], decay: float):
        self.parameters, self.decay = list(parameters), decay
        self.values = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the parameters after ``step`` updates."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, [p.detach() for p in self.parameters], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the average with the parameters."""
        for value, parameter in zip(self.values, self.parameters, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(value)
            value.copy_(kept)


class Learner:
    """Base of the two; a step is one update of the module's mechanisms.

    Args:
        dcm: The model.
        variables: Variables of the module.
        config: Settings.
        steps: In all; the learning rate falls along a cosine to a twentieth.
        cycles: Steps of each cycle of the learning rate; one by default.
        rate, betas: Rate and betas of Adam.
        helpers: Networks that help to train the mechanisms and are trained with them.
        parameters: What is updated; those of the mechanisms by default.
        turned: Whether Adam works in the eigenbasis of the gradients (SOAP), which pays for small
            networks.
        processes: That make every update together, with their device and precision.
    """

    def __init__(
        self,
        dcm: Model,
        variables: Sequence[str],
        config: TrainingConfig,
        *,
        steps: int,
        processes: Processes,
        rate: float,
        betas: tuple[float, float],
        cycles: Sequence[int] | None = None,
        helpers: Sequence[nn.Module] = (),
        parameters: Sequence[nn.Parameter] | None = None,
        turned: bool = False,
    ):
        self.dcm, self.config, self.steps, self.processes = dcm, config, steps, processes
        self.cycles = tuple(cycles or (steps,))
        self.accelerator = processes.accelerator
        # accelerate's wrappers cost as much as a small network's step, and do something for scaled
        # losses alone
        self._scaled = self.accelerator.scaler is not None
        self._scale = self._scaling()
        if self.accelerator.mixed_precision != "no":
            self._autocast: Callable[[], AbstractContextManager[object]] = self.accelerator.autocast
        else:
            self._autocast = nullcontext
        self.variables = tuple(variables)
        if parameters is None:
            parameters = []
            for name in variables:
                parameters.extend(trainable(dcm.mechanism(name)))
        self.parameters: list[nn.Parameter] = list(parameters)
        self.helpers = [p for helper in helpers for p in helper.parameters()]
        self.parameters += self.helpers
        self.turned = turned
        self.rate = config.learning_rate or rate
        self.optimizer = self._adam(self.parameters, self.rate, betas)
        self.average = Average(self.parameters, config.ema)

    def _scaling(self) -> Scaled:
        """What every part of a loss is multiplied by: the scale of half precision, and the share
        of the part."""
        parts, scaler = self.config.gradient_accumulation_steps, self.accelerator.scaler
        if scaler is not None:
            return lambda loss: scaler.scale(loss / parts)
        if parts == 1:
            return None
        return lambda loss: loss / parts

    def _adam(
        self, parameters: Sequence[Tensor], rate: float, betas: tuple[float, float]
    ) -> torch.optim.Optimizer:
        if not parameters:
            raise TrainingError(f"{'+'.join(self.variables)} has no parameters to train.")
        if self.turned:
            return Soap(parameters, lr=rate, betas=betas)
        if not self._scaled:
            return Adam(parameters, lr=rate, betas=betas)
        optimizer = torch.optim.Adam(parameters, lr=rate, betas=betas, fused=True)
        return self.accelerator.prepare(optimizer)

    def step(self, index: int, generator: torch.Generator) -> float:
        """Make one update; returns the loss."""
        raise NotImplementedError

    def _update(
        self,
        optimizer: torch.optim.Optimizer,
        parameters: Sequence[Tensor],
        backward: Callable[[int, Scaled], Tensor],
    ) -> Tensor:
        """One update by the mean loss of ``gradient_accumulation_steps`` parts, and of all
        processes; returns it.

        Args:
            optimizer, parameters: What is updated.
            backward: Differentiates the loss of part 0, 1, …, scaled, and returns it.
        """
        optimizer.zero_grad(set_to_none=True)
        losses = []
        for part in range(self.config.gradient_accumulation_steps):
            with self._autocast():
                losses.append(backward(part, self._scale))
        if len(losses) > 1:
            loss = torch.stack(losses).mean()
        else:
            loss = losses[0]
        loss = self.processes.average_gradients(parameters, loss)
        optimizer.step()
        return loss

    def _differentiate(self, loss: Tensor, scaled: Scaled) -> Tensor:
        (scaled(loss) if scaled else loss).backward()
        return loss.detach()

    def _anneal(self, index: int) -> float:
        progress = cycle_progress(index, self.cycles)
        rate = self.rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return index / max(1, self.steps)

    @torch.no_grad()
    def assign(self, values: Sequence[Tensor]) -> Self:
        """Set the parameters."""
        torch._foreach_copy_([*self.parameters], [*values])
        return self

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint needs beyond the model's weights."""
        found = {f"average.{i}": value for i, value in enumerate(self.average.values)}
        found |= {f"helper.{i}": p.detach() for i, p in enumerate(self.helpers)}
        return found | optimizer_tensors(self.optimizer, "optimizer.")

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Inverse of :meth:`tensors`."""
        for i, value in enumerate(self.average.values):
            value.copy_(tensors[f"average.{i}"])
        with torch.no_grad():
            for i, p in enumerate(self.helpers):
                p.copy_(tensors[f"helper.{i}"])
        restore_optimizer(self.optimizer, tensors, "optimizer.")


class LikelihoodLearner(Learner):
    """Ascends the likelihood of the module's c-factors; ``held_out`` is that of held-out rows."""

    def __init__(
        self,
        dcm: Model,
        variables: Sequence[str],
        config: TrainingConfig,
        likelihood: Likelihood,
        held_out: Likelihood | None = None,
        **options: object,
    ):
        options = {"rate": 1e-2, "betas": (0.9, 0.99), "helpers": likelihood.proposals, **options}
        super().__init__(dcm, variables, config, **options)  # type: ignore[arg-type]
        self.likelihood, self.held_out = likelihood, held_out or likelihood
        self._reached: list[Tensor] = []

    def stands_still(self, step: int, seed: int) -> bool:
        """Whether the cycle that ends with this step has gained nothing on the one before, on held-
        out rows.

        Args:
            step: Updates made so far.
            seed: Seed of the draws of the confounder noise.
        """
        if step not in accumulate(self.cycles) or step == self.steps:
            return False
        self.average.swap()
        scores = self.held_out.scores(seed)
        self.average.swap()
        before, self._reached = self._reached, [s.values for s in scores]
        if not before:
            return False
        earlier = [s._replace(values=v) for s, v in zip(scores, before, strict=True)]
        return not gained(*gain(scores, earlier))

    def tensors(self) -> dict[str, Tensor]:
        return super().tensors() | {f"reached.{i}": v for i, v in enumerate(self._reached)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        super().load(tensors)
        count = sum(key.startswith("reached.") for key in tensors)
        self._reached = [tensors[f"reached.{i}"] for i in range(count)]

    def step(self, index: int, generator: torch.Generator) -> float:
        self._anneal(index)
        loss = self._update(
            self.optimizer,
            self.parameters,
            lambda part, scaled: self._differentiate(self.likelihood.loss(generator), scaled),
        )
        self.average.update(index)
        return float(loss)


class AdversarialLearner(Learner):
    """Plays the games of the module's targets: several critic updates, then one update of the
    mechanisms."""

    def __init__(
        self,
        dcm: Model,
        variables: Sequence[str],
        config: TrainingConfig,
        games: Sequence[Game],
        **options: object,
    ):
        self.games = list(games)
        rule = min((game.rule for game in games), key=lambda rule: rule.rate)
        super().__init__(dcm, variables, config, rate=rule.rate, betas=rule.betas, **options)  # type: ignore[arg-type]
        self.critic_parameters = [p for game in games for p in game.critic.parameters()]
        self.critic_optimizer = self._adam(
            self.critic_parameters, config.critic_learning_rate or rule.critic_rate, rule.betas
        )

    def step(self, index: int, generator: torch.Generator) -> float:
        progress = self._anneal(index)
        first, last = self.config.temperature
        temperature = first * (last / first) ** progress
        with self._autocast():
            for game in self.games:
                game.prepare(generator)
        parts = self.config.gradient_accumulation_steps
        for k in range(max(game.critic_steps for game in self.games)):
            playing = [game for game in self.games if k < game.critic_steps]

            def critics(
                part: int, scaled: Scaled, first: int = k * parts, playing: Sequence[Game] = playing
            ) -> Tensor:
                losses = []
                for game in playing:
                    losses.append(game.critic_backward(index, first + part, scaled))
                if len(losses) > 1:
                    return torch.stack(losses).sum()
                return losses[0]

            self._update(self.critic_optimizer, self.critic_parameters, critics)
        for p in self.critic_parameters:
            p.requires_grad_(False)

        def generators(part: int, scaled: Scaled) -> Tensor:
            losses = [game.generator_loss(generator, temperature) for game in self.games]
            return self._differentiate(torch.stack(losses).sum(), scaled)

        loss = self._update(self.optimizer, self.parameters, generators)
        for p in self.critic_parameters:
            p.requires_grad_(True)
        self.average.update(index)
        return float(loss)

    def tensors(self) -> dict[str, Tensor]:
        critics = {f"critic.{i}": p.detach() for i, p in enumerate(self.critic_parameters)}
        return (
            super().tensors()
            | critics
            | optimizer_tensors(self.critic_optimizer, "critic_optimizer.")
        )

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        super().load(tensors)
        with torch.no_grad():
            for i, p in enumerate(self.critic_parameters):
                p.copy_(tensors[f"critic.{i}"])
        restore_optimizer(self.critic_optimizer, tensors, "critic_optimizer.")
