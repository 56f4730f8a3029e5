"""Reading the weights of a legacy Keras HDF5 file in the order of its layers, without Keras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from causalplug.errors import MissingDependencyError, RepositoryError

__all__ = ["KerasLayer", "kernel_from_keras", "read_keras_layers"]


@dataclass(frozen=True)
class KerasLayer:
    """One layer with weights.

    Attributes:
        name: as in the file; it carries a counter that depends on what was built before.
        names: the last part of each weight's name, such as ``"kernel"``.
        weights: the arrays in the file's order.
    """

    name: str
    names: tuple[str, ...]
    weights: tuple[Tensor, ...]

    @property
    def kind(self) -> str:
        """``"conv"``, ``"dense"``, ``"embedding"`` or ``"norm"``, told by the names and shapes
        of the weights."""
        if set(self.names) >= {"gamma", "beta", "moving_mean", "moving_variance"}:
            return "norm"
        if "embeddings" in self.names:
            return "embedding"
        return "conv" if self.weights[0].ndim == 4 else "dense"

    def weight(self, name: str) -> Tensor:
        """One weight by the last part of its name."""
        return self.weights[self.names.index(name)]


def read_keras_layers(path: str | PathLike[str]) -> list[KerasLayer]:
    """The layers with weights of a weights file or a full model, in the order in which they were
    built.

    Raises:
        MissingDependencyError: h5py is not installed.
        RepositoryError: the file is no HDF5 file of Keras, or lacks a weight that it announces.
    """
    try:
        import h5py
    except ImportError:
        raise MissingDependencyError(
            "Keras weights cannot be read: h5py is not installed. Run: pip install 'causalplug[keras]'"
        ) from None
    layers = []
    try:
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            for layer in _texts(group.attrs["layer_names"]):
                names = _texts(group[layer].attrs["weight_names"])
                if names:
                    arrays = tuple(torch.from_numpy(group[layer][name][()]) for name in names)
                    short = tuple(name.rpartition("/")[2].partition(":")[0] for name in names)
                    layers.append(KerasLayer(layer, short, arrays))
    except (OSError, KeyError, AttributeError, TypeError) as error:
        raise RepositoryError(
            f"cannot read {path}: it is not an HDF5 file as Keras writes weights ({error}). Save it in Keras with "
            'model.save_weights("weights.hdf5")'
        ) from None
    return layers


def kernel_from_keras(kernel: Tensor) -> Tensor:
    """A dense kernel ``(in, out)`` or a transposed convolution's ``(height, width, out, in)`` in
    PyTorch's order."""
    return (kernel.T if kernel.ndim == 2 else kernel.permute(3, 2, 0, 1)).contiguous()


def _texts(values: Sequence[Any]) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
