"""The trainable mechanism of a number with atoms, heavy tails, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from causalplug.files.precision import Exact
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.abduction import gumbel_given
from causalplug.mechanisms.trainable.conditioned import Conditioned
from causalplug.mechanisms.trainable.conditioner import (
    Conditioner,
    ParentSpec,
)
from causalplug.mechanisms.trainable.continuous import spline_log_prob, spline_value
from causalplug.mechanisms.trainable.marginal import Marginal
from causalplug.mechanisms.trainable.truncated import Truncated
from causalplug.networks import common_shape
from causalplug.noise import NoiseSpec
from causalplug.values import Json
from causalplug.variables import Continuous

__all__ = ["MixedSpline"]


@register_mechanism("continuous-mixed")
class MixedSpline(Exact, Conditioned):
    """A mixture of point masses and a density, given the parents and the confounder noise.

    Which of the atoms the value is, or that it is none of them, is chosen by the Gumbel-max rule.
    A value that is none is a monotone map of one standard normal, as in
    :class:`~causalplug.mechanisms.trainable.continuous.ContinuousSpline`, in the units of the
    marginal's normal scores where tails are heavy. The likelihood of an atom is its probability,
    that of another value a density. Where an atom is the smallest or the largest value that there
    is, such as a zero or a cap, the density ends at it.

    Args:
        variable: The continuous variable.
        parents: What is read of each parent, in order.
        atoms: Values of positive probability, ascending.
        ends: Whether no value is below the first of the atoms, and none above the last.
        knots: Of the map to normal scores; 0 takes the values as they are.
        confounder_size: Numbers of confounder noise of one row.
        hidden: Widths of the hidden layers.
        bins: Pieces of the spline.
    """

    explicit = True
    abduction = "exact"
    exact = ("atoms",)
    atoms: Tensor

    def __init__(
        self,
        variable: Continuous,
        parents: Mapping[str, ParentSpec],
        *,
        atoms: Sequence[float] = (),
        ends: Sequence[bool] = (False, False),
        knots: int = 0,
        confounder_size: int = 0,
        hidden: Sequence[int] = (64, 64),
        bins: int = 8,
    ):
        super().__init__()
        self.variable: Continuous = variable
        self.parents = tuple(parents)
        self.hidden, self.bins, self.knots = tuple(hidden), bins, knots
        self.register_buffer("atoms", torch.tensor(list(map(float, atoms))))
        self.ends = tuple(ends)
        self.choices = len(self.atoms) + 1
        self.noise = {"normal": NoiseSpec()}
        if self.choices > 1:
            self.noise["gumbel"] = NoiseSpec((self.choices,), "gumbel")
        outputs = 3 * bins + 1 + self.choices
        self.network = Conditioner(parents, confounder_size, outputs, hidden=hidden)
        self.marginal = Marginal(knots)

    def standardise(self, values: Tensor) -> None:
        """Set the units of values that are no atoms from rows of data."""
        loose = values[self._which(values) == self.choices - 1]
        self.marginal.fit(loose if len(loose) > 1 else values)

    def start_at(self, values: Tensor) -> None:
        """Start from how often each atom occurs."""
        counts = torch.bincount(self._which(values), minlength=self.choices) + 0.5
        with torch.no_grad():
            self.network.output_bias[: self.choices] = (counts / counts.sum()).log()

    def _which(self, value: Tensor) -> Tensor:
        """Positions of values among the atoms; one past the last for those that are none."""
        place = torch.searchsorted(self.atoms, value.contiguous())
        if self.choices == 1:
            return place
        near = self.atoms[place.clamp(max=self.choices - 2)]
        return torch.where(near == value, place, self.choices - 1)

    def _numbers(
        self, rows: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Scores ``(*, atoms + 1)`` of the choices, and numbers of the spline."""
        numbers = self.network(parents, confounder)
        numbers = numbers.expand(*common_shape(numbers.shape[:-1], rows.shape), -1)
        return numbers[..., : self.choices], numbers[..., self.choices :]

    def _truncated(self, numbers: Tensor) -> Truncated:
        """The normals of values between the ends."""
        bounds: list[Tensor | None] = []
        for is_end, place in zip(self.ends, (0, -1), strict=True):
            if not is_end:
                bounds.append(None)
                continue
            units = self.marginal(self.atoms[place])[0].expand(numbers.shape[:-1])
            bounds.append(spline_value(numbers, units, self.bins, inverse=True))
        return Truncated(*bounds)

    def _loose(self, numbers: Tensor, normal: Tensor) -> Tensor:
        """Values that are no atoms."""
        inside = self._truncated(numbers).drawn(normal)
        found = self.marginal.inverse(spline_value(numbers, inside, self.bins))
        if self.ends[0]:
            found = found.clamp_min(self.atoms[0])
        if self.ends[1]:
            found = found.clamp_max(self.atoms[-1])
        return found

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Floats ``(n,)``; gradients pass the choice straight through."""
        scores, numbers = self._numbers(noise["normal"], parents, confounder)
        loose = self._loose(numbers, noise["normal"])
        if self.choices == 1:
            return loose
        perturbed = scores + noise["gumbel"]
        chosen = perturbed.argmax(-1)
        values = torch.cat([self.atoms.expand(*loose.shape, -1), loose.unsqueeze(-1)], -1)
        value = values.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
        if not perturbed.requires_grad:
            return value
        soft = (torch.softmax(perturbed, -1) * values.detach()).sum(-1)
        return value + (soft - soft.detach())

    def log_prob(
        self, value: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None = None
    ) -> Tensor:
        """Log probability of atoms and log density of other values, ``(n,)`` or ``(s, n)``."""
        scores, numbers = self._numbers(value, parents, confounder)
        units, log_slope = self.marginal(value)
        which = self._which(value).expand(scores.shape[:-1])
        chosen = torch.log_softmax(scores, -1).gather(-1, which.unsqueeze(-1)).squeeze(-1)
        density = spline_log_prob(numbers, units, self.bins) + log_slope
        if any(self.ends):
            density = density - self._truncated(numbers).log_probability.to(density.dtype)
        return chosen + torch.where(which == self.choices - 1, density, 0.0)

    def abduct(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        prior: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Noise that gives ``value``: what an atom leaves open of it is made from ``prior``, or
        from nothing but zeros and the largest score without it."""
        scores, numbers = self._numbers(value, parents, confounder)
        which = self._which(value).expand(scores.shape[:-1])
        units = self.marginal(value)[0]
        normal = self._truncated(numbers).undrawn(
            spline_value(numbers, units, self.bins, inverse=True)
        )
        if self.choices == 1:
            return {"normal": normal}
        if prior is None:
            drawn = torch.zeros_like(normal)
        else:
            drawn = prior["normal"]
        normal = torch.where(which == self.choices - 1, normal, drawn)
        if prior is None:
            gumbel = torch.zeros_like(scores)
        else:
            gumbel = prior["gumbel"]
        return {
            "normal": normal,
            "gumbel": gumbel_given(torch.log_softmax(scores, -1), which, gumbel),
        }

    @property
    def conditioner(self) -> Conditioner:
        return self.network

    def settings(self) -> Json:
        return {
            "atoms": self.atoms.tolist(),
            "ends": list(self.ends),
            "knots": self.knots,
            "hidden": list(self.hidden),
            "bins": self.bins,
        }
