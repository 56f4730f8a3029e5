"""Generated rows of a target: the variables of T drawn from their mechanisms while their parents
come from real rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalplug.errors import MechanismError
from causalplug.mechanisms.base import Mechanism
from causalplug.model.model import Model
from causalplug.noise import NoiseSpec
from causalplug.planning.gradients import Passage, gradient_paths
from causalplug.selection import pick
from causalplug.training.factors import confounders_of, stacked
from causalplug.training.links import links_of

if TYPE_CHECKING:
    from causalplug.mechanisms.frozen.bank import SampleBank

__all__ = ["Roller", "Rollout"]


@dataclass
class Rollout:
    """``copies * n`` generated rows, copy by copy.

    Attributes:
        values: By variable; an image as its projection ``(rows, size)``, or as pixels where the
            module itself paints it.
        copies: How many rows stand for one real row: enumerated values times independent draws, the
            draws faster.
        draws: How many of them are independent draws.
        weight: Probability ``(copies, n)`` of each copy given its noise and draw, where values were
            enumerated.
        log_prob: ``(draws, n)`` log probability, or density, of the drawn values whose score
            function is taken.
    """

    values: dict[str, Tensor]
    copies: int = 1
    draws: int = 1
    weight: Tensor | None = None
    log_prob: Tensor | None = None


@dataclass
class _State:
    values: dict[str, Tensor]
    raw: dict[str, Tensor] = field(default_factory=dict)
    spread: set[str] = field(default_factory=set)
    copies: int = 1
    draws: int = 1
    log_weight: Tensor | None = None
    log_prob: Tensor | None = None


class Roller:
    """Draws the variables of one target.

    Args:
        dcm: The model.
        variables: T, the variables to draw.
        given: What is held fixed; T is drawn from it, through unrecorded ancestors where there are
            any.
        updated: The mechanisms that are trained.
        banks: Samples of frozen image mechanisms; training calls their generators no more.
        pixels: Image variables that stay pixels; all others come as projections.

    Modes: ``"sample"`` draws hard values; ``"enumerate"`` spreads every weighed discrete variable
    over all its values (Rao-Blackwellised, exact given the noise); ``"score"`` draws several copies
    with their log probability, and spreads the last variables over their values as far as the
    budget goes; ``"relaxed"`` hands straight-through one-hot rows on.

    Attributes:
        order: T in topological order.
        weighed: The discrete variables and counts whose probabilities carry a gradient: trained
            ones, and frozen ones that read what a trained mechanism makes of continuous numbers.
        scored: The numbers and vectors whose densities carry it, because a frozen mechanism that
            reads them does not pass it.

    Raises:
        PlanError: A gradient would be lost, see
            :func:`~causalplug.planning.gradients.gradient_paths`.
    """

    def __init__(
        self,
        dcm: Model,
        variables: Sequence[str],
        given: Sequence[str],
        updated: Sequence[str],
        *,
        banks: Mapping[str, SampleBank],
        pixels: Sequence[str] = (),
    ):
        inside = set(dcm.graph.ancestors(variables, do=given)) - set(given)
        self.dcm, self.updated = dcm, set(updated)
        self.order = list(dcm.graph.in_order(inside))
        self.confounders = confounders_of(dcm, self.order)
        self.banks, self.pixels = dict(banks), set(pixels)
        self.links = links_of(dcm, self.order, self.updated)
        self.paths = gradient_paths(self.links)
        self.weighed, self.scored = list(self.paths.weighed), list(self.paths.scored)
        self._independent = {*self.weighed, *self.scored}  # drawn anew in every copy

    def passage(self, gradient: str, most: int) -> Passage:
        """How the gradient passes the values, by the settings ``gradient`` and
        ``max_enumeration``."""
        sizes = {name: self.dcm.variables[name].cardinality for name in self.weighed}
        return Passage.choose(self.order, self.paths, sizes, gradient=gradient, most=most)

    def __call__(
        self,
        given: Mapping[str, Tensor],
        n: int,
        generator: torch.Generator,
        *,
        mode: str = "sample",
        copies: int = 1,
        spread: Collection[str] = (),
        temperature: float = 1.0,
    ) -> Rollout:
        """Draw T for ``n`` real rows whose values ``given`` (parents of T and interventions) are
        held fixed.

        ``copies`` and ``spread`` are of mode ``"score"``: the independent draws, and the last
        variables, which are enumerated.
        """
        spec = NoiseSpec((self.dcm.confounder_size,))
        confounders = {key: spec.draw(n, generator) for key in self.confounders}
        state = _State(
            dict(given), spread=set(self.weighed) if mode == "enumerate" else set(spread)
        )
        if mode == "score" and copies > 1:
            state.values = {name: _repeat(value, copies) for name, value in given.items()}
            state.copies = state.draws = copies
        for name in self.order:
            confounder = stacked(self.dcm, name, confounders)
            if confounder is None:
                confounder = None
            else:
                confounder = _repeat(confounder, state.copies)
            self._draw(name, state, n, confounder, generator, mode, temperature)
        if state.log_weight is None:
            weight = None
        else:
            weight = state.log_weight.exp()
        kept = pick(state.values, (*given, *self.order))
        return Rollout(kept, state.copies, state.draws, weight, state.log_prob)

    def _draw(
        self,
        name: str,
        state: _State,
        n: int,
        confounder: Tensor | None,
        generator: torch.Generator,
        mode: str,
        temperature: float,
    ) -> None:
        mechanism, variable = self.dcm.mechanism(name), self.dcm.variables[name]
        discrete = variable.is_discrete
        if name in state.spread:
            parents = {}
            for parent in mechanism.parents:
                parents[parent] = self._read(parent, name, state)
            self._enumerate(name, state, n, mechanism.logits(parents, confounder))
            return
        # copies of one row share their noise; score-function copies of what is scored must not
        scored = mode == "score" and name in self._independent
        own = n
        if scored:
            own = state.copies * n
        noise = {key: spec.draw(own, generator) for key, spec in mechanism.noise.items()}
        if own == n:
            noise = {key: _repeat(value, state.copies) for key, value in noise.items()}
        parents = {parent: self._read(parent, name, state) for parent in mechanism.parents}
        if name in self.banks:
            value = self.banks[name].sample(parents, noise, state.copies, n, generator)
            self._keep(name, state, value, painted=self.banks[name].projections is None)
            return
        if discrete and mode == "relaxed":
            state.values[name] = mechanism.relaxed(
                parents, noise, confounder, temperature=temperature
            )
            return
        value = mechanism(parents, noise, confounder)
        if not (variable.is_countable or mechanism.chooses):
            self._refuse_lost(name, mechanism, parents, value)
        if scored:
            if mechanism.chooses:
                term = mechanism.choice_log_prob(parents, noise, confounder)
            else:
                value = value.detach()
                term = mechanism.log_prob(value, parents, confounder)
            term = term.view(state.copies, n)
            if state.log_prob is None:
                state.log_prob = term
            else:
                state.log_prob = state.log_prob + term
        self._keep(name, state, value, painted=True)

    def _refuse_lost(
        self, name: str, mechanism: Mechanism, parents: Mapping[str, Tensor], value: Tensor
    ) -> None:
        """Refuse a mechanism that says it passes gradients, and passes none.

        Raises:
            MechanismError: It does.
        """
        moving = [parent for parent, given in parents.items() if given.requires_grad]
        if moving and not value.requires_grad:
            raise MechanismError(
                f"Training would lose the gradient of {moving[0]!r}: the mechanism of {name!r} "
                f"({type(mechanism).__name__}) says that it is differentiable, and no gradient "
                "passes it. Set differentiable = False in its class; the score function is used "
                "then."
            )

    def _keep(self, name: str, state: _State, value: Tensor, *, painted: bool) -> None:
        """Put a value among the rollout's; pixels that nobody asked for become a projection
        first."""
        if painted and name in self.dcm.encoders and name not in self.pixels:
            state.raw[name] = value
            value = self.dcm.project(name, value)
        state.values[name] = value

    def _enumerate(self, name: str, state: _State, n: int, logits: Tensor) -> None:
        """Spread a variable over all its values: every copy becomes ``size`` copies with their
        probabilities."""
        size = self.dcm.variables[name].cardinality or 1
        log_probs = torch.log_softmax(logits.expand(state.copies * n, -1), -1)
        log_probs = log_probs.view(state.copies, n, size).permute(2, 0, 1)
        if state.log_weight is None:
            before: float | Tensor = 0.0
        else:
            before = state.log_weight
        state.log_weight = (log_probs + before).flatten(0, 1)
        state.values = {key: _repeat(value, size) for key, value in state.values.items()}
        state.raw = {key: _repeat(value, size) for key, value in state.raw.items()}
        rows = state.copies * n
        state.values[name] = torch.arange(size, device=logits.device).repeat_interleave(rows)
        state.copies *= size

    def _read(self, parent: str, child: str, state: _State) -> Tensor:
        """A parent's value as the child's mechanism reads it: pixels only where it asks for
        them."""
        projects = self.dcm.mechanism(child).reads_projections and parent in self.dcm.encoders
        if projects and parent in self.pixels:
            return self.dcm.project(parent, state.values[parent])
        if not projects and parent in state.raw:
            held = state.raw
        else:
            held = state.values
        return self.dcm.variables[parent].scale(held[parent])


def _repeat(value: Tensor, times: int) -> Tensor:
    """``times`` copies one after another along the rows."""
    if times == 1:
        return value
    return value.repeat(times, *[1] * (value.ndim - 1))
