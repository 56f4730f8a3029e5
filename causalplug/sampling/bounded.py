"""Answers by bounds: where the data do not determine a query, or hardly show what it rests on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from causalplug.caveats import Caveat
from causalplug.checks.bound_data import in_clusters
from causalplug.checks.bounding import bounds
from causalplug.checks.bounds import Bounds
from causalplug.errors import NotIdentifiableError, SamplingError
from causalplug.graphs.source import Source
from causalplug.identification.assumptions import Assume
from causalplug.identification.query import Query
from causalplug.sampling.answers import Estimate
from causalplug.sampling.options import SamplingOptions
from causalplug.sampling.sample import sample
from causalplug.selection import within
from causalplug.wording import listed

if TYPE_CHECKING:
    import pandas as pd

    from causalplug.model.model import Model

__all__ = ["model_bounds", "with_bounds"]

_ROWS, _MOST = 50_000, 1_000_000  # that stand for a source whose rows are not at hand
_SETTINGS = 64
_UNCOUNTED = (
    "there is no interval: the model does not know on how many rows it was trained; give data="
)
_CLUSTERED = "there is no interval: the rows come in clusters, and it takes rows as independent"


def with_bounds(
    dcm: Model,
    query: str | Query,
    answer: Callable[[], Estimate],
    *,
    data: object,
    level: float,
    seed: int,
    assume: Sequence[Assume] = (),
) -> Estimate:
    """The answer of the model; bounds in its place where the query is refused, and around it where
    overlap is weak.

    Args:
        dcm: The model.
        query: What is asked.
        answer: Gives the model's answer.
        data: The rows that the model was trained on; None to take the model's own in their place.
        level: Coverage of the intervals.
        seed: Seed of the resampling.
        assume: Declared assumptions that narrow bounds.

    Raises:
        NotIdentifiableError: If the model does not know what it was trained on.
        QueryError, DataError: If the query cannot be bounded.
    """
    started = time.perf_counter()
    try:
        found = answer()
    except NotIdentifiableError as refusal:
        limits = model_bounds(dcm, query, data, seed, assume)
        return _from_bounds(limits, refusal, level, seed, time.perf_counter() - started)
    undetermined = found.marked and found.identification is not None
    weak = found.overlap is not None and found.overlap.weak
    if not (undetermined or weak):
        return found
    limits = model_bounds(dcm, query, data, seed, assume)
    return _widened(found, limits, level)


def model_bounds(
    dcm: Model,
    query: str | Query,
    data: object = None,
    seed: int = 0,
    assume: Sequence[Assume] = (),
) -> Bounds:
    """What the data allow, see :func:`causalplug.bounds`.

    Args:
        dcm: The model.
        query: What is asked.
        data: The rows that the model was trained on; None to take the model's own in their place.
        seed: Seed of the resampling.
        assume: Declared assumptions.

    Raises:
        QueryError, SamplingError, DataError: The query cannot be bounded.
    """
    domains = {name: v.categories for name, v in dcm.variables.items() if v.is_discrete}
    sources = dcm.sources
    if data is not None:
        tables = data
    else:
        tables = [_stand_in(dcm, number, seed) for number in range(len(sources or ()))]
    if isinstance(tables, list | tuple):
        items = list(tables)
    else:
        items = [tables]
    if len(items) > 1:
        given = items
    else:
        given = items[0]
    found = bounds(
        dcm.graph, query, given, sources=sources, domains=domains, assume=assume, seed=seed
    )
    counts = [_rows_of(dcm, number) for number in range(len(sources or ()))]
    if any(map(in_clusters, items)) or (data is None and _trained_on_clusters(dcm)):
        return replace(found, resample=None, notes=(*found.notes, _CLUSTERED))
    if data is None and None in counts:
        return replace(found, resample=None, notes=(*found.notes, _UNCOUNTED))
    return found


def _stand_in(dcm: Model, number: int, seed: int) -> pd.DataFrame:
    """As many rows of the model as a source had, so that intervals are as wide as with those."""
    rows = _rows_of(dcm, number) or _ROWS
    drawn = _drawn_in_place(dcm, (dcm.sources or ())[number], max(_ROWS, rows), seed)
    ordered = drawn.sort_values(list(drawn.columns), ignore_index=True)
    places = np.linspace(0, len(ordered) - 1, rows).round().astype(int)
    return ordered.iloc[places].reset_index(drop=True)


def _trained_on_clusters(dcm: Model) -> bool:
    counts = dcm.history.get("sources")
    return isinstance(counts, list) and any(isinstance(c, dict) and "clusters" in c for c in counts)


def _rows_of(dcm: Model, number: int) -> int | None:
    """How many rows of a source a model was trained on, None if it does not know."""
    counts = dcm.history.get("sources")
    if isinstance(counts, list) and number < len(counts):
        rows = counts[number].get("rows") if isinstance(counts[number], dict) else None
        if isinstance(rows, int) and rows > 0:
            return min(rows, _MOST)
    return None


def _drawn_in_place(dcm: Model, source: Source, count: int, seed: int) -> pd.DataFrame:
    """Rows of the model; what was set takes its values in turn."""
    import pandas as pd

    names = sorted(source.do)
    values = []
    for name in names:
        variable = dcm.variables[name]
        known = source.values.get(name) or (variable.categories if variable.is_discrete else ())
        if not known:
            raise SamplingError(
                f"the bounds cannot be computed without the rows: {name} was set to values that "
                "the model does not list; give data="
            )
        values.append(known)
    settings = list(itertools.product(*values))
    if len(settings) > _SETTINGS:
        raise SamplingError(
            f"the bounds cannot be computed without the rows: {listed(names)} was set to "
            f"{len(settings)} values, and at most {_SETTINGS} are sampled; give data="
        )
    observed = within(dcm.graph.variables, source.observed)
    plain = [n for n in observed if not dcm.variables[n].is_image]
    parts = []
    for setting in settings:
        chosen = dict(zip(names, setting, strict=True))
        options = SamplingOptions(seed=seed)
        rows = sample(dcm, count // len(settings), do=chosen, variables=plain, options=options)
        parts.append(rows.assign(**chosen))
    return pd.concat(parts, ignore_index=True)


def _from_bounds(
    limits: Bounds, refusal: NotIdentifiableError, level: float, seed: int, seconds: float
) -> Estimate:
    text = f"The data allow every answer between the bounds, which are {limits.status}."
    identification: Any = refusal.identification
    return Estimate(
        query=limits.query,
        table=_columns(limits, level),
        summaries={},
        pictures={},
        n=1,
        candidates=1,
        seconds=seconds,
        seed=seed,
        status=identification.status,
        identification=identification,
        warnings=(Caveat("unidentified", limits.query, text),),
        level=level,
        interval=_sentence(limits, level),
        assumptions=limits.assumptions,
    )


def _columns(limits: Bounds, level: float) -> pd.DataFrame:
    table = limits.table.rename(columns={"low": "lower_bound", "high": "upper_bound"})
    ends = limits.interval(level)
    if limits.axes:
        low, high = (ends["low"], ends["high"])
    else:
        low, high = ends
    nothing = np.full(len(table), np.nan)
    place = len(limits.axes)
    columns = {"estimate": nothing, "low": low, "high": high, "standard_error": nothing}
    for offset, (name, values) in enumerate({**columns, "monte_carlo_error": nothing}.items()):
        table.insert(place + offset, name, values)
    return table


def _sentence(limits: Bounds, level: float) -> str:
    notes = "; ".join([*limits.assumptions, *limits.notes])
    text = f"low to high: {level:.0%} interval around the bounds of what the data allow"
    if limits.resample is None:
        text = "low to high: the bounds of what the data allow"
    if notes:
        return f"{text} ({notes})"
    return text


def _widened(found: Estimate, limits: Bounds, level: float) -> Estimate:
    """The model's estimate with the bounds as its interval, where both have the same cells."""
    columns = _columns(limits, level)
    if len(columns) != len(found.table) or "estimate" not in found.table:
        return found
    if limits.axes:
        keys = within(limits.axes, found.table)
        columns = found.table[keys].merge(columns, on=keys, how="left")
    table = found.table.copy()
    for name in ("low", "high", "lower_bound", "upper_bound"):
        table[name] = columns[name].to_numpy()
    table["standard_error"] = np.nan
    return replace(found, table=table, level=level, interval=_sentence(limits, level))
