"""Gradients of an answer's numbers with respect to the parameters of the mechanisms.

The value of one variable in one world is exchanged for another draw of its own mechanism, on the
same noise of all others, and what the exchange changes in the answer is paired with the gradient of
the log probabilities of the two values:

    grad E[h] = E[(h(v) - h(v')) grad(log p(v) - log p(v'))] / 2,    v, v' from p(. | parents, u)

It is the score-function gradient with two draws (Kool et al. 2019), each the other's baseline. It
needs nothing differentiable but log probabilities, so that discrete values, thresholds and images
between them are no hindrance. Where several worlds read one Gumbel noise, the exchange happens
where the largest two perturbed logits of one world tie, and the other worlds see that noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from causalplug.mechanisms.base import Mechanism
from causalplug.model.model import Model
from causalplug.noise import Noise
from causalplug.sampling.worlds import Rows, World
from causalplug.uncertainty.numbers import AnswerNumbers

__all__ = ["NoGradient", "answer_gradient", "differentiable", "pulled_back"]

_OTHER = 7_368_787  # added to a seed: the draws that values are exchanged for
_TIE = 1e-4  # by which an earlier world wins a tie, in logits
_BACKWARD = 4096  # rows in one backward pass, which bounds its memory
_TOGETHER = 2**19  # numbers times rows in one backward pass


class NoGradient(Exception):
    """Why an answer has no gradient here, as a clause."""


@contextmanager
def differentiable(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Switch gradients of the parameters on, and back to what they were; also under
    ``torch.no_grad``."""
    before = [parameter.requires_grad for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        with torch.enable_grad():
            yield
    finally:
        for parameter, was in zip(parameters, before, strict=True):
            parameter.requires_grad_(was)


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two values of a variable in one world, and its values in the other worlds by cell."""

    first: Tensor
    second: Tensor
    others: dict[Any, Tensor]


@dataclass(frozen=True, eq=False)
class _Seen:
    """A variable in all worlds that agree on it."""

    name: str
    world: World


def answer_gradient(
    dcm: Model,
    numbers: AnswerNumbers,
    parameters: Mapping[str, Sequence[nn.Parameter]],
    *,
    rows: int,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Gradients of the numbers with respect to the parameters of each variable's mechanism.

    Args:
        dcm: the model.
        numbers: what is differentiated.
        parameters: parameters by variable; the mechanisms are explicit.
        rows: rows of noise.
        seed: seed of the noise.

    Returns:
        Gradients ``(k, parameters)`` by variable.

    Raises:
        NoGradient: a continuous variable is read in several worlds, or the evidence sets a
            continuous value.
    """
    if any(
        given.points for block in numbers.blocks for case in block.cases for given in case.given
    ):
        raise NoGradient("the evidence holds a single value of a continuous variable")
    work = _Exchange(dcm, numbers, Rows(dcm, Noise(rows, seed, device=dcm.device)))
    found: dict[str, Tensor] = {}
    for name, own in parameters.items():
        found[name] = work.of(name, list(own))
    return found


class _Exchange:
    """Exchanges of values on the same rows of noise."""

    def __init__(self, dcm: Model, numbers: AnswerNumbers, rows: Rows):
        self.dcm, self.numbers, self.rows = dcm, numbers, rows
        with torch.no_grad():
            self.at = numbers.at(rows)
            self.influence = numbers.influence(rows, self.at)
        self.seen = self._seen()

    def _seen(self) -> dict[str, list[_Seen]]:
        """By variable, in which worlds it is computed for the numbers, each once."""
        found: dict[str, dict[object, _Seen]] = {}
        for world, target in self.numbers.targets:
            for name in world.graph.ancestors([target]):
                if name not in world.do:
                    found.setdefault(name, {})[world.cell(name)] = _Seen(name, world)
        return {name: list(of.values()) for name, of in found.items()}

    def of(self, name: str, parameters: list[nn.Parameter]) -> Tensor:
        """Gradients ``(k, parameters)``."""
        total = torch.zeros(self.numbers.size, _count(parameters), dtype=torch.float64)
        for place, seen in enumerate(self.seen.get(name, [])):
            total += self._in_world(place, seen, parameters)
        return total

    def _in_world(self, place: int, seen: _Seen, parameters: list[nn.Parameter]) -> Tensor:
        mechanism = self.dcm.mechanism(seen.name)
        parents, confounder = self._inputs(seen)
        with torch.no_grad():
            if len(self.seen[seen.name]) > 1:
                pair = self._tied(place, seen, mechanism, parents, confounder)
            else:
                own = mechanism(parents, self._own(seen.name, 1), confounder)
                pair = _Pair(self.rows.cells[seen.world.cell(seen.name)], own, {})
            change = self._change(seen, pair) / (2 * len(self.rows))
            moved = (change != 0).any(1).nonzero().squeeze(-1)
        total = torch.zeros(self.numbers.size, _count(parameters), dtype=torch.float64)
        for rows in moved.split(_BACKWARD):
            chosen = {key: value[rows] for key, value in parents.items()}
            few = confounder
            if confounder is not None:
                few = confounder[rows]
            with differentiable(parameters):
                log_probs = mechanism.log_prob(pair.first[rows], chosen, few)
                log_probs = log_probs - mechanism.log_prob(pair.second[rows], chosen, few)
                total += pulled_back(log_probs, change[rows].T, parameters)
        return total

    def _change(self, seen: _Seen, pair: _Pair) -> Tensor:
        """``(n, k)``: by how much the first value's influence exceeds the second's."""
        first = self.influence
        if pair.others:
            first = self.numbers.influence(self._exchanged(seen, pair.first, pair), self.at)
        second = self.numbers.influence(self._exchanged(seen, pair.second, pair), self.at)
        return first - second

    def _inputs(self, seen: _Seen) -> tuple[dict[str, Tensor], Tensor | None]:
        """What the mechanism reads in this world."""
        mechanism = self.dcm.mechanism(seen.name)
        with torch.no_grad():
            values = self.rows.values(seen.world, mechanism.parents)
            read = {p: self.dcm._read(p, mechanism, values, {}) for p in mechanism.parents}
            return read, self.dcm.confounder(seen.name, self.rows.noise)

    def _own(self, name: str, which: int) -> dict[str, Tensor]:
        """Own noise that no other row of noise shares."""
        noise = self.rows.noise
        other = Noise(noise.rows, noise.seed + which * _OTHER, device=noise.device)
        return self.dcm.own_noise(name, other)

    def _exchanged(self, seen: _Seen, value: Tensor, pair: _Pair) -> Rows:
        """The rows with another value in one world; what descends from it is computed anew."""
        changed = self.dcm.graph.descendants([seen.name]) | {seen.name}
        rows = Rows(self.dcm, self.rows.noise)
        rows.cells = {
            cell: known for cell, known in self.rows.cells.items() if cell[0] not in changed
        }
        rows.cells |= pair.others
        rows.cells[seen.world.cell(seen.name)] = value
        return rows

    def _tied(
        self,
        place: int,
        seen: _Seen,
        mechanism: Mechanism,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None,
    ) -> _Pair:
        """Two values whose perturbed logits tie, and what the other worlds make of that noise."""
        if set(mechanism.noise) != {"gumbel"}:
            raise NoGradient(f"{seen.name} is read in several worlds and is not discrete")
        logits = torch.log_softmax(mechanism.logits(parents, confounder), -1)
        first = (logits + self._own(seen.name, 1)["gumbel"]).argmax(-1)
        second = (logits + self._own(seen.name, 2)["gumbel"]).argmax(-1)
        gumbel = _tied_gumbel(logits, first, second, self.rows.noise.seed + place)
        others = {}
        for rank, other in enumerate(self.seen[seen.name]):
            if rank != place:
                read, noise = self._inputs(other)
                perturbed = mechanism.logits(read, noise) + gumbel
                wins = second
                if rank < place:
                    wins = first
                perturbed = perturbed.scatter_add(
                    -1, wins[:, None], torch.full_like(perturbed[:, :1], _TIE)
                )
                others[other.world.cell(other.name)] = perturbed.argmax(-1)
        return _Pair(first, second, others)


def _count(parameters: Sequence[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _tied_gumbel(logits: Tensor, first: Tensor, second: Tensor, seed: int) -> Tensor:
    """Gumbel noise ``(n, k)`` under which two of the normalised ``logits`` tie for the largest.

    With ``e = exp(-largest)``, the density of a tie at ``e`` is ``p_i p_j e exp(-e)``; the others
    are Gumbel variables below it (Maddison et al. 2014).
    """
    generator = torch.Generator(logits.device).manual_seed(seed)
    drawn = torch.empty(len(logits), logits.shape[1] + 2, device=logits.device)
    drawn = drawn.exponential_(generator=generator)
    largest = drawn[:, -2:].sum(-1, keepdim=True)
    perturbed = -torch.log(largest + drawn[:, :-2] * torch.exp(-logits))
    ties = torch.stack([first, second], -1)
    perturbed = perturbed.scatter(-1, ties, -largest.log().expand(-1, 2))
    return perturbed - logits


def pulled_back(values: Tensor, weights: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    """``weights @ d values / d parameters``, ``(k, parameters)``, some weights at a time."""
    together = max(1, _TOGETHER // max(1, len(values)))
    parts = []
    for chunk in weights.to(values.dtype).split(together):
        gradients = torch.autograd.grad(
            values, parameters, chunk, is_grads_batched=True, retain_graph=True, allow_unused=True
        )
        flat = [
            torch.zeros(len(chunk), p.numel()) if g is None else g.flatten(1)
            for g, p in zip(gradients, parameters, strict=True)
        ]
        parts.append(torch.cat(flat, 1).double())
    return torch.cat(parts)
