"""Rows of noise that agree with what is given: inferred where that is possible and pays, else found
by rejection and kept as row numbers.

Candidates are tried in the order of their row numbers and the first that agree are kept, so what is
found depends on the seed alone, not on the batches. Where every row has conditions or interventions
of its own, row i tries the row numbers ``i + r * 2**40`` for r = 0, 1, 2, … and keeps the first
that agrees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

from causalplug.errors import SamplingError
from causalplug.noise import Noise, NoiseSpec
from causalplug.sampling.condition import Given
from causalplug.sampling.interventions import ROUND, Intervention, PerRow
from causalplug.sampling.limits import CHECK, Limits
from causalplug.sampling.memory import Batches
from causalplug.sampling.options import DEFAULTS, SamplingOptions
from causalplug.sampling.posterior import Posterior
from causalplug.sampling.worlds import Rows, World
from causalplug.selection import any_of_kind

if TYPE_CHECKING:
    from causalplug.model.model import Model

__all__ = ["Acceptance", "Stream", "evaluating", "infer_from"]

POOL = 64  # agreeing candidates from which one is drawn by weight
_POOL_NEEDED = 16  # effective candidates of a pool that does not grow, on average
_OFTEN = 1 / 8  # what is met more often than this is found by rejection
SMALL, LARGE = 256, 2**16  # rows of a batch, with and without images


@contextmanager
def evaluating(dcm: Model) -> Iterator[None]:
    """Without gradients, and with all layers in evaluation mode; the modes are put back
    afterwards."""
    training = [module for module in dcm.modules() if module.training]
    dcm.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


@dataclass
class Acceptance:
    """What the search for agreeing rows found.

    Attributes:
        candidates: Rows tried, up to the last one that was kept.
        accepted: Rows kept, before any drawing by weight.
        effective: For rows that were drawn by weight, the sum of the effective sizes of the pools
            they came from.
        drawn: Number of rows that were drawn by weight.
    """

    candidates: int = 0
    accepted: int = 0
    effective: float = 0.0
    drawn: int = 0

    @property
    def rate(self) -> float:
        """Share of the candidates that agreed."""
        if self.candidates:
            return self.accepted / self.candidates
        return 1.0


class Stream:
    """The rows of one answer, in order.

    Args:
        dcm: The model.
        n: Rows asked for.
        given: Conditions by world, already prepared.
        targets: Worlds and the variables asked for in them.
        options: How it is computed.
        rows: Only rows of these numbers, in this order; for one process out of several.
        whole: Recover the noise of everything that was seen, for worlds that are not known yet.

    Attributes:
        posterior: How rows are inferred from what was seen in one world, or None.
    """

    def __init__(
        self,
        dcm: Model,
        n: int,
        *,
        given: Sequence[Given] = (),
        targets: Sequence[tuple[World, Sequence[str]]] = (),
        options: SamplingOptions = DEFAULTS,
        rows: range | None = None,
        whole: bool = False,
    ):
        self.dcm, self.n, self.seed = dcm, n, options.seed
        self.given, self.targets = list(given), list(targets)
        self.limits, batch_size = options.limits(), options.batch_size
        self.min_acceptance = self.limits.min_acceptance
        self.acceptance = Acceptance()
        self.pool_size = float(POOL)
        self.weighted = any(g.weighted for g in self.given)
        self.pool = POOL if self.weighted else 1
        self.by_row = self._differs_by_row()
        self.numbers = range(n) if rows is None else rows
        search = [(g.clamped, g.names) for g in self.given]
        self.searching = Batches(batch_size or self._size(search))
        self.finishing = Batches(batch_size or self._size(self.targets))
        if self.searching.size > self.finishing.size and not self.given:
            self.searching = self.finishing
        self.posterior = self._inference(whole)
        self._rest = [g for g in self.given if not self._inferred_from(g)]
        if self.posterior is not None:
            self.weighted, self.pool = False, 1

    def _differs_by_row(self) -> bool:
        """Whether rows are set to values, or have seen values, of their own."""
        for given in self.given:
            if any(c.codes is not None for c in given.conditions):
                return True
        worlds = [*(g.clamped for g in self.given), *(world for world, _ in self.targets)]
        settings: list[Intervention] = []
        for world in worlds:
            settings.extend(world.do.values())
        return any_of_kind(settings, PerRow)

    def _inferred_from(self, given: Given) -> bool:
        return self.posterior is not None and self.posterior.given is given

    def _inference(self, whole: bool) -> Posterior | None:
        if whole:
            targets = None
        else:
            targets = self.targets
        return infer_from(self.dcm, self.given, targets, self.seed, self.limits, self._heed)

    def _heed(self, found: Batches) -> None:
        """Start with the batches that the memory was found to hold."""
        if found.halved:
            self.searching.size = min(self.searching.size, found.size)
            self.searching.halved = True

    @property
    def inferred(self) -> bool:
        """Whether every row is inferred, so that none has to be searched for."""
        return self.posterior is not None and not self._rest

    def _size(self, asked: Iterable[tuple[World, Iterable[str]]]) -> int:
        names: set[str] = set()
        for world, variables in asked:
            names.update(name for name, _ in world.run(variables))
        if any(self.dcm.variables[name].needs_encoder for name in names):
            return SMALL
        return LARGE

    def noise(self, rows: Tensor) -> Noise:
        """Noise of these row numbers on the model's device."""
        return Noise(rows, self.seed, device=self.dcm.device)

    def parts(self, work: Any) -> Iterator[tuple[int, Any]]:
        """``(number of rows, work(rows))`` over all rows asked for, in order, in batches."""
        if not self.given:
            first = self.numbers.start
            self.acceptance = Acceptance(len(self.numbers), len(self.numbers))

            def fresh(a: int, b: int) -> object:
                with evaluating(self.dcm):
                    return work(Rows(self.dcm, self.noise(torch.arange(first + a, first + b))))

            for a, b, result in self.finishing.run(0, len(self.numbers), fresh):
                yield b - a, result
            return
        waiting: list[Rows] = []
        for found in self._found():
            waiting.append(found)
            if sum(map(len, waiting)) >= self.finishing.size:
                yield from self.finished(Rows.cat(waiting), work)
                waiting = []
        if waiting:
            yield from self.finished(Rows.cat(waiting), work)

    def finished(self, rows: Rows, work: Any) -> Iterator[tuple[int, Any]]:
        """``(number of rows, work(rows))`` for rows that were found, in batches."""

        def part(a: int, b: int) -> object:
            with evaluating(self.dcm):
                return work(rows if b - a == len(rows) else rows.select(torch.arange(a, b)))

        for a, b, result in self.finishing.run(0, len(rows), part):
            yield b - a, result

    # -- the search

    def _found(self) -> Iterator[Rows]:
        """Agreeing rows in order, one for each row asked for."""
        waiting: list[Rows] = []
        for rows in self._rows():
            waiting.append(rows)
            whole = sum(map(len, waiting)) // self.pool * self.pool
            if whole:
                joined = Rows.cat(waiting)
                yield self.drawn(joined.select(torch.arange(whole))) if self.weighted else joined
                waiting = []
                if whole < len(joined):
                    waiting = [joined.select(torch.arange(whole, len(joined)))]

    def _rows(self) -> Iterator[Rows]:
        if self.inferred:
            return self._inferred()
        if self.by_row:
            return self._by_row()
        return self._in_order()

    def _inferred(self) -> Iterator[Rows]:
        first = self.numbers.start
        for _, b, found in self.searching.run(
            0, len(self.numbers), lambda a, b: self.candidates(torch.arange(first + a, first + b))
        ):
            self._account(b)
            yield found

    def _account(self, accepted: int) -> None:
        """What the inference took, as the answer says it."""
        if self.posterior is not None:
            effort, found = self.posterior.effort, self.acceptance
            found.accepted, found.candidates = accepted, max(effort.candidates, accepted)
            found.effective, found.drawn = effort.effective, effort.rows
            if effort.rows:
                self.pool_size = effort.pool / effort.rows

    def drawn(self, rows: Rows) -> Rows:
        """One row out of every :attr:`pool`, drawn by weight (Gumbel-max on the log weights)."""
        weights = rows.marks["log_weight"].reshape(-1, self.pool)
        gumbel = rows.noise.draw("drawn by weight", NoiseSpec((), "gumbel")).reshape(-1, self.pool)
        shares = torch.softmax(weights, -1)
        self.acceptance.effective += float((1 / shares.square().sum(-1)).sum())
        self.acceptance.drawn += len(shares)
        self._check_pool()
        chosen = (weights + gumbel).argmax(-1)
        picked = rows.select(torch.arange(len(chosen)) * self.pool + chosen.cpu())
        del picked.marks["log_weight"]
        return picked

    def _check_pool(self) -> None:
        reached = self.acceptance.effective / self.acceptance.drawn
        if reached < _POOL_NEEDED:
            raise SamplingError(
                f"What is given cannot be weighed: of {self.pool} candidates for each row only "
                f"{reached:.1f} count, and at least {_POOL_NEEDED} are needed. Give an interval in "
                "place of a single value, or set values in place of policies."
            )

    def candidates(self, rows: Tensor) -> Rows:
        """The candidates of these row numbers that agree with everything given."""
        with evaluating(self.dcm):
            if self.posterior is None:
                found = Rows(self.dcm, self.noise(rows))
            else:
                found = self.posterior.rows(rows)
            targets = [(g.clamped, g.names) for g in self.given] + self.targets
            keep = found.frontier(targets)
            for given in self._rest:
                found, _ = given.filter(found, keep)
                if not len(found):
                    break
            if not len(found):
                return found
            return found.only(found.frontier(self.targets))

    def _in_order(self) -> Iterator[Rows]:
        wanted = self.n * self.pool
        check, limit = self.ends(wanted)
        kept = at = 0
        while kept < wanted:
            self.limits.check_time(f"{kept} of {at:,} candidate rows agree")
            if at == check and kept < CHECK / 4:
                self.too_rare(kept, at)
            if at >= limit:
                self.too_rare(kept, at)
            guess = 0.5
            if at:
                guess = (kept + 1) / (at + 1)
            window = min(max(math.ceil(1.1 * (wanted - kept) / guess), 512), self.searching.size)
            stop = min(at + window, check if at < check else limit)
            for _, b, found in self.searching.run(
                at, stop, lambda a, b: self.candidates(torch.arange(a, b))
            ):
                at = b
                if kept + len(found) >= wanted:
                    found = found.select(torch.arange(wanted - kept))
                    at = int(found.noise.rows[-1]) + 1
                kept += len(found)
                self.acceptance.candidates, self.acceptance.accepted = at, kept
                if len(found):
                    yield found
                if kept == wanted:
                    return

    def _by_row(self) -> Iterator[Rows]:
        """For each row in turn, its first candidates that agree."""
        most = math.ceil(CHECK / 2 / self.min_acceptance)
        step = self.finishing.size
        for start in range(self.numbers.start, self.numbers.stop, step):
            block = torch.arange(start, min(start + step, self.numbers.stop))
            pieces: list[Rows] = []
            have = torch.zeros(len(block), dtype=torch.int64)
            last = torch.zeros(len(block), dtype=torch.int64)
            tried = 0
            while len(missing := (have < self.pool).nonzero().squeeze(-1)):
                self.limits.check_time(f"{len(missing)} rows are left after {tried:,} candidates")
                if tried >= most:
                    self._too_rare_rows(len(missing), tried)
                rounds = min(
                    max(self.searching.size // len(missing), 1), most - tried, max(tried, self.pool)
                )
                numbers = block[missing] + ROUND * torch.arange(tried, tried + rounds)[:, None]
                for _, _, found in self.searching.run(
                    0, numbers.numel(), self._tried(numbers.flatten())
                ):
                    if not len(found):
                        continue
                    owner = found.noise.rows % ROUND - start
                    index = (have[owner] + _rank(owner) < self.pool).nonzero().squeeze(-1)
                    if len(index):
                        pieces.append(found.select(index))
                        have.index_add_(0, owner[index], torch.ones(len(index), dtype=torch.int64))
                        last.scatter_reduce_(
                            0, owner[index], found.noise.rows[index] // ROUND + 1, "amax"
                        )
                tried += rounds
            joined = Rows.cat(pieces)
            order = torch.argsort(joined.noise.rows // ROUND, stable=True)
            order = order[torch.argsort(joined.noise.rows[order] % ROUND, stable=True)]
            self.acceptance.candidates += int(last.sum())
            self.acceptance.accepted += len(joined)
            yield joined.select(order)

    def _tried(self, numbers: Tensor) -> Callable[[int, int], Rows]:
        return lambda a, b: self.candidates(numbers[a:b])

    def ends(self, wanted: int) -> tuple[int, int]:
        """After how many candidates the rate is looked at, and after how many the search ends."""
        check = math.ceil(CHECK / self.min_acceptance)
        return check, check + math.ceil(wanted / self.min_acceptance)

    def too_rare(self, kept: int, tried: int) -> NoReturn:
        """Raise: fewer candidates agree than is asked for."""
        raise SamplingError(
            f"What is given is too rare: {kept} of {tried:,} candidate rows agree, a rate of "
            f"{kept / tried:.2g}, below min_acceptance={self.min_acceptance:g}. Condition on less, "
            "widen the intervals, ask for fewer rows, or lower min_acceptance= if you want to "
            "wait."
        )

    def _too_rare_rows(self, missing: int, tried: int) -> NoReturn:
        raise SamplingError(
            f"What is given is too rare: for {missing} of {self.n} rows none or too few of "
            f"{tried:,} candidates agree. Give fewer values of these rows, or lower "
            "min_acceptance= if you want to wait."
        )


def infer_from(
    dcm: Model,
    given: Sequence[Given],
    targets: Sequence[tuple[World, Sequence[str]]] | None,
    seed: int,
    limits: Limits,
    heed: Callable[[Batches], None] = lambda batches: None,
) -> Posterior | None:
    """How to infer rows from what was seen in one world; None where rejection is as good, or
    nothing can be inferred.

    Args:
        dcm: The model.
        given: What was seen, by world, prepared.
        targets: Worlds and variables that will be asked for, or None for any.
        seed: Seed of the noise.
        limits: When the search for rows ends in an error.
        heed: Told the batches that the memory was found to hold.
    """
    found = []
    asked = [(part.clamped, part.names) for part in given]
    for i, part in enumerate(given):
        later = None if targets is None else [*asked[:i], *asked[i + 1 :], *targets]
        posterior = Posterior(dcm, part, later, seed, limits)
        if posterior.possible:
            found.append(posterior)
    if any(part.points for part in given):  # they are imposed before the rest is met
        found = [posterior for posterior in found if posterior.given.points]
    if any(part.weighted for part in given):  # what is inferred must hold the weights
        return found[0] if found else None
    if own := [posterior for posterior in found if posterior.scene.by_row]:
        return own[0]
    if not found:
        return None
    return _rarest(dcm, found, heed)


def _rarest(
    dcm: Model, found: Sequence[Posterior], heed: Callable[[Batches], None]
) -> Posterior | None:
    """The evidence that is met least often, unless even that is met often enough."""
    with evaluating(dcm):
        rarest = min(found, key=lambda posterior: posterior.log_probability)
        often = rarest.log_probability >= math.log(_OFTEN)
    heed(rarest.draws.batches)
    return None if often else rarest


def _rank(owner: Tensor) -> Tensor:
    """For every entry the number of equal entries before it."""
    order = torch.argsort(owner, stable=True)
    ranked = owner[order]
    starts = torch.cat([torch.ones(1, dtype=torch.bool), ranked[1:] != ranked[:-1]])
    position = torch.arange(len(owner))
    rank = torch.empty_like(position)
    rank[order] = position - torch.cummax(torch.where(starts, position, 0), 0).values
    return rank
