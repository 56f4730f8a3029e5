"""Bounds of a back-door effect where covariates are continuous and overlap may be missing.

The mean of an outcome under do(T = t) has three parts. Units that had t show their own outcome. For
units like which some had t, the mean is estimated by regression on those, corrected by weighting
(the doubly robust score of Robins, Rotnitzky & Zhao 1994, cross-fitted as by Chernozhukov et al.
2018). For the others the data say nothing: their outcome is anywhere in its range (Manski 1990).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from causalplug.errors import DataError
from causalplug.graphs.graph import CausalGraph
from causalplug.identification.query import Event, Query, Term
from causalplug.identification.regions import Region
from causalplug.selection import not_none, within
from causalplug.values import Named
from causalplug.wording import listed

__all__ = ["Arm", "NormalEnds", "arms_of", "bound_arms", "how_adjusted", "needs_adjustment"]

_FOLDS = 5
_TREES = {"max_iter": 60, "max_leaf_nodes": 8, "max_bins": 32, "early_stopping": False}
_FEWEST = 10  # rows with the value that is set


@dataclass(frozen=True)
class Arm:
    """One term of an effect: the mean of an outcome under a treatment, over a group.

    Attributes:
        coefficient: Its factor in the query.
        outcome: The variable.
        event: The value or values whose probability is asked; None for the mean.
        treatment, value: What is set.
        group: The value of the treatment that the group had; None for everybody.
        covariates: A set that closes every back door.
    """

    coefficient: float
    outcome: str
    event: Any
    treatment: str
    value: Hashable
    group: Hashable | None
    covariates: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class NormalEnds:
    """Bounds with normal errors.

    Attributes:
        low, high: The bounds.
        errors: The standard errors of the two.
    """

    low: float
    high: float
    errors: tuple[float, float]

    def ends(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Confidence limits of the one answer."""
        width = float(ndtri((1 + level) / 2))
        low, high = self.low - width * self.errors[0], self.high + width * self.errors[1]
        return np.array([low]), np.array([high])


def arms_of(graph: CausalGraph, query: Query, recorded: Named) -> list[Arm] | None:
    """The query as arms; None if it is not a sum of means under one treatment each with a
    back-door set."""
    if query.formula is not None or not query.terms:
        return None
    found = [_arm(graph, coefficient, term, recorded) for coefficient, term in query.terms]
    if any(arm is None for arm in found):
        return None
    return not_none(found)


def _arm(graph: CausalGraph, coefficient: float, term: Term, recorded: Named) -> Arm | None:
    if len(term.outcomes) != 1 or len(term.outcomes[0].do) != 1 or len(term.evidence) > 1:
        return None
    outcome = term.outcomes[0]
    ((treatment, value),) = outcome.do.items()
    if (
        value is None
        or isinstance(value, Event)
        or not {treatment, outcome.variable} <= set(recorded)
    ):
        return None
    if not term.expectation and outcome.value is None:
        return None
    group = None
    for event in term.evidence:
        if event.do or event.variable != treatment or isinstance(event.value, Region):
            return None
        group = event.value
    covariates = _back_door(graph, treatment, outcome.variable, set(recorded))
    if covariates is None or (term.evidence and group is None):
        return None
    return Arm(coefficient, outcome.variable, outcome.value, treatment, value, group, covariates)


def _back_door(
    graph: CausalGraph, treatment: str, outcome: str, recorded: set[str]
) -> tuple[str, ...] | None:
    """A back-door set: the recorded ancestors of the two that the treatment does not cause."""
    if outcome not in graph.descendants(treatment):
        return None
    above = graph.ancestors((treatment, outcome)) - graph.descendants(treatment)
    chosen = tuple(within(graph.variables, above & recorded))
    kept = tuple(edge for edge in graph.directed if edge[0] != treatment)
    cut = CausalGraph(graph.variables, kept, graph.bidirected)
    if cut.m_separated(treatment, outcome, chosen):
        return chosen
    return None


def bound_arms(
    arms: list[Arm],
    columns: Named,
    ranges: Mapping[str, tuple[float, float]],
    *,
    threshold: float,
    seed: int,
) -> tuple[NormalEnds, list[str]]:
    """The bounds of a sum of arms, and notes on what was not supported.

    Args:
        arms: The terms.
        columns: The columns of the rows.
        ranges: Ranges of outcomes; by default those seen.
        threshold: A value is without support where it is less than so many times as likely as
            overall.
        seed: Seed of the folds.
    """
    notes: list[str] = []
    low = high = 0.0
    scores = np.zeros((2, len(columns[arms[0].treatment])))
    for arm in arms:
        ends = _ArmBounds(arm, columns, ranges, threshold, seed)
        notes += ends.notes
        if arm.coefficient > 0:
            pair = [ends.low, ends.high]
        else:
            pair = [ends.high, ends.low]
        parts = [arm.coefficient * part for part in pair]
        low, high = low + float(parts[0].mean()), high + float(parts[1].mean())
        scores += np.array(parts)
    errors = scores.std(1) / np.sqrt(scores.shape[1])
    return NormalEnds(low, high, (float(errors[0]), float(errors[1]))), notes


