"""What counterfactual images are trained against: a critic, a reader of what no judge reads, and
what says where real rows can tell."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from causalplug.model.model import Model
from causalplug.networks import initialised
from causalplug.selection import by_name, pick, without
from causalplug.training.critics import CriticInput
from causalplug.training.image_readers import PairCritic, Reader, Support

__all__ = ["ImageOpponents", "Round"]

_LAZY = 8  # updates of the critic between two penalties


@dataclass(frozen=True, eq=False)
class Round:
    """What one part of a step compares.

    Attributes:
        image, parents: Real rows.
        other, lent: Real rows whose parents are lent.
        made, shown: Counterfactual and fresh images, and the parents that they are to show.
        counterfactual, after: The counterfactual ones alone.
    """

    image: Tensor
    parents: dict[str, Tensor]
    other: Tensor
    lent: dict[str, Tensor]
    made: Tensor
    shown: dict[str, Tensor]
    counterfactual: Tensor
    after: dict[str, Tensor]


class ImageOpponents(nn.Module):
    """Reader, critic and support of one image, trained while its mechanism is.

    Args:
        dcm: The model.
        name: The image.
        rows: Rows of data, for the scale of numbers.
        judged: Parents that judges read, which the reader leaves to them.
        seed: Seed of the weights.
    """

    def __init__(
        self,
        dcm: Model,
        name: str,
        rows: Mapping[str, Tensor],
        judged: Collection[str],
        seed: int,
    ):
        super().__init__()
        self.name = name
        names = list(dcm.mechanism(name).parents)
        projections = {n: dcm.encoder(n).size for n in names if n in dcm.encoders}
        declared = pick(dcm.variables, (*names, name))
        self.reads = CriticInput(declared, projections)
        self.reads.standardise(pick(rows, names))
        read = [n for n in without(names, judged) if not dcm.variables[n].needs_encoder]
        specs = by_name(dcm.parent_spec, read)
        self.critic = initialised(lambda: PairCritic(self.reads), seed + 1)
        self.reader: Reader | None = None
        if specs:
            self.reader = initialised(lambda: Reader(dcm.variables[name], specs, rows), seed + 2)
        self.support = initialised(lambda: Support(sum(self.reads.sizes)), seed + 3)

    def trained(self) -> list[nn.Parameter]:
        """Their parameters that are trained."""
        reading = [] if self.reader is None else self.reader.trained()
        return [*self.critic.parameters(), *reading, *self.support.parameters()]

    def lesson(self, index: int, part: Round) -> Tensor:
        """What they are to make small in step ``index``."""
        lazy = index % _LAZY == 0
        real = self.reads({**part.lent, self.name: part.other})
        made = self.reads({**part.shown, self.name: part.made.detach()})
        real = [value.detach().requires_grad_(lazy) for value in real]
        on_real = self.critic(real)
        loss = nn.functional.softplus(-on_real).mean()
        weights = self._weights(part, made[0])
        loss = loss + (weights * nn.functional.softplus(self.critic(made))).mean()
        if lazy:
            slopes = torch.autograd.grad(on_real.sum(), real, create_graph=True)
            square = torch.stack([g.float().flatten(1).square().sum(1) for g in slopes]).sum(0)
            loss = loss + 0.5 * _LAZY * square.mean()
        if self.reader is not None:
            loss = loss + self.reader.losses(real[-1].detach(), part.lent).mean()
        known, set_to = real[0].detach(), made[0][: len(part.image)]
        loss = loss + nn.functional.softplus(-self.support(known)).mean()
        return loss + nn.functional.softplus(self.support(set_to)).mean()

    def losses(self, part: Round) -> Tensor:
        """What the mechanism is to make small, as they see it."""
        made = self.reads({**part.shown, self.name: part.made})
        weights = self._weights(part, made[0])
        seen = (weights * nn.functional.softplus(-self.critic(made))).mean()
        if self.reader is None:
            return seen
        return seen + (weights * self.reader.losses(made[-1], part.shown)).mean()

    def _weights(self, part: Round, features: Tensor) -> Tensor:
        """How much each image counts: those under parents that do not occur together hardly at all,
        since no real row tells what they should look like."""
        count = len(part.image)
        fresh = torch.ones(len(features) - count, device=features.device)
        return torch.cat([self.support.weights(features[:count]), fresh])
