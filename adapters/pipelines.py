"""Any diffusers pipeline that turns a prompt into a picture, through the pipeline's own call.

Every row has a random generator of its own, so that an image is a function of its row's seed and
prompt alone, whatever family the pipeline belongs to and however it packs its latents.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from causalplug.adapters.diffusers_files import load_pipeline, open_pipeline
from causalplug.adapters.prompts import labels_of, prompts_of
from causalplug.adapters.row_seeds import own_randomness, pipeline_files, seed_of
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

_OWN = ("prompt", "generator", "output_type", "return_dict", "num_images_per_prompt")
_OURS = ("num_inference_steps", "guidance_scale", "negative_prompt")


@register_mechanism("diffusers-pipeline")
class PipelineGenerator(FrozenMechanism):
    """A text-to-image pipeline of diffusers as a frozen mechanism.

    No gradient goes through it; training reads a sample bank.

    Args:
        pipeline: The pipeline, with all its parts.
        labels: Its labels in order; by default one label whose categories are the keys of
            ``prompts``.
        prompts: A template such as ``"a photo of a {colour} {shape}"``, or a mapping from each
            joint label (a value, or a tuple of values) to its prompt.
        image: What it paints; by default in [0, 1] and of the size that a first image has.
        steps: Steps of the scheduler; by default the pipeline's own.
        guidance_scale: Weight of the prompt; by default the pipeline's own.
        negative_prompt: A prompt that the images keep away from.
        call: Further arguments of the pipeline's call, such as ``{"height": 512}``.

    Raises:
        MechanismError: The pipeline does not take prompts or random generators, or does not give
            images; an argument that its call does not have.
        LabelMapError: A combination of labels without a prompt.
    """

    needs = ("diffusers",)

    def __init__(
        self,
        pipeline: Any,
        labels: Sequence[Label] | None = None,
        *,
        prompts: str | Mapping[Any, str],
        image: Image | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        negative_prompt: str | None = None,
        call: Named | None = None,
        license: str | None = None,
        source: str | None = None,
        label_map: LabelMapSpec = None,
        transform: str | Sequence[str] = (),
    ):
        chosen = _labels(prompts, labels)
        written = prompts_of(prompts, chosen)
        given = _arguments(pipeline, steps, guidance_scale, negative_prompt, call or {})
        pipeline.set_progress_bar_config(disable=True)
        super().__init__(
            image or _painted(pipeline, written[0], given),
            chosen,
            {"seed": NoiseSpec((2,), "uniform")},
            license=license,
            source=source,
            label_map=label_map,
            transform=transform,
        )
        self.pipeline = pipeline
        self.prompts = written
        self.steps = steps
        self.guidance_scale = guidance_scale
        self.negative_prompt = negative_prompt
        self.call = dict(call or {})
        self.given = given
        parts = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
        self.networks = nn.ModuleList(parts)
        self.location: Json | None = None
        self.folder: Path | None = None
        freeze(self)

    def generate(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        joint = torch.zeros(len(labels), dtype=torch.int64)
        if self.labels:
            joint = self._map.join(labels).cpu()
        prompts = [self.prompts[row] for row in joint.tolist()]
        seeds = [seed_of(pair) for pair in noise["seed"].tolist()]
        unit = _call(self.pipeline, prompts, seeds, self.given).to(labels.device)
        return self.image.low + (self.image.high - self.image.low) * unit.clamp(0, 1)

    # -- loading and saving

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        source: str | PathLike[str] | Snapshot,
        labels: Sequence[Label] | None = None,
        *,
        prompts: str | Mapping[Any, str],
        revision: str | None = None,
        subfolder: str = "",
        cache_dir: str | PathLike[str] | None = None,
        token: bool | str | None = None,
        local_files_only: bool = False,
        dtype: str = "float32",
        variant: str | None = None,
        scheduler: str | None = None,
        offload: bool = False,
        image: Image | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        negative_prompt: str | None = None,
        call: Named | None = None,
        trial: bool = True,
    ) -> PipelineGenerator:
        """A pipeline from a folder or the Hub, safetensors only and without code of the repository.

        Args:
            source: A folder that a pipeline's ``save_pretrained`` wrote, or a Hub id.
            labels, prompts, image, steps, guidance_scale, negative_prompt, call: As for the class.
            revision, subfolder, cache_dir, token, local_files_only: As in ``huggingface_hub``.
            dtype: Precision of its networks, such as ``"bfloat16"``.
            variant: Which files of weights are read, such as ``"fp16"``.
            scheduler: Class of another scheduler, such as ``"UniPCMultistepScheduler"``.
            offload: Whether parts are kept off the accelerator while they do not run.
            trial: Whether three images are painted first, to check range, shape and independence
                of the rows.

        Raises:
            MissingDependencyError: diffusers is not installed.
            RepositoryError: Files are missing or not safetensors, or need code of their own.
            MechanismError: The pipeline cannot be plugged, or fails the trial.
        """
        snapshot = open_pipeline(source, revision, subfolder, cache_dir, token, local_files_only)
        pipeline = load_pipeline(
            snapshot, dtype=dtype, variant=variant, scheduler=scheduler, offload=offload
        )
        generator = cls(
            pipeline,
            labels,
            prompts=prompts,
            image=image,
            steps=steps,
            guidance_scale=guidance_scale,
            negative_prompt=negative_prompt,
            call=call,
        )
        generator.folder = snapshot.path
        generator.location = {
            "dtype": dtype,
            "variant": variant,
            "scheduler": scheduler,
            "offload": offload,
        }
        if snapshot.repo_id is not None:
            generator.license = snapshot.license
            generator.location |= {
                "repo_id": snapshot.repo_id,
                "revision": snapshot.revision,
                "requested_revision": snapshot.requested_revision,
                "subfolder": snapshot.subfolder,
            }
        if trial:
            generator.batch_cost = try_generator(generator).seconds
        return generator

    def weights(self) -> dict[str, Tensor]:
        """Nothing: the pipeline has its own files."""
        return {}

    def files(self) -> dict[str, Content]:
        """The pipeline's own files under ``pipeline/``; none where it is referred to on the Hub."""
        if self.folder is None or (self.location or {}).get("repo_id"):
            return {}
        return pipeline_files(self.folder)

    def config(self) -> Json:
        if self.location is None:
            raise MechanismError(
                "A pipeline that exists only in memory cannot be saved: write it by its own "
                "save_pretrained and load that folder with causalplug.from_pretrained."
            )
        return {
            "image": self.image.to_dict(),
            "labels": [label.to_dict() for label in self.labels],
            "pipeline": self.location,
            "prompts": self.prompts,
            "steps": self.steps,
            "guidance_scale": self.guidance_scale,
            "negative_prompt": self.negative_prompt,
            "call": self.call,
            "batch_cost": self.batch_cost,
        }

    @classmethod
    def from_snapshot(cls, config: Named, snapshot: Snapshot) -> PipelineGenerator:
        """The generator that a repository describes: its pipeline lies in ``pipeline/`` or in
        another repository."""
        fields = dict(config)
        cost = fields.pop("batch_cost")
        image: Any = variable_from_dict(fields.pop("image"), "image")
        labels = [Label.from_dict(item) for item in fields.pop("labels")]
        location = dict(fields.pop("pipeline"))
        location.pop("requested_revision", None)
        joint = _joint(labels)
        fields["prompts"] = dict(zip(joint, fields["prompts"], strict=True))
        place: str | Path = snapshot.path / "pipeline"
        if "repo_id" in location:
            place = str(location.pop("repo_id"))
            location |= snapshot.access_to(place, location["revision"])
        else:
            snapshot.fetch("pipeline/*")
        made = cls.from_pretrained(place, labels, image=image, trial=False, **location, **fields)
        made.batch_cost = cost
        return made


