"""What is remembered of the rows when training ends, so that a pulled model knows without them
where its answers lack support."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from causalplug.checks.density_ratio import OverBudget, Ratios
from causalplug.checks.overlap import Overlap, overlap_of, rows_of
from causalplug.checks.records import OverlapRecord, RangeRecord
from causalplug.checks.source_rows import SourceRows
from causalplug.checks.support import Rule
from causalplug.data.source import Rows
from causalplug.errors import CausalPlugError
from causalplug.graphs.source import Source
from causalplug.identification.identification import Identification, identify
from causalplug.identification.query import Query
from causalplug.model.model import Model
from causalplug.tensors import first_rows
from causalplug.values import Json

__all__ = ["overlap_records", "range_records", "rare_categories", "unseen_categories"]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)  # of a number that is set
_VALUES = 8  # of a discrete variable that are looked at, the most frequent ones
_TOLERANCE = 0.1  # share without support from which an answer carries a caveat
_MOST = 1_000_000  # rows of a source that are looked at
_ROWS = 1500  # that stand for all in a classifier
_THRESHOLD, _FEWEST = 0.1, 5  # as for check_overlap
_FOLDS, _JUDGED = 3, 2  # fewer than for a question that is asked
_TREES, _RATE = 20, 0.2  # fewer, of larger steps
_WORK, _WORK_EACH = 5000, 300  # work of Ratios that is allowed, and more of it for every variable
_UNCHECKED = (
    "whether the rows support interventions on {} was not checked, as the time of training is not "
    "spent on more than some of them: cp.check_overlap, or estimate(data=…), checks the question"
)
_CELLS = 1 << 17  # combinations of values that are looked at in one step
_FEW = 5  # rows beyond a number that say nothing
_RARE = 10  # rows of a category, below which what follows from it rests on few


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


def unseen_categories(tables: Sequence[Rows], model: Model) -> dict[str, list[object]]:
    """Declared categories that no row of the sources which record them has, by variable."""
    counts = _category_counts(tables, model)
    found = {}
    for name, of in counts.items():
        found[name] = [c for c, n in of.items() if n == 0]
    return {name: categories for name, categories in found.items() if categories}


def rare_categories(tables: Sequence[Rows], model: Model) -> dict[str, list[list[object]]]:
    """Categories that some rows have but fewer than ten, each with its number, by variable."""
    counts = _category_counts(tables, model)
    found = {}
    for name, of in counts.items():
        found[name] = [[c, n] for c, n in of.items() if 0 < n < _RARE]
    return {name: pairs for name, pairs in found.items() if pairs}


def _category_counts(tables: Sequence[Rows], model: Model) -> dict[str, dict[Any, int]]:
    """In how many rows every category occurs, over all sources that record its variable."""
    found = {}
    for name, variable in model.variables.items():
        columns = [rows.values[name] for rows in tables if name in rows.values]
        if not variable.is_discrete or not columns:
            continue
        counts = torch.zeros(variable.size, dtype=torch.int64)
        for column in columns:
            counts += torch.bincount(column[:].long().cpu(), minlength=variable.size)
        found[name] = dict(zip(variable.categories, counts.tolist(), strict=True))
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
    data = [_users_values(model, rows) for rows in map(_first, tables)]
    wide = {name for name, variable in model.variables.items() if variable.needs_encoder}
    limit = _WORK + _WORK_EACH * len(model.variables)
    look = _Look(
        model,
        [rows.source for rows in tables],
        rows_of(model.graph, data, dict.fromkeys(wide, _itself)),
        Ratios(_ROWS, seed, _FOLDS, _TREES, _RATE, limit, _JUDGED),
    )
    found: list[OverlapRecord] = []
    for name, values in _interventions(model, data):
        found += look.at(name, values)
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Look:
    """Interventions on one variable after another, within the work that is allowed for all."""

    model: Model
    sources: Sequence[Source]
    rows: Sequence[SourceRows]
    ratios: Ratios

    def at(self, name: str, values: Sequence[object]) -> list[OverlapRecord]:
        """A record of every value; all say that they were not checked if there is too much to
        do."""
        domains = {}
        for n, v in self.model.variables.items():
            if v.is_discrete:
                domains[n] = v.categories
        rule = Rule(_THRESHOLD, _TOLERANCE, _FEWEST, _ROWS, self.ratios.seed, _CELLS)
        found = []
        for value, result in _determined(self.model, name, values, self.sources, domains):
            try:
                report = overlap_of(result, self.rows, rule, ratios=self.ratios)
                found.append(_record(name, value, report))
            except OverBudget:
                return [self._unchecked(name, other) for other in values]
            except CausalPlugError:  # too many cells to count, say: nothing is known then
                continue
        return found

    def _unchecked(self, name: str, value: Any) -> OverlapRecord:
        of = tuple(self.model.graph.children(name))
        return OverlapRecord(name, value, of, text=_UNCHECKED.format(name), checked=False)


def _record(name: str, value: Any, report: Overlap) -> OverlapRecord:
    if not report.weak:
        return OverlapRecord(name, value)
    worst = max(report.findings, key=lambda finding: finding.share)
    return OverlapRecord(name, value, worst.of, worst.share, worst.standard_error, worst.text)


def _itself(column: np.ndarray) -> np.ndarray:
    return column


def _first(rows: Rows) -> Rows:
    """Some of very many rows; those of training come in random order."""
    if len(rows) <= _MOST:
        return rows
    return replace(rows, values=first_rows(rows.values, _MOST))


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
    model: Model, data: Sequence[dict[str, Any]]
) -> Iterator[tuple[str, list[str | int | float | bool]]]:
    """Variables and the values that they are set to, categories first: they take less work.

    A variable without causes is independent of all that its interventions are needed at.
    """
    by_kind = sorted(model.variables.items(), key=lambda item: not item[1].is_discrete)
    for name, variable in by_kind:
        columns = [table[name] for table in data if name in table]
        by_lot = not model.graph.parents(name) and not model.graph.siblings(name)
        if by_lot or variable.needs_encoder or not columns or not model.graph.children(name):
            continue
        column = np.concatenate(columns)
        if variable.is_number:
            points = np.unique(np.quantile(column.astype(float), _QUANTILES))
            yield name, [float(f"{point:.6g}") for point in points]
        else:
            values, counts = np.unique(column, return_counts=True)
            frequent = values[np.argsort(-counts, kind="stable")][:_VALUES]
            yield name, frequent.tolist()


def _determined(
    model: Model,
    name: str,
    values: Sequence[object],
    sources: Sequence[Source],
    domains: dict[str, Any],
) -> list[tuple[object, Identification]]:
    """Every value with the formula of all that follows the intervention, or of what follows at
    once, if its distribution is determined at every value; else nothing."""
    below = sorted(model.graph.descendants([name]) - {name}, key=list(model.variables).index)
    for outcomes in (below, list(model.graph.children(name))):
        results = []
        for value in values:
            query = Query(outcomes, do={name: value})
            results.append(identify(model.graph, query, sources, domains=domains))
            if not results[-1].answerable:
                break
        else:
            return list(zip(values, results, strict=True))
    return []
