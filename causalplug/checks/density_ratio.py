"""Density ratios by classifiers that never saw the row: how likely an event is on each row,
compared with how likely it is overall."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from causalplug.errors import DataError

__all__ = ["TREES", "OverBudget", "Ratios", "event_ratio", "reduced", "representatives"]

TREES, RATE = 60, 0.1
_LEAVES = 8
_BINS = 32  # of a feature where there are several: six times as fast as all 255
_FINE = 255  # where there are one or two, so that rare events are seen sharply
_DIMENSIONS = 8
_NUMBERS_OF_A_TREE = 20_000  # rows times features that take as long as a tree does without any


def event_ratio(
    features: np.ndarray,
    event: np.ndarray,
    *,
    most: int = 5000,
    folds: int = 5,
    judged: int | None = None,
    trees: int = TREES,
    rate: float = RATE,
    seed: int = 0,
) -> np.ndarray:
    """p(features | event) / p(features) on the rows, by trees that never saw the row.

    Boosted trees tell the rows of the event from all rows. Both classes weigh the same, so that the
    odds are the ratio, however rare the event is.

    Args:
        features: Array (rows, d).
        event: How far each row belongs to the event, 0 to 1, an array (rows,).
        most: Number of rows that stand for all of them; the rows of the event are used as well.
        folds: Number of parts of the cross-fitting.
        judged: Number of parts whose rows are judged, the first ones; all by default.
        trees: Number of boosted trees.
        rate: Their learning rate.
        seed: Seed of the parts and of the choice of rows.

    Returns:
        The ratio on the rows that stand for all of them, :func:`representatives`, or on the first
        of them where not all parts are judged.

    Raises:
        DataError: The features are not finite, or their number is not that of the rows.

    Source: Sugiyama, Suzuki & Kanamori 2012, "Density Ratio Estimation in Machine Learning", ch. 4.
    """
    _check(features, len(event))
    base = representatives(len(event), most, seed)
    happened = np.flatnonzero(event > 1e-3)
    happened = np.random.default_rng((seed, 1)).permutation(happened)[:most]
    found = []
    for inside, ones, zeros in itertools.islice(_parts(base, happened, folds), judged):
        if len(ones):
            classes = features[ones], features[zeros]
            found.append(_odds(*classes, event[ones], features[inside], trees, rate, seed))
        else:
            found.append(np.zeros(len(inside)))
    return np.concatenate(found)


class OverBudget(Exception):
    """The work that was allowed is done."""


@dataclass(eq=False)
class Ratios:
    """Density ratios that are computed once each, and no more of them than were allowed.

    The work is counted by the sizes of what is computed, not by the clock, so that the same rows
    give the same result on every machine.

    Attributes:
        most: Number of rows that stand for all of them.
        seed: Seed of the choice of rows and of the classifiers.
        folds: Number of parts of the cross-fitting.
        trees: Number of boosted trees.
        limit: Work that is allowed, in trees of a few small leaves; None for any.
        rate: Learning rate of the trees.
        judged: Number of the parts whose rows are judged, at most; None for all.
        work: Work that was done.
        by_chance: Share of the rows that lacks an event by chance, and its variance, by what is
            known of the event (:meth:`of_size`).
    """

    most: int
    seed: int
    folds: int = 5
    trees: int = TREES
    rate: float = RATE
    limit: float | None = None
    judged: int | None = None
    work: float = 0.0
    by_chance: dict[tuple[bytes, int], tuple[float, float]] = field(
        default_factory=dict, repr=False
    )
    _known: dict[tuple[bytes, int], np.ndarray] = field(default_factory=dict, repr=False)

    def of(self, features: np.ndarray, event: np.ndarray, judged: int | None = None) -> np.ndarray:
        """:func:`event_ratio` of an event, on the rows of ``judged`` parts.

        Raises:
            OverBudget: The work that was allowed is done.
        """
        parts = min(judged or self.folds, self.judged or self.folds, self.folds)
        digest = hashlib.blake2b(features.tobytes() + event.tobytes(), digest_size=16).digest()
        key = digest, parts
        if key not in self._known:
            self._count(len(event), features.shape[1], parts)
            self._known[key] = event_ratio(
                features,
                event,
                most=self.most,
                folds=self.folds,
                judged=parts,
                trees=self.trees,
                rate=self.rate,
                seed=self.seed,
            )
        return self._known[key]

    @staticmethod
    def of_size(features: np.ndarray, rows: float) -> tuple[bytes, int]:
        """What events of about as many rows have in common on the same features."""
        digest = hashlib.blake2b(features.tobytes(), digest_size=16).digest()
        return digest, round(math.log2(rows + 1))

    def _count(self, rows: int, columns: int, parts: int) -> None:
        if self.limit is not None and self.work >= self.limit:
            raise OverBudget
        numbers = 2 * min(rows, self.most) * columns
        self.work += parts * self.trees * (1 + numbers / _NUMBERS_OF_A_TREE)


def representatives(rows: int, most: int, seed: int) -> np.ndarray:
    """Positions of the rows that stand for all of them, in random order."""
    chosen: np.ndarray = np.random.default_rng(seed).permutation(rows)[:most]
    return chosen


def reduced(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """The features, or their first principal components where there are many."""
    if features.shape[1] <= _DIMENSIONS:
        return features
    from sklearn.decomposition import PCA

    _check(features, len(features))
    size = min(_DIMENSIONS, len(features))
    components: np.ndarray = PCA(size, random_state=seed % 2**32).fit_transform(features)
    return components


def _check(features: np.ndarray, rows: int) -> None:
    if len(features) != rows:
        raise DataError(f"{len(features)} rows of features cannot be compared with {rows} rows.")
    if not np.isfinite(features).all():
        raise DataError(
            "Overlap cannot be checked: some numbers or projections are infinite or missing. Drop "
            "those rows, or check the encoder."
        )


def _parts(
    base: np.ndarray, happened: np.ndarray, folds: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows that are judged; rows of the event and rows of all kinds that the trees see."""
    for inside in np.array_split(base, min(folds, len(base))):
        yield (
            inside,
            np.setdiff1d(happened, inside, assume_unique=True),
            np.setdiff1d(base, inside, assume_unique=True),
        )


