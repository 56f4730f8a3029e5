"""Diffusion pipelines of the diffusers library: conditional on a class, or on text made from the
labels.

The sampling loop of class-conditional networks is our own, so that any scheduler serves and a row's
image is a function of its noise alone; text-conditional pipelines run as their authors wrote them,
with our initial noise.
"""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from causalplug.adapters.diffusers_files import load_parts, open_pipeline
from causalplug.adapters.diffusers_inversion import explained, inverted, invertible
from causalplug.adapters.pipeline_origin import SchedulerSpec
from causalplug.adapters.places import place_of, reference_of
from causalplug.adapters.prompts import prompts_of
from causalplug.adapters.row_seeds import own_randomness, pipeline_files, seed_of
from causalplug.adapters.rules import CALLING, CLASSES, FETCHING, LABELS, OPENING, TERMS
from causalplug.arguments import COUNT, number, takes, whole
from causalplug.errors import MechanismError
from causalplug.hub.part import Content
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.generator import FrozenMechanism, LabelMapSpec
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.mechanisms.frozen.trial import try_generator
from causalplug.networks import freeze
from causalplug.noise import NoiseSpec
from causalplug.selection import names_of, of_kind, to_dicts, values_at
from causalplug.values import Json, Named
from causalplug.variables import Image, variable_from_dict

if TYPE_CHECKING:
    from causalplug.hub.snapshot import Snapshot

__all__ = ["DiffusersGenerator"]

_DECODERS = ("vae", "vqvae", "movq")
_OPENING = {name: rule for name, rule in OPENING.items() if name != "single_file"}
_SETTINGS = {
    "labels": LABELS,
    "classes": CLASSES,
    "image": CALLING["image"],
    "steps": COUNT,
    "guidance_scale": number(low=0),
    "null_class": whole(0).or_none("none"),
    "negative_prompt": CALLING["negative_prompt"],
    "eta": number(low=0, high=1),
}


