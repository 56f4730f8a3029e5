"""The objective ``likelihood``: Monte-Carlo maximum likelihood of every c-factor, on real parents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from causalplug.errors import PlanError
from causalplug.model import DCM
from causalplug.training.config import TrainingConfig
from causalplug.training.data import Rows
from causalplug.training.factors import (
    Cells,
    ConfounderDraws,
    distinct,
    edges_of,
    log_mean_exp,
    rows_log_prob,
    served,
    tabular,
)
from causalplug.variables import Continuous

__all__ = ["Likelihood"]

_TABLE_LIMIT = 2**16  # configurations times draws up to which a factor is evaluated as one table


@dataclass
class _Factor:
    """One c-factor on the rows of one source."""

    variables: tuple[str, ...]
    rows: dict[str, Tensor]
    share: float  # of all rows
    draws: ConfounderDraws
    cells: Cells | None = None
    weights: Tensor | None = None

    def loss(self, dcm: DCM, batch_size: int, generator: torch.Generator) -> Tensor:
        """Minus the mean log c-factor."""
        noise = self.draws(generator)
        if self.cells is not None and self.weights is not None:
            return -(log_mean_exp(self.cells.log_prob(noise)) * self.weights).sum()
        size = len(self.rows[self.variables[0]])
        index = torch.randint(size, (min(batch_size, size),), generator=generator, device=generator.device)
        batch = {name: value[index] for name, value in self.rows.items()}
        return -log_mean_exp(rows_log_prob(dcm, self.variables, batch, noise)).mean()


class Likelihood:
    """Maximises ``sum over sources of log Q[C](c | pa(c))`` for every c-component C of a module.

    Parents are read from the data, images as projections: nothing is generated, so modules train in any order. Rows of
    all sources count equally; which parts of a component a source's rows determine is said by :func:`served`.

    Args:
        dcm: the model.
        variables: the module's variables; every mechanism is explicit.
        sources: training rows, images as projections ``(n, size)``.
        config: batch size and draws are read.

    Raises:
        PlanError: a mechanism has no explicit density, or no source determines the c-factor of a component.
    """

    def __init__(self, dcm: DCM, variables: Sequence[str], sources: Sequence[Rows], config: TrainingConfig):
        implicit = [name for name in variables if not dcm.mechanism(name).explicit]
        if implicit:
            raise PlanError(
                f"{', '.join(variables)} cannot be trained by likelihood: the mechanism of {', '.join(implicit)} "
                "has no "
                "explicit density. Use objective='adversarial' for this module."
            )
        self.dcm, self.config = dcm, config
        self.factors: list[_Factor] = []
        groups = [served(dcm.graph, rows.source.recorded, rows.source.do) for rows in sources]
        for component in dcm.graph.c_components():
            if not component <= set(variables):
                continue
            if not any(frozenset(group) == component for of_source in groups for group in of_source):
                parents = sorted({p for name in component for p in dcm.graph.parents(name)} - component)
                raise PlanError(
                    f"{', '.join(sorted(component))} cannot be trained by likelihood: no source without an "
                    "intervention on "
                    f"them records all of {', '.join([*sorted(component), *parents])} together. Add such a source."
                )
            for of_source, rows in zip(groups, sources, strict=True):
                self.factors += [self._factor(group, rows) for group in of_source if component.issuperset(group)]
        total = sum(len(rows) for rows in sources)
        for factor in self.factors:
            factor.share = len(factor.rows[factor.variables[0]]) / total
            if tabular(dcm, factor.variables):
                self._tabulate(factor)

    def _factor(self, variables: tuple[str, ...], rows: Rows) -> _Factor:
        graph = self.dcm.graph
        needed = dict.fromkeys([*variables, *(parent for name in variables for parent in graph.parents(name))])
        continuous = any(isinstance(self.dcm.variables[name], Continuous) for name in variables)
        count = max(1, self.config.draws // 4) if continuous else self.config.draws  # a density costs more than a table
        draws = ConfounderDraws(edges_of(graph, variables), self.dcm.confounder_size, count)
        return _Factor(variables, {name: rows.values[name] for name in needed}, 0.0, draws)

    def _tabulate(self, factor: _Factor) -> None:
        """Merge equal rows; fall back to batches where the table would be large."""
        sizes = [self.dcm.variables[name].size for name in factor.rows]  # type: ignore[attr-defined]
        rows, _, counts = distinct(factor.rows, sizes)
        factor.cells = Cells(self.dcm, factor.variables, rows)
        largest = max(1, *(len(next(iter(p.values()))) for p in factor.cells.parents.values() if p), len(counts) // 8)
        draws = factor.draws.draws if factor.draws.edges else 1
        if largest * draws > _TABLE_LIMIT:
            factor.cells = None
            return
        factor.weights = counts / counts.sum()

    def loss(self, generator: torch.Generator) -> Tensor:
        """Minus the log likelihood per row of all sources together."""
        parts = [factor.share * factor.loss(self.dcm, self.config.batch_size, generator) for factor in self.factors]
        return torch.stack(parts).sum()
