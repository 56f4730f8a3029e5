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

import threading
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
from causalplug.tensors import rows_at
from causalplug.uncertainty.numbers import AnswerNumbers, Linearised, Place
from causalplug.uncertainty.pins import Density, Pins
from causalplug.wording import listed

__all__ = ["NoGradient", "answer_gradient", "differentiable", "pulled_back"]

_OTHER = 7_368_787  # added to a seed: the draws that values are exchanged for
_TIE = 1e-4  # by which an earlier world wins a tie, in logits
_BACKWARD = 4096  # rows in one backward pass, which bounds its memory
_EFFECTIVE = 100  # rows of the model that weighted evidence has to stand on, at least
_TOGETHER = 2**19  # numbers times rows in one backward pass
_SWITCHED = threading.RLock()


class NoGradient(Exception):
    """Why an answer has no gradient here, as a clause."""


@contextmanager
def differentiable(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Switch gradients of the parameters on, and back to what they were; also under
    ``torch.no_grad``. One thread at a time: another would switch them off meanwhile."""
    with _SWITCHED:
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
        dcm: The model.
        numbers: What is differentiated.
        parameters: Parameters by variable; the mechanisms are explicit.
        rows: Rows of noise.
        seed: Seed of the noise.

    Returns:
        Gradients ``(k, parameters)`` by variable.

    Raises:
        NoGradient: A continuous variable is read in several worlds.
    """
    found = {name: _nothing(numbers, own) for name, own in parameters.items()}
    noise = Noise(rows, seed, device=dcm.device)
    groups = _groups(dcm, numbers, noise)
    at = _linearised(numbers, groups)
    for group in groups:
        work = _Exchange(dcm, numbers, group, at)
        for name, own in parameters.items():
            found[name] += work.of(name, list(own))
    return found


@dataclass(frozen=True, eq=False)
class _Group:
    """Cases that are given the same single values of numbers, on rows that have them.

    Attributes:
        places: The cases.
        pins: The values.
        rows: The rows.
        seen: By variable, in which worlds it is computed for the cases, each once.
    """

    places: tuple[Place, ...]
    pins: Pins
    rows: Rows
    seen: Mapping[str, Sequence[_Seen]]

    @property
    def divided(self) -> bool:
        """Whether a variable that is not discrete has values in several worlds."""
        variables = self.rows.dcm.variables
        several = [name for name, worlds in self.seen.items() if len(worlds) > 1]
        return not all(variables[name].is_discrete for name in several)


def _groups(dcm: Model, numbers: AnswerNumbers, noise: Noise) -> list[_Group]:
    """All cases, together where they can be: a number that several worlds disagree on keeps the
    cases apart."""
    by_key: dict[Any, list[Place]] = {}
    for place in numbers.places:
        pins = numbers.pins(place)
        if pins.recovered:
            raise NoGradient(
                f"the value of {listed(pins.recovered)} is given, and its noise is read in "
                "another world"
            )
        by_key.setdefault(pins.key, []).append(place)
    found = []
    for places in by_key.values():
        group = _group(dcm, numbers, places, noise)
        if group.divided:
            found += [_group(dcm, numbers, [place], noise) for place in places]
        else:
            found.append(group)
    return found


def _group(dcm: Model, numbers: AnswerNumbers, places: Sequence[Place], noise: Noise) -> _Group:
    rows, pins = Rows(dcm, noise), numbers.pins(places[0])
    pins.set(rows)
    seen: dict[str, dict[Any, _Seen]] = {}
    for place in places:
        for world, target in numbers.targets_of(numbers.case(place)):
            for name, own in world.run([target]):
                if own.cell(name) not in pins.points:
                    seen.setdefault(name, {})[own.cell(name)] = _Seen(name, own)
    by_name = {name: list(of.values()) for name, of in seen.items()}
    return _Group(tuple(places), pins, rows, by_name)


def _linearised(numbers: AnswerNumbers, groups: Sequence[_Group]) -> Linearised:
    """All cases at their values, each on the rows of its group."""
    device = groups[0].rows.noise.device
    shape = len(numbers.terms), numbers.size
    ratios = torch.zeros(shape, dtype=torch.float64, device=device)
    weights = torch.zeros_like(ratios)
    with torch.no_grad():
        for group in groups:
            for place in group.places:
                a, b = numbers.parts(group.rows, place)
                _check_weights(b, group)
                at = place[1], numbers.columns(place)
                weights[at] = b.mean(0)
                ratios[at] = a.mean(0) / b.mean(0)
    return Linearised(ratios, weights)


def _check_weights(weights: Tensor, group: _Group) -> None:
    """Refuse weights of which few decide."""
    if not group.pins.weighted:
        return
    effective = weights.sum(0).square() / weights.square().sum(0).clamp_min(1e-300)
    least = float(effective.min())
    if least < _EFFECTIVE:
        raise NoGradient(
            f"the numbers that are given stand on effectively {least:.0f} of "
            f"{len(weights):,} rows of the model"
        )


def _nothing(numbers: AnswerNumbers, parameters: Sequence[nn.Parameter]) -> Tensor:
    return torch.zeros(numbers.size, _count(parameters), dtype=torch.float64)


class _Exchange:
    """Exchanges of values on the same rows of noise."""

    def __init__(self, dcm: Model, numbers: AnswerNumbers, group: _Group, at: Linearised):
        self.dcm, self.numbers, self.group, self.at = dcm, numbers, group, at
        self.rows = group.rows
        with torch.no_grad():
            self.influence = self._influence(self.rows)
        self.seen = group.seen

    def _influence(self, rows: Rows) -> Tensor:
        return self.numbers.influence(rows, self.at, self.group.places)

    def of(self, name: str, parameters: list[nn.Parameter]) -> Tensor:
        """Gradients ``(k, parameters)``."""
        total = _nothing(self.numbers, parameters)
        for place, seen in enumerate(self.seen.get(name, [])):
            if seen.world.cell(name) in self.rows.cells:  # else no number reads it
                total += self._in_world(place, seen, parameters)
        for density in self.group.pins.densities(self.rows):
            if density.name == name:
                total += self._by_density(density, parameters)
        return total

    def _by_density(self, density: Density, parameters: list[nn.Parameter]) -> Tensor:
        """What the parameters do to the weights of the rows."""
        total = _nothing(self.numbers, parameters)
        change = self.influence / len(self.rows)
        moved = (change != 0).any(1).nonzero().squeeze(-1)
        for rows in moved.split(_BACKWARD):
            with differentiable(parameters):
                total += pulled_back(density.log_prob(rows), change[rows].T, parameters)
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
        total = _nothing(self.numbers, parameters)
        for rows in moved.split(_BACKWARD):
            chosen = rows_at(parents, rows)
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
            first = self._influence(self._exchanged(seen, pair.first, pair))
        second = self._influence(self._exchanged(seen, pair.second, pair))
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
        unchanged = {}
        for cell, known in self.rows.cells.items():
            if cell[0] not in changed:
                unchanged[cell] = known
        rows.cells = unchanged
        self.group.pins.set(rows)
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
        flat = []
        for g, p in zip(gradients, parameters, strict=True):
            flat.append(torch.zeros(len(chunk), p.numel()) if g is None else g.flatten(1))
        parts.append(torch.cat(flat, 1).double())
    return torch.cat(parts)