@register_mechanism("diffusers")
class DiffusersGenerator(FrozenMechanism):
    """A diffusers pipeline as a frozen mechanism.

    Deterministic given its noise: ``"latent"`` is the initial noise, and what a stochastic
    scheduler draws comes from generators that ``"seed"`` seeds row by row. No gradient goes through
    it; training reads a sample bank. The noise of a given image can be recovered where the sampler
    is deterministic and makes one evaluation a step.

    Args:
        parts: Components by name, as in ``model_index.json``; or a whole text-conditional pipeline.
        labels: Its labels in order; for a class-conditional network their joint value is the class.
        image: What it paints; by default told by the components, in [-1, 1] (text: [0, 1]).
        steps: Steps of the scheduler.
        guidance_scale: 1 for none; class-conditional networks then need an unconditional class.
        classes: Class of each joint label, the last label varying fastest; by default 0, 1, 2, …
        null_class: The unconditional class of classifier-free guidance.
        prompts: Prompts of a text-conditional pipeline: a template such as ``"a photo of a {colour}
            {shape}"``, or a mapping from each joint label (a value, or a tuple of values) to its
            prompt.
        negative_prompt: As in the pipeline.
        eta: Eta of a DDIM scheduler.

    Raises:
        MechanismError: A class that the network does not have, a combination of labels without
            prompt, parts missing.
    """

    needs = ("diffusers",)

    @takes(MechanismError, **_SETTINGS, **TERMS)
    def __init__(
        self,
        parts: Any,
        labels: Sequence[Label],
        *,
        image: Image | None = None,
        steps: int = 25,
        guidance_scale: float = 1.0,
        classes: Sequence[int] | None = None,
        null_class: int | None = None,
        prompts: str | Mapping[Any, str] | None = None,
        negative_prompt: str | None = None,
        eta: float = 0.0,
        license: str | None = None,
        source: str | None = None,
        label_map: LabelMapSpec = None,
        transform: str | Sequence[str] = (),
    ):
        text = not isinstance(parts, Mapping)
        components: Json = dict(parts.components if text else parts)
        network = _network(components)
        latent = _latent_shape(network)
        vae = _decoder(components)
        if not text:
            _check_parts(components, network, vae)
        super().__init__(
            image or _image(latent, vae, text),
            labels,
            {"latent": NoiseSpec(latent), "seed": NoiseSpec((2,), "uniform")},
            license=license,
            source=source,
            label_map=label_map,
            transform=transform,
        )
        self.steps, self.guidance_scale, self.eta = steps, float(guidance_scale), float(eta)
        self.network: nn.Module = network
        self.vae: nn.Module | None = vae
        self.scheduler = components["scheduler"]
        self.negative_prompt = negative_prompt
        self.requested_classes: list[int] | None = None
        if classes is not None:
            self.requested_classes = list(classes)
        self.null_class = null_class
        self.pipeline: Any = None
        self.prompts: list[str] | None = None
        self.abduction = None
        self.moves_by_latent = not text  # a pipeline's own call passes no gradients
        if text:
            self._take_pipeline(parts, prompts_of(prompts, labels))
        else:
            self._take_classes()
        self.location: Json | None = None
        self.folder: Path | None = None
        self.batch_cost = _cost(network, latent, steps)
        freeze(self)

    def _take_pipeline(self, pipeline: Any, prompts: list[str]) -> None:
        """Run through a text-conditional pipeline's own call."""
        pipeline.set_progress_bar_config(disable=True)
        self.pipeline = pipeline
        self.prompts = prompts
        known = (self.network, self.vae)
        others = of_kind(pipeline.components.values(), nn.Module)
        self.others = nn.ModuleList([part for part in others if part not in known])

    def _take_classes(self) -> None:
        """Run the class-conditional network by the sampling loop of this class."""
        self._check_classes()
        if invertible(self.scheduler, self.eta):
            self.abduction = "approximate"

    # -- labels

    def _check_classes(self) -> None:
        config: Any = self.network.config
        joint = self._map.size
        if not self.labels:
            if _class_count(config):
                raise MechanismError(
                    f"{type(self.network).__name__} is class-conditional, and no labels are "
                    "declared, which say what it paints. Give labels=[cp.Label('digit', "
                    f"{_class_count(config)})], or fewer labels with classes=[…]."
                )
            self.classes = torch.zeros(1, dtype=torch.int64)
            return
        classes = list(range(joint))
        if self.requested_classes is not None:
            classes = self.requested_classes
        if len(classes) != joint:
            raise MechanismError(
                f"{joint} joint labels need {joint} classes; classes= has {len(classes)}."
            )
        self.classes = torch.tensor(classes)
        if config.get("class_embed_type") == "timestep":  # a number is embedded, whatever it is
            return
        known = _class_count(config)
        if not known:
            raise MechanismError(
                f"{type(self.network).__name__} is unconditional: it has no classes for the labels "
                f"{', '.join(names_of(self.labels))}. Declare no labels, or take a "
                "class-conditional pipeline."
            )
        # a DiT keeps its unconditional class beyond those that it counts
        top = known + ("Transformer" in type(self.network).__name__)
        self._check_known(classes, known, top)
        if self.guidance_scale != 1.0 and self.null_class is None:
            if top == known:
                raise MechanismError(
                    "guidance_scale needs the network's unconditional class: give null_class=…."
                )
            self.null_class = known

    def _check_known(self, classes: Sequence[int], known: int, top: int) -> None:
        asked = list(classes)
        if self.null_class is not None:
            asked.append(self.null_class)
        wrong = [str(code) for code in asked if not 0 <= code < top]
        if wrong:
            raise MechanismError(
                f"The pipeline has no class {', '.join(wrong[:5])}: its classes are 0 to "
                f"{known - 1}. Give the class of each label by classes=[…], or declare fewer "
                "labels."
            )

    # -- painting

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the network."""
        return next(self.network.parameters()).dtype

    def generate(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        device = next(self.network.parameters()).device
        generators = []
        for pair in noise["seed"].tolist():
            generators.append(torch.Generator().manual_seed(seed_of(pair)))
        joint = self._joint(labels)
        with own_randomness():
            if self.pipeline is not None:
                return self._run_pipeline(joint, noise["latent"], generators)
            sample = self._denoise(
                self.classes[joint.cpu()].to(device), noise["latent"].to(device), generators
            )
            return (
                self._decoded(sample)
                .float()
                .clamp(self.image.low, self.image.high)
                .to(labels.device)
            )

    def _joint(self, labels: Tensor) -> Tensor:
        """The joint label of each row."""
        if self.labels:
            return self._map.join(labels)
        return torch.zeros(len(labels), dtype=torch.int64)

    def _denoise(
        self, classes: Tensor, latent: Tensor, generators: list[torch.Generator]
    ) -> Tensor:
        scheduler = copy.deepcopy(self.scheduler)  # multistep schedulers remember earlier steps
        scheduler.set_timesteps(self.steps)
        options = inspect.signature(scheduler.step).parameters
        extra: Json = {}
        if "generator" in options:
            extra = {"generator": generators}
        if "eta" in options:
            extra |= {"eta": self.eta}
        sample = latent * float(getattr(scheduler, "init_noise_sigma", 1.0))
        for t in scheduler.timesteps:
            scaled = sample
            if hasattr(scheduler, "scale_model_input"):
                scaled = scheduler.scale_model_input(sample, t)
            predicted = self._predict(scaled, t, classes)
            sample = scheduler.step(predicted, t, sample, **extra, return_dict=False)[0]
        return sample

    def _predict(self, sample: Tensor, t: Tensor, classes: Tensor) -> Tensor:
        options = {}
        if self.labels:
            options = {"class_labels": classes}
        times = t.to(sample.device).expand(len(sample))

        def run(given: Named) -> Tensor:
            found = self.network(sample.to(self.dtype), times, **given).sample.float()
            if self._learns_variance:
                return found
            return found[:, : sample.shape[1]]  # a predicted variance that nobody reads

        if not self.labels or self.guidance_scale == 1.0:
            return run(options)
        null = run({"class_labels": torch.full_like(classes, int(self.null_class or 0))})
        chosen = run(options)
        guided = null + self.guidance_scale * (chosen - null)
        channels = sample.shape[1]
        return torch.cat([guided[:, :channels], chosen[:, channels:]], 1)

    @property
    def _learns_variance(self) -> bool:
        """Whether the scheduler reads a variance that the network predicts beside the noise."""
        return self.scheduler.config.get("variance_type") in ("learned", "learned_range")

    def _decoded(self, sample: Tensor) -> Tensor:
        if self.vae is None:
            return sample
        scale, shift = _scaling(self.vae)
        return self.vae.decode((sample / scale + shift).to(self.dtype)).sample  # type: ignore[operator]

    def invert(self, images: Tensor, labels: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The initial noise, by running the sampler backwards step by step."""
        device = next(self.network.parameters()).device
        joint = self._joint(labels)
        classes = self.classes[joint.cpu()].to(device)
        with torch.no_grad(), own_randomness():
            sample = self._encoded(images.to(device))
            latent = inverted(self._predict, self.scheduler, sample, classes, steps=self.steps)
            likely = explained(self._predict, self.scheduler, sample, classes, steps=self.steps)
        seed = images.new_zeros(len(images), 2)  # a deterministic sampler reads no seed
        return {"latent": latent.to(images.device), "seed": seed}, likely.to(images.device)

    def _encoded(self, images: Tensor) -> Tensor:
        """Inverse of :meth:`_decoded`."""
        if self.vae is None:
            return images
        scale, shift = _scaling(self.vae)
        found = self.vae.encode(images.to(self.dtype))  # type: ignore[operator]
        if "latents" in found:  # a vector-quantised autoencoder has no distribution
            latent = found.latents
        else:
            latent = found.latent_dist.mean
        return (latent.float() - shift) * scale

    def _run_pipeline(
        self, joint: Tensor, latent: Tensor, generators: list[torch.Generator]
    ) -> Tensor:
        assert self.pipeline is not None
        assert self.prompts is not None
        options = inspect.signature(self.pipeline.__call__).parameters
        prompts = values_at(self.prompts, joint.tolist())
        given: Json = {
            "prompt": prompts,
            "latents": latent.to(self.pipeline.device, self.dtype),
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance_scale,
            "generator": generators,
            "output_type": "pt",
            "return_dict": False,
        }
        if self.negative_prompt is not None:
            given["negative_prompt"] = [self.negative_prompt] * len(prompts)
        if "eta" in options:
            given["eta"] = self.eta
        unit = self.pipeline(**given)[0].float().to(joint.device)
        return self.image.low + (self.image.high - self.image.low) * unit.clamp(0, 1)

    # -- loading and saving

    @classmethod
    @takes(MechanismError, **FETCHING, **_OPENING, **_SETTINGS, **TERMS)
    def from_pretrained(  # type: ignore[override]
        cls,
        source: str | PathLike[str] | Snapshot,
        labels: Sequence[Label],
        *,
        revision: str | None = None,
        subfolder: str = "",
        cache_dir: str | PathLike[str] | None = None,
        token: bool | str | None = None,
        local_files_only: bool = False,
        dtype: str = "float32",
        variant: str | None = None,
        scheduler: SchedulerSpec = None,
        offload: bool = False,
        trial: bool = True,
        image: Image | None = None,
        steps: int = 25,
        guidance_scale: float = 1.0,
        classes: Sequence[int] | None = None,
        null_class: int | None = None,
        prompts: str | Mapping[Any, str] | None = None,
        negative_prompt: str | None = None,
        eta: float = 0.0,
        license: str | None = None,
        label_map: LabelMapSpec = None,
        transform: str | Sequence[str] = (),
    ) -> DiffusersGenerator:
        """A pipeline from a folder or the Hub, safetensors only.

        Args:
            source: A folder that a pipeline's ``save_pretrained`` wrote, or a Hub id.
            labels: Its labels.
            dtype: Precision of its networks.
            variant: Which files of weights are read, such as ``"fp16"``.
            scheduler: Class of another scheduler, such as ``"UniPCMultistepScheduler"`` for few
                steps, or a mapping with its ``"class"`` and settings.
            offload: Keep the parts of a text-conditional pipeline off the accelerator while they do
                not run.
            trial: Whether a few images are painted first, to check range, shape and independence
                of the rows.
            image, steps, guidance_scale, classes, null_class, prompts, negative_prompt, eta: As for
                the class.
            license, label_map, transform: As for the class.
            revision, subfolder, cache_dir, token, local_files_only: As in ``huggingface_hub``.

        Raises:
            MissingDependencyError: diffusers is not installed.
            RepositoryError: Files are missing or not safetensors.
        """
        snapshot = open_pipeline(source, revision, subfolder, cache_dir, token, local_files_only)
        parts = load_parts(
            snapshot,
            dtype=dtype,
            scheduler=scheduler,
            text=prompts is not None,
            offload=offload,
            variant=variant,
        )
        generator = cls(
            parts,
            labels,
            image=image,
            steps=steps,
            guidance_scale=guidance_scale,
            classes=classes,
            null_class=null_class,
            prompts=prompts,
            negative_prompt=negative_prompt,
            eta=eta,
            license=license,
            label_map=label_map,
            transform=transform,
        )
        generator.folder = snapshot.path
        generator.location = {"dtype": dtype, "scheduler": scheduler, "offload": offload}
        if variant is not None:
            generator.location["variant"] = variant
        if snapshot.repo_id is not None:
            generator.location |= reference_of(snapshot)
            generator.location["requested_revision"] = snapshot.requested_revision
        if generator.license is None and snapshot.repo_id is not None:
            generator.license = snapshot.license
        if trial:
            try_generator(generator)
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
                "save_pretrained and load that folder with DiffusersGenerator.from_pretrained."
            )
        fields = {
            "image": self.image.to_dict(),
            "labels": to_dicts(self.labels),
            "pipeline": self.location,
            "steps": self.steps,
            "guidance_scale": self.guidance_scale,
            "eta": self.eta,
        }
        if self.prompts is not None:
            return fields | {"prompts": self.prompts, "negative_prompt": self.negative_prompt}
        return fields | {"classes": self.requested_classes, "null_class": self.null_class}

    @classmethod
    def from_snapshot(cls, config: Named, snapshot: Snapshot) -> DiffusersGenerator:
        """The generator that a repository describes: its pipeline lies in ``pipeline/`` or in
        another repository."""
        fields = dict(config)
        image: Any = variable_from_dict(fields.pop("image"), "image")
        labels = list(map(Label.from_dict, fields.pop("labels")))
        place, location = place_of(fields.pop("pipeline"), snapshot, "pipeline")
        prompts = fields.get("prompts")
        if prompts is not None:
            keys = itertools.product(*(label.categories for label in labels))
            fields["prompts"] = dict(zip(keys, prompts, strict=True))
        return cls.from_pretrained(place, labels, image=image, trial=False, **location, **fields)


