"""Prompts of text-conditional pipelines: one for every joint label."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from causalplug.errors import LabelMapError, MechanismError
from causalplug.mechanisms.frozen.label import Label
from causalplug.selection import any_of_kind, names_of, values_at, without
from causalplug.variables import Discrete

__all__ = ["check_lengths", "check_prompts", "labels_of", "prompts_of"]


@runtime_checkable
class Tokenizer(Protocol):
    """What splits a text into tokens, as transformers has it."""

    model_max_length: int

    def __call__(self, text: str, /) -> Mapping[str, Any]:
        """The tokens of a text, as ``input_ids``."""
        ...


def labels_of(prompts: Mapping[Any, str], name: str = "prompt") -> tuple[Label, ...]:
    """The label that a table of prompts speaks of: its keys are the categories.

    Raises:
        MechanismError: The keys are tuples, so that the names of several labels are needed.
    """
    keys = list(prompts)
    if any_of_kind(keys, tuple):
        raise MechanismError(
            "The labels cannot be told from prompts whose keys are tuples: name them, as in "
            'labels=[cp.Label("colour", ["red", "blue"]), …].'
        )
    return (Label(name, Discrete(keys)),)


def check_prompts(prompts: object) -> None:
    """Refuse prompts that are neither a template nor texts by label.

    Raises:
        MechanismError: With what was given.
    """
    if isinstance(prompts, str):
        return
    if not isinstance(prompts, Mapping):
        raise MechanismError(
            f"prompts=<{type(prompts).__name__}> cannot be used: give a template, or a mapping "
            'from labels to prompts, as in prompts={"cat": "a photo of a cat"}.'
        )
    if not prompts:
        raise MechanismError(
            "prompts={} cannot be used: give a prompt for every label, as in "
            'prompts={"cat": "a photo of a cat"}.'
        )
    for label, text in prompts.items():
        if not isinstance(text, str):
            raise MechanismError(
                f"The prompt of {label!r} is {text!r}, which is no text. Give a text for every "
                "label."
            )


def check_lengths(pipeline: Any, prompts: Sequence[str]) -> None:
    """Refuse prompts that every tokenizer of a pipeline would cut off; diffusers cuts them with a
    word in its log.

    Raises:
        MechanismError: A prompt is too long.
    """
    tokenizers = [part for part in pipeline.components.values() if isinstance(part, Tokenizer)]
    for prompt in dict.fromkeys(prompts):
        sizes = [len(one(prompt)["input_ids"]) for one in tokenizers]
        limits = [int(one.model_max_length) for one in tokenizers]
        cut = [size > limit for size, limit in zip(sizes, limits, strict=True)]
        if cut and all(cut):
            raise MechanismError(
                f"{type(pipeline).__name__} cannot read the prompt {prompt[:40]!r}…: it has "
                f"{max(sizes)} tokens, and the pipeline reads at most {max(limits)}. Shorten it."
            )


def prompts_of(prompts: str | Mapping[Any, str] | None, labels: Sequence[Label]) -> list[str]:
    """The prompt of every joint label, the last label varying fastest.

    Args:
        prompts: A template such as ``"a photo of a {colour} {shape}"``, or a mapping from each
            joint label (a value, or a tuple of values) to its prompt.
        labels: The labels in order.

    Raises:
        MechanismError: No prompts are given.
        LabelMapError: A combination of labels without a prompt, or two with the same.
    """
    if prompts is None:
        raise MechanismError(
            "A text-conditional pipeline needs prompts: a template or a mapping from labels to "
            'prompts, as in prompts={"cat": "a photo of a cat"}.'
        )
    check_prompts(prompts)
    keys = list(itertools.product(*(label.categories for label in labels)))
    if isinstance(prompts, str):
        return _filled(prompts, keys, names_of(labels))
    table = {}
    for key, text in prompts.items():
        table[key if isinstance(key, tuple) else (key,)] = text
    holes = without(keys, table)
    if holes:
        raise LabelMapError(
            f"The prompts have no entry for {', '.join(map(str, holes[:5]))}: every combination of "
            "labels needs one."
        )
    unknown = without(table, keys)
    if unknown:
        raise LabelMapError(
            f"The prompts have entries for {', '.join(map(str, unknown[:5]))}, which no label has. "
            "Declare these categories, or leave the entries out."
        )
    return values_at(table, keys)


def _filled(template: str, keys: Sequence[tuple[object, ...]], names: Sequence[str]) -> list[str]:
    try:
        made = []
        for key in keys:
            made.append(template.format(**dict(zip(names, map(str, key), strict=True))))
    except (KeyError, IndexError) as error:
        raise LabelMapError(
            f"The prompt {template!r} asks for {error}, which is no label. Labels: "
            f"{', '.join(names)}."
        ) from None
    if len(set(made)) < len(made):
        missing = [name for name in names if "{" + name not in template]
        wanted = ", ".join("{" + name + "}" for name in missing)
        raise LabelMapError(
            f"The prompt {template!r} is the same for different labels: it does not mention "
            f"{', '.join(missing)}. Use {wanted}."
        )
    return made
