"""Variables with finitely many values, under their names or as integers."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from causalplug.errors import DataError, VariableError
from causalplug.selection import positions_of, values_at
from causalplug.values import Json
from causalplug.variables.base import Variable
from causalplug.variables.columns import (
    TextColumn,
    as_array,
    distinct,
    refuse_missing,
    shared,
    where_first,
)
from causalplug.variables.kinds import register_variable

if TYPE_CHECKING:
    import torch

__all__ = ["Discrete"]

_MOST_CATEGORIES = 1_000_000
_NAMED = 8  # categories that are named one by one
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?")


@register_variable("discrete")
@dataclass(frozen=True, init=False)
class Discrete(Variable):
    """A variable with finitely many values.

    Categories are texts, numbers or False and True, and keep their types when the model is saved.

    Args:
        categories: Their number (values 0 to k - 1) or their names in order: a list, an array or a
            pandas index.

    Attributes:
        plain: Whether the categories are the integers 0 to k - 1.

    Raises:
        VariableError: Fewer than one category, a name given twice, or one that a file cannot hold:
            a missing value, a date, an interval, an infinity, an integer of more than 64 bits.

    Example:
        >>> colour = Discrete(["red", "green", "blue"])
        >>> colour.encode(["blue", "red"]).tolist()
        [2, 0]
    """

    is_discrete: ClassVar[bool] = True
    is_countable: ClassVar[bool] = True
    default_mechanism: ClassVar[str | None] = "discrete-mlp"
    categories: tuple[Hashable, ...]
    plain: bool = field(repr=False)

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
                "Discrete() cannot be declared without categories: give their number or their "
                "names."
            )
        if not isinstance(categories, range):
            _check_categories(values)
        whole = all(type(value) is int for value in values)
        object.__setattr__(self, "categories", values)
        object.__setattr__(self, "plain", whole and values == tuple(range(len(values))))

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

    def encode(
        self, values: object, name: str = "values", *, row: int | None = None
    ) -> torch.Tensor:
        import torch

        if isinstance(values, TextColumn):
            return self._encode_texts(values, name, row)
        array = as_array(values, name)
        refuse_missing(array, name)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise DataError(
                f"{name!r} must be one category per row; got an array of shape {array.shape}."
            )
        kinds = "iu"
        if self._takes_booleans:
            kinds = "iub"
        if self.plain and array.dtype.kind in kinds:
            codes = array.astype(np.int64, copy=False)
            if not len(array) or (array.min() >= 0 and array.max() < self.size):
                return shared(codes)
            outside = (array < 0) | (array >= self.size)
            unknown = np.unique(array[outside])
        else:
            uniques, inverse = distinct(array, name)
            found = np.asarray(list(map(self._place, uniques)), np.int64)
            codes = found[inverse]
            outside = codes < 0
            unknown = _objects(values_at(uniques, np.flatnonzero(found < 0)))
        if len(unknown):
            raise DataError(self._unknown(unknown, name) + where_first(outside, array, row))
        return torch.from_numpy(np.ascontiguousarray(codes))

    def _place(self, value: Hashable) -> int:
        """Code of a value, -1 where it is no category: to Python, True is 1."""
        if type(value) is bool and not self._takes_booleans:
            return -1
        return self._places.get(value, -1)

    @cached_property
    def _places(self) -> dict[Hashable, int]:
        return positions_of(self.categories)

    @cached_property
    def _takes_booleans(self) -> bool:
        """Whether False and True are categories, or what 0 and 1, the only ones, stand for."""
        return any(type(c) is bool for c in self.categories) or set(self.categories) <= {0, 1}

    def _encode_texts(self, column: TextColumn, name: str, row: int | None) -> torch.Tensor:
        """Codes of texts that a file holds; each different text is looked up once."""
        import torch

        column.refuse_missing(name)
        if column.typed:
            known = {c: at for at, c in enumerate(self.categories) if type(c) is str}
            found = np.asarray([known.get(text, -1) for text in column.texts], np.int64)
        else:
            found = np.asarray(list(map(self.code_of_text, column.texts)), np.int64)
        codes = found[column.codes]
        if len(codes) and codes.min() < 0:
            outside = codes < 0
            unknown = _objects(values_at(column.texts, np.unique(column.codes[outside])))
            first = where_first(outside, column.to_numpy(), row)
            raise DataError(self._unknown(unknown, name) + first)
        return torch.from_numpy(codes)

    def code_of_text(self, text: str) -> int:
        """Code of the category that a text stands for, -1 where it stands for none.

        A text is a category as it is written. Categories that are no texts are also found by
        their value: ``true`` for True, ``1.0`` for 1.
        """
        texts = self._codes_of_texts
        if text in texts:
            return texts[text]
        shortened = text.strip().casefold()
        value: Any = {"true": True, "false": False}.get(shortened)
        if value is None and _NUMBER.fullmatch(shortened):
            value = float(shortened)
        if value is None:
            return -1
        matching = (
            code
            for code, category in enumerate(self.categories)
            if type(category) is not str and category == value
        )
        if isinstance(value, bool) and not any(type(c) is bool for c in self.categories):
            return -1
        return next(matching, -1)

    @cached_property
    def _codes_of_texts(self) -> dict[str, int]:
        return {str(category): code for code, category in enumerate(self.categories)}

    def _unknown(self, unknown: np.ndarray, name: str) -> str:
        shown = ", ".join(repr(u.item() if isinstance(u, np.generic) else u) for u in unknown[:5])
        own = {str(category): category for category in self.categories}
        near = difflib.get_close_matches(str(unknown[0]), own, n=1)
        known = ", ".join(map(repr, self.categories[:8])) + (", …" if self.size > 8 else "")
        hint = ""
        if near:
            hint = f" Did you mean {own[near[0]]!r}?"
        return (
            f"{name!r} has values outside its categories: {shown}; declared are {known}.{hint} "
            "Correct the values or declare the category."
        )

    def decode(self, codes: torch.Tensor) -> np.ndarray:
        if codes.is_floating_point():
            codes = codes.argmax(-1)
        index = codes.detach().cpu().numpy()
        if self.plain:
            return index
        types = set(map(type, self.categories))
        if len(types) == 1 and str not in types:
            return np.array(self.categories)[index]
        names = np.empty(self.size, dtype=object)
        names[:] = self.categories
        return names[index]

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        """One-hot rows; float rows (a relaxed one-hot) pass unchanged."""
        import torch

        if codes.is_floating_point():
            return codes
        return torch.nn.functional.one_hot(codes, self.size).to(torch.get_default_dtype())

    def describe(self) -> str:
        names = list(map(str, self.categories))
        if len(names) <= _NAMED:
            return ", ".join(names)
        return f"{len(names)} categories, {names[0]} to {names[-1]}"

    def to_dict(self) -> Json:
        return {"kind": self.kind, "categories": self.size if self.plain else list(self.categories)}


def _check_categories(values: Sequence[object]) -> None:
    """Refuse what a file could not hold, or could not tell apart."""
    for value in values:
        if why := _unfit(value):
            raise VariableError(
                f"Discrete cannot be declared with {value!r} as a category: a category is a text, "
                f"True or False, or a number, and this is {why}."
            )
    known: dict[Any, Any] = {}
    texts: Json = {}
    for value in values:
        other = known.get(value, texts.get(str(value)))
        if other is not None:
            same = type(other) is type(value)
            raise VariableError(
                f"Discrete categories must differ: {value} given more than once. Remove the copies."
                if same
                else f"Discrete categories must differ: {other!r} and {value!r} cannot be told "
                "apart in a table. Rename or remove one."
            )
        known[value] = texts[str(value)] = value


def _unfit(value: object) -> str:
    """Why a value cannot be a category, empty where it can."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "a missing value; leave it out, rows without a value cannot be used"
    if type(value) is int and not -(2**63) <= value < 2**63:
        return "an integer of more than 64 bits; give it as a text"
    if type(value) is float and math.isinf(value):
        return "infinite; give it as a text"
    if type(value) is str:
        if _writable(value):
            return ""
        return "a text that UTF-8 cannot hold"
    if type(value) in (bool, int, float):
        return ""
    return f"of type {type(value).__name__}; give texts, as in [str(value) for value in values]"


def _writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _objects(items: Sequence[object]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
