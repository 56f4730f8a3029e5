"""What a network of one's own gives, checked on a trial run against what its variable declares."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from causalplug.errors import MechanismError
from causalplug.values import Named
from causalplug.variables import Variable

__all__ = ["checked_output", "refuse_sigmoid_scores"]


def checked_output(
    module: nn.Module, variable: Variable, made: Tensor, output: str | None, *, latent: bool
) -> str:
    """What the network's output is, checked on a trial run.

    Raises:
        MechanismError: It is not what the variable declares.
    """
    name = type(module).__name__
    if made.is_complex():
        raise MechanismError(f"{name} cannot be wrapped: it gives complex numbers.")
    if not bool(torch.isfinite(made).all()):
        raise MechanismError(f"{name} cannot be wrapped: it gives values that are not finite.")
    size = variable.cardinality
    if size is None:
        return _checked_value(name, variable, made, output)
    if tuple(made.shape[1:]) != (size,):
        raise MechanismError(
            f"{name} cannot be wrapped: it gives {list(made.shape[1:])} numbers per row, and "
            f"{variable.describe()} need one score for each of {size} categories."
        )
    if latent:
        raise MechanismError(
            f"{name} cannot be wrapped: the scores of a discrete variable must not depend on a "
            "latent. Leave latent= out, or average the scores over it."
        )
    sums = bool((made >= 0).all()) and bool(((made.sum(-1) - 1).abs() < 1e-3).all())
    if output == "probabilities" and not sums:
        raise MechanismError(
            f"{name} cannot be wrapped with output='probabilities': it gives scores from "
            f"{float(made.min()):.3g} to {float(made.max()):.3g} that do not sum to 1. Leave "
            "output out, or end the network in a softmax."
        )
    return output or ("probabilities" if sums else "logits")


def _checked_value(name: str, variable: Variable, made: Tensor, output: str | None) -> str:
    if output is not None:
        raise MechanismError(f"output={output!r} is for discrete variables. Leave it out.")
    if variable.is_countable or (variable.needs_encoder and not variable.is_image):
        raise MechanismError(
            f"{name} cannot be wrapped as the mechanism of {variable.describe()}: a network gives "
            "numbers, vectors, images or scores of categories."
        )
    wanted = variable.event_shape
    flat = not wanted and tuple(made.shape[1:]) == (1,)
    if tuple(made.shape[1:]) != wanted and not flat:
        raise MechanismError(
            f"{name} cannot be wrapped: it gives values of shape {list(made.shape[1:])} per row, "
            f"and {variable.describe()} has {list(wanted)}. Declare the variable so, or reshape."
        )
    if variable.is_image:
        low, high = variable.low, variable.high
        slack = 1e-3 * (high - low)
        found = float(made.min()), float(made.max())
        if found[0] < low - slack or found[1] > high + slack:
            raise MechanismError(
                f"{name} cannot be wrapped: it gives pixels from {found[0]:.3g} to {found[1]:.3g}, "
                f"outside of [{low:g}, {high:g}]. Declare the range that it paints in, as in "
                f"cp.Image(…, low={math.floor(found[0])}, high={math.ceil(found[1])})."
            )
    return "value"


def refuse_sigmoid_scores(module: nn.Module, steps: Named) -> None:
    """Refuse scores that end in a sigmoid: they are neither logits nor probabilities of one
    category among several.

    Raises:
        MechanismError: With the ways out.
    """
    last = next((step for step in steps["steps"] if step["name"] == steps["output"]), None)
    if last is not None and last["op"].startswith("aten:sigmoid."):
        raise MechanismError(
            f"{type(module).__name__} cannot be wrapped: its scores end in a sigmoid, and do not "
            "sum to 1 over the categories. Leave the sigmoid out, put a softmax in its place, or "
            'give output="logits" if the softmax of these numbers is what is meant.'
        )
