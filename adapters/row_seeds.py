"""Random numbers of one row: what the adapters of diffusers share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from causalplug.hub.part import Content

__all__ = ["is_terms", "own_randomness", "pipeline_files", "seed_of"]

_TERMS = ("licen", "notice", "copying")
_KEPT = (".json", ".safetensors", ".txt", ".model", ".jinja")


def seed_of(pair: Sequence[float]) -> int:
    """The seed of a row's random generator, from two numbers in [0, 1)."""
    return int(pair[0] * 2**24) * 2**24 + int(pair[1] * 2**24)


@contextlib.contextmanager
def own_randomness(seed: int = 0) -> Iterator[None]:
    """Whatever a library draws from torch's global generator neither moves it nor depends on it."""
    state = torch.random.get_rng_state()
    torch.random.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.random.set_rng_state(state)


def is_terms(path: Path) -> bool:
    """Whether a file holds terms of use, which travel with copies: LICENSE, NOTICE, COPYING."""
    return path.is_file() and path.name.lower().startswith(_TERMS)


def pipeline_files(folder: Path) -> dict[str, Content]:
    """The files of a pipeline in a folder, by their place under ``pipeline/``."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in _KEPT or is_terms(path))
    return {f"pipeline/{path.relative_to(folder).as_posix()}": path for path in found}
