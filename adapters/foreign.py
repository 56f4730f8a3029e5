"""Repositories of other libraries, loaded by what they hold: pipelines of diffusers, models of
transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalplug.adapters.diffusers_files import PipelineFacts, pipeline_facts
from causalplug.adapters.lora import LoraSpec
from causalplug.adapters.pipeline_origin import SchedulerSpec
from causalplug.adapters.pipeline_outputs import check_class
from causalplug.errors import RepositoryError
from causalplug.files.precision import placed
from causalplug.hub.loading import Loader
from causalplug.hub.snapshot import Snapshot
from causalplug.mechanisms.base import Mechanism
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.mechanisms.frozen.label import Label
from causalplug.values import Named
from causalplug.variables import Image, Variable

if TYPE_CHECKING:
    from causalplug.adapters.transformers_mechanism import TransformersMechanism
    from causalplug.encoders.encoders import Encoder
    from causalplug.mechanisms.frozen.conditional import ConditionalMechanism, ErrorSpec

__all__ = [
    "KERAS_LOADER",
    "PIPELINE_LOADER",
    "TRANSFORMERS_LOADER",
    "load_keras",
    "load_pipeline_of",
    "load_transformers",
]


def load_pipeline_of(
    snapshot: Snapshot,
    *,
    variable: Variable | None = None,
    prompts: str | Mapping[Any, str] | None = None,
    labels: Sequence[Label] | None = None,
    classes: Sequence[int] | None = None,
    images: Mapping[str, Image] | None = None,
    steps: int | None = None,
    guidance_scale: float | None = None,
    negative_prompt: str | None = None,
    call: Named | None = None,
    variant: str | None = None,
    scheduler: SchedulerSpec = None,
    offload: bool = False,
    safety_checker: bool | None = None,
    lora: LoraSpec = None,
    single_file: str | None = None,
    dtype: object = None,
    device: Any = None,
    label_map: Any = None,
    transform: str | list[str] | None = None,
    trial: bool = True,
) -> Mechanism:
    """A pipeline of diffusers as a frozen mechanism: with ``images`` one that reads pictures, with
    ``prompts`` a text-conditional one, else a class-conditional one with ``labels``.

    Raises:
        RepositoryError: A text-conditional pipeline without prompts, or options of another kind.
    """
    facts = pipeline_facts(snapshot)
    check_class(str(snapshot), facts.name)
    if variable is not None and not isinstance(variable, Image):
        raise RepositoryError(
            f"cannot load {snapshot} as {variable.describe()}: it holds a pipeline that makes "
            "images. Declare a cp.Image"
        )
    if facts.own_loop and images is None:
        _check_plain(snapshot, prompts, negative_prompt, call, safety_checker)
        _check_parts(snapshot, lora, single_file)
        made: Mechanism = _with_own_loop(
            snapshot,
            labels,
            classes,
            steps,
            guidance_scale,
            {
                "image": variable,
                "variant": variant,
                "scheduler": scheduler,
                "offload": offload,
                "dtype": _precision(dtype),
                "trial": trial,
            },
        )
    else:
        _check_text(snapshot, facts, prompts, classes)
        opening = {
            "dtype": _precision(dtype),
            "variant": variant,
            "scheduler": scheduler,
            "offload": offload,
            "safety_checker": safety_checker,
            "lora": lora,
            "single_file": single_file,
            "trial": trial,
        }
        settings = {
            "image": variable,
            "prompts": prompts,
            "steps": steps,
            "guidance_scale": guidance_scale,
            "negative_prompt": negative_prompt,
            "call": call,
        }
        made = _through_call(snapshot, labels, classes, images, opening, settings)
    if device is not None:
        made = made.to(device)
    if label_map is None and transform is None:
        return made
    if not isinstance(made, FrozenMechanism):
        raise RepositoryError(
            f"cannot load {snapshot} with a label map or a transform: it reads pictures. Bind it "
            "with reads=, and declare its size"
        )
    return made.asked(label_map=label_map, transform=transform)


def _precision(dtype: object) -> str:
    if dtype is None:
        return "float32"
    return str(dtype).removeprefix("torch.")


def _with_own_loop(
    snapshot: Snapshot,
    labels: Sequence[Label] | None,
    classes: Sequence[int] | None,
    steps: int | None,
    guidance_scale: float | None,
    opening: Named,
) -> FrozenMechanism:
    """The generator whose sampling loop is our own, which brings inversion."""
    from causalplug.adapters.diffusers import DiffusersGenerator

    return DiffusersGenerator.from_pretrained(
        snapshot,
        labels or (),
        classes=classes,
        steps=25 if steps is None else steps,
        guidance_scale=1.0 if guidance_scale is None else guidance_scale,
        **opening,
    )


def _through_call(
    snapshot: Snapshot,
    labels: Sequence[Label] | None,
    classes: Sequence[int] | None,
    images: Mapping[str, Image] | None,
    opening: Named,
    settings: Named,
) -> Mechanism:
    """The mechanism that runs through the pipeline's own call."""
    from causalplug.adapters.pipeline_images import ImagePipeline
    from causalplug.adapters.pipelines import PipelineGenerator

    options = dict(opening) | dict(settings)
    if images is None:
        return PipelineGenerator.from_pretrained(snapshot, labels, classes=classes, **options)
    return ImagePipeline.from_pretrained(snapshot, images, labels, **options)


