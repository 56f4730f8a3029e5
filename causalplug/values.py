"""Names for values by name, where nothing narrower can be said of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Json", "Named"]

Json = dict[str, Any]
"""An object of JSON values, as configurations, reports and records hold it."""

Named = Mapping[str, Any]
"""Values by name: of variables, columns, arguments or settings."""
