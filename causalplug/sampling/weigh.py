"""What the noise of a block's candidates says about what was seen: its probability, and draws of
the unseen values and of all own noise given both.

Where the unseen variables are few categories they are summed out, so that a candidate is weighed by
exactly P(seen | its confounder noise). Elsewhere the candidate's unseen values are drawn, parents
first, and weighed by the probabilities of what was seen (likelihood weighting).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalplug.noise import Noise, NoiseSpec
from causalplug.sampling.condition import Condition
from causalplug.sampling.elimination import Elimination, Factor
from causalplug.sampling.scene import Block, Scene, confounder_keys, grid
from causalplug.selection import values_at

if TYPE_CHECKING:
    from causalplug.mechanisms.base import Mechanism

__all__ = ["Candidates", "Drawn", "Weighed", "draw", "weigh"]

_UNIFORM, _GUMBEL = NoiseSpec((), "uniform"), "gumbel"
_LEAST = 2.0**-26  # share of an interval, so that an open one gives a finite number
_UNDERFLOW = 1e-290  # the smallest probability that is told from zero


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidates of one block.

    Attributes:
        owners: ``(n,)`` number of the row whose evidence each is for.
        latents: ``(n, size)``.
        raw: Noise for all that is drawn beside the latents.
    """

    owners: Tensor
    latents: Tensor
    raw: Noise

    def __len__(self) -> int:
        return len(self.owners)

    def part(self, start: int, stop: int) -> Candidates:
        """Some consecutive candidates."""
        index = torch.arange(start, min(stop, len(self)))
        return self.select(index)

    def select(self, index: Tensor) -> Candidates:
        """The candidates at these positions."""
        latents = self.latents[index.to(self.latents.device)]
        return Candidates(self.owners[index.cpu()], latents, self.raw.select(index))


@dataclass(eq=False)
class Drawn:
    """What was drawn for the candidates of a block.

    Attributes:
        values: Encoded values by variable.
        own: Own noise by name.
        log_weight: ``(n,)`` log probability or density of what was seen.
    """

    values: dict[str, Tensor] = field(default_factory=dict)
    own: dict[str, Tensor] = field(default_factory=dict)
    log_weight: Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.float64))


@dataclass(frozen=True, eq=False)
class Weighed:
    """What was seen in a block, weighed for some candidates.

    Attributes:
        log_weight: ``(n,)`` log probability or density, of float64.
        sums: The sums over the unseen values, where they were summed out.
    """

    log_weight: Tensor
    sums: Elimination | None = None


def weigh(scene: Scene, block: Block, candidates: Candidates) -> Weighed:
    """Log probability or density of what was seen in the block."""
    if block.order is None:
        return Weighed(_Walk(scene, block, candidates).drawn().log_weight.expand(len(candidates)))
    sums = _Sums(scene, block, candidates).eliminated()
    return Weighed(sums.total.expand(len(candidates)), sums)


def draw(
    scene: Scene,
    block: Block,
    candidates: Candidates,
    recover: set[str],
    known: tuple[Elimination, Tensor] | None = None,
) -> Drawn:
    """Values of the block's unseen variables given what was seen, and own noise.

    Args:
        scene: What was seen.
        block: The block.
        candidates: The candidates that values are drawn for.
        recover: Variables whose own noise is needed.
        known: The sums of candidates that these are chosen from, and their places among them.
    """
    if block.weightless:
        drawn = Drawn()
    elif known is not None:
        drawn = Drawn(known[0].draw(gumbels(scene, block, candidates), known[1]))
    elif block.order is None:
        drawn = _Walk(scene, block, candidates).drawn()
    else:
        drawn = _Sums(scene, block, candidates).drawn()
    walk = _Walk(scene, block, candidates, drawn.values)
    for name in block.names:
        needed = name in recover or (name in block.free and name not in drawn.values)
        if needed and name not in scene.points:
            drawn.own |= walk.own_noise(name, drawn)
    return drawn


def gumbels(scene: Scene, block: Block, candidates: Candidates) -> dict[str, Tensor]:
    """Gumbel noise for the draws of a block's unseen categories, by variable."""
    noise = {}
    for name in block.free:
        size = scene.dcm.variables[name].cardinality
        if scene.dcm.variables[name].is_discrete and size is not None:
            spec = NoiseSpec((size,), _GUMBEL)
            noise[name] = candidates.raw.draw(f"{block.label}/{name}", spec)
    return noise


