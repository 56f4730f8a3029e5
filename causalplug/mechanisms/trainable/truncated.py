"""Standard normals between two bounds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Truncated"]

_LEAST = 1e-12  # of the probability between the bounds


@dataclass(frozen=True)
class Truncated:
    """A standard normal, given that it lies between two bounds.

    Attributes:
        low, high: The bounds ``(*)``, None for none.
    """

    low: Tensor | None = None
    high: Tensor | None = None

    def _shares(self) -> tuple[Tensor, Tensor]:
        """Probability below the lower bound, and of what lies between the bounds."""
        below, above = torch.zeros(()), torch.zeros(())
        if self.low is not None:
            below = torch.special.ndtr(_wide(self.low))
        if self.high is not None:
            above = torch.special.ndtr(-_wide(self.high))
        return below, (1 - below - above).clamp_min(_LEAST)

    @property
    def log_probability(self) -> Tensor:
        """Log probability ``(*)`` that a standard normal lies between the bounds."""
        return self._shares()[1].log()

    def drawn(self, normal: Tensor) -> Tensor:
        """The value ``(*)`` between the bounds that lies where ``normal`` lies among all."""
        if self.low is None and self.high is None:
            return normal
        below, inside = self._shares()
        share = torch.special.ndtr(_wide(normal))
        return _normal(below + share * inside).to(normal.dtype)

    def undrawn(self, value: Tensor) -> Tensor:
        """Inverse of :meth:`drawn`."""
        if self.low is None and self.high is None:
            return value
        below, inside = self._shares()
        share = (torch.special.ndtr(_wide(value)) - below) / inside
        return _normal(share).to(value.dtype)


def _normal(share: Tensor) -> Tensor:
    least = torch.finfo(share.dtype).eps
    return torch.special.ndtri(share.clamp(least, 1 - least))


def _wide(value: Tensor) -> Tensor:
    """In float64, where the device has it."""
    if value.device.type == "mps":
        return value
    return value.double()
