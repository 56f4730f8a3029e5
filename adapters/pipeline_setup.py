"""How a pipeline is called, whatever it reads: labels, prompts, settings, and their JSON."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from causalplug.adapters.pipeline_arguments import (
    LabelArguments,
    from_json,
    label_arguments,
    labels_for,
    to_json,
)
from causalplug.adapters.pipeline_call import PipelineCall, Row
from causalplug.adapters.prompts import check_lengths
from causalplug.mechanisms.frozen.label import Label
from causalplug.selection import of_kind
from causalplug.values import Json, Named
from causalplug.variables import Image

__all__ = [
    "PipelineSetup",
    "batched_unless_tried",
    "networks_of",
    "painted_image",
    "restored",
]


@dataclass(frozen=True)
class PipelineSetup:
    """How a pipeline is called.

    Attributes:
        labels: Its labels in order.
        prompts: A template, or the prompt of each joint label; None of a pipeline without text.
        classes: The class of each joint label.
        steps: Steps of the scheduler; None for the pipeline's own.
        guidance_scale: Weight of the prompt; None for the pipeline's own.
        negative_prompt: A prompt that the images keep away from.
        call: Further arguments of its call.
    """

    labels: tuple[Label, ...]
    prompts: str | Mapping[Any, str] | None = None
    classes: tuple[int, ...] | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    negative_prompt: str | None = None
    call: Json = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        labels: Sequence[Label] | None,
        prompts: str | Mapping[Any, str] | None,
        *,
        classes: Sequence[int] | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        negative_prompt: str | None = None,
        call: Named | None = None,
    ) -> PipelineSetup:
        """The setup that a user asks for; labels that are not given are those of the prompts.

        Raises:
            MechanismError: A template with fields, whose labels cannot be told.
        """
        codes = None
        if classes is not None:
            codes = tuple(classes)
        return cls(
            labels_for(prompts, labels),
            prompts,
            codes,
            steps,
            guidance_scale,
            negative_prompt,
            dict(call or {}),
        )

    def arguments(self, pipeline: object) -> LabelArguments:
        """What the pipeline is called with for every joint label.

        Raises:
            MechanismError: Arguments that the pipeline does not have, or labels that nothing tells
                it.
            LabelMapError: A combination of labels without a prompt or a value.
        """
        settings = {
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance_scale,
            "negative_prompt": self.negative_prompt,
        }
        found = label_arguments(
            pipeline, self.labels, self.prompts, self.classes, settings, self.call
        )
        if found.prompts is not None:
            check_lengths(pipeline, found.prompts)
        return found

    def to_dict(self, arguments: LabelArguments) -> Json:
        """JSON values, the prompts written out for each joint label."""
        return {
            "labels": [label.to_dict() for label in self.labels],
            "prompts": arguments.prompts,
            "steps": self.steps,
            "guidance_scale": self.guidance_scale,
            "negative_prompt": self.negative_prompt,
            "call": to_json(self.call),
        }


def restored(config: Named) -> Json:
    """Options of a pipeline as its ``from_pretrained`` takes them, from saved ones."""
    fields = dict(config)
    labels = [Label.from_dict(item) for item in fields["labels"]]
    if fields["prompts"] is not None:
        joint = itertools.product(*(label.categories for label in labels))
        fields["prompts"] = dict(zip(joint, fields["prompts"], strict=True))
    return fields | {"labels": labels, "call": from_json(fields["call"])}


def painted_image(run: PipelineCall, rows: Sequence[Row], image: Image | None) -> Image:
    """What a pipeline paints, once it is known how rows are painted.

    Args:
        run: The pipeline.
        rows: Two rows, which are painted alone and together.
        image: What it is declared to paint; by default what a first image shows.

    Raises:
        MechanismError: The pipeline fails on a row.
    """
    if image is not None and run.batched is not None:
        return image
    if run.batched is not None:
        rows = rows[:1]
    channels, height, width = run.settle(rows).shape[1:]
    return image or Image(channels, height, width, low=0.0, high=1.0)


def batched_unless_tried(batched: bool | None, trial: bool) -> bool | None:
    """Whether rows share a call; None leaves it to a trial, and without one they do not."""
    if batched is None and not trial:
        return False
    return batched


def networks_of(pipeline: Any) -> nn.ModuleList:
    """The networks among the parts of a pipeline."""
    parts = of_kind(pipeline.components.values(), nn.Module)
    return nn.ModuleList(parts)
