"""Frozen parts of a loaded model that are not in memory yet: fetched and built when they are
first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from causalplug.mechanisms.base import Mechanism
from causalplug.networks import freeze
from causalplug.values import Json, Named
from causalplug.variables import Variable

if TYPE_CHECKING:
    from causalplug.hub.snapshot import Snapshot

__all__ = ["Deferred", "DeferredEncoder", "DeferredMechanism", "Parts"]

_T = TypeVar("_T")


class Deferred(nn.Module):
    """Stands for a part until it is opened; it knows what a model asks of the part without running
    it.

    Attributes:
        entry: What the model's ``config.json`` says of the part.
        origin: The snapshot that the part belongs to.
    """

    place: Tensor

    origin: Snapshot | None
    license: str | None = None
    part_of: str | None = None
    frozen: bool = True

    def __init__(self, open_part: Callable[[], nn.Module], entry: Named, origin: Snapshot):
        super().__init__()
        self._open, self.entry, self.origin = open_part, entry, origin
        self.register_buffer(
            "place", torch.empty(0), persistent=False
        )  # follows the model from device to device

    def open(self) -> nn.Module:
        """The part itself, frozen, on the device that the model is on."""
        return freeze(self._open()).to(self.place.device)


class DeferredMechanism(Deferred, Mechanism):
    """A frozen mechanism that is not in memory yet."""

    frozen = True
    reads_projections = False

    def __init__(
        self,
        open_part: Callable[[], nn.Module],
        entry: Named,
        origin: Snapshot,
        *,
        variable: Variable,
        parents: tuple[str, ...],
        confounded: bool,
    ):
        super().__init__(open_part, entry, origin)
        self.variable, self.parents, self.accepts_confounder = variable, parents, confounded
        self.part_of = entry["pulled"].get("part")

    def bound_to(self) -> Json:
        if "binding" in self.entry:
            return {"binding": self.entry["binding"]}
        return {}


class DeferredEncoder(Deferred):
    """A frozen encoder that is not in memory yet."""

    trained = True

    def __init__(
        self,
        open_part: Callable[[], nn.Module],
        entry: Named,
        origin: Snapshot,
        *,
        variable: Variable,
        size: int,
    ):
        super().__init__(open_part, entry, origin)
        self.variable, self.size = variable, size
        self.part_of = entry["pulled"].get("part")


class Parts(Mapping[str, _T], Generic[_T]):
    """The mechanisms or encoders of a model by variable; looking one up opens it.

    Args:
        held: What the model holds, by variable.
        get: Opens the part of a variable.
    """

    def __init__(self, held: Mapping[str, nn.Module], get: Callable[[str], _T]):
        self._held, self._get = held, get

    def __getitem__(self, name: str) -> _T:
        if name not in self._held:
            raise KeyError(name)
        return self._get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def unopened(self) -> dict[str, _T]:
        """The parts as they are held: those that were not needed yet as :class:`Deferred`."""
        return cast("dict[str, _T]", dict(self._held))

    def __repr__(self) -> str:
        shown = (f"{name!r}: {type(part).__name__}" for name, part in self._held.items())
        return f"{{{', '.join(shown)}}}"
