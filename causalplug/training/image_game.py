"""The game of a target whose critic reads pixels: a projection critic, the non-saturating loss and
R1.

WGAN-GP learns an image's brightness long before what the image owes to its parents: the penalty
holds the critic to one slope over hundreds of pixels. A critic that scores how pixels and the other
variables *agree* (Miyato & Koyama 2018), with its gradient penalised at real images alone
(Mescheder et al. 2018), learns the parents first and takes one step per step of the generator;
``docs/training_results.md`` has the measurement.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from causalplug.training.adversarial import RowGame, Rule
from causalplug.training.critics import CriticInput, Scaled
from causalplug.variables import Variable

__all__ = ["ImageGame", "ProjectionCritic"]

_LAZY = 8  # critic steps between two penalties, each of which weighs as much as all of them
_READ = 128  # numbers that are read off an image


class ProjectionCritic(nn.Module):
    """``a(images) + b(features) + <c(images), d(features)>``: how real images and features are, and
    how they agree.

    Args:
        reads: How rows are laid out; at least one image is read as pixels.
        hidden: Width of the networks on the features.
    """

    def __init__(self, reads: CriticInput, *, hidden: int = 64):
        super().__init__()
        self.trunks = nn.ModuleList(self._trunk(reads.variables[name]) for name in reads.pixels)
        size = _READ * len(self.trunks)
        if len(self.trunks) > 1:
            self.mix = nn.Sequential(nn.Linear(size, _READ), nn.LeakyReLU(0.2))
        self.real = nn.Linear(_READ, 1)
        features = sum(reads.sizes)
        self.features: nn.Module | None = None
        if features:
            self.features = nn.Sequential(
                nn.Linear(features, hidden),
                nn.LeakyReLU(0.2),
                nn.Linear(hidden, hidden),
                nn.LeakyReLU(0.2),
            )
            self.agree, self.alone = nn.Linear(hidden, _READ), nn.Linear(hidden, 1)
            nn.init.zeros_(self.agree.weight)
            nn.init.zeros_(self.agree.bias)

    @staticmethod
    def _trunk(variable: Variable) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(variable.feature_size, 256),
            nn.LeakyReLU(0.2),
            nn.Linear(256, _READ),
            nn.LeakyReLU(0.2),
        )

    def forward(self, rows: Sequence[Tensor]) -> Tensor:
        """Scores ``(n,)`` of ``[features, pixels, …]``, or of pixels alone."""
        pixels = rows[len(rows) - len(self.trunks) :]
        seen = torch.cat([trunk(p) for trunk, p in zip(self.trunks, pixels, strict=True)], -1)
        if len(self.trunks) > 1:
            seen = self.mix(seen)
        score = self.real(seen).squeeze(-1)
        if self.features is None:
            return score
        features = self.features(rows[0])
        return score + self.alone(features).squeeze(-1) + (seen * self.agree(features)).sum(-1)


class ImageGame(RowGame):
    """Batches of generated rows against batches of real rows, with images as pixels; arguments
    as of its base."""

    rule = Rule(critic_steps=1, rate=1e-3, critic_rate=1e-3, betas=(0.0, 0.99))

    def _new_critic(self) -> nn.Module:
        return ProjectionCritic(self.reads)

    def prepare(self, generator: torch.Generator) -> None:
        self._draw(generator)

    def critic_backward(self, index: int, step: int, scaled: Scaled) -> Tensor:
        real, fake = self._real[step], self._fake[step]
        lazy = index % _LAZY == 0
        real = [r.detach().requires_grad_(lazy) for r in real]
        on_real = self.critic(real)
        loss = (
            nn.functional.softplus(-on_real).mean()
            + nn.functional.softplus(self.critic(fake)).mean()
        )
        if lazy:
            gradients = torch.autograd.grad(on_real.sum(), real, create_graph=True)
            square = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).mean()
            loss = loss + 0.5 * self.config.penalty * _LAZY * square
        (scaled(loss) if scaled else loss).backward()
        return loss.detach()

    def _worth(self, scores: Tensor) -> Tensor:
        return -nn.functional.softplus(-scores)
