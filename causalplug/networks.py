"""Small helpers for torch modules: freezing, and initial weights that depend on a seed alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

__all__ = ["freeze", "initialised"]

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
        torch.manual_seed(seed)
        return build()
