"""Names for values by name, where nothing narrower can be said of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Json", "JsonValue", "Named", "Value"]

Value = Any
"""A value of a variable or a setting as users give and read it: the name of a category, a number,
an image, a text, or one for each row."""

JsonValue = Any
"""A value of JSON: an object, a list, a text, a number, a truth value or null."""

Json = dict[str, Any]
"""An object of JSON values, as configurations, reports and records hold it."""

Named = Mapping[str, Any]
"""Values by name: of variables, columns, arguments or settings."""