def _scaling(vae: Any) -> tuple[float, float]:
    """Factor and shift of the latents that the network of a pipeline reads."""
    config = vae.config
    return config.get("scaling_factor") or 1.0, config.get("shift_factor") or 0.0


def _network(components: Named) -> Any:
    """The network among the parts.

    Raises:
        MechanismError: There is none, or no scheduler.
    """
    for key in ("unet", "transformer"):
        if key in components and "scheduler" in components:
            return components[key]
    raise MechanismError(
        f"A diffusion generator cannot be made of {sorted(components)}: it needs a network "
        "(unet or transformer) and a scheduler. Give the folder that the pipeline's "
        "save_pretrained wrote."
    )


def _decoder(components: Named) -> Any:
    """The decoder among the parts; None where the network paints pixels."""
    for key in _DECODERS:
        if components.get(key) is not None:
            return components[key]
    return None


def _cost(network: nn.Module, latent: tuple[int, int, int], steps: int) -> float:
    """Seconds of 64 images on one CPU thread, as measured with U-Nets of 0.64M parameters on 8 x 8
    to 32 x 32."""
    parameters = sum(p.numel() for p in network.parameters())
    return 0.5 * steps * parameters / 6.4e5 * latent[1] * latent[2] / 1024


def _class_count(config: Named) -> int | None:
    """How many classes a network has; None if it has none."""
    return config.get("num_class_embeds") or config.get("num_embeds_ada_norm")


