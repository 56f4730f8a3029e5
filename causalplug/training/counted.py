"""How many rows of what a model was trained on: all that a true interval needs to know of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from causalplug.data.source import Rows
from causalplug.values import Json
from causalplug.variables import Variable

__all__ = ["counted"]

_QUANTILES = 21


def counted(rows: Rows, variables: Mapping[str, Variable]) -> Json:
    """The number of rows of a source, and how often what was set took each of its values.

    Args:
        rows: Encoded rows that training used.
        variables: Their declarations.

    Returns:
        JSON values: ``rows``; ``clusters``, their number, where rows come in some; ``set``, by
        variable the shares of a discrete one's categories or quantiles of a continuous one.
    """
    described = {}
    for name in sorted(rows.source.do):
        described[name] = _values(rows.values[name], variables[name])
    found: Json = {"rows": len(rows), "set": described}
    if rows.clusters is not None:
        found["clusters"] = len(torch.unique(rows.clusters))
    return found


def _values(values: Tensor, variable: Variable) -> list[float]:
    if variable.is_discrete:
        counts = torch.bincount(values.cpu(), minlength=variable.size).double()
        return (counts / counts.sum()).tolist()
    if values.ndim > 1:
        return []
    levels = torch.linspace(0, 1, _QUANTILES, dtype=torch.float64)
    return torch.quantile(values.cpu().double(), levels).tolist()
