"""Intervals that hold all that is uncertain about an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from torch import Tensor

from causalplug.data.source import DataSource, as_data_sources
from causalplug.errors import QueryError
from causalplug.identification.query import Query
from causalplug.model.model import Model
from causalplug.model.replicates import as_replicate
from causalplug.sampling.answers import Estimate
from causalplug.sampling.terms import compile_query, normalised
from causalplug.training.learner import trainable
from causalplug.uncertainty.gradient import NoGradient
from causalplug.uncertainty.influence import Influence, influence_of
from causalplug.uncertainty.numbers import AnswerNumbers
from causalplug.uncertainty.samples import Sample, counts_fit, from_model, from_rows

__all__ = ["with_intervals"]

_REPLICATE_ROWS = 20_000
_MOST = 1024  # numbers of one answer that get intervals
_NONE = "No interval: {}. What is given is the Monte-Carlo error alone; {}."
_REPLICATES = "train with cp.fit(…, replicates=20) to have one"


@dataclass(frozen=True)
class _Spread:
    """Variance of the numbers beside the Monte-Carlo error, what is added to them, and where it
    comes from."""

    variance: np.ndarray
    words: str
    correction: np.ndarray | None = None
    instead: np.ndarray | None = None
    freedom: int | None = None


class _Unknown(Exception):
    """Why there is no interval, and how to get one."""


def with_intervals(
    dcm: Model,
    answer: Estimate,
    query: str | Query,
    *,
    data: Any = None,
    level: float = 0.95,
    one_step: bool | None = None,
    interval: str = "auto",
    ask: Callable[[int], Estimate] | None = None,
) -> Estimate:
    """An answer with the intervals that the model, or the data, can tell.

    Args:
        dcm: the model.
        answer: the answer with its Monte-Carlo error.
        query: what was asked.
        data: the rows that the model was trained on, or None to go by the model alone.
        level: coverage of the intervals.
        one_step: add the influence of the rows in ``data`` to the estimates; by default where the
            doubly robust formula holds.
        interval: ``"influence"``, ``"replicates"``, ``"auto"`` for the first that can be had, or
            ``"none"``.
        ask: gives the answer anew, for a number of rows; replicates are asked by it.
    """
    if "estimate" not in answer.table or interval == "none":
        return replace(answer, level=level)
    try:
        _check_determined(answer)
        spread = None
        if interval != "replicates":
            spread = _influence(dcm, answer, query, data, one_step, interval == "auto")
        if spread is None:
            spread = _replicated(dcm, answer, ask)
    except _Unknown as why:
        reason, way_out = why.args
        return replace(answer, level=level, interval=_NONE.format(reason, way_out))
    return _joined(answer, spread, level)


def _influence(
    dcm: Model,
    answer: Estimate,
    query: str | Query,
    data: Any,
    one_step: bool | None,
    or_else: bool,
) -> _Spread | None:
    """By influence functions, None where there are replicates in their place."""
    try:
        return _spread(dcm, query, len(answer.table), data, one_step, answer.seed)
    except _Unknown:
        if or_else and dcm.replicates:
            return None
        raise


def _replicated(dcm: Model, answer: Estimate, ask: Callable[[int], Estimate] | None) -> _Spread:
    """By the answers of the refits, on the same noise."""
    if not dcm.replicates or ask is None:
        raise _Unknown("the model has no replicates", _REPLICATES)
    rows = min(answer.n, _REPLICATE_ROWS)
    found = []
    for number in range(len(dcm.replicates)):
        with as_replicate(dcm, number):
            found.append(ask(rows).table["estimate"].to_numpy(float))
    variance = np.var(np.stack(found), axis=0, ddof=1)
    words = f"the sampling of the rows and training, by {len(found)} replicates, and of the model"
    return _Spread(variance, words, freedom=len(found) - 1)


def _check_determined(answer: Estimate) -> None:
    if answer.marked and answer.identification is not None:
        raise _Unknown(
            "the data do not determine the answer, and no number of rows would",
            "cp.bounds says between which values it lies",
        )


def _joined(answer: Estimate, spread: _Spread, level: float) -> Estimate:
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
    table["standard_error"], table["monte_carlo_error"] = error, sampling
    return replace(
        answer, table=table, level=level, interval=f"{level:.0%} intervals: {spread.words}."
    )


def _quantile(level: float, freedom: int | None) -> float:
    """Two-sided quantile of the normal, or of Student's t."""
    if freedom is None:
        return NormalDist().inv_cdf((1 + level) / 2)
    from scipy.stats import t

    return float(t.ppf((1 + level) / 2, freedom))


