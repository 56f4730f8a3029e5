"""A pilot of each block: how likely what was seen is, and where candidates should be drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from causalplug.sampling.block_draws import BlockDraws
from causalplug.sampling.proposal import Normals, effective_size
from causalplug.sampling.scene import Block

__all__ = ["Learned", "Pilots"]

_PILOT, _WIDE_PILOT = 4096, 256  # candidates that show what to expect; fewer with images
_PILOTS = 12  # times a proposal is fitted before the first row, at most


@dataclass(eq=False)
class Learned:
    """What the pilot found for a block whose rows share their evidence."""

    normals: Normals
    share: float = 1.0  # of its candidates that count
    log_probability: float = 0.0

    @property
    def offset(self) -> float:
        """What log weights are given less, so that they lie about 0."""
        if math.isfinite(self.log_probability):
            return self.log_probability
        return 0.0


class Pilots:
    """What the pilots of all blocks found; each is run once, when it is first needed.

    Args:
        draws: The candidates.
    """

    def __init__(self, draws: BlockDraws):
        self.draws, self.scene = draws, draws.scene
        self._learned: dict[str, Learned] = {}

    def of(self, block: Block) -> Learned:
        """What the pilot of a block found."""
        if block.weightless and block.names[0] in self.scene.points:
            return Learned(Normals(0))
        if block.label not in self._learned:
            self._learned[block.label] = self._learn(block)
        return self._learned[block.label]

    def _learn(self, block: Block) -> Learned:
        """Fit a proposal again and again, until enough of its draws count."""
        if not block.sampled:
            owners, empty = torch.zeros(1, dtype=torch.int64), torch.zeros(1, block.size)
            log = self.draws.weigh(block, owners, empty.to(self.scene.device), owners, "exact")
            return Learned(Normals(0), 1.0, float(log[0]))
        count = _PILOT
        if block.wide:
            count = _WIDE_PILOT
        owners = torch.zeros(count, dtype=torch.int64)
        numbers = torch.arange(count)
        fitted = Normals(block.size, [1])
        best = Learned(fitted, -1.0, -math.inf)
        for attempt in range(_PILOTS):
            stream = f"{block.label}/pilot/{attempt}"
            draws = fitted.moved(self.draws.standard(block, numbers, stream).unsqueeze(0))
            log = self.draws.weigh(block, owners, draws[0], numbers, stream).unsqueeze(0)
            log = log + fitted.ratio(draws)
            share = float(effective_size(log)) / count
            found = float(log.logsumexp(-1)) - math.log(count)
            improved = share > 1.2 * best.share
            if share > best.share:
                best = Learned(fitted, share, found)
            if share > 0.5 or not block.size or (attempt > 3 and not improved):
                break
            fitted = Normals(block.size, [0, 1])
            fitted.add(draws, log)
        return best
