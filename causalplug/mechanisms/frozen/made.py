"""What a frozen model makes, checked each time: its trial saw a few rows alone."""

from __future__ import annotations

import torch
from torch import Tensor

from causalplug.errors import MechanismError
from causalplug.variables import Image

__all__ = ["check_finite", "check_pixels", "check_scores"]

_SLACK = 1e-3  # of the range; rounding in half precision is less


def check_finite(who: str, made: Tensor) -> None:
    """Refuse values that are not finite.

    Args:
        who: What made them, for the message.
        made: The values.

    Raises:
        MechanismError: There are some.
    """
    if made.is_floating_point() and not bool(torch.isfinite(made.detach()).all()):
        raise _not_finite(who)


def check_scores(who: str, made: Tensor) -> None:
    """Refuse scores of categories that are no numbers; minus infinity is a probability of zero.

    Args:
        who: What made them, for the message.
        made: Scores ``(n, k)``.

    Raises:
        MechanismError: There are some.
    """
    if bool(torch.isnan(made.detach()).any()):
        raise _not_finite(who)


def _not_finite(who: str) -> MechanismError:
    return MechanismError(
        f"{who} gives values that are not finite. Keep its weights in float32, and check what it "
        "gives for extreme inputs."
    )


def check_pixels(who: str, image: Image, made: Tensor) -> None:
    """Refuse images outside of their declared range.

    Args:
        who: What made them, for the message.
        image: Their declaration.
        made: Images ``(n, channels, height, width)``.

    Raises:
        MechanismError: There are some, or values that are not finite.
    """
    if not made.numel():
        return
    check_finite(who, made)
    low, high = map(float, torch.aminmax(made.detach()))
    slack = _SLACK * (image.high - image.low)
    if low < image.low - slack or high > image.high + slack:
        raise MechanismError(
            f"{who} paints pixels from {low:.3g} to {high:.3g}, outside of the declared range "
            f"[{image.low:g}, {image.high:g}], on rows that its trial did not see. Declare the "
            "range that it has, or clip its output where it is generated."
        )
