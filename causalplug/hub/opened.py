"""A repository while it is read: configuration, header and weights, each read and checked once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from causalplug.files.facts import Facts
from causalplug.files.validation import read_json
from causalplug.files.weights import WeightsFile
from causalplug.values import Json, Named

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CONFIG", "WEIGHTS", "Opened"]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"


class Readable(Protocol):
    """A snapshot, whose files are brought when they are asked for."""

    @property
    def boundary(self) -> Path: ...

    def has(self, name: str) -> bool: ...

    def file(self, name: str, *, facts: Facts | None = None) -> Path: ...


class Opened:
    """The files of a repository that say what it holds; made by
    :meth:`~causalplug.hub.snapshot.Snapshot.open`.

    Args:
        snapshot: The repository.
    """

    def __init__(self, snapshot: Readable):
        self.snapshot = snapshot
        self._weights: WeightsFile | None = None

    @cached_property
    def config(self) -> Json:
        """The configuration; its keys are checked by those who know the format.

        Raises:
            RepositoryError: There is none, or it is not JSON.
        """
        return read_json(self.snapshot.file(CONFIG), within=self.snapshot.boundary)

    @property
    def has_weights(self) -> bool:
        """Whether the repository has a file of weights."""
        return self.snapshot.has(WEIGHTS)

    def weights(self, facts: Facts | None = None) -> WeightsFile:
        """The file of weights, its header checked; one that was damaged in the cache is fetched
        again.

        Args:
            facts: Size and hash that it must have, if they were recorded.

        Raises:
            RepositoryError: It is missing, damaged or not a safetensors file.
        """
        if self._weights is None:
            path = self.snapshot.file(WEIGHTS, facts=facts)
            self._weights = WeightsFile(path, within=self.snapshot.boundary)
        return self._weights

    def tensors(self, expected: Named | None = None) -> Mapping[str, Tensor]:
        """The weights, checked against what is expected."""
        return self.weights().tensors(expected)
