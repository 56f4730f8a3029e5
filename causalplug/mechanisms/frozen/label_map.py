"""From the parents of a variable to the labels of a pretrained generator.

A generator was trained on labels of its own: digits 0 to 9, or COVID / normal / pneumonia. The
    variable's parents may
be named otherwise, may have other values, and may not determine the label: then the label is drawn
from ``P(label | parents)`` and its Gumbel noise belongs to the variable's own exogenous noise. A
map is a table over all joint values of the parents.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from causalplug.arguments import COUNT, FUNCTION, NAMES, SEED, number, takes
from causalplug.errors import LabelMapError
from causalplug.mechanisms.frozen.label import Label
from causalplug.mechanisms.frozen.label_estimate import Classifier, LabelMapEstimate
from causalplug.mechanisms.frozen.label_tables import (
    Entry,
    as_discrete,
    check_identity,
    combination,
    counted,
    listed,
    matched_by_value,
    ravel,
    table_from,
)
from causalplug.noise import NoiseSpec
from causalplug.selection import sizes_of, to_dicts, values_at
from causalplug.values import Json, Named, Value
from causalplug.variables import Variable, variable_from_dict

__all__ = ["Label", "LabelMap"]

_TOLERANCE = 1e-4


class LabelMap:
    """``P(labels | parents)`` for every joint value of the parents, as a table.

    A map that is certain everywhere is a function and needs no noise. Any other draws the joint
    label by the Gumbel-max rule ``argmax(log P(· | parents) + gumbel)``, so that the same noise
    gives the same label.

    Args:
        parents: The parents that it reads, in order; all discrete.
        labels: The generator's labels, in its order.
        probabilities: ``(joint values of the parents, joint values of the labels)``, the last name
            varying fastest.

    Raises:
        LabelMapError: A parent that is not discrete, a table of another shape, or rows that are no
            probabilities.

    Example:
        >>> from causalplug.variables import Discrete
        >>> table = {0: {3: .75, 8: .25}, 1: 8}
        >>> shown = LabelMap.from_table(table, {"D": Discrete(2)}, [Label("digit", 10)])
        >>> shown.stochastic, shown.probabilities_given({"D": torch.tensor([0])})[0, 3].item()
        (True, 0.75)
    """

    def __init__(
        self,
        parents: Mapping[str, Variable],
        labels: Sequence[Label],
        probabilities: Tensor,
    ):
        self.parents: dict[str, Variable] = as_discrete(parents)
        self.labels = tuple(labels)
        shape = (
            math.prod(sizes_of(self.parents.values())),
            math.prod(sizes_of(self.labels)),
        )
        table = torch.as_tensor(probabilities, dtype=torch.float64)
        if tuple(table.shape) != shape:
            raise LabelMapError(
                f"The label map cannot be used: its table has shape {tuple(table.shape)}, but "
                f"{listed(self.parents)} have {shape[0]} joint values and {listed(self.labels)} "
                f"have {shape[1]}. Give one row for each joint value."
            )
        sums = table.sum(1)
        wrong = ((sums - 1).abs() > _TOLERANCE) | ~(table >= 0).all(1) | ~table.isfinite().all(1)
        if wrong.any():
            row = int(wrong.nonzero()[0])
            raise LabelMapError(
                f"The label map cannot be used: the probabilities for {self._describe(row)} sum to "
                f"{float(sums[row]):.4g} (smallest {float(table[row].min()):.4g}) instead of 1. "
                "Correct that row."
            )
        inexact = (sums - 1).abs() > 1e-6  # rows that were stored as float32 come back bit for bit
        self.probabilities = torch.where(inexact[:, None], table / sums[:, None], table).to(
            torch.float32
        )
        self._log = self.probabilities.log()
        self.stochastic = bool((self.probabilities.max(1).values < 1).any())

    def __repr__(self) -> str:
        kind = "deterministic"
        if self.stochastic:
            kind = "stochastic"
        return f"LabelMap({listed(self.parents)} -> {listed(self.labels)}, {kind})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LabelMap)
            and list(self.parents.items()) == list(other.parents.items())
            and self.labels == other.labels
            and torch.equal(self.probabilities, other.probabilities)
        )

    __hash__ = None  # type: ignore[assignment]

    # -- reading

    @property
    def size(self) -> int:
        """Number of joint values of the labels."""
        return self.probabilities.shape[1]

    @property
    def noise(self) -> dict[str, NoiseSpec]:
        """Own noise that it declares: Gumbel noise under ``"label"`` if the parents do not
        determine the label."""
        if self.stochastic:
            return {"label": NoiseSpec((self.size,), "gumbel")}
        return {}

    @property
    def used(self) -> Tensor:
        """Joint labels ``(u,)`` that occur for some value of the parents."""
        return (self.probabilities > 0).any(0).nonzero().squeeze(1)

    def index(self, parents: Mapping[str, Tensor]) -> Tensor:
        """Row of the table ``(n,)`` for the parents' codes ``(n,)``; of relaxed one-hot rows the
        largest counts."""
        codes = [_codes(parents[name]) for name in self.parents]
        return ravel(codes, sizes_of(self.parents.values()))

    def probabilities_given(self, parents: Mapping[str, Tensor], n: int | None = None) -> Tensor:
        """``P(joint label | parents)``, ``(n, size)``; linear in relaxed (one-hot float) parents,
        with their gradients.

        Args:
            parents: Codes ``(n,)`` or relaxed one-hot rows ``(n, k)`` by name.
            n: Number of rows, for a map without parents.
        """
        values = values_at(parents, self.parents)
        if not values:
            return self.probabilities.expand(1 if n is None else n, -1)
        table = self.probabilities.to(values[0].device)
        if not any(v.is_floating_point() for v in values):
            return table[self.index(parents)]
        joint = torch.ones(len(values[0]), 1, device=table.device)
        for value, parent in zip(values, self.parents.values(), strict=True):
            joint = (joint.unsqueeze(2) * parent.features(value).unsqueeze(1)).flatten(1)
        return joint @ table

    def draw(
        self, parents: Mapping[str, Tensor], gumbel: Tensor | None = None, n: int | None = None
    ) -> Tensor:
        """Joint label ``(n,)`` of each row; ``gumbel`` ``(n, size)`` decides where the parents do
        not.

        Args:
            n: Number of rows, for a map without parents and without noise.

        Raises:
            LabelMapError: The map is stochastic and no noise was handed in.
        """
        if self.parents:
            rows = self.index(parents)
        else:
            rows = torch.zeros(
                len(gumbel) if gumbel is not None else int(n or 1), dtype=torch.int64
            )
        log = self._log.to(rows.device)[rows]
        if not self.stochastic:
            return log.argmax(-1)
        if gumbel is None:
            raise LabelMapError(
                f"{self!r} needs its Gumbel noise 'label' to draw a label, and none was handed in."
            )
        return (log + gumbel).argmax(-1)

    def relaxed(
        self, parents: Mapping[str, Tensor], gumbel: Tensor | None, *, temperature: float = 1.0
    ) -> Tensor:
        """Straight-through one-hot joint labels ``(n, size)``: valued as :meth:`draw`,
        differentiable."""
        probabilities = self.probabilities_given(parents, None if gumbel is None else len(gumbel))
        if self.stochastic and gumbel is not None:
            soft = torch.softmax((probabilities.clamp_min(1e-20).log() + gumbel) / temperature, -1)
        else:
            soft = probabilities
        hard = torch.nn.functional.one_hot(self.draw(parents, gumbel, len(soft)), self.size).to(
            soft.dtype
        )
        return hard + (soft - soft.detach())

    def split(self, joint: Tensor) -> Tensor:
        """Codes of the single labels ``(n, number of labels)`` from joint labels ``(n,)``."""
        codes = []
        for label in reversed(self.labels):
            codes.append(joint % label.size)
            joint = torch.div(joint, label.size, rounding_mode="floor")
        if codes:
            return torch.stack(codes[::-1], -1)
        return joint.new_zeros(len(joint), 0)

    def join(self, labels: Tensor) -> Tensor:
        """Inverse of :meth:`split`."""
        return ravel(list(labels.unbind(-1)), sizes_of(self.labels), len(labels))

    # -- constructions

    @classmethod
    def identity(cls, parents: Mapping[str, Variable], labels: Sequence[Label]) -> LabelMap:
        """Each parent is the label of the same name, in the same order; a single pair may differ in
        name. Values are matched by what they are, whatever their places.

        Raises:
            LabelMapError: Another number, order, size or naming of values.
        """
        discrete = as_discrete(parents)
        check_identity(discrete, labels)
        table = torch.ones(1, 1, dtype=torch.float64)
        for parent, label in zip(discrete.values(), labels, strict=True):
            table = torch.kron(table, matched_by_value(parent, label))
        return cls(discrete, labels, table)

    @classmethod
    def uniform(cls, parents: Mapping[str, Variable], labels: Sequence[Label]) -> LabelMap:
        """Every label with the same probability, whatever the parents."""
        discrete = as_discrete(parents)
        rows, size = (
            math.prod(sizes_of(discrete.values())),
            math.prod(sizes_of(labels)),
        )
        return cls(discrete, labels, torch.full((rows, size), 1 / size, dtype=torch.float64))

    @classmethod
    def from_table(
        cls, table: Mapping[Value, Entry], parents: Mapping[str, Variable], labels: Sequence[Label]
    ) -> LabelMap:
        """A map from a dictionary: parent value (a tuple for several parents) to label, or to
        ``{label: probability}``.

        Values and labels are given by their names, several labels as a tuple in the generator's
        order.

        Raises:
            LabelMapError: A joint value of the parents without an entry, an unknown value or label.
        """
        discrete = as_discrete(parents)
        return cls(discrete, labels, table_from(table, discrete, labels))

    @classmethod
    def from_function(
        cls,
        function: Callable[..., Value],
        parents: Mapping[str, Variable],
        labels: Sequence[Label],
    ) -> LabelMap:
        """A map from ``function(*values of the parents) -> label(s)`` or ``{label:
        probability}``, tabulated."""
        discrete = as_discrete(parents)
        keys = itertools.product(*(p.categories for p in discrete.values()))
        return cls.from_table({key: function(*key) for key in keys}, discrete, labels)

    @classmethod
    def from_rows(
        cls,
        frame: Named,
        *,
        parents: Mapping[str, Variable],
        labels: Sequence[Label],
        label: str | Sequence[str] | Callable[..., Value],
        smoothing: float = 0.0,
    ) -> LabelMap:
        """``P(label | parents)`` counted in rows of data.

        Args:
            frame: Columns by name (a DataFrame or a dict of arrays) of users' values.
            label: The column(s) that hold the label(s); or ``function(*parents)`` of one row's
                values. A label that depends on further columns is a column that you make of them.
            smoothing: Pseudo-count of every label; also the way to fill a combination of parents
                that no row has.

        Raises:
            LabelMapError: A combination of parents without rows, or an unknown label.
        """
        discrete = as_discrete(parents)
        codes = {}
        for name, parent in discrete.items():
            codes[name] = parent.encode(frame[name], name)
        n = _length(frame)
        if callable(label):
            joint = cls.from_function(label, discrete, labels).draw(codes, n=n)
        else:
            joint = _joint_label(frame, label, labels, n)
        index = ravel(list(codes.values()), sizes_of(discrete.values()), n)
        size = math.prod(sizes_of(labels))
        return cls(discrete, labels, counted(index * size + joint, discrete, labels, smoothing))

    def _describe(self, row: int) -> str:
        return combination(self.parents, row)

    @staticmethod
    @takes(
        LabelMapError,
        column=NAMES.or_none("the images"),
        classifier=FUNCTION.or_none("a trained one"),
        samples=COUNT,
        steps=COUNT,
        minimum=number(low=0, below=1),
        seed=SEED,
    )
    def estimate(
        column: str | Sequence[str] | None = None,
        classifier: Classifier | None = None,
        *,
        samples: int = 400,
        steps: int = 300,
        minimum: float = 0.02,
        seed: int = 0,
    ) -> LabelMapEstimate:
        """A map that ``fit`` estimates from the data before training; the arguments are those of
        :class:`~causalplug.mechanisms.frozen.label_estimate.LabelMapEstimate`."""
        return LabelMapEstimate(column, classifier, samples, steps, minimum, seed)

    # -- JSON

    def to_dict(self) -> Json:
        """The map as JSON values; the table as nested lists."""
        return {
            "parents": [[name, parent.to_dict()] for name, parent in self.parents.items()],
            "labels": to_dicts(self.labels),
            "probabilities": self.probabilities.tolist(),
        }

    @classmethod
    def from_dict(cls, declaration: Named) -> LabelMap:
        """Inverse of :meth:`to_dict`."""
        parents = {}
        for name, item in declaration["parents"]:
            parents[name] = variable_from_dict(item, name)
        labels = list(map(Label.from_dict, declaration["labels"]))
        size = math.prod(sizes_of(labels))
        table = torch.tensor(declaration["probabilities"], dtype=torch.float64).view(-1, size)
        return cls(parents, labels, table)


def _joint_label(
    frame: Named, label: str | Sequence[str], labels: Sequence[Label], n: int
) -> Tensor:
    """Joint label ``(n,)`` of rows that hold the labels in columns."""
    if isinstance(label, str):
        names = [label]
    else:
        names = list(label)
    if len(names) != len(labels):
        raise LabelMapError(
            f"Columns {names} cannot hold the labels {listed(labels)}: give one column for each."
        )
    known = [item.encode(frame[name]) for name, item in zip(names, labels, strict=True)]
    return ravel(known, sizes_of(labels), n)


def _codes(value: Tensor) -> Tensor:
    if value.is_floating_point():
        return value.argmax(-1)
    return value


def _length(frame: Named) -> int:
    return len(frame[next(iter(frame))])
