"""Rows of noise given what was seen in one world, by inference in place of rejection.

What was seen is imposed: every variable gets its value and candidates of the confounder noise are
weighed by how probable that is. Each block is inferred by itself (see
:mod:`causalplug.sampling.scene`), by an exact sum where it can be, else by candidates: a pool of
them for every row where rows have evidence of their own, one for some thousand rows where they
share it. A pool grows until enough of its candidates count. Own noise is recovered last: from its
distribution given the value for a category, by inversion for a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalplug.errors import SamplingError
from causalplug.noise import Noise
from causalplug.sampling.block_draws import BlockDraws
from causalplug.sampling.condition import Given
from causalplug.sampling.interventions import ROUND
from causalplug.sampling.limits import Limits
from causalplug.sampling.pilot import Pilots
from causalplug.sampling.pools import Chosen, OwnPools, SharedPool, first_few
from causalplug.sampling.proposal import Normals
from causalplug.sampling.scene import AGAIN, Block, Scene
from causalplug.sampling.weigh import Drawn
from causalplug.sampling.worlds import Rows, World
from causalplug.tensors import rows_at

if TYPE_CHECKING:
    from causalplug.model.model import Model

__all__ = ["Effort", "Posterior"]

_SHARED, _WIDE_SHARED = 4096, 256  # rows that share a pool


@dataclass(eq=False)
class Effort:
    """What the inference took.

    Attributes:
        candidates: Candidates of all blocks that were tried.
        rows: Rows that were drawn by weight.
        effective: Sum over them of the effective sizes of the smallest pools that they came from.
        pool: Sum over them of the sizes of those pools.
    """

    candidates: int = 0
    rows: int = 0
    effective: float = 0.0
    pool: float = 0.0


@dataclass(eq=False)
class Posterior:
    """The rows of noise that agree with what was seen in one world.

    Args:
        dcm: The model.
        given: What was seen, prepared.
        later: Worlds and variables that will be asked for, or None for any.
        seed: Seed of the noise.
        limits: When to give up.

    Attributes:
        effort: What it took so far.
    """

    dcm: Model
    given: Given
    later: Sequence[tuple[World, Sequence[str]]] | None
    seed: int
    limits: Limits
    effort: Effort = field(default_factory=Effort)

    def __post_init__(self) -> None:
        self.scene = Scene(self.dcm, self.given)
        self.possible = self.scene.possible
        self.draws = BlockDraws(self.scene, self.seed)
        self.pilots = Pilots(self.draws)
        self._shared: dict[int, Rows] = {}
        self._recover = self._needed()

    @property
    def wide(self) -> bool:
        """Whether candidates draw or read images."""
        return any(block.wide and block.sampled for block in self.scene.blocks)

    def _needed(self) -> set[str]:
        """Variables whose own noise a later world needs."""
        if self.later is None:
            return set(self.scene.names)
        found = set()
        for world, names in self.later:
            for name, own in world.run(names):
                if own.cell(name) != self.given.world.cell(name):
                    found.add(name)
        return found & set(self.scene.names)

    @property
    def log_probability(self) -> float:
        """Log of the estimated probability of what was seen; values that are only set, numbers
        without a density to weigh, do not count."""
        return sum(self.pilots.of(block).log_probability for block in self.scene.blocks)

    # -- rows

    def rows(self, numbers: Tensor) -> Rows:
        """Rows of noise of these numbers that agree with what was seen."""
        owners = numbers % ROUND + AGAIN * (numbers // ROUND)
        if self.scene.by_row:
            for block in self.scene.blocks:
                self._check_possible_rows(block, owners)
            chosen = {}
            for block in self._sampled:
                pools = OwnPools(self.draws, block, self.limits)
                chosen[block.label] = pools.choose(owners)
            return self._complete(numbers, owners, chosen)
        size = self._rows_per_pool
        parts_of = torch.div(owners, size, rounding_mode="floor")
        parts = []
        for pool in torch.unique_consecutive(parts_of).tolist():
            inside = (parts_of == pool).nonzero().squeeze(-1)
            found = self._of_pool(pool).select(owners[inside] - pool * size)
            found.noise = found.noise.renumbered(numbers[inside])
            parts.append(found)
        return Rows.cat(parts)

    @property
    def _sampled(self) -> list[Block]:
        return [block for block in self.scene.blocks if block.sampled]

    @property
    def _rows_per_pool(self) -> int:
        if self.wide:
            return _WIDE_SHARED
        return _SHARED

    def _of_pool(self, pool: int) -> Rows:
        """All rows that share a pool; the last one is kept."""
        if pool not in self._shared:
            size = self._rows_per_pool
            owners = torch.arange(pool * size, (pool + 1) * size)
            for block in self.scene.blocks:
                self._check_possible(block)
            chosen = {}
            for block in self._sampled:
                learned = self.pilots.of(block)
                shared = SharedPool(self.draws, block, learned, self.limits)
                chosen[block.label] = shared.choose(owners)
            self._shared = {pool: self._complete(owners, owners, chosen)}
        return self._shared[pool]

    def _check_possible(self, block: Block) -> None:
        if not block.sampled and self.pilots.of(block).log_probability == -math.inf:
            raise SamplingError(
                "What is given is too rare: 0 of all candidate rows agree, because the model says "
                f"that it cannot be; it is about {first_few(block.names)}. Correct the values, or "
                "give fewer of them."
            )

    def _check_possible_rows(self, block: Block, owners: Tensor) -> None:
        if block.sampled or (block.weightless and block.names[0] in self.scene.points):
            return
        empty = torch.zeros(len(owners), 0, device=self.scene.device)
        log = self.draws.weigh(block, owners, empty, owners, "exact")
        if missing := int((log == -math.inf).sum()):
            raise SamplingError(
                f"What is given is too rare: for {missing} of {len(owners)} rows the model says "
                f"that it cannot be; it is about {first_few(block.names)}. Correct these rows, or "
                "give fewer values."
            )

    def _complete(self, numbers: Tensor, owners: Tensor, chosen: dict[str, Chosen]) -> Rows:
        """Rows with the noise and the values that were inferred."""
        dcm, scene = self.dcm, self.scene
        rows = Rows(dcm, Noise(numbers, self.seed, device=scene.device))
        fixed: dict[str, Tensor] = {}
        values: dict[str, Tensor] = {}
        for block in scene.blocks:
            drawn, latents = self._drawn(block, owners, chosen.get(block.label))
            values |= drawn.values
            fixed |= drawn.own | latents
        for name in (*scene.names, *scene.set):
            if scene.seen(name):
                value = scene.value(name, owners)
            else:
                value = values[name]
            rows.cells[scene.world.cell(name)] = value
        rows.noise = rows.noise.fix(fixed)
        self.given.recover(rows, scene.world)
        self._count(len(numbers), chosen)
        return rows

    def _drawn(
        self, block: Block, owners: Tensor, chosen: Chosen | None
    ) -> tuple[Drawn, dict[str, Tensor]]:
        """What was drawn for the rows of a block, and its latents by name."""
        n, device = len(owners), self.scene.device
        if chosen is None:
            empty = torch.zeros(n, block.size, device=device)
            chosen = Chosen(empty, owners, torch.zeros(n, dtype=torch.int64), empty, empty)
        latents = block.split(chosen.latents)
        if block.order is not None or not block.sampled:
            candidates = self.draws.candidates(
                owners, chosen.latents, owners, f"{block.label}/rows"
            )
            return _cat(self.draws.drawn(block, candidates, self._recover, chosen.known)), latents
        drawn: list[Drawn] = []
        order = []
        for stream in torch.unique(chosen.stream).tolist():
            inside = (chosen.stream == stream).nonzero().squeeze(-1)
            name = self.draws.stream(block, stream)
            part = self.draws.candidates(owners, chosen.latents, chosen.numbers, name).select(
                inside
            )
            drawn += self.draws.drawn(block, part, self._recover)
            order.append(inside)
        return _cat(drawn, torch.argsort(torch.cat(order))), latents

    def _count(self, n: int, chosen: dict[str, Chosen]) -> None:
        if not chosen:
            self.effort.candidates += n
            return
        effective = torch.stack([c.effective for c in chosen.values()]).amin(0)
        tried = torch.stack([c.tried for c in chosen.values()]).amax(0)
        self.effort.candidates += int(tried.sum() if self.scene.by_row else tried.max())
        self.effort.rows += n
        self.effort.effective += float(effective.sum())
        self.effort.pool += float(tried.sum())

    # -- weighted rows, for estimates

    def weighted(self, numbers: Tensor) -> Rows:
        """Rows of these numbers with their log weight: every row is a candidate of its own."""
        log_weight = torch.zeros(len(numbers), dtype=torch.float64, device=self.scene.device)
        chosen = {}
        for block in self.scene.blocks:
            self._check_possible(block)
            learned = self.pilots.of(block)
            if not block.sampled:
                continue
            stream = self.draws.stream(block, 0)
            proposal = learned.normals.last()
            standard = self.draws.standard(block, numbers, stream)
            moved = self._scattered(proposal, standard, numbers)
            log, sums = self.draws.weighed(block, numbers, moved, numbers, stream)
            log = log + proposal.ratio(moved.unsqueeze(0))[0] - learned.offset
            log_weight = log_weight + log
            none, known = torch.zeros(len(numbers)), None
            if sums is not None:
                known = sums, torch.arange(len(numbers))
            chosen[block.label] = Chosen(
                moved, numbers, torch.zeros(len(numbers), dtype=torch.int64), none, none, known
            )
        index = log_weight.isfinite().cpu().nonzero().squeeze(-1)
        if not len(index):
            index = torch.zeros(1, dtype=torch.int64)  # one row that weighs nothing
        kept = {label: c.select(index) for label, c in chosen.items()}
        rows = self._complete(numbers[index], numbers[index], kept)
        if chosen:
            rows.marks["log_weight"] = log_weight[index.to(log_weight.device)]
        return rows

    def _scattered(self, proposal: Normals, standard: Tensor, numbers: Tensor) -> Tensor:
        """Draws of a proposal row by row: whether one comes from the prior is its number's."""
        if not proposal.means:
            return standard
        fitted = proposal.means[-1] + standard @ proposal.factors[-1][0].mT
        prior = (numbers % 8 == 0).to(standard.device).unsqueeze(-1)
        return torch.where(prior, standard, fitted)


def _cat(parts: list[Drawn], place: Tensor | None = None) -> Drawn:
    """What was drawn in several parts, the rows at ``place`` in their order."""
    values = {}
    for key in parts[0].values:
        values[key] = torch.cat([part.values[key] for part in parts])
    own = {}
    for key in parts[0].own:
        own[key] = torch.cat([part.own[key] for part in parts])
    if place is None:
        return Drawn(values, own)
    return Drawn(rows_at(values, place), rows_at(own, place))
