"""Frozen mechanisms of every kind of variable: classifiers, regressors, generators of numbers,
vectors, texts and images, on conditions of every kind."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalplug.errors import MechanismError
from causalplug.files.precision import cast, precision_of
from causalplug.hub.contract import declare
from causalplug.mechanisms.base import Mechanism
from causalplug.mechanisms.frozen.condition import (
    Condition,
    ParentReading,
    ReadsSpec,
    check_reads,
    match_conditions,
)
from causalplug.mechanisms.frozen.made import check_finite, check_pixels, check_scores
from causalplug.noise import NoiseSpec
from causalplug.planning.generator_facts import GeneratorFacts
from causalplug.selection import names_of, pick, positions_of, to_dicts, values_at, within, without
from causalplug.values import Json, Named, Value
from causalplug.variables import Continuous, Variable, variable_from_dict

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ConditionalMechanism", "ErrorSpec"]

ErrorSpec = float | str | None
"""Standard deviation of the error of a number, ``"estimate"``, or None for no error."""

_OWN = ("gumbel", "error")
_ESTIMATE = "estimate"
_BATCH, _MOST_ROWS = 256, 10_000


class ConditionalMechanism(Mechanism):
    """A pretrained model as the frozen mechanism of a variable of any kind.

    A subclass calls ``super().__init__(generates, conditions, noise)`` and implements
    :meth:`generate`. One of a discrete variable may implement :meth:`class_logits` instead: it is
    then explicit, and its probabilities enter likelihoods and enumerations. As it comes, its
    parents are its conditions; :meth:`bind` gives a copy for one variable of a graph, with the same
    weights in memory.

    Args:
        generates: The variable as the model knows it, in its own range or with its own categories.
        conditions: What it reads; none for an unconditional model.
        noise: Its own noise, name to shape and distribution.
        probabilities: It has :meth:`class_logits`.
        error: Standard deviation of a normal error that is added to a number; ``"estimate"`` to
            estimate it from the rows that the model is trained on, None for none. With it the
            mechanism is explicit.
        license, source: Licence and origin of the weights.
        reads: What :meth:`bind` uses unless it is given another: condition to the parent that it is
            read from, see :func:`~causalplug.mechanisms.frozen.condition.match_conditions`.

    Raises:
        MechanismError: Two conditions of one name, or a noise with a reserved name.
    """

    frozen = True
    accepts_confounder = False
    reads_projections = False

    def __init__(
        self,
        generates: Variable,
        conditions: Sequence[Condition],
        noise: Mapping[str, NoiseSpec],
        *,
        probabilities: bool = False,
        error: ErrorSpec = None,
        license: str | None = None,
        source: str | None = None,
        reads: ReadsSpec = None,
    ):
        super().__init__()
        _check_error(generates, error)
        names = names_of(conditions)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise MechanismError(
                f"The conditions of a mechanism must differ: {', '.join(twice)} given twice. "
                "Rename one."
            )
        if taken := within(noise, _OWN):
            raise MechanismError(f"A mechanism cannot name its noise {taken[0]!r}. Rename it.")
        self.generates, self.read_conditions = generates, tuple(conditions)
        self.model_noise = dict(noise)
        self.probabilities, self.requested_error = probabilities, error
        self.error: float | None = None
        if not isinstance(error, str):
            self.error = error
        self.explicit = probabilities or error is not None
        self.license, self.source = license, source
        self.requested_reads = reads
        check_reads(type(self).__name__, reads, names)
        self._place(None, generates, {c.name: c.kind for c in conditions}, None)

    # -- what a subclass implements

    def generate(self, conditions: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        """Encoded values ``(n, *event_shape)`` of what it generates.

        Row i depends on row i of conditions and noise alone.

        Args:
            conditions: Encoded values ``(n, …)`` by name; images as floats in the range of the
                condition; a discrete one may be a relaxed one-hot ``(n, k)``.
            noise: ``(n, *shape)`` for each noise that was declared.
        """
        raise NotImplementedError

    def class_logits(self, conditions: Mapping[str, Tensor]) -> Tensor:
        """Log probabilities ``(n, k)`` of the categories that it knows, up to a constant."""
        raise NotImplementedError

    # -- binding

    def bind(
        self,
        name: str,
        variable: Variable,
        parents: Mapping[str, Variable],
        reads: ReadsSpec = None,
    ) -> Self:
        """A copy for one variable of a graph, with the same weights in memory.

        Args:
            name: The variable.
            variable: Its declaration.
            parents: Declarations of its parents.
            reads: Condition to the parent that it is read from, where the names differ.

        Raises:
            MechanismError: The variable is not what the mechanism generates.
            LabelMapError: Conditions and parents do not match.
        """
        bound = copy.copy(self)
        if reads is None:
            bound.requested_reads = self.requested_reads
        else:
            bound.requested_reads = reads
        bound._place(name, variable, parents, bound.requested_reads)
        return bound

    def _place(
        self,
        name: str | None,
        variable: Variable,
        parents: Mapping[str, Variable],
        reads: ReadsSpec,
    ) -> None:
        where = name or type(self).__name__
        self._codes = _output_codes(where, self.generates, variable)
        self.readings: tuple[ParentReading, ...] = match_conditions(
            where, self.read_conditions, parents, reads
        )
        self.name, self.variable = name, variable
        self.bound_parents: dict[str, Variable] = dict(parents)
        self.parents = tuple(parents)
        own = {}
        if self.probabilities:
            own["gumbel"] = NoiseSpec((variable.cardinality or 0,), "gumbel")
        if self.requested_error is not None:
            own["error"] = NoiseSpec()
        self.noise = self.model_noise | own

    def for_variable(
        self, name: str, variable: Variable, parents: Mapping[str, Variable]
    ) -> Mechanism:
        if self.name == name:
            return self
        return self.bind(name, variable, parents)

    def binding(self) -> Json:
        """How it is bound, as JSON values."""
        precision = precision_of(self)
        return {
            "variable": self.variable.to_dict(),
            "parents": [[name, parent.to_dict()] for name, parent in self.bound_parents.items()],
            "reads": to_dicts(self.readings),
            **({} if precision is None else {"dtype": precision}),
            **({"error": self.error} if self.requested_error == _ESTIMATE else {}),
        }

    def bind_as(self, name: str, binding: Named) -> Self:
        """The copy that :meth:`binding` describes.

        Raises:
            MechanismError: The binding is one of other conditions.
        """
        if "dtype" in binding:
            cast(self, binding["dtype"])
        parents = {parent: variable_from_dict(item, parent) for parent, item in binding["parents"]}
        known = {condition.name: condition for condition in self.read_conditions}
        if {item["condition"] for item in binding["reads"]} != set(known):
            raise MechanismError(
                f"The mechanism of {name!r} cannot be bound: its conditions are others than those "
                "that were saved."
            )
        reads: Json = {}
        for item in binding["reads"]:
            parent = item["parent"]
            entries = _entries(known[item["condition"]], parents[parent], item["table"])
            if entries is None:
                reads[item["condition"]] = parent
            else:
                reads[item["condition"]] = (parent, entries)
        bound = self.bind(name, variable_from_dict(binding["variable"], name), parents, reads)
        if binding.get("error") is not None:
            bound.error = float(binding["error"])
        return bound

    # -- the error, estimated

    @property
    def awaits_rows(self) -> bool:
        return self.requested_error is not None and self.error is None

    def take_rows(self, rows: Mapping[str, Tensor]) -> Mechanism:
        """Estimate the error from rows of the parents and the variable, in place: the root of the
        mean squared difference between what is recorded and what the model says.

        Raises:
            MechanismError: The model gives every recorded value exactly.
        """
        if not self.awaits_rows:
            return self
        recorded = rows[str(self.name)]
        count = min(len(recorded), _MOST_ROWS)
        places = torch.linspace(0, len(recorded) - 1, count, dtype=torch.float64).round().long()
        recorded = recorded[places].double()
        parts = [self._expected(rows, part) for part in places.split(_BATCH)]
        found = float((recorded - torch.cat(parts)).square().mean().sqrt())
        if not found > 0:
            raise MechanismError(
                f"The error of {self.name!r} cannot be estimated: its model gives every one of the "
                f"{count} recorded values exactly. Leave error= out."
            )
        self.error = found
        return self

    def _expected(self, rows: Mapping[str, Tensor], part: Tensor) -> Tensor:
        with torch.no_grad():
            given = self._conditions({parent: rows[parent][part] for parent in self.parents})
            return self.generate(given, {}).double()

    def generator_facts(self) -> GeneratorFacts:
        return GeneratorFacts(
            self.source or type(self).__name__,
            parents=tuple(self.parents),
            unbound=self.name is None,
            makes_map=self.requested_reads is not None,
        )

    def declared_output(self) -> Variable:
        return self.generates

    def declared_inputs(self) -> Mapping[str, Variable | None]:
        return {condition.name: condition.kind for condition in self.read_conditions}

    # -- the mechanism

    def _conditions(self, parents: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {r.condition.name: r(parents[r.parent]) for r in self.readings}

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Values ``(n, *event_shape)`` of the bound variable, the same for the same noise.

        Raises:
            MechanismError: There is confounder noise.
        """
        if confounder is not None:
            raise MechanismError(f"{self._called} has no input for confounder noise.")
        if self.probabilities:
            return (self.logits(parents) + noise["gumbel"]).argmax(-1)
        own = pick(noise, self.model_noise)
        made = self.generate(self._conditions(parents), own)
        if self.requested_error is not None:
            made = made + self._known_error() * noise["error"]
        return self._as_declared(made)

    @property
    def _called(self) -> str:
        """What messages call it, also before it is the mechanism of a variable."""
        if self.name is not None:
            return f"The frozen mechanism of {self.name!r}"
        return f"The {type(self).__name__}"

    def _known_error(self) -> float:
        if self.error is None:
            raise MechanismError(
                f"The mechanism of {self.name!r} cannot run yet: its error is still to be "
                "estimated from data. Train the model, or give the error as a number."
            )
        return self.error

    def _as_declared(self, made: Tensor) -> Tensor:
        if self._codes is not None:
            return self._codes.to(made.device)[made]
        if isinstance(self.variable, Continuous):
            self._check_range(made, self.variable)
        if not self.generates.is_image:
            check_finite(self._called, made)
            return made
        own: Value = self.generates
        check_pixels(self._called, own, made)
        wanted: Value = self.variable
        unit = (made - own.low) / (own.high - own.low)
        return wanted.low + (wanted.high - wanted.low) * unit

    def _check_range(self, made: Tensor, variable: Continuous) -> None:
        """Refuse numbers outside of the interval that the variable declares.

        Raises:
            MechanismError: There are some.
        """
        ends = [abs(end) for end in (variable.low, variable.high) if math.isfinite(end)]
        if not ends or not made.numel():
            return
        least, most = float(made.detach().min()), float(made.detach().max())
        slack = 1e-5 * max(1.0, *ends)
        if least < variable.low - slack or most > variable.high + slack:
            raise MechanismError(
                f"The frozen mechanism of {self.name!r} gives numbers from {least:.6g} to "
                f"{most:.6g}, and {self.name!r} is declared in [{variable.low:g}, "
                f"{variable.high:g}]. Declare it without that end, or end the model in a function "
                "that stays inside."
            )

    def logits(
        self, parents: Mapping[str, Tensor] | Tensor, confounder: Tensor | None = None
    ) -> Tensor:
        """Log probabilities ``(n, k)`` of the variable's categories; minus infinity for those that
        the model does not know.

        Raises:
            MechanismError: It has no probabilities.
        """
        if not self.probabilities or isinstance(parents, Tensor) or self._codes is None:
            raise MechanismError(f"{type(self).__name__} has no probabilities of categories.")
        scores = self.class_logits(self._conditions(parents)).float()
        check_scores(self._called, scores)
        own = torch.log_softmax(scores, -1)
        size = self.variable.cardinality or 0
        found = own.new_full((*own.shape[:-1], size), -torch.inf)
        found[..., self._codes.to(own.device)] = own
        return found

    def log_prob(
        self, value: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None = None
    ) -> Tensor:
        """Log probability or density ``(n,)`` of values.

        Raises:
            MechanismError: It is not explicit.
        """
        if self.probabilities:
            return self.logits(parents).gather(-1, value.unsqueeze(-1)).squeeze(-1)
        if self.requested_error is None:
            return super().log_prob(value, parents, confounder)
        mean = self.generate(self._conditions(parents), {})
        return torch.distributions.Normal(mean, self._known_error()).log_prob(value)

    def train(self, mode: bool = True) -> Self:
        """A frozen model stays in evaluation mode."""
        return super().train(False)


