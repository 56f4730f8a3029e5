"""One sample on several processes: rows are split by their numbers, so that the result is that of
one process.

Every process has to make the same call; every process gets the whole table.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from causalplug.sampling.accept import CHECK, Stream
from causalplug.sampling.request import Request
from causalplug.sampling.result import table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["distributed_answer"]


def distributed_answer(asked: Request, started: float) -> pd.DataFrame:
    """The table of a request, computed by all processes of the launcher together."""
    from accelerate import PartialState

    state = PartialState(cpu=asked.dcm.device.type == "cpu")
    stream = asked.stream()
    if asked.given and not stream.by_row and not stream.inferred:
        columns, errors = _searched(asked, stream, state)
    else:
        columns, errors = _split(asked, stream, state)
    everything = _gathered([(columns, errors)])
    pieces = [piece for parts, _ in everything for piece in parts]
    joined: dict[str, float] = {}
    for _, recovered in everything:
        joined = {name: joined.get(name, 0.0) + error for name, error in recovered.items()}
    return table(pieces, asked.attributes(stream, started, joined))


def _gathered(values: list[object]) -> list[Any]:
    from accelerate.utils import gather_object

    return gather_object(values)


def _share(n: int, state: Any) -> range:
    """Consecutive numbers of this process."""
    edges = [n * i // state.num_processes for i in range(state.num_processes + 1)]
    return range(edges[state.process_index], edges[state.process_index + 1])


def _run(asked: Request, stream: Stream) -> tuple[list[object], dict[str, float]]:
    parts: list[Any] = []
    errors: dict[str, float] = {}
    for part, recovered in asked.parts(stream):
        parts.append(part)
        errors = {name: errors.get(name, 0.0) + error for name, error in recovered.items()}
    return parts, errors


def _split(asked: Request, stream: Stream, state: object) -> tuple[list[object], dict[str, float]]:
    """Every row is found on its own: each process takes consecutive rows."""
    own = asked.stream(_share(asked.n, state))
    parts, errors = _run(asked, own)
    counts = _gathered(
        [
            (
                own.acceptance.candidates,
                own.acceptance.accepted,
                own.acceptance.effective,
                own.acceptance.drawn,
            )
        ]
    )
    found = stream.acceptance
    found.candidates, found.accepted, found.effective, found.drawn = map(
        sum, zip(*counts, strict=True)
    )
    return parts, errors


def _searched(asked: Request, stream: Stream, state: Any) -> tuple[list[object], dict[str, float]]:
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
        if limited and any(_gathered([stream.limits.is_over])):  # all processes stop, or none
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
        found = []
        for a in range(mine.start, mine.stop, stream.searching.size):
            for b in [min(a + stream.searching.size, mine.stop)]:
                found.append(stream.candidates(torch.arange(at + a, at + b)).noise.rows)
        kept += list(chain.from_iterable(_gathered([torch.cat(found).tolist() if found else []])))
        at = stop
    kept = kept[:wanted]
    stream.acceptance.candidates, stream.acceptance.accepted = kept[-1] + 1, wanted
    mine = _share(asked.n, state)
    numbers = torch.tensor(
        kept[mine.start * stream.pool : mine.stop * stream.pool], dtype=torch.int64
    )
    parts: list[Any] = []
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
