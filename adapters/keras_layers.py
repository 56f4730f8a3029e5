"""The layers of Keras that generators are made of, as modules of torch in evaluation mode.

Values keep Keras' order of axes, ``(rows, height, width, channels)``; only convolutions and
upsampling move the channels for the time that they take.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from causalplug.adapters.keras_weights import kernel_from_keras
from causalplug.errors import RepositoryError
from causalplug.values import Named

__all__ = ["KERAS_LAYERS", "Layer", "activation_of"]

_Function = Callable[[Tensor], Tensor]

_ACTIVATIONS: Mapping[str, _Function] = {
    "linear": lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "swish": F.silu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "softmax": lambda x: torch.softmax(x, -1),
    "exponential": torch.exp,
}


def activation_of(name: object) -> _Function:
    """An activation by its name; None is the linear one.

    Raises:
        RepositoryError: One that is not known.
    """
    found = _ACTIVATIONS.get(str(name or "linear"))
    if found is None or isinstance(name, Mapping):
        raise RepositoryError(
            f"its activation {name!r} is not known. Known are {', '.join(_ACTIVATIONS)}"
        )
    return found


class Layer(nn.Module):
    """A layer of Keras.

    Args:
        config: Its configuration in the file.

    Attributes:
        weights: Names of its weights, in the order in which Keras keeps them.
        ends: The activation that it ends in.
        moves_values: Whether it gives the values that it reads, elsewhere.

    Raises:
        RepositoryError: A setting that is not understood.
    """

    weights: tuple[str, ...] = ()
    moves_values = False

    def __init__(self, config: Named):
        super().__init__()
        self.activation = activation_of(config.get("activation"))
        self.ends = str(config.get("activation") or "linear")
        if config.get("data_format") == "channels_first":
            raise RepositoryError(
                "its layers have channels first. Save the generator with channels last"
            )
        for key in ("lora_rank", "quantization_config", "renorm"):
            if config.get(key):
                raise RepositoryError(
                    f"its layer {config.get('name')!r} has {key}, which is not understood. Save "
                    "the generator without it"
                )

    def take(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the weights by name, whose axes are in Keras' order."""
        for name in self.weights:
            self.register_buffer(name, tensors[name].to(torch.float32).contiguous())

    def known(self, name: str) -> Tensor:
        """A weight that was taken."""
        return self.get_buffer(name)

    def forward(self, *given: Tensor) -> Tensor:
        raise NotImplementedError


class _Plain(Layer):
    """A function of one tensor."""

    def __init__(self, config: Named, function: _Function, *, moves_values: bool = False):
        super().__init__({"activation": config.get("activation")})
        self.function = function
        self.moves_values = moves_values

    def forward(self, *given: Tensor) -> Tensor:
        return self.function(given[0])


class _Merge(Layer):
    """A function of several tensors, one after the other."""

    def __init__(self, config: Named, function: Callable[[Tensor, Tensor], Tensor]):
        super().__init__({})
        self.function = function

    def forward(self, *given: Tensor) -> Tensor:
        found = given[0]
        for other in given[1:]:
            found = self.function(found, other)
        return found


class _Concatenate(Layer):
    def __init__(self, config: Named):
        super().__init__(config)
        self.axis = int(config.get("axis", -1))

    def forward(self, *given: Tensor) -> Tensor:
        return torch.cat(given, self.axis)


class _Average(Layer):
    def forward(self, *given: Tensor) -> Tensor:
        return torch.stack(torch.broadcast_tensors(*given)).mean(0)


class _Dense(Layer):
    """``activation(x @ kernel + bias)`` along the last axis."""

    def __init__(self, config: Named):
        super().__init__(config)
        self.weights = _with_bias(config)

    def forward(self, *given: Tensor) -> Tensor:
        found = given[0] @ self.known("kernel")
        if "bias" in self.weights:
            found = found + self.known("bias")
        return self.activation(found)


