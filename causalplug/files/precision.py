"""In which precision the weights of a module are kept: as its file has them, or as the user
asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from causalplug.errors import MechanismError
from causalplug.selection import within

__all__ = ["cast", "precision_of", "precision_of_file"]

_KNOWN = ("float32", "bfloat16", "float16", "float64")


def precision_of(module: nn.Module) -> str | None:
    """The type of the module's floating-point weights, as ``"float32"``; None if it has none, or
    several."""
    return _only(
        str(tensor.dtype).removeprefix("torch.") for tensor in module.state_dict().values()
    )


def precision_of_file(header: Mapping[str, tuple[object, str]]) -> str | None:
    """The type of the floating-point weights of a file, from its header; None if it has none, or
    several."""
    return _only(dtype for _, dtype in header.values())


def cast(module: nn.Module, dtype: str | torch.dtype, *, keep: tuple[str, ...] = ()) -> None:
    """Convert floating-point weights in place.

    Args:
        module: Whose weights.
        dtype: ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"float64"``, or torch's own.
        keep: Beginnings of the names of weights that stay as they are. Locations and scales that
            are kept in float64 stay so, too: without their digits large offsets would be lost.

    Raises:
        MechanismError: Another type.
    """
    name = str(dtype).removeprefix("torch.")
    if name not in _KNOWN:
        raise MechanismError(
            f"The weights of {type(module).__name__} cannot be kept as {dtype!r}: give one of "
            f"{', '.join(_KNOWN)}."
        )
    tensors = [*module.named_parameters(), *module.named_buffers()]
    all_wide = all(tensor.dtype == torch.float64 for _, tensor in tensors)
    for key, tensor in tensors:
        offset = tensor.dtype == torch.float64 and key.rpartition(".")[2] in ("loc", "scale")
        stays = key.startswith(keep) or (offset and not all_wide)
        if tensor.is_floating_point() and not stays:
            tensor.data = tensor.data.to(getattr(torch, name))


def _only(types: Any) -> str | None:
    found = set(within(types, _KNOWN))
    if len(found) == 2:  # offsets of large numbers are float64 beside weights of any precision
        found.discard("float64")
    if len(found) == 1:
        return found.pop()
    return None
