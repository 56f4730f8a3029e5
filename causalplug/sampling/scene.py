"""What was seen in one world, taken apart: which variables it is about, what each of them is to be,
and the blocks that can be inferred one by one.

A variable whose value was seen cuts the graph: what lies on its two sides meets only through hidden
causes. The blocks are what is left connected. Given what was seen they are independent, so that
each is weighed and drawn by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalplug.noise import Noise, NoiseSpec
from causalplug.sampling.condition import Condition, Given, Point
from causalplug.sampling.elimination import Factor, Order
from causalplug.sampling.interventions import Constant, PerRow
from causalplug.selection import within, without

if TYPE_CHECKING:
    from causalplug.mechanisms.base import Mechanism
    from causalplug.model.model import Model

__all__ = ["AGAIN", "Block", "Scene", "confounder_keys"]

AGAIN = 2**30  # row i that is tried for the r-th time more has the number i + r * AGAIN
_CONFIGURATIONS = 4096  # of the unseen parents of one variable, at most, in an exact sum
_ENTRIES = 2**16  # of the largest table of an exact sum, for one row
_NORMALS = 16  # numbers of own noise of one variable that a proposal learns, at most
_LATENT = 64  # numbers of noise of one block that a proposal learns, at most


def confounder_keys(dcm: Model, name: str) -> tuple[str, ...]:
    """Names of the confounder noises that the mechanism of ``name`` reads, in its order."""
    return tuple(dcm.confounder_keys(name))


@dataclass(frozen=True)
class Block:
    """Variables that have to be inferred together.

    Attributes:
        label: A name for the noise that the inference itself draws.
        names: The variables, parents first.
        free: Those of them whose value was not seen, or only a set that it lies in.
        latents: Shapes of the noises that are drawn and weighed, by name: confounder noise, and
            own normal noise of unseen numbers.
        order: How the unseen variables are summed out exactly; None where they have to be drawn.
        wide: It draws or reads images.
        weightless: What was seen says nothing about any noise but its own.
    """

    label: str
    names: tuple[str, ...]
    free: tuple[str, ...]
    latents: Mapping[str, tuple[int, ...]]
    order: Order | None
    wide: bool
    weightless: bool

    @property
    def size(self) -> int:
        """Numbers of all latents together."""
        return sum(map(math.prod, self.latents.values()))

    @property
    def sampled(self) -> bool:
        """Whether candidates are drawn and weighed; otherwise all that is needed is summed."""
        return not self.weightless and (self.order is None or bool(self.latents))

    def split(self, numbers: Tensor) -> dict[str, Tensor]:
        """The latents by name, from ``(n, size)``."""
        sizes = list(map(math.prod, self.latents.values()))
        parts = numbers.split(sizes, -1)
        found = {}
        for (key, shape), part in zip(self.latents.items(), parts, strict=True):
            found[key] = part.reshape(len(numbers), *shape)
        return found


class Scene:
    """The roles of all variables that something seen in one world is about.

    Args:
        dcm: The model.
        given: What was seen, prepared.

    Attributes:
        names: The variables seen and their ancestors, parents first, without what is set.
        conditions: Conditions by variable.
        points: Single values of numbers and images by variable.
        by_row: Whether it differs from row to row.
        device: Where the weights of the model are.
        shared: Tables of exact sums that all rows share, by variable, once they were made.
        blocks: See :class:`Block`.
    """

    def __init__(self, dcm: Model, given: Given):
        self.dcm, self.given, self.world = dcm, given, given.world
        self.device = dcm.device
        self.shared: dict[str, Factor] = {}
        self._varying: dict[str, bool] = {}
        self.conditions: dict[str, Condition] = {c.name: c for c in given.conditions}
        self.points: dict[str, Point] = {p.name: p for p in given.points}
        above = self.world.graph.ancestors(given.names)
        order = within(self.world.graph.topological_order(), above)
        self.names = tuple(without(order, self.world.do))
        self.set = tuple(within(order, self.world.do))
        self.by_row = any(not self.constant(name) for name in (*self.set, *given.names))
        self.blocks = list(map(self._block, self._connected()))

    # -- roles

    def seen(self, name: str) -> bool:
        """Whether one value of the variable was seen, or is set."""
        if name in self.world.do or name in self.points:
            return True
        return name in self.conditions and self.conditions[name].pins

    def mechanism(self, name: str) -> Mechanism:
        """The mechanism of a variable."""
        return self.dcm.mechanism(name)

    def constant(self, name: str) -> bool:
        """Whether all rows have the same condition or value; of variables seen or set."""
        if name in self.conditions:
            return self.conditions[name].codes is None
        if name in self.points:
            where = self.points[name].intervention
        else:
            where = self.world.do[name]
        return not isinstance(where, PerRow)

    def value(self, name: str, owners: Tensor) -> Tensor:
        """Encoded value of a variable that was seen or is set, for rows of these numbers."""
        condition = self.conditions.get(name)
        if condition is None:
            if name in self.points:
                where = self.points[name].intervention
            else:
                where = self.world.do[name]
            return where.values(Noise(owners % AGAIN, device=self.device), {})
        if condition.codes is not None:
            return condition.codes[owners % AGAIN].to(self.device)
        if condition.allowed is None:
            raise ValueError(f"{name} has an interval, not a value")
        code = condition.allowed.nonzero().squeeze(-1)[:1].to(self.device)
        return code.expand(len(owners))

    # -- what inference can do

    @property
    def possible(self) -> bool:
        """Whether what was seen can be imposed; otherwise rows that agree have to be found."""
        set_plainly = all(isinstance(self.world.do[n], Constant | PerRow) for n in self.set)
        return set_plainly and all(map(self._imposable, self.given.names)) and self._weighable()

    def _weighable(self) -> bool:
        return all(
            self.mechanism(name).explicit
            for block in self.blocks
            if not block.weightless
            for name in block.names
            if name not in block.free or name in self.conditions
        )

    def _imposable(self, name: str) -> bool:
        mechanism = self.mechanism(name)
        if name in self.points:
            return True
        if self.dcm.variables[name].is_discrete:
            return mechanism.explicit and mechanism.abduction is not None
        return mechanism.explicit and mechanism.monotone and mechanism.abduction == "exact"

    # -- blocks

    def _connected(self) -> list[list[str]]:
        """The variables by block: joined by unseen parents and by shared hidden causes."""
        leader = {name: name for name in self.names}

        def find(name: str) -> str:
            while leader[name] != name:
                name = leader[name]
            return name

        readers: dict[str, str] = {}
        for name in self.names:
            for parent in self.world.graph.parents(name):
                if not self.seen(parent):
                    leader[find(parent)] = find(name)
            for key in confounder_keys(self.dcm, name):
                leader[find(readers.setdefault(key, name))] = find(name)
        found: dict[str, list[str]] = {}
        for name in self.names:
            found.setdefault(find(name), []).append(name)
        return list(found.values())

    def _block(self, names: list[str]) -> Block:
        free = tuple(name for name in names if not self.seen(name))
        keys = list(dict.fromkeys(k for name in names for k in confounder_keys(self.dcm, name)))
        weightless = not free and not keys and len(names) == 1
        if weightless:
            order = None
        else:
            order = self._order(names, free)
        latents: dict[str, tuple[int, ...]] = dict.fromkeys(keys, (self.dcm.confounder_size,))
        if order is None:
            latents |= self._normals(free, sum(map(math.prod, latents.values())))
        read = [*names, *(p for name in names for p in self.world.graph.parents(name))]
        wide = any(self.dcm.variables[name].needs_encoder for name in read)
        return Block(names[-1], tuple(names), free, latents, order, wide, weightless)

    def _normals(self, free: Iterable[str], already: int) -> dict[str, tuple[int, ...]]:
        """Own normal noise of unseen numbers that a proposal can learn."""
        found: dict[str, tuple[int, ...]] = {}
        for name in free:
            noise = self.mechanism(name).noise
            size = sum(math.prod(spec.shape) for spec in noise.values())
            plain = self.dcm.variables[name].is_number
            plain &= name not in self.conditions and size <= _NORMALS
            if plain and already + size <= _LATENT and _all_normal(noise.values()):
                found |= {f"{name}/{key}": spec.shape for key, spec in noise.items()}
                already += size
        return found

    def _order(self, names: list[str], free: tuple[str, ...]) -> Order | None:
        """How the unseen variables can be summed out; None where they are no categories, or too
        many."""
        inside = set(chain.from_iterable(map(self.world.graph.parents, names))) & set(free)
        for name in free:
            mechanism, discrete = self.mechanism(name), self._size(name) is not None
            leaf_interval = name in self.conditions and name not in inside
            if not discrete and not leaf_interval:
                return None
            if not mechanism.explicit or mechanism.abduction is None:
                return None
        if not all(self.mechanism(name).explicit for name in names):
            return None
        sizes = {name: size for name in free if (size := self._size(name)) is not None}
        scopes = [self.scope(name, sizes) for name in names]
        widest = max(math.prod(sizes[n] for n in scope) for scope in scopes)
        if widest > _CONFIGURATIONS:
            return None
        order = Order.greedy(scopes, sizes, list(map(self.varies, names)))
        if order.largest <= _ENTRIES:
            return order
        return None

    def varies(self, name: str) -> bool:
        """Whether what a variable's mechanism gives differs between candidates, its unseen parents
        being equal."""
        if name not in self._varying:
            known = [p for p in self.mechanism(name).parents if self.seen(p)]
            if name in self.conditions or name in self.points:
                known.append(name)
            constant = all(map(self.constant, known))
            self._varying[name] = bool(confounder_keys(self.dcm, name)) or not constant
        return self._varying[name]

    def scope(self, name: str, unseen: Iterable[str]) -> tuple[str, ...]:
        """The unseen categories that a variable's factor is about: its parents, and itself."""
        wanted = set(unseen)
        parents = tuple(within(self.mechanism(name).parents, wanted))
        if name in wanted:
            return (*parents, name)
        return parents

    def _size(self, name: str) -> int | None:
        variable = self.dcm.variables[name]
        if variable.is_discrete:
            return variable.cardinality
        return None


def _all_normal(specs: Iterable[NoiseSpec]) -> bool:
    return all(spec.distribution == "normal" for spec in specs)


def grid(sizes: list[int], device: torch.device) -> Tensor:
    """Every combination of codes below ``sizes``, ``(product of sizes, len(sizes))``."""
    if not sizes:
        return torch.zeros(1, 0, dtype=torch.int64, device=device)
    axes = [torch.arange(size, device=device) for size in sizes]
    return torch.cartesian_prod(*axes).reshape(-1, len(sizes))
