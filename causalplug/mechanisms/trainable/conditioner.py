"""The network that all trainable mechanisms share: from parents and confounder noise to parameters
of a distribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from causalplug.errors import MechanismError
from causalplug.files.precision import Exact
from causalplug.networks import location_and_scale
from causalplug.variables import Continuous, Variable, variable_from_dict

__all__ = ["Conditioner", "ParentSpec", "parents_from_config", "parents_to_config"]

ParentSpec = Variable | int
"""What a network reads of a parent: the variable itself, or the size of its projection for an image
behind an encoder.
"""


def parents_to_config(parents: Mapping[str, ParentSpec]) -> list[list[Any]]:
    """The parents in order, as JSON values."""
    found = []
    for name, spec in parents.items():
        found.append([name, spec if isinstance(spec, int) else spec.to_dict()])
    return found


def parents_from_config(config: Sequence[Sequence[Any]]) -> dict[str, ParentSpec]:
    """Inverse of :func:`parents_to_config`."""
    found = {}
    for name, spec in config:
        found[name] = spec if isinstance(spec, int) else variable_from_dict(spec, name)
    return found


class Conditioner(Exact, nn.Module):
    """MLP on the features of the parents and the confounder noise, which enter by separate first
    layers.

    The separation lets a likelihood evaluate every row with every draw of the confounder noise at
    little cost: parents ``(n, …)`` and noise ``(s, 1, e)`` broadcast to an output ``(s, n, out)``
    and meet only after their own first layer.

    Args:
        parents: What is read of each parent, in order.
        confounder_size: Numbers of confounder noise of one row.
        out: Size of the output.
        hidden: Widths of the hidden layers, at least one.
    """

    exact = ("loc", "scale")
    loc: Tensor
    scale: Tensor

    def __init__(
        self,
        parents: Mapping[str, ParentSpec],
        confounder_size: int,
        out: int,
        *,
        hidden: Sequence[int] = (64, 64),
    ):
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise MechanismError(
                f"A network needs hidden layers of at least one unit; got hidden={tuple(hidden)}."
            )
        self.parents = dict(parents)
        self.confounder_size = confounder_size
        sizes = []
        for spec in parents.values():
            sizes.append(spec if isinstance(spec, int) else spec.feature_size)
        features = sum(sizes)
        precise = any(isinstance(spec, Continuous) and spec.precise for spec in parents.values())
        kind = None
        if precise:
            kind = torch.float64
        self.register_buffer("loc", torch.zeros(features, dtype=kind))
        self.register_buffer("scale", torch.ones(features, dtype=kind))
        if features:
            self.read_parents: nn.Linear | None = nn.Linear(features, hidden[0])
        else:
            self.read_parents = None
        if confounder_size:
            self.read_confounder: nn.Linear | None = nn.Linear(confounder_size, hidden[0])
        else:
            self.read_confounder = None
        if not features and not confounder_size:
            self.bias = nn.Parameter(torch.zeros(out))
        layers: list[nn.Module] = []
        for width, following in zip(hidden, [*hidden[1:], out], strict=True):
            layers += [nn.SiLU(), nn.Linear(width, following)]
        if features or confounder_size:
            self.rest: nn.Sequential | None = nn.Sequential(*layers)
        else:
            self.rest = None

    def features(self, values: Mapping[str, Tensor]) -> Tensor:
        """Standardised features ``(n, f)`` of the parents."""
        parts = []
        for name, spec in self.parents.items():
            parts.append(values[name] if isinstance(spec, int) else spec.features(values[name]))
        found = (torch.cat(parts, -1) - self.loc) / self.scale
        if found.dtype == torch.float64:
            return found.to(self.output_bias.dtype)
        return found

    def standardise(self, values: Mapping[str, Tensor]) -> None:
        """Set the scaling of continuous parents and projections from rows of data; one-hot features
        stay as they are. Parents whose rows are float64 are read in float64 from here on.
        """
        for name, spec in self.parents.items():
            if isinstance(spec, Continuous) and values[name].dtype == torch.float64:
                self.parents[name] = replace(spec, precise=True)
                self.loc, self.scale = self.loc.double(), self.scale.double()
        start = 0
        for name, spec in self.parents.items():
            if isinstance(spec, int):
                size = spec
            else:
                size = spec.feature_size
            if isinstance(spec, int) or spec.standardised:
                if isinstance(spec, int):
                    rows = values[name]
                else:
                    rows = spec.features(values[name])
                place = slice(start, start + size)
                self.loc[place], self.scale[place] = location_and_scale(rows)
            start += size

    @property
    def output_bias(self) -> nn.Parameter:
        """Bias ``(out,)`` of the output layer; the whole output where nothing is read."""
        return self.bias if self.rest is None else self.rest[-1].bias  # type: ignore[return-value]

    def forward(
        self, values: Mapping[str, Tensor] | Tensor, confounder: Tensor | None = None
    ) -> Tensor:
        """Output ``(n, out)``, or ``(s, n, out)`` for confounder noise ``(s, 1, e)``, of parents or
        their :meth:`features`.

        Weights of another precision than torch's default read rounded inputs; the output has the
        default precision.
        """
        default, own = torch.get_default_dtype(), self.output_bias.dtype
        if self.rest is None:
            if own == default:
                return self.bias
            return self.bias.to(default)
        hidden: Tensor | None = None
        if self.read_parents is not None:
            if isinstance(values, Tensor):
                features = values
            else:
                features = self.features(values)
            hidden = self.read_parents(features.to(own))
        if self.read_confounder is not None:
            if confounder is None:
                raise MechanismError(
                    "This mechanism reads confounder noise, but none was handed in."
                )
            read = self.read_confounder(confounder.to(own))
            if hidden is None:
                hidden = read
            else:
                hidden = hidden + read
        if own == default:
            return self.rest(hidden)
        return self.rest(hidden).to(default)