class _Inputs:
    """What the mechanisms of a block read, for some candidates."""

    def __init__(self, scene: Scene, block: Block, candidates: Candidates):
        self.scene, self.block, self.dcm = scene, block, scene.dcm
        self.candidates, self.owners = candidates, candidates.owners
        self.latents = block.split(candidates.latents)
        self._projections: dict[str, Tensor] = {}

    def confounder(self, name: str, rows: int | None = None) -> Tensor | None:
        """Confounder noise ``(n, e)`` that the mechanism reads."""
        keys = confounder_keys(self.dcm, name)
        if keys:
            return torch.cat(values_at(self.latents, keys), -1)[:rows]
        return None

    def known(self, name: str, mechanism: Mechanism, rows: int | None = None) -> Tensor:
        """The value of a variable that was seen or is set, as a mechanism reads it."""
        owners = self.owners[:rows]
        if not (self._projected(name) and mechanism.reads_projections):
            return self.scene.value(name, owners)
        if name not in self._projections:
            several, index = torch.unique(self.owners, return_inverse=True)
            if self.scene.constant(name):
                several, index = several[:1], torch.zeros_like(index)
            projected = self.dcm.project(name, self.scene.value(name, several))
            self._projections[name] = projected[index.to(projected.device)]
        return self._projections[name][:rows]

    def ends(
        self,
        mechanism: Mechanism,
        condition: Condition,
        inputs: dict[str, Tensor],
        confounder: Tensor | None,
        n: int,
    ) -> tuple[Tensor, Tensor]:
        """The normal numbers ``(n,)`` that give the ends of an interval."""
        found = []
        for end in (condition.low, condition.high):
            normal = torch.full((n,), end, dtype=torch.float64, device=self.scene.device)
            if not math.isinf(end):
                recovered = mechanism.abduct(normal.float(), inputs, confounder)["normal"]
                normal = recovered.double().expand(n)
            found.append(normal)
        return found[0], found[1]

    def shown(self, name: str, owners: Tensor) -> Tensor:
        """The value of a variable that was seen, as its own mechanism gives it."""
        return self.dcm.variables[name].scale(self.scene.value(name, owners))

    def _projected(self, name: str) -> bool:
        return self.dcm.variables[name].needs_encoder and name in self.dcm.encoders.unopened()


class _Sums(_Inputs):
    """A block whose unseen variables are summed out."""

    def eliminated(self) -> Elimination:
        """The sums, for all candidates."""
        if self.block.order is None:
            raise ValueError(f"{self.block.label} cannot be summed")
        return Elimination(list(map(self._known_factor, self.block.names)), self.block.order)

    def drawn(self) -> Drawn:
        """A draw of the unseen categories given what was seen."""
        eliminated = self.eliminated()
        total = eliminated.total.expand(len(self.candidates))
        noise = gumbels(self.scene, self.block, self.candidates)
        return Drawn(eliminated.draw(noise), {}, total)

    def _known_factor(self, name: str) -> Factor:
        """The table of a variable; what all rows share is made once."""
        if self.scene.varies(name):
            return self._factor(name)
        if name not in self.scene.shared:
            self.scene.shared[name] = self._factor(name)
        return self.scene.shared[name]

    def _factor(self, name: str) -> Factor:
        """The table of a variable; configurations of unseen parents before rows."""
        scene, mechanism = self.scene, self.scene.mechanism(name)
        unseen = [n for n in self.block.free if self.dcm.variables[n].is_discrete]
        parents = [p for p in scene.scope(name, unseen) if p != name]
        sizes = [self.dcm.variables[p].cardinality or 1 for p in parents]
        rows = len(self.candidates)
        if not scene.varies(name):
            rows = 1
        codes = grid(sizes, scene.device)
        inputs = {}
        for parent in mechanism.parents:
            if parent in parents:
                inputs[parent] = codes[:, parents.index(parent)].repeat_interleave(rows)
            else:
                inputs[parent] = _again(self.known(parent, mechanism, rows), len(codes))
        confounder = self.confounder(name, rows)
        if confounder is not None:
            confounder = _again(confounder, len(codes))
        n = len(codes) * rows
        if self.dcm.variables[name].is_discrete and not scene.seen(name):
            condition = scene.conditions.get(name)
            shares = _shares(mechanism, inputs, confounder, n, condition)
            weights = shares.reshape(len(shares), *sizes, rows)
            nothing = torch.zeros(1, dtype=torch.float64, device=weights.device)
            return Factor((name, *parents), weights, nothing)
        log = self._log(name, mechanism, inputs, confounder, rows, len(codes))
        return Factor.of_logs(parents, log.reshape(*sizes, rows))

    def _log(
        self,
        name: str,
        mechanism: Mechanism,
        inputs: dict[str, Tensor],
        confounder: Tensor | None,
        rows: int,
        configurations: int,
    ) -> Tensor:
        """Log probabilities or densities ``(configurations * rows,)`` of what was seen."""
        n = rows * configurations
        if self.scene.seen(name):
            value = _again(self.shown(name, self.owners[:rows]), configurations)
            return mechanism.log_prob(value, inputs, confounder).double().expand(n)
        condition = self.scene.conditions.get(name)
        if condition is None:
            raise ValueError(f"{name} cannot be summed out")
        low, high = self.ends(mechanism, condition, inputs, confounder, n)
        return _log_between(low, high)


