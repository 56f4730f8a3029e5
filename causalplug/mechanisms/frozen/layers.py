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


_NO_STYLES: Mapping[str, Tensor] = {}


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


class _Permute(nn.Module):
    """Axes of a row in another order."""

    def __init__(self, axes: Sequence[int]):
        super().__init__()
        self.axes = (0, *(axis + 1 for axis in axes))

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.axes)


class _Residual(nn.Module):
    """The sum of a branch and a shortcut, each a list of layers; an empty shortcut is the input
    itself.

    Args:
        owner: Gets the layers' modules.
        layers: The branch.
        shortcut: What the input goes through beside it.
        scale: Factor of the branch.
    """

    def __init__(
        self,
        owner: nn.Module,
        layers: Sequence[Named],
        shortcut: Sequence[Named] = (),
        scale: float = 1.0,
    ):
        super().__init__()
        self.branch = LayerList(layers, owner)
        self.shortcut = LayerList(shortcut, owner)
        self.scale = scale

    def styled(self, x: Tensor, styles: Mapping[str, Tensor]) -> Tensor:
        return self.shortcut(x, styles) + self.scale * self.branch(x, styles)


class _Attention(nn.Module):
    """Self-attention over pixels, added to the input with a learned weight (SAGAN, Zhang et al.
    2019).

    Args:
        owner: Gets the convolutions and the weight.
        channels: Channels of the input.
        query: Channels of queries and keys; an eighth of the input's by default.
        value: Channels of the values, which a last convolution brings back to those of the input;
            without it, there is no last convolution.
        pool: Side of the windows whose largest key and value count; 1 for all.
        names: The tensors' names of ``"query"``, ``"key"``, ``"value"``, ``"out"`` and
            ``"gamma"`` in the weights file; by default these words.
        bias: Whether the convolutions have biases.
    """

    def __init__(
        self,
        owner: nn.Module,
        channels: int,
        query: int | None = None,
        value: int | None = None,
        pool: int = 1,
        names: Named | None = None,
        bias: bool = True,
    ):
        super().__init__()
        widths = {"query": query or max(1, channels // 8), "value": value or channels}
        widths["key"] = widths["query"]
        parts = {key: nn.Conv2d(channels, width, 1, bias=bias) for key, width in widths.items()}
        if value is not None:
            parts["out"] = nn.Conv2d(value, channels, 1, bias=bias)
        given = dict(names or {})
        for key, part in parts.items():
            place(owner, given.get(key, key), part)
        path, _, last = given.get("gamma", "gamma").rpartition(".")
        holder = owner
        if path:
            holder = _descendant(owner, path)
        self.gamma = nn.Parameter(torch.zeros(1))
        holder.register_parameter(last, self.gamma)
        self.parts = nn.ModuleDict(parts)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        query = self.parts["query"](x).flatten(2)
        key, value = self.parts["key"](x), self.parts["value"](x)
        if self.pool > 1:
            key = nn.functional.max_pool2d(key, self.pool)
            value = nn.functional.max_pool2d(value, self.pool)
        weights = torch.softmax(query.transpose(1, 2) @ key.flatten(2), -1)
        read = (value.flatten(2) @ weights.transpose(1, 2)).reshape(len(x), -1, *x.shape[2:])
        if "out" in self.parts:
            read = self.parts["out"](read)
        return x + self.gamma * read


class _ConditionalNorm(nn.Module):
    """A normalisation whose scale and shift are read off a style: conditional batch normalisation
    (de Vries et al. 2017; Brock et al. 2019), adaptive instance normalisation (Huang & Belongie
    2017; Karras et al. 2019), or, with ``"identity"`` as its normalisation, FiLM.

    ``norm(x) * (offset + scale(style)) + shift(style)``, channel by channel.

    Args:
        owner: Gets the layers' modules.
        style: Name of the style.
        norm: The normalisation, one layer without weights of its own or with them.
        scale: What the style goes through to become the scale.
        shift: What it goes through to become the shift; empty for none.
        offset: Scale that an answer of zero stands for.
    """

    def __init__(
        self,
        owner: nn.Module,
        style: str,
        norm: Named,
        scale: Sequence[Named],
        shift: Sequence[Named] = (),
        offset: float = 1.0,
    ):
        super().__init__()
        self.style, self.offset = style, offset
        self.norm = LayerList([norm], owner)
        self.scale, self.shift = LayerList(scale, owner), None
        if shift:
            self.shift = LayerList(shift, owner)

    def styled(self, x: Tensor, styles: Mapping[str, Tensor]) -> Tensor:
        if self.style not in styles:
            raise MechanismError(
                f"A layer reads the style {self.style!r}, which this generator does not have; its "
                f"styles are {', '.join(styles) or 'none'}. Add it to styles."
            )
        read = styles[self.style]
        made = self.norm(x, styles) * _spread(self.offset + self.scale(read), x)
        if self.shift is None:
            return made
        return made + _spread(self.shift(read), x)


def _spread(rows: Tensor, over: Tensor) -> Tensor:
    """Numbers of each channel ``(n, channels)``, as they meet feature maps."""
    return rows.reshape(*rows.shape[:2], *[1] * (over.ndim - 2))


class _Narrow(nn.Module):
    """Consecutive features of a row, such as a part of the latent."""

    def __init__(self, start: int, length: int):
        super().__init__()
        self.start, self.length = start, length

    def forward(self, x: Tensor) -> Tensor:
        return x.narrow(1, self.start, self.length)


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
    "max_pool2d": nn.MaxPool2d,
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "identity": nn.Identity,
    "dropout": nn.Dropout,
    "dropout2d": nn.Dropout2d,
    "permute": _Permute,
    "reflection_pad2d": nn.ReflectionPad2d,
    "zero_pad2d": nn.ZeroPad2d,
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
    "unflatten": nn.Unflatten,
    "view": _View,
    "crop": _Crop,
    "pixel_norm": _PixelNorm,
    "affine": _Affine,
    "narrow": _Narrow,
}
"""Type of layer to its class; the other keys of a layer's configuration are the class's
arguments."""


_COMPOSITES: Mapping[str, Callable[..., nn.Module]] = {
    "residual": _Residual,
    "attention": _Attention,
    "conditional_norm": _ConditionalNorm,
}
"""Types of layers that place several modules themselves."""


class LayerList:
    """Layers in order of use.

    The modules live in ``owner`` under the names of their tensors, so that ``owner.state_dict()``
    has the names of the weights file; this object holds the order alone.

    Args:
        config: ``[{"type": "linear", "name": "net.0", "in_features": 110, "out_features": 256},
            …]``; a layer without tensors needs no name. ``{"type": …, "name": …}`` with a name that
            is in use shares that layer.
        owner: Gets the modules as children.

    Raises:
        MechanismError: An unknown type, wrong arguments, or a layer with tensors but without a
            name.
    """

    def __init__(self, config: Sequence[Named], owner: nn.Module):
        self.modules = [self._build(number, item, owner) for number, item in enumerate(config)]

    @staticmethod
    def _build(number: int, item: Named, owner: nn.Module) -> nn.Module:
        arguments = dict(item)
        kind, name = arguments.pop("type", None), arguments.pop("name", None)
        if kind in _COMPOSITES:
            return _composite(number, kind, arguments, owner)
        known = [*LAYERS, *_COMPOSITES]
        if kind not in LAYERS:
            near = difflib.get_close_matches(str(kind), known, n=1)
            hint = ""
            if near:
                hint = f"Did you mean {near[0]!r}? "
            raise MechanismError(
                f"Layer {number} cannot be built: its type {kind!r} is not known. {hint}Known: "
                f"{', '.join(known)}."
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
        return module.eval()  # dropout is not among the owner's modules

    def __call__(self, x: Tensor, styles: Mapping[str, Tensor] = _NO_STYLES) -> Tensor:
        """What the layers make of ``x``.

        Args:
            x: Their input.
            styles: What conditional normalisations read, by name.
        """
        for module in self.modules:
            if isinstance(module, _ConditionalNorm | _Residual):
                x = module.styled(x, styles)
            else:
                x = module(x)
        return x


def _composite(number: int, kind: str, arguments: Named, owner: nn.Module) -> nn.Module:
    """A layer of layers.

    Raises:
        MechanismError: Arguments that it does not have.
    """
    try:
        return _COMPOSITES[kind](owner, **arguments)
    except TypeError as error:
        raise MechanismError(
            f"Layer {number} ({kind}) cannot be built: {error}. Correct its arguments "
            f"{dict(arguments)}."
        ) from None


def place(owner: nn.Module, name: str, module: nn.Module) -> None:
    """Make ``module`` a descendant of ``owner`` under a dotted name.

    Raises:
        MechanismError: The name is taken or cannot be used.
    """
    path, _, last = name.rpartition(".")
    if path:
        owner = _descendant(owner, path)
    _add(owner, last, module, name)


def _descendant(owner: nn.Module, path: str) -> nn.Module:
    """The module under a dotted name, made where there is none."""
    for part in path.split("."):
        if part not in owner._modules:
            _add(owner, part, nn.Module(), path)
        owner = owner._modules[part]  # type: ignore[assignment]
    return owner


def _add(owner: nn.Module, part: str, module: nn.Module, name: str) -> None:
    try:
        if part in owner._modules:
            raise KeyError(f"{part!r} is taken")
        owner.add_module(part, module)
    except KeyError as error:
        raise MechanismError(
            f"A layer cannot be named {name!r}: {error.args[0]}. Choose another name."
        ) from None