def _check_text(snapshot: Snapshot, facts: PipelineFacts, prompts: object, classes: object) -> None:
    """Refuse a text-conditional pipeline without prompts, and prompts of one without text."""
    if facts.text and prompts is None:
        raise RepositoryError(
            f"cannot load {snapshot} without prompts: it holds a text-conditional pipeline. Write "
            'causalplug.from_pretrained(…, prompts={"cat": "a photo of a cat", …})'
        )
    if facts.text and classes is not None:
        raise RepositoryError(
            f"cannot load {snapshot} with classes: it holds a text-conditional pipeline, whose "
            "labels are told to it by prompts"
        )


def _check_plain(
    snapshot: Snapshot,
    prompts: object,
    negative_prompt: object,
    call: object,
    safety_checker: object,
) -> None:
    """Refuse options of a text-conditional pipeline, naming the right call."""
    other = {
        "prompts": prompts,
        "negative_prompt": negative_prompt,
        "call": call,
        "safety_checker": safety_checker,
    }
    wrong = [name for name, value in other.items() if value is not None]
    if wrong:
        raise RepositoryError(
            f"cannot load {snapshot} with {' and '.join(wrong)}: it holds a pipeline that reads no "
            'text. Write causalplug.from_pretrained(…, labels=[cp.Label("digit", 10)])'
        )


def _check_parts(snapshot: Snapshot, lora: LoraSpec, single_file: str | None) -> None:
    wrong = [name for name, value in (("lora", lora), ("single_file", single_file)) if value]
    if wrong:
        raise RepositoryError(
            f"cannot load {snapshot} with {wrong[0]}: it holds a class-conditional pipeline, which "
            "has its weights in its own folders. Leave it out"
        )


def load_transformers(
    snapshot: Snapshot,
    *,
    variable: Variable | None = None,
    size: int | None = None,
    error: ErrorSpec = None,
    prompts: str | Mapping[Any, str] | None = None,
    labels: Sequence[Label] | None = None,
    call: Named | None = None,
    dtype: Any = None,
    device: Any = None,
    trial: bool = True,
) -> Encoder | ConditionalMechanism:
    """A model of transformers as what ``variable`` says: an encoder of images or texts, or the
    frozen mechanism of a label, a number, a vector or a text.

    Raises:
        RepositoryError: No variable, one that the model cannot be, or options of another kind.
    """
    from causalplug.adapters.transformers_files import architecture_of

    architecture = architecture_of(snapshot)[0]
    if variable is None:
        raise _asks_for_variable(snapshot, architecture)
    writes = variable.kind == "text" and writes_text(architecture) and size is None
    encodes = variable.needs_encoder and not writes
    given = {"prompts": prompts, "labels": labels, "call": call}
    if not writes:
        _refuse_options(snapshot, variable, given, "a model that writes texts")
    if not encodes:
        _refuse_options(snapshot, variable, {"size": size}, "an encoder")
    if not variable.is_number:
        _refuse_options(snapshot, variable, {"error": error}, "a regressor")
    made: Encoder | ConditionalMechanism
    if writes:
        made = _text_model(snapshot, variable, given, trial)
    elif encodes:
        made = _encoder(snapshot, variable, size or 16)
    else:
        kind = _mechanism_class(snapshot, variable, architecture)
        made = kind.from_pretrained(snapshot, variable, error=error, trial=trial)
    return placed(made, dtype, device)


