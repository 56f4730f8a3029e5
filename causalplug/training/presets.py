"""Named sets of training settings and of network sizes, for comparison with what others trained by.

``"paper"`` is what the authors of the method publish as their training script
(Musfiqshohan/Modular-DCM, ``modularCelebA/modularTraining/modularEyeTrain.py`` and
``Experiment_Class.py``). Left out of it are the parts of their networks that have no setting here:
batch normalisation and skip connections of the mechanisms, dropout of the critics, rows that a
critic reads ten at a time, weight decay of 1e-6, and a learning rate that does not fall.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from causalplug.arguments import choice, read_argument
from causalplug.errors import TrainingError
from causalplug.selection import drop
from causalplug.values import Json

__all__ = ["PRESETS", "Preset", "preset_for", "with_presets"]

Config = TypeVar("Config")
_LENGTHS = ("steps", "epochs")  # a training has one of them


@dataclass(frozen=True)
class Preset:
    """Settings of training, and arguments of :class:`causalplug.DCM`, that belong together."""

    settings: Json
    networks: Json


PRESETS = {
    "paper": Preset(
        settings={
            "objective": "adversarial",
            "epochs": 301,
            "batch_size": 200,
            "learning_rate": 1e-4,
            "critic_learning_rate": 1e-4,
            "critic_steps": 1,
            "penalty": 10.0,
            "critic_hidden": (256, 256),
            "gradient": "straight-through",
            "temperature": (1.0, 0.1),
            "ema": 0.0,
        },
        networks={"hidden": (256, 256), "confounder_size": 128},
    )
}


def preset_for(name: str) -> Preset:
    """The preset of a name.

    Raises:
        TrainingError: There is none.
    """
    return PRESETS[read_argument("preset", name, choice(*PRESETS), TrainingError)]


def with_presets(configuration: type[Config]) -> type[Config]:
    """A class of settings whose ``preset=`` fills in what is not given.

    What is given counts, also where it equals the default: nothing of a preset is put in its place.
    """
    original: Callable[..., None] = configuration.__init__

    @wraps(original)
    def filled(self: Config, **settings: Any) -> None:
        if settings.get("preset") is not None:
            settings = _missing(settings) | settings
        original(self, **settings)

    setattr(configuration, "__init__", filled)  # noqa: B010 (a checked class has no other way)
    return configuration


def _missing(settings: Json) -> Json:
    """What a preset adds to settings; a length of training replaces the preset's own."""
    own = preset_for(settings["preset"]).settings
    if any(settings.get(name) is not None for name in _LENGTHS):
        return drop(own, _LENGTHS)
    return own
