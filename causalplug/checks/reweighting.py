"""Weights that fix variables: rows are weighted by one over the probability of what is fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from causalplug.checks.independence import Column, IndependenceTests
from causalplug.identification.implied import Fixing

__all__ = ["Reweighting"]

_LEAST = 0.01  # probability that a weight is taken of
_EFFECTIVE = 100  # rows


class Reweighting:
    """The weights of a sequence of fixings.

    Each fixed variable has to be discrete. Its probability given its blanket, in the rows as
    weighted so far, is counted where the blanket has few values, and else fitted by a logistic
    regression.

    Args:
        columns: The columns by name.
        fixings: What is fixed, in order.

    Attributes:
        weights: One per row.
        problem: Why there are none, in a clause; empty if there are.
    """

    def __init__(self, columns: Mapping[str, Column], fixings: Sequence[Fixing]):
        self.columns = columns
        self.tester = IndependenceTests(columns)
        self.weights = np.ones(self.tester.count)
        self.problem = ""
        for fixing in fixings:
            codes = columns[fixing.variable].codes
            if codes is None:
                self.problem = f"{fixing.variable} is not discrete and cannot be reweighted"
                return
            chance = self._chance(codes, columns[fixing.variable].levels, fixing.blanket)
            overall = np.bincount(codes, self.weights) / self.weights.sum()
            self.weights = self.weights * overall[codes] / np.maximum(chance, _LEAST)
        effective = self.weights.sum() ** 2 / (self.weights**2).sum()
        if effective < _EFFECTIVE:
            self.problem = f"the weights leave {effective:.0f} effective rows"

    def _chance(self, codes: np.ndarray, levels: int, blanket: tuple[str, ...]) -> np.ndarray:
        """The probability of the value that every row has, given the blanket."""
        strata, count = self.tester.strata(blanket)
        if count * 5 <= len(codes):
            cells = np.bincount(strata * levels + codes, self.weights, count * levels)
            table = cells.reshape(count, levels)
            shares = table / np.maximum(table.sum(1, keepdims=True), 1e-12)
            return np.asarray(shares[strata, codes])
        from sklearn.linear_model import LogisticRegression

        given = np.hstack([self.columns[name].scores for name in blanket])
        features = np.hstack([given, given**2])
        model = LogisticRegression(max_iter=500).fit(features, codes, self.weights)
        fitted = model.predict_proba(features)
        return np.asarray(fitted[np.arange(len(codes)), np.searchsorted(model.classes_, codes)])
