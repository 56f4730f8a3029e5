"""What the modules are trained on and judged by: rows, images, banks of frozen samples."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalplug.checks.two_sample import Shown
from causalplug.data.source import Rows
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.model.model import Model
from causalplug.planning.plan import Module, Target
from causalplug.selection import pick, within, without
from causalplug.tensors import rows_at
from causalplug.training.config import TrainingConfig
from causalplug.training.factors import pixel_column
from causalplug.training.moments import moments_off, moments_off_by_value
from causalplug.training.rollout import Roller
from causalplug.training.validation import Distance, distance
from causalplug.wording import listed

if TYPE_CHECKING:
    from causalplug.mechanisms.frozen.bank import SampleBank

__all__ = ["Prepared", "source_name"]

_JUDGED = 20_000  # rows whose moments are compared
_HELD_OUT_PIXELS = 4096  # rows of a validation on pixels, at most


@dataclass
class Prepared:
    """Everything that training reads, on its device.

    Attributes:
        train, held_out: Rows by source, images as projections where they have an encoder.
        images: Pixels of the same rows, by (source, part), where they were: they move when they are
            asked for.
        banks: Samples of frozen image mechanisms, by variable.
    """

    train: list[Rows]
    held_out: list[Rows]
    images: dict[tuple[str, str], dict[str, Tensor]] = field(default_factory=dict)
    banks: dict[str, SampleBank] = field(default_factory=dict)
    _images: list[str] | None = None
    _readers: dict[tuple[str, ...], Shown] = field(default_factory=dict)

    def rows(self, source: str, part: str, pixels: Sequence[str] = ()) -> Rows:
        """Rows of one source (part ``"train"`` or ``"held_out"``), with some image variables as
        pixels."""
        if part == "train":
            of_part = self.train
        else:
            of_part = self.held_out
        rows = next(r for r in of_part if source_name(r) == source)
        images = {}
        for name in pixels:
            if name in self.images[source, part]:
                images[name] = self.images[source, part][name]
        if part == "held_out" and images:
            few = torch.arange(min(len(rows), _HELD_OUT_PIXELS))
            rows, images = rows.select(few), rows_at(images, few)
        if not images:
            return rows
        device = next(iter(rows.values.values())).device
        return replace(
            rows,
            values={**rows.values, **{name: value.to(device) for name, value in images.items()}},
        )

    def with_pixels(self, dcm: Model, module: Module, part: str) -> list[Rows]:
        """Rows of every source for a likelihood: where a mechanism of the module makes or reads
        the pixels of an image, they stand beside its projection."""
        names = _made_or_read_as_pixels(dcm, module.variables)
        if part == "train":
            of_part = self.train
        else:
            of_part = self.held_out
        return [self._beside(rows, part, names) for rows in of_part]

    def columns(self, dcm: Model, name: str, rows: Rows) -> dict[str, Tensor]:
        """Columns of training rows, with pixels where the mechanism of ``name`` makes or reads
        them; then of the first some thousand rows."""
        found = self._beside(rows, "train", _made_or_read_as_pixels(dcm, [name]))
        if found is rows:
            return rows.values
        return found.select(torch.arange(min(len(rows), _HELD_OUT_PIXELS))).values

    def _beside(self, rows: Rows, part: str, names: Collection[str]) -> Rows:
        images = self.images[source_name(rows), part]
        device = next(iter(rows.values.values())).device
        pixels = {pixel_column(n): images[n].to(device) for n in names if n in images}
        if pixels:
            return replace(rows, values={**rows.values, **pixels})
        return rows

    @staticmethod
    def pixels(dcm: Model, module: Module, config: TrainingConfig) -> list[str]:
        """Image variables whose pixels the critics of a module read: see
        :attr:`TrainingConfig.projections`."""
        painted = config.strategy == "modular"
        read = {name for target in module.targets for name in _given_as_pixels(dcm, target)}
        found = []
        for name, variable in dcm.variables.items():
            if variable.needs_encoder and (
                not config.projections
                or name not in dcm.encoders
                or name in read
                or (painted and name in module.variables)
            ):
                found.append(name)
        return found

    def distances(
        self, dcm: Model, module: Module, generator: torch.Generator, *, final: bool = False
    ) -> list[Distance]:
        """Distance to every target of the module that can be drawn without calling a generator
        anew.

        Args:
            dcm: The model.
            module: Whose targets they are.
            generator: Generator of the drawn rows.
            final: Classify, too, where variables are continuous.
        """
        found = []
        for target in module.targets:
            unbanked = []
            for name in target.frozen:
                if isinstance(dcm.mechanism(name), FrozenMechanism) and name not in self.banks:
                    unbanked.append(name)
            if unbanked:
                continue
            wanted = {*target.updated, *_given_as_pixels(dcm, target)}
            pixels = [
                name for name in self._images_of(dcm) if name in wanted or name not in dcm.encoders
            ]
            rows = self.rows(target.source, "held_out", pixels)
            roller = Roller(
                dcm, target.variables, target.parents, (), banks=self.banks, pixels=pixels
            )
            shown = self._shown(dcm, target, pixels)
            measured = distance(
                dcm, target, roller, rows.values, generator, shown=shown, final=final
            )
            if final and not pixels:
                off = self._moments_off(dcm, target, roller, generator)
                measured = replace(measured, off=tuple(off))
            found.append(measured)
        return found

    def _images_of(self, dcm: Model) -> list[str]:
        """Image variables, looked for once: a model may have thousands of others."""
        if self._images is None:
            self._images = [n for n, variable in dcm.variables.items() if variable.needs_encoder]
        return self._images

    def _moments_off(
        self, dcm: Model, target: Target, roller: Roller, generator: torch.Generator
    ) -> list[str]:
        """Moments of the numbers of a target that are not those of all rows of its source."""
        numbers = [name for name in target.variables if dcm.variables[name].is_number]
        if not numbers:
            return []
        both = []
        for part in (self.train, self.held_out):
            both.append(next(r for r in part if source_name(r) == target.source))
        names = [*target.parents, *target.variables]
        rows = {name: torch.cat([part.values[name] for part in both])[:_JUDGED] for name in names}
        given = pick(rows, target.parents)
        with torch.no_grad():
            fake = roller(given, len(rows[names[0]]), generator).values
        found: list[str] = []
        for name in numbers:
            found += moments_off(name, rows[name], fake[name])
            for dose in sorted(both[0].source.do.intersection(target.parents)):
                if rows[dose].ndim == 1:
                    found += moments_off_by_value(name, rows[name], fake[name], dose, rows[dose])
        return found

    def joint(
        self, dcm: Model, modules: Sequence[Module], generator: torch.Generator
    ) -> list[Distance]:
        """Distance of the whole model from each source, in all that it records.

        Modules are matched to their own distributions, given what is before them. A graph that
        leaves an edge out can pass all of them and still give another joint distribution. Sources
        that one module matches whole are left out, and images.
        """
        matched = {
            (target.source, frozenset((*target.variables, *target.parents)))
            for module in modules
            for target in module.targets
        }
        found = []
        for rows in self.held_out:
            names = [n for n in rows.values if not dcm.variables[n].needs_encoder]
            given = within(names, rows.source.do)
            drawn = without(names, given)
            needed = dcm.graph.do(given).ancestors(drawn)
            known = (source_name(rows), frozenset(names)) in matched
            if known or len(drawn) < 2 or any(dcm.variables[n].needs_encoder for n in needed):
                continue
            target = _WholeTarget(tuple(drawn), tuple(given), source_name(rows))
            roller = Roller(dcm, drawn, given, (), banks=self.banks)
            values = pick(rows.values, names)
            found.append(distance(dcm, target, roller, values, generator, final=True))
        return found

    def _shown(self, dcm: Model, target: Target, pixels: Sequence[str]) -> Shown | None:
        """What reads categories off the images that the target trains."""
        names = [*target.parents, *target.variables]
        images = []
        for name in target.updated:
            if name in names and dcm.variables[name].needs_encoder:
                images.append(name)
        if not images:
            return None
        key = (target.source, *names)
        if key not in self._readers:
            rows = self.rows(target.source, "train", pixels)
            self._readers[key] = Shown(pick(dcm.variables, names), images, rows.values)
        return self._readers[key]


def _made_or_read_as_pixels(dcm: Model, variables: Sequence[str]) -> set[str]:
    """Image variables that mechanisms of a module make, or read without an encoder between."""
    found = set(variables)
    for name in variables:
        mechanism = dcm.mechanism(name)
        if not mechanism.reads_projections:
            found |= set(mechanism.parents)
    return set(within(found, dcm.encoders))


def _given_as_pixels(dcm: Model, target: Target) -> set[str]:
    """Images that rows give, and that a mechanism of the target reads without an encoder
    between."""
    readers = list(map(dcm.mechanism, target.variables))
    read: set[str] = set()
    for one in readers:
        if not one.reads_projections:
            read.update(one.parents)
    return {name for name in read if name in target.parents and name in dcm.encoders}


@dataclass(frozen=True)
class _WholeTarget:
    """All that a source records, as the whole model has it."""

    variables: tuple[str, ...]
    parents: tuple[str, ...]
    source: str

    def describe(self) -> str:
        """As text, with few of the names."""
        names = listed(self.variables, most=6)
        do = ""
        if self.parents:
            do = f" | do({', '.join(self.parents)})"
        return f"P({names}{do})"


def source_name(rows: Rows) -> str:
    """The name by which the plan calls a source."""
    return rows.source.name or rows.source.describe()
