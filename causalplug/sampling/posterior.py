"""Rows of noise given what was seen in one world, by inference in place of rejection.

What was seen is imposed: every variable gets its value and candidates of the confounder noise are
weighed by how probable that is. Each block is inferred by itself (see
:mod:`causalplug.sampling.scene`), by an exact sum where it can be, else by candidates: a pool of
them for every row where rows have evidence of their own, one for some thousand rows where they
share it. A pool grows until enough of its candidates count. Own noise is recovered last: from its
distribution given the value for a category, by inversion for a number.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import torch
from torch import Tensor

from causalplug.errors import SamplingError
from causalplug.noise import Noise, NoiseSpec
from causalplug.sampling.condition import Given
from causalplug.sampling.elimination import Elimination
from causalplug.sampling.interventions import ROUND
from causalplug.sampling.memory import Batches, check_pool
from causalplug.sampling.proposal import Normals, effective_size
from causalplug.sampling.scene import AGAIN, Block, Scene
from causalplug.sampling.weigh import Candidates, Drawn, draw, weigh
from causalplug.sampling.worlds import Rows, World
from causalplug.tensors import rows_at

if TYPE_CHECKING:
    from causalplug.model.model import Model

__all__ = ["CHECK", "Limits", "Posterior"]

CHECK = 20  # candidates that have to agree, on average, before a search gives up
_ENOUGH = 64  # effective candidates of a row that has evidence of its own
_FIRST = 256  # candidates of a row at first; a multiple of 8
_PILOT, _WIDE_PILOT = 4096, 256  # candidates that show what to expect; fewer with images
_PILOTS = 12  # times a proposal is fitted before the first row, at most
_SHARED, _WIDE_SHARED = 4096, 256  # rows that share a pool
_EFFECTIVE = 2  # effective candidates per row of a shared pool
_BUDGET = 2**20  # entries of one batch of tables
_STEP, _WIDE_STEP = 2**16, 256  # candidates of one batch


@dataclass(frozen=True)
class Limits:
    """When a search for rows gives up.

    Attributes:
        min_acceptance: Share of the candidates that has to agree.
        deadline: Time of :func:`time.monotonic` at which it ends, or None.
    """

    min_acceptance: float = 1e-4
    deadline: float | None = None

    def check_time(self, reached: str) -> None:
        """Raise when the time is over; ``reached`` says what there is by now."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise SamplingError(
                f"What is given was not met within time_limit=: {reached}. Give fewer values, ask "
                "for fewer rows, or allow more time."
            )

    @property
    def most(self) -> int:
        """Candidates of one row, at most."""
        return max(_FIRST, math.ceil(CHECK / 2 / self.min_acceptance))


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
class _Learned:
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


