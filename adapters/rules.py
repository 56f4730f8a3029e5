"""Rules of the arguments that several adapters take."""

from __future__ import annotations

from collections.abc import Mapping

from causalplug.arguments import (
    COUNT,
    FLAG,
    MAPPING,
    NAME,
    TEXT,
    choice,
    instance,
    number,
    several,
    whole,
)
from causalplug.arguments import NAMES as TEXTS
from causalplug.hub.loading import FETCHING as ALL_FETCHING
from causalplug.mechanisms.frozen.label import Label
from causalplug.variables import Image, Variable

__all__ = ["CALLING", "CLASSES", "ERROR", "FETCHING", "LABELS", "OPENING", "READING", "TERMS"]

FETCHING = {
    name: ALL_FETCHING[name]
    for name in ("revision", "subfolder", "cache_dir", "token", "local_files_only")
}
"""How files are fetched."""

TERMS = {
    "license": NAME.or_none("what its repository says"),
    "transform": TEXTS,
}
"""Terms of a generator's weights, and how its images may change their shape."""

LABELS = several(instance('a cp.Label, as in cp.Label("digit", 10)', Label))
"""The labels of a generator."""

CLASSES = several(whole(0)).or_none("0, 1, 2, …")
"""The class of each joint label."""

CALLING = {
    "labels": LABELS.or_none("those of its prompts"),
    "image": instance("a cp.Image", Image).or_none("what it paints"),
    "steps": COUNT.or_none("its own"),
    "guidance_scale": number(low=0).or_none("its own"),
    "negative_prompt": TEXT.or_none("none"),
    "call": MAPPING.or_none("none"),
    "batched": FLAG.or_none("what a trial shows"),
    "safety_checker": FLAG.or_none("refused black pictures"),
}
"""How a pipeline is called."""

_SCHEDULER = NAME.or_else(instance('a mapping with its "class" and settings', Mapping))
OPENING = {
    "dtype": choice("float32", "float16", "bfloat16"),
    "variant": NAME.or_none("none"),
    "scheduler": _SCHEDULER.or_none("its own"),
    "offload": FLAG,
    "single_file": NAME.or_none("none"),
    "trial": FLAG,
}
"""How a pipeline is opened."""

READING = {
    "variable": instance("the declaration of a variable", Variable),
    "reads": instance("the declaration of a variable", Variable).or_none("that of its parent"),
}
"""What a model of transformers gives and reads."""

ERROR = number(above=0).or_else(choice("estimate")).or_none("none")
"""The error of a number."""
