"""Reading a Keras model with its architecture: ``.keras`` archives and full models in HDF5.

Only JSON and arrays of numbers are read; no code of the file runs.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from causalplug.adapters.keras_weights import (
    MOST_COMPRESSED,
    array_of,
    hdf5,
    keras_path,
    member_of,
    texts_of,
)
from causalplug.errors import RepositoryError
from causalplug.values import Json

__all__ = ["KerasFile", "Weights", "open_keras"]

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_LAYERS = ("layers", "_layer_checkpoint_dependencies")


class Weights(Protocol):
    """The weights of a model's layers, found without Keras."""

    def inside(self, place: int) -> Weights:
        """The weights of the model that is the layer at a place."""

    def of(self, place: int, names: Sequence[str]) -> Mapping[str, Tensor]:
        """The weights of the layer at a place, by the names that it has in Keras' order.

        Raises:
            RepositoryError: They are others.
        """


@dataclass(frozen=True)
class KerasFile:
    """A model in a file.

    Attributes:
        config: Its architecture: ``class_name`` and ``config``.
        weights: Its weights.
    """

    config: Json
    weights: Weights


@contextmanager
def open_keras(path: str | PathLike[str]) -> Iterator[KerasFile]:
    """The model in a ``.keras`` archive or an HDF5 file.

    Raises:
        MissingDependencyError: h5py is not installed.
        RepositoryError: The file is missing or damaged, or holds weights without an architecture.
    """
    place = keras_path(path)
    library = hdf5()
    try:
        if zipfile.is_zipfile(place):
            config, content = _archive(place)
            with library.File(io.BytesIO(content), "r") as file:
                yield KerasFile(config, _Archived(file, config, len(content)))
        else:
            with library.File(place, "r") as file:
                config = _legacy_config(file)
                yield KerasFile(config, _Legacy(file, config, place.stat().st_size))
    except RepositoryError as error:
        raise RepositoryError(f"cannot read {path}: {error}") from None
    except Exception as error:  # a damaged file ends in any of a dozen kinds of exception
        raise RepositoryError(
            f"cannot read {path}: it is no model as Keras saves it ({str(error)[:200]}). Save it "
            'in Keras with model.save("generator.keras")'
        ) from None


def _archive(path: Path) -> tuple[Json, bytes]:
    """Configuration and weights of a ``.keras`` file."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        for name in (_CONFIG, _WEIGHTS):
            if name not in names:
                raise RepositoryError(f"the archive has no {name}")
            entry = archive.getinfo(name)
            if entry.file_size > MOST_COMPRESSED * max(entry.compress_size, 1):
                raise RepositoryError(f"{name} claims more bytes than the archive can hold")
        return json.loads(archive.read(_CONFIG)), archive.read(_WEIGHTS)


def _legacy_config(file: Any) -> Json:
    """The architecture in an HDF5 file.

    Raises:
        RepositoryError: The file holds weights alone.
    """
    if "model_config" not in file.attrs:
        raise RepositoryError(
            "it holds weights without their architecture. Save the whole model, as in "
            'model.save("generator.keras"), or give the architecture to '
            "causalplug.adapters.ConditionalGAN and the weights by read_keras_layers"
        )
    text = file.attrs["model_config"]
    if isinstance(text, bytes):
        text = text.decode()
    found: Json = json.loads(text)
    return found


def _layer_configs(config: Json) -> list[Json]:
    inner = config["config"]
    if isinstance(inner, list):  # a Sequential of the first versions
        return inner
    return list(inner["layers"])


class _Archived:
    """Weights of a ``.keras`` file: groups are named after the layers' classes, counted.

    Args:
        group: The group of the model.
        config: The model's architecture.
        size: Bytes of the file.
    """

    def __init__(self, group: Any, config: Json, size: int):
        self.group, self.size = group, size
        self.layers = _layer_configs(config)
        self.names = _counted([layer["class_name"] for layer in self.layers])
        self.holder = next((name for name in _LAYERS if name in group), _LAYERS[0])

    def inside(self, place: int) -> Weights:
        path = f"{self.holder}/{self.names[place]}"
        return _Archived(member_of(self.group, path), self.layers[place], self.size)

    def of(self, place: int, names: Sequence[str]) -> Mapping[str, Tensor]:
        path = f"{self.holder}/{self.names[place]}/vars"
        if path not in self.group:
            raise RepositoryError(f"it lacks the weights of {self.names[place]!r}")
        variables = member_of(self.group, path)
        if sorted(variables) != sorted(map(str, range(len(names)))):
            raise RepositoryError(
                f"the layer {self.names[place]!r} has {len(variables)} weights where "
                f"{', '.join(names)} are right"
            )
        found = {}
        for number, name in enumerate(names):
            key = str(number)
            found[name] = array_of(member_of(variables, key), f"{path}/{key}", self.size)
        return found


def _counted(classes: Sequence[str]) -> list[str]:
    """Names of layers as Keras gives them in an archive: ``dense``, ``dense_1``, …"""
    seen: dict[str, int] = {}
    found = []
    for cls in classes:
        name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", cls))
        name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
        count = seen.get(name, -1) + 1
        seen[name] = count
        found.append(f"{name}_{count}" if count else name)
    return found


class _Legacy:
    """Weights of an HDF5 file: by the names of layers.

    Args:
        file: The file.
        config: The model's architecture.
        size: Bytes of the file.
        tables: The weights of an inner model, by layer and name.
    """

    def __init__(
        self,
        file: Any,
        config: Json,
        size: int,
        tables: Mapping[tuple[str, str], Tensor] | None = None,
    ):
        self.file, self.size, self.tables = file, size, tables
        self.layers = _layer_configs(config)

    def inside(self, place: int) -> Weights:
        tables = self.tables
        if tables is None:
            tables = self._read(self._name(place))
        return _Legacy(self.file, self.layers[place], self.size, tables)

    def of(self, place: int, names: Sequence[str]) -> Mapping[str, Tensor]:
        layer = self._name(place)
        tables = self.tables
        if tables is None:
            tables = self._read(layer)
        own = {name: tensor for (owner, name), tensor in tables.items() if owner == layer}
        if set(own) != set(names):
            raise RepositoryError(
                f"the layer {layer!r} has the weights {', '.join(own) or 'none'} where "
                f"{', '.join(names)} are right"
            )
        return own

    def _name(self, place: int) -> str:
        return str(self.layers[place]["config"]["name"])

    def _read(self, layer: str) -> dict[tuple[str, str], Tensor]:
        """The weights under one layer of the outer model."""
        path = f"model_weights/{layer}"
        owner = member_of(self.file, path)
        found: dict[tuple[str, str], Tensor] = {}
        for name in texts_of(owner.attrs["weight_names"]):
            parts = name.split("/")
            key = (parts[-2] if len(parts) > 1 else layer, parts[-1].partition(":")[0])
            if key in found:
                raise RepositoryError(
                    f"two inner layers of {layer!r} have the name {key[0]!r}. Save it as .keras"
                )
            found[key] = array_of(member_of(owner, name), name, self.size)
        return found
