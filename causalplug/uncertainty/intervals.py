"""Intervals that hold all that is uncertain about an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import torch

from causalplug.errors import QueryError
from causalplug.identification.arithmetic import Formula, Leaf, Number, Operation
from causalplug.identification.query import Query, as_query
from causalplug.model.model import Model
from causalplug.model.replicates import refitted_models
from causalplug.sampling.answers import Estimate, VariancePart
from causalplug.uncertainty.described import (
    DESCRIBED,
    Described,
    DescribedNumbers,
    ends_at_atoms,
)
from causalplug.uncertainty.spread import REPLICATES, Spread, Unknown, spread_by_influence

__all__ = ["check_one_step", "with_intervals"]

_REPLICATE_ROWS = 20_000
_NONE = "No interval: {}. What is given is the Monte-Carlo error alone; {}."


def check_one_step(one_step: bool | None, interval: str, data: object) -> None:
    """Refuse a one-step correction that could not be made, before anything is sampled.

    Raises:
        QueryError: There are no rows, or the interval does not come from influence functions.
    """
    if not one_step:
        return
    if interval in ("none", "replicates"):
        raise QueryError(
            f"one_step=True cannot be used with interval={interval!r}: the correction is made of "
            "influence functions. Leave interval= out, or leave one_step= out."
        )
    if data is None:
        raise QueryError(
            "The one-step correction cannot be made without rows: give data= those that the model "
            "was trained on."
        )


def with_intervals(
    dcm: Model,
    answer: Estimate,
    query: str | Query,
    *,
    data: object = None,
    level: float = 0.95,
    one_step: bool | None = None,
    interval: str = "auto",
    ask: Callable[[Model, int], Estimate] | None = None,
) -> Estimate:
    """An answer with the intervals that the model, or the data, can tell.

    Args:
        dcm: The model.
        answer: The answer with its Monte-Carlo error.
        query: What was asked.
        data: The rows that the model was trained on, or None to go by the model alone.
        level: Coverage of the intervals.
        one_step: Add the influence of the rows in ``data`` to the estimates; by default where the
            doubly robust formula holds.
        interval: ``"influence"``, ``"replicates"``, ``"auto"`` for the first that can be had, or
            ``"none"``.
        ask: Gives the answer of a model anew, for a number of rows; replicates are asked by it.
    """
    if interval == "none":
        return replace(answer, level=level)
    work = _Intervals(dcm, answer, query, data, level, one_step, interval, ask)
    try:
        _check_determined(answer)
        with torch.inference_mode(False):  # influence functions need gradients
            found = work.described()
            if "estimate" in answer.table:
                found = work.joined(found)
    except Unknown as why:
        reason, way_out = why.args
        return replace(answer, level=level, interval=_NONE.format(reason, way_out))
    return found


@dataclass(frozen=True, eq=False)
class _Intervals:
    """The intervals of one answer; arguments as for :func:`with_intervals`."""

    dcm: Model
    answer: Estimate
    query: str | Query
    data: object
    level: float
    one_step: bool | None
    interval: str
    ask: Callable[[Model, int], Estimate] | None

    def joined(self, found: Estimate) -> Estimate:
        """The answer with the intervals of its table."""
        spread = self._spread(
            len(self.answer.table), None, lambda answer: answer.table["estimate"].to_numpy(float)
        )
        return _joined(found, spread, self.level, ratio=_is_ratio(self.query))

    def described(self) -> Estimate:
        """The answer with the intervals of the mean, the deviation and the quantiles of every
        number that it leaves open."""
        found = self.answer
        for name, table in self.answer.summaries.items():
            values = table[list(DESCRIBED)].to_numpy(float)
            steps = self.answer.quantile_functions[name]
            numbers = partial(DescribedNumbers, self.dcm, name, Described.of(table))
            spread = self._spread(values.size, numbers, partial(_described_values, name=name))
            summary = _with_ends(table, spread, self.level, steps)
            own = found.table
            if own is table:
                own = summary
            words = f"{self.level:.0%} intervals cover {spread.words}."
            summaries = {**found.summaries, name: summary}
            found = replace(found, table=own, summaries=summaries, level=self.level, interval=words)
        return found

    def _spread(self, size: int, numbers: Any, read: Callable[[Estimate], np.ndarray]) -> Spread:
        """By influence functions, or by replicates where there are none."""
        if self.interval != "replicates":
            try:
                return spread_by_influence(
                    self.dcm,
                    self.query,
                    size,
                    self.data,
                    self.one_step,
                    self.answer.seed,
                    numbers,
                )
            except Unknown:
                if self.interval != "auto" or self.one_step or not self.dcm.replicates:
                    raise
        return self._replicated(read)

    def _replicated(self, read: Callable[[Estimate], np.ndarray]) -> Spread:
        """By the answers of the refits, on the same noise."""
        if not self.dcm.replicates or self.ask is None:
            raise Unknown("the model has no replicates", REPLICATES)
        rows = min(self.answer.n, _REPLICATE_ROWS)
        found = []
        for model in refitted_models(self.dcm):
            found.append(read(self.ask(model, rows)))
        variance = np.var(np.stack(found), axis=0, ddof=1)
        words = f"the sampling of the rows and training ({len(found)} replicates)"
        words += ", and the Monte-Carlo error"
        parts = (VariancePart("replicates", (), "", variance),)
        return Spread(variance, words, freedom=len(found) - 1, parts=parts)


def _described_values(answer: Estimate, *, name: str) -> np.ndarray:
    return answer.summaries[name][list(DESCRIBED)].to_numpy(float).ravel()


def _with_ends(
    table: pd.DataFrame, spread: Spread, level: float, steps: np.ndarray
) -> pd.DataFrame:
    """A summary with the errors and the ends of all its numbers."""
    shape = len(table), len(DESCRIBED)
    values = table[list(DESCRIBED)].to_numpy(float)
    sampling = table[[f"{name}_mc" for name in DESCRIBED]].to_numpy(float)
    if spread.instead is not None:
        values, sampling = spread.instead.reshape(shape), np.zeros(shape)
    elif spread.correction is not None:
        values = values + spread.correction.reshape(shape)
    error = np.sqrt(spread.variance.reshape(shape) + sampling**2)
    reach = _quantile(level, spread.freedom) * error
    columns = {}
    for place, name in enumerate(DESCRIBED):
        columns[name] = values[:, place]
        columns[f"{name}_low"] = values[:, place] - reach[:, place]
        columns[f"{name}_high"] = values[:, place] + reach[:, place]
        columns[f"{name}_se"] = error[:, place]
        columns[f"{name}_mc"] = sampling[:, place]
    found = table.assign(**columns)
    if spread.instead is not None or spread.freedom is not None:
        return found
    correction = values - table[list(DESCRIBED)].to_numpy(float)
    deviations = NormalDist().inv_cdf((1 + level) / 2)
    variance = spread.variance.reshape(shape)
    return found.assign(**ends_at_atoms(found, steps, variance, correction, deviations))


def _check_determined(answer: Estimate) -> None:
    if answer.marked and answer.identification is not None:
        raise Unknown(
            "the data do not determine the answer, and no number of rows would",
            "cp.bounds says between which values it lies",
        )


def _is_ratio(query: str | Query) -> bool:
    """Whether a query is a ratio of what cannot be negative, such as a risk or an odds ratio."""
    asked = as_query(query)
    formula = asked.formula
    if not isinstance(formula, Operation) or formula.sign != "/" or asked.expectation:
        return False
    return _is_positive(formula)


def _is_positive(formula: Formula) -> bool:
    """Whether a formula of probabilities cannot be negative, as far as its form shows."""
    if isinstance(formula, Leaf):
        return True
    if isinstance(formula, Number):
        return formula.number > 0
    if formula.sign == "-":
        return formula.left == Number(1.0) and isinstance(formula.right, Leaf)
    return _is_positive(formula.left) and _is_positive(formula.right)


def _joined(answer: Estimate, spread: Spread, level: float, *, ratio: bool) -> Estimate:
    """The answer with its intervals; those of ratios are symmetric in the logarithm (Katz et al.
    1978)."""
    table = answer.table.copy()
    estimate = table["estimate"].to_numpy(float)
    sampling = table["monte_carlo_error"].to_numpy(float)
    if spread.instead is not None:
        estimate, sampling = spread.instead, np.zeros_like(sampling)
    elif spread.correction is not None:
        estimate = estimate + spread.correction
    error = np.sqrt(spread.variance + sampling**2)
    reach = _quantile(level, spread.freedom) * error
    table["estimate"] = estimate
    table["low"], table["high"] = estimate - reach, estimate + reach
    if ratio and (estimate > 0).all():
        table["low"] = estimate * np.exp(-reach / estimate)
        table["high"] = estimate * np.exp(reach / estimate)
    table["standard_error"], table["monte_carlo_error"] = error, sampling
    parts = spread.parts
    if parts and sampling.any():
        parts = (*parts, VariancePart("sampling", (), "", sampling**2))
    words = f"{level:.0%} intervals cover {spread.words}."
    return replace(answer, table=table, level=level, interval=words, variance_parts=parts)


def _quantile(level: float, freedom: int | None) -> float:
    """Two-sided quantile of the normal, or of Student's t."""
    if freedom is None:
        return NormalDist().inv_cdf((1 + level) / 2)
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))