class _ArmBounds:
    """Per row, what it adds to the lower and the upper bound of an arm; the bound is the mean."""

    def __init__(
        self,
        arm: Arm,
        columns: Named,
        ranges: Mapping[str, tuple[float, float]],
        threshold: float,
        seed: int,
    ):
        self.seed = seed
        self.notes: list[str] = []
        treatment = np.asarray(columns[arm.treatment])
        self.had = treatment == arm.value
        self.target = np.ones(len(treatment), bool)
        if arm.group is not None:
            self.target = treatment == arm.group
        self.outcome, (least, most) = self._outcome(arm, columns, ranges)
        share = max(float(self.target.mean()), 1e-12)
        others = self.target & ~self.had
        score = np.where(self.target & self.had, self.outcome, 0.0)
        free = others.copy()
        if others.any():
            features = _features(columns, arm.covariates)
            supported, weights, expected = self._estimated(features, others, threshold)
            free = others & ~supported
            score = score + np.where(others & supported, expected, 0.0)
            used = self.had & supported
            score = score + np.where(used, weights * (self.outcome - expected), 0.0)
        self._note(arm, float(free.sum() / max(self.target.sum(), 1)), (least, most))
        self.low = (score + np.where(free, least, 0.0)) / share
        self.high = (score + np.where(free, most, 0.0)) / share

    def _outcome(
        self, arm: Arm, columns: Named, ranges: Mapping[str, tuple[float, float]]
    ) -> tuple[np.ndarray, tuple[float, float]]:
        values = np.asarray(columns[arm.outcome])
        if arm.event is not None:
            region = isinstance(arm.event, Region)
            same = [v in arm.event if region else v == arm.event for v in values.tolist()]
            return np.array(same, float), (0.0, 1.0)
        if values.dtype.kind not in "fiub":
            raise DataError(
                f"the mean of {arm.outcome} cannot be bounded: its values are no numbers; ask for "
                "P(...) instead"
            )
        numbers = values.astype(float)
        seen = float(numbers.min()), float(numbers.max())
        return numbers, ranges.get(arm.outcome, seen)

    def _note(self, arm: Arm, share: float, span: tuple[float, float]) -> None:
        if arm.group is None:
            who = "the units"
        else:
            who = f"the units with {arm.treatment}={arm.group}"
        if share > 0:
            self.notes.append(
                f"{arm.treatment}={arm.value} has no support on {share:.0%} of {who}: their "
                f"outcome is bounded by the range of {arm.outcome}, {span[0]:g} to {span[1]:g}"
            )

    def _estimated(
        self, features: np.ndarray, others: np.ndarray, threshold: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where there is support, the weights of rows that had the value, and what is expected
        of every row; all by trees that never saw the row."""
        count = len(features)
        ratio, odds, expected = np.zeros(count), np.zeros(count), np.zeros(count)
        fold = np.random.default_rng(self.seed).permutation(count) % _FOLDS
        for number in range(_FOLDS):
            inside, rest = fold == number, fold != number
            if (self.had & rest).sum() < _FEWEST:
                continue
            ratio[inside] = _ratio(features[rest], self.had[rest], features[inside], self.seed)
            model = _regressor(self.seed).fit(
                features[rest & self.had], self.outcome[rest & self.had]
            )
            expected[inside] = model.predict(features[inside])
            shares = (others | self.had) & rest
            odds[inside] = _odds(features[shares], others[shares], features[inside], self.seed)
        most = 50 / threshold if threshold else np.inf
        return ratio >= threshold, np.minimum(odds, most), expected


def _features(columns: Named, names: tuple[str, ...]) -> np.ndarray:
    """The covariates as numbers, categories as indicators."""
    parts = []
    for name in names:
        values = np.asarray(columns[name])
        if values.dtype.kind in "fiub":
            parts.append(values.astype(float).reshape(len(values), -1))
        else:
            parts.append((values[:, None] == np.unique(values)[None]).astype(float))
    count = len(next(iter(columns.values())))
    if parts:
        return np.hstack(parts)
    return np.zeros((count, 1))


def _ratio(features: np.ndarray, had: np.ndarray, at: np.ndarray, seed: int) -> np.ndarray:
    """p(x | had) / p(x): the balanced odds of the rows that had the value against all rows."""
    both = np.concatenate([features[had], features])
    labels = np.repeat([1, 0], [int(had.sum()), len(features)])
    weights = np.where(labels == 1, 1 / had.sum(), 1 / len(features)) * len(both) / 2
    chance = _classifier(seed).fit(both, labels, weights).predict_proba(at)[:, 1]
    return np.asarray(chance / np.maximum(1 - chance, 1e-12))


def _odds(features: np.ndarray, others: np.ndarray, at: np.ndarray, seed: int) -> np.ndarray:
    """P(other value, in the group | x) / P(the value | x)."""
    if others.all() or not others.any():
        return np.zeros(len(at))
    chance = _classifier(seed).fit(features, others).predict_proba(at)[:, 1]
    return np.asarray(chance / np.maximum(1 - chance, 1e-6))


def _classifier(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**_TREES, random_state=seed % 2**32)


def _regressor(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(**_TREES, random_state=seed % 2**32)


def needs_adjustment(arms: list[Arm], columns: Named, domains: Named, most: int = 20) -> bool:
    """Whether some covariate is no category, so that cells cannot be counted."""
    names = set()
    for arm in arms:
        for name in arm.covariates:
            if name not in domains:
                names.add(name)
    arrays = [np.asarray(columns[name]) for name in names]
    numbers = [array for array in arrays if array.dtype.kind == "f" and array.ndim == 1]
    plain = all(array.dtype.kind in "fiubUS" and array.ndim == 1 for array in arrays)
    return plain and any(len(np.unique(array)) > most for array in numbers)


def how_adjusted(arms: list[Arm]) -> str:
    """What was adjusted for, in a sentence."""
    names = dict.fromkeys(name for arm in arms for name in arm.covariates)
    return f"the supported part was adjusted for {listed(names)} by boosted trees, cross-fitted"
