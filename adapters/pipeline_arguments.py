"""What a pipeline is called with for every joint label: prompts, classes, further arguments."""

from __future__ import annotations

import inspect
import itertools
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from causalplug.adapters.prompts import check_prompts, labels_of, prompts_of
from causalplug.errors import MechanismError
from causalplug.mechanisms.frozen.label import Label
from causalplug.selection import names_of, values_at, without, without_none
from causalplug.values import Json, Named

__all__ = [
    "LabelArguments",
    "from_json",
    "label_arguments",
    "labels_for",
    "to_json",
]

_OURS = ("generator", "output_type", "return_dict", "num_images_per_prompt", "batch_size")
_OPTIONS = {
    "prompt": "prompts=",
    "class_labels": "classes=",
    "num_inference_steps": "steps=",
    "guidance_scale": "guidance_scale=",
    "negative_prompt": "negative_prompt=",
}
_TEXTS = ("prompt", "negative_prompt")


@dataclass(frozen=True)
class LabelArguments:
    """The arguments of a pipeline's call for each joint label, the last label varying fastest.

    Attributes:
        own: For each joint label, the arguments of which every row has its own value.
        shared: For each joint label, the arguments that rows of one call share.
    """

    own: tuple[Json, ...]
    shared: tuple[Json, ...]

    @property
    def prompts(self) -> list[str] | None:
        """The prompt of each joint label; None of a pipeline without prompts."""
        if "prompt" not in self.own[0]:
            return None
        return [str(given["prompt"]) for given in self.own]


def labels_for(
    prompts: str | Mapping[Any, str] | None, labels: Sequence[Label] | None
) -> tuple[Label, ...]:
    """The labels that are declared, or that the prompts speak of.

    Raises:
        MechanismError: A template with fields, whose labels cannot be told.
    """
    if prompts is not None:
        check_prompts(prompts)
    if labels is not None:
        return tuple(labels)
    if isinstance(prompts, Mapping):
        return labels_of(prompts)
    if prompts is None or not any(field for _, field, _, _ in string.Formatter().parse(prompts)):
        return ()
    raise MechanismError(
        f"The labels of the prompt {prompts!r} cannot be told from a template: name them, as in "
        'labels=[cp.Label("colour", ["red", "blue"])].'
    )


def label_arguments(
    pipeline: Any,
    labels: Sequence[Label],
    prompts: str | Mapping[Any, str] | None,
    classes: Sequence[int] | None,
    settings: Named,
    call: Named,
) -> LabelArguments:
    """The arguments of every call of the pipeline, checked against its signature.

    Args:
        pipeline: The pipeline.
        labels: Its labels in order.
        prompts: As for :class:`~causalplug.adapters.pipelines.PipelineGenerator`.
        classes: The class of each joint label, of a pipeline that takes classes.
        settings: Values of options of ours by the pipeline's name for them.
        call: Further arguments by name; a value may be a mapping from each joint label.

    Raises:
        MechanismError: Arguments that the pipeline does not have, or labels that nothing tells it.
        LabelMapError: A combination of labels without a prompt or a value.
    """
    name = type(pipeline).__name__
    known = inspect.signature(pipeline.__call__).parameters
    _check_generator(name, known)
    joint = list(itertools.product(*(label.categories for label in labels)))
    own: list[Json] = [{} for _ in joint]
    shared: list[Json] = [{} for _ in joint]
    _add_labels(name, known, labels, prompts, classes, own)
    _check_call(name, call, known)
    given = _without_none(settings) | dict(call)
    _check_known(name, given, known)
    for key, value in given.items():
        for place, one in enumerate(_per_label(key, value, joint)):
            _put(key, one, own[place], shared[place])
    return LabelArguments(tuple(own), tuple(shared))


def _check_generator(name: str, known: Named) -> None:
    if "generator" not in known:
        raise MechanismError(
            f"{name} cannot be plugged: its call takes no random generator, so that images would "
            "not be a function of their noise. Wrap it in causalplug.adapters.callable."
        )


def _without_none(settings: Named) -> Json:
    return without_none(settings)


