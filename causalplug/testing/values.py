"""Values, noise and comparisons that the suites share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from causalplug.errors import CausalPlugError
from causalplug.mechanisms.base import Mechanism
from causalplug.noise import Noise
from causalplug.variables import Variable

__all__ = ["difference", "example_values", "noise_of", "refusal", "rows_of"]


def example_values(variable: Variable, n: int, seed: int = 0) -> Tensor:
    """Encoded values ``(n, *event_shape)`` of a variable; discrete ones go round in turn."""
    generator = torch.Generator().manual_seed(seed)
    size = variable.cardinality
    if size is not None:
        return (torch.arange(n) + seed) % size
    if variable.is_image:
        low, high = variable.low, variable.high
        return low + (high - low) * torch.rand(n, *variable.event_shape, generator=generator)
    if variable.is_countable:
        return torch.randint(0, 20, (n,), generator=generator).float()
    if not variable.needs_encoder:
        return torch.randn(n, *variable.event_shape, generator=generator)
    texts = ["one", "two words", "three small words"]
    return variable.encode([texts[(row + seed) % 3] for row in range(n)])


def noise_of(mechanism: Mechanism, n: int, seed: int = 0) -> dict[str, Tensor]:
    """Own noise of a mechanism for ``n`` rows."""
    noise = Noise(n, seed)
    return {key: noise.draw(key, spec) for key, spec in mechanism.noise.items()}


def rows_of(values: Mapping[str, Tensor], index: Tensor | slice) -> dict[str, Tensor]:
    """Some rows of every column."""
    return {name: value[index] for name, value in values.items()}


def difference(variable: Variable, a: Tensor, b: Tensor) -> float:
    """Largest difference of two stacks of values: in units of the range of an image, the share
    of rows that differ of a discrete variable, and in units of their size otherwise."""
    if variable.is_countable:
        return float((a != b).double().mean())
    scale = float(a.abs().max().clamp_min(1.0))
    if variable.is_image:
        scale = variable.high - variable.low
    return float((a - b).abs().max()) / scale


def refusal(action: Callable[[], object]) -> str | None:
    """The message by which an action was refused, None if it was not."""
    try:
        action()
    except CausalPlugError as error:
        return str(error)
    return None
