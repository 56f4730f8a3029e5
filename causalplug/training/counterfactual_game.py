"""Training by counterfactuals of rows: an image under other parents must look like the images that
have these parents, show them, and come back.

Where the noise of an image is independent of its parents, counterfactual images under the parents
of another row are distributed as that row's image. A likelihood alone does not see to it that what
is recovered as noise is independent of the parents: what the noise still tells about them shows
again in the counterfactual. Here a critic compares counterfactual with real pairs of image and
parents, and a reader, trained on real rows, has to find the parents that were set (Ribeiro et al.
2023 fine-tune through such a predictor).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from causalplug.data.source import Rows
from causalplug.errors import PlanError
from causalplug.model.model import Model
from causalplug.networks import initialised
from causalplug.selection import by_name, pick
from causalplug.tensors import first_rows, rows_at
from causalplug.training.checkpoint import optimizer_tensors, restore_optimizer
from causalplug.training.config import TrainingConfig
from causalplug.training.critics import CriticInput, Scaled
from causalplug.training.factors import pixel_column
from causalplug.training.image_readers import PairCritic, Reader, Support
from causalplug.training.learner import Learner

__all__ = ["CounterfactualLearner", "check_counterfactual"]

_LAZY = 8  # updates of the critic between two penalties
_WARM = 0.1  # share of the steps in which reader and critic learn alone
_RETURN = 10.0  # weight of the way back, in absolute pixels
_FRESH = 4  # one fresh image for so many counterfactual ones


def check_counterfactual(dcm: Model, variables: Sequence[str]) -> str:
    """The image that a module is, where it can be trained by counterfactuals.

    Raises:
        PlanError: The module is more than one image, the image is confounded, or its noise cannot
            be recovered.
    """
    (name, *others) = variables
    mechanism = dcm.mechanism(name)
    why = ""
    if others or not dcm.variables[name].is_image:
        why = "it is no single image"
    elif dcm.graph.siblings(name):
        why = f"{name} <-> {dcm.graph.siblings(name)[0]}: its noise depends on its parents"
    elif not dcm.graph.parents(name):
        why = f"{name} has no parents that could be set"
    elif mechanism.abduction is None or not mechanism.differentiable:
        why = (
            f"{type(mechanism).__name__} does not recover its noise; use "
            f"mechanisms={{{name!r}: cp.InvertibleImage()}}"
        )
    if why:
        raise PlanError(
            f'module {"+".join(variables)} cannot be trained with objective "counterfactual": {why}'
        )
    return name


class CounterfactualLearner(Learner):
    """Plays the counterfactual game of one image.

    Args:
        dcm: The model.
        variables: The image alone.
        config: Settings.
        sources: Training rows, pixels of the image under
            :func:`~causalplug.training.factors.pixel_column` where it has an encoder.
        options: As of :class:`~causalplug.training.learner.Learner`.

    Raises:
        PlanError: The module is none that can be trained so, or no source has the image with all
            its parents.
    """

    def __init__(
        self,
        dcm: Model,
        variables: Sequence[str],
        config: TrainingConfig,
        sources: Sequence[Rows],
        **options: object,
    ):
        options = {"rate": 5e-4, "betas": (0.5, 0.99), **options}
        super().__init__(dcm, variables, config, **options)  # type: ignore[arg-type]
        self.name = check_counterfactual(dcm, variables)
        self.mechanism = dcm.mechanism(self.name)
        self.rows = _usable(dcm, self.name, sources)
        self.count = len(self.rows[self.name])
        names = list(self.mechanism.parents)
        projections = {n: dcm.encoder(n).size for n in names if n in dcm.encoders}
        declared = pick(dcm.variables, (*names, self.name))
        self.reads = CriticInput(declared, projections)
        self.reads.standardise(pick(self.rows, names))
        specs = by_name(dcm.parent_spec, names)
        self.critic = initialised(lambda: PairCritic(self.reads), config.seed + 1)
        self.reader = initialised(
            lambda: Reader(dcm.variables[self.name], specs, self.rows), config.seed + 2
        )
        self.support = initialised(lambda: Support(sum(self.reads.sizes)), config.seed + 3)
        for helper in (self.reads, self.critic, self.reader, self.support):
            helper.to(self.accelerator.device)
        self.helping = [
            *self.critic.parameters(),
            *self.reader.trained(),
            *self.support.parameters(),
        ]
        self.helper = self._adam(self.helping, 1e-3, (0.0, 0.99))

    # -- one step

    def step(self, index: int, generator: torch.Generator) -> float:
        progress = self._anneal(index)
        for group in self.helper.param_groups:
            group["lr"] = 1e-3 * max(0.05, 1 - progress)
        with self._autocast():
            parts = [self._round(generator) for _ in range(self.config.gradient_accumulation_steps)]
        self._update(
            self.helper,
            self.helping,
            lambda part, scaled: self._help(index, parts[part], scaled),
        )
        loss = torch.zeros(())
        if index > _WARM * self.steps:
            _fix(self.helping, True)
            loss = self._update(
                self.optimizer,
                self.parameters,
                lambda part, scaled: self._differentiate(self._loss(parts[part]), scaled),
            )
            _fix(self.helping, False)
        self.average.update(index)
        return float(loss)

    def _round(self, generator: torch.Generator) -> _Round:
        """Rows, what is set, and the images that come of it."""
        rows, other = self._batch(generator), self._batch(generator)
        parents = pick(rows, self.mechanism.parents)
        lent = pick(other, self.mechanism.parents)
        after = self._set(parents, lent, generator)
        image = rows[self.name]
        recovered = self.mechanism.abduct(image, parents)
        counterfactual = self.mechanism(after, recovered)
        count = max(1, len(image) // _FRESH)
        few = first_rows(lent, count)
        drawn = {}
        for key, spec in self.mechanism.noise.items():
            drawn[key] = spec.draw(count, generator).to(image.device)
        made = torch.cat([counterfactual, self.mechanism(few, drawn)])
        shown = {n: torch.cat([after[n], few[n]]) for n in after}
        return _Round(image, parents, other[self.name], lent, made, shown, counterfactual, after)

    def _batch(self, generator: torch.Generator) -> dict[str, Tensor]:
        size = min(self.config.batch_size, self.count)
        index = torch.randint(self.count, (size,), generator=generator, device=generator.device)
        found = rows_at(self.rows, index)
        found[self.name] = self.dcm.variables[self.name].scale(found[self.name])
        return found

    def _set(
        self, own: Mapping[str, Tensor], lent: Mapping[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """All parents of another row for half of the rows, one parent of it for the others."""
        names = list(own)
        size, device = len(own[names[0]]), generator.device
        which = torch.randint(2 * len(names), (size,), generator=generator, device=device)
        found = {}
        for place, name in enumerate(names):
            taken = (which == place) | (which >= len(names))
            taken = taken.view(-1, *[1] * (own[name].ndim - 1))
            found[name] = torch.where(taken, lent[name], own[name])
        return found

    def _help(self, index: int, part: _Round, scaled: Scaled) -> Tensor:
        """The losses of critic and reader, differentiated."""
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
        loss = loss + self.reader.losses(real[-1].detach(), part.lent).mean()
        known, set_to = real[0].detach(), made[0][: len(part.image)]
        loss = loss + nn.functional.softplus(-self.support(known)).mean()
        loss = loss + nn.functional.softplus(self.support(set_to)).mean()
        return self._differentiate(loss, scaled)

    def _loss(self, part: _Round) -> Tensor:
        """What the mechanism is to make small."""
        made = self.reads({**part.shown, self.name: part.made})
        weights = self._weights(part, made[0])
        seen = (weights * nn.functional.softplus(-self.critic(made))).mean()
        read = (weights * self.reader.losses(made[-1], part.shown)).mean()
        back = self.mechanism(part.parents, self.mechanism.abduct(part.counterfactual, part.after))
        returned = (back - part.image).abs().mean()
        bound = -self.mechanism.log_prob(part.image, part.parents).mean() / part.image[0].numel()
        return seen + read + _RETURN * returned + bound

    def _weights(self, part: _Round, features: Tensor) -> Tensor:
        """How much each image counts: those under parents that do not occur together hardly at all,
        since no real row tells what they should look like."""
        count = len(part.image)
        fresh = torch.ones(len(features) - count, device=features.device)
        return torch.cat([self.support.weights(features[:count]), fresh])

    # -- checkpoints

    def tensors(self) -> dict[str, Tensor]:
        helping = {f"helping.{i}": p.detach() for i, p in enumerate(self.helping)}
        return super().tensors() | helping | optimizer_tensors(self.helper, "helping_optimizer.")

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        super().load(tensors)
        with torch.no_grad():
            for i, parameter in enumerate(self.helping):
                parameter.copy_(tensors[f"helping.{i}"])
        restore_optimizer(self.helper, tensors, "helping_optimizer.")


@dataclass(frozen=True, eq=False)
class _Round:
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


def _fix(parameters: Sequence[nn.Parameter], fixed: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(not fixed)


def _usable(dcm: Model, name: str, sources: Sequence[Rows]) -> dict[str, Tensor]:
    """The rows that have the image as it came about, with all its parents.

    Raises:
        PlanError: There are none.
    """
    needed = (name, *dcm.mechanism(name).parents)
    usable = []
    for rows in sources:
        if set(needed) <= set(rows.values) and name not in rows.source.do:
            usable.append(rows)
    if not usable:
        raise PlanError(
            f"{name} cannot be trained by counterfactuals: no source without an intervention on it "
            f"records all of {', '.join(needed)} together. Add such a source."
        )
    found = {}
    for column in needed:
        key = pixel_column(column) if column == name else column
        parts = [rows.values.get(key, rows.values[column])[:] for rows in usable]
        found[column] = torch.cat(parts)
    return found
