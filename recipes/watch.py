"""Curves of a training: what a model says at every validation, not only at the end."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import GeneralTracker, on_main_process

__all__ = ["Watch"]


class Watch(GeneralTracker):
    """A tracker that measures at every validation and keeps what it found.

    The model is measured with the current weights; what a training validates and keeps is
    their moving average, so that the last points of a curve are noisier than the kept model.

    Args:
        measure: Function without arguments that gives numbers by name.

    Attributes:
        points: ``{"step", "seconds", …}`` of every validation: CPU seconds since the watch was
            made, without what measuring took, the trainer's own distance as ``"held-out"``, and the
            measured numbers.
    """

    name = "watch"
    requires_logging_directory = False

    @on_main_process
    def __init__(self, measure: Callable[[], Mapping[str, float]]):
        super().__init__()
        self.measure = measure
        self.points: list[dict[str, float]] = []
        self.measuring = 0.0
        self._start = time.process_time()

    @property
    def tracker(self) -> Any:
        """The points, as accelerate asks for them."""
        return self.points

    @on_main_process
    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """The clock starts where training does."""
        self._start, self.measuring = time.process_time(), 0.0

    @on_main_process
    def log(self, values: dict[str, Any], step: int | None = None, **options: Any) -> None:
        """Measure, if these values are those of a validation."""
        held_out = [value for name, value in values.items() if name.endswith("/tvd")]
        if not held_out:
            return
        now = time.process_time()
        point = {
            "step": float(step or 0),
            "seconds": now - self._start - self.measuring,
            "held-out": float(held_out[0]),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said at the end of the training
            point |= self.measure()
        self.points.append(point)
        self.measuring += time.process_time() - now

    def accelerator(self) -> Accelerator:
        """An accelerator that tells this watch, for a trainer."""
        return Accelerator(log_with=self)
