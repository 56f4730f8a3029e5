"""Repositories of other libraries, loaded by what they hold: pipelines of diffusers, models of
transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from causalplug.errors import RepositoryError
from causalplug.files.validation import read_json
from causalplug.hub.loading import Loader
from causalplug.hub.snapshot import Snapshot
from causalplug.mechanisms.frozen.label import Label
from causalplug.values import Named
from causalplug.variables import Discrete, Image, Variable

if TYPE_CHECKING:
    from causalplug.adapters.transformers_classifier import TransformersClassifier
    from causalplug.adapters.transformers_vision import TransformersEncoder
    from causalplug.mechanisms.frozen.generator import FrozenMechanism

__all__ = ["PIPELINE_LOADER", "TRANSFORMERS_LOADER", "load_pipeline_of", "load_transformers"]


def load_pipeline_of(
    snapshot: Snapshot,
    *,
    prompts: str | Mapping[Any, str] | None = None,
    labels: Sequence[Label] | None = None,
    classes: Sequence[int] | None = None,
    steps: int | None = None,
    guidance_scale: float | None = None,
    negative_prompt: str | None = None,
    call: Named | None = None,
    variant: str | None = None,
    scheduler: str | None = None,
    dtype: Any = None,
    device: Any = None,
    label_map: Any = None,
    transform: str | list[str] | None = None,
) -> FrozenMechanism:
    """A pipeline of diffusers as a frozen generator: text-conditional with ``prompts``, else
    class-conditional with ``labels``.

    Raises:
        RepositoryError: A text-conditional pipeline without prompts, or options of the other kind.
    """
    from causalplug.adapters.diffusers import DiffusersGenerator
    from causalplug.adapters.pipelines import PipelineGenerator

    text = _reads_text(snapshot)
    _check_kind(snapshot, text, prompts, labels, classes, negative_prompt, call)
    precision = "float32"
    if dtype is not None:
        precision = str(dtype).removeprefix("torch.")
    made: FrozenMechanism
    if text:
        made = PipelineGenerator.from_pretrained(
            snapshot,
            labels,
            prompts=prompts or "",
            steps=steps,
            guidance_scale=guidance_scale,
            negative_prompt=negative_prompt,
            call=call,
            variant=variant,
            scheduler=scheduler,
            dtype=precision,
        )
    else:
        made = DiffusersGenerator.from_pretrained(
            snapshot,
            labels or (),
            classes=classes,
            steps=25 if steps is None else steps,
            guidance_scale=1.0 if guidance_scale is None else guidance_scale,
            variant=variant,
            scheduler=scheduler,
            dtype=precision,
        )
    if device is not None:
        made = made.to(device)
    if label_map is None and transform is None:
        return made
    return made.asked(label_map=label_map, transform=transform)


def _reads_text(snapshot: Snapshot) -> bool:
    index = read_json(snapshot.file("model_index.json"), within=snapshot.boundary)
    return any(name.startswith(("tokenizer", "text_encoder")) for name in index)


def _check_kind(
    snapshot: Snapshot,
    text: bool,
    prompts: object,
    labels: object,
    classes: object,
    negative_prompt: object,
    call: object,
) -> None:
    """Refuse options of the other kind of pipeline, naming the right call."""
    if text and prompts is None:
        raise RepositoryError(
            f"cannot load {snapshot} without prompts: it holds a text-conditional pipeline. Write "
            'causalplug.from_pretrained(…, prompts={"cat": "a photo of a cat", …})'
        )
    if text and classes is not None:
        raise RepositoryError(
            f"cannot load {snapshot} with classes: it holds a text-conditional pipeline, whose "
            "labels are told to it by prompts"
        )
    other = {"prompts": prompts, "negative_prompt": negative_prompt, "call": call}
    wrong = [name for name, value in other.items() if value is not None]
    if not text and wrong:
        raise RepositoryError(
            f"cannot load {snapshot} with {' and '.join(wrong)}: it holds a pipeline that reads no "
            'text. Write causalplug.from_pretrained(…, labels=[cp.Label("digit", 10)])'
        )


def load_transformers(
    snapshot: Snapshot,
    *,
    variable: Variable | None = None,
    size: int | None = None,
) -> TransformersEncoder | TransformersClassifier:
    """A model of transformers as what ``variable`` says: an encoder of images, or a classifier.

    Raises:
        RepositoryError: No variable, or one that the model cannot be.
    """
    from causalplug.adapters.transformers_classifier import TransformersClassifier
    from causalplug.adapters.transformers_vision import TransformersEncoder

    if isinstance(variable, Image):
        return TransformersEncoder.from_pretrained(snapshot, variable, size or 16)
    if isinstance(variable, Discrete):
        if size is not None:
            raise RepositoryError(
                f"cannot load {snapshot} with size: a classifier has no projection. Leave it out"
            )
        return TransformersClassifier.from_pretrained(snapshot, variable)
    if variable is None:
        raise RepositoryError(
            f"cannot load {snapshot} without variable=: it holds a model of transformers. Write "
            'causalplug.from_pretrained(…, variable=cp.Discrete(["cat", "dog"])) for a '
            "classifier, or variable=cp.Image(3, 64, 64) for an encoder of these images"
        )
    raise RepositoryError(
        f"cannot load {snapshot} as {variable}: a model of transformers is loaded as a classifier "
        "(variable=cp.Discrete([…])) or as an encoder of images (variable=cp.Image(…)). Another "
        "model goes through causalplug.wrap"
    )


PIPELINE_LOADER = Loader(
    load_pipeline_of,
    (
        "prompts",
        "labels",
        "classes",
        "steps",
        "guidance_scale",
        "negative_prompt",
        "call",
        "variant",
        "scheduler",
        "dtype",
        "device",
        "label_map",
        "transform",
    ),
    "a pipeline of diffusers",
)
"""How :func:`causalplug.from_pretrained` loads a pipeline of diffusers."""

TRANSFORMERS_LOADER = Loader(load_transformers, ("variable", "size"), "a model of transformers")
"""How :func:`causalplug.from_pretrained` loads a model of transformers."""
