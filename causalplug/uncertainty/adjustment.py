"""Doubly robust estimates of effects whose treatment has no unobserved cause (Robins, Rotnitzky &
Zhao 1994).

Where every variable that is set is confounded by recorded variables Z alone, a term's numerator is

    mean over rows of  P(E | Z) mu(Z) + P(E | Z) 1{D = d} / P(d | Z) (f(Y) - mu(Z))

with the evidence E, the outcome's conditional mean mu and the probabilities of the treatment read
off the model. It is right if either of the two is, to first order in both their errors, and what a
row adds to it is its influence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from causalplug.mechanisms.trainable.continuous import ContinuousSpline
from causalplug.mechanisms.trainable.count import CountSpline
from causalplug.model.model import Model
from causalplug.noise import Noise
from causalplug.sampling.interventions import Constant
from causalplug.sampling.terms import Case
from causalplug.sampling.worlds import Rows, World
from causalplug.selection import pick, variables_of, within
from causalplug.uncertainty.numbers import AnswerNumbers

__all__ = ["Adjusted", "adjusted", "adjustment_names"]

_ROLLOUTS = 2**18  # rows that are rolled out for the conditional means of one term
_FEWEST, _MOST = 4, 64  # rollouts of a row
_NODES = 12  # of Gauss-Hermite quadrature
_JUMPING = 64  # for what jumps
_TOGETHER = 2**18  # values of a spline that are computed together


class Adjusted:
    """A doubly robust estimate.

    Args:
        estimate: ``(k,)`` the numbers.
        influence: ``(n, k)`` what every row adds to them; its mean is zero.
    """

    def __init__(self, estimate: Tensor, influence: Tensor):
        self.estimate, self.influence = estimate, influence


def adjustment_names(dcm: Model, numbers: AnswerNumbers) -> frozenset[str] | None:
    """The variables that have to be recorded for a doubly robust estimate, None if there is
    none."""
    if numbers.joint:
        return None
    needed: set[str] = set()
    for block in numbers.blocks:
        for case in block.cases:
            found = _needed(dcm, case)
            if found is None:
                return None
            needed |= found
    return frozenset(needed)


def adjusted(
    dcm: Model, numbers: AnswerNumbers, values: Mapping[str, Tensor], seed: int
) -> Adjusted:
    """The doubly robust estimate on rows.

    Args:
        dcm: The model.
        numbers: What is estimated; :func:`adjustment_names` has names for it.
        values: Encoded observational rows of these names, at least.
        seed: Seed of the rollouts.
    """
    device = dcm.device
    rows = {name: value.to(device) for name, value in values.items()}
    size = len(next(iter(rows.values())))
    a, b = [], []
    with torch.no_grad():
        for position in range(len(numbers.terms)):
            pairs = []
            for index in range(len(numbers.blocks)):
                pairs.append(_Case(dcm, numbers, index, position, rows, size, seed).parts())
            a.append(torch.cat([numerator for numerator, _ in pairs], 1))
            b.append(torch.cat([weight for _, weight in pairs], 1))
    numerator, weight = torch.stack(a), torch.stack(b)
    mean = weight.mean(1)
    ratios = numerator.mean(1) / mean
    scale = numbers.slopes(ratios)
    influence = (numerator - ratios[:, None] * weight) / mean[:, None]
    return Adjusted(numbers.combined(ratios), (scale[:, None] * influence).sum(0))


def _world(case: Case) -> World | None:
    """The one world in which the outcomes are read, None if there are several."""
    axes = [*case.outcomes, *([case.mean] if case.mean else [])]
    worlds = [axis.world for axis in axes] + [world for world, _, _ in case.fixed]
    worlds += [world for world, _ in case.ranges]
    if all(world is worlds[0] for world in worlds):
        return worlds[0]
    return None


def _outcomes(case: Case) -> list[str]:
    axes = [*case.outcomes, *([case.mean] if case.mean else [])]
    fixed = [name for _, name, _ in case.fixed] + [part.name for _, part in case.ranges]
    return variables_of(axes) + fixed


def _needed(dcm: Model, case: Case) -> set[str] | None:
    """Treatments, covariates, outcomes and evidence of a case, None where the formula does not
    hold."""
    world, evidence = _world(case), _evidence(case)
    if world is None or evidence is None:
        return None
    outcomes, treatments = set(_outcomes(case)), set(world.do)
    if not treatments & set(dcm.graph.ancestors(outcomes)):
        return evidence | outcomes
    before = _covariates(dcm, treatments, outcomes, evidence)
    if before is None or not all(_set_plainly(dcm, world, name) for name in treatments):
        return None
    several = len(treatments) > 1 and evidence & treatments
    open_ends = any(axis.variable in treatments for axis in case.evidence)
    if several or open_ends:
        return None
    return before | treatments | outcomes


def _evidence(case: Case) -> set[str] | None:
    """The names in a case's evidence, None if an intervention changes any, or a number is given."""
    if any(given.points for given in case.given):
        return None
    seen = set()
    for given in case.given:
        for name in given.names:
            seen.add(given.world.cell(name))
    seen |= {axis.world.cell(axis.variable) for axis in case.evidence}
    if any(setting for _, setting in seen):
        return None
    return {name for name, _ in seen}