def _put(key: str, value: object, own: Json, shared: Json) -> None:
    """Texts are a row's own; everything else is shared by the rows of a call."""
    if key.startswith(_TEXTS) and isinstance(value, str):
        own[key] = value
    else:
        shared[key] = value


def _add_labels(
    name: str,
    known: Named,
    labels: Sequence[Label],
    prompts: str | Mapping[Any, str] | None,
    classes: Sequence[int] | None,
    own: list[Json],
) -> None:
    if "prompt" in known:
        if classes is not None:
            raise MechanismError(f"{name} takes prompts, not classes: give prompts=.")
        for given, prompt in zip(own, prompts_of(prompts, labels), strict=True):
            given["prompt"] = prompt
        return
    if prompts is not None:
        raise MechanismError(f"{name} takes no prompts: leave prompts= out.")
    if labels:
        _add_classes(name, known, labels, classes, own)


def _add_classes(
    name: str,
    known: Named,
    labels: Sequence[Label],
    classes: Sequence[int] | None,
    own: list[Json],
) -> None:
    if "class_labels" not in known:
        raise MechanismError(
            f"{name} takes neither prompts nor classes: nothing tells it the labels "
            f"{', '.join(names_of(labels))}. Declare no labels, or take another "
            "pipeline."
        )
    codes = list(range(len(own)))
    if classes is not None:
        codes = list(classes)
    if len(codes) != len(own):
        raise MechanismError(
            f"{len(own)} joint labels need {len(own)} classes; classes= has {len(codes)}."
        )
    for given, code in zip(own, codes, strict=True):
        given["class_labels"] = code


def _check_call(name: str, call: Named, known: Named) -> None:
    reserved = [key for key in call if key in _OURS or key in _OPTIONS]
    if reserved:
        ways = ", ".join(_OPTIONS[key] for key in reserved if key in _OPTIONS)
        raise MechanismError(
            f"call= cannot set {', '.join(reserved)} of {name}: causalplug sets it. Use "
            f"{ways or 'other arguments'}."
        )


def _check_known(name: str, given: Named, known: Named) -> None:
    unknown = without(given, known)
    if unknown:
        ways = ", ".join(_OPTIONS.get(key, key) for key in unknown)
        raise MechanismError(
            f"{name} cannot be called with {', '.join(unknown)}: its call has no such argument "
            f"(given by {ways}). It takes {', '.join(list(known)[:12])}, …"
        )


def _per_label(key: str, value: object, joint: Sequence[tuple[object, ...]]) -> list[object]:
    """One value for each joint label, from a mapping of labels or a value of them all."""
    if not isinstance(value, Mapping):
        return [value] * len(joint)
    table = {_as_tuple(one): found for one, found in value.items()}
    missing = without(joint, table)
    if len(missing) == len(joint):
        return [value] * len(joint)  # an argument that is a mapping itself
    unknown = without(table, joint)
    if missing or unknown:
        raise MechanismError(
            f"The argument {key!r} of call= is given for some labels only: it lacks "
            f"{_named(missing)} and has {_named(unknown)} beside. Give a value for every joint "
            "label."
        )
    return values_at(table, joint)


def _named(labels: Sequence[tuple[object, ...]]) -> str:
    return ", ".join(map(str, labels)) or "none"


def _as_tuple(label: object) -> tuple[object, ...]:
    if isinstance(label, tuple):
        return label
    return (label,)


def to_json(call: Named) -> Json:
    """Arguments as JSON values: a mapping of labels is written as a list of pairs."""
    found = {}
    for key, value in call.items():
        if isinstance(value, Mapping):
            pairs = [[list(k) if isinstance(k, tuple) else k, v] for k, v in value.items()]
            value = {"per_label": pairs}
        found[key] = value
    return found


def from_json(call: Named) -> Json:
    """Inverse of :func:`to_json`."""
    found = {}
    for key, value in call.items():
        if isinstance(value, Mapping):
            pairs = value["per_label"]
            value = {tuple(k) if isinstance(k, list) else k: v for k, v in pairs}
        found[key] = value
    return found
