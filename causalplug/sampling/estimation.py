"""The loop of an estimate: candidates in order, until every case has met its evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from causalplug.errors import QueryError, SamplingError
from causalplug.identification.arithmetic import Formula
from causalplug.noise import Noise
from causalplug.sampling.accept import LARGE, SMALL, evaluating
from causalplug.sampling.answers import Summary
from causalplug.sampling.banked import ClusteredMoments, ImageBank, bankable, images_for
from causalplug.sampling.condition import Given
from causalplug.sampling.limits import CHECK
from causalplug.sampling.memory import Batches, check_cells
from causalplug.sampling.met import Met
from causalplug.sampling.moments import Contribution, Moments
from causalplug.sampling.options import SamplingOptions
from causalplug.sampling.terms import (
    Axis,
    Case,
    CompiledTerm,
    numbers_of,
)
from causalplug.sampling.worlds import Rows, World
from causalplug.values import Json
from causalplug.wording import listed

if TYPE_CHECKING:
    from causalplug.model.model import Model

__all__ = ["ROWS", "Estimation"]

ROWS = 100_000  # of an answer, where no number is given
_PAINTED = (2_000, 10_000)  # of one for which images are painted: at least, at most


@dataclass(eq=False)
class _Block:
    """One value of every symbol: the cases of all terms with those values, and what was counted
    for them."""

    cases: list[Case]
    moments: Moments
    sizes: tuple[list[int], list[int]]
    accepted: int = 0
    values: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]] = field(
        default_factory=dict
    )

    def finished(self) -> tuple[Json, Moments, dict[str, Summary]]:
        """Symbols, moments, and the summaries of continuous outcomes."""
        cells = math.prod(self.sizes[0]) * math.prod(self.sizes[1])
        summaries = {name: Summary.of(parts, cells) for name, parts in self.values.items()}
        return self.cases[0].symbols, self.moments, summaries


class Estimation:
    """Candidates in order, until every case has met its evidence n times."""

    def __init__(
        self,
        dcm: Model,
        terms: Sequence[CompiledTerm],
        n: int | None,
        options: SamplingOptions,
        pictures: int,
        combination: Formula | None = None,
    ):
        self.dcm, self.terms, self.seed = dcm, list(terms), options.seed
        self.n = ROWS if n is None else n
        self.limits, self.wanted_pictures = options.limits(), pictures
        self._read_axes()
        self.blocks = self._blocks(combination)
        first = terms[0].cases[0]
        self.counts = bool(self.axes[2] or first.fixed or first.ranges or first.mean)
        self.pictures: dict[str, np.ndarray] = {}
        self._found: dict[str, list[np.ndarray]] = {label: [] for label in self.images}
        wide = any(dcm.variables[name].needs_encoder for name in self._rendered())
        if n is None and wide:
            self.n = _painted_rows(dcm)
        self.met = self._conditions()
        for met in self.met.values():
            met.prepare(dcm)
        self.batches = Batches(options.batch_size or (SMALL if wide else LARGE))
        self.at = 0

    def _read_axes(self) -> None:
        """What the answer has an axis for: symbols, evidence and discrete outcomes; the outcomes
        that are images or numbers beside them."""
        variables, first = self.dcm.variables, self.terms[0].cases[0]
        kinds = {a.label: variables[a.variable] for a in first.outcomes}
        self.images = [label for label, v in kinds.items() if v.is_image]
        self.numbers = [label for label, v in kinds.items() if v.is_number]
        self._check_axes()
        symbols = self.terms[0].symbols
        outcomes = [(a.label, variables[a.variable]) for a in first.outcomes]
        self.axes = [
            [(label, variables[self._symbol_variable(label)]) for label in symbols],
            [(a.label, variables[a.variable]) for a in first.evidence],
            [(label, variable) for label, variable in outcomes if variable.is_discrete],
        ]
        _, evidence, discrete = self.axes
        self.sizes = (
            [variable.size for _, variable in evidence],
            [variable.size for _, variable in discrete],
        )

    def _blocks(self, combination: Formula | None) -> list[_Block]:
        """A block for every value of the symbols."""
        order = self.terms[0].symbols
        by_symbols = []
        for term in self.terms:
            by_symbols.append({tuple(str(c.symbols[s]) for s in order): c for c in term.cases})
        shape = math.prod(self.sizes[0]), math.prod(self.sizes[1])
        cells = math.prod(shape) * len(by_symbols[0])
        check_cells(cells, len(self.terms), sum(map(len, self.sizes)))
        self.bank = self._image_bank(*shape)
        coefficients = [term.coefficient for term in self.terms]
        blocks = []
        for key in by_symbols[0]:
            moments = Moments(coefficients, *shape, combination)
            if self.bank is not None:
                moments = ClusteredMoments(coefficients, *shape, combination, self.bank.images)
            blocks.append(_Block([cases[key] for cases in by_symbols], moments, self.sizes))
        return blocks

    def _rendered(self) -> set[str]:
        """Variables that have to be generated; without the images that a bank stands for."""
        found: set[str] = set()
        for block in self.blocks:
            for case in block.cases:
                asked = [(g.clamped, list(g.names)) for g in case.given]
                for world, names in case.targets:
                    plain = []
                    for name in names:
                        if not self.dcm.variables[name].needs_encoder:
                            plain.append(name)
                    asked.append((world, plain))
                for world, names in asked:
                    found |= {name for name, _ in world.run(names)}
        if self.bank is not None:
            found.discard(self.bank.name)
        return found

    def _image_bank(self, evidence: int, outcomes: int) -> ImageBank | None:
        """Projections in place of images, where nothing but a projection is read of them."""
        if self.images or self.numbers:
            return None
        name = self._bankable()
        if name is None:
            return None
        images = images_for(self.dcm.mechanism(name))
        fits = ClusteredMoments.fits(len(self.terms), evidence, outcomes, images)
        if self.n <= images or not fits:
            return None
        return ImageBank(self.dcm, name, self.seed)

    def _bankable(self) -> str | None:
        """The image that a bank can stand for in all terms."""
        targets: list[tuple[World, list[str]]] = []
        seen: list[tuple[World, str]] = []
        for term in self.terms:
            for case in term.cases:
                targets += case.targets
                for given in case.given:
                    seen += [(given.world, name) for name in given.names]
        return bankable(self.dcm, targets, seen)

    # -- what is asked

    def _symbol_variable(self, label: str) -> str:
        term = self.terms[0].term
        if label.startswith("$"):
            return next(e.variable for e in term.events if str(e.value) == label)
        return label

    def _check_axes(self) -> None:
        """Terms of a contrast have to be about the same things."""
        shapes = []
        for term in self.terms:
            evidence = sorted(a.label for a in term.cases[0].evidence)
            outcomes = sorted(a.label for a in term.cases[0].outcomes)
            shapes.append((sorted(term.symbols), evidence, outcomes))
        if any(shape != shapes[0] for shape in shapes):
            raise QueryError(
                "the terms of the contrast cannot be subtracted: they leave different variables "
                "open. Give the same variables a value in all of them."
            )
        wide = [*self.images, *self.numbers]
        if len(self.terms) > 1 and wide:
            raise QueryError(
                f"a contrast of distributions of {listed(wide)} cannot be estimated: they are not "
                "discrete. Use E[…], or estimate the terms one by one."
            )

    def _conditions(self) -> dict[Any, Met]:
        """Everything that is conditioned on, with all that is asked under it."""
        given: dict[Any, list[Given]] = {}
        targets: dict[Any, list[tuple[World, list[str]]]] = {}
        for block in self.blocks:
            for case in block.cases:
                given.setdefault(case.key, case.given)
                targets.setdefault(case.key, []).extend(case.targets)
        return {key: Met(given[key], targets[key], self.n) for key in given}

    # -- the loop

    def run(self, progress: bool | None) -> None:
        """Draw candidates until every block has n rows that met the evidence of all its terms."""
        from causalplug.notebook import bar_type

        check = math.ceil(CHECK / self.limits.min_acceptance)
        limit = check + math.ceil(self.n / self.limits.min_acceptance)
        self._infer()
        self.done = False
        disable, delay = (None, 2.0) if progress is None else (not progress, 0.0)
        with bar_type()(
            total=self.n, desc="estimating", unit="rows", disable=disable, delay=delay
        ) as bar:
            while not self.done:
                fewest = self.fewest
                self.limits.check_time(f"{fewest} of {self.at:,} candidate rows met the evidence")
                if (self.at == check and fewest < CHECK / 4) or self.at >= limit:
                    self._too_rare(fewest)
                end = check if self.at < check else limit
                stop = min(self.at + min(self._window(fewest), self.batches.size), end)
                for _, _, commit in self.batches.run(self.at, stop, self._batch):
                    commit()
                    if self.done:
                        break
                bar.update(min(self.fewest, self.n) - bar.n)
        for label, parts in self._found.items():
            self.pictures[label] = np.concatenate(parts or [np.zeros((0,))])

    def _window(self, fewest: int) -> int:
        """Candidates that are likely to be enough."""
        if not self.at:
            return self.n
        rate = (fewest + 1) / (self.at + 1)
        return max(math.ceil((self.n - fewest) / rate), 512)

    def _infer(self) -> None:
        for met in self.met.values():
            met.infer(self.dcm, self.seed, self.limits)
            if met.posterior is not None and met.posterior.wide:
                self.batches.size = min(self.batches.size, SMALL)

    @property
    def fewest(self) -> int:
        """Rows that met the evidence that was met least often."""
        return min(met.count for met in self.met.values())

    def _too_rare(self, fewest: int) -> None:
        raise SamplingError(
            f"The evidence is too rare: {fewest} of {self.at:,} candidate rows met it, a rate of "
            f"{fewest / self.at:.2g}, below min_acceptance={self.limits.min_acceptance:g}. "
            "Condition on less, ask for fewer rows, or lower min_acceptance= if you want to wait."
        )

    def _batch(self, a: int, b: int) -> Any:
        """Compute rows a … b; what they say is only added by the function that is returned."""
        dcm = self.dcm
        with evaluating(dcm):
            base = Rows(dcm, Noise(torch.arange(a, b), self.seed, device=dcm.device))
            if self.bank is None:
                base.banks = {}
            else:
                base.banks = {self.bank.name: self.bank}
            filtered: dict[Any, tuple[Rows, torch.Tensor]] = {}
            for key, met in self.met.items():
                filtered[key] = met.filter(base)
            cut = self._cut(filtered, b - a)
            for key, (rows, index) in filtered.items():
                kept = index < cut
                if not bool(kept.all()):
                    rows = rows.select(kept.nonzero().squeeze(-1))
                    filtered[key] = rows, index[kept]
            parts = [
                [self._contribution(case, *filtered[case.key]) for case in block.cases]
                for block in self.blocks
            ]
            numbers = [
                self._numbers(block.cases[0], filtered, part[0])
                for block, part in zip(self.blocks, parts, strict=True)
            ]
            pictures = self._pictures(filtered)

        def commit() -> None:
            for block, part, values in zip(self.blocks, parts, numbers, strict=True):
                block.moments.add(part)
                for label, value in values.items():
                    block.values.setdefault(label, []).append(value)
            for label, found in pictures.items():
                self._found[label].append(found)
            for key, (rows, _) in filtered.items():
                self.met[key].add(rows)
            for block in self.blocks:
                block.accepted = min(self.met[case.key].count for case in block.cases)
            self.at = a + cut
            self.done = self.fewest >= self.n

        return commit

    def _cut(self, filtered: dict[Any, tuple[Rows, torch.Tensor]], size: int) -> int:
        """The row at which the last case has met its evidence n times, or all rows of the batch."""
        last = 0
        for key, (rows, index) in filtered.items():
            reached = self.met[key].reached(rows, index)
            if reached is None:
                return size
            last = max(last, reached)
        return last

    def _averaged(self, mean: Axis, rows: Rows) -> np.ndarray:
        """The values that an expectation is taken of."""
        values = rows.values(mean.world, [mean.variable])[mean.variable]
        numbers = numbers_of(self.dcm.variables[mean.variable], mean.variable)
        if numbers is not None:
            values = torch.tensor(numbers, dtype=torch.float64, device=values.device)[values]
        return values.double().cpu().numpy()

    def _contribution(self, case: Case, rows: Rows, index: torch.Tensor) -> Contribution:
        evidence = _codes(rows, case.evidence, self.sizes[0])
        discrete = [a for a in case.outcomes if self.dcm.variables[a.variable].is_discrete]
        outcome = _codes(rows, discrete, self.sizes[1])
        for world, name, code in case.fixed:
            outcome = torch.where(rows.values(world, [name])[name] == code, outcome, -1)
        for world, condition in case.ranges:
            values = rows.values(world, [condition.name])[condition.name]
            outcome = torch.where(condition.holds(values, rows.noise.rows), outcome, -1)
        number = None if case.mean is None else self._averaged(case.mean, rows)
        weight = rows.marks.get("log_weight")
        return Contribution(
            index.numpy(),
            evidence.cpu().numpy(),
            outcome.cpu().numpy(),
            None if weight is None else weight.exp().cpu().numpy(),
            number,
            None if self.bank is None else self.bank.clusters(rows.noise).cpu().numpy(),
        )

    def _numbers(self, case: Case, filtered: Any, part: Contribution) -> Json:
        """Cells, values and weights of the continuous outcomes."""
        if not self.numbers:
            return {}
        rows, _ = filtered[case.key]
        hit = part.outcome >= 0
        cells = (part.evidence * math.prod(v.size for _, v in self.axes[2]) + part.outcome)[hit]
        found = {}
        for axis in case.outcomes:
            if axis.label in self.numbers:
                values = rows.values(axis.world, [axis.variable])[axis.variable]
                if part.weight is None:
                    weight = None
                else:
                    weight = part.weight[hit]
                found[axis.label] = (cells, values.cpu().numpy()[hit], weight)
        return found

    def _pictures(self, filtered: Any) -> dict[str, np.ndarray]:
        """Images of the first rows that met the evidence; no others are rendered."""
        case = self.blocks[0].cases[0]
        found = {}
        for axis in case.outcomes:
            missing = self.wanted_pictures - sum(map(len, self._found.get(axis.label, [])))
            if axis.label in self.images and missing > 0:
                rows, _ = filtered[case.key]
                few = rows.select(torch.arange(min(missing, len(rows))))
                if len(few):
                    images = few.values(axis.world, [axis.variable])[axis.variable]
                    found[axis.label] = self.dcm.variables[axis.variable].decode(images)
        return found


def _codes(rows: Rows, axes: Sequence[Any], sizes: Sequence[int]) -> torch.Tensor:
    """One code per row over several discrete axes."""
    code = torch.zeros(len(rows), dtype=torch.int64, device=rows.noise.device)
    for axis, size in zip(axes, sizes, strict=True):
        code = code * size + rows.values(axis.world, [axis.variable])[axis.variable]
    return code


def _painted_rows(dcm: Model) -> int:
    """Rows of an answer for which images are painted one by one: as many as training had, within
    bounds, because more cannot make the model's answer more accurate."""
    counts = dcm.history.get("sources") or []
    least, most = _PAINTED
    return min(max(sum(count["rows"] for count in counts), least), most)