def _covariates(
    dcm: Model, treatments: set[str], outcomes: set[str], evidence: set[str]
) -> set[str] | None:
    """What happens before the treatments, None unless it holds all their causes and all that is
    evidence, and no hidden cause joins it with what happens after them."""
    graph = dcm.graph
    after = set(graph.descendants(treatments)) | treatments
    before = (set(graph.ancestors(outcomes | treatments)) | evidence) - after
    known = before | treatments
    causes = set(chain.from_iterable(map(graph.parents, treatments)))
    later = (set(graph.ancestors(outcomes)) & after) - treatments
    joined = any(before & set(graph.siblings(name)) for name in later)
    if joined or not known.issuperset(causes | evidence):
        return None
    return before


def _set_plainly(dcm: Model, world: World, name: str) -> bool:
    """Whether a variable is set to one category and its mechanism says how probable that was."""
    return (
        isinstance(world.do[name], Constant)
        and dcm.variables[name].is_discrete
        and not dcm.graph.siblings(name)
        and dcm.mechanism(name).explicit
    )


def _nodes(smooth: bool) -> tuple[np.ndarray, np.ndarray]:
    """Places and weights of quadrature over a standard normal: by Gauss and Hermite, or for what
    jumps, quantiles of equal weight."""
    if smooth:
        return np.polynomial.hermite_e.hermegauss(_NODES)
    shares = (torch.arange(_JUMPING, dtype=torch.float64) + 0.5) / _JUMPING
    return torch.special.ndtri(shares).numpy(), np.ones(_JUMPING)