class _Walk(_Inputs):
    """A block whose unseen variables are drawn, parents first."""

    def __init__(
        self,
        scene: Scene,
        block: Block,
        candidates: Candidates,
        values: dict[str, Tensor] | None = None,
    ):
        super().__init__(scene, block, candidates)
        self.values = dict(values or {})
        self._read: dict[str, Tensor] = {}

    def inputs(self, mechanism: Mechanism) -> dict[str, Tensor]:
        """The parents of a mechanism as it reads them."""
        found = {}
        for parent in mechanism.parents:
            if self.scene.seen(parent):
                found[parent] = self.known(parent, mechanism)
            else:
                found[parent] = self.dcm._read(parent, mechanism, self.values, self._read)
        return found

    def drawn(self) -> Drawn:
        """Values, own noise and weights of all candidates."""
        found = Drawn(self.values)
        for name in self.block.names:
            self._visit(name, found)
        return found

    def _visit(self, name: str, found: Drawn) -> None:
        mechanism = self.scene.mechanism(name)
        inputs, confounder = self.inputs(mechanism), self.confounder(name)
        n, condition = len(self.candidates), self.scene.conditions.get(name)
        if self.scene.seen(name):
            value = self.shown(name, self.owners)
            found.log_weight = found.log_weight.to(value.device) + _double(
                mechanism.log_prob(value, inputs, confounder), n
            )
            return
        if condition is None:
            own = self._prior(name, mechanism)
            self.values[name] = mechanism(inputs, own, confounder)
            found.own |= {f"{name}/{key}": noise for key, noise in own.items()}
        elif self.dcm.variables[name].is_discrete:
            log_probs = _log_probs(mechanism, inputs, confounder, n, condition)
            spec = NoiseSpec((log_probs.shape[-1],), _GUMBEL)
            gumbel = self.candidates.raw.draw(f"{self.block.label}/{name}", spec)
            self.values[name] = (log_probs + gumbel).argmax(-1)
            found.log_weight = found.log_weight.to(log_probs.device) + log_probs.logsumexp(-1)
        else:
            found.own |= self._inside(name, inputs, confounder, condition)
            own = {"normal": found.own[f"{name}/normal"]}
            self.values[name] = mechanism(inputs, own, confounder)
            low, high = self.ends(mechanism, condition, inputs, confounder, n)
            found.log_weight = found.log_weight.to(low.device) + _log_between(low, high)

    def own_noise(self, name: str, found: Drawn) -> dict[str, Tensor]:
        """Own noise of a variable of the block that gives its value, by full name."""
        mechanism = self.scene.mechanism(name)
        if all(f"{name}/{key}" in found.own for key in mechanism.noise):
            return {}
        inputs, confounder = self.inputs(mechanism), self.confounder(name)
        if not self.dcm.variables[name].is_discrete:
            own = self._inside(name, inputs, confounder, self.scene.conditions[name])
            plain = {"normal": own[f"{name}/normal"]}
            found.values[name] = mechanism(inputs, plain, confounder)
            return own
        seen = self.scene.seen(name)
        if seen:
            value = self.scene.value(name, self.owners)
        else:
            value = found.values[name]
        prior = {}
        for key, spec in mechanism.noise.items():
            prior[key] = self.candidates.raw.draw(f"{name}/{key}", spec)
        own = mechanism.abduct(value, inputs, confounder, prior=prior)
        return {f"{name}/{key}": noise for key, noise in own.items()}

    def _prior(self, name: str, mechanism: Mechanism) -> dict[str, Tensor]:
        found = {}
        for key, spec in mechanism.noise.items():
            full = f"{name}/{key}"
            if full in self.latents:
                found[key] = self.latents[full]
            else:
                found[key] = self.candidates.raw.draw(f"{self.block.label}/{full}", spec)
        return found

    def _inside(
        self,
        name: str,
        inputs: dict[str, Tensor],
        confounder: Tensor | None,
        condition: Condition,
    ) -> dict[str, Tensor]:
        """The normal number of a variable that lies in an interval."""
        n = len(self.candidates)
        low, high = self.ends(self.scene.mechanism(name), condition, inputs, confounder, n)
        share = self.candidates.raw.draw(f"{self.block.label}/{name}", _UNIFORM).double()
        return {f"{name}/normal": _normal_between(low, high, share).float()}


