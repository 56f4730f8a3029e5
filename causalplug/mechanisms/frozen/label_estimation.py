"""``P(label | parents)`` of a generator, estimated from rows of data or from real images that
have no labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from causalplug.encoders.convolution import ImageTrunk
from causalplug.errors import LabelMapError
from causalplug.mechanisms.frozen.label import Label
from causalplug.mechanisms.frozen.label_estimate import Classifier, LabelMapEstimate
from causalplug.mechanisms.frozen.label_map import LabelMap
from causalplug.noise import Noise, NoiseSpec
from causalplug.selection import pick, sizes_of, without
from causalplug.values import Named
from causalplug.variables import Image, Variable
from causalplug.wording import as_names

__all__ = ["Labelled", "estimate_label_map", "fit_label_classifier", "mixture_proportions"]


class Labelled(Protocol):
    """What the estimation reads of a bound generator."""

    @property
    def name(self) -> str | None: ...
    @property
    def variable(self) -> Any: ...
    @property
    def labels(self) -> Sequence[Label]: ...
    @property
    def bound_parents(self) -> Mapping[str, Variable]: ...
    @property
    def generator_noise(self) -> Mapping[str, NoiseSpec]: ...
    def paint(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor: ...


def estimate_label_map(asked: LabelMapEstimate, mechanism: Labelled, rows: Named) -> LabelMap:
    """The label map of a bound generator.

    Args:
        asked: How it is to be estimated.
        mechanism: The generator, bound, so that it has a name, parents and a range.
        rows: Encoded columns: the parents, and the variable's images ``(n, …)``; or columns of
            labels under their names, as
            :func:`~causalplug.mechanisms.frozen.label_columns.with_label_values` gives them.

    Raises:
        LabelMapError: A column is not in the data.
    """
    columns = as_names(asked.column or str(mechanism.name))
    needed = [*mechanism.bound_parents, *columns]
    missing = without(needed, rows)
    if missing:
        raise LabelMapError(
            f"The label map of {mechanism.name!r} cannot be estimated: the data have no column "
            f"{', '.join(missing)}. Record it in a source, or give a label map."
        )
    if asked.column is not None:
        frame = {}
        for name, parent in mechanism.bound_parents.items():
            frame[name] = parent.decode(rows[name])
        return LabelMap.from_rows(
            frame | pick(rows, without(columns, frame)),
            parents=mechanism.bound_parents,
            labels=mechanism.labels,
            label=asked.column,
        )
    parents = pick(rows, mechanism.bound_parents)
    return _from_images(asked, mechanism, rows[str(mechanism.name)], parents)


def _from_images(
    asked: LabelMapEstimate, mechanism: Labelled, images: Tensor, parents: Mapping[str, Tensor]
) -> LabelMap:
    """The map from real images ``(n, …)`` and the codes ``(n,)`` of their parents."""
    size = math.prod(sizes_of(mechanism.labels))
    variable = mechanism.variable
    painted, joint = generator_samples(mechanism, asked.samples, seed=asked.seed)
    held = torch.arange(len(joint)) % 2 == 1
    classify = asked.classifier
    if classify is None:
        classify = fit_label_classifier(
            variable, painted[~held], joint[~held], size, steps=asked.steps, seed=asked.seed
        )
    confusion = _counts(_predict(classify, painted[held], variable), joint[held], size) + 0.01
    predicted = _predict(classify, images, variable)
    discrete: dict[str, Variable] = dict(mechanism.bound_parents)
    template = LabelMap.uniform(discrete, mechanism.labels)
    if parents:
        combination = template.index(parents)
    else:
        combination = torch.zeros_like(predicted)
    counts = _counts(predicted, combination, size)
    full = counts.new_zeros(len(template.probabilities), size)
    full[: len(counts)] = counts
    table = torch.stack(
        [mixture_proportions(confusion / confusion.sum(1, keepdim=True), row) for row in full]
    )
    table = torch.where(table < asked.minimum, 0.0, table)
    empty = table.sum(1) == 0
    table[empty] = 1 / size
    return LabelMap(discrete, mechanism.labels, table / table.sum(1, keepdim=True))


def mixture_proportions(confusion: Tensor, counts: Tensor, *, rounds: int = 500) -> Tensor:
    """Maximum-likelihood proportions of classes from counts of a classifier's decisions, by
    expectation maximisation.

    Args:
        confusion: ``P(decision | class)``, ``(classes, decisions)``.
        counts: Counts of the decisions, ``(decisions,)``; without any, every class gets the same
            share.
        rounds: Rounds of expectation maximisation.

    Returns:
        Proportions ``(classes,)``, at least 0, with sum 1.
    """
    shares = torch.full((len(confusion),), 1 / len(confusion), dtype=torch.float64)
    if counts.sum() == 0:
        return shares
    weights = counts.double() / counts.sum()
    for _ in range(rounds):
        joint = shares[:, None] * confusion.double()
        shares = (joint / joint.sum(0, keepdim=True).clamp_min(1e-300) * weights).sum(1)
    return shares / shares.sum()


def generator_samples(
    mechanism: Labelled, per_label: int, *, seed: int = 0, batch_size: int = 500
) -> tuple[Tensor, Tensor]:
    """Images ``(n, …)`` of the bound variable and joint labels ``(n,)``: every label equally
    often, in turn."""
    size = math.prod(sizes_of(mechanism.labels))
    joint = torch.arange(size).repeat(per_label)
    painted = []
    for part in Noise(len(joint), seed).chunks(batch_size):
        own = {}
        for key, spec in mechanism.generator_noise.items():
            own[key] = part.draw(f"samples/{key}", spec)
        painted.append(mechanism.paint(joint[part.rows], own))
    order = torch.randperm(len(joint), generator=torch.Generator().manual_seed(seed))
    return torch.cat(painted)[order], joint[order]


def fit_label_classifier(
    variable: Variable,
    images: Tensor,
    labels: Tensor,
    classes: int,
    *,
    steps: int = 300,
    seed: int = 0,
    augment: bool = True,
) -> Classifier:
    """A small convolutional classifier of ``labels`` ``(n,)``; with ``augment``, images are changed
    while it learns.

    The changes (shifts, dimming, noise) keep it from resting on what only the generator's images
    have.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trunk = ImageTrunk(variable)
        network = nn.Sequential(trunk, nn.Linear(trunk.size, 64), nn.SiLU(), nn.Linear(64, classes))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rows = torch.randint(len(images), (min(128, len(images)),), generator=generator)
        batch = variable.scale(images[rows])
        if augment:
            batch = _augmented(variable, batch, generator)
        loss = nn.functional.cross_entropy(network(batch), labels[rows], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.requires_grad_(False).eval()


def _augmented(variable: Variable, batch: Tensor, generator: torch.Generator) -> Tensor:
    """Shifted by up to a sixteenth of its size, dimmed and with a little noise."""
    most = min(variable.height, variable.width) // 16
    shift = torch.randint(-most, most + 1, (2,), generator=generator).tolist()
    batch = torch.roll(batch, shift, (2, 3))
    light = 0.7 + 0.3 * torch.rand(len(batch), 1, 1, 1, generator=generator)
    batch = variable.low + (batch - variable.low) * light
    return batch + 0.05 * (variable.high - variable.low) * torch.randn(
        batch.shape, generator=generator
    )


def _predict(
    classify: Classifier, images: Tensor, variable: Image, batch_size: int = 500
) -> Tensor:
    with torch.no_grad():
        return torch.cat(
            [classify(variable.scale(part)).argmax(-1) for part in images.split(batch_size)]
        )


def _counts(decisions: Tensor, groups: Tensor, size: int) -> Tensor:
    """``(groups, size)`` counts of decisions by group."""
    rows = 0
    if len(groups):
        rows = int(groups.max()) + 1
    return (
        torch.bincount(groups * size + decisions, minlength=rows * size).view(rows, size).double()
    )
