"""The exact maximum of the likelihood where it is a table of counts."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from causalplug.mechanisms.trainable.discrete import DiscreteMLP
from causalplug.tensors import unraveled
from causalplug.training.factors import ravel
from causalplug.variables import Variable

__all__ = ["start_at_counts"]

_ROWS_PER_NUMBER = 10  # of a table, below which a network that shares strength does better
_EXACT = 1e-3  # nats
_AT_ONCE = 2**20  # rows


@torch.no_grad()
def start_at_counts(mechanism: DiscreteMLP, name: str, rows: Mapping[str, Tensor]) -> bool:
    """Set a mechanism without a confounder to the shares of its categories, by value of its
    parents.

    The output layer alone is changed: its weights solve a linear system, exactly where the parents
    have at most as many joint values as the last hidden layer has units.

    Args:
        mechanism: Reads discrete parents only, if any.
        name: Name of its variable.
        rows: Codes ``(n,)`` of the variable and its parents.

    Returns:
        Whether it is at the maximum now. False, and nothing changed, where the parents are not all
        discrete, their table is too large, or rows are too few for a table to be the best answer.
    """
    parents = mechanism.network.parents
    sizes = []
    for spec in parents.values():
        if not isinstance(spec, Variable) or not spec.is_discrete:
            return False
        sizes.append(spec.size)
    cells, k = math.prod(sizes), mechanism.variable.size
    codes = rows[name]
    if cells > mechanism.hidden[-1] or len(codes) < _ROWS_PER_NUMBER * cells * (k - 1):
        return False
    counts = torch.zeros(cells * k, dtype=torch.int64, device=codes.device)
    for start in range(0, len(codes), _AT_ONCE):
        part = [rows[column][start : start + _AT_ONCE] for column in (*parents, name)]
        counts += torch.bincount(ravel(part, [*sizes, k]), minlength=cells * k)
    counts = counts.view(cells, k).double()
    shares = (counts.sum(0) + 0.5) / (counts.sum() + 0.5 * k)
    table = ((counts + shares) / (counts.sum(-1, keepdim=True) + 1)).log()
    if not parents:
        mechanism.network.output_bias.copy_(table[0])
        return True
    return _solve(mechanism, _grid(parents, sizes, codes.device), table)


def _grid(
    parents: Mapping[str, object], sizes: list[int], device: torch.device
) -> dict[str, Tensor]:
    """Every joint value of the parents, the last varying fastest."""
    joint = torch.arange(math.prod(sizes), device=device)
    return dict(zip(parents, unraveled(joint, sizes), strict=True))


def _solve(mechanism: DiscreteMLP, grid: Mapping[str, Tensor], table: Tensor) -> bool:
    network = mechanism.network
    last: torch.nn.Linear = network.rest[-1]  # type: ignore[index, assignment]
    before = last.weight.clone(), last.bias.clone()
    hidden = network.rest[:-1](network.read_parents(network.features(grid).to(last.weight.dtype)))  # type: ignore[index, misc]
    hidden = torch.cat([hidden.double(), hidden.new_ones(len(hidden), 1).double()], 1)
    solved = torch.linalg.lstsq(hidden, table, driver="gelsd").solution
    last.weight.copy_(solved[:-1].T)
    last.bias.copy_(solved[-1])
    found = torch.log_softmax(mechanism.logits(grid).double(), -1)
    if float((found - table).abs().max()) > _EXACT:
        last.weight.copy_(before[0])
        last.bias.copy_(before[1])
        return False
    return True
