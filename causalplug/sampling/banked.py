"""Questions behind an image: projections of a few images stand for all, and the error says so.

A variable behind an image reads its projection alone. So the images of a pulled generator need not
be painted for every row: some thousand are painted for each label that occurs, and every row takes
the projection of one of them. Rows that share an image belong together, and the Monte-Carlo error
is that of such clusters of rows.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from causalplug.mechanisms.base import Mechanism
from causalplug.mechanisms.frozen.bank import SampleBank
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.noise import Noise, NoiseSpec
from causalplug.sampling.moments import Contribution, Moments
from causalplug.sampling.worlds import World
from causalplug.selection import within

if TYPE_CHECKING:
    from causalplug.identification.arithmetic import Formula
    from causalplug.model.model import Model

__all__ = ["ClusteredMoments", "ImageBank", "bankable", "images_for"]

IMAGES = 2000  # of every label: as many as training reads of a generator
_FEWEST = 200  # of every label, however long one takes
_PATIENCE = 300.0  # seconds for the images of one label, where the generator says what one costs
_MOST_KEPT = 256  # labels whose projections are kept for the next answers
_CELLS = 2**24  # sums that are kept by image, at most

_Array = np.ndarray[Any, Any]


def images_for(mechanism: Mechanism) -> int:
    """Images of every label that stand for all, fewer of a generator that is slow.

    The answer's Monte-Carlo error counts images, so that fewer images make it larger and not
    wrong.
    """
    seconds = mechanism.batch_cost / 64
    if seconds * IMAGES <= _PATIENCE:
        return IMAGES
    return max(_FEWEST, int(_PATIENCE / seconds))


class ImageBank:
    """Projections of some images of a pulled generator, painted when their label first occurs.

    Args:
        dcm: The model.
        name: The image variable.
        seed: Seed of the images.

    Images of an earlier answer are read again, as long as seed, generator and encoder are the same.

    Attributes:
        images: Images of every label.
        reused: Images that an earlier answer had painted.
    """

    def __init__(self, dcm: Model, name: str, seed: int):
        mechanism = dcm.mechanism(name)
        if not isinstance(mechanism, FrozenMechanism):
            raise TypeError(f"the mechanism of {name!r} is no pulled generator")
        self.name, self.mechanism, self.encoder = name, mechanism, dcm.encoder(name)
        self.seed = seed
        self.images = images_for(mechanism)
        self.reused = 0
        self._banks: dict[int, SampleBank] = {}

    def __call__(self, parents: Mapping[str, Tensor], noise: Noise) -> Tensor:
        """Projections ``(n, size)`` for the parents' values of some rows of noise."""
        spec = self.mechanism.noise.get("label")
        if spec is None:
            drawn = {}
        else:
            drawn = {"label": noise.draw(f"{self.name}/label", spec)}
        labels = self.mechanism.joint_labels(parents, drawn, len(noise)).cpu()
        uniform = self._uniform(noise).cpu()
        found = torch.zeros(len(noise), self.encoder.size)
        for label in torch.unique(labels).tolist():
            rows = (labels == label).nonzero().squeeze(-1)
            found[rows] = self._bank(label).draw(labels[rows], uniform[rows])
        return found.to(noise.device)

    def clusters(self, noise: Noise) -> Tensor:
        """Which of the images each row takes, ``(n,)``."""
        return (self._uniform(noise) * self.images).long().clamp(max=self.images - 1)

    def _uniform(self, noise: Noise) -> Tensor:
        return noise.draw(f"{self.name}/bank", NoiseSpec((), "uniform"))

    def _bank(self, label: int) -> SampleBank:
        if label in self._banks:
            return self._banks[label]
        key = (self.seed, label, self.images)
        found = self.mechanism.kept.get(key)
        if isinstance(found, _Kept) and found.still_true(self.mechanism, self.encoder):
            self.reused += self.images
            bank = found.bank
        else:
            bank = self._painted(label)
            if self.mechanism.versioned:
                self._keep(key, bank)
        self._banks[label] = bank
        return bank

    def _painted(self, label: int) -> SampleBank:
        return SampleBank(
            self.mechanism,
            self.encoder,
            rows_per_label=self.images,
            seed=self.seed,
            labels=torch.tensor([label]),
        )

    def _keep(self, key: Hashable, bank: SampleBank) -> None:
        """Leave a bank for later answers; what was kept first makes room."""
        kept = self.mechanism.kept
        while len(kept) >= _MOST_KEPT:
            del kept[next(iter(kept))]
        kept[key] = _Kept(bank, _tensors(self.mechanism, self.encoder))


