"""Reading the weights of a legacy Keras HDF5 file in the order of its layers, without Keras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from causalplug.errors import MissingDependencyError, RepositoryError
from causalplug.files.facts import is_pointer

__all__ = [
    "MOST_COMPRESSED",
    "KerasLayer",
    "array_of",
    "hdf5",
    "keras_path",
    "kernel_from_keras",
    "member_of",
    "read_keras_layers",
    "texts_of",
]

MOST_COMPRESSED = 1032
"""The best ratio of bytes that deflate can reach."""


@dataclass(frozen=True)
class KerasLayer:
    """One layer with weights.

    Attributes:
        name: As in the file; it carries a counter that depends on what was built before.
        names: The last part of each weight's name, such as ``"kernel"``.
        weights: The arrays in the file's order.
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
        if self.weights[0].ndim == 4:
            return "conv"
        return "dense"

    def weight(self, name: str) -> Tensor:
        """One weight by the last part of its name."""
        return self.weights[self.names.index(name)]


def read_keras_layers(path: str | PathLike[str]) -> list[KerasLayer]:
    """The layers with weights of a weights file or a full model, in the order in which they were
    built.

    Raises:
        MissingDependencyError: h5py is not installed.
        RepositoryError: The file is no HDF5 file of Keras, lacks a weight that it announces, or
            has links, numbers in other files, or more numbers than it can hold.
    """
    h5py = hdf5()
    place = keras_path(path)
    try:
        with h5py.File(place, "r") as file:
            return _layers(file, place.stat().st_size)
    except RepositoryError as error:
        raise RepositoryError(f"cannot read {path}: {error}") from None
    except Exception as error:  # a damaged file ends in any of a dozen kinds of exception
        raise RepositoryError(
            f"cannot read {path}: it is not an HDF5 file as Keras writes weights "
            f"({str(error)[:200]}). Save it in Keras with "
            'model.save_weights("weights.hdf5")'
        ) from None


def keras_path(path: str | PathLike[str]) -> Path:
    """The place of a file of Keras, which is there.

    Raises:
        RepositoryError: It is missing, or a pointer of Git LFS.
    """
    place = Path(path)
    if is_pointer(place):
        raise RepositoryError(
            f"cannot read {path}: it is a pointer of Git LFS, not the file itself. Run: git lfs "
            "pull"
        )
    if not place.is_file():
        raise RepositoryError(f"cannot read {path}: there is no such file. Check the path")
    return place


def hdf5() -> Any:
    """The library of HDF5.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise MissingDependencyError(
            "Keras weights cannot be read: h5py is not installed. Run: pip install "
            "'causalplug[keras]'"
        ) from None
    return h5py


def _layers(file: Any, size: int) -> list[KerasLayer]:
    group = file
    if "model_weights" in file:
        group = member_of(file, "model_weights")
    layers = []
    for layer in texts_of(group.attrs["layer_names"]):
        owner = member_of(group, layer)
        names = texts_of(owner.attrs["weight_names"])
        if names:
            arrays = tuple(array_of(member_of(owner, name), name, size) for name in names)
            short = tuple(name.rpartition("/")[2].partition(":")[0] for name in names)
            layers.append(KerasLayer(layer, short, arrays))
    return layers


def member_of(group: Any, path: str) -> Any:
    """What lies at a path inside the file itself: no link that leaves it, and none in a circle.

    Raises:
        RepositoryError: A soft or an external link on the way.
    """
    import h5py

    for part in filter(None, path.split("/")):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise RepositoryError(
                f"{path[:80]!r} is a link, possibly to another file, which is never followed. Save "
                "the weights again"
            )
        group = group[part]
    return group


def array_of(dataset: Any, name: str, size: int) -> Tensor:
    """The numbers of a dataset, which lie in the file itself.

    Args:
        dataset: The dataset.
        name: Its name, for messages.
        size: Bytes of the file.

    Raises:
        RepositoryError: Numbers that lie in other files, or more of them than the file can hold.
    """
    if dataset.is_virtual or dataset.external:
        raise RepositoryError(
            f"the numbers of {name[:80]!r} lie in other files, which are never opened. Save the "
            "weights again"
        )
    if dataset.dtype.kind not in "fiu":
        raise RepositoryError(f"{name[:80]!r} holds {dataset.dtype}, not numbers")
    stored = dataset.id.get_storage_size()
    ratio = 1
    if dataset.compression is not None:
        ratio = MOST_COMPRESSED
    if dataset.nbytes > stored * ratio or stored > size:
        raise RepositoryError(
            f"{name[:80]!r} claims {dataset.nbytes:,} bytes, of which the file holds {stored:,}. "
            "Ask its author for a valid file"
        )
    return torch.from_numpy(dataset[()])


def kernel_from_keras(kernel: Tensor) -> Tensor:
    """A dense kernel ``(in, out)`` or a transposed convolution's ``(height, width, out, in)`` in
    PyTorch's order."""
    return (kernel.T if kernel.ndim == 2 else kernel.permute(3, 2, 0, 1)).contiguous()


def texts_of(values: Sequence[object]) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
