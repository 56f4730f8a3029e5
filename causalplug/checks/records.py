"""What a model remembers of its rows: the range of its numbers, and where interventions lack
overlap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from causalplug.errors import RepositoryError
from causalplug.selection import all_of_kind, names_of, without
from causalplug.values import Json, Named

__all__ = ["OverlapRecord", "RangeRecord"]


@dataclass(frozen=True)
class OverlapRecord:
    """Whether the rows supported do(``variable`` = ``value``).

    Attributes:
        variable, value: What is set; a number stands for the numbers near it.
        of: The variables whose conditional distributions lack support; empty where overlap is good.
        share: Share of the rows without support.
        standard_error: Standard error of the share.
        text: The finding as a sentence.
        checked: Whether it was looked at; if not, ``of`` has the variables that it would concern,
            and ``text`` says why.
    """

    variable: str
    value: str | int | float | bool
    of: tuple[str, ...] = ()
    share: float = 0.0
    standard_error: float = 0.0
    text: str = ""
    checked: bool = True

    def to_dict(self) -> Json:
        """The record as JSON values."""
        found: Json = {
            "variable": self.variable,
            "value": self.value,
            "of": list(self.of),
            "share": round(self.share, 6),
            "standard_error": round(self.standard_error, 6),
            "text": self.text,
        }
        if not self.checked:
            found["checked"] = False
        return found

    @classmethod
    def from_dict(cls, data: Named) -> OverlapRecord:
        """The inverse of :meth:`to_dict`.

        Raises:
            RepositoryError: Keys are missing, unknown or of a wrong type.
        """
        if not isinstance(data, Mapping) or not _is_overlap(data):
            raise RepositoryError(
                "The history of the model holds a record of overlap that is none."
            )
        if not isinstance(data.get("value"), str | int | float):
            raise RepositoryError("The history of the model holds a record of overlap of no value.")
        return cls(**{**data, "of": tuple(data["of"])})


@dataclass(frozen=True)
class RangeRecord:
    """The numbers that a variable took in the rows.

    Attributes:
        low, high: Smallest and largest number.
        inner_low, inner_high: The numbers beyond which only a few rows lie.
    """

    low: float
    high: float
    inner_low: float
    inner_high: float

    def to_list(self) -> list[float]:
        """The record as JSON values."""
        return [self.low, self.inner_low, self.inner_high, self.high]

    @classmethod
    def from_list(cls, data: object) -> RangeRecord:
        """The inverse of :meth:`to_list`.

        Raises:
            RepositoryError: These are not four numbers.
        """
        if not isinstance(data, list) or len(data) != 4 or not _are_numbers(data):
            raise RepositoryError(
                "The history of the model holds a range that is not four numbers."
            )
        return cls(data[0], data[3], data[1], data[2])


def _is_overlap(data: Named) -> bool:
    """Whether these are the fields of a record of overlap, whatever its value."""
    if without(data, names_of(fields(OverlapRecord))) or not isinstance(data.get("of"), list):
        return False
    words = [data.get("variable"), data.get("text"), *data["of"]]
    numbers = [data.get("share"), data.get("standard_error")]
    checked = isinstance(data.get("checked", True), bool)
    return checked and all_of_kind(words, str) and _are_numbers(numbers)


def _are_numbers(values: list[object]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