def _asks_for_variable(snapshot: Snapshot, architecture: str) -> RepositoryError:
    return RepositoryError(
        f"cannot load {snapshot} without variable=: it holds a model of transformers "
        f"({architecture or 'of no stated class'}). Write causalplug.from_pretrained(…, "
        'variable=cp.Discrete(["cat", "dog"])) for a classifier, cp.Continuous() for a '
        "regressor, cp.Vector(768) for an embedding, cp.Text() for a language model or an "
        "encoder of texts, or cp.Image(3, 64, 64) for an encoder of images"
    )


def writes_text(architecture: str) -> bool:
    """Whether a class of transformers is a language model that writes."""
    endings = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
    return architecture.endswith(endings)


def _refuse_options(snapshot: Snapshot, variable: Variable, given: Named, owner: str) -> None:
    wrong = [name for name, value in given.items() if value is not None]
    if wrong:
        raise RepositoryError(
            f"cannot load {snapshot} with {' and '.join(wrong)} as {variable.describe()}: that is "
            f"an option of {owner}. Leave it out"
        )


def _text_model(
    snapshot: Snapshot, variable: Any, given: Named, trial: bool
) -> ConditionalMechanism:
    from causalplug.adapters.transformers_text import TransformersText

    return TransformersText.from_pretrained(snapshot, variable, trial=trial, **given)


def _encoder(snapshot: Snapshot, variable: Variable, size: int) -> Encoder:
    if variable.is_image:
        from causalplug.adapters.transformers_vision import TransformersEncoder

        return TransformersEncoder.from_pretrained(snapshot, variable, size)
    from causalplug.adapters.transformers_text_encoder import TransformersTextEncoder

    return TransformersTextEncoder.from_pretrained(snapshot, variable, size)


def _mechanism_class(
    snapshot: Snapshot, variable: Variable, architecture: str
) -> type[TransformersMechanism]:
    """The class of mechanism for a variable."""
    from causalplug.adapters.transformers_classifier import TransformersClassifier
    from causalplug.adapters.transformers_numbers import (
        TransformersEmbedding,
        TransformersRegressor,
    )

    if variable.is_discrete:
        return TransformersClassifier
    if variable.is_number and not variable.is_countable:
        return TransformersRegressor
    if variable.kind == "vector" and architecture.endswith("Classification"):
        return TransformersRegressor
    if variable.kind == "vector":
        return TransformersEmbedding
    raise RepositoryError(
        f"cannot load {snapshot} as {variable.describe()}: a model of transformers is the "
        "mechanism of a label (cp.Discrete), a number (cp.Continuous), a vector (cp.Vector) or a "
        "text (cp.Text). Another model goes through causalplug.wrap"
    )


def load_keras(
    path: Path,
    *,
    variable: Variable | None = None,
    labels: Sequence[Label] = (),
    device: Any = None,
    dtype: Any = None,
    label_map: Any = None,
    transform: str | Sequence[str] = (),
) -> FrozenMechanism:
    """The generator in a file of Keras.

    Raises:
        RepositoryError: A variable that is no image, or a file that is not understood.
    """
    from causalplug.adapters.keras_generator import read_keras_generator

    if variable is not None and not isinstance(variable, Image):
        raise RepositoryError(
            f"cannot load {path} as {variable.describe()}: a model of Keras is read as a generator "
            "of images. Rebuild another one in torch and give it to causalplug.wrap"
        )
    made = read_keras_generator(
        path, labels, image=variable, label_map=label_map, transform=transform
    )
    return placed(made, dtype, device)


KERAS_LOADER = Loader(
    load_keras,
    ("variable", "labels", "device", "dtype", "label_map", "transform"),
    "a generator of Keras",
)
"""How :func:`causalplug.from_pretrained` loads a generator of Keras."""

PIPELINE_LOADER = Loader(
    load_pipeline_of,
    (
        "variable",
        "prompts",
        "labels",
        "classes",
        "images",
        "steps",
        "guidance_scale",
        "negative_prompt",
        "call",
        "variant",
        "scheduler",
        "offload",
        "safety_checker",
        "lora",
        "single_file",
        "dtype",
        "device",
        "label_map",
        "transform",
        "trial",
    ),
    "a pipeline of diffusers",
)
"""How :func:`causalplug.from_pretrained` loads a pipeline of diffusers."""

TRANSFORMERS_LOADER = Loader(
    load_transformers,
    ("variable", "size", "error", "prompts", "labels", "call", "dtype", "device", "trial"),
    "a model of transformers",
)
"""How :func:`causalplug.from_pretrained` loads a model of transformers."""
