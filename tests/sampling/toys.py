"""Small mechanisms whose answers are known in closed form, and which count their calls."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from causalplug.mechanisms.base import Mechanism
from causalplug.noise import NoiseSpec
from causalplug.variables import Continuous, Discrete, Image

__all__ = ["Coin", "Greedy", "Linear", "Stamp"]


class Linear(Mechanism):
    """``weights * parents + loading * first numbers of the confounders + scale * normal``, all
    known exactly."""

    explicit, abduction = True, "exact"

    def __init__(
        self,
        parents: Mapping[str, float],
        *,
        loading: float = 0.0,
        scale: float = 1.0,
        confounder_size: int = 1,
    ):
        super().__init__()
        self.variable, self.parents = Continuous(), tuple(parents)
        self.weights, self.loading, self.scale, self.size = (
            dict(parents),
            loading,
            scale,
            confounder_size,
        )
        self.noise = {"normal": NoiseSpec()}
        self.calls = 0

    def mean(self, parents: Mapping[str, Tensor], confounder: Tensor | None) -> Tensor:
        total = torch.zeros(())
        for name, weight in self.weights.items():
            total = total + weight * parents[name].float()
        return (
            total
            if confounder is None
            else total + self.loading * confounder[..., :: self.size].sum(-1)
        )

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        self.calls += 1
        return self.mean(parents, confounder) + self.scale * noise["normal"]

    def log_prob(
        self, value: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None = None
    ) -> Tensor:
        return torch.distributions.Normal(self.mean(parents, confounder), self.scale).log_prob(
            value
        )

    def abduct(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        prior: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        return {"normal": (value - self.mean(parents, confounder)) / self.scale}


class Stamp(Mechanism):
    """A 1 x 4 x 4 image: the left half shows the parent's code in every pixel, the right half
    its own latent."""

    frozen, accepts_confounder, reads_projections = True, False, False

    def __init__(self, parent: str, abduction: str | None = None, error: float = 0.0):
        super().__init__()
        self.variable, self.parents = Image(1, 4, 4, low=-8, high=8), (parent,)
        self.abduction, self.error = abduction, error
        self.noise = {"latent": NoiseSpec((4, 2))}
        self.calls = self.rows = 0

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        self.calls, self.rows = self.calls + 1, self.rows + len(noise["latent"])
        code = parents[self.parents[0]].float()[:, None, None].expand(-1, 4, 2)
        return torch.cat([code, noise["latent"]], -1)[:, None]

    def abduct(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        prior: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        return {"latent": value[:, 0, :, 2:] + self.error}


class Greedy(Mechanism):
    """A fair coin that runs out of memory on more than ``most`` rows."""

    def __init__(self, most: int, error: type[Exception] = torch.OutOfMemoryError):
        super().__init__()
        self.variable, self.parents = Discrete(2), ()
        self.most, self.error = most, error
        self.noise = {"uniform": NoiseSpec((), "uniform")}

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        if len(noise["uniform"]) > self.most:
            raise self.error("out of memory: tried to allocate more than there is")
        return (noise["uniform"] < 0.5).long()


class Coin(Mechanism):
    """One with probability ``share``, from a uniform number; a black box without probabilities."""

    def __init__(self, share: float):
        super().__init__()
        self.variable, self.parents, self.share = Discrete(2), (), share
        self.noise = {"uniform": NoiseSpec((), "uniform")}

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        return (noise["uniform"] < self.share).long()
