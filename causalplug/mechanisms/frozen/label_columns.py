"""The columns of data that hold the labels of a generator whose label map is to be counted."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from causalplug.mechanisms.base import Mechanism
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.values import Json
from causalplug.variables import Variable
from causalplug.wording import as_names

__all__ = ["label_columns", "with_label_values"]


def label_columns(mechanism: Mechanism) -> tuple[str, ...]:
    """Names of the columns; none where no label map is to be counted in columns."""
    if not isinstance(mechanism, FrozenMechanism) or mechanism.pending is None:
        return ()
    if mechanism.pending.column is None:
        return ()
    return as_names(mechanism.pending.column)


def with_label_values(
    mechanism: Mechanism, rows: Mapping[str, Tensor], variables: Mapping[str, Variable]
) -> Json:
    """Encoded rows of a model as ``mechanism.take_rows`` reads them.

    Columns that hold labels are decoded: the generator's labels may have the same values in
    another order. Those of parents are decoded with the parents.
    """
    found: Json = dict(rows)
    for column in label_columns(mechanism):
        if column in found and column not in mechanism.parents:
            found[column] = variables[column].decode(found[column])
    return found
