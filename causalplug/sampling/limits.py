"""When a search for rows gives up."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import NoReturn

from causalplug.errors import SamplingError

__all__ = ["CHECK", "FIRST", "Limits"]

CHECK = 20  # candidates that have to agree, on average, before a search gives up
FIRST = 256  # candidates of a row at first; a multiple of 8


@dataclass(frozen=True)
class Limits:
    """When a search for rows gives up.

    Attributes:
        min_acceptance: Share of the candidates that has to agree.
        deadline: Time of :func:`time.monotonic` at which it ends, or None.
    """

    min_acceptance: float = 1e-4
    deadline: float | None = None

    def check_time(self, reached: str) -> None:
        """Raise when the time is over; ``reached`` says what there is by now."""
        if self.is_over:
            self.give_up(reached)

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def give_up(self, reached: str) -> NoReturn:
        """Raise: the time is over."""
        raise SamplingError(
            f"What is given was not met within time_limit=: {reached}. Give fewer values, ask "
            "for fewer rows, or allow more time."
        )

    @property
    def most(self) -> int:
        """Candidates of one row, at most."""
        return max(FIRST, math.ceil(CHECK / 2 / self.min_acceptance))
