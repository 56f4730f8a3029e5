"""A network as a frozen mechanism that is saved as steps and weights, without its code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.condition import Condition, ReadsSpec
from causalplug.mechanisms.frozen.conditional import ConditionalMechanism, ErrorSpec
from causalplug.mechanisms.frozen.exported import ExportedNetwork
from causalplug.mechanisms.frozen.network_call import shaped
from causalplug.mechanisms.frozen.smoothness import smooth_inputs
from causalplug.networks import freeze
from causalplug.noise import NoiseSpec
from causalplug.selection import map_values, to_dicts, values_at
from causalplug.values import Json, Named
from causalplug.variables import Variable, variable_from_dict

__all__ = ["WrappedModule"]


@register_mechanism("wrapped-module")
class WrappedModule(ConditionalMechanism):
    """A network as steps and weights, frozen; made by :func:`causalplug.wrap`.

    Args:
        network: The exported network.
        generates: What it gives.
        conditions: What it reads.
        order: Its inputs in order: names of conditions, and ``"latent"``.
        forms: Of each discrete condition ``"codes"`` or ``"one-hot"``; of a number ``"flat"`` or
            ``"column"``.
        latent: Shape of its latent, None without.
        output: ``"value"``, ``"logits"`` or ``"probabilities"``.
        error, reads, license, source: As for :func:`causalplug.wrap`.
    """

    saved_with_model = True
    differentiable = True

    def __init__(
        self,
        network: ExportedNetwork,
        generates: Variable,
        conditions: Sequence[Condition],
        *,
        order: Sequence[str],
        forms: Mapping[str, str],
        latent: Sequence[int] | None,
        output: str,
        error: ErrorSpec = None,
        reads: ReadsSpec = None,
        license: str | None = None,
        source: str | None = None,
    ):
        if latent is None:
            noise = {}
        else:
            noise = {"latent": NoiseSpec(tuple(latent))}
        super().__init__(
            generates,
            conditions,
            noise,
            probabilities=output in ("logits", "probabilities"),
            error=error,
            license=license,
            source=source,
            reads=reads,
        )
        self.network = freeze(network)
        self.order, self.forms, self.output = tuple(order), dict(forms), output
        if latent is None:
            self.latent = None
        else:
            self.latent = tuple(latent)

    @cached_property
    def smooth(self) -> frozenset[str]:
        """Inputs of the network, conditions and ``latent``, in which its output is continuous."""
        smooth = smooth_inputs(self.network.steps)
        inputs = zip(self.order, self.network.steps["inputs"], strict=True)
        return frozenset(name for name, read in inputs if read in smooth)

    def passes_gradient(self, parent: str) -> bool:
        """Whether what the network gives is continuous in every condition that reads a parent."""
        read = [r.condition.name for r in self.readings if r.parent == parent]
        return self.smooth.issuperset(read)

    def _run(self, conditions: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        rows = max(list(map(len, (*conditions.values(), *noise.values()))), default=1)
        given = {}
        for c in self.read_conditions:
            given[c.name] = shaped(c, self.forms, conditions[c.name])
        made: Tensor = self.network(*values_at({**given, **noise}, self.order))
        if len(made) == rows:
            return made
        return made.expand(rows, *made.shape[1:])

    def generate(self, conditions: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        made = self._run(conditions, noise).to(torch.get_default_dtype())
        return made.reshape(len(made), *self.generates.event_shape)

    def class_logits(self, conditions: Mapping[str, Tensor]) -> Tensor:
        made = self._run(conditions, {})
        if self.output == "probabilities":
            return made.clamp_min(0).log()
        return made

    def config(self) -> Json:
        return {
            "generates": self.generates.to_dict(),
            "conditions": to_dicts(self.read_conditions),
            "network": self.network.steps,
            "shapes": {n: list(t.shape) for n, t in self._tensors().items()},
            "types": {n: str(t.dtype) for n, t in self._tensors().items()},
            "order": list(self.order),
            "forms": self.forms,
            "latent": None if self.latent is None else list(self.latent),
            "output": self.output,
            "error": self.requested_error,
        }

    def _tensors(self) -> dict[str, Tensor]:
        return map_values(self.network.get_buffer, self.network._names)

    @classmethod
    def from_config(cls, config: Named) -> WrappedModule:
        """The network that :meth:`config` describes, with weights of zero."""
        fields = dict(config)
        shapes, types = fields.pop("shapes"), fields.pop("types")
        tensors = {}
        for name, shape in shapes.items():
            kind = getattr(torch, types[name].removeprefix("torch."))
            tensors[name] = torch.zeros(tuple(shape), dtype=kind)
        network = ExportedNetwork(fields.pop("network"), tensors)
        generates = variable_from_dict(fields.pop("generates"), "generates")
        conditions = list(map(Condition.from_dict, fields.pop("conditions")))
        return cls(network, generates, conditions, **fields)
