"""Threads of the libraries that compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["limited_threads"]


@contextmanager
def limited_threads(count: int | None) -> Iterator[None]:
    """Let torch, BLAS and OpenMP use so many threads; None leaves them as they are.

    Many small operations are slower, not faster, on several threads, which wait for each other.
    """
    if count is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)
