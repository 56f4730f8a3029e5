"""Gradients of an answer over discrete variables, every joint value enumerated.

Where no variable is read in two worlds of one term, the probability of a joint value is the product
of the mechanisms averaged over the confounder noise, and differentiable as it stands; only the
confounder noise is drawn, quasi-randomly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from causalplug.model.model import Model
from causalplug.noise import Noise
from causalplug.sampling.terms import Case
from causalplug.sampling.worlds import Rows, World
from causalplug.selection import positions_of
from causalplug.tensors import unraveled
from causalplug.training.factors import Cells, ConfounderDraws, confounders_of, tabular
from causalplug.uncertainty.gradient import differentiable, pulled_back
from causalplug.uncertainty.numbers import AnswerNumbers

__all__ = ["enumerated_gradient"]

_JOINT = 1024  # joint values of one case, at most
_DRAWS = 512


def enumerated_gradient(
    dcm: Model, numbers: AnswerNumbers, parameters: Mapping[str, Sequence[nn.Parameter]]
) -> dict[str, Tensor] | None:
    """Gradients ``(k, parameters)`` of the numbers by variable, None where the answer is not of
    this kind.

    Args:
        dcm: The model.
        numbers: What is differentiated.
        parameters: Parameters by variable.
    """
    cases = []
    for block in numbers.blocks:
        cases.extend(block.cases)
    found = [_variables(dcm, numbers, case) for case in cases]
    if any(of is None for of in found):
        return None
    together = list(chain.from_iterable(parameters.values()))
    if not together:
        return {}
    with differentiable(together):
        values = _numbers(dcm, numbers, dict(zip(map(id, cases), found, strict=True)))
        if not values.requires_grad:
            gradients = torch.zeros(numbers.size, sum(p.numel() for p in together)).double()
        else:
            gradients = pulled_back(values, torch.eye(numbers.size), together)
    sizes = []
    for own in parameters.values():
        sizes.append(sum(p.numel() for p in own))
    return dict(zip(parameters, gradients.split(sizes, 1), strict=True))


def _variables(dcm: Model, numbers: AnswerNumbers, case: Case) -> list[tuple[str, World]] | None:
    """What has to be enumerated for a case, each with its world, in topological order."""
    cells: dict[Any, tuple[str, World]] = {}
    for world, target in numbers.targets_of(case):
        for name, own in world.run([target]):
            cells[own.cell(name)] = (name, own)
    names = [name for name, _ in cells.values()]
    points = any(given.points for given in case.given)
    if points or len(set(names)) < len(names) or not tabular(dcm, names):
        return None
    if math.prod(dcm.variables[name].size for name in names) > _JOINT:
        return None
    order = positions_of(dcm.graph.topological_order())
    return sorted(cells.values(), key=lambda cell: order[cell[0]])


def _numbers(dcm: Model, numbers: AnswerNumbers, variables: Mapping[int, object]) -> Tensor:
    """The numbers ``(k,)``, differentiable."""
    found = []
    for position in range(len(numbers.terms)):
        ratios = []
        for block in numbers.blocks:
            case = block.cases[position]
            rows, probability = _joint(dcm, variables[id(case)])  # type: ignore[arg-type]
            a, b = numbers.of_case(block, position, rows)
            ratios.append(probability @ a / (probability @ b))
        found.append(torch.cat(ratios))
    return numbers.combined(torch.stack(found))


def _joint(dcm: Model, variables: Sequence[tuple[str, World]]) -> tuple[Rows, Tensor]:
    """Every joint value as a row, and its probability ``(n,)``."""
    names = [name for name, _ in variables]
    sizes = [dcm.variables[name].size for name in names]
    count = math.prod(sizes)
    grid: tuple[Tensor, ...] = ()
    if sizes:
        grid = unraveled(torch.arange(count, device=dcm.device), sizes)
    rows = Rows(dcm, Noise(count, device=dcm.device))
    for (name, world), codes in zip(variables, grid, strict=True):
        rows.cells[world.cell(name)] = codes
    draws = ConfounderDraws(confounders_of(dcm, names), dcm.confounder_size, _DRAWS)
    noise = draws(torch.Generator(dcm.device).manual_seed(0))
    log_prob = torch.zeros(1, count, device=dcm.device)
    for name, world in variables:
        read = rows.values(world, dcm.mechanism(name).parents)
        columns = {**read, name: rows.cells[world.cell(name)]}
        log_prob = log_prob + Cells(dcm, [name], columns).log_prob(noise)
    return rows, log_prob.exp().double().mean(0)