class _Case:
    """One case of a term on rows of data."""

    def __init__(
        self,
        dcm: Model,
        numbers: AnswerNumbers,
        index: int,
        position: int,
        rows: Mapping[str, Tensor],
        size: int,
        seed: int,
    ):
        self.dcm, self.numbers, self.position = dcm, numbers, position
        self.rows, self.size, self.seed = rows, size, seed
        self.block = numbers.blocks[index]
        self.case = self.block.cases[position]
        self.world: World = _world(self.case)  # type: ignore[assignment]
        self.factual = World(dcm.graph)
        self.treatments = within(self.world.do, rows)

    def parts(self) -> tuple[Tensor, Tensor]:
        """``a`` and ``b`` of every row, ``(n, cells)``."""
        seen, met = self._of(self._filled({}, self._recorded()))
        if not set(self.treatments) & set(self.dcm.graph.ancestors(_outcomes(self.case))):
            return seen, met
        mean = counterpart = self._mean({})
        pinned, share = self._pinned()
        if pinned:
            counterpart = self._mean(pinned)
            seen, _ = self._of(self._filled(pinned, self._recorded()))
        weight = share * self._inverse_probability()
        return mean + weight[:, None] * (seen - counterpart), met

    def _of(self, rows: Rows) -> tuple[Tensor, Tensor]:
        return self.numbers.of_case(self.block, self.position, rows)

    def _filled(
        self, pinned: Mapping[str, Tensor], outcomes: Mapping[str, Tensor], seed: int = 0
    ) -> Rows:
        """Rows that know what was recorded.

        Args:
            pinned: Values of the treatments as evidence, in place of the recorded ones.
            outcomes: Values in the world of the outcomes; what is left out is rolled out.
            seed: Seed of the rollouts.
        """
        rows = Rows(self.dcm, Noise(self.size, seed, device=self.dcm.device))
        for name, value in {**self.rows, **pinned}.items():
            rows.cells[self.factual.cell(name)] = value
        for name, value in outcomes.items():
            rows.cells[self.world.cell(name)] = value
        return rows

    def _recorded(self) -> dict[str, Tensor]:
        outcomes = set(_outcomes(self.case)) - set(self.treatments)
        return pick(self.rows, outcomes)

    def _mean(self, pinned: Mapping[str, Tensor]) -> Tensor:
        """Conditional mean of ``a`` given the covariates.

        Where the outcome alone descends from the treatments its categories are enumerated, or its
        normal noise is integrated out by quadrature; anything else is rolled out.
        """
        last = self._last()
        if last is not None and self.dcm.variables[last].is_discrete:
            return self._enumerated(last, pinned)
        if last is not None:
            return self._integrated(last, pinned)
        count = min(max(_ROLLOUTS // self.size, _FEWEST), _MOST)
        total = torch.zeros((), dtype=torch.float64)
        for k in range(count):
            total = total + self._of(self._filled(pinned, {}, self.seed + k))[0]
        return total / count

    def _last(self) -> str | None:
        """The one variable that has to be computed, if its own noise is a single normal or a
        choice among categories."""
        graph = self.world.graph
        above = set(graph.ancestors(_outcomes(self.case)))
        later = above & set(self.dcm.graph.descendants(self.treatments)) - set(self.treatments)
        if len(later) != 1:
            return None
        (name,) = later
        mechanism = self.dcm.mechanism(name)
        single = set(mechanism.noise) == {"normal"} and mechanism.noise["normal"].shape == ()
        choice = self.dcm.variables[name].is_discrete and mechanism.explicit
        free = not self.dcm.graph.siblings(name)
        if free and (single or choice):
            return name
        return None

    def _enumerated(self, name: str, pinned: Mapping[str, Tensor]) -> Tensor:
        logits = self.dcm.mechanism(name).logits(self._parents(name, pinned), None)
        shares = torch.softmax(logits.double(), -1).expand(self.size, -1)
        total = torch.zeros((), dtype=torch.float64)
        for code in range(shares.shape[1]):
            chosen = {name: torch.full((self.size,), code, device=shares.device)}
            total = total + shares[:, code : code + 1] * self._of(self._filled(pinned, chosen))[0]
        return total

    def _integrated(self, name: str, pinned: Mapping[str, Tensor]) -> Tensor:
        places, weights = _nodes(self.numbers.smooth)
        total = torch.zeros((), dtype=torch.float64)
        at_nodes = self._at(name, pinned, places)
        for rows, weight in zip(at_nodes, weights / weights.sum(), strict=True):
            total = total + float(weight) * self._of(rows)[0]
        return total

    def _at(self, name: str, pinned: Mapping[str, Tensor], places: np.ndarray) -> Iterator[Rows]:
        """Rows with the noise of a variable at each of the places; the network of a spline runs
        once for many of them."""
        mechanism = self.dcm.mechanism(name)
        if type(mechanism) not in (ContinuousSpline, CountSpline):  # those derived may differ
            for place in places:
                rows = self._filled(pinned, {})
                same = torch.full((self.size,), float(place), device=self.dcm.device)
                rows.noise = rows.noise.fix({f"{name}/normal": same})
                yield rows
            return
        read = self._parents(name, pinned)
        noise = torch.tensor(places, dtype=torch.get_default_dtype(), device=self.dcm.device)
        for some in noise.split(max(1, _TOGETHER // self.size)):
            for value in mechanism(read, {"normal": some[:, None].expand(-1, self.size)}):
                yield self._filled(pinned, {name: value})

    def _parents(self, name: str, pinned: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the mechanism of a variable reads in the world of the outcomes."""
        mechanism = self.dcm.mechanism(name)
        values = self._filled(pinned, {}).values(self.world, mechanism.parents)
        return {p: self.dcm._read(p, mechanism, values, {}) for p in mechanism.parents}

    def _pinned(self) -> tuple[dict[str, Tensor], Tensor]:
        """A value of the treatment that the evidence allows, and how probable it is given the
        covariates."""
        conditions = []
        for given in self.case.given:
            conditions.extend(given.conditions)
        for condition in conditions:
            if condition.name in self.treatments and condition.allowed is not None:
                allowed = condition.allowed.to(self.dcm.device)
                share = self._probabilities(condition.name)[:, allowed].sum(-1)
                value = allowed.nonzero()[0].expand(self.size)
                return {condition.name: value}, share
        return {}, torch.ones(self.size, dtype=torch.float64, device=self.dcm.device)

    def _inverse_probability(self) -> Tensor:
        """``1{D = d} / P(d | Z)``, with probabilities cut off where a row alone would decide."""
        weight = torch.ones(self.size, dtype=torch.float64, device=self.dcm.device)
        least = 1 / (math.sqrt(self.size) * math.log(self.size))
        for name in self.treatments:
            code = self.world.do[name].values(Noise(1), {})[0]
            probability = self._probabilities(name)[:, int(code)].clamp_min(least)
            weight = weight * (self.rows[name] == code) / probability
        return weight

    def _probabilities(self, name: str) -> Tensor:
        """Probabilities of the treatment's categories ``(n, k)``."""
        mechanism = self.dcm.mechanism(name)
        read = {p: self.dcm._read(p, mechanism, self.rows, {}) for p in mechanism.parents}
        logits = mechanism.logits(read, None)
        return torch.softmax(logits.double(), -1).expand(self.size, -1)