_Tensors = tuple[tuple[Tensor, int], ...]


@dataclass(frozen=True)
class _Kept:
    """A bank, and the tensors that made it with torch's count of what was written into them."""

    bank: SampleBank
    tensors: _Tensors

    def still_true(self, *modules: nn.Module) -> bool:
        """Whether generator and encoder have the tensors that they had."""
        now = _tensors(*modules)
        if len(now) != len(self.tensors):
            return False
        for (tensor, version), (kept, written) in zip(now, self.tensors, strict=True):
            if tensor is not kept or version != written:
                return False
        return True


def _tensors(*modules: nn.Module) -> _Tensors:
    found = []
    for module in modules:
        for tensor in (*module.parameters(), *module.buffers()):
            found.append((tensor, tensor._version))
    return tuple(found)


def bankable(
    dcm: Model, targets: Iterable[tuple[World, Sequence[str]]], seen: Iterable[tuple[World, str]]
) -> str | None:
    """The one image that is painted only to be read as a projection; None where there is none, or
    more than one.

    Args:
        dcm: The model.
        targets: Worlds, and the variables that are asked for in them.
        seen: Worlds, and the variables that are conditioned on in them.
    """
    painted: set[str] = set()
    asked: set[str] = set()
    for world, names in targets:
        asked |= set(names)
        painted |= {name for name, _ in world.run(names)}
        asked |= {read for intervention in world.do.values() for read in intervention.reads}
    images = [name for name in painted if dcm.variables[name].needs_encoder]
    if len(images) != 1 or images[0] in asked:
        return None
    (name,) = images
    if any(name in world.graph.ancestors([one]) for world, one in seen):
        return None
    return name if _is_read_as_projection(dcm, name, painted) else None


def _is_read_as_projection(dcm: Model, name: str, painted: Container[str]) -> bool:
    """Whether an image is a frozen generator's and all that is drawn from it reads its
    projection."""
    if not isinstance(dcm.mechanism(name), FrozenMechanism) or name not in dcm.encoders.unopened():
        return False
    readers = within(dcm.graph.children(name), painted)
    return all(dcm.mechanism(child).reads_projections for child in readers)


class ClusteredMoments(Moments):
    """Moments whose rows come in clusters: sums of products are those of the clusters' sums.

    Args:
        coefficients, evidence, outcomes, combination: As for :class:`Moments`.
        clusters: Number of clusters.
    """

    def __init__(
        self,
        coefficients: Sequence[float],
        evidence: int,
        outcomes: int,
        combination: Formula | None,
        clusters: int,
    ):
        super().__init__(coefficients, evidence, outcomes, combination)
        k = len(coefficients)
        self._a = np.zeros((k, clusters, evidence, outcomes))
        self._b = np.zeros((k, clusters, evidence))

    @staticmethod
    def fits(terms: int, evidence: int, outcomes: int, clusters: int) -> bool:
        """Whether the sums by cluster are few enough to be kept."""
        return terms * clusters * evidence * (outcomes + 1) <= _CELLS

    def add(self, parts: Sequence[Contribution]) -> None:
        """Add a batch, one contribution for each term, all about the same candidate rows."""
        self.plain &= all(part.weight is None and part.number is None for part in parts)
        for k, part in enumerate(parts):
            self._add(k, part)
        self.a, self.b = self._a.sum(1), self._b.sum(1)
        self.aa = np.einsum("kceo,mceo->kmeo", self._a, self._a)
        self.ab = np.einsum("kceo,mce->kmeo", self._a, self._b)
        self.bb = np.einsum("kce,mce->kme", self._b, self._b)

    def _add(self, k: int, part: Contribution) -> None:
        if part.cluster is None:
            raise ValueError("rows without a cluster")
        if part.weight is None:
            weight = np.ones(len(part.index))
        else:
            weight = part.weight
        np.add.at(self._b[k], (part.cluster, part.evidence), weight)
        hit = part.outcome >= 0
        if part.number is None:
            number = weight
        else:
            number = weight * part.number
        where = (part.cluster[hit], part.evidence[hit], part.outcome[hit])
        np.add.at(self._a[k], where, number[hit])
