"""Mean, standard deviation and quantiles of a number, as means over rows of noise.

Each is put in the form of a mean whose error is the number's, to first order: of a quantile q with
density f it is that of ``q + (p - 1{Y <= q}) / f``, of a standard deviation s that of
``s + ((Y - m)^2 - s^2) / 2s``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from causalplug.model.model import Model
from causalplug.sampling.answers import DESCRIBED, QUANTILES, SHARES
from causalplug.sampling.terms import CompiledTerm
from causalplug.sampling.worlds import Rows
from causalplug.uncertainty.numbers import AnswerNumbers, Block

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DESCRIBED", "Described", "DescribedNumbers", "ends_at_atoms"]

_LEAST = 1e-12  # of a deviation or a density
_ATOM = 0.005  # share on either side of a quantile that has its value, where it is an atom


@dataclass(frozen=True, eq=False)
class Described:
    """Numbers of every cell of a summary; ``(cells,)`` and ``(cells, quantiles)``.

    Attributes:
        mean, sd: Mean and standard deviation.
        quantiles: The quantiles.
        densities: The density at each.
    """

    mean: Tensor
    sd: Tensor
    quantiles: Tensor
    densities: Tensor

    @classmethod
    def of(cls, table: pd.DataFrame) -> Described:
        """From a summary; the density is read off the Monte-Carlo error of a quantile."""
        names = DESCRIBED[2:]
        quantiles = table[list(names)].to_numpy(float)
        errors = table[[f"{name}_mc" for name in names]].to_numpy(float)
        shares = np.asarray(QUANTILES)
        rows = table["effective_sample_size"].to_numpy(float)[:, None]
        densities = np.sqrt(shares * (1 - shares) / rows) / np.maximum(errors, _LEAST)
        parts = [table["mean"].to_numpy(float), table["sd"].to_numpy(float), quantiles, densities]
        return cls(*(torch.tensor(np.array(part), dtype=torch.float64) for part in parts))

    def part(self, cells: slice) -> Described:
        """Those of some cells."""
        fields = (self.mean, self.sd, self.quantiles, self.densities)
        return Described(*(value[cells] for value in fields))

    def of_values(self, values: Tensor) -> Tensor:
        """``(n, cells, numbers)``: what the means are taken of, for ``values`` ``(n,)``."""
        y = values.double()[:, None]
        sd = self.sd.clamp_min(_LEAST)
        deviation = sd + ((y - self.mean) ** 2 - sd**2) / (2 * sd)
        shares = torch.tensor(QUANTILES, dtype=torch.float64)
        below = (y[..., None] <= self.quantiles).double()
        quantiles = self.quantiles + (shares - below) / self.densities.clamp_min(_LEAST)
        mean = y.expand_as(deviation)
        return torch.cat([torch.stack([mean, deviation], -1), quantiles], -1)


def ends_at_atoms(
    table: pd.DataFrame,
    steps: np.ndarray,
    variance: np.ndarray,
    correction: np.ndarray,
    reach: float,
) -> dict[str, np.ndarray]:
    """The columns of the quantiles at which one value has a probability of its own, such as those
    of a count.

    There is no density there. The interval goes from the quantile at the lower end of the share's
    own interval to that at its upper end (Woodruff 1952).

    Args:
        table: A summary.
        steps: Quantiles at the shares of ``SHARES``, ``(cells, 1001)``.
        variance, correction: Of every number of the summary, ``(cells, numbers)``.
        reach: Standard errors from the middle of an interval to its end.
    """
    densities = Described.of(table).densities.numpy()
    rows = table["effective_sample_size"].to_numpy(float)
    columns = {}
    for place, (name, share) in enumerate(zip(DESCRIBED[2:], QUANTILES, strict=True)):
        density = densities[:, place]
        sampling = share * (1 - share) / rows
        error = np.sqrt(variance[:, 2 + place] * density**2 + sampling)
        middle = share + correction[:, 2 + place] * density
        value = _quantiles(steps, middle, np.round)
        low = _quantiles(steps, middle - reach * error, np.floor)
        high = _quantiles(steps, middle + reach * error, np.ceil)
        atom = _quantiles(steps, middle - _ATOM, np.round) == value
        atom |= _quantiles(steps, middle + _ATOM, np.round) == value
        own = {"": value, "_low": low, "_high": high, "_se": (high - low) / (2 * reach)}
        for end, numbers in own.items():
            columns[f"{name}{end}"] = np.where(atom, numbers, table[f"{name}{end}"])
    return columns


def _quantiles(
    steps: np.ndarray, shares: np.ndarray, to_step: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """The quantile ``(cells,)`` at a share for each cell; NaN where the share is not known, as in
    a cell without rows."""
    places = to_step(np.nan_to_num(shares).clip(0, 1) * (len(SHARES) - 1)).astype(int)
    return np.where(np.isnan(shares), np.nan, steps[np.arange(len(steps)), places])


class DescribedNumbers(AnswerNumbers):
    """The numbers of a summary, cell by cell.

    Args:
        dcm: The model.
        label: The open outcome that is described.
        described: The summary.
        terms: The one compiled term.
    """

    smooth = False

    def __init__(self, dcm: Model, label: str, described: Described, terms: Sequence[CompiledTerm]):
        self.label, self.described = label, described
        super().__init__(dcm, terms)
        for block in self.blocks:
            block.width = len(DESCRIBED)
            self.joint = self.joint or any(block.sizes[1])
        self.size = sum(block.cells for block in self.blocks)

    def of_case(self, block: Block, position: int, rows: Rows) -> tuple[Tensor, Tensor]:
        """``a`` and ``b``: a cell holds the evidence and the discrete outcomes."""
        inside, _ = super().of_case(block, position, rows)
        (axis,) = [a for a in block.cases[position].outcomes if a.label == self.label]
        values = rows.values(axis.world, [axis.variable])[axis.variable]
        start = self.columns((self.blocks.index(block), position)).start // block.width
        own = self.described.part(slice(start, start + inside.shape[1]))
        numbers = own.of_values(values.cpu()).to(inside.device)
        a = inside[..., None] * numbers
        return a.flatten(1), inside[..., None].expand_as(numbers).flatten(1)
