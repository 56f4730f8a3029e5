"""Networks written down as data: a list of layers, each with the name that its tensors have in a
weights file."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from causalplug.errors import MechanismError
from causalplug.values import Named

__all__ = ["LAYERS", "LayerList", "place"]


class _View(nn.Module):
    """Rows in another shape, optionally with axes moved afterwards (for weights of channels-last
    frameworks)."""

    def __init__(self, shape: Sequence[int], permute: Sequence[int] | None = None):
        super().__init__()
        self.shape, self.permute = tuple(shape), None if permute is None else tuple(permute)

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(len(x), *self.shape)
        if self.permute is None:
            return x
        return x.permute(0, *(axis + 1 for axis in self.permute))


class _Crop(nn.Module):
    """Cut ``[top, bottom, left, right]`` pixels off."""

    def __init__(self, edges: Sequence[int]):
        super().__init__()
        self.edges = tuple(edges)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom, left, right = self.edges
        return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


class _PixelNorm(nn.Module):
    """Divide by the root mean square over the channels (Karras et al. 2018)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class _Affine(nn.Module):
    """``scale * x + shift`` with fixed numbers."""

    def __init__(self, scale: float = 1.0, shift: float = 0.0):
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x + self.shift


LAYERS: Mapping[str, Callable[..., nn.Module]] = {
    "linear": nn.Linear,
    "conv2d": nn.Conv2d,
    "conv_transpose2d": nn.ConvTranspose2d,
    "batch_norm1d": nn.BatchNorm1d,
    "batch_norm2d": nn.BatchNorm2d,
    "instance_norm2d": nn.InstanceNorm2d,
    "group_norm": nn.GroupNorm,
    "layer_norm": nn.LayerNorm,
    "embedding": nn.Embedding,
    "upsample": nn.Upsample,
    "pixel_shuffle": nn.PixelShuffle,
    "avg_pool2d": nn.AvgPool2d,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "hardtanh": nn.Hardtanh,
    "flatten": nn.Flatten,
    "view": _View,
    "crop": _Crop,
    "pixel_norm": _PixelNorm,
    "affine": _Affine,
}
"""Type of layer to its class; the other keys of a layer's configuration are the class's
arguments."""


class LayerList:
    """Layers in order of use.

    The modules live in ``owner`` under the names of their tensors, so that ``owner.state_dict()``
    has the names of the weights file; this object holds the order alone.

    Args:
        config: ``[{"type": "linear", "name": "net.0", "in_features": 110, "out_features": 256},
            …]``; a layer without tensors needs no name. ``{"type": …, "name": …}`` with a name that
            is in use shares that layer.
        owner: gets the modules as children.

    Raises:
        MechanismError: an unknown type, wrong arguments, or a layer with tensors but without a
            name.
    """

    def __init__(self, config: Sequence[Named], owner: nn.Module):
        self.modules = [self._build(number, item, owner) for number, item in enumerate(config)]

    @staticmethod
    def _build(number: int, item: Named, owner: nn.Module) -> nn.Module:
        arguments = dict(item)
        kind, name = arguments.pop("type", None), arguments.pop("name", None)
        if kind not in LAYERS:
            near = difflib.get_close_matches(str(kind), LAYERS, n=1)
            hint = ""
            if near:
                hint = f"Did you mean {near[0]!r}? "
            raise MechanismError(
                f"Layer {number} cannot be built: its type {kind!r} is not known. {hint}Known: "
                f"{', '.join(LAYERS)}."
            )
        try:
            module = LAYERS[kind](
                **{key: tuple(v) if isinstance(v, list) else v for key, v in arguments.items()}
            )
        except (TypeError, ValueError) as error:
            raise MechanismError(
                f"Layer {number} ({kind}) cannot be built: {error}. Correct its arguments "
                f"{arguments}."
            ) from None
        if module.state_dict():
            if not name:
                raise MechanismError(
                    f"Layer {number} ({kind}) has tensors but no name: give the prefix that they "
                    "have in the weights file."
                )
            place(owner, name, module)
        return module

    def __call__(self, x: Tensor) -> Tensor:
        for module in self.modules:
            x = module(x)
        return x


def place(owner: nn.Module, name: str, module: nn.Module) -> None:
    """Make ``module`` a descendant of ``owner`` under a dotted name.

    Raises:
        MechanismError: the name is taken or cannot be used.
    """
    *path, last = name.split(".")
    for part in path:
        if part not in owner._modules:
            _add(owner, part, nn.Module(), name)
        owner = owner._modules[part]  # type: ignore[assignment]
    _add(owner, last, module, name)


def _add(owner: nn.Module, part: str, module: nn.Module, name: str) -> None:
    try:
        if part in owner._modules:
            raise KeyError(f"{part!r} is taken")
        owner.add_module(part, module)
    except KeyError as error:
        raise MechanismError(
            f"A layer cannot be named {name!r}: {error.args[0]}. Choose another name."
        ) from None
