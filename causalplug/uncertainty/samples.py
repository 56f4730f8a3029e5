"""Rows that influence is measured on: the data, or rows of the model in place of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from causalplug.data.source import Rows
from causalplug.encoders.encoders import project
from causalplug.graphs.source import Source
from causalplug.model.model import Model
from causalplug.noise import Noise
from causalplug.selection import all_of_kind
from causalplug.values import Named

__all__ = ["Sample", "counts_fit", "from_model", "from_rows"]

_SEED = 40_009  # of the rows in place of data
_ROWS, _PICTURES = 16_384, 1024
_SLOW = 20.0  # seconds that pictures in place of data may take


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of one source.

    Attributes:
        source: What they are a sample of.
        values: Encoded values by variable, images as projections.
        stands_for: How many rows of the data they are.
        real: Whether they are the data.
        clusters: ``(n,)`` the cluster of every row, None for independent rows.
    """

    source: Source
    values: Mapping[str, Tensor]
    stands_for: int
    real: bool
    clusters: Tensor | None = None

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))


def from_rows(dcm: Model, tables: Sequence[Rows]) -> list[Sample]:
    """Samples of data, images projected by the model's encoders."""
    found = []
    for rows in tables:
        values = {name: _read(dcm, name, value) for name, value in rows.values.items()}
        found.append(Sample(rows.source, values, len(rows), True, rows.clusters))
    return found


def _read(dcm: Model, name: str, value: Tensor) -> Tensor:
    if dcm.variables[name].needs_encoder and name in dcm.encoders:
        return project(dcm.encoders[name], value, device=dcm.device)
    return value.to(dcm.device)


def from_model(
    dcm: Model, sources: Sequence[Source], counts: Sequence[Named]
) -> list[Sample] | None:
    """As many rows of the model, from the distribution of every source, as represent its rows.

    Args:
        dcm: The model.
        sources: What it was trained on.
        counts: What training noted of their rows, see :func:`causalplug.training.counted.counted`.

    Returns:
        One sample for each source; None where its pictures would take too long.
    """
    found = []
    for number, (source, count) in enumerate(zip(sources, counts, strict=True)):
        pictures = [n for n in source.recorded if dcm.variables[n].needs_encoder]
        size = _ROWS
        if pictures:
            size = _PICTURES
        seconds = sum(dcm.mechanism(name).batch_cost for name in pictures) * size / 64
        if seconds > _SLOW or any(count["set"].get(name) == [] for name in source.do):
            return None
        noise = Noise(size, _SEED + number, device=dcm.device)
        do = {}
        for name in sorted(source.do):
            do[name] = _set(dcm, name, count["set"][name], noise)
        with torch.no_grad():
            drawn = dcm.generate(noise, do, sorted(source.recorded))
            values = {name: _projected(dcm, name, value) for name, value in drawn.items()}
        found.append(Sample(source, values, count["rows"], False))
    return found


def counts_fit(dcm: Model, sources: Sequence[Source], counts: object) -> bool:
    """Whether what a model's history says of its rows can be used: it may come from anywhere."""
    if not isinstance(counts, list) or len(counts) != len(sources):
        return False
    return all(_fits(dcm, source, count) for source, count in zip(sources, counts, strict=True))


def _fits(dcm: Model, source: Source, count: object) -> bool:
    if not isinstance(count, Mapping) or not isinstance(count.get("rows"), int):
        return False
    described = count.get("set")
    if count["rows"] < 1 or not isinstance(described, Mapping) or set(described) != source.do:
        return False
    return all(_numbers(dcm, name, values) for name, values in described.items())


def _numbers(dcm: Model, name: str, values: object) -> bool:
    """Shares of the categories, or quantiles; none for what cannot be described."""
    if not isinstance(values, list) or not all_of_kind(values, int | float):
        return False
    if dcm.variables[name].is_discrete:
        return len(values) == dcm.variables[name].size
    return len(values) != 1


def _set(dcm: Model, name: str, described: Sequence[float], noise: Noise) -> Tensor:
    """Values of an intervened variable as often as in the data."""
    places = (torch.arange(len(noise), dtype=torch.float64) * 0.6180339887498949) % 1.0
    numbers = torch.tensor(described, dtype=torch.float64)
    if dcm.variables[name].is_discrete:
        codes = torch.searchsorted(numbers.cumsum(0), places, right=True)
        return codes.clamp_max(len(numbers) - 1).to(noise.device)
    at = places * (len(numbers) - 1)
    below = at.long().clamp_max(len(numbers) - 2)
    value = torch.lerp(numbers[below], numbers[below + 1], at - below)
    if dcm.variables[name].is_countable:
        value = value.round()
    return value.to(noise.device, torch.float32)


def _projected(dcm: Model, name: str, value: Tensor) -> Tensor:
    if dcm.variables[name].needs_encoder and name in dcm.encoders:
        return dcm.project(name, value)
    return value