def _double(log: Tensor, n: int) -> Tensor:
    return log.double().expand(n)


def _again(values: Tensor, times: int) -> Tensor:
    """All rows once more and once more."""
    if times == 1:
        return values
    return values.repeat(times, *[1] * (values.ndim - 1))


def _shares(
    mechanism: Mechanism,
    inputs: dict[str, Tensor],
    confounder: Tensor | None,
    n: int,
    condition: Condition | None,
) -> Tensor:
    """Probabilities ``(k, n)`` of the categories, 0 for those ruled out."""
    logits: Callable[..., Tensor] = mechanism.logits
    by_row = logits(inputs, confounder)
    shares = torch.softmax(by_row.expand(n, by_row.shape[-1]).T.double(), 0)
    if condition is None or condition.allowed is None:
        return shares
    return shares * condition.allowed.to(shares.device).unsqueeze(-1)


def _log_probs(
    mechanism: Mechanism,
    inputs: dict[str, Tensor],
    confounder: Tensor | None,
    n: int,
    condition: Condition | None,
) -> Tensor:
    """Log probabilities ``(n, k)`` of the categories, minus infinity for those ruled out."""
    logits: Callable[..., Tensor] = mechanism.logits
    log_probs = torch.log_softmax(logits(inputs, confounder).double(), -1)
    log_probs = log_probs.expand(n, log_probs.shape[-1])
    if condition is None or condition.allowed is None:
        return log_probs
    return log_probs.masked_fill(~condition.allowed.to(log_probs.device), -math.inf)


def _log_between(low: Tensor, high: Tensor) -> Tensor:
    """Log probability that a standard normal number lies between the ends; by the tail that is
    nearer, where the digits are."""
    flipped = low > 0
    a, b = torch.where(flipped, -high, low), torch.where(flipped, -low, high)
    upper, lower = torch.special.log_ndtr(b), torch.special.log_ndtr(a)
    return upper + torch.log1p(-(lower - upper).exp().clamp(max=1.0))


def _normal_between(low: Tensor, high: Tensor, share: Tensor) -> Tensor:
    """The standard normal number at ``share`` of the probability between the ends."""
    flipped = low > 0
    a, b = torch.where(flipped, -high, low), torch.where(flipped, -low, high)
    share = share.clamp(_LEAST, 1 - _LEAST)
    start, end = torch.special.ndtr(a), torch.special.ndtr(b)
    number = torch.special.ndtri(start + share * (end - start))
    number = torch.where(end > _UNDERFLOW, number, _far_between(a, b, share))
    number = torch.minimum(torch.maximum(number, a), b)
    return torch.where(flipped, -number, number)


def _far_between(low: Tensor, high: Tensor, share: Tensor) -> Tensor:
    """The same where both ends lie so far below zero that no float holds their probabilities: the
    tail is that of ``exp(-x**2 / 2)``."""
    ratio = (torch.special.log_ndtr(low) - torch.special.log_ndtr(high)).exp()
    return -(high.square() - 2 * (ratio + share * (1 - ratio)).log()).sqrt()
