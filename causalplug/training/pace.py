"""How fast networks are trained by likelihood: optimizer, its rates, and cycles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from causalplug.training.processes import Processes
from causalplug.training.progress import CYCLES

__all__ = ["USUAL", "Pace", "pace_of"]

_WIDEST = 256  # layers beyond which turning costs more than it saves


@dataclass(frozen=True)
class Pace:
    """Settings of an optimizer and the updates of its cycles.

    Attributes:
        rate, betas: First learning rate of a cycle, and decays of the moments.
        cycles: Updates of each cycle.
        turned: Whether Adam works in the eigenbasis of the gradients
            (:class:`~causalplug.training.soap.Soap`).
    """

    rate: float
    betas: tuple[float, float]
    cycles: tuple[int, ...]
    turned: bool = False


USUAL = Pace(1e-2, (0.9, 0.99), CYCLES)
"""Of modules with confounder noise, whose gradients are noisier, and of large networks."""

_SINGLE = Pace(1e-2, (0.9, 0.99), CYCLES[1:])
_TURNED = Pace(2e-2, (0.9, 0.95), (60, 120, 240, 480), turned=True)


def pace_of(parameters: Iterable[nn.Parameter], processes: Processes) -> Pace:
    """The pace of variables without a confounder.

    Turning the basis pays for small networks on a CPU; in half precision and on other devices its
    many small operations do not.
    """
    accelerator = processes.accelerator
    if accelerator.device.type != "cpu" or accelerator.mixed_precision != "no":
        return _SINGLE
    if all(_is_small(parameter) for parameter in parameters):
        return _TURNED
    return _SINGLE


def _is_small(parameter: nn.Parameter) -> bool:
    return parameter.ndim <= 2 and max(parameter.shape, default=1) <= _WIDEST
