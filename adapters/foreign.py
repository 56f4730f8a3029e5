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
from causalplug.variables import Variable

if TYPE_CHECKING:
    from causalplug.adapters.transformers_mechanism import TransformersMechanism
    from causalplug.encoders.encoders import Encoder
    from causalplug.mechanisms.frozen.conditional import ConditionalMechanism, ErrorSpec
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
    error: ErrorSpec = None,
    prompts: str | Mapping[Any, str] | None = None,
    labels: Sequence[Label] | None = None,
    call: Named | None = None,
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
    if writes:
        return _text_model(snapshot, variable, given)
    if encodes:
        return _encoder(snapshot, variable, size or 16)
    return _mechanism_class(snapshot, variable, architecture).from_pretrained(
        snapshot, variable, error=error
    )


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


def _text_model(snapshot: Snapshot, variable: Any, given: Named) -> ConditionalMechanism:
    from causalplug.adapters.transformers_text import TransformersText

    return TransformersText.from_pretrained(snapshot, variable, **given)


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

TRANSFORMERS_LOADER = Loader(
    load_transformers,
    ("variable", "size", "error", "prompts", "labels", "call"),
    "a model of transformers",
)
"""How :func:`causalplug.from_pretrained` loads a model of transformers."""
