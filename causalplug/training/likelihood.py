"""The objective ``likelihood``: Monte-Carlo maximum likelihood of every c-factor, on real
parents."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from causalplug.data.source import Rows
from causalplug.errors import PlanError
from causalplug.graphs.graph import CausalGraph
from causalplug.model.model import Model
from causalplug.selection import by_name, values_at, within
from causalplug.tensors import rows_at
from causalplug.training.config import TrainingConfig
from causalplug.training.factors import (
    Cells,
    ConfounderDraws,
    confounders_of,
    distinct,
    log_mean_exp,
    pixel_column,
    rows_log_prob,
    served,
    tabular,
)
from causalplug.training.progress import paired
from causalplug.training.proposal import Proposal

__all__ = ["Likelihood", "Scores", "advantage", "gain", "mean"]

_TABLE_LIMIT = 2**20  # numbers of one step up to which a factor is evaluated as one table
_SCORED, _SCORED_TOGETHER = (
    4096,
    1024,
)  # held-out rows of a factor that is no table: of which, and at a time


class Scores(NamedTuple):
    """Log c-factors of one source's rows, equal rows once.

    Attributes:
        values: ``(r,)``.
        counts: ``(r,)``, how many rows each value stands for.
        share: Share of the source among all rows.
    """

    values: Tensor
    counts: Tensor
    share: float


def mean(scores: Sequence[Scores]) -> float:
    """Log likelihood per row of all sources together."""
    return sum(float((s.values * s.counts).sum() / s.counts.sum()) * s.share for s in scores)


def gain(one: Sequence[Scores], other: Sequence[Scores]) -> tuple[float, float]:
    """By how much the first log likelihood is above the second on the same rows, and its
    standard error."""
    total, variance = 0.0, 0.0
    for a, b in zip(one, other, strict=True):
        difference, error = paired(a.values, b.values, a.counts)
        total += difference * a.share
        variance += (error * a.share) ** 2
    return total, math.sqrt(variance)


def advantage(one: Sequence[Scores], other: Sequence[Scores]) -> float:
    """By how many of its standard errors the first log likelihood is above the second, on the
    same rows; 0 if equal."""
    difference, error = gain(one, other)
    if error > 0:
        return difference / error
    return 0.0


@dataclass
class _Factor:
    """One c-factor on the rows of one source."""

    variables: tuple[str, ...]
    rows: dict[str, Tensor]
    share: float  # of all rows
    draws: ConfounderDraws
    proposal: Proposal | None = None
    cells: Cells | None = None
    counts: Tensor | None = None
    weights: Tensor | None = None
    tabular: bool = False

    def __len__(self) -> int:
        return len(self.rows[self.variables[0]])

    def loss(self, dcm: Model, batch_size: int, generator: torch.Generator) -> Tensor:
        """Minus the mean log c-factor."""
        noise = {}
        if self.proposal is None:
            noise = self.draws(generator)
        if self.cells is not None and self.weights is not None:
            return -(self.cells.log_mean(noise) * self.weights).sum()
        index = torch.randint(
            len(self), (min(batch_size, len(self)),), generator=generator, device=generator.device
        )
        batch = rows_at(self.rows, index)
        if self.proposal is None:
            return -self._log_mean(dcm, batch, noise).mean()
        return -self._proposed(dcm, self.proposal, batch, generator).mean()

    def _log_mean(self, dcm: Model, rows: dict[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        """Log c-factor ``(n,)`` for draws that all rows share; discrete mechanisms are run once
        for every value of their parents."""
        if self.tabular:
            return Cells(dcm, self.variables, rows).log_mean(noise)
        return log_mean_exp(rows_log_prob(dcm, self.variables, rows, noise))

    def _proposed(
        self, dcm: Model, proposal: Proposal, rows: Mapping[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        """Log c-factor ``(n,)``; its gradient also moves the proposal towards the draws that
        explain the rows."""
        drawn = proposal(rows, self.draws, generator)
        terms = rows_log_prob(dcm, self.variables, rows, drawn.noise) + drawn.log_weight
        explains = (torch.softmax(terms.detach(), 0) * drawn.log_density).sum(0)
        return log_mean_exp(terms) + explains - explains.detach()

    def scores(self, dcm: Model, generator: torch.Generator) -> Scores:
        """Log c-factors of all rows, or of the first some thousand."""
        if self.cells is not None and self.counts is not None:
            return Scores(self.cells.log_mean(self.draws(generator)), self.counts, self.share)
        noise = {}
        if self.proposal is None:
            noise = self.draws(generator)
        values = []
        for start in range(0, min(len(self), _SCORED), _SCORED_TOGETHER):
            part = {}
            for name, value in self.rows.items():
                part[name] = value[start : start + _SCORED_TOGETHER]
            if self.proposal is None:
                values.append(self._log_mean(dcm, part, noise))
            else:
                values.append(self._proposed(dcm, self.proposal, part, generator))
        found = torch.cat(values)
        return Scores(found, torch.ones_like(found), self.share)


class Likelihood:
    """Maximises ``sum over sources of log Q[C](c | pa(c))`` for every c-component C of a module.

    Parents are read from the data, images as projections: nothing is generated, so modules train in
    any order. Rows of all sources count equally; which parts of a component a source's rows
    determine is said by :func:`served`.

    Args:
        dcm: The model.
        variables: The module's variables; every mechanism is explicit.
        sources: Training rows, images as projections ``(n, size)``; the pixels that a mechanism
            makes or reads under :func:`~causalplug.training.factors.pixel_column`.
        config: Batch size, draws and seed are read.
        proposals: Proposals of a likelihood of the same module on other rows, instead of new ones.
        groups: By source, what :func:`~causalplug.training.factors.served` gives; found anew where
            None.

    Attributes:
        proposals: One for every c-factor with confounder noise and a continuous variable, trained
            with the mechanisms.

    Raises:
        PlanError: A mechanism has no explicit density, or no source determines the c-factor of a
            component.
    """

    def __init__(
        self,
        dcm: Model,
        variables: Sequence[str],
        sources: Sequence[Rows],
        config: TrainingConfig,
        *,
        proposals: Sequence[Proposal] | None = None,
        groups: Sequence[Sequence[tuple[str, ...]]] | None = None,
    ):
        _check_explicit(dcm, variables)
        self.dcm, self.variables, self.config = dcm, tuple(variables), config
        self.factors: list[_Factor] = []
        if groups is None:
            groups = [served(dcm.graph, rows.source.recorded, rows.source.do) for rows in sources]
        self._groups = groups
        for component in _components(dcm.graph, variables):
            _check_determined(dcm.graph, component, groups)
            for of_source, rows in zip(groups, sources, strict=True):
                inside = [group for group in of_source if component.issuperset(group)]
                self.factors += [self._factor(group, rows) for group in inside]
        self._complete(sum(map(len, sources)), iter(proposals or ()))

    def _complete(self, total: int, known: Iterator[Proposal]) -> None:
        """Give each factor its share of the rows, and its table or its proposal."""
        dcm = self.dcm
        self.proposals: list[Proposal] = []
        for factor in self.factors:
            factor.share = len(factor) / total
            factor.tabular = tabular(dcm, factor.variables)
            if factor.tabular:
                self._tabulate(factor)
            elif factor.draws.keys and self._continuous(factor.variables):
                factor.proposal = next(known, None) or self._proposal(factor)
                self.proposals.append(factor.proposal)

    def _factor(self, variables: tuple[str, ...], rows: Rows) -> _Factor:
        graph = self.dcm.graph
        needed = dict.fromkeys(
            [*variables, *(parent for name in variables for parent in graph.parents(name))]
        )
        if self._continuous(variables):
            count = max(1, self.config.draws // 8)
        else:
            count = self.config.draws
        draws = ConfounderDraws(
            confounders_of(self.dcm, variables), self.dcm.confounder_size, count
        )
        columns = [*needed, *map(pixel_column, needed)]
        values = {name: rows.values[name] for name in columns if name in rows.values}
        return _Factor(variables, values, 0.0, draws)

    def _continuous(self, variables: Sequence[str]) -> bool:
        declared = values_at(self.dcm.variables, variables)
        return any(not (v.is_discrete or v.needs_encoder) for v in declared)

    def _proposal(self, factor: _Factor) -> Proposal:
        names = within(factor.rows, self.dcm.variables)
        reads = by_name(self.dcm.parent_spec, names)
        return Proposal(reads, factor.rows, factor.draws.points.shape[1], seed=self.config.seed)

    def _tabulate(self, factor: _Factor) -> None:
        """Merge equal rows; fall back to batches where the table would be large."""
        sizes = [self.dcm.variables[name].size for name in factor.rows]
        rows, _, counts = distinct(factor.rows, sizes)
        factor.cells = Cells(self.dcm, factor.variables, rows)
        draws = 1
        if factor.draws.keys:
            draws = factor.draws.draws
        if factor.cells.work * draws > _TABLE_LIMIT:
            factor.cells = None
            return
        factor.counts, factor.weights = counts, counts / counts.sum()

    @property
    def exact(self) -> bool:
        """Whether densities are known without draws of confounder noise, by batches of rows."""
        return not any(factor.draws.keys or factor.cells for factor in self.factors)

    def loss(self, generator: torch.Generator) -> Tensor:
        """Minus the log likelihood per row of all sources together."""
        parts = []
        for factor in self.factors:
            parts.append(factor.share * factor.loss(self.dcm, self.config.batch_size, generator))
        return torch.stack(parts).sum()

    @torch.no_grad()
    def scores(self, seed: int) -> list[Scores]:
        """Log c-factors of the rows, by factor, for the draws of a seed."""
        generator = torch.Generator(self.dcm.device).manual_seed(seed)
        return [factor.scores(self.dcm, generator) for factor in self.factors]

    def score(self, seed: int) -> float:
        """Minus the log likelihood per row of all sources together, for the draws of a seed."""
        return -mean(self.scores(seed))

    def on(self, sources: Sequence[Rows]) -> Likelihood:
        """The same c-factors by the same proposals on other rows of the same sources, with 256
        draws or more."""
        settings = replace(self.config, draws=max(256, self.config.draws))
        known = {"proposals": self.proposals, "groups": self._groups}
        return Likelihood(self.dcm, self.variables, sources, settings, **known)  # type: ignore[arg-type]


def _check_explicit(dcm: Model, variables: Sequence[str]) -> None:
    implicit = [name for name in variables if not dcm.mechanism(name).explicit]
    if implicit:
        raise PlanError(
            f"{', '.join(variables)} cannot be trained by likelihood: the mechanism of "
            f"{', '.join(implicit)} has no explicit density. Use objective='adversarial' for "
            "this module."
        )


def _check_determined(
    graph: CausalGraph,
    component: frozenset[str],
    groups: Sequence[Sequence[tuple[str, ...]]],
) -> None:
    """Refuse a component whose c-factor no source determines as a whole."""
    for of_source in groups:
        if any(frozenset(group) == component for group in of_source):
            return
    parents = set(chain.from_iterable(map(graph.parents, component))) - component
    raise PlanError(
        f"{', '.join(sorted(component))} cannot be trained by likelihood: no source without an "
        f"intervention on them records all of {', '.join([*sorted(component), *sorted(parents)])} "
        "together. Add such a source."
    )


def _components(graph: CausalGraph, variables: Sequence[str]) -> list[frozenset[str]]:
    """The c-components that these variables make up, each whole, in their order."""
    found: list[frozenset[str]] = []
    left = dict.fromkeys(variables)
    while left:
        reached, new = set(), [next(iter(left))]
        while new:
            name = new.pop()
            if name not in reached:
                reached.add(name)
                new += graph.siblings(name)
        left = {name: None for name in left if name not in reached}
        found.append(frozenset(reached))
    return found
