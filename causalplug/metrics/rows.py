"""Rows as they were beside the same rows as they would have been."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from causalplug.data.source import DataSource
from causalplug.dcm import DCM
from causalplug.errors import DataError, QueryError
from causalplug.selection import without
from causalplug.values import Json, Named
from causalplug.wording import as_names, check_known

__all__ = ["Asking", "Intervention", "encoded", "image_of"]

Intervention = str | Iterable[str] | Named
"""What is set: values by variable, or names of variables that every row gets another row's values
of."""


@dataclass(frozen=True)
class Asking:
    """How counterfactuals of rows are asked for.

    Attributes:
        dcm: The model.
        seed: Seed of the noise that the rows leave open, and of which row lends its values.
        batch_size: Rows that go through the networks at once.
        allow_unidentified: Also what the data do not determine.
    """

    dcm: DCM
    seed: int = 0
    batch_size: int | None = None
    allow_unidentified: bool = True

    def again(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The rows with their noise recovered and nothing set: what a perfect mechanism leaves as
        it is."""
        noise = self.dcm.abduct(
            self.frame(rows),
            seed=self.seed,
            allow_unidentified=self.allow_unidentified,
            batch_size=self.batch_size,
        )
        frame = self.dcm.replay(
            noise,
            variables=list(rows),
            allow_unidentified=self.allow_unidentified,
            batch_size=self.batch_size,
        )
        return self._encoded(frame, rows)

    def after(self, rows: Mapping[str, Tensor], do: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The rows as they would have been under encoded values ``do``, one for each row."""
        frame = self.dcm.counterfactual(
            self.frame(rows),
            do={name: _users(self.dcm, name, value) for name, value in do.items()},
            variables=list(rows),
            seed=self.seed,
            allow_unidentified=self.allow_unidentified,
            batch_size=self.batch_size,
            progress=False,
        )
        return self._encoded(frame, rows)

    def frame(self, rows: Mapping[str, Tensor]) -> Json:
        """Encoded rows as a user would give them."""
        return {name: _users(self.dcm, name, value) for name, value in rows.items()}

    def values(self, rows: Mapping[str, Tensor], do: Intervention) -> dict[str, Tensor]:
        """Encoded values ``(n, …)`` of an intervention."""
        count = len(next(iter(rows.values())))
        if isinstance(do, Mapping):
            check_known(do, self.dcm.graph.index, "the intervention cannot be measured")
            return {name: self._of_user(name, value, count) for name, value in do.items()}
        names = as_names(do)
        check_known(names, rows, "the rows cannot lend their values")
        order = torch.randperm(count, generator=torch.Generator().manual_seed(self.seed + 1))
        return {name: rows[name][order] for name in names}

    def _of_user(self, name: str, value: Any, count: int) -> Tensor:
        variable = self.dcm.variables[name]
        one = isinstance(value, str) and not variable.event_shape
        found = variable.encode([value] if one else value, name)
        if len(found) == 1:
            found = found.expand(count, *found.shape[1:])
        if len(found) != count:
            raise DataError(
                f"{name!r} cannot be set to {len(found)} values for {count} rows: give one for "
                "each row, or one."
            )
        return found

    def _encoded(self, frame: Any, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for name in rows:
            variable = self.dcm.variables[name]
            if variable.event_shape:
                found[name] = torch.stack(list(map(torch.as_tensor, frame[name])))
            else:
                found[name] = variable.encode(frame[name], name)
        return found


def encoded(dcm: DCM, rows: Any, image: str) -> dict[str, Tensor]:
    """Rows of data as tensors, images in the range of their variables.

    Raises:
        DataError: The rows do not have the image and all its parents.
    """
    source = rows
    if not isinstance(rows, DataSource):
        source = DataSource(rows)
    values = dict(source.encode(dcm.variables).values)
    missing = without((image, *dcm.graph.parents(image)), values)
    if missing:
        raise DataError(
            f"the counterfactuals of {image!r} cannot be measured: the rows have no column for "
            f"{', '.join(missing)}; the noise of an image is recovered given all its parents"
        )
    return {name: dcm.variables[name].scale(value[:]) for name, value in values.items()}


def image_of(dcm: DCM, image: str | None) -> str:
    """The image variable that is measured: the only one where none is named.

    Raises:
        QueryError: There is none, there are several, or the name is that of something else.
    """
    images = [name for name, variable in dcm.variables.items() if variable.is_image]
    if image is not None:
        check_known([image], dcm.graph.index, "the image cannot be measured")
        if image not in images:
            raise QueryError(f"{image!r} cannot be measured: it is no image")
        return image
    if len(images) != 1:
        raise QueryError(
            f"the image to measure is not clear: the model has {', '.join(images) or 'none'}; name "
            "it by image="
        )
    return images[0]


def _users(dcm: DCM, name: str, value: Tensor) -> object:
    variable = dcm.variables[name]
    if variable.event_shape:
        return value
    return variable.decode(value)
