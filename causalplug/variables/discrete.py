"""Variables with finitely many values, under their names or as integers."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from causalplug.errors import DataError, VariableError
from causalplug.variables.base import Variable
from causalplug.variables.columns import as_array, refuse_missing, where_first

if TYPE_CHECKING:
    import torch

__all__ = ["Discrete"]

_MOST_CATEGORIES = 1_000_000


@dataclass(frozen=True, init=False)
class Discrete(Variable):
    """A variable with finitely many values.

    Args:
        categories: their number (values 0 to k - 1) or their names in order: a list, an array or a
            pandas index.

    Raises:
        VariableError: fewer than one category, a name given twice, or one that stands for a missing
            value.

    Example:
        >>> colour = Discrete(["red", "green", "blue"])
        >>> colour.encode(["blue", "red"]).tolist()
        [2, 0]
    """

    kind: ClassVar[str] = "discrete"
    categories: tuple[Hashable, ...]

    def __init__(self, categories: int | Sequence[Hashable]):
        if isinstance(categories, np.ndarray) or hasattr(categories, "to_numpy"):
            categories = list(categories)  # type: ignore[arg-type]
        wanted = int | np.integer | Sequence
        if isinstance(categories, str | bytes | bool) or not isinstance(categories, wanted):
            raise VariableError(
                f"Discrete({categories!r}) cannot be declared: it takes the number of categories "
                "or a list of their names, for example Discrete(2) or Discrete(['no', 'yes'])."
            )
        if isinstance(categories, int | np.integer):
            if categories > _MOST_CATEGORIES:
                raise VariableError(
                    f"Discrete({categories}) cannot be declared: it has more than "
                    f"{_MOST_CATEGORIES:,} categories. Declare the variable as Continuous, or "
                    "group its values."
                )
            categories = range(int(categories))
        values = tuple(item.item() if isinstance(item, np.generic) else item for item in categories)
        if len(values) < 1:
            raise VariableError(
                "Discrete() cannot be declared without categories: give their number or their names."
            )
        several = tuple | frozenset
        wrong = [
            v
            for v in values
            if isinstance(v, several) or not isinstance(v, Hashable) or v is None or v != v
        ]
        if wrong:
            raise VariableError(
                f"Discrete cannot be declared with {wrong[0]!r} as a category: a category is a "
                "text or a number. Leave it out; rows without a value cannot be used."
            )
        twice = sorted({str(v) for v in values if values.count(v) > 1})
        if twice:
            raise VariableError(
                f"Discrete categories must differ: {', '.join(twice)} given more than once. Remove the copies."
            )
        object.__setattr__(self, "categories", values)

    @property
    def size(self) -> int:
        """Number of categories."""
        return len(self.categories)

    @property
    def cardinality(self) -> int:
        return self.size

    @property
    def feature_size(self) -> int:
        return self.size

    def code(self, value: Hashable, name: str = "value") -> int:
        """The integer code of one category."""
        return int(self.encode([value], name)[0])

    def encode(self, values: Any, name: str = "values", *, row: int | None = None) -> torch.Tensor:
        import torch

        array = as_array(values, name)
        refuse_missing(array, name)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise DataError(
                f"{name!r} must be one category per row; got an array of shape {array.shape}."
            )
        plain = self.categories == tuple(range(self.size))
        if plain and array.dtype.kind in "iub":
            codes = array.astype(np.int64)
            outside = (codes < 0) | (codes >= self.size)
            unknown = np.unique(codes[outside])
        else:
            uniques, inverse = (
                np.unique(array, return_inverse=True)
                if array.dtype.kind != "O"
                else _unique_objects(array)
            )
            lookup = {value: code for code, value in enumerate(self.categories)}
            found = [lookup.get(u.item() if isinstance(u, np.generic) else u, -1) for u in uniques]
            codes = np.asarray(found, np.int64)[inverse]
            outside = codes < 0
            unknown = np.asarray(
                [u for u, code in zip(uniques, found, strict=True) if code < 0], dtype=object
            )
        if len(unknown):
            raise DataError(self._unknown(unknown, name) + where_first(outside, array, row))
        return torch.from_numpy(np.ascontiguousarray(codes))

    def _unknown(self, unknown: np.ndarray, name: str) -> str:
        shown = ", ".join(repr(u.item() if isinstance(u, np.generic) else u) for u in unknown[:5])
        near = difflib.get_close_matches(str(unknown[0]), [str(c) for c in self.categories], n=1)
        known = ", ".join(map(repr, self.categories[:8])) + (", …" if self.size > 8 else "")
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return (
            f"{name!r} has values outside its categories: {shown}; declared are {known}.{hint} "
            "Correct the values or declare the category."
        )

    def decode(self, codes: torch.Tensor) -> np.ndarray:
        codes = codes.argmax(-1) if codes.is_floating_point() else codes
        index = codes.detach().cpu().numpy()
        if self.categories == tuple(range(self.size)):
            return index
        names = np.empty(self.size, dtype=object)
        names[:] = self.categories
        if all(isinstance(c, str) for c in self.categories):
            return names[index]
        return (
            np.array(list(self.categories))[index]
            if not any(isinstance(c, str) for c in self.categories)
            else names[index]
        )

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        """One-hot rows; float rows (a relaxed one-hot) pass unchanged."""
        import torch

        if codes.is_floating_point():
            return codes
        return torch.nn.functional.one_hot(codes, self.size).to(torch.get_default_dtype())

    def to_dict(self) -> dict[str, Any]:
        plain = self.categories == tuple(range(self.size))
        return {"kind": self.kind, "categories": self.size if plain else list(self.categories)}


def _unique_objects(array: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """``np.unique`` for objects that do not sort."""
    order: dict[Any, int] = {}
    inverse = np.fromiter(
        (order.setdefault(item, len(order)) for item in array), np.int64, len(array)
    )
    return list(order), inverse
