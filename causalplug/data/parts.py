"""A column of a table that arrives in parts."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Parts"]


class Parts:
    """The parts of a column, written into their place where the number of rows is known.

    Args:
        rows: How many rows there should be; None where that is known only after reading.
    """

    def __init__(self, rows: int | None):
        self._rows, self._end = rows, 0
        self._whole: Tensor | None = None
        self._parts: list[Tensor] = []

    def add(self, part: Tensor) -> None:
        """The next rows."""
        if self._rows is None or len(part) == self._rows:
            self._parts.append(part)
            return
        if self._end + len(part) > self._rows:  # more than were announced
            self._rows = None
            self._parts = [part] if self._whole is None else [self._whole[: self._end], part]
            self._whole = None
            return
        if self._whole is None:
            self._whole = part.new_empty((self._rows, *part.shape[1:]))
        self._whole[self._end : self._end + len(part)] = part
        self._end += len(part)

    def joined(self) -> Tensor:
        """All rows; the parts are let go as they are copied."""
        if self._whole is not None:
            return self._whole[: self._end]
        if len(self._parts) == 1:
            return self._parts.pop()
        return _concatenated(self._parts)


def _concatenated(parts: list[Tensor]) -> Tensor:
    found = torch.empty((sum(map(len, parts)), *parts[0].shape[1:]), dtype=parts[0].dtype)
    end = len(found)
    while parts:
        part = parts.pop()
        found[end - len(part) : end] = part
        end -= len(part)
    return found