def _spread(
    dcm: Model, query: str | Query, size: int, data: Any, one_step: bool | None, seed: int
) -> _Spread:
    trained = {name for name in dcm.graph.variables if trainable(dcm.mechanism(name))}
    if not trained and dcm.sources is None:
        words = "nothing of the model was estimated, so that the Monte-Carlo error is all"
        return _Spread(np.zeros(size), words)
    asked = normalised(dcm, Query.parse(query) if isinstance(query, str) else query)
    numbers = AnswerNumbers(dcm, compile_query(dcm, asked), asked.formula)
    _check(dcm, numbers, trained)
    samples = _samples(dcm, data)
    try:
        found = influence_of(dcm, numbers, samples, trained, seed=seed)
    except NoGradient as why:
        raise _Unknown(str(why), _REPLICATES) from None
    return _told(found, samples, one_step)


def _check(dcm: Model, numbers: AnswerNumbers, trained: set[str]) -> None:
    """Raise unless everything that the answer reads was trained by likelihood."""
    read = {name for world, target in numbers.targets for name in world.graph.ancestors([target])}
    objectives = _objectives(dcm.history)
    other = sorted(n for n in trained & read if objectives.get(n) != "likelihood")
    if other and all(name in objectives for name in other):
        how = objectives[other[0]]
        raise _Unknown(
            f"{', '.join(other)} {'were' if len(other) > 1 else 'was'} trained with "
            f"objective={how!r}, which has no influence function",
            _REPLICATES,
        )
    if other:
        raise _Unknown(
            f"the model does not know how {', '.join(other)} was trained, or on how many rows",
            "train it with cp.fit to have one",
        )
    if numbers.size > _MOST:
        raise _Unknown(f"the answer has {numbers.size:,} numbers", f"ask for at most {_MOST:,}")


def _objectives(history: Mapping[str, Any]) -> dict[str, str]:
    """By variable, how it was trained; a history may come from anywhere and say nothing of it."""
    found = {}
    modules = history.get("modules")
    for module in modules if isinstance(modules, list) else []:
        objective, names = _told_of(module, "objective"), _told_of(module, "variables")
        if isinstance(objective, str) and isinstance(names, list):
            found.update({name: objective for name in names if isinstance(name, str)})
    return found


def _told_of(module: object, key: str) -> object:
    return module.get(key) if isinstance(module, Mapping) else None


def _samples(dcm: Model, data: Any) -> list[Sample]:
    if data is not None:
        given = _data_sources(dcm, data)
        if dcm.sources is not None and len(given) != len(dcm.sources):
            raise _Unknown(
                f"data= has {len(given)} tables, and the model was trained on {len(dcm.sources)}",
                "give all of them, or leave data= out",
            )
        return from_rows(dcm, [one.encode(dcm.variables) for one in given])
    counts = dcm.history.get("sources") or []
    if dcm.sources is None or not counts_fit(dcm, dcm.sources, counts):
        raise _Unknown(
            "the model was saved before numbers of rows were kept with it",
            "give data= the rows that it was trained on to have one",
        )
    if any("clusters" in count for count in counts):
        raise _Unknown(
            "the rows came in clusters, and the model does not know how alike those of one are",
            "give data= with their clusters to have one, or " + _REPLICATES,
        )
    found = from_model(dcm, dcm.sources, counts)
    if found is None:
        raise _Unknown(
            "its generators are too slow to draw pictures in place of the data",
            "give data= the rows that it was trained on to have one",
        )
    return found


def _data_sources(dcm: Model, data: Any) -> list[DataSource]:
    """The data as they came about; bare tables are those of the model's sources, in their order."""
    if not isinstance(data, list | tuple) or any(isinstance(one, DataSource) for one in data):
        return as_data_sources(data)
    if dcm.sources is None or len(data) != len(dcm.sources):
        raise _Unknown(
            f"nothing says how the {len(data)} tables came about",
            "give each as cp.DataSource(table, do=…)",
        )
    return [
        DataSource(table, do=sorted(source.do))
        for table, source in zip(data, dcm.sources, strict=True)
    ]


def _told(found: Influence, samples: Sequence[Sample], one_step: bool | None) -> _Spread:
    real = all(sample.real for sample in samples)
    if one_step and not real:
        raise QueryError(
            "The one-step correction cannot be made without rows: give data= those that the model "
            "was trained on."
        )
    variance = _variance(found, samples).numpy()
    rows = sum(sample.stands_for for sample in samples)
    words = f"the sampling of {rows:,} rows, by influence functions"
    if real:
        words += ", and of the model"
    else:
        words += " of the model alone, and of the model"
    if found.estimate is not None and real and one_step is not False:
        return _Spread(
            variance,
            f"the sampling of {rows:,} rows; doubly robust",
            instead=found.estimate.numpy(),
        )
    if one_step and real:
        return _Spread(variance, f"{words}; one-step", correction=found.correction.numpy())
    return _Spread(variance, words)


def _variance(found: Influence, samples: Sequence[Sample]) -> Tensor:
    clusters = [sample.clusters for sample in samples]
    if all(cluster is None for cluster in clusters):
        return found.variance
    clustered = found.clustered(clusters)
    if clustered is None:
        raise _Unknown("its rows come in clusters, and not all of them could be read", _REPLICATES)
    return clustered
