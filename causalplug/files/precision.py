"""In which precision the weights of a module are kept: as its file has them, or as the user
asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn

from causalplug.errors import MechanismError
from causalplug.selection import within, without

__all__ = ["Exact", "cast", "placed", "precision_of", "precision_of_file"]

_M = TypeVar("_M", bound=nn.Module)
_KNOWN = ("float32", "bfloat16", "float16", "float64")


class Exact:
    """A module some of whose tensors keep their digits when its weights are rounded.

    Attributes:
        exact: Names of buffers and layers. Locations and scales are such: 1003 would be 1004 in
            bfloat16, which may be more than a standard deviation away.
    """

    exact: ClassVar[tuple[str, ...]] = ()


def precision_of(module: nn.Module) -> str | None:
    """The type of the module's floating-point weights, as ``"float32"``; None if it has none, or
    several."""
    tensors = module.state_dict()
    weights = without(tensors, _exact_names(module))
    return _only(str(tensors[name].dtype).removeprefix("torch.") for name in weights)


def precision_of_file(header: Mapping[str, tuple[object, str]], module: nn.Module) -> str | None:
    """The type of the floating-point weights of a file, from its header; None if it has none, or
    several.

    Args:
        header: Shape and type of every tensor of the file.
        module: What the file is for: its exact tensors do not count.
    """
    weights = without(header, _exact_names(module)) or list(header)
    return _only(header[name][1] for name in weights)


def _exact_names(module: nn.Module) -> set[str]:
    """Names of the tensors that :func:`cast` leaves as they are."""
    found = set()
    for place, part in module.named_modules():
        kept: tuple[str, ...] = part.exact if isinstance(part, Exact) else ()
        for name in part.state_dict() if kept else ():
            if name.partition(".")[0] in kept:
                found.add(f"{place}.{name}".lstrip("."))
    return found


def cast(module: nn.Module, dtype: str | torch.dtype, *, keep: tuple[str, ...] = ()) -> None:
    """Convert floating-point weights in place; tensors of :class:`Exact` modules stay as they are,
    unless everything is float64.

    Args:
        module: Whose weights.
        dtype: ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"float64"``, or torch's own.
        keep: Beginnings of the names of weights that stay as they are.

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
    exact = _exact_names(module)
    if all(tensor.dtype == torch.float64 for _, tensor in tensors):
        exact = set()
    for key, tensor in tensors:
        if tensor.is_floating_point() and key not in exact and not key.startswith(keep):
            tensor.data = tensor.data.to(getattr(torch, name))


def placed(module: _M, dtype: str | torch.dtype | None, device: Any) -> _M:
    """A module in the precision and on the device that are asked for; None keeps its own.

    Raises:
        MechanismError: A precision that :func:`cast` does not know.
    """
    if dtype is not None:
        cast(module, dtype)
    if device is not None:
        module = module.to(device)
    return module


def _only(types: Any) -> str | None:
    found = set(within(types, _KNOWN))
    if len(found) == 2:  # offsets of large numbers are float64 beside weights of any precision
        found.discard("float64")
    if len(found) == 1:
        return found.pop()
    return None