class _Embedding(Layer):
    """Rows of a table for codes, or for one-hot rows on the last axis."""

    weights = ("embeddings",)

    def forward(self, *given: Tensor) -> Tensor:
        table = self.known("embeddings")
        if given[0].shape[-1] != len(table):
            raise RepositoryError(
                f"its embedding has {len(table)} rows and is asked for {given[0].shape[-1]} labels"
            )
        return given[0] @ table


class _BatchNorm(Layer):
    statistics: tuple[str, ...] = ("moving_mean", "moving_variance")

    def __init__(self, config: Named):
        super().__init__(config)
        self.axis = _axis(config)
        self.epsilon = float(config.get("epsilon", 1e-3))
        names = []
        if config.get("scale", True):
            names.append("gamma")
        if config.get("center", True):
            names.append("beta")
        self.weights = (*names, *self.statistics)

    def forward(self, *given: Tensor) -> Tensor:
        if self.axis not in (-1, given[0].ndim - 1):
            raise RepositoryError(
                f"it normalises along the axis {self.axis}, which is not the last one: channels "
                "come last"
            )
        mean, variance = self.moments(given[0])
        found = (given[0] - mean) * torch.rsqrt(variance + self.epsilon)
        if "gamma" in self.weights:
            found = found * self.known("gamma")
        if "beta" in self.weights:
            found = found + self.known("beta")
        return found

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance that the values are normalised by."""
        return self.known("moving_mean"), self.known("moving_variance")


class _LayerNorm(_BatchNorm):
    statistics = ()

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.mean(-1, keepdim=True), x.var(-1, correction=0, keepdim=True)


class _Convolving(Layer):
    """A layer whose kernel is kept in torch's order of axes."""

    def take(self, tensors: Mapping[str, Tensor]) -> None:
        super().take({**tensors, "kernel": kernel_from_keras(tensors["kernel"])})


