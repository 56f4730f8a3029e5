"""The rows of all sources as tensors, each variable in the precision that its rows need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from causalplug.data.source import DataSource, Rows
from causalplug.model.model import Model
from causalplug.variables import Continuous

__all__ = ["encoded"]


def encoded(dcm: Model, sources: Sequence[DataSource], folder: Path | None) -> list[Rows]:
    """The sources' rows.

    A variable whose rows float32 would blur in one source (times in seconds since 1970) is kept in
    float64 in all of them, and the model's declaration of it says so from here on.

    Args:
        dcm: The model.
        sources: Its tables.
        folder: Where pixels go that do not fit into memory.

    Raises:
        DataError, SourceError: As :meth:`DataSource.encode`.
    """
    tables = [source.encode(dcm.variables, cache_dir=folder) for source in sources]
    wide = {
        name
        for rows in tables
        for name, values in rows.values.items()
        if isinstance(dcm.variables[name], Continuous) and values.dtype == torch.float64
    }
    if not wide:
        return tables
    for name in wide:
        dcm.variables[name] = replace(dcm.variables[name], precise=True)  # type: ignore[call-arg]
    for place, (source, rows) in enumerate(zip(sources, tables, strict=True)):
        if any(rows.values[name].dtype != torch.float64 for name in wide & set(rows.values)):
            tables[place] = source.encode(dcm.variables, cache_dir=folder)
    return tables
