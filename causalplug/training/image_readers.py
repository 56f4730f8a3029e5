"""The networks that counterfactual images are trained against: one reads the parents off an image,
one scores how image and parents agree."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from causalplug.mechanisms.trainable.conditioner import Conditioner, ParentSpec
from causalplug.training.image_game import ProjectionCritic
from causalplug.variables import Variable

__all__ = ["PairCritic", "Reader", "Support", "image_trunk"]

_SMALL = 1024  # numbers of an image up to which a critic reads it densely
_NUMBERS = 10.0  # weight of a number's squared error beside a category's cross entropy


def image_trunk(variable: Variable, out: int) -> nn.Module:
    """A convolutional network from pixels in [-1, 1] to ``out`` rectified numbers."""
    channels, height, width = variable.event_shape
    coarse = -(-height // 4) * -(-width // 4)
    return nn.Sequential(
        nn.Conv2d(channels, 16, 5, stride=2, padding=2),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 48, 3, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(48, 64, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(64 * coarse, out),
        nn.LeakyReLU(0.2),
    )


class PairCritic(ProjectionCritic):
    """A projection critic whose trunk is convolutional for images that are not small."""

    @staticmethod
    def _trunk(variable: Variable) -> nn.Module:
        if variable.feature_size <= _SMALL:
            return ProjectionCritic._trunk(variable)
        return image_trunk(variable, 128)


class Reader(nn.Module):
    """Reads the parents of an image off it; trained on real rows alone.

    Args:
        variable: The image variable.
        parents: What its mechanism reads of each parent; projections of other images are left out.
        rows: Rows of data, for the scale of numbers.
    """

    def __init__(
        self, variable: Variable, parents: Mapping[str, ParentSpec], rows: Mapping[str, Tensor]
    ):
        super().__init__()
        self.read = {n: spec for n, spec in parents.items() if not isinstance(spec, int)}
        self.sizes = [spec.feature_size for spec in self.read.values()]
        self.scaling = Conditioner(self.read, 0, 1)
        self.scaling.standardise(rows)
        self.trunk = image_trunk(variable, 128)
        self.head = nn.Linear(128, sum(self.sizes))

    def losses(self, pixels: Tensor, parents: Mapping[str, Tensor]) -> Tensor:
        """How far ``(n,)`` what is read off pixels in [-1, 1] is from ``parents``: cross entropy of
        categories, squared error of numbers."""
        read = self.head(self.trunk(pixels)).float()
        meant = self.scaling.features(parents)
        total = read.new_zeros(len(read))
        places = zip(
            self.read.items(), read.split(self.sizes, 1), meant.split(self.sizes, 1), strict=True
        )
        for (name, spec), own, wanted in places:
            if spec.is_discrete:
                total = total + nn.functional.cross_entropy(own, parents[name], reduction="none")
            else:
                total = total + _NUMBERS * (own - wanted).square().mean(1) / len(self.sizes)
        return total

    def trained(self) -> list[nn.Parameter]:
        """Its parameters that are trained."""
        return [*self.trunk.parameters(), *self.head.parameters()]


class Support(nn.Module):
    """How frequent values of the parents are among real rows, relative to rows in which some were
    set: a classifier of the two (Sugiyama, Suzuki & Kanamori 2012).

    Args:
        features: Numbers of features of the parents.
    """

    def __init__(self, features: int):
        super().__init__()
        self.score = nn.Sequential(
            nn.Linear(features, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2)
        )
        self.out = nn.Linear(32, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Log odds ``(n,)`` of being real."""
        return self.out(self.score(features)).squeeze(-1).float()

    @torch.no_grad()
    def weights(self, features: Tensor) -> Tensor:
        """Ratio of the densities ``(n,)``, at most 2: half of the rows that were set are real."""
        return self(features).exp().clamp(max=2.0)
