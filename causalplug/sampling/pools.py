"""Pools of weighed candidates that rows are drawn from: one for many rows, or one for each row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from causalplug.errors import SamplingError
from causalplug.noise import Noise, NoiseSpec
from causalplug.sampling.block_draws import STEP, BlockDraws
from causalplug.sampling.elimination import Elimination
from causalplug.sampling.limits import CHECK, FIRST, Limits
from causalplug.sampling.memory import check_pool
from causalplug.sampling.pilot import Learned
from causalplug.sampling.proposal import Normals, effective_size
from causalplug.sampling.scene import AGAIN, Block

__all__ = ["Chosen", "OwnPools", "SharedPool", "first_few"]

_ENOUGH = 64  # effective candidates of a row that has evidence of its own
_EFFECTIVE = 2  # effective candidates per row of a shared pool


@dataclass(eq=False)
class Chosen:
    """The candidate of every row of a block.

    Attributes:
        latents: Its latents ``(n, size)``.
        numbers: Its number in the stream of noise.
        stream: Which stream of noise it was drawn from.
        effective: Effective size of the pool that it came from.
        tried: Size of that pool.
        known: Sums of a whole pool, and the places of the candidates in it.
    """

    latents: Tensor
    numbers: Tensor
    stream: Tensor
    effective: Tensor
    tried: Tensor
    known: tuple[Elimination, Tensor] | None = None

    def select(self, index: Tensor) -> Chosen:
        """The candidates of the rows at these positions."""
        known = None
        if self.known is not None:
            known = self.known[0], self.known[1][index]
        return Chosen(
            self.latents[index.to(self.latents.device)],
            self.numbers[index],
            self.stream[index],
            self.effective[index],
            self.tried[index],
            known,
        )


class SharedPool:
    """One pool for all rows, whose evidence is the same: they are drawn from it by systematic
    resampling.

    Args:
        draws: The candidates.
        block: The block.
        learned: What its pilot found.
        limits: When to give up.
    """

    def __init__(self, draws: BlockDraws, block: Block, learned: Learned, limits: Limits):
        self.draws, self.block, self.learned, self.limits = draws, block, learned, limits

    def choose(self, owners: Tensor) -> Chosen:
        """A candidate for every row out of one pool, by systematic resampling."""
        n = len(owners)
        wanted = _EFFECTIVE * n
        step = min(max(wanted / max(self.learned.share, 1e-3) * 1.1, 512), STEP)
        step = 8 * math.ceil(step / 8)
        most = max(CHECK, n) / self.limits.min_acceptance
        proposal = self.learned.normals.last()
        draws: list[Tensor] = []
        logs: list[Tensor] = []
        tried, effective, sums = 0, 0.0, None
        first = int(owners[0]) // n * AGAIN
        stream = self.draws.stream(self.block, 0)
        while effective < wanted:
            self.limits.check_time(f"{effective:.0f} of {tried:,} candidates count")
            if tried >= CHECK / self.limits.min_acceptance and effective < CHECK / 4:
                self._too_rare(effective, tried)
            if tried >= most:
                self._too_rare(effective, tried)
            check_pool(tried + step, self.block.size)
            numbers = first + torch.arange(tried, tried + step)
            standard = self.draws.standard(self.block, numbers, stream).unsqueeze(0)
            drawn = proposal.moved(standard)
            own = torch.full_like(numbers, int(owners[0]))
            log, sums = self.draws.weighed(self.block, own, drawn[0], numbers, stream)
            logs.append(log + proposal.ratio(drawn)[0])
            draws.append(drawn[0])
            tried += step
            effective = float(effective_size(torch.cat(logs)))
        index = self._resampled(torch.cat(logs), owners)
        known = None
        if sums is not None and len(logs) == 1:
            known = sums, index
        device = self.draws.scene.device
        return Chosen(
            torch.cat(draws)[index.to(device)],
            first + index.cpu(),
            torch.zeros(n, dtype=torch.int64),
            torch.full((n,), effective),
            torch.full((n,), float(tried)),
            known,
        )

    def _resampled(self, log_weight: Tensor, owners: Tensor) -> Tensor:
        """Positions drawn by weight, in random order."""
        noise = Noise(owners, self.draws.seed_of(f"{self.block.label}/resampled"))
        shuffled = torch.argsort(noise.draw("order", NoiseSpec((), "uniform")))
        start = noise.draw("start", NoiseSpec((), "uniform"))[0].double()
        shares = torch.softmax(log_weight, -1).cumsum(-1).cpu()
        points = (shuffled.double() + start) / len(owners)
        return torch.searchsorted(shares, points * shares[-1]).clamp(max=len(log_weight) - 1)

    def _too_rare(self, effective: float, tried: int) -> NoReturn:
        raise SamplingError(
            f"What is given is too rare: {effective:.0f} of {tried:,} candidate rows agree, "
            f"counted by weight, a rate of {effective / tried:.2g}, with "
            f"min_acceptance={self.limits.min_acceptance:g}; it is about "
            f"{first_few(self.block.names)}. Condition on less, widen the intervals, "
            "ask for fewer rows, or lower min_acceptance= if you want to wait."
        )


class OwnPools:
    """A pool for every row, which has evidence of its own; each grows until it is enough.

    Args:
        draws: The candidates.
        block: The block.
        limits: When to give up.
    """

    def __init__(self, draws: BlockDraws, block: Block, limits: Limits):
        self.draws, self.block, self.limits = draws, block, limits

    def choose(self, owners: Tensor) -> Chosen:
        """A candidate for every row out of a pool of its own, which grows until it is enough."""
        n, device = len(owners), self.draws.scene.device
        found = Chosen(
            torch.zeros(n, self.block.size, device=device),
            torch.zeros(n, dtype=torch.int64),
            torch.zeros(n, dtype=torch.int64),
            torch.zeros(n),
            torch.zeros(n),
        )
        size = max(1, 2**19 // (FIRST * max(self.block.size, 1)))
        for start in range(0, n, size):
            part = torch.arange(start, min(start + size, n))
            self._fill(owners, part, found)
        return found

    def _fill(self, owners: Tensor, active: Tensor, found: Chosen) -> None:
        """Fill ``found`` for the rows at the positions ``active``."""
        normals = Normals(self.block.size)
        draws = torch.zeros(len(active), 0, self.block.size, device=self.draws.scene.device)
        logs = torch.zeros(len(active), 0, dtype=torch.float64, device=self.draws.scene.device)
        count, attempt = FIRST, 0
        while len(active):
            stream = self.draws.stream(self.block, attempt)
            numbers = (owners[active].unsqueeze(-1) * count + torch.arange(count)).flatten()
            standard = self.draws.standard(self.block, numbers, stream)
            moved = normals.moved(standard.reshape(len(active), count, self.block.size))
            own = owners[active].repeat_interleave(count)
            log = self.draws.weigh(self.block, own, moved.flatten(0, 1), numbers, stream)
            draws = torch.cat([draws, moved], 1)
            logs = torch.cat([logs, log.reshape(len(active), count)], 1)
            normals.counts.append(count)
            weights = logs + normals.ratio(draws)
            effective = effective_size(weights)
            done = effective >= _ENOUGH
            self._keep(owners, active, done, (draws, weights, effective), normals, found)
            rest = (~done).nonzero().squeeze(-1)
            if len(rest):
                self._check_rows(len(rest), draws.shape[1], float(effective.min()))
            draws, logs, normals = draws[rest], logs[rest], normals.select(rest)
            active = active[rest.cpu()]
            if self.block.size and len(rest):
                normals.add(draws, weights[rest])
            attempt, count = attempt + 1, min(2 * count, 2**14)

    def _keep(
        self,
        owners: Tensor,
        active: Tensor,
        done: Tensor,
        pools: tuple[Tensor, Tensor, Tensor],
        normals: Normals,
        found: Chosen,
    ) -> None:
        """Draw one candidate by weight for every row that is done."""
        index = done.nonzero().squeeze(-1)
        if not len(index):
            return
        draws, weights, effective = (pool[index] for pool in pools)
        rows = active[index.cpu()]
        noise = Noise(owners[rows], self.draws.seed_of(f"{self.block.label}/chosen"))
        uniform = noise.draw("uniform", NoiseSpec((), "uniform")).double().unsqueeze(-1)
        shares = torch.softmax(weights, -1).cumsum(-1).cpu()
        place = torch.searchsorted(shares, uniform * shares[:, -1:]).clamp(max=shares.shape[1] - 1)
        place = place.squeeze(-1)
        ends = torch.tensor(normals.counts).cumsum(0)
        stream = torch.searchsorted(ends, place, right=True)
        counts = torch.tensor(normals.counts)[stream]
        within = place - (ends[stream] - counts)
        found.latents[rows.to(found.latents.device)] = draws[
            torch.arange(len(index), device=draws.device), place.to(draws.device)
        ]
        found.numbers[rows] = owners[rows] * counts + within
        found.stream[rows] = stream
        found.effective[rows] = effective.float().cpu()
        found.tried[rows] = float(shares.shape[1])

    def _check_rows(self, missing: int, tried: int, effective: float) -> None:
        self.limits.check_time(f"{missing} rows are left after {tried:,} candidates each")
        if tried >= self.limits.most:
            raise SamplingError(
                f"What is given is too rare: for {missing} rows too few of {tried:,} candidates "
                f"agree, counted by weight {effective:.1f} of the {_ENOUGH} that are needed; it is "
                f"about {first_few(self.block.names)}. Give fewer values of these rows, or lower "
                "min_acceptance= if you want to wait."
            )


def first_few(names: Sequence[str]) -> str:
    """The first names of a block, for a message."""
    return ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