@dataclass(eq=False)
class _Chosen:
    """The candidate of every row of a block."""

    latents: Tensor
    numbers: Tensor
    stream: Tensor
    effective: Tensor
    tried: Tensor
    known: tuple[Elimination, Tensor] | None = None  # sums of a whole pool, and places in it


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
        self.batches = Batches(_STEP)
        self._learned: dict[str, _Learned] = {}
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

    # -- the pilot

    @property
    def log_probability(self) -> float:
        """Log of the estimated probability of what was seen; values that are only set, numbers
        without a density to weigh, do not count."""
        return sum(self._pilot(block).log_probability for block in self.scene.blocks)

    def _pilot(self, block: Block) -> _Learned:
        if block.weightless and block.names[0] in self.scene.points:
            return _Learned(Normals(0))
        if block.label not in self._learned:
            self._learned[block.label] = self._learn(block)
        return self._learned[block.label]

    def _learn(self, block: Block) -> _Learned:
        """Fit a proposal again and again, until enough of its draws count."""
        if not block.sampled:
            owners, empty = torch.zeros(1, dtype=torch.int64), torch.zeros(1, block.size)
            log = self._weigh(block, owners, empty.to(self.scene.device), owners, "exact")
            return _Learned(Normals(0), 1.0, float(log[0]))
        count = _PILOT
        if block.wide:
            count = _WIDE_PILOT
        owners = torch.zeros(count, dtype=torch.int64)
        numbers = torch.arange(count)
        fitted = Normals(block.size, [1])
        best = _Learned(fitted, -1.0, -math.inf)
        for attempt in range(_PILOTS):
            stream = f"{block.label}/pilot/{attempt}"
            draws = fitted.moved(self._standard(block, numbers, stream).unsqueeze(0))
            log = self._weigh(block, owners, draws[0], numbers, stream).unsqueeze(0)
            log = log + fitted.ratio(draws)
            share = float(effective_size(log)) / count
            found = float(log.logsumexp(-1)) - math.log(count)
            improved = share > 1.2 * best.share
            if share > best.share:
                best = _Learned(fitted, share, found)
            if share > 0.5 or not block.size or (attempt > 3 and not improved):
                break
            fitted = Normals(block.size, [0, 1])
            fitted.add(draws, log)
        return best

    # -- drawing and weighing candidates

    def _standard(self, block: Block, numbers: Tensor, stream: str) -> Tensor:
        """Standard normal numbers ``(n, size)``."""
        noise = Noise(numbers, self._seed(stream), device=self.scene.device)
        return noise.draw("latents", NoiseSpec((block.size,)))

    def _seed(self, stream: str) -> int:
        digest = hashlib.blake2b(f"{self.seed}/{stream}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") >> 1

    def _candidates(
        self, owners: Tensor, latents: Tensor, numbers: Tensor, stream: str
    ) -> Candidates:
        raw = Noise(numbers, self._seed(stream), device=self.scene.device)
        return Candidates(owners, latents, raw)

    def _weigh(
        self, block: Block, owners: Tensor, latents: Tensor, numbers: Tensor, stream: str
    ) -> Tensor:
        """Log weights ``(n,)`` of candidates, in batches."""
        log, _ = self._weighed(block, owners, latents, numbers, stream)
        return log

    def _weighed(
        self, block: Block, owners: Tensor, latents: Tensor, numbers: Tensor, stream: str
    ) -> tuple[Tensor, Elimination | None]:
        """Log weights ``(n,)`` of candidates, and the sums behind them if one batch held all."""
        candidates = self._candidates(owners, latents, numbers, stream)
        self._limit(block)
        parts = self.batches.run(
            0, len(owners), lambda a, b: weigh(self.scene, block, candidates.part(a, b))
        )
        found = [part for _, _, part in parts]
        sums = None
        if len(found) == 1:
            sums = found[0].sums
        return torch.cat([part.log_weight for part in found]), sums

    def _limit(self, block: Block) -> None:
        """Set how many candidates of a block go through its mechanisms at once."""
        size = _STEP
        if block.wide:
            size = _WIDE_STEP
        if block.order is not None:
            size = min(size, max(1, _BUDGET // block.order.largest))
        if self.batches.halved:
            self.batches.size = min(self.batches.size, size)
        else:
            self.batches.size = size

    # -- rows

    def rows(self, numbers: Tensor) -> Rows:
        """Rows of noise of these numbers that agree with what was seen."""
        owners = numbers % ROUND + AGAIN * (numbers // ROUND)
        if self.scene.by_row:
            for block in self.scene.blocks:
                self._check_possible_rows(block, owners)
            chosen = {b.label: self._own_pools(b, owners) for b in self._sampled}
            return self._complete(numbers, owners, chosen)
        size = self._rows_per_pool
        pools = torch.div(owners, size, rounding_mode="floor")
        parts = []
        for pool in torch.unique_consecutive(pools).tolist():
            inside = (pools == pool).nonzero().squeeze(-1)
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
            chosen = {b.label: self._shared_pool(b, owners) for b in self._sampled}
            self._shared = {pool: self._complete(owners, owners, chosen)}
        return self._shared[pool]

    def _check_possible(self, block: Block) -> None:
        if not block.sampled and self._pilot(block).log_probability == -math.inf:
            raise SamplingError(
                "What is given is too rare: 0 of all candidate rows agree, because the model says "
                f"that it cannot be; it is about {_listed(block.names)}. Correct the values, or "
                "give fewer of them."
            )

    def _check_possible_rows(self, block: Block, owners: Tensor) -> None:
        if block.sampled or (block.weightless and block.names[0] in self.scene.points):
            return
        empty = torch.zeros(len(owners), 0, device=self.scene.device)
        log = self._weigh(block, owners, empty, owners, "exact")
        if missing := int((log == -math.inf).sum()):
            raise SamplingError(
                f"What is given is too rare: for {missing} of {len(owners)} rows the model says "
                f"that it cannot be; it is about {_listed(block.names)}. Correct these rows, or "
                "give fewer values."
            )

    def _complete(self, numbers: Tensor, owners: Tensor, chosen: dict[str, _Chosen]) -> Rows:
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
        self, block: Block, owners: Tensor, chosen: _Chosen | None
    ) -> tuple[Drawn, dict[str, Tensor]]:
        """What was drawn for the rows of a block, and its latents by name."""
        n, device = len(owners), self.scene.device
        if chosen is None:
            empty = torch.zeros(n, block.size, device=device)
            chosen = _Chosen(empty, owners, torch.zeros(n, dtype=torch.int64), empty, empty)
        latents = block.split(chosen.latents)
        if block.order is not None or not block.sampled:
            candidates = self._candidates(owners, chosen.latents, owners, f"{block.label}/rows")
            return _cat(self._draw(block, candidates, chosen.known)), latents
        drawn: list[Drawn] = []
        order = []
        for stream in torch.unique(chosen.stream).tolist():
            inside = (chosen.stream == stream).nonzero().squeeze(-1)
            name = self._stream(block, stream)
            part = self._candidates(owners, chosen.latents, chosen.numbers, name).select(inside)
            drawn += self._draw(block, part)
            order.append(inside)
        return _cat(drawn, torch.argsort(torch.cat(order))), latents

    def _draw(
        self,
        block: Block,
        candidates: Candidates,
        known: tuple[Elimination, Tensor] | None = None,
    ) -> list[Drawn]:
        """Values and own noise of the candidates that were chosen, in batches."""
        self._limit(block)

        def part(a: int, b: int) -> Drawn:
            sums = None
            if known is not None:
                sums = known[0], known[1][a:b]
            return draw(self.scene, block, candidates.part(a, b), self._recover, sums)

        return [drawn for _, _, drawn in self.batches.run(0, len(candidates), part)]

    def _stream(self, block: Block, stream: int) -> str:
        return f"{block.label}/{'own' if self.scene.by_row else 'pool'}/{stream}"

    def _count(self, n: int, chosen: dict[str, _Chosen]) -> None:
        if not chosen:
            self.effort.candidates += n
            return
        effective = torch.stack([c.effective for c in chosen.values()]).amin(0)
        tried = torch.stack([c.tried for c in chosen.values()]).amax(0)
        self.effort.candidates += int(tried.sum() if self.scene.by_row else tried.max())
        self.effort.rows += n
        self.effort.effective += float(effective.sum())
        self.effort.pool += float(tried.sum())

    # -- one pool for many rows

    def _shared_pool(self, block: Block, owners: Tensor) -> _Chosen:
        """A candidate for every row out of one pool, by systematic resampling."""
        n = len(owners)
        learned = self._pilot(block)
        wanted = _EFFECTIVE * n
        step = min(max(wanted / max(learned.share, 1e-3) * 1.1, 512), _STEP)
        step = 8 * math.ceil(step / 8)
        most = max(CHECK, n) / self.limits.min_acceptance
        proposal = learned.normals.last()
        draws: list[Tensor] = []
        logs: list[Tensor] = []
        tried, effective, sums = 0, 0.0, None
        first = int(owners[0]) // n * AGAIN
        stream = self._stream(block, 0)
        while effective < wanted:
            self.limits.check_time(f"{effective:.0f} of {tried:,} candidates count")
            if tried >= CHECK / self.limits.min_acceptance and effective < CHECK / 4:
                self._too_rare(effective, tried, block)
            if tried >= most:
                self._too_rare(effective, tried, block)
            check_pool(tried + step, block.size)
            numbers = first + torch.arange(tried, tried + step)
            standard = self._standard(block, numbers, stream).unsqueeze(0)
            drawn = proposal.moved(standard)
            own = torch.full_like(numbers, int(owners[0]))
            log, sums = self._weighed(block, own, drawn[0], numbers, stream)
            logs.append(log + proposal.ratio(drawn)[0])
            draws.append(drawn[0])
            tried += step
            effective = float(effective_size(torch.cat(logs)))
        index = self._resampled(torch.cat(logs), owners, block)
        known = None
        if sums is not None and len(logs) == 1:
            known = sums, index
        device = self.scene.device
        return _Chosen(
            torch.cat(draws)[index.to(device)],
            first + index.cpu(),
            torch.zeros(n, dtype=torch.int64),
            torch.full((n,), effective),
            torch.full((n,), float(tried)),
            known,
        )

    def _resampled(self, log_weight: Tensor, owners: Tensor, block: Block) -> Tensor:
        """Positions drawn by weight, in random order."""
        noise = Noise(owners, self._seed(f"{block.label}/resampled"))
        shuffled = torch.argsort(noise.draw("order", NoiseSpec((), "uniform")))
        start = noise.draw("start", NoiseSpec((), "uniform"))[0].double()
        shares = torch.softmax(log_weight, -1).cumsum(-1).cpu()
        points = (shuffled.double() + start) / len(owners)
        return torch.searchsorted(shares, points * shares[-1]).clamp(max=len(log_weight) - 1)

    # -- a pool for every row

    def _own_pools(self, block: Block, owners: Tensor) -> _Chosen:
        """A candidate for every row out of a pool of its own, which grows until it is enough."""
        n, device = len(owners), self.scene.device
        found = _Chosen(
            torch.zeros(n, block.size, device=device),
            torch.zeros(n, dtype=torch.int64),
            torch.zeros(n, dtype=torch.int64),
            torch.zeros(n),
            torch.zeros(n),
        )
        size = max(1, 2**19 // (_FIRST * max(block.size, 1)))
        for start in range(0, n, size):
            part = torch.arange(start, min(start + size, n))
            self._own_pools_of(block, owners, part, found)
        return found

    def _own_pools_of(self, block: Block, owners: Tensor, active: Tensor, found: _Chosen) -> None:
        """Fill ``found`` for the rows at the positions ``active``."""
        normals = Normals(block.size)
        draws = torch.zeros(len(active), 0, block.size, device=self.scene.device)
        logs = torch.zeros(len(active), 0, dtype=torch.float64, device=self.scene.device)
        count, attempt = _FIRST, 0
        while len(active):
            stream = self._stream(block, attempt)
            numbers = (owners[active].unsqueeze(-1) * count + torch.arange(count)).flatten()
            standard = self._standard(block, numbers, stream)
            moved = normals.moved(standard.reshape(len(active), count, block.size))
            own = owners[active].repeat_interleave(count)
            log = self._weigh(block, own, moved.flatten(0, 1), numbers, stream)
            draws = torch.cat([draws, moved], 1)
            logs = torch.cat([logs, log.reshape(len(active), count)], 1)
            normals.counts.append(count)
            weights = logs + normals.ratio(draws)
            effective = effective_size(weights)
            done = effective >= _ENOUGH
            self._keep(block, owners, active, done, (draws, weights, effective), normals, found)
            rest = (~done).nonzero().squeeze(-1)
            if len(rest):
                self._check_rows(len(rest), draws.shape[1], float(effective.min()), block)
            draws, logs, normals = draws[rest], logs[rest], normals.select(rest)
            active = active[rest.cpu()]
            if block.size and len(rest):
                normals.add(draws, weights[rest])
            attempt, count = attempt + 1, min(2 * count, 2**14)

    def _keep(
        self,
        block: Block,
        owners: Tensor,
        active: Tensor,
        done: Tensor,
        pools: tuple[Tensor, Tensor, Tensor],
        normals: Normals,
        found: _Chosen,
    ) -> None:
        """Draw one candidate by weight for every row that is done."""
        index = done.nonzero().squeeze(-1)
        if not len(index):
            return
        draws, weights, effective = (pool[index] for pool in pools)
        rows = active[index.cpu()]
        noise = Noise(owners[rows], self._seed(f"{block.label}/chosen"))
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

    # -- giving up

    def _check_rows(self, missing: int, tried: int, effective: float, block: Block) -> None:
        self.limits.check_time(f"{missing} rows are left after {tried:,} candidates each")
        if tried >= self.limits.most:
            raise SamplingError(
                f"What is given is too rare: for {missing} rows too few of {tried:,} candidates "
                f"agree, counted by weight {effective:.1f} of the {_ENOUGH} that are needed; it is "
                f"about {_listed(block.names)}. Give fewer values of these rows, or lower "
                "min_acceptance= if you want to wait."
            )

    def _too_rare(self, effective: float, tried: int, block: Block) -> NoReturn:
        raise SamplingError(
            f"What is given is too rare: {effective:.0f} of {tried:,} candidate rows agree, "
            f"counted by weight, a rate of {effective / tried:.2g}, with "
            f"min_acceptance={self.limits.min_acceptance:g}; it is about {_listed(block.names)}. "
            "Condition on less, widen the intervals, ask for fewer rows, or lower min_acceptance= "
            "if you want to wait."
        )

    # -- weighted rows, for estimates

    def weighted(self, numbers: Tensor) -> Rows:
        """Rows of these numbers with their log weight: every row is a candidate of its own."""
        log_weight = torch.zeros(len(numbers), dtype=torch.float64, device=self.scene.device)
        chosen = {}
        for block in self.scene.blocks:
            self._check_possible(block)
            learned = self._pilot(block)
            if not block.sampled:
                continue
            stream = self._stream(block, 0)
            proposal = learned.normals.last()
            standard = self._standard(block, numbers, stream)
            moved = self._scattered(proposal, standard, numbers)
            log, sums = self._weighed(block, numbers, moved, numbers, stream)
            log = log + proposal.ratio(moved.unsqueeze(0))[0] - learned.offset
            log_weight = log_weight + log
            none, known = torch.zeros(len(numbers)), None
            if sums is not None:
                known = sums, torch.arange(len(numbers))
            chosen[block.label] = _Chosen(
                moved, numbers, torch.zeros(len(numbers), dtype=torch.int64), none, none, known
            )
        index = log_weight.isfinite().cpu().nonzero().squeeze(-1)
        if not len(index):
            index = torch.zeros(1, dtype=torch.int64)  # one row that weighs nothing
        kept = {label: _selected(c, index) for label, c in chosen.items()}
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


def _selected(chosen: _Chosen, index: Tensor) -> _Chosen:
    known = None
    if chosen.known is not None:
        known = chosen.known[0], chosen.known[1][index]
    return _Chosen(
        chosen.latents[index.to(chosen.latents.device)],
        chosen.numbers[index],
        chosen.stream[index],
        chosen.effective[index],
        chosen.tried[index],
        known,
    )


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
    return Drawn(
        rows_at(values, place),
        rows_at(own, place),
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
