"""Declarations of variables from the columns of tables: where that is safe, and saying what was
decided and why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from causalplug.data.column_summary import ColumnSummary
from causalplug.errors import DataError
from causalplug.selection import without
from causalplug.values import Named
from causalplug.variables import Variable

__all__ = ["InferredVariables", "Tabular", "infer_from"]


class InferredVariables(dict[str, Variable]):
    """Declarations by column, to be handed to :class:`causalplug.DCM`; printing it shows the reason
    for each.

    Attributes:
        why: What was decided and from what, by column.
    """

    def __init__(self, variables: Mapping[str, Variable], why: Mapping[str, str]):
        super().__init__(variables)
        self.why = dict(why)

    def __str__(self) -> str:
        shown = {}
        for name, variable in self.items():
            shown[name] = (name, _short(variable), self.why[name])
        widths = []
        for i in range(2):
            widths.append(max((len(line[i]) for line in shown.values()), default=0))
        return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in shown.values())


class Tabular(Protocol):
    """What is read of a data source: the names of its columns, and its rows in chunks."""

    @property
    def names(self) -> Sequence[str]: ...
    def chunks(self) -> Iterable[Named]: ...


def infer_from(sources: Iterable[Tabular], declared: Mapping[str, Variable]) -> InferredVariables:
    """Declarations from the columns of data sources; see :func:`causalplug.infer_variables`."""
    seen: dict[str, ColumnSummary] = {}
    for source in sources:
        for name in source.names:
            seen.setdefault(name, ColumnSummary())
        for chunk in source.chunks():
            for name, values in chunk.items():
                if name not in declared:
                    seen[name].add(values)
    unknown = without(declared, seen)
    if unknown:
        raise DataError(
            f"{', '.join(map(repr, unknown))} cannot be declared: no source has such a column. "
            f"Columns: {', '.join(seen)}."
        )
    variables: dict[str, Variable] = {}
    why: dict[str, str] = {}
    doubts: list[str] = []
    for name, column in seen.items():
        if name in declared:
            variables[name], why[name] = declared[name], "declared"
            continue
        found, reason = column.judge()
        if found is None:
            doubts.append(f"{name!r}: {reason}")
        else:
            variables[name], why[name] = found, reason
    if doubts:
        raise DataError(
            "Some columns cannot be declared without you:\n  "
            + "\n  ".join(doubts)
            + "\nDeclare them (infer_variables(data, age=Continuous(), …)), or leave them out "
            "(DataSource(…, columns=[…]))."
        )
    return InferredVariables(variables, why)


def _short(variable: Variable) -> str:
    if variable.is_discrete:
        return f"Discrete({variable.size if variable.plain else list(variable.categories)})"
    if variable.is_number:
        bounds = []
        for k, v in (("low", variable.low), ("high", variable.high)):
            if math.isfinite(v):
                bounds.append(f"{k}={v:g}")
        return f"Continuous({', '.join(bounds)})"
    return f"Image{variable.event_shape}"