def _check_parts(components: Named, network: object, vae: object) -> None:
    """Refuse parts that the sampling loop would never run, which would give wrong pictures.

    Raises:
        MechanismError: With their names.
    """
    known = (network, vae)
    others = []
    for name, one in components.items():
        if isinstance(one, nn.Module) and not any(one is part for part in known):
            others.append(name)
    if others:
        raise MechanismError(
            f"A class-conditional generator cannot be made of these parts: nothing would run "
            f"{', '.join(others)}. Load the pipeline with causalplug.from_pretrained, which goes "
            "through its own call."
        )


def _latent_shape(network: Any) -> tuple[int, int, int]:
    size = network.config.sample_size
    if size is None:
        raise MechanismError(
            f"{type(network).__name__} does not say its sample_size: set it in the pipeline's "
            "config."
        )
    if isinstance(size, int):
        height, width = (size, size)
    else:
        height, width = tuple(size)
    return (network.config.in_channels, height, width)


def _image(latent: tuple[int, int, int], vae: Any, text: bool) -> Image:
    channels, height, width = latent
    if vae is not None:
        factor = 2 ** (len(vae.config.block_out_channels) - 1)
        channels, height, width = vae.config.out_channels, height * factor, width * factor
    return Image(channels, height, width, low=0.0 if text else -1.0)
