"""One call of a diffusers pipeline for many rows: every row has its own random generator."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from causalplug.adapters.pipeline_outputs import PICTURES
from causalplug.adapters.reasons import first_line, missing_library
from causalplug.adapters.row_seeds import own_randomness
from causalplug.errors import MechanismError, MissingDependencyError
from causalplug.selection import values_at
from causalplug.values import Json, Named

__all__ = ["PipelineCall", "Row"]

_PROMISED = 1e-4  # of the range; how far a batch may move a row
_TOLERANCE = _PROMISED / 10  # of the rows that are tried: others may be moved further
_FLAGS = ("nsfw_content_detected", "nsfw_detected")


@dataclass(frozen=True)
class Row:
    """What one image is made of.

    Attributes:
        seed: Seed of the row's own random generator.
        own: Arguments of which every row has its own value: prompts, classes, pictures.
        shared: Arguments that a whole call shares, such as ``{"guidance_scale": 5.0}``.
    """

    seed: int
    own: Named
    shared: Named


class PipelineCall:
    """A pipeline as a function from rows to images in [0, 1].

    Rows are painted in one call where that gives each row the image that it has alone, and one by
    one otherwise; :meth:`settle` finds out which.

    Args:
        pipeline: The pipeline, with all its parts.
        batched: Whether rows are painted in one call; None to be settled.
        blackened: Whether images that a safety checker blacks out are taken as they are.
    """

    def __init__(self, pipeline: Any, *, batched: bool | None = None, blackened: bool = False):
        self.pipeline = pipeline
        self.batched = batched
        self.blackened = blackened
        self.name = type(pipeline).__name__
        self.known = frozenset(inspect.signature(pipeline.__call__).parameters)
        pipeline.set_progress_bar_config(disable=True)

    def settle(self, rows: Sequence[Row]) -> Tensor:
        """The images of some rows, once it is known how rows are painted.

        Raises:
            MechanismError: The pipeline cannot paint one row, saying why.
        """
        with self._refusing():
            alone = torch.cat(list(map(self._alone, rows)))
        if self.batched is None:
            self.batched = self._agrees(rows, alone)
        return alone

    def _agrees(self, rows: Sequence[Row], alone: Tensor) -> bool:
        """Whether a batch gives every row the image that it has alone."""
        try:
            together = self._together(rows)
        except Exception:  # a pipeline that takes no batch may fail in any way
            return False
        if together.shape != alone.shape:
            return False
        return bool((together - alone).abs().max() <= _TOLERANCE)

    def __call__(self, rows: Sequence[Row]) -> Tensor:
        """Images ``(n, channels, height, width)`` in [0, 1].

        Raises:
            MechanismError: A safety checker blacked an image out, or the pipeline gives no images.
        """
        if not self.batched:
            return torch.cat(list(map(self._alone, rows)))
        found: dict[int, Tensor] = {}
        for places in _groups(rows):
            made = self._together(values_at(rows, places))
            found |= dict(zip(places, made, strict=True))
        return torch.stack(values_at(found, range(len(rows))))

    def _alone(self, row: Row) -> Tensor:
        given = dict(row.own) | dict(row.shared)
        generator = torch.Generator().manual_seed(row.seed)
        made = self._run(given, generator, row.seed)
        if len(made) != 1:
            raise MechanismError(
                f"{self.name} gives {len(made)} images for one row, where one is right. Set the "
                "argument that counts images or frames by call={…}."
            )
        return made

    def _together(self, rows: Sequence[Row]) -> Tensor:
        given = dict(rows[0].shared)
        for key in rows[0].own:
            given[key] = [row.own[key] for row in rows]
        if not rows[0].own and "batch_size" in self.known:
            given["batch_size"] = len(rows)
        generators = [torch.Generator().manual_seed(row.seed) for row in rows]
        made = self._run(given, generators, 0)
        if len(made) != len(rows):
            raise MechanismError(f"{self.name} gives {len(made)} images for {len(rows)} rows.")
        return made

    def _run(self, given: Json, generator: object, seed: int) -> Tensor:
        if "class_labels" in given and not isinstance(given["class_labels"], list):
            given["class_labels"] = [given["class_labels"]]
        with torch.no_grad(), own_randomness(seed):
            found = self.pipeline(**given, generator=generator, output_type="np")
        self._check_flags(found)
        return self._images(found)

    def _check_flags(self, found: Any) -> None:
        """Refuse images that a safety checker blacked out: they are not what was asked for."""
        flags: list[str] = []
        for name in _FLAGS:
            flags.extend(found.get(name) or [])
        if any(flags) and not self.blackened:
            raise MechanismError(
                f"The safety checker of {self.name} blacked out {sum(map(bool, flags))} of "
                f"{len(flags)} images, which would be black pictures in the model. Load the "
                "pipeline with safety_checker=False, take other prompts, or accept black pictures "
                "with safety_checker=True."
            )

    def _images(self, found: Any) -> Tensor:
        images = next((found[key] for key in PICTURES if found.get(key) is not None), None)
        if images is None:
            raise MechanismError(
                f"{self.name} cannot be plugged: it gives {', '.join(found.keys())}, no images."
            )
        array = _array(images)
        if array.ndim != 4 or array.shape[-1] not in (1, 3, 4):
            raise MechanismError(
                f"{self.name} cannot be plugged: it gives an array of shape {array.shape} where "
                "(n, height, width, channels) is right."
            )
        return torch.from_numpy(array).permute(0, 3, 1, 2).float()

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """Whatever a pipeline raises becomes a refusal that says what it was."""
        try:
            yield
        except MechanismError:
            raise
        except Exception as error:
            reason = first_line(error)
            library = missing_library(error)
            if library is not None:
                raise MissingDependencyError(
                    f"{self.name} cannot be plugged: it needs {library}, which is not installed. "
                    f"Install {library}."
                ) from error
            raise MechanismError(
                f"{self.name} cannot be plugged: painting one image fails with "
                f"{type(error).__name__}: {reason}. Give the arguments that it needs by call={{…}}."
            ) from error


def _array(images: Any) -> np.ndarray:
    """Images of any form as floats in [0, 1]; PIL images are scaled."""
    if isinstance(images, Tensor):
        return images.float().cpu().permute(0, 2, 3, 1).numpy()
    array = np.asarray(images)
    if array.dtype == np.uint8:
        return array.astype(np.float32) / 255
    if array.dtype == object:
        array = np.stack(list(map(np.asarray, images)))
    return array


def _groups(rows: Sequence[Row]) -> list[list[int]]:
    """Places of the rows that one call can paint: those with the same shared arguments."""
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(repr(sorted(row.shared.items())), []).append(place)
    return list(groups.values())
