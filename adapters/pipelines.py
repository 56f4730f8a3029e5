"""Any diffusers pipeline that paints pictures, through the pipeline's own call.

Every row has a random generator of its own, so that an image is a function of its row's seed and
labels alone, whatever family the pipeline belongs to and however it packs its latents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from causalplug.adapters.diffusers_files import open_pipeline
from causalplug.adapters.lora import LoraSpec, loras_of
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
from causalplug.adapters.rules import CALLING, CLASSES, FETCHING, OPENING, TERMS
from causalplug.arguments import takes
from causalplug.errors import MechanismError
from causalplug.hub.part import Content
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.generator import FrozenMechanism, LabelMapSpec
from causalplug.mechanisms.frozen.label import Label
from causalplug.mechanisms.frozen.trial import try_generator
from causalplug.networks import freeze
from causalplug.noise import NoiseSpec
from causalplug.values import Json, Named
from causalplug.variables import Image, variable_from_dict

if TYPE_CHECKING:
    from causalplug.hub.snapshot import Snapshot

__all__ = ["PipelineGenerator"]


@register_mechanism("diffusers-pipeline")
class PipelineGenerator(FrozenMechanism):
    """A pipeline of diffusers as a frozen mechanism, through the pipeline's own call.

    No gradient goes through it; training reads a sample bank. Rows are painted in one call where
    that gives each row the image that it has alone, and one by one otherwise.

    Args:
        pipeline: The pipeline, with all its parts.
        labels: Its labels in order; by default one label whose categories are the keys of
            ``prompts``.
        prompts: Of a pipeline that reads text, a template such as ``"a photo of a {colour}
            {shape}"``, or a mapping from each joint label (a value, or a tuple of values) to its
            prompt.
        classes: Of a pipeline that takes classes, the class of each joint label, the last label
            varying fastest; by default 0, 1, 2, …
        image: What it paints; by default in [0, 1] and of the size that a first image has.
        steps: Steps of the scheduler; by default the pipeline's own.
        guidance_scale: Weight of the prompt; by default the pipeline's own.
        negative_prompt: A prompt that the images keep away from.
        call: Further arguments of the pipeline's call, such as ``{"height": 512}``. A value may be
            a mapping from each joint label: ``{"prompt_2": {"cat": "fur", "dog": "a lawn"}}``.
        batched: Whether rows are painted in one call; by default it is tried out.
        safety_checker: True to take images that a safety checker blacks out as they are; by
            default they are refused.

    Raises:
        MechanismError: The pipeline takes no random generators, does not give images, or fails on
            a first one; an argument that its call does not have.
        LabelMapError: A combination of labels without a prompt.
    """

    needs = ("diffusers",)

    @takes(MechanismError, **CALLING, **TERMS, classes=CLASSES)
    def __init__(
        self,
        pipeline: object,
        labels: Sequence[Label] | None = None,
        *,
        prompts: str | Mapping[Any, str] | None = None,
        classes: Sequence[int] | None = None,
        image: Image | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        negative_prompt: str | None = None,
        call: Named | None = None,
        batched: bool | None = None,
        safety_checker: bool | None = None,
        license: str | None = None,
        source: str | None = None,
        label_map: LabelMapSpec = None,
        transform: str | Sequence[str] = (),
    ):
        setup = PipelineSetup.of(
            labels,
            prompts,
            classes=classes,
            steps=steps,
            guidance_scale=guidance_scale,
            negative_prompt=negative_prompt,
            call=call,
        )
        arguments = setup.arguments(pipeline)
        run = PipelineCall(pipeline, batched=batched, blackened=safety_checker is True)
        own = arguments.own
        rows = [Row(seed, own[seed % len(own)], arguments.shared[0]) for seed in range(2)]
        super().__init__(
            painted_image(run, rows, image),
            setup.labels,
            {"seed": NoiseSpec((2,), "uniform")},
            license=license,
            source=source,
            label_map=label_map,
            transform=transform,
        )
        self.pipeline = pipeline
        self.run = run
        self.arguments = arguments
        self.setup = setup
        self.prompts = arguments.prompts
        self.classes = setup.classes
        self.steps, self.guidance_scale = setup.steps, setup.guidance_scale
        self.negative_prompt, self.call = setup.negative_prompt, setup.call
        self.networks = networks_of(pipeline)
        self.place = Origin()
        freeze(self)

    def generate(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        joint = torch.zeros(len(labels), dtype=torch.int64)
        if self.labels:
            joint = self._map.join(labels).cpu()
        seeds = list(map(seed_of, noise["seed"].tolist()))
        own, shared = self.arguments.own, self.arguments.shared
        rows = []
        for seed, place in zip(seeds, joint.tolist(), strict=True):
            rows.append(Row(seed, own[place], shared[place]))
        unit = self.run(rows).to(labels.device)
        return self.image.low + (self.image.high - self.image.low) * unit.clamp(0, 1)

    # -- loading and saving

    @classmethod
    @takes(MechanismError, **FETCHING, **OPENING, **CALLING, classes=CLASSES)
    def from_pretrained(  # type: ignore[override]
        cls,
        source: str | PathLike[str] | Snapshot,
        labels: Sequence[Label] | None = None,
        *,
        prompts: str | Mapping[Any, str] | None = None,
        classes: Sequence[int] | None = None,
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
    ) -> PipelineGenerator:
        """A pipeline from a folder or the Hub, safetensors only and without code of the repository.

        Args:
            source: A folder that a pipeline's ``save_pretrained`` wrote, or a Hub id.
            labels, prompts, classes, image, batched: As for the class.
            steps, guidance_scale, negative_prompt, call: As for the class.
            revision, subfolder, cache_dir, token, local_files_only: As in ``huggingface_hub``.
            dtype: Precision of its networks, such as ``"bfloat16"``.
            variant: Which files of weights are read, such as ``"fp16"``.
            scheduler: Class of another scheduler, such as ``"UniPCMultistepScheduler"``, or a
                mapping with its ``"class"`` and settings.
            offload: Whether parts are kept off the accelerator while they do not run.
            safety_checker: False to load the pipeline without its safety checker, True to take
                images that it blacks out as they are; by default these are refused.
            lora: LoRA weights of the pipeline: a Hub id, a folder or a safetensors file; a mapping
                with ``"source"``, ``"weight_name"``, ``"revision"``, ``"subfolder"`` and
                ``"scale"``; or a list of these. A Hub id is saved by its commit, a local file is
                copied.
            single_file: A safetensors checkpoint in the pipeline's folder that holds the weights of
                its parts in one file; the configurations are those of the folder.
            trial: Whether a few images are painted first, to check range, shape and independence
                of the rows. Without it, rows are painted one by one unless ``batched`` says
                otherwise, and one image is painted only to learn what ``image`` leaves open.

        Raises:
            MissingDependencyError: diffusers is not installed.
            RepositoryError: Files are missing or not safetensors, or need code of their own.
            MechanismError: The pipeline cannot be plugged, or fails the trial.
        """
        snapshot = open_pipeline(source, revision, subfolder, cache_dir, token, local_files_only)
        loras = loras_of(lora, cache_dir=cache_dir, token=token, local_files_only=local_files_only)
        opening = Opening(dtype, variant, scheduler, offload, safety_checker, loras, single_file)
        generator = cls(
            opening.open(snapshot),
            labels,
            prompts=prompts,
            classes=classes,
            image=image,
            steps=steps,
            guidance_scale=guidance_scale,
            negative_prompt=negative_prompt,
            call=call,
            batched=batched_unless_tried(batched, trial),
            safety_checker=safety_checker,
        )
        generator.place = Origin.of(snapshot, opening)
        if snapshot.repo_id is not None:
            generator.license = snapshot.license
        if trial:
            generator.batch_cost = try_generator(generator).seconds
        return generator

    def weights(self) -> dict[str, Tensor]:
        """Nothing: the pipeline has its own files."""
        return {}

    def files(self) -> dict[str, Content]:
        """The pipeline's own files under ``pipeline/``; none where it is referred to on the Hub."""
        return self.place.files()

    def config(self) -> Json:
        return self.setup.to_dict(self.arguments) | {
            "image": self.image.to_dict(),
            "pipeline": self.place.to_dict(),
            "classes": None if self.setup.classes is None else list(self.setup.classes),
            "batched": self.run.batched,
            "batch_cost": self.batch_cost,
        }

    @classmethod
    def from_snapshot(cls, config: Named, snapshot: Snapshot) -> PipelineGenerator:
        """The generator that a repository describes: its pipeline lies in ``pipeline/`` or in
        another repository."""
        fields = restored(config)
        cost = fields.pop("batch_cost")
        image: Any = variable_from_dict(fields.pop("image"), "image")
        place, location = Origin.place(fields.pop("pipeline"), snapshot)
        made = cls.from_pretrained(place, image=image, trial=False, **location, **fields)
        made.batch_cost = cost
        return made