def _joint(labels: Sequence[Label]) -> list[tuple[Any, ...]]:
    import itertools

    return list(itertools.product(*(label.categories for label in labels)))


def _labels(prompts: str | Mapping[Any, str], labels: Sequence[Label] | None) -> tuple[Label, ...]:
    if labels is not None:
        return tuple(labels)
    if isinstance(prompts, Mapping):
        return labels_of(prompts)
    raise MechanismError(
        f"The labels of the prompt {prompts!r} cannot be told from a template: name them, as in "
        'labels=[cp.Label("colour", ["red", "blue"])].'
    )


def _arguments(
    pipeline: Any,
    steps: int | None,
    guidance_scale: float | None,
    negative_prompt: str | None,
    call: Named,
) -> Json:
    """The arguments of every call of the pipeline, checked against its signature."""
    known = inspect.signature(pipeline.__call__).parameters
    name = type(pipeline).__name__
    if "prompt" not in known or "generator" not in known:
        raise MechanismError(
            f"{name} cannot be plugged as a text-to-image generator: its call takes no prompt and "
            "generator. Use causalplug.adapters.DiffusersGenerator for class-conditional "
            "networks, or wrap it in causalplug.adapters.callable."
        )
    if steps is not None and steps < 1:
        raise MechanismError(f"A scheduler needs at least one step; got steps={steps}.")
    chosen = {
        "num_inference_steps": steps,
        "guidance_scale": guidance_scale,
        "negative_prompt": negative_prompt,
    }
    given = {key: value for key, value in chosen.items() if value is not None}
    reserved = [key for key in call if key in (*_OWN, *_OURS)]
    if reserved:
        raise MechanismError(
            f"call= cannot set {', '.join(reserved)} of {name}: causalplug sets it. Use prompts=, "
            "steps=, guidance_scale= and negative_prompt=."
        )
    given |= call
    unknown = [key for key in given if key not in known]
    if unknown:
        raise MechanismError(
            f"{name} cannot be called with {', '.join(unknown)}: its call has no such argument. It "
            f"takes {', '.join(list(known)[:12])}, …"
        )
    return given


def _painted(pipeline: Any, prompt: str, given: Named) -> Image:
    """What the pipeline paints, by its first image."""
    try:
        first = _call(pipeline, [prompt], [0], given)
    except MechanismError:
        raise
    except Exception as error:
        raise MechanismError(
            f"{type(pipeline).__name__} cannot be plugged: painting one image fails with "
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}. Give the "
            "arguments that it needs by call={…}."
        ) from error
    channels, height, width = first.shape[1:]
    return Image(channels, height, width, low=0.0, high=1.0)


def _call(pipeline: Any, prompts: Sequence[str], seeds: Sequence[int], given: Named) -> Tensor:
    """Images ``(n, channels, height, width)`` in [0, 1], one generator for each row."""
    arguments = dict(given)
    if "negative_prompt" in arguments:
        arguments["negative_prompt"] = [arguments["negative_prompt"]] * len(prompts)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    with torch.no_grad(), own_randomness():
        found = pipeline(prompt=list(prompts), generator=generators, output_type="np", **arguments)
    images = getattr(found, "images", None)
    if images is None:
        raise MechanismError(
            f"{type(pipeline).__name__} cannot be plugged: it gives {', '.join(found.keys())}, no "
            "images."
        )
    array = np.asarray(images)
    if array.ndim != 4:
        raise MechanismError(
            f"{type(pipeline).__name__} cannot be plugged: it gives an array of shape "
            f"{array.shape} where (n, height, width, channels) is right."
        )
    return torch.from_numpy(array).permute(0, 3, 1, 2).float()
