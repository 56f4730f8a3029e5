"""Candidates of one block: drawn by number, weighed by what was seen, in batches that fit."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from causalplug.noise import Noise, NoiseSpec
from causalplug.sampling.elimination import Elimination
from causalplug.sampling.memory import Batches
from causalplug.sampling.scene import Block, Scene
from causalplug.sampling.weigh import Candidates, Drawn, draw, weigh

__all__ = ["STEP", "BlockDraws"]

STEP = 2**16  # candidates of one batch
_WIDE_STEP = 256  # of one batch of images
_BUDGET = 2**20  # entries of one batch of tables


class BlockDraws:
    """The candidates of the blocks of a scene; the same number gives the same candidate.

    Args:
        scene: What was seen, taken apart.
        seed: Seed of the noise.

    Attributes:
        batches: How many candidates go through the mechanisms at once.
    """

    def __init__(self, scene: Scene, seed: int):
        self.scene, self.seed = scene, seed
        self.batches = Batches(STEP)

    def seed_of(self, stream: str) -> int:
        """Seed of a stream of noise."""
        digest = hashlib.blake2b(f"{self.seed}/{stream}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") >> 1

    def stream(self, block: Block, attempt: int) -> str:
        """Name of the noise that an attempt at the pool of a block is drawn from."""
        pool = "own" if self.scene.by_row else "pool"
        return f"{block.label}/{pool}/{attempt}"

    def standard(self, block: Block, numbers: Tensor, stream: str) -> Tensor:
        """Standard normal numbers ``(n, size)``."""
        noise = Noise(numbers, self.seed_of(stream), device=self.scene.device)
        return noise.draw("latents", NoiseSpec((block.size,)))

    def candidates(
        self, owners: Tensor, latents: Tensor, numbers: Tensor, stream: str
    ) -> Candidates:
        raw = Noise(numbers, self.seed_of(stream), device=self.scene.device)
        return Candidates(owners, latents, raw)

    def weigh(
        self, block: Block, owners: Tensor, latents: Tensor, numbers: Tensor, stream: str
    ) -> Tensor:
        """Log weights ``(n,)`` of candidates, in batches."""
        log, _ = self.weighed(block, owners, latents, numbers, stream)
        return log

    def weighed(
        self, block: Block, owners: Tensor, latents: Tensor, numbers: Tensor, stream: str
    ) -> tuple[Tensor, Elimination | None]:
        """Log weights ``(n,)`` of candidates, and the sums behind them if one batch held all."""
        candidates = self.candidates(owners, latents, numbers, stream)
        self._limit(block)
        parts = self.batches.run(
            0, len(owners), lambda a, b: weigh(self.scene, block, candidates.part(a, b))
        )
        found = [part for _, _, part in parts]
        sums = None
        if len(found) == 1:
            sums = found[0].sums
        return torch.cat([part.log_weight for part in found]), sums

    def drawn(
        self,
        block: Block,
        candidates: Candidates,
        recover: set[str],
        known: tuple[Elimination, Tensor] | None = None,
    ) -> list[Drawn]:
        """Values of the candidates that were chosen, and own noise of the variables ``recover``,
        in batches."""
        self._limit(block)

        def part(a: int, b: int) -> Drawn:
            sums = None
            if known is not None:
                sums = known[0], known[1][a:b]
            return draw(self.scene, block, candidates.part(a, b), recover, sums)

        return [drawn for _, _, drawn in self.batches.run(0, len(candidates), part)]

    def _limit(self, block: Block) -> None:
        """Set how many candidates of a block go through its mechanisms at once."""
        size = STEP
        if block.wide:
            size = _WIDE_STEP
        if block.order is not None:
            size = min(size, max(1, _BUDGET // block.order.largest))
        if self.batches.halved:
            self.batches.size = min(self.batches.size, size)
        else:
            self.batches.size = size
