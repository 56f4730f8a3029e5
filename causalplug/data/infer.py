"""Declarations of variables from the columns of tables: where that is safe, and saying what was
decided and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from causalplug.data.column_summary import ColumnSummary
from causalplug.errors import DataError
from causalplug.variables import Variable

if TYPE_CHECKING:
    from causalplug.data.source import DataSource

__all__ = ["InferredVariables", "infer_variables"]


class InferredVariables(dict[str, Variable]):
    """Declarations by column, to be handed to :class:`causalplug.DCM`; printing it shows the reason
    for each.

    Attributes:
        why: what was decided and from what, by column.
    """

    def __init__(self, variables: Mapping[str, Variable], why: Mapping[str, str]):
        super().__init__(variables)
        self.why = dict(why)

    def __str__(self) -> str:
        shown = {name: (name, _short(variable), self.why[name]) for name, variable in self.items()}
        widths = [max((len(line[i]) for line in shown.values()), default=0) for i in range(2)]
        return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in shown.values())


def infer_variables(
    sources: DataSource | Sequence[DataSource] | Any, **declared: Variable
) -> InferredVariables:
    """What the columns of some tables hold, as declarations.

    Decided are: images of one size; yes/no; words, class labels and categories; whole numbers with
    at most 20 values, each seen five times on average (as the codes 0 to k - 1 where they are
    these, else as named values; codes with leading zeros, as ``01``, are words); numbers with
    fractions, as continuous. Everything else could be meant in two ways and is refused: it has to
    be declared.

    Args:
        sources: the tables, or a bare one as for :class:`causalplug.DataSource`. A column that
            several of them have is judged by all of its rows.
        **declared: declarations that are known, by column; they are taken as they are.

    Raises:
        DataError: columns that cannot be decided, each with the reason: whole numbers with many
            values (a count or a code?), words that are nearly all different (an identifier?),
            dates, images of several sizes, constants, marks that may stand for a missing value
            (``?``), numbers with decimal commas, and lists or objects.

    Example:
        >>> from causalplug import Continuous, DataSource
        >>> rows = DataSource({"age": [31, 62, 45] * 9, "dose": [0.5, 1.25, 0.75] * 9, "sex": ["f", "m", "f"] * 9})
        >>> print(infer_variables(rows, age=Continuous(low=0)))
        age   Continuous(low=0)     declared
        dose  Continuous()          numbers with fractions, from 0.5 to 1.25
        sex   Discrete(['f', 'm'])  2 different words
    """
    from causalplug.data.source import as_data_sources

    seen: dict[str, ColumnSummary] = {}
    for source in as_data_sources(sources):
        for name in source.names:
            seen.setdefault(name, ColumnSummary())
        for chunk in source.chunks():
            for name, values in chunk.items():
                if name not in declared:
                    seen[name].add(values)
    unknown = [name for name in declared if name not in seen]
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
        bounds = [
            f"{k}={v:g}"
            for k, v in (("low", variable.low), ("high", variable.high))
            if math.isfinite(v)
        ]
        return f"Continuous({', '.join(bounds)})"
    return f"Image{variable.event_shape}"
