"""Where a pipeline comes from and how it is opened, so that a saved model opens the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalplug.adapters.diffusers_files import load_pipeline
from causalplug.adapters.lora import Lora, opened_with, restored_loras
from causalplug.adapters.places import place_of, reference_of
from causalplug.adapters.row_seeds import pipeline_files
from causalplug.errors import MechanismError
from causalplug.hub.part import Content
from causalplug.values import Json, Named

if TYPE_CHECKING:
    from causalplug.hub.snapshot import Snapshot

__all__ = ["Opening", "Origin", "SchedulerSpec"]

SchedulerSpec = str | Mapping[str, Any] | None
"""A scheduler: its class, or a mapping with its ``"class"`` and settings; None for the
pipeline's own."""


@dataclass(frozen=True)
class Opening:
    """How a pipeline is opened.

    Attributes:
        dtype: Precision of its networks.
        variant: Which files of weights are read, such as ``"fp16"``.
        scheduler: Another scheduler by its class, or a mapping with ``"class"`` and settings.
        offload: Whether parts are kept off the accelerator while they do not run.
        safety_checker: False to load it without; True to take what it blacks out as it is; None
            to refuse blacked-out images.
        lora: LoRA weights beside those of its networks.
        single_file: A checkpoint in its folder that holds weights of its parts.
    """

    dtype: str = "float32"
    variant: str | None = None
    scheduler: SchedulerSpec = None
    offload: bool = False
    safety_checker: bool | None = None
    lora: tuple[Lora, ...] = ()
    single_file: str | None = None

    def to_dict(self) -> Json:
        """JSON values."""
        scheduler = self.scheduler
        if isinstance(scheduler, Mapping):
            scheduler = dict(scheduler)
        found: Json = {
            "dtype": self.dtype,
            "variant": self.variant,
            "scheduler": scheduler,
            "offload": self.offload,
            "safety_checker": self.safety_checker,
        }
        if self.lora:
            found["lora"] = [lora.to_dict(place) for place, lora in enumerate(self.lora)]
        if self.single_file is not None:
            found["single_file"] = self.single_file
        return found

    def open(self, snapshot: Snapshot) -> object:
        """The pipeline of some files."""
        pipeline = load_pipeline(
            snapshot,
            dtype=self.dtype,
            variant=self.variant,
            scheduler=self.scheduler,
            offload=self.offload,
            checked=self.safety_checker is not False,
            single_file=self.single_file,
        )
        return opened_with(pipeline, self.lora)


@dataclass(frozen=True)
class Origin:
    """Where a pipeline comes from.

    Attributes:
        opening: How it was opened.
        folder: Its files on the disk; None of a pipeline that exists only in memory.
        hub: ``repo_id``, ``revision``, ``requested_revision`` and ``subfolder``; empty where it
            was not on the Hub.
    """

    opening: Opening = field(default_factory=Opening)
    folder: Path | None = None
    hub: Json = field(default_factory=dict)

    @classmethod
    def of(cls, snapshot: Snapshot, opening: Opening) -> Origin:
        """The origin of a pipeline that was opened from a snapshot."""
        hub = reference_of(snapshot)
        if hub:
            hub["requested_revision"] = snapshot.requested_revision
        return cls(opening, snapshot.path, hub)

    def files(self) -> dict[str, Content]:
        """The pipeline's own files under ``pipeline/``; none where it is referred to on the
        Hub."""
        found: dict[str, Content] = {}
        if self.folder is not None and not self.hub:
            found |= pipeline_files(self.folder)
        for place, lora in enumerate(self.opening.lora):
            found |= lora.files(place)
        return found

    def to_dict(self) -> Json:
        """JSON values.

        Raises:
            MechanismError: The pipeline exists only in memory.
        """
        if self.folder is None:
            raise MechanismError(
                "A pipeline that exists only in memory cannot be saved: write it by its own "
                "save_pretrained and load that folder with causalplug.from_pretrained."
            )
        return self.opening.to_dict() | self.hub

    @staticmethod
    def place(data: Named, snapshot: Snapshot) -> tuple[str | Path, Json]:
        """What :meth:`to_dict` describes, as a source and the options of ``from_pretrained``."""
        place, location = place_of(data, snapshot, "pipeline")
        if "lora" in location:
            location["lora"] = restored_loras(location["lora"], snapshot)
        return place, location
