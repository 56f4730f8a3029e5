"""Scores of c-factors, and the Fisher information that they make."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import torch
from torch import Tensor, nn

from causalplug.model.model import Model
from causalplug.selection import pick
from causalplug.tensors import rows_at
from causalplug.training.factors import (
    Cells,
    ConfounderDraws,
    confounders_of,
    distinct,
    log_mean_exp,
    rows_log_prob,
    tabular,
)
from causalplug.training.stack import prior_deviations
from causalplug.uncertainty.gradient import NoGradient, differentiable, pulled_back
from causalplug.wording import listed

__all__ = ["Factor", "Scores", "log_factors", "rows_to_read"]

_DRAWS, _DRAWS_CONTINUOUS = 512, 64
_SOLVED = 600  # distinct rows up to which their scores are formed
_READ = 2000  # distinct rows of a factor of cells
_READ_NUMBERS, _READ_HIDDEN = 1000, 400  # rows of one with numbers; with confounder noise as well
_MEMORY = 2**25  # scores of rows with numbers that are held: rows times parameters
_FEWEST = 150  # rows with numbers that Fisher information can be made of
_COLUMNS = 4096  # parameters in one product of scores
_BACKWARD = 4096  # evaluations in one backward pass of single rows
_STEPS = 30  # of conjugate gradients
_DAMPING = 1e-4  # of the mean of the diagonal


@dataclass(frozen=True, eq=False)
class Factor:
    """One c-factor on the rows of one source, equal rows once.

    Attributes:
        variables: Whose mechanisms it is the product of.
        rows: Values by variable, ``(r, …)``.
        counts: ``(r,)`` how many rows of the source each stands for.
        which: ``(n,)`` the number of every row of the source among them, or None.
    """

    variables: tuple[str, ...]
    rows: Mapping[str, Tensor]
    counts: Tensor
    which: Tensor | None

    @classmethod
    def of(
        cls, dcm: Model, variables: Sequence[str], rows: Mapping[str, Tensor], total: int
    ) -> Factor:
        """The factor on encoded rows, images as projections, that stand for ``total`` rows."""
        names = [*variables, *(p for name in variables for p in dcm.graph.parents(name))]
        needed = pick(rows, dict.fromkeys(names))
        number = len(needed[names[0]])
        if tabular(dcm, variables):
            sizes = [dcm.variables[name].size for name in needed]
            different, which, counts = distinct(needed, sizes)
            return cls(tuple(variables), different, counts * (total / number), which)
        counts = torch.full((number,), total / number, dtype=torch.float64)
        return cls(tuple(variables), needed, counts, torch.arange(number))

    def __len__(self) -> int:
        return len(self.counts)

    def thinned(self, most: int) -> Factor:
        """At most so many of the rows, standing for all of them."""
        if len(self) <= most:
            return self
        kept = torch.linspace(0, len(self) - 1, most).long()
        counts = self.counts[kept] * (self.counts.sum() / self.counts[kept].sum())
        return Factor(self.variables, self._rows_at(kept), counts, None)

    def split(self, size: int) -> Iterator[Factor]:
        """Parts of so many rows."""
        for places in torch.arange(len(self)).split(size):
            yield Factor(self.variables, self._rows_at(places), self.counts[places], None)

    def _rows_at(self, places: Tensor) -> dict[str, Tensor]:
        return rows_at(self.rows, places)


def rows_to_read(
    dcm: Model, factors: Sequence[Factor], parameters: Sequence[nn.Parameter]
) -> list[int]:
    """How many rows of each factor are read, so that an interval takes a small share of a fit.

    Args:
        dcm: The model.
        factors: C-factors of the same component on several sources.
        parameters: Parameters of the component.

    Raises:
        NoGradient: Not even the fewest rows that say something can be held.
    """
    limits = [_limit(dcm, factor) for factor in factors]
    cells = [tabular(dcm, factor.variables) for factor in factors]
    if all(cells):
        return limits
    size = sum(parameter.numel() for parameter in parameters)
    wanted = sum(min(limit, len(f)) for limit, f in zip(limits, factors, strict=True))
    share = min(1.0, _MEMORY / (size * wanted))
    if share < 1 and share * wanted < _FEWEST * len(factors):
        raise NoGradient(
            f"the modules of {listed(factors[0].variables)} have {size:,} parameters, too many "
            "for the scores of enough rows to be held"
        )
    return [max(1, int(share * limit)) for limit in limits]


def _limit(dcm: Model, factor: Factor) -> int:
    if tabular(dcm, factor.variables):
        return _READ
    return _READ_HIDDEN if confounders_of(dcm, factor.variables) else _READ_NUMBERS


def log_factors(dcm: Model, factor: Factor, seed: int) -> Tensor:
    """Log c-factors ``(r,)`` of the rows, by quasi-random draws of the confounder noise."""
    cells = tabular(dcm, factor.variables)
    draws = ConfounderDraws(
        confounders_of(dcm, factor.variables),
        dcm.confounder_size,
        _DRAWS if cells else _DRAWS_CONTINUOUS,
    )
    noise = draws(torch.Generator(dcm.device).manual_seed(seed))
    if cells:
        return log_mean_exp(Cells(dcm, factor.variables, factor.rows).log_prob(noise))
    return log_mean_exp(rows_log_prob(dcm, factor.variables, factor.rows, noise))


class Scores:
    """Scores of several c-factors with respect to the same parameters, as a linear map.

    Args:
        dcm: The model.
        factors: C-factors of the same variables on several sources.
        parameters: Parameters that are trained.
        seed: Seed of the confounder draws.
    """

    def __init__(
        self,
        dcm: Model,
        factors: Sequence[Factor],
        parameters: Sequence[nn.Parameter],
        *,
        seed: int = 0,
    ):
        self.parameters = list(parameters)
        self.counts = torch.cat([factor.counts.double() for factor in factors])
        self._cells = all(tabular(dcm, factor.variables) for factor in factors)
        self._prior: Tensor | None = None
        if any(_behind_an_encoder(dcm, factor) for factor in factors):
            self._prior = prior_deviations(self.parameters)
        with differentiable(self.parameters):
            if self._cells:
                self.values = torch.cat([log_factors(dcm, factor, seed) for factor in factors])
            else:
                parts = [self._of_rows(dcm, factor, seed) for factor in factors]
                self._formed = torch.cat(parts)

    def __len__(self) -> int:
        return len(self.counts)

    def influence(self, gradients: Tensor) -> Tensor:
        """What one row of the data adds to every number, ``(r, k)``, to first order.

        With the scores G and the rows' counts N it is ``G (G' N G + damping)^-1 gradients'``,
        solved in the space of the distinct rows. Behind an encoder the damping is the precision of
        the weights' prior: a network of projections has more weights than the rows determine, and
        what they leave open is held by where training started and stopped.

        Args:
            gradients: ``(k, parameters)`` of the numbers.
        """
        with differentiable(self.parameters):
            return self._solved(gradients)

    def _solved(self, gradients: Tensor) -> Tensor:
        root = self.counts.sqrt()[:, None]
        if not self._cells or len(self) <= _SOLVED:
            matrix = self._matrix() if self._cells else self._formed
            if self._prior is not None:
                matrix, gradients = matrix * self._prior, gradients * self._prior
            products, right = _products(matrix, gradients)
            products = root * products * root.T
            damping = 1.0
            if self._prior is None:
                damping = _DAMPING * float(products.diagonal().mean())
            products.diagonal().add_(damping)
            return torch.linalg.solve(products, root * right) / root
        right = root * self._times(gradients)
        return _conjugate_gradients(self._product, right) / root

    def _times(self, gradients: Tensor) -> Tensor:
        """``G gradients'``, ``(r, k)``: the pullback is linear, and its own pullback is this."""
        columns = list(map(self._push, gradients))
        return torch.stack(columns, 1)

    def _push(self, direction: Tensor) -> Tensor:
        parts = direction.to(self.values.dtype).split([p.numel() for p in self.parameters])
        like = [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]
        pulled = [p if p is not None else None for p in self._pulled]
        pairs = [(p, part) for p, part in zip(pulled, like, strict=True) if p is not None]
        (found,) = torch.autograd.grad(
            [p for p, _ in pairs], self._probe, [part for _, part in pairs], retain_graph=True
        )
        return found.double()

    @cached_property
    def _probe(self) -> Tensor:
        return torch.zeros_like(self.values, requires_grad=True)

    @cached_property
    def _pulled(self) -> tuple[Tensor | None, ...]:
        """``probe G`` by parameter, as a function of the probe."""
        return torch.autograd.grad(
            self.values, self.parameters, self._probe, create_graph=True, allow_unused=True
        )

    def _product(self, x: Tensor) -> Tensor:
        """``root G G' root x``."""
        root = self.counts.sqrt()[:, None]
        return root * self._times(pulled_back(self.values, (root * x).T, self.parameters))

    def _matrix(self) -> Tensor:
        """The scores themselves, ``(r, parameters)``."""
        return pulled_back(self.values, torch.eye(len(self)), self.parameters)

    def _of_rows(self, dcm: Model, factor: Factor, seed: int) -> Tensor:
        """Scores ``(r, parameters)`` of rows with numbers, some rows at a time: one backward pass
        of a few rows costs no more than they do, and needs no more memory."""
        draws = _DRAWS_CONTINUOUS if confounders_of(dcm, factor.variables) else 1
        together = max(1, math.isqrt(_BACKWARD // draws))
        found = []
        for part in factor.split(together):
            values = log_factors(dcm, part, seed)
            weights = torch.eye(len(part), device=values.device)
            found.append(pulled_back(values, weights, self.parameters).float().cpu())
        return torch.cat(found)


def _behind_an_encoder(dcm: Model, factor: Factor) -> bool:
    """Whether a mechanism of the factor reads projections."""
    parents = chain.from_iterable(map(dcm.graph.parents, factor.variables))
    return any(dcm.variables[name].needs_encoder for name in parents)


def _products(matrix: Tensor, gradients: Tensor) -> tuple[Tensor, Tensor]:
    """``G G'`` and ``G gradients'``, summed over parts of the parameters in double precision."""
    rows = len(matrix)
    products = torch.zeros(rows, rows, dtype=torch.float64)
    right = torch.zeros(rows, len(gradients), dtype=torch.float64)
    parts = zip(matrix.split(_COLUMNS, 1), gradients.split(_COLUMNS, 1), strict=True)
    for some, own in parts:
        products += some @ some.T
        right.addmm_(some.double(), own.double().cpu().T)
    return products, right


def _conjugate_gradients(product: Callable[[Tensor], Tensor], right: Tensor) -> Tensor:
    """Solve ``(A + damping) x = right`` for every column, from products with A alone (Hestenes &
    Stiefel 1952)."""
    probe = torch.randn(right.shape[0], 4, dtype=right.dtype, generator=_generator())
    trace = (probe * product(probe)).sum() / 4
    damping = _DAMPING * trace / len(right)
    x = torch.zeros_like(right)
    rest, direction = right.clone(), right.clone()
    before = (rest * rest).sum(0)
    first = before.clone()
    for _ in range(_STEPS):
        if bool((before <= 1e-6 * first).all()):
            break
        along = product(direction) + damping * direction
        step = before / (direction * along).sum(0).clamp_min(1e-300)
        x = x + step * direction
        rest = rest - step * along
        after = (rest * rest).sum(0)
        direction = rest + after / before.clamp_min(1e-300) * direction
        before = after
    return x


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
