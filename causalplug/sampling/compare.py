"""The classical answer beside a model's: the identified formula, evaluated on the rows
themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from causalplug.errors import QueryError
from causalplug.values import Named

if TYPE_CHECKING:
    import pandas as pd

    from causalplug.identification.identification import Identification
    from causalplug.model.model import Model

__all__ = ["plug_in"]


def plug_in(
    dcm: Model, identification: Identification | None, table: pd.DataFrame, data: object
) -> list[float]:
    """The plug-in estimate for every row of an answer's table; NaN where the rows leave it
    undefined.

    Args:
        dcm: The model.
        identification: Identification of the query.
        table: Table of the answer, with a column for every open variable.
        data: Rows of the sources that the model was trained on: one table, or one for each in their
            order.

    Raises:
        QueryError: There is no formula, or it is not over discrete variables.
    """
    from causalplug.identification.evaluate import evaluate

    if identification is None or identification.estimand is None:
        raise QueryError(
            "compare='plug-in' cannot be answered: there is no identified formula. Train the "
            "model with fit(), or set dcm.sources to what it was trained on."
        )
    discrete = {name: v.categories for name, v in dcm.variables.items() if v.is_discrete}
    tables = []
    for part in data if isinstance(data, list | tuple) else [data]:
        tables.append(_discrete(part, discrete))
    found = evaluate(identification.estimand, tables, categories=discrete)
    values = []
    for row in table.to_dict("records"):
        if found.axes:
            value = found[{axis: row[_column(axis, table)] for axis in found.axes}]
        else:
            value = float(found)
        values.append(float(value))
    return values


def _discrete(data: Any, discrete: Named) -> object:
    """The discrete columns of a table of rows."""
    if not hasattr(data, "keys"):
        return data
    return {name: data[name] for name in data.keys() if name in discrete}  # noqa: SIM118


def _column(axis: str, table: pd.DataFrame) -> str:
    """The column of the answer that an axis of the formula is: the same event, or its variable
    alone."""
    for name in (axis, axis.removeprefix("do(").removesuffix(")"), axis.partition("_{")[0]):
        if name in table:
            return name
    raise QueryError(
        f"compare='plug-in' cannot be answered: {axis} is not among the open variables of the "
        "query."
    )
