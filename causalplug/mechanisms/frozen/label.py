"""A label that a pretrained generator reads."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalplug.arguments import NAME, read_argument
from causalplug.errors import DataError, LabelMapError
from causalplug.values import Json, Named
from causalplug.variables import Discrete

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Label"]


@dataclass(frozen=True, init=False)
class Label:
    """One label that a generator reads.

    Args:
        name: Its name.
        categories: Their number, or their names in the generator's order.

    Example:
        >>> Label("finding", ["covid", "normal", "pneumonia"]).code("normal")
        1
    """

    name: str
    values: Discrete

    def __init__(self, name: str, categories: int | Sequence[Hashable] | Discrete):
        read_argument("name", name, NAME, LabelMapError, "Label")
        object.__setattr__(self, "name", name)
        object.__setattr__(
            self, "values", categories if isinstance(categories, Discrete) else Discrete(categories)
        )

    @property
    def size(self) -> int:
        """Number of categories."""
        return self.values.size

    @property
    def categories(self) -> tuple[Hashable, ...]:
        """The categories in the generator's order."""
        return self.values.categories

    def code(self, value: Hashable) -> int:
        """The integer that the generator reads for one category.

        Raises:
            LabelMapError: No such category; near matches are named.
        """
        if value in self.categories:
            return self.categories.index(value)
        near = difflib.get_close_matches(str(value), list(map(str, self.categories)), n=1)
        hint = ""
        if near:
            hint = f" Did you mean {near[0]!r}?"
        known = ", ".join(map(repr, self.categories[:8])) + (", …" if self.size > 8 else "")
        raise LabelMapError(
            f"The label map cannot use {value!r}: label {self.name!r} has the values "
            f"{known}.{hint} Correct the map."
        )

    def encode(self, column: object) -> Tensor:
        """Codes ``(n,)`` of a column of categories.

        Raises:
            LabelMapError: A value that is no category.
        """
        try:
            return self.values.encode(column, self.name)
        except DataError as error:
            raise LabelMapError(str(error)) from None

    def to_dict(self) -> Json:
        """The declaration as JSON values."""
        return {"name": self.name, "categories": self.values.to_dict()["categories"]}

    @classmethod
    def from_dict(cls, declaration: Named) -> Label:
        """Inverse of :meth:`to_dict`."""
        return cls(declaration["name"], declaration["categories"])
