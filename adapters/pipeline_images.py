"""Pipelines of diffusers that read pictures: image to image, inpainting, ControlNets, upscaling,
instructions. Their parents may be images."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from causalplug.adapters.diffusers_files import open_pipeline
from causalplug.adapters.lora import LoraSpec, loras_of
from causalplug.adapters.pipeline_arguments import LabelArguments
from causalplug.adapters.pipeline_call import PipelineCall, Row
from causalplug.adapters.pipeline_origin import Opening, Origin, SchedulerSpec
from causalplug.adapters.pipeline_setup import (
    PipelineSetup,
    batched_unless_tried,
    networks_of,
    painted_image,
    restored,
)
from causalplug.adapters.row_seeds import seed_of
from causalplug.adapters.rules import CALLING, FETCHING, OPENING, TERMS
from causalplug.arguments import takes
from causalplug.errors import MechanismError
from causalplug.hub.part import Content
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.condition import Condition, ReadsSpec
from causalplug.mechanisms.frozen.conditional import ConditionalMechanism
from causalplug.mechanisms.frozen.label import Label
from causalplug.networks import freeze
from causalplug.noise import NoiseSpec
from causalplug.selection import dicts_by_name, without
from causalplug.values import Json, Named
from causalplug.variables import Image, variable_from_dict

if TYPE_CHECKING:
    from causalplug.hub.snapshot import Snapshot

__all__ = ["ImagePipeline"]


@register_mechanism("diffusers-image-pipeline")
class ImagePipeline(ConditionalMechanism):
    """A pipeline of diffusers that reads pictures, as the frozen mechanism of an image.

    Pictures are handed to the pipeline as PIL images of 8 bits. Each argument that reads one is a
    condition, which a parent of the same name is read as; a single image among the parents may
    have any name.

    Args:
        pipeline: The pipeline, with all its parts.
        images: Arguments of its call that read pictures, and their declarations, such as
            ``{"image": cp.Image(3, 64, 64), "mask_image": cp.Image(1, 64, 64)}``.
        labels, prompts, image: As for :class:`~causalplug.adapters.pipelines.PipelineGenerator`.
        steps, guidance_scale, negative_prompt, call: As for it.
        batched, safety_checker: As for it.
        reads: Condition to the parent that it is read from, where the names differ.

    Raises:
        MechanismError: An argument that the call does not have, or the pipeline fails on grey
            pictures.
        LabelMapError: A combination of labels without a prompt.
    """

    needs = ("diffusers",)
    differentiable = False

    @takes(MechanismError, **CALLING, license=TERMS["license"])
    def __init__(
        self,
        pipeline: object,
        images: Mapping[str, Image],
        labels: Sequence[Label] | None = None,
        *,
        prompts: str | Mapping[Any, str] | None = None,
        image: Image | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        negative_prompt: str | None = None,
        call: Named | None = None,
        batched: bool | None = None,
        safety_checker: bool | None = None,
        license: str | None = None,
        source: str | None = None,
        reads: ReadsSpec = None,
    ):
        setup = PipelineSetup.of(
            labels,
            prompts,
            steps=steps,
            guidance_scale=guidance_scale,
            negative_prompt=negative_prompt,
            call=call,
        )
        _check_images(pipeline, images, setup)
        arguments = setup.arguments(pipeline)
        run = PipelineCall(pipeline, batched=batched, blackened=safety_checker is True)
        conditions = [Condition(label.name, label.values) for label in setup.labels]
        conditions += [Condition(key, read) for key, read in images.items()]
        super().__init__(
            painted_image(run, _trial_rows(arguments, images), image),
            conditions,
            {"seed": NoiseSpec((2,), "uniform")},
            license=license,
            source=source,
            reads=reads,
        )
        self.pipeline = pipeline
        self.images = dict(images)
        self.labels = setup.labels
        self.run = run
        self.arguments = arguments
        self.setup = setup
        self.steps, self.guidance_scale = setup.steps, setup.guidance_scale
        self.negative_prompt, self.call = setup.negative_prompt, setup.call
        self.networks = networks_of(pipeline)
        self.place = Origin()
        freeze(self)

    def generate(self, conditions: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        seeds = noise["seed"]
        joint = self._joint(conditions, len(seeds))
        pictures = {
            key: _pictures(conditions[key].detach().cpu(), read)
            for key, read in self.images.items()
        }
        rows = []
        for row, place in enumerate(joint.tolist()):
            own = dict(self.arguments.own[place])
            for key, column in pictures.items():
                own[key] = column[row]
            rows.append(Row(seed_of(seeds[row].tolist()), own, self.arguments.shared[place]))
        unit = self.run(rows).to(seeds.device)
        painted: Any = self.generates
        return painted.low + (painted.high - painted.low) * unit.clamp(0, 1)

    def _joint(self, conditions: Mapping[str, Tensor], n: int) -> Tensor:
        """The joint label ``(n,)`` of each row."""
        joint = torch.zeros(n, dtype=torch.int64)
        for label in self.labels:
            codes = conditions[label.name]
            if codes.is_floating_point():
                raise MechanismError(
                    f"No gradient reaches {label.name!r} through {self.run.name}: it is a black "
                    "box. Detach the parents, or train with rows of data."
                )
            joint = joint * label.size + codes.cpu()
        return joint

    # -- loading and saving

    @classmethod
    @takes(MechanismError, **FETCHING, **OPENING, **CALLING)
    def from_pretrained(  # type: ignore[override]
        cls,
        source: str | PathLike[str] | Snapshot,
        images: Mapping[str, Image],
        labels: Sequence[Label] | None = None,
        *,
        prompts: str | Mapping[Any, str] | None = None,
        revision: str | None = None,
        subfolder: str = "",
        cache_dir: str | PathLike[str] | None = None,
        token: bool | str | None = None,
        local_files_only: bool = False,
        dtype: str = "float32",
        variant: str | None = None,
        scheduler: SchedulerSpec = None,
        offload: bool = False,
        safety_checker: bool | None = None,
        lora: LoraSpec = None,
        single_file: str | None = None,
        image: Image | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        negative_prompt: str | None = None,
        call: Named | None = None,
        batched: bool | None = None,
        trial: bool = True,
    ) -> ImagePipeline:
        """A pipeline from a folder or the Hub, safetensors only and without code of the repository.

        Args:
            source: A folder that a pipeline's ``save_pretrained`` wrote, or a Hub id.
            images, labels, prompts, image, batched: As for the class.
            steps, guidance_scale, negative_prompt, call: As for the class.
            revision, subfolder, cache_dir, token, local_files_only: As in ``huggingface_hub``.
            dtype, variant, scheduler, offload, safety_checker, lora, single_file, trial: As for
                :meth:`causalplug.adapters.pipelines.PipelineGenerator.from_pretrained`.

        Raises:
            MissingDependencyError: diffusers is not installed.
            RepositoryError: Files are missing or not safetensors, or need code of their own.
            MechanismError: The pipeline cannot be plugged.
        """
        snapshot = open_pipeline(source, revision, subfolder, cache_dir, token, local_files_only)
        loras = loras_of(lora, cache_dir=cache_dir, token=token, local_files_only=local_files_only)
        opening = Opening(dtype, variant, scheduler, offload, safety_checker, loras, single_file)
        made = cls(
            opening.open(snapshot),
            images,
            labels,
            prompts=prompts,
            image=image,
            steps=steps,
            guidance_scale=guidance_scale,
            negative_prompt=negative_prompt,
            call=call,
            batched=batched_unless_tried(batched, trial),
            safety_checker=safety_checker,
        )
        made.place = Origin.of(snapshot, opening)
        if snapshot.repo_id is not None:
            made.license = snapshot.license
        return made

    def saved_tensors(self) -> dict[str, Tensor]:
        """Nothing: the pipeline has its own files."""
        return {}

    def saved_files(self) -> dict[str, Content]:
        """The pipeline's own files under ``pipeline/``; none where it is referred to on the Hub."""
        return self.place.files()

    def config(self) -> Json:
        return self.setup.to_dict(self.arguments) | {
            "image": self.generates.to_dict(),
            "images": dicts_by_name(self.images),
            "pipeline": self.place.to_dict(),
            "batched": self.run.batched,
        }

    @classmethod
    def from_snapshot(cls, config: Named, snapshot: Snapshot) -> ImagePipeline:
        """The mechanism that a repository describes."""
        fields = restored(config)
        image: Any = variable_from_dict(fields.pop("image"), "image")
        images: Any = {}
        for key, read in fields.pop("images").items():
            images[key] = variable_from_dict(read, key)
        place, location = Origin.place(fields.pop("pipeline"), snapshot)
        return cls.from_pretrained(place, images, image=image, **location, **fields)


