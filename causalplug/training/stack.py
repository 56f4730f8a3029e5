"""Mechanisms of one shape, trained side by side as one batched product.

Mechanisms without a confounder are modules of their own that likelihood fits to the rows, each by
itself. Nine of them one after another cost nine times the overhead of one; stacked, they cost
little more than one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from causalplug.mechanisms.trainable.conditioner import Conditioner
from causalplug.mechanisms.trainable.continuous import ContinuousSpline, spline_log_prob
from causalplug.mechanisms.trainable.discrete import DiscreteMLP
from causalplug.selection import of_kind

__all__ = ["ROOM", "Member", "Stack", "StackRows", "prior_deviations", "stackable"]

ROOM = 8.0
"""Variance of the weights' prior, times the inputs of their layer."""

Stacked = ContinuousSpline | DiscreteMLP


@dataclass(frozen=True)
class Member:
    """One mechanism of a stack.

    Attributes:
        name: Name of its variable.
        mechanism: The mechanism itself, written back to at the end.
        rows: Values of the variable and its parents, ``(n, …)`` each, of all sources that serve it.
    """

    name: str
    mechanism: Stacked
    rows: Mapping[str, Tensor]

    @property
    def shape(self) -> tuple[object, ...]:
        """What members of one stack have in common."""
        own = self.mechanism
        bins = 0
        if isinstance(own, ContinuousSpline):
            bins = own.bins
        return (type(own), own.hidden, bins, own.network.loc.dtype)


def stackable(mechanism: object) -> bool:
    """Whether a mechanism is of a kind that can be stacked; those derived from it may differ."""
    return type(mechanism) in (ContinuousSpline, DiscreteMLP)


