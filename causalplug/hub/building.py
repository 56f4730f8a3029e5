"""Building what a configuration describes before its weights are read: at little cost, and never at
a great one.

A configuration is somebody else's text. It may ask for networks larger than the computer, which
must be refused before the memory is taken. What it asks for rightly is filled from a file, so that
random initial values would be wasted.
"""

from __future__ import annotations

__all__ = ["building"]

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from causalplug.errors import RepositoryError
from causalplug.selection import drop

_FACTORIES = {
    torch.arange,
    torch.empty,
    torch.eye,
    torch.full,
    torch.linspace,
    torch.ones,
    torch.rand,
    torch.randn,
    torch.zeros,
}
_SLACK_BYTES, _SLACK_TENSORS = 256 << 20, 10_000


class _Building(TorchFunctionMode):
    def __init__(self, most_bytes: int, most_tensors: int, where: str):
        super().__init__()
        self.bytes, self.tensors, self.where = most_bytes, most_tensors, where

    def __torch_function__(
        self, func: Any, types: object, args: Any = (), kwargs: Any = None
    ) -> object:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            if args:
                return args[0]
            return kwargs["tensor"]
        if func in _FACTORIES:
            shape_only = drop(kwargs, ("generator",))
            planned = func(*args, **shape_only | {"device": "meta"})
            self.bytes -= planned.numel() * planned.element_size()
            self.tensors -= 1
            if self.bytes < 0 or self.tensors < 0:
                raise RepositoryError(
                    f"cannot use {self.where}: it describes networks far larger than its weights, "
                    f"such as a tensor of shape {list(planned.shape)}. Save the model again, or do "
                    "not load it"
                )
        return func(*args, **kwargs)


@contextlib.contextmanager
def building(where: str, *, size: int, tensors: int) -> Iterator[None]:
    """Inside, modules are built without initial values, and no larger than their file of weights
    allows.

    Every parameter has to be filled from the file afterwards.

    Args:
        where: The configuration, for messages.
        size: Bytes of the file of weights.
        tensors: Number of tensors in it.

    Raises:
        RepositoryError: The configuration describes something much larger than that.
    """
    with _Building(4 * size + _SLACK_BYTES, 20 * tensors + _SLACK_TENSORS, where):
        yield