def _reads_pictures(argument: str) -> bool:
    """Whether an argument's name says that it reads pictures."""
    counted = argument.startswith(("num_", "max_"))
    return not counted and ("image" in argument or "mask" in argument)


def _check_images(pipeline: Any, images: Mapping[str, Image], setup: PipelineSetup) -> None:
    """Refuse pictures that the pipeline's call does not read.

    Raises:
        MechanismError: With the arguments that it has.
    """
    name = type(pipeline).__name__
    known = list(inspect.signature(pipeline.__call__).parameters)
    unknown = without(images, known)
    if unknown or not images:
        readers = [key for key in known if _reads_pictures(key)]
        raise MechanismError(
            f"{name} cannot read pictures as {', '.join(unknown) or 'nothing'}: the arguments of "
            f"its call that may read them are {', '.join(readers) or 'none'}."
        )
    _check_declared(images)
    taken = {*setup.call, *(label.name for label in setup.labels)}
    for key in images:
        if key in taken:
            raise MechanismError(
                f"{key!r} of {name} is given twice: as a picture and in call= or labels=. Leave "
                "one out."
            )


def _check_declared(images: Named) -> None:
    wrong = [key for key, read in images.items() if not isinstance(read, Image)]
    if wrong:
        raise MechanismError(
            f"images={{{wrong[0]!r}: {images[wrong[0]]!r}}} cannot be used: declare what is read, "
            "as in cp.Image(3, 64, 64)."
        )


def _trial_rows(arguments: LabelArguments, images: Mapping[str, Image]) -> list[Row]:
    """Two rows with pictures that differ, so that a batch that mixes them is noticed."""
    pictures = {key: _pictures(_trial_pictures(read), read) for key, read in images.items()}
    rows = []
    for seed in range(2):
        own = dict(arguments.own[seed % len(arguments.own)])
        for key, column in pictures.items():
            own[key] = column[seed]
        rows.append(Row(seed, own, arguments.shared[0]))
    return rows


def _trial_pictures(read: Image) -> Tensor:
    """Two pictures ``(2, channels, height, width)``: light on the left, and light on the right."""
    ramp = torch.linspace(read.high, read.low, read.width)
    both = torch.stack([ramp, ramp.flip(0)]).view(2, 1, 1, read.width)
    return both.expand(2, read.channels, read.height, read.width)


def _pictures(values: Tensor, read: Image) -> list[object]:
    """Values ``(n, channels, height, width)`` as PIL images of 8 bits."""
    from PIL import Image as Picture

    unit = (values.float() - read.low) / (read.high - read.low)
    bytes_ = (unit.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    if read.channels == 1:
        bytes_ = bytes_[..., 0]
    return list(map(Picture.fromarray, bytes_))
