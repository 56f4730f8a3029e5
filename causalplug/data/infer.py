"""Declarations of variables from the columns of tables: where that is safe, and saying what was
decided and why."""

from __future__ import annotations

import datetime
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from causalplug.data.images import is_picture, picture_size
from causalplug.data.tables import ClassCodes
from causalplug.errors import DataError
from causalplug.variables import Continuous, Discrete, Image, Variable

if TYPE_CHECKING:
    from causalplug.data.source import DataSource

__all__ = ["InferredVariables", "infer_variables"]

_FEW = 20  # distinct numbers up to which a column of integers is taken for categories
_WORDS = 100  # distinct words up to which a column of words is
_OFTEN = 5  # rows per distinct value that categories must have on average


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
    these, else as named values); numbers with fractions, as continuous. Everything else could be
    meant in two ways and is refused: it has to be declared.

    Args:
        sources: the tables, or a bare one as for :class:`causalplug.DataSource`. A column that
            several of them have is judged by all of its rows.
        **declared: declarations that are known, by column; they are taken as they are.

    Raises:
        DataError: columns that cannot be decided, each with the reason: whole numbers with many
            values (a count or a code?), words that are nearly all different (an identifier?),
            dates, images of several sizes, and constants.

    Example:
        >>> from causalplug import Continuous, DataSource
        >>> rows = DataSource({"age": [31, 62, 45] * 9, "dose": [0.5, 1.25, 0.75] * 9, "sex": ["f", "m", "f"] * 9})
        >>> print(infer_variables(rows, age=Continuous(low=0)))
        age   Continuous(low=0)     declared
        dose  Continuous()          numbers with fractions, from 0.5 to 1.25
        sex   Discrete(['f', 'm'])  2 different words
    """
    from causalplug.data.source import as_data_sources

    seen: dict[str, _Column] = {}
    for source in as_data_sources(sources):
        for name in source.names:
            seen.setdefault(name, _Column())
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


@dataclass
class _Column:
    """What was seen of one column so far."""

    rows: int = 0
    missing: int = 0
    kinds: set[str] = field(default_factory=set)
    values: dict[Hashable, None] = field(default_factory=dict)  # in the order of their first row
    named: tuple[str, ...] = ()
    shapes: set[tuple[int, ...]] = field(default_factory=set)
    low: float = math.inf
    high: float = -math.inf

    def add(self, values: Any) -> None:
        """Look at some more rows."""
        self.rows += len(values)
        if isinstance(values, ClassCodes):
            self.kinds.add("classes")
            self.named = tuple(values.names)
            return
        if hasattr(values, "detach"):
            values = values.detach().cpu().numpy()
        if isinstance(values, list | tuple) and len(values) and is_picture(values[0]):
            self.kinds.add("pictures")
            self.shapes |= {picture_size(item) for item in values}
            return
        array = values if isinstance(values, np.ndarray) else _array(values)
        if array.ndim > 1:
            self.kinds.add("pixels of bytes" if array.dtype == np.uint8 else "pixels")
            self.shapes.add(array.shape[1:])
            if array.dtype.kind == "f":
                self._range(array)
            return
        self._scalars(array)

    def _scalars(self, array: np.ndarray) -> None:
        if array.dtype.kind == "O":
            known = np.array([item is not None and item == item for item in array], bool)
            self.missing += int((~known).sum())
            array = array[known]
            found = {_kind(item) for item in array}
            self.kinds |= found
            if len(array) and found <= {"int", "float"}:
                self._range(array.astype(float))
        elif len(array):
            self.kinds.add({"b": "bool", "i": "int", "u": "int", "f": "float", "U": "word", "S": "word"}.get(
                array.dtype.kind, "date" if array.dtype.kind in "mM" else str(array.dtype)
            ))  # fmt: skip
        if array.dtype.kind == "f":
            known = ~np.isnan(array)
            self.missing += int((~known).sum())
            array = array[known]
        if array.dtype.kind in "iuf" and len(array):
            self._range(array)
        if len(self.values) <= 10 * _WORDS:
            self.values |= dict.fromkeys(
                np.unique(array).tolist() if array.dtype.kind != "O" else array.tolist()
            )

    def _range(self, array: np.ndarray) -> None:
        self.low, self.high = min(self.low, float(array.min())), max(self.high, float(array.max()))

    def judge(self) -> tuple[Variable | None, str]:
        """The declaration and the reason for it, or None and the reason against any."""
        if self.missing:
            return (
                None,
                f"{self.missing} of {self.rows} values are missing, and the model has no notion of that",
            )
        if len(self.kinds) != 1 and self.kinds != {"int", "float"}:
            return (
                None,
                f"it mixes {', '.join(sorted(self.kinds))}" if self.kinds else "it has no rows",
            )
        kind = "float" if "float" in self.kinds else next(iter(self.kinds))
        if kind == "classes":
            return Discrete(self.named), f"a class label with {len(self.named)} names"
        if kind.startswith(("picture", "pixel")):
            return self._image(kind)
        if kind == "bool":
            return Discrete([False, True]), "yes or no"
        if kind not in ("int", "float", "word"):
            return None, f"it holds values of kind {kind}, which is neither a category nor a number"
        count = len(self.values)
        if count < 2:
            return (
                None,
                f"it is constant ({next(iter(self.values))!r}): which other values could there be?",
            )
        if kind == "word":
            return self._words(count)
        whole = all(float(value).is_integer() for value in self.values)  # type: ignore[arg-type]
        if not whole:
            return Continuous(), f"numbers with fractions, from {self.low:g} to {self.high:g}"
        if count > _FEW or self.rows < _OFTEN * count:
            return None, (
                f"whole numbers with {'more than ' * (count > 10 * _WORDS)}{count} different "
                f"values in {self.rows} rows, from {self.low:g} to {self.high:g}: a quantity "
                "(Continuous) or codes (Discrete)?"
            )
        categories = sorted(int(value) for value in self.values)  # type: ignore[call-overload]
        plain = categories == list(range(count))
        return Discrete(count if plain else categories), f"{count} different whole numbers" + (
            "" if plain else f" from {self.low:g} to {self.high:g}"
        )

    def _words(self, count: int) -> tuple[Variable | None, str]:
        if count > _WORDS or self.rows < _OFTEN * count:
            return (
                None,
                f"{count} different words in {self.rows} rows: an identifier, or too rare to be learned",
            )
        return Discrete(sorted(map(str, self.values))), f"{count} different words"

    def _image(self, kind: str) -> tuple[Variable | None, str]:
        if len(self.shapes) > 1:
            return (
                None,
                f"images of {len(self.shapes)} sizes, {sorted(self.shapes)[0]} and {sorted(self.shapes)[-1]}",
            )
        shape = next(iter(self.shapes))
        if len(shape) != 3 or shape[0] not in (1, 2, 3, 4):
            return None, f"arrays of shape {shape}: images are (channels, height, width)"
        if kind != "pixels":
            return Image(
                *shape
            ), f"images of {shape[0]} x {shape[1]} x {shape[2]} (channels x height x width)"
        if self.low >= 0 and self.high <= 1:
            return Image(*shape), "images of floats from 0 to 1"
        if self.low >= -1 and self.high <= 1:
            return Image(*shape, low=-1.0, high=1.0), "images of floats from -1 to 1"
        return (
            None,
            f"images with values from {self.low:g} to {self.high:g}: which range is meant? Image(…, low=, high=)",
        )


def _array(values: Sequence[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


def _kind(item: Any) -> str:
    if isinstance(item, bool | np.bool_):
        return "bool"
    if isinstance(item, int | np.integer):
        return "int"
    if isinstance(item, float | np.floating):
        return "float"
    if isinstance(item, datetime.date):
        return "date"
    return "word" if isinstance(item, str) else type(item).__name__


def _short(variable: Variable) -> str:
    if isinstance(variable, Discrete):
        return f"Discrete({variable.size if variable.plain else list(variable.categories)})"
    if isinstance(variable, Continuous):
        bounds = [
            f"{k}={v:g}"
            for k, v in (("low", variable.low), ("high", variable.high))
            if math.isfinite(v)
        ]
        return f"Continuous({', '.join(bounds)})"
    return f"Image{variable.event_shape}"
