"""Influence of the rows on an answer, for modules that are trained by likelihood.

The answer's gradient by :mod:`~causalplug.uncertainty.gradient`, the Fisher information of every
c-component by :mod:`~causalplug.uncertainty.scores`; for effects with a recorded back-door the
doubly robust formula of :mod:`~causalplug.uncertainty.adjustment` in their place, wherever it does
not need every variable to be discrete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from causalplug.model.model import Model
from causalplug.selection import values_at
from causalplug.training.factors import served, tabular
from causalplug.training.learner import trainable
from causalplug.uncertainty.adjustment import Adjusted, adjusted, adjustment_names
from causalplug.uncertainty.enumerated import enumerated_gradient
from causalplug.uncertainty.gradient import NoGradient, answer_gradient
from causalplug.uncertainty.numbers import AnswerNumbers
from causalplug.uncertainty.samples import Sample
from causalplug.uncertainty.scores import Factor, Scores, rows_to_read

__all__ = ["Influence", "influence_of"]

_NOISE_ROWS, _NOISE_PICTURES = 32_768, 1024


@dataclass(frozen=True, eq=False)
class Influence:
    """What the rows add to the numbers of an answer, to first order.

    Attributes:
        variance: ``(k,)`` variance of the numbers, the rows being independent.
        correction: ``(k,)`` what the influence of all rows adds up to; only of data.
        by_row: For every sample ``(n, k)``, or None where only some of its rows were read.
        estimate: ``(k,)`` the doubly robust estimate, None where ``correction`` is to be added to
            the model's answer.
        parts: ``(k,)`` what each c-component owes to each sample, by the component's trained
            variables and the number of the sample; they add up to ``variance``. The doubly robust
            formula has no components, and its variables are empty.
    """

    variance: Tensor
    correction: Tensor
    by_row: list[Tensor | None]
    estimate: Tensor | None = None
    parts: Mapping[tuple[tuple[str, ...], int], Tensor] = field(default_factory=dict)

    def clustered(self, clusters: Sequence[Tensor | None]) -> Tensor | None:
        """``(k,)`` variance with rows of one cluster dependent, None where rows are missing.

        Args:
            clusters: For every sample the cluster ``(n,)`` of each row, None for independent rows.
        """
        total = torch.zeros_like(self.variance)
        for by_row, cluster in zip(self.by_row, clusters, strict=True):
            if by_row is None:
                return None
            total = total + (by_row if cluster is None else _summed(by_row, cluster)).square().sum(
                0
            )
        return total


def _summed(by_row: Tensor, cluster: Tensor) -> Tensor:
    """Sums over the clusters, by a factor for few of them (Liang & Zeger 1986)."""
    count = int(cluster.max()) + 1
    sums = torch.zeros(count, by_row.shape[1], dtype=by_row.dtype)
    sums.index_add_(0, cluster, by_row)
    return sums * (count / max(1, count - 1)) ** 0.5


def influence_of(
    dcm: Model,
    numbers: AnswerNumbers,
    samples: Sequence[Sample],
    trained: Iterable[str],
    *,
    seed: int = 0,
) -> Influence:
    """The influence of rows on the numbers of an answer.

    Args:
        dcm: The model.
        numbers: The numbers.
        samples: Rows of every source.
        trained: The variables whose mechanisms were trained by likelihood.
        seed: Seed of the noise.

    Raises:
        NoGradient: The answer has no gradient that can be computed here.
    """
    read: set[str] = set()
    for world, target in numbers.targets:
        read.update(name for name, _ in world.run([target]))
    known = set(trained)
    parts = []
    for component in dcm.graph.c_components():
        if component & read & known:
            parts.append(component)
    needed = []
    for part in parts:
        needed.extend(sorted(part & known))
    if not tabular(dcm, needed):
        found = _doubly_robust(dcm, numbers, samples, seed)
        if found is not None:
            return found
    parameters = {name: trainable(dcm.mechanism(name)) for name in needed}
    gradients = enumerated_gradient(dcm, numbers, parameters)
    if gradients is None:
        wide = any(dcm.variables[name].needs_encoder for name in read)
        rows = _NOISE_ROWS
        if wide:
            rows = _NOISE_PICTURES
        gradients = answer_gradient(dcm, numbers, parameters, rows=rows, seed=seed)
    return _by_fisher(dcm, samples, parameters, gradients, numbers.size)


def _doubly_robust(
    dcm: Model, numbers: AnswerNumbers, samples: Sequence[Sample], seed: int
) -> Influence | None:
    """The doubly robust formula, where it holds, on all sources without interventions that have
    all that it reads."""
    names = adjustment_names(dcm, numbers)
    if names is None:
        return None
    read = {}
    for place, sample in enumerate(samples):
        if not sample.source.do and names <= sample.source.recorded:
            read[place] = sample
    if not read:
        return None
    columns = {}
    for name in sorted(names):
        columns[name] = torch.cat([sample.values[name] for sample in read.values()])
    found = adjusted(dcm, numbers, columns, seed)
    return _of_samples(found, samples, read)


def _of_samples(
    found: Adjusted, samples: Sequence[Sample], read: Mapping[int, Sample]
) -> Influence:
    """The influence of an adjusted estimate on the rows of some of the samples, by number, one
    after the other."""
    lengths = list(map(len, read.values()))
    own = found.influence.cpu() / sum(lengths)
    parts = dict(zip(read, own.split(lengths), strict=True))
    by_row: list[Tensor | None] = []
    for place, sample in enumerate(samples):
        nothing = torch.zeros(len(sample), own.shape[1], dtype=torch.float64)
        by_row.append(parts.get(place, nothing))
    stands_for = sum(sample.stands_for for sample in read.values())
    owed: dict[tuple[tuple[str, ...], int], Tensor] = {}
    for place, part in parts.items():
        owed[(), place] = part.square().sum(0) * (sum(lengths) / stands_for)
    variance = torch.stack(list(owed.values())).sum(0)
    return Influence(variance, own.sum(0), by_row, found.estimate.cpu(), owed)


def _by_fisher(
    dcm: Model,
    samples: Sequence[Sample],
    parameters: Mapping[str, Sequence[nn.Parameter]],
    gradients: Mapping[str, Tensor],
    size: int,
) -> Influence:
    """Every c-component's scores and the Fisher information of all sources together."""
    variance = torch.zeros(size, dtype=torch.float64)
    by_row: list[Tensor | None] = []
    for sample in samples:
        by_row.append(torch.zeros(len(sample), size, dtype=torch.float64))
    correction = torch.zeros(size, dtype=torch.float64)
    owed: dict[tuple[tuple[str, ...], int], Tensor] = {}
    for component in dcm.graph.c_components():
        own = []
        for name in dcm.graph.variables:
            if name in component and name in parameters:
                own.append(name)
        placed = list(_factors(dcm, samples, component))
        if not own:
            continue
        if not placed:
            raise NoGradient(f"no table says anything about {', '.join(own)}")
        flat = _flat(parameters, own)
        sizes = rows_to_read(dcm, [factor for _, factor in placed], flat)
        placed = [(p, f.thinned(size)) for (p, f), size in zip(placed, sizes, strict=True)]
        scores = Scores(dcm, [factor for _, factor in placed], flat)
        found = scores.influence(torch.cat(values_at(gradients, own), 1))
        weighted = scores.counts[:, None] * found
        variance += (weighted * found).sum(0)
        correction += weighted.sum(0)
        lengths = [len(factor) for _, factor in placed]
        for (place, _), squares in zip(placed, (weighted * found).split(lengths), strict=True):
            key = tuple(own), place
            owed[key] = owed.get(key, torch.zeros_like(variance)) + squares.sum(0)
        parts = found.split(lengths)
        for (place, factor), part in zip(placed, parts, strict=True):
            known = by_row[place]
            if known is None or factor.which is None:
                by_row[place] = None
            else:
                by_row[place] = known + part[factor.which]
    return Influence(variance, correction, by_row, parts=owed)


def _factors(
    dcm: Model, samples: Sequence[Sample], component: frozenset[str]
) -> Iterator[tuple[int, Factor]]:
    """Number of the sample and c-factor, for everything that the samples say of a c-component."""
    for place, sample in enumerate(samples):
        for group in served(dcm.graph, sample.source.recorded, sample.source.do):
            if component.issuperset(group):
                factor = Factor.of(dcm, group, sample.values, sample.stands_for)
                yield place, factor


def _flat(
    parameters: Mapping[str, Sequence[nn.Parameter]], names: Sequence[str]
) -> list[nn.Parameter]:
    found: list[nn.Parameter] = []
    for name in names:
        found.extend(parameters[name])
    return found