def _odds(
    ones: np.ndarray,
    zeros: np.ndarray,
    shares: np.ndarray,
    at: np.ndarray,
    count: int,
    rate: float,
    seed: int,
) -> np.ndarray:
    """Balanced odds of ``ones``, weighted by ``shares``, against ``zeros``."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    if not len(zeros):
        return np.ones(len(at))
    half = (len(ones) + len(zeros)) / 2
    weights = np.concatenate([shares / shares.sum(), np.full(len(zeros), 1 / len(zeros))]) * half
    bins = _BINS if at.shape[1] > 2 else _FINE
    seen, at = _binned(np.concatenate([ones, zeros]), weights, at, bins)
    trees = HistGradientBoostingClassifier(
        learning_rate=rate,
        max_iter=count,
        max_leaf_nodes=_LEAVES,
        max_bins=bins,
        early_stopping=False,
        random_state=seed % 2**32,
    )
    trees.fit(seen, np.repeat([1, 0], [len(ones), len(zeros)]), weights)
    chance = trees.predict_proba(at)[:, 1]
    odds: np.ndarray = chance / np.maximum(1 - chance, 1e-12)
    return odds


def _binned(
    seen: np.ndarray, weights: np.ndarray, at: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """The features as numbers of bins of equal weight.

    Trees split between bins all the same; what is done here in one pass over a sorted column takes
    the trees' own binning of weighted rows one pass for each bin, most of their time.
    """
    pairs = []
    for k in range(seen.shape[1]):
        pairs.append(_binned_column(seen[:, k], weights, at[:, k], bins))
    rows, points = zip(*pairs, strict=True)
    return np.stack(rows, 1), np.stack(points, 1)


def _binned_column(
    seen: np.ndarray, weights: np.ndarray, at: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(seen, kind="stable")
    ordered = seen[order]
    starts = np.flatnonzero(np.diff(ordered)) + 1
    if len(starts) < bins:
        edges = (ordered[starts - 1] + ordered[starts]) / 2
    else:
        reached = np.cumsum(weights[order])
        wanted = np.arange(1, bins) / bins * reached[-1]
        edges = np.unique(ordered[np.searchsorted(reached, wanted)])
    codes = [np.searchsorted(edges, column).astype(float) for column in (seen, at)]
    return codes[0], codes[1]
