"""Tables of samples: one row per row of noise, one column per variable, images as tensors,
arrays or pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from causalplug.values import Named
from causalplug.variables import Variable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["IMAGE_FORMS", "Column", "columns", "table"]

Column = tuple[str | None, str]
"""Label of the world, or None where there is only one, and the variable."""

IMAGE_FORMS = ("tensor", "array", "pil")


def columns(
    values: Mapping[Column, Tensor], variables: Mapping[str, Variable], images: str
) -> dict[Column, np.ndarray]:
    """Users' values by column; an image column is an array of objects, one image each."""
    found = {}
    for column, codes in values.items():
        variable = variables[column[1]]
        if variable.is_image:
            found[column] = _pictures(variable, codes, images)
        else:
            found[column] = _by_row(variable.decode(codes))
    return found


def _by_row(values: np.ndarray) -> np.ndarray:
    """One entry per row: of vectors an array of objects."""
    if values.ndim == 1:
        return values
    objects = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        objects[place] = value
    return objects


def _pictures(variable: Variable, codes: Tensor, images: str) -> np.ndarray:
    if images == "tensor":
        items = [
            image.clone() for image in variable.scale(codes).float().cpu()
        ]  # each with memory of its own
    else:
        decoded = variable.decode(codes)
        if images == "pil":
            items = variable.to_pil(decoded)
        else:
            items = list(decoded)
    objects = np.empty(len(codes), dtype=object)
    for i, item in enumerate(items):
        objects[i] = item
    return objects


def table(parts: Sequence[Mapping[Column, np.ndarray]], attributes: Named) -> pd.DataFrame:
    """One table from consecutive parts; several worlds make two levels of columns."""
    import pandas as pd

    joined = {}
    for column in parts[0]:
        joined[column] = np.concatenate([part[column] for part in parts])
    worlds = any(world is not None for world, _ in joined)
    frame = pd.DataFrame(
        {(column if worlds else column[1]): values for column, values in joined.items()}
    )
    if worlds:
        frame.columns = pd.MultiIndex.from_tuples(list(joined), names=["world", "variable"])
    frame.attrs.update(attributes)
    return frame
