"""What is remembered of the rows when training ends, so that a pulled model knows without them
where its answers lack support."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from causalplug.checks.overlap import check_overlap
from causalplug.checks.records import OverlapRecord, RangeRecord
from causalplug.data.source import Rows
from causalplug.errors import CausalPlugError
from causalplug.identification.identification import identify
from causalplug.identification.query import Query
from causalplug.model.model import Model
from causalplug.values import Json

__all__ = ["overlap_records", "range_records", "unseen_categories"]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)  # of a number that is set
_VALUES = 8  # of a discrete variable that are looked at, the most frequent ones
_TOLERANCE = 0.1  # share without support from which an answer carries a caveat
_ROWS = 1500  # that stand for all in a classifier
_MOST = 120  # interventions that are looked at
_FEW = 5  # rows beyond a number that say nothing


def range_records(tables: Sequence[Rows], model: Model) -> dict[str, RangeRecord]:
    """The range of every variable of numbers, over all sources that record it."""
    found = {}
    for name, variable in model.variables.items():
        columns = [rows.values[name] for rows in tables if name in rows.values]
        if not variable.is_number or not columns:
            continue
        numbers = np.sort(np.concatenate([variable.decode(c.cpu()) for c in columns]).astype(float))
        few = min(_FEW, (len(numbers) - 1) // 2)
        inner = float(numbers[few]), float(numbers[-1 - few])
        found[name] = RangeRecord(float(numbers[0]), float(numbers[-1]), *inner)
    return found


def unseen_categories(tables: Sequence[Rows], model: Model) -> dict[str, list[Any]]:
    """Declared categories that no row of the sources which record them has, by variable."""
    found = {}
    for name, variable in model.variables.items():
        columns = [rows.values[name] for rows in tables if name in rows.values]
        if not variable.is_discrete or not columns:
            continue
        seen = {int(code) for column in columns for code in column.unique()}
        if missing := [c for code, c in enumerate(variable.categories) if code not in seen]:
            found[name] = missing
    return found


def overlap_records(
    model: Model, tables: Sequence[Rows], *, seed: int = 0
) -> tuple[OverlapRecord, ...]:
    """Overlap of every intervention on one variable whose effect on all that follows is determined,
    at every value of a category and at five quantiles of a number.

    Args:
        model: The trained model; its encoders have projected the images.
        tables: Encoded rows by source, images as projections.
        seed: Seed of the classifiers.
    """
    data = [_users_values(model, rows) for rows in tables]
    wide = {name for name, variable in model.variables.items() if variable.needs_encoder}
    encoders = dict.fromkeys(wide, _itself)
    sources = [rows.source for rows in tables]
    domains = {n: v.categories for n, v in model.variables.items() if v.is_discrete}
    found = []
    for name, value in _interventions(model, data):
        query = _asked(model, name, value, sources, domains)
        if query is None:
            continue
        try:
            report = check_overlap(
                model.graph,
                query,
                data,
                encoders,
                sources=sources,
                domains=domains,
                tolerance=_TOLERANCE,
                most_rows=_ROWS,
                seed=seed,
            )
        except CausalPlugError:  # too many cells to count, say: nothing is known then
            continue
        weak = report.weak
        worst = None
        if weak:
            worst = max(report.findings, key=lambda finding: finding.share)
        record = OverlapRecord(name, value)
        if worst is not None:
            error = worst.standard_error
            record = OverlapRecord(name, value, worst.of, worst.share, error, worst.text)
        found.append(record)
    return tuple(found)


def _itself(column: np.ndarray) -> np.ndarray:
    return column


def _users_values(model: Model, rows: Rows) -> Json:
    """Columns of users' values; images as they are, projected."""
    found = {}
    for name, codes in rows.values.items():
        variable = model.variables[name]
        if not variable.needs_encoder:
            found[name] = variable.decode(codes.cpu())
        elif codes.ndim == 2:
            found[name] = codes.cpu().numpy()
    return found


def _interventions(
    model: Model, data: Sequence[Json]
) -> Iterator[tuple[str, str | int | float | bool]]:
    """Variable and value, at most so many that training does not wait.

    A variable without causes is independent of all that its interventions are needed at.
    """
    pairs = []
    for name, variable in model.variables.items():
        columns = [table[name] for table in data if name in table]
        by_lot = not model.graph.parents(name) and not model.graph.siblings(name)
        if by_lot or variable.needs_encoder or not columns or not model.graph.children(name):
            continue
        column = np.concatenate(columns)
        if variable.is_number:
            points = np.unique(np.quantile(column.astype(float), _QUANTILES))
            pairs += [(name, float(f"{point:.6g}")) for point in points]
        else:
            values, counts = np.unique(column, return_counts=True)
            frequent = values[np.argsort(-counts, kind="stable")][:_VALUES]
            pairs += [(name, value) for value in frequent.tolist()]
    yield from pairs[:_MOST]


def _asked(
    model: Model, name: str, value: Any, sources: Sequence[Any], domains: Json
) -> Query | None:
    """The distribution of all that follows the intervention, or of what follows at once, if it
    is determined."""
    below = sorted(model.graph.descendants([name]) - {name}, key=list(model.variables).index)
    for outcomes in (below, list(model.graph.children(name))):
        query = Query(outcomes, do={name: value})
        if identify(model.graph, query, sources, domains=domains).answerable:
            return query
    return None
