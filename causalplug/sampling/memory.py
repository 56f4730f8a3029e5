"""Batches that halve when the memory does not hold them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import torch

from causalplug.errors import SamplingError, warn_caller
from causalplug.networks import is_out_of_memory

__all__ = ["Batches", "check_cells", "check_noise", "check_pool", "check_room"]

_T = TypeVar("_T")
_CONTAINER = Path("/sys/fs/cgroup/memory.max")
_NOISE_ROW = 16  # bytes of the number and the place of one row of noise
_TABLE_ROW = 200  # bytes of one row of a table of answers
_TABLE_VALUE = 34  # bytes of one value of an open variable in such a row


def check_room(rows: int, size: int) -> None:
    """Raise unless a table of so many rows of ``size`` bytes could lie in this computer's memory.

    Raises:
        SamplingError: It could not, however much of the memory is free.
    """
    memory = _memory()
    if rows * size > memory:
        raise SamplingError(
            f"n={rows:,} rows cannot be sampled into one table: they take {rows * size / 1e9:,.1f} "
            f"GB, and this computer has {memory / 1e9:,.1f} GB of memory. Ask for fewer rows or "
            "variables, or take them from sample_batches."
        )


def check_noise(rows: int) -> None:
    """Raise unless the noise of so many rows could lie in half of this computer's memory.

    Raises:
        SamplingError: It could not; the message says how many bytes it would take at least.
    """
    size = rows * _NOISE_ROW
    if size > _memory() / 2:
        raise SamplingError(
            f"The noise of {rows:,} rows cannot be kept: it takes {size:,} bytes "
            f"({size / 1e9:,.1f} GB) at least, and this computer has {_memory() / 1e9:,.1f} GB of "
            "memory. Ask for fewer rows."
        )


def check_cells(cells: int, terms: int, variables: int = 1) -> None:
    """Raise unless an answer with so many cells could lie in half of this computer's memory.

    Args:
        cells: Values of all open variables together.
        terms: Terms of the query.
        variables: Open variables, whose values stand in every row of the answer.

    Raises:
        SamplingError: It could not; the message says how many bytes it would take.
    """
    size = cells * (8 * (2 * terms**2 + terms) + _TABLE_ROW + _TABLE_VALUE * variables)
    if size > _memory() / 2:
        raise SamplingError(
            f"The answer cannot be held: it has {cells:,} cells, one for every combination of "
            f"values of its open variables, and would take {size:,} bytes ({size / 1e9:,.1f} GB); "
            f"this computer has {_memory() / 1e9:,.1f} GB of memory. Give values for some of the "
            "variables, or ask for fewer."
        )


def check_pool(candidates: int, numbers: int) -> None:
    """Raise unless a pool of so many candidates could lie in half of this computer's memory.

    Args:
        candidates: Candidates of the pool.
        numbers: Numbers of noise of each.

    Raises:
        SamplingError: It could not; the message says how many bytes it would take.
    """
    size = candidates * (4 * numbers + 24)
    if size > _memory() / 2:
        raise SamplingError(
            f"What is given is too rare for this computer's memory: a pool of {candidates:,} "
            f"candidates would take {size:,} bytes ({size / 1e9:,.1f} GB) of "
            f"{_memory() / 1e9:,.1f} GB. Condition on less, or widen the intervals."
        )


def _memory() -> float:
    """Bytes of memory that this process may take: those of the computer, or the limit of the
    process or its container; infinite where none is said."""
    if not hasattr(os, "sysconf"):  # Windows
        return float("inf")
    import resource

    known = [float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        known.append(float(soft))
    with contextlib.suppress(OSError, ValueError):  # no container, or "max"
        known.append(float(_CONTAINER.read_text()))
    return min(known)


class Batches:
    """How many rows go through the networks at once, and what happens when that is too many.

    Args:
        size: Rows of one batch.

    Attributes:
        size: Rows of one batch now; never below 1.
        halved: Whether it had to be halved.
    """

    def __init__(self, size: int):
        if size < 1:
            raise SamplingError(
                f"batch_size={size} cannot be used: a batch holds at least one row."
            )
        self.size = size
        self.halved = False

    def run(
        self, start: int, stop: int, work: Callable[[int, int], _T]
    ) -> Iterator[tuple[int, int, _T]]:
        """``(a, b, work(a, b))`` for consecutive parts of ``start … stop``, of at most :attr:`size`
        each.

        A part that does not fit into memory is halved and tried again, which is said once by a
        RuntimeWarning.

        Raises:
            SamplingError: One row does not fit either.
        """
        while start < stop:
            end = min(start + self.size, stop)
            try:
                result = work(start, end)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(end - start, error)
                continue
            yield start, end, result
            start = end

    def _halve(self, tried: int, error: BaseException) -> None:
        if tried <= 1:
            raise SamplingError(
                "Sampling has to stop: one row alone does not fit into memory. Free memory, or "
                "move the model to a larger device."
            ) from error
        self.size = tried // 2
        if not self.halved:
            warn_caller(
                f"A batch of {tried} rows does not fit into memory; going on with {self.size} and "
                "halving further where needed. Give batch_size= to start there.",
                RuntimeWarning,
            )
        self.halved = True
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
