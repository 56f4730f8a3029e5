"""Rules of the arguments that fit, Trainer and what refits have in common."""

from __future__ import annotations

from accelerate import Accelerator

from causalplug.arguments import FLAG, PATH, TEXT, Rule, instance, whole
from causalplug.model.model import Model

__all__ = ["ACCELERATOR", "FOLDER", "MODEL", "REPLICATES", "RESUME", "TRACKER"]

MODEL = instance("a model (DCM)", Model)
FOLDER = PATH.or_none("nothing on disk")
ACCELERATOR = instance("an Accelerator of accelerate", Accelerator).or_none("a new one")
TRACKER = Rule("the name of a tracker, such as 'tensorboard'", TEXT.read).or_none("none")
REPLICATES = whole(0, 100_000)
RESUME = FLAG.or_else(PATH)
