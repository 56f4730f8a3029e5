"""Sums of products of arrays over named axes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from causalplug.errors import DataError
from causalplug.selection import positions_of, values_at

__all__ = ["Part", "contract"]

Part = tuple[np.ndarray, Sequence[Hashable]]
"""An array and the names of its axes."""

_AXES = 52  # names that numpy.einsum takes


def contract(parts: Sequence[Part], kept: Sequence[Hashable]) -> np.ndarray:
    """The product of arrays, summed over all axes but ``kept``, in their order.

    Raises:
        DataError: The product is over more variables than can be tabulated.
    """
    names = {name: None for _, axes in parts for name in axes}
    if len(names) > _AXES:
        raise DataError(
            f"A product over {len(names)} variables at once cannot be worked out from tables: at "
            f"most {_AXES} can. Ask about fewer variables."
        )
    number = positions_of(names)
    arguments: list[object] = []
    for array, axes in parts:
        arguments += [array, values_at(number, axes)]
    wanted = values_at(number, kept)
    return np.asarray(np.einsum(*arguments, wanted, optimize="greedy"))  # type: ignore[call-overload]
