"""Tests of conditional independence for discrete, continuous and vector columns.

Discrete columns are compared within strata: the generalized Cochran-Mantel-Haenszel statistic sees
an association of one direction in all strata, Pearson's statistic summed over the strata sees any.
Other columns are regressed on what is given, and the residuals are compared: the generalized
covariance measure (Shah & Peters 2020) of normal scores, and of features that see spread. The
regression is a ridge regression on random Fourier features of the ranks, with the penalty chosen by
generalized cross-validation. Both ways have a first test of few and a second of many degrees of
freedom, which share the level in the ratio of nine to one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from causalplug.selection import values_at

__all__ = ["Column", "IndependenceTests", "Outcome", "column_of"]

_FIRST = 0.9  # of the level, for the test of few degrees of freedom
_FEATURES = 120
_PENALTIES = np.logspace(-4, 3, 15)
_RARE = 20  # rows of a category
_FULL = 10  # rows per stratum, on average, that a test within strata needs


@dataclass(frozen=True, eq=False)
class Column:
    """A column as tests read it: ``codes`` of a discrete one, or normal scores of the others."""

    name: str
    codes: np.ndarray | None
    scores: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @property
    def levels(self) -> int:
        """The number of values of a discrete column."""
        if self.codes is None:
            return 0
        return int(self.codes.max(initial=0)) + 1


@dataclass(frozen=True)
class Outcome:
    """The result of one test.

    Attributes:
        p_value: The p-value.
        association: How strong the dependence is: the root of the statistic over the number of
            rows, a partial correlation where both are single numbers.
        method: What was used.
    """

    p_value: float
    association: float
    method: str


def column_of(name: str, values: object, *, most_values: int = 6) -> Column:
    """A column of categories, numbers or vectors, ready for tests.

    Args:
        name: Its name.
        values: One value or one vector per row.
        most_values: A column of numbers with at most so many values counts as categories; one with
            more is ranked.
    """
    array = np.asarray(values)
    if array.ndim == 1:
        unique, codes = np.unique(array, return_inverse=True)
        if array.dtype.kind not in "fiu" or len(unique) <= most_values:
            return _discrete(name, codes.reshape(-1), len(unique))
    return _continuous(name, array.reshape(len(array), -1).astype(float))


def _discrete(name: str, codes: np.ndarray, levels: int) -> Column:
    shown = np.eye(levels)[codes]
    merged = _merged(codes, levels)
    first = np.eye(int(merged.max(initial=0)) + 1)[merged][:, 1:]
    return Column(name, codes, shown, first, np.zeros((len(codes), 0)))


def _merged(codes: np.ndarray, levels: int) -> np.ndarray:
    """Codes in which the rare categories are one, so that every mean is of enough rows."""
    counts = np.bincount(codes, minlength=levels)
    rare = counts < _RARE
    if rare.sum() < 2:
        return codes
    place = np.where(rare, 0, np.cumsum(~rare))
    return np.unique(place[codes], return_inverse=True)[1].reshape(-1)


def _continuous(name: str, values: np.ndarray) -> Column:
    from scipy.special import ndtri  # a tenth of a second: where something is tested

    ranks = np.apply_along_axis(_ranks, 0, values)
    scores = ndtri(ranks)
    return Column(name, None, scores, scores, 2 * np.abs(2 * ranks - 1) - 1)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Middle ranks between 0 and 1."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    return np.asarray(((upper - counts / 2) / len(values))[inverse.reshape(-1)])


@dataclass(eq=False)
class IndependenceTests:
    """Tests on the columns of one table; regressions on the same columns are shared.

    Args:
        columns: The columns by name.
        seed: Seed of the random features.
    """

    columns: Mapping[str, Column]
    seed: int = 0
    _bases: dict[tuple[str, ...], np.ndarray] = field(default_factory=dict)
    _ridges: dict[tuple[str, ...], _Ridge] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values())).scores)

    def compare(
        self, x: str, y: str, given: Sequence[str], weights: np.ndarray | None = None
    ) -> Outcome:
        """Whether ``x`` and ``y`` are independent given ``given``, in rows with these weights."""
        parts = values_at(self.columns, (x, y))
        strata, count = self.strata(given)
        full = count * _FULL <= self.count
        if weights is None and full and all(part.codes is not None for part in parts):
            return _within_strata(parts[0], parts[1], strata, count)
        return self._by_regression(parts[0], parts[1], tuple(given), weights)

    def strata(self, given: Sequence[str]) -> tuple[np.ndarray, int]:
        """The stratum of every row, and how many there are; one per row where a column is not
        discrete."""
        key = np.zeros(self.count, np.int64)
        for name in given:
            codes = self.columns[name].codes
            if codes is None:
                return np.arange(self.count), self.count
            key = np.unique(key * self.columns[name].levels + codes, return_inverse=True)[1]
        return key.reshape(-1), int(key.max(initial=0)) + 1

    def _by_regression(
        self, x: Column, y: Column, given: tuple[str, ...], weights: np.ndarray | None
    ) -> Outcome:
        if weights is None:
            w, ridge = np.ones(self.count), self._ridge(given)
        else:
            w = weights / weights.mean()
            ridge = _Ridge(self._basis(given), w)
        left, right = (ridge.residuals(np.hstack([c.first, c.second])) for c in (x, y))
        few, many = x.first.shape[1], y.first.shape[1]
        products = left[:, :, None] * right[:, None, :] * w[:, None, None]
        first = products[:, :few, :many].reshape(self.count, -1)
        rest = np.ones(products.shape[1:], bool)
        rest[:few, :many] = False
        second = products[:, rest]
        scale = np.sqrt(np.mean(left[:, :few] ** 2 * w[:, None], 0).sum())
        scale *= np.sqrt(np.mean(right[:, :many] ** 2 * w[:, None], 0).sum())
        strength = float(np.sqrt((first.mean(0) ** 2).sum()) / max(scale, 1e-12))
        p = _shared(_mean_test(first), _mean_test(second))
        return Outcome(p, strength, "residuals" if weights is None else "weighted residuals")

    def _ridge(self, given: tuple[str, ...]) -> _Ridge:
        """The regression on what is given, in rows of equal weight."""
        if given not in self._ridges:
            self._ridges[given] = _Ridge(self._basis(given), np.ones(self.count))
        return self._ridges[given]

    def _basis(self, given: tuple[str, ...]) -> np.ndarray:
        """What is given as columns of a regression: strata where they are few, else the scores
        and random Fourier features of them."""
        if given not in self._bases:
            strata, count = self.strata(given)
            if count * _FULL <= self.count:
                self._bases[given] = np.eye(count)[strata]
            else:
                self._bases[given] = self._fourier(given)
        return self._bases[given]

    def _fourier(self, given: tuple[str, ...]) -> np.ndarray:
        from scipy.special import ndtri

        plain = np.hstack([self.columns[name].scores for name in given])
        random = np.random.default_rng(self.seed)
        some = plain[random.permutation(self.count)[:200]]
        gaps = np.sqrt(((some[:, None] - some[None]) ** 2).sum(-1))
        width = 1.0
        if (gaps > 0).any():
            width = float(np.median(gaps[gaps > 0]))
        parts = [10 * np.ones((self.count, 1)), 10 * plain]  # hardly penalized
        knots = ndtri(np.linspace(0.1, 0.9, 7))
        bumps = np.exp(-2 * (plain[:, :, None] - knots) ** 2)
        parts.append(3 * bumps.reshape(self.count, -1))  # additive parts, lightly
        for scale in (1.0, 0.4):
            frequencies = random.normal(size=(plain.shape[1], _FEATURES)) / (width * scale)
            phases = random.uniform(0, 2 * np.pi, _FEATURES)
            parts.append(np.cos(plain @ frequencies + phases))
        return np.hstack(parts)


class _Ridge:
    """A ridge regression on a basis, whose axes serve every target.

    Args:
        basis: ``(n, k)``.
        weights: ``(n,)`` of the rows.
    """

    def __init__(self, basis: np.ndarray, weights: np.ndarray):
        self.basis, self.root = basis, np.sqrt(weights)[:, None]
        self.scaled = basis * self.root
        values, axes = np.linalg.eigh(self.scaled.T @ self.scaled)
        kept = values > 1e-10 * values[-1]
        self.values, self.axes = values[kept], axes[:, kept]

    def residuals(self, targets: np.ndarray) -> np.ndarray:
        """What is left of every target ``(n, t)``; the penalty is the best of a grid by generalized
        cross-validation."""
        if not targets.shape[1]:
            return targets
        values, wanted = self.values, targets * self.root
        inside = (self.axes.T @ (self.scaled.T @ wanted)) / np.sqrt(values)[:, None]
        whole = (wanted**2).sum(0)
        best = np.full(targets.shape[1], np.inf)
        shrinks = np.zeros((len(values), targets.shape[1]))
        for penalty in _PENALTIES:
            shrink = values / (values + penalty)
            rest = whole - ((2 * shrink - shrink**2)[:, None] * inside**2).sum(0)
            score = rest / (1 - shrink.sum() / len(targets)) ** 2
            shrinks = np.where(score < best, shrink[:, None], shrinks)
            best = np.minimum(score, best)
        fitted = self.basis @ (self.axes @ (shrinks * inside / np.sqrt(values)[:, None]))
        return np.asarray(targets - fitted)


def _mean_test(products: np.ndarray) -> tuple[float, int]:
    """A chi-square statistic of the mean of the columns being zero, and its degrees of freedom."""
    if not products.shape[1]:
        return 0.0, 0
    mean = products.mean(0)
    spread = np.cov(products.T, bias=True).reshape(len(mean), len(mean)) / len(products)
    rank = int(np.linalg.matrix_rank(spread, hermitian=True))
    return float(mean @ np.linalg.pinv(spread, hermitian=True) @ mean), rank


def _shared(first: tuple[float, int], second: tuple[float, int]) -> float:
    """The p-value of two tests that share the level."""
    from scipy.special import chdtrc

    p_values = [float(chdtrc(df, s)) if df else 1.0 for s, df in (first, second)]
    if not second[1]:
        return p_values[0]
    return min(1.0, p_values[0] / _FIRST, p_values[1] / (1 - _FIRST))


def _within_strata(x: Column, y: Column, strata: np.ndarray, count: int) -> Outcome:
    rows, columns = x.levels, y.levels
    flat = (strata * rows + x.codes) * columns + y.codes
    tables = np.bincount(flat, minlength=count * rows * columns).reshape(count, rows, columns)
    common, strength = _mantel_haenszel(tables)
    return Outcome(_shared(common, _pearson(tables, common[1])), strength, "strata")


def _mantel_haenszel(tables: np.ndarray) -> tuple[tuple[float, int], float]:
    """The generalized Cochran-Mantel-Haenszel statistic for nominal columns, with its degrees of
    freedom, and the association (Landis, Heyman & Koch 1978)."""
    size = (tables.shape[1] - 1) * (tables.shape[2] - 1)
    total, spread = np.zeros(size), np.zeros((size, size))
    for table in tables:
        n = table.sum()
        if n < 2:
            continue
        down, across = table.sum(1) / n, table.sum(0) / n
        total += (table - n * np.outer(down, across))[:-1, :-1].ravel()
        parts = [(np.diag(p) - np.outer(p, p))[:-1, :-1] for p in (down, across)]
        spread += np.kron(parts[0], parts[1]) * n**2 / (n - 1)
    if not size:
        return (0.0, 0), 0.0
    rank = int(np.linalg.matrix_rank(spread, hermitian=True))
    statistic = float(total @ np.linalg.pinv(spread, hermitian=True) @ total)
    return (statistic, rank), float(np.sqrt(max(statistic, 0.0) / max(tables.sum(), 1)))


def _pearson(tables: np.ndarray, fewest: int) -> tuple[float, int]:
    """Pearson's statistic summed over strata in which no cell is expected to have less than five
    rows; none where it would say no more than the common association."""
    statistic, degrees = 0.0, 0
    for table in tables:
        table = table[table.sum(1) > 0][:, table.sum(0) > 0]
        if min(table.shape) < 2:
            continue
        expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
        if expected.min() >= 5:
            statistic += float(((table - expected) ** 2 / expected).sum())
            degrees += (table.shape[0] - 1) * (table.shape[1] - 1)
    if degrees > fewest:
        return (statistic, degrees)
    return (0.0, 0)
