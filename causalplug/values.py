"""Names for values by name, where nothing narrower can be said of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

__all__ = ["Json", "JsonValue", "Named", "Value", "Word"]

Value = Any
"""A value of a variable or a setting as users give and read it: the name of a category, a number,
an image, a text, or one for each row."""

JsonValue = Any
"""A value of JSON: an object, a list, a text, a number, a truth value or null."""


class Word(str, Enum):
    """One of a few words: text that is compared, printed and written to JSON as it stands."""

    def __str__(self) -> str:
        return str.__str__(self)

    def __repr__(self) -> str:
        return str.__repr__(self)

    def __format__(self, format_spec: str) -> str:
        return str.__format__(self, format_spec)


Json = dict[str, Any]
"""An object of JSON values, as configurations, reports and records hold it."""

Named = Mapping[str, Any]
"""Values by name: of variables, columns, arguments or settings."""