declare(ConditionalMechanism, {"name": (str, type(None)), "generates": Variable})


def _check_error(generates: Variable, error: ErrorSpec) -> None:
    """Refuse an error that is not one of a number.

    Raises:
        MechanismError: It is not.
    """
    if error is None:
        return
    above = isinstance(error, int | float) and not isinstance(error, bool) and 0 < error < math.inf
    if not generates.is_number or not (above or error == _ESTIMATE):
        raise MechanismError(
            f"error={error!r} cannot be used: it is the standard deviation, above 0, of the error "
            f"of a number, or {_ESTIMATE!r}."
        )


def _entries(condition: Condition, parent: Variable, table: object) -> dict[Value, Value] | None:
    """A saved table in users' values: category of the parent to value of the condition."""
    if table is None:
        return None
    values = condition.kind.decode(torch.tensor(table)).tolist()
    categories: tuple[Value, ...] = parent.categories
    return dict(zip(categories, values, strict=True))


def _output_codes(name: str, own: Variable, wanted: Variable) -> Tensor | None:
    """For a discrete variable, its code of each category that the model knows.

    Raises:
        MechanismError: The variable is not what the model generates.
    """
    if own.is_discrete and wanted.is_discrete:
        categories: tuple[Value, ...] = wanted.categories
        place = positions_of(categories)
        known: tuple[Value, ...] = own.categories
        unknown = without(known, place)
        if not unknown:
            return torch.tensor(values_at(place, known))
        raise MechanismError(
            f"The mechanism cannot be that of {name!r}: it gives {unknown[0]!r}, and {name!r} has "
            f"the values {wanted.describe()}. Declare the category, or build the mechanism with "
            "the variable's own categories."
        )
    same = own.kind == wanted.kind and own.event_shape == wanted.event_shape
    if not same:
        raise MechanismError(
            f"The mechanism cannot be that of {name!r}: it generates {own.describe()}, and "
            f"{name!r} is {wanted.describe()}. Declare {name!r} so, or choose another mechanism."
        )
    return None