class StackRows:
    """Rows of all members, as their networks read them.

    Args:
        members: Members of one stack.
    """

    def __init__(self, members: Sequence[Member]):
        self.counts = torch.tensor([len(m.rows[m.name]) for m in members])
        features = list(map(_features, members))
        widest = max(1, max(f.shape[1] for f in features))
        padded = [nn.functional.pad(f, (0, widest - f.shape[1])) for f in features]
        self.features = torch.cat(padded)
        self.values = torch.cat(list(map(_value, members)))
        device = self.values.device
        self.counts = self.counts.to(device)
        self.starts = (self.counts.cumsum(0) - self.counts)[:, None]

    def __len__(self) -> int:
        return int(self.counts.max())

    def at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(m, b, f)`` and values ``(m, b)`` of rows ``(m, b)`` of each member."""
        flat = (index + self.starts).flatten()
        features = self.features.index_select(0, flat).view(*index.shape, -1)
        return features, self.values.index_select(0, flat).view(index.shape)

    def drawn(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """``n`` rows of each member, drawn by one set of numbers: one out of each of ``n`` equal
        parts of the table, so that large batches hold all rows about equally often."""
        places = torch.arange(n, device=generator.device)
        uniform = (places + torch.rand(n, generator=generator, device=generator.device)) / n
        positions = (uniform * self.counts[:, None]).long()
        return self.at(positions.minimum(self.counts[:, None] - 1))

    def first(self, n: int) -> Tensor:
        """Positions ``(m, n)`` of the first rows; shorter members repeat theirs."""
        return torch.arange(n, device=self.values.device) % self.counts[:, None]


def _features(member: Member) -> Tensor:
    network = member.mechanism.network
    if not network.parents:
        return torch.zeros(len(member.rows[member.name]), 0, device=network.loc.device)
    return network.features(member.rows).to(torch.get_default_dtype())


def _value(member: Member) -> Tensor:
    value, mechanism = member.rows[member.name], member.mechanism
    if isinstance(mechanism, ContinuousSpline):
        return mechanism.standardised(value)
    return value


class Stack(nn.Module):
    """The networks of several mechanisms as one, with parameters of its own until they are written
    back.

    Args:
        members: Mechanisms of one shape.
    """

    read: Tensor

    def __init__(self, members: Sequence[Member]):
        super().__init__()
        self.members = list(members)
        own = members[0].mechanism
        self.continuous = isinstance(own, ContinuousSpline)
        if isinstance(own, ContinuousSpline):
            self.bins = own.bins
        else:
            self.bins = 0
        networks = [m.mechanism.network for m in members]
        self.inputs = max(1, max(len(n.loc) for n in networks))
        self.outputs = max(n.output_bias.numel() for n in networks)
        sizes = [self.inputs, *own.hidden, self.outputs]
        layers = list(pairwise(sizes))
        count, device = len(members), networks[0].loc.device
        self.weights = nn.ParameterList(
            nn.Parameter(torch.zeros(count, a, b, device=device)) for a, b in layers
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(count, 1, b, device=device)) for _, b in layers
        )
        used = torch.tensor([n.output_bias.numel() for n in networks], device=device)
        read = torch.tensor([len(n.loc) for n in networks], device=device)
        self.register_buffer("read", read)
        absent = torch.arange(self.outputs, device=device) >= used[:, None]
        self.register_buffer("absent", absent[:, None])
        with torch.no_grad():
            for place, network in enumerate(networks):
                for into, value in self._slices(place, network):
                    into.copy_(value)

    def _slices(self, place: int, network: Conditioner) -> list[tuple[Tensor, Tensor]]:
        """Where each parameter of a member's network lies in the stack, beside it."""
        if network.rest is None:
            own = network.output_bias
            return [(self.biases[-1][place, 0, : len(own)], own)]
        layers = (network.read_parents, *network.rest)
        linear = of_kind(layers, nn.Linear)
        found = []
        for weight, bias, layer in zip(self.weights, self.biases, linear, strict=True):
            out, into = layer.weight.shape
            found.append((weight[place, :into, :out], layer.weight.T))
            found.append((bias[place, 0, :out], layer.bias))
        return found

    @torch.no_grad()
    def write_back(self) -> None:
        """Give the members the stack's values."""
        for place, member in enumerate(self.members):
            for value, into in self._slices(place, member.mechanism.network):
                into.copy_(value)

    def forward(self, features: Tensor) -> Tensor:
        """Outputs ``(m, b, out)`` of features ``(m, b, f)``."""
        hidden = torch.baddbmm(self.biases[0], features, self.weights[0])
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            hidden = torch.baddbmm(bias, nn.functional.silu(hidden), weight)
        return hidden

    @torch.no_grad()
    def add_prior(self, share: Tensor) -> None:
        """Add the gradients of the weights' log prior to those that the rows gave, sign turned.

        Weights are normal, with a variance of a room over the inputs of their layer (MacKay 1992;
        the variance of He et al. 2015, which networks start from, has a room of 2). Beside what
        all rows of a member say, it counts for less the more rows there are. Biases are free. Its
        gradient is known, so that a step costs two operations for every layer.

        Args:
            share: ``(m,)`` how much one unit of each member's log prior counts, over ``room``.
        """
        for place, weight in enumerate(self.weights):
            inputs = weight.shape[1] if place else self.read
            if weight.grad is not None:
                weight.grad.add_((share * inputs)[:, None, None] * weight)

    def log_prob(self, features: Tensor, values: Tensor) -> Tensor:
        """Log probability ``(m, b)`` of values; of continuous ones in their standard units."""
        numbers = self(features).to(torch.get_default_dtype())
        if self.continuous:
            return spline_log_prob(numbers, values, self.bins)
        scores = torch.log_softmax(numbers.masked_fill(self.absent, -torch.inf), -1)
        return scores.gather(-1, values.unsqueeze(-1)).squeeze(-1)


def prior_deviations(parameters: Sequence[nn.Parameter]) -> Tensor:
    """Prior standard deviation of every number of the parameters, one after another; a bias has
    one input."""
    found = []
    for parameter in parameters:
        inputs = 1
        if parameter.ndim > 1:
            inputs = parameter[0].numel()
        found.append(torch.full((parameter.numel(),), math.sqrt(ROOM / inputs)))
    return torch.cat(found)
