"""The trainable mechanism of a discrete variable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from causalplug.errors import MechanismError
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.abduction import gumbel_given
from causalplug.mechanisms.trainable.conditioned import Conditioned
from causalplug.mechanisms.trainable.conditioner import (
    Conditioner,
    ParentSpec,
)
from causalplug.networks import common_shape
from causalplug.noise import NoiseSpec
from causalplug.values import Json
from causalplug.variables import Discrete

__all__ = ["DiscreteMLP"]


@register_mechanism("discrete-mlp")
class DiscreteMLP(Conditioned):
    """A category by the Gumbel-max rule: ``argmax(logits(parents, confounder) + gumbel)``.

    The Gumbel noise is the whole own noise, so ``P(V | parents, confounder)`` is the explicit
    ``softmax(logits)``.

    Args:
        variable: The discrete variable.
        parents: What is read of each parent, in order.
        confounder_size: Numbers of confounder noise of one row (all confounders of the
            variable together).
        hidden: Widths of the hidden layers.
    """

    explicit = True
    abduction = "exact"

    def __init__(
        self,
        variable: Discrete,
        parents: Mapping[str, ParentSpec],
        *,
        confounder_size: int = 0,
        hidden: Sequence[int] = (64, 64),
    ):
        super().__init__()
        self.variable: Discrete = variable
        self.parents = tuple(parents)
        self.noise = {"gumbel": NoiseSpec((variable.size,), "gumbel")}
        self.hidden = tuple(hidden)
        self.network = Conditioner(parents, confounder_size, variable.size, hidden=hidden)

    def parent_features(self, parents: Mapping[str, Tensor]) -> Mapping[str, Tensor] | Tensor:
        if parents:
            return self.network.features(parents)
        return parents

    def start_at(self, values: Tensor) -> None:
        """Start from how often each category occurs in codes ``(n,)``: a rare one need not be
        unlearned."""
        counts = torch.bincount(values, minlength=self.variable.size) + 0.5
        with torch.no_grad():
            self.network.output_bias.copy_((counts / counts.sum()).log())

    def logits(
        self, parents: Mapping[str, Tensor] | Tensor, confounder: Tensor | None = None
    ) -> Tensor:
        """Unnormalised log probabilities ``(n, k)``, or ``(s, n, k)`` for confounder noise ``(s, 1,
        e)``.

        Parents that are read again and again may come as the network's ``features``.
        """
        return self.network(parents, confounder)

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Codes ``(n,)`` of int64."""
        return (self.logits(parents, confounder) + noise["gumbel"]).argmax(-1)

    def relaxed(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        temperature: float = 1.0,
    ) -> Tensor:
        """Straight-through one-hot rows ``(n, k)``: the value of :meth:`forward`, the gradient of
        the Gumbel-softmax.
        """
        perturbed = self.logits(parents, confounder) + noise["gumbel"]
        soft = torch.softmax(perturbed / temperature, -1)
        hard = torch.nn.functional.one_hot(perturbed.argmax(-1), self.variable.size).to(soft.dtype)
        return hard + (soft - soft.detach())

    def log_prob(
        self, value: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None = None
    ) -> Tensor:
        """Log probability ``(n,)`` of codes, or ``(s, n)``."""
        log_probs = torch.log_softmax(self.logits(parents, confounder), -1)
        shape = common_shape(log_probs.shape[:-1], value.shape)
        return (
            log_probs.expand(*shape, -1).gather(-1, value.expand(shape).unsqueeze(-1)).squeeze(-1)
        )

    @property
    def conditioner(self) -> Conditioner:
        return self.network

    def settings(self) -> Json:
        return {"hidden": list(self.hidden)}

    def abduct(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        prior: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The Gumbel noise, from its distribution given that it chose ``value``.

        Raises:
            MechanismError: ``prior`` is missing: a category leaves most of the noise open.
        """
        if prior is None:
            raise MechanismError(
                "The Gumbel noise of a category cannot be recovered without prior=: the category "
                "leaves most of it open. Pass noise as it was drawn."
            )
        logits = self.logits(parents, confounder).expand(len(value), -1)
        return {"gumbel": gumbel_given(torch.log_softmax(logits, -1), value, prior["gumbel"])}