class _Conv(_Convolving):
    """A convolution, padded as Keras does: what is left over goes to the right and below."""

    def __init__(self, config: Named):
        super().__init__(config)
        self.weights = _with_bias(config)
        self.strides = _pair(config.get("strides", 1))
        self.dilation = _pair(config.get("dilation_rate", 1))
        self.groups = int(config.get("groups", 1))
        self.same = _is_same(config)

    def forward(self, *given: Tensor) -> Tensor:
        x = given[0].permute(0, 3, 1, 2)
        kernel = self.known("kernel")
        padding = [0, 0]
        if self.same:
            missing = self._missing(x.shape[2:], kernel.shape[2:])
            padding = [one // 2 for one in missing]
            if missing[0] % 2 or missing[1] % 2:
                x = F.pad(x, (0, missing[1] % 2, 0, missing[0] % 2))
        bias = None
        if "bias" in self.weights:
            bias = self.known("bias")
        found = F.conv2d(x, kernel, bias, self.strides, padding, self.dilation, self.groups)
        return self.activation(found.permute(0, 2, 3, 1))

    def _missing(self, shape: Sequence[int], kernel: Sequence[int]) -> list[int]:
        """How many rows and columns of zeros are added in all."""
        missing = []
        for axis in (0, 1):
            reach = (kernel[axis] - 1) * self.dilation[axis] + 1
            steps = math.ceil(shape[axis] / self.strides[axis]) - 1
            missing.append(max(steps * self.strides[axis] + reach - shape[axis], 0))
        return missing


class _ConvTranspose(_Convolving):
    """The transpose of a convolution with stride, whose output is cut or filled as Keras does."""

    def __init__(self, config: Named):
        super().__init__(config)
        self.weights = _with_bias(config)
        self.strides = _pair(config.get("strides", 1))
        self.same = _is_same(config)
        if config.get("output_padding") is not None or _pair(config.get("dilation_rate", 1)) != (
            1,
            1,
        ):
            raise RepositoryError(
                f"its layer {config.get('name')!r} has output_padding or dilation_rate, which is "
                "not understood of a transposed convolution"
            )

    def forward(self, *given: Tensor) -> Tensor:
        x = given[0].permute(0, 3, 1, 2)
        kernel = self.known("kernel")
        padding = [0, 0]
        if self.same:  # what is too much goes by half above and on the left, then at the end
            padding = [max(kernel.shape[2 + axis] - self.strides[axis], 0) // 2 for axis in (0, 1)]
        within = later = None  # the bias: in the convolution where that reaches every pixel
        if "bias" in self.weights and self._reaches_all(kernel):
            within = self.known("bias")
        elif "bias" in self.weights:
            later = self.known("bias")
        found = F.conv_transpose2d(x, kernel, within, self.strides, padding)
        for axis in (0, 1):
            found = self._sized(found, axis, x.shape[2 + axis], kernel.shape[2 + axis])
        found = found.permute(0, 2, 3, 1)
        if later is not None:
            found = found + later
        return self.activation(found)

    def _reaches_all(self, kernel: Tensor) -> bool:
        """Whether no pixel is out of reach: the kernel is as large as the stride."""
        return all(kernel.shape[2 + axis] >= self.strides[axis] for axis in (0, 1))

    def _sized(self, x: Tensor, axis: int, before: int, kernel: int) -> Tensor:
        """One axis cut at its end to the size that Keras gives it."""
        stride = self.strides[axis]
        size = before * stride + max(kernel - stride, 0)
        if self.same:
            size = before * stride
        missing = size - x.shape[2 + axis]
        if missing > 0:  # a kernel smaller than the stride leaves pixels that nothing reaches
            x = F.pad(x, (0, missing, 0, 0) if axis == 1 else (0, 0, 0, missing))
        return x.narrow(2 + axis, 0, size)


class _PReLU(Layer):
    weights = ("alpha",)

    def forward(self, *given: Tensor) -> Tensor:
        return given[0].clamp_min(0) + self.known("alpha") * given[0].clamp_max(0)


class _Reshape(Layer):
    moves_values = True

    def __init__(self, config: Named):
        super().__init__(config)
        self.shape = tuple(int(size) for size in config["target_shape"])

    def forward(self, *given: Tensor) -> Tensor:
        return given[0].reshape(given[0].shape[0], *self.shape)


class _UpSampling(Layer):
    def __init__(self, config: Named):
        super().__init__(config)
        self.size = _pair(config.get("size", 2))
        self.mode = str(config.get("interpolation", "nearest"))
        if self.mode not in ("nearest", "bilinear"):
            raise RepositoryError(
                f"its layer {config.get('name')!r} interpolates by {self.mode!r}, which is not "
                "understood: nearest and bilinear are"
            )

    def forward(self, *given: Tensor) -> Tensor:
        x = given[0].permute(0, 3, 1, 2)
        size = (x.shape[2] * self.size[0], x.shape[3] * self.size[1])
        return F.interpolate(x, size=size, mode=self.mode).permute(0, 2, 3, 1)


class _Pad(Layer):
    """Zeros around, or with ``sign=-1`` rows and columns cut off."""

    def __init__(self, config: Named, sign: int):
        super().__init__(config)
        edges = config.get("padding" if sign > 0 else "cropping", 1)
        if isinstance(edges, int):
            edges = (edges, edges)
        (top, bottom), (left, right) = (_pair(edge) for edge in edges)
        self.edges = [sign * edge for edge in (0, 0, left, right, top, bottom)]

    def forward(self, *given: Tensor) -> Tensor:
        return F.pad(given[0], self.edges)


class _Pool(Layer):
    def __init__(self, config: Named, function: Callable[..., Tensor]):
        super().__init__(config)
        self.function = function
        self.size = _pair(config.get("pool_size", 2))
        self.strides = _pair(config.get("strides") or self.size)
        if _is_same(config):
            raise RepositoryError(
                f"its layer {config.get('name')!r} pools with padding 'same', which is not "
                "understood"
            )

    def forward(self, *given: Tensor) -> Tensor:
        x = given[0].permute(0, 3, 1, 2)
        return self.function(x, self.size, self.strides).permute(0, 2, 3, 1)


def _with_bias(config: Named) -> tuple[str, ...]:
    if config.get("use_bias", True):
        return ("kernel", "bias")
    return ("kernel",)


def _pair(value: object) -> tuple[int, int]:
    if isinstance(value, Sequence):
        first, second = value
        return int(first), int(second)
    return int(str(value)), int(str(value))


def _is_same(config: Named) -> bool:
    padding = config.get("padding", "valid")
    if padding not in ("same", "valid"):
        raise RepositoryError(f"its layer {config.get('name')!r} has the unknown padding {padding}")
    return bool(padding == "same")


def _axis(config: Named) -> int:
    axis = config.get("axis", -1)
    if isinstance(axis, Sequence):
        (axis,) = axis
    return int(axis)


def _leaky(config: Named) -> Layer:
    slope = config.get("negative_slope", config.get("alpha", 0.3))
    return _Plain(config, lambda x: F.leaky_relu(x, float(slope)))


def _relu(config: Named) -> Layer:
    if config.get("threshold"):
        raise RepositoryError(f"its layer {config.get('name')!r} has a threshold")
    slope, most = float(config.get("negative_slope") or 0.0), config.get("max_value")

    def run(x: Tensor) -> Tensor:
        found = F.leaky_relu(x, slope)
        if most is not None:
            found = found.clamp_max(float(most))
        return found

    return _Plain(config, run)


def _permute(config: Named) -> Layer:
    axes = (0, *(int(axis) for axis in config["dims"]))
    return _Plain(config, lambda x: x.permute(axes), moves_values=True)


def _rescaling(config: Named) -> Layer:
    scale, offset = float(config["scale"]), float(config.get("offset", 0.0))
    return _Plain(config, lambda x: x * scale + offset)


def _identity(config: Named) -> Layer:
    return _Plain(config, lambda x: x, moves_values=True)


def _elu(config: Named) -> Layer:
    return _Plain(config, lambda x: F.elu(x, float(config.get("alpha", 1.0))))


KERAS_LAYERS: Mapping[str, Callable[[Named], Layer]] = {
    "Activation": lambda config: _Plain(config, activation_of(config.get("activation"))),
    "Add": lambda config: _Merge(config, torch.add),
    "AlphaDropout": _identity,
    "Average": _Average,
    "AveragePooling2D": lambda config: _Pool(config, F.avg_pool2d),
    "BatchNormalization": _BatchNorm,
    "Concatenate": _Concatenate,
    "Conv2D": _Conv,
    "Conv2DTranspose": _ConvTranspose,
    "Cropping2D": lambda config: _Pad(config, -1),
    "Dense": _Dense,
    "Dropout": _identity,
    "ELU": _elu,
    "Embedding": _Embedding,
    "Flatten": lambda config: _Plain(config, lambda x: x.flatten(1)),
    "GaussianDropout": _identity,
    "GaussianNoise": _identity,
    "GlobalAveragePooling2D": lambda config: _Plain(config, lambda x: x.mean((1, 2))),
    "LayerNormalization": _LayerNorm,
    "LeakyReLU": _leaky,
    "MaxPooling2D": lambda config: _Pool(config, F.max_pool2d),
    "Maximum": lambda config: _Merge(config, torch.maximum),
    "Minimum": lambda config: _Merge(config, torch.minimum),
    "Multiply": lambda config: _Merge(config, torch.mul),
    "PReLU": _PReLU,
    "Permute": _permute,
    "ReLU": _relu,
    "RepeatVector": lambda config: _Plain(
        config, lambda x: x[:, None].expand(-1, int(config["n"]), -1)
    ),
    "Rescaling": _rescaling,
    "Reshape": _Reshape,
    "Softmax": lambda config: _Plain(config, lambda x: torch.softmax(x, -1)),
    "SpatialDropout2D": _identity,
    "Subtract": lambda config: _Merge(config, torch.sub),
    "UpSampling2D": _UpSampling,
    "ZeroPadding2D": lambda config: _Pad(config, 1),
}
"""Class of a Keras layer to its maker from a configuration."""
