"""The rows of an estimate that meet one evidence: found by rejection, or inferred and weighed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalplug.sampling.accept import infer_from
from causalplug.sampling.condition import Given
from causalplug.sampling.limits import Limits
from causalplug.sampling.posterior import Posterior
from causalplug.sampling.worlds import Rows, World

if TYPE_CHECKING:
    from causalplug.model.model import Model

__all__ = ["Met"]

Targets = Sequence[tuple[World, list[str]]]


class Met:
    """How often one evidence was met so far.

    Args:
        given: The evidence by world, prepared.
        targets: Worlds and variables that are read under it.
        wanted: Rows that have to meet it; weighed rows count by their effective number.

    Attributes:
        rows: Rows that met it.
        posterior: How rows are inferred from it, or None.
    """

    def __init__(self, given: Sequence[Given], targets: Targets, wanted: int):
        self.given, self.targets, self.wanted = list(given), list(targets), wanted
        self.rows = 0
        self._weight = self._square = 0.0
        self._weighted = False
        self.posterior: Posterior | None = None

    def prepare(self, dcm: Model) -> None:
        """Prepare each part of the evidence for what is read after it."""
        for place, part in enumerate(self.given):
            later = [(given.world, given.names) for given in self.given[place + 1 :]]
            part.prepare(dcm, [*later, *self.targets])

    def infer(self, dcm: Model, seed: int, limits: Limits) -> None:
        """Decide whether rows are inferred; must run before :meth:`filter`."""
        self.posterior = infer_from(dcm, self.given, self.targets, seed, limits)

    @property
    def count(self) -> int:
        """Rows that met it; of weighed ones the effective number."""
        if not self._weighted:
            return self.rows
        if self._square:
            return math.floor(self._weight**2 / self._square)
        return 0

    def filter(self, base: Rows) -> tuple[Rows, Tensor]:
        """Of the consecutive candidates ``base`` those that meet it, and their positions."""
        index = torch.arange(len(base))
        if not self.given:
            return base, index
        rows, rest = base, self.given
        if self.posterior is not None:
            first = int(base.noise.rows[0])
            rows = self.posterior.weighted(base.noise.rows)
            rows.banks = base.banks
            index = rows.noise.rows - first
            rest = [given for given in self.given if given is not self.posterior.given]
        keep = rows.frontier([*self.targets, *((g.clamped, g.names) for g in rest)])
        for part in rest:
            rows, chosen = part.filter(rows, keep)
            index = index[chosen]
        return rows, index

    def reached(self, rows: Rows, index: Tensor) -> int | None:
        """Candidates of this batch after which it is met often enough; None if they are too few."""
        missing = self.wanted - self.count
        if missing <= 0:
            return 0
        weight = _weights(rows)
        if weight is None:
            if len(index) >= missing:
                return int(index[missing - 1]) + 1
            return None
        total = self._weight + weight.cumsum(0)
        effective = total.square() / (self._square + weight.square().cumsum(0))
        enough = (effective >= self.wanted).nonzero()
        if len(enough):
            return int(index[int(enough[0])]) + 1
        return None

    def add(self, rows: Rows) -> None:
        """Count the rows of one batch."""
        self.rows += len(rows)
        weight = _weights(rows)
        if weight is not None:
            self._weighted = True
            self._weight += float(weight.sum())
            self._square += float(weight.square().sum())


def _weights(rows: Rows) -> Tensor | None:
    log_weight = rows.marks.get("log_weight")
    if log_weight is None:
        return None
    return log_weight.exp().cpu()
