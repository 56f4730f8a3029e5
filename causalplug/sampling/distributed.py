"""One sample on several processes: rows are split by their numbers, so that the result is that of
one process.

Every process has to make the same call; every process gets the whole table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from causalplug.errors import SamplingError
from causalplug.sampling.accept import CHECK, Stream
from causalplug.sampling.request import Request
from causalplug.sampling.result import Column, table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["distributed_answer"]

Found = TypeVar("Found")
Pieces = tuple[list[dict[Column, np.ndarray]], dict[str, float]]
"""Parts of a table, and the errors of images that were recovered."""


def distributed_answer(asked: Request, started: float) -> pd.DataFrame:
    """The table of a request, computed by all processes of the launcher together."""
    from accelerate import PartialState

    state = PartialState(cpu=asked.dcm.device.type == "cpu")
    stream = asked.stream()
    if asked.given and not stream.by_row and not stream.inferred:
        everything = _searched(asked, stream, state)
    else:
        everything = _split(asked, stream, state)
    pieces = [piece for parts, _ in everything for piece in parts]
    joined: dict[str, float] = {}
    for _, recovered in everything:
        joined = {name: joined.get(name, 0.0) + error for name, error in recovered.items()}
    return table(pieces, asked.attributes(stream, started, joined))


def _together(work: Callable[[], Found]) -> list[Found]:
    """What ``work`` gives on every process, in their order; an error on one ends it on all.

    Raises:
        SamplingError: Another process has stopped.
        Exception: What ``work`` raises here.
    """
    from accelerate.utils import gather_object

    mine: Found | None = None
    error: Exception | None = None
    try:
        mine = work()
    except Exception as raised:
        error = raised
    told = f"{type(error).__name__}: {error}" if error else None
    everything = gather_object([(mine, told)])
    if error is not None:
        raise error
    for _, stopped in everything:
        if stopped is not None:
            raise SamplingError(f"Another process has stopped: {stopped}")
    return [found for found, _ in everything]


def _share(n: int, state: Any) -> range:
    """Consecutive numbers of this process."""
    edges = [n * i // state.num_processes for i in range(state.num_processes + 1)]
    return range(edges[state.process_index], edges[state.process_index + 1])


def _run(asked: Request, stream: Stream) -> Pieces:
    parts: list[dict[Column, np.ndarray]] = []
    errors: dict[str, float] = {}
    for part, recovered in asked.parts(stream):
        parts.append(part)
        errors = {name: errors.get(name, 0.0) + error for name, error in recovered.items()}
    return parts, errors


def _split(asked: Request, stream: Stream, state: object) -> list[Pieces]:
    """Every row is found on its own: each process takes consecutive rows."""

    def own_rows() -> tuple[Pieces, tuple[float, ...]]:
        own = asked.stream(_share(asked.n, state))
        pieces = _run(asked, own)
        rate = own.acceptance
        return pieces, (rate.candidates, rate.accepted, rate.effective, rate.drawn)

    everything = _together(own_rows)
    found = stream.acceptance
    counts = [count for _, count in everything]
    found.candidates, found.accepted, found.effective, found.drawn = map(
        sum, zip(*counts, strict=True)
    )
    return [pieces for pieces, _ in everything]


def _searched(asked: Request, stream: Stream, state: Any) -> list[Pieces]:
    """Candidates are tried in rounds, one window for each process; then each process finishes
    consecutive rows of those kept."""
    wanted = asked.n * stream.pool
    check, limit = stream.ends(wanted)
    kept: list[int] = []
    at = 0
    while len(kept) < wanted:
        if (at == check and len(kept) < CHECK / 4) or at >= limit:
            stream.too_rare(len(kept), at)
        limited = stream.limits.deadline is not None
        if limited and any(_together(lambda: stream.limits.is_over)):  # all processes stop, or none
            stream.limits.give_up(f"{len(kept)} of {at:,} candidate rows agree")
        guess = 0.5
        if at:
            guess = (len(kept) + 1) / (at + 1)
        window = min(
            max(int(1.1 * (wanted - len(kept)) / guess), 512),
            stream.searching.size * state.num_processes,
        )
        stop = min(at + window, check if at < check else limit)
        mine = _share(stop - at, state)
        numbers = torch.arange(at + mine.start, at + mine.stop)
        kept += list(chain.from_iterable(_together(partial(_agreeing, stream, numbers))))
        at = stop
    kept = kept[:wanted]
    stream.acceptance.candidates, stream.acceptance.accepted = kept[-1] + 1, wanted
    mine = _share(asked.n, state)
    own = torch.tensor(kept[mine.start * stream.pool : mine.stop * stream.pool], dtype=torch.int64)
    return _together(partial(_finished, asked, stream, own))


def _agreeing(stream: Stream, numbers: Tensor) -> list[int]:
    """Those of the candidates ``(n,)`` that agree with the evidence."""
    found: list[int] = []
    for window in numbers.split(stream.searching.size):
        found += stream.candidates(window).noise.rows.tolist()
    return found


def _finished(asked: Request, stream: Stream, numbers: Tensor) -> Pieces:
    """The rows of the candidates ``(n,)`` that were kept."""
    parts: list[dict[Column, np.ndarray]] = []
    errors: dict[str, float] = {}
    size = max(stream.finishing.size // stream.pool, 1) * stream.pool
    for start in range(0, len(numbers), size):
        rows = stream.candidates(numbers[start : start + size])
        if stream.weighted:
            rows = stream.drawn(rows)
        for _, (part, recovered) in stream.finished(rows, asked.read):
            parts.append(part)
            errors = {name: errors.get(name, 0.0) + error for name, error in recovered.items()}
    return parts, errors
