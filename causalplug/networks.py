"""Small helpers for torch modules: freezing, initial weights that depend on a seed alone, shapes,
and the location and scale of columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["common_shape", "freeze", "initialised", "is_out_of_memory", "location_and_scale"]

_SIGNS = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "alloc_cpu",
)

_N = TypeVar("_N", bound=nn.Module)


def freeze(module: _N) -> _N:
    """Switch the gradients of all parameters off and evaluation mode on."""
    module.requires_grad_(False)
    module.eval()
    return module


def initialised(build: Callable[[], _N], seed: int) -> _N:
    """Build a module whose parameters depend on ``seed`` alone.

    The state of torch's global generator stays as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed % 2**63)  # of the CPU alone
        return build()


def common_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """What shapes broadcast to.

    ``torch.broadcast_shapes`` says the same, but its first call imports sympy, which takes most of
    a second.
    """
    return np.broadcast_shapes(*shapes)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is exhausted: torch's CPU allocator has no class for
    it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(sign in str(error).lower() for sign in _SIGNS)


def location_and_scale(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of columns ``(n, …)``, taken in float64, so that neither large
    offsets nor tiny spreads are lost; the scale of a constant column is 1e-6."""
    bare = rows.device.type == "mps"  # which has no float64
    wide = (rows.cpu() if bare else rows).double()
    location = wide.mean(0)
    scale = wide.std(0)
    constant = ~(scale > 1e-13 * location.abs())  # rounding alone, or a single row
    scale = torch.where(constant, torch.full_like(scale, 1e-6), scale)
    if bare:
        return location.float().to(rows.device), scale.float().to(rows.device)
    return location, scale
