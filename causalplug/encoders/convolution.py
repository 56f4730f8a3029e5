"""The small convolutional trunk that classifiers and encoders of images share."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from causalplug.variables import Variable

__all__ = ["ImageTrunk"]


class ImageTrunk(nn.Module):
    """Strided convolutions from images ``(n, channels, height, width)`` in the variable's range to
    features ``(n, size)``.

    No statistics over the batch: the features of a row do not depend on the rows beside it.

    Args:
        variable: The image variable; its range is mapped onto [-1, 1].
        channels: Width after each halving; halving stops where the shorter side is at most 4.

    Attributes:
        size: Number of features.
    """

    def __init__(self, variable: Variable, channels: Sequence[int] = (8, 16, 32, 64)):
        super().__init__()
        self.middle = (variable.low + variable.high) / 2
        self.reach = (variable.high - variable.low) / 2
        layers: list[nn.Module] = []
        before, height, width = variable.channels, variable.height, variable.width
        if min(height, width) > 128:  # few channels at full size are enough
            layers.append(nn.AvgPool2d(2))
            height, width = height // 2, width // 2
        for channel in (*channels, *[channels[-1]] * 4):
            if layers and min(height, width) <= 4:
                break
            layers += [
                nn.Conv2d(before, channel, 3, stride=2, padding=1),
                nn.GroupNorm(_groups(channel), channel),
                nn.SiLU(),
            ]
            before, height, width = channel, (height + 1) // 2, (width + 1) // 2
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.size = before * height * width

    def forward(self, images: Tensor) -> Tensor:
        return self.layers((images - self.middle) / self.reach)


def _groups(channels: int) -> int:
    if channels % 8 == 0:
        return 8
    return 1
