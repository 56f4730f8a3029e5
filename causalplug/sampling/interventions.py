"""What do() may set a variable to: a value, a value per row, a draw, a function of other
variables, another world's value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from causalplug.arguments import (
    FLAG,
    FUNCTION,
    NAMES,
    REQUIRED,
    read_fields,
    setting,
)
from causalplug.errors import DataError, QueryError
from causalplug.noise import Noise, NoiseSpec
from causalplug.values import Named, Value
from causalplug.variables import Variable
from causalplug.wording import as_names, check_known, did_you_mean, listed

if TYPE_CHECKING:
    from causalplug.model.model import Model

__all__ = [
    "Constant",
    "Drawn",
    "Intervention",
    "PerRow",
    "Policy",
    "Response",
    "compile_do",
    "is_per_row",
]

ROUND = (
    2**40
)  # candidate r of row i has the row number i + r * ROUND, see causalplug.sampling.accept
_MANY = 16  # more different values than this are checked for identifiability as "every value"


@dataclass(frozen=True, eq=False)
class Policy:
    """An intervention by rule: the variable is set to a function of other variables.

    The edges into the variable are replaced by edges from ``reads``.

    Args:
        function: Takes a dict with an array of n values (category names, floats or images) for each
            variable that is read, and returns n values; with ``random`` also n uniform numbers in
            [0, 1), the policy's own noise. It has to treat every row alike, whatever the rows
            beside it.
        reads: Names of the variables that it reads; no descendant of the one that is set.
        random: Hand in the uniform numbers as a second argument.

    Raises:
        QueryError: ``function`` is no function.

    Example:
        >>> treat_the_weak = Policy(lambda v: (v["Z"] < 0).astype(int), reads=("Z",))
    """

    function: Callable[..., Value] = setting(REQUIRED, FUNCTION)
    reads: tuple[str, ...] = setting((), NAMES)
    random: bool = setting(False, FLAG)

    def __post_init__(self) -> None:
        read_fields(self, QueryError)
        object.__setattr__(self, "reads", as_names(self.reads))


class Intervention:
    """One variable set from outside; see the subclasses.

    Attributes:
        reads: Variables of the same world that it reads.
        token: Hashable; two interventions with equal tokens set every row to the same value.
        support: Users' values that it may set, or None for every value.
    """

    reads: tuple[str, ...] = ()
    token: Hashable = None
    support: tuple[Value, ...] | None = None

    def values(self, noise: Noise, read: Mapping[str, Tensor]) -> Tensor:
        """Encoded values ``(n, *event_shape)`` for the rows of ``noise``."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Constant(Intervention):
    """The same value in every row: ``code`` of shape ``(*event_shape)``."""

    code: Tensor
    value: Value = None

    @property
    def token(self) -> Hashable:  # type: ignore[override]
        if self.code.ndim == 0:
            return ("value", self.code.item())
        return ("image", id(self.code))

    @property
    def support(self) -> tuple[Value, ...] | None:  # type: ignore[override]
        if self.code.ndim == 0:
            return (self.value,)
        return None

    def values(self, noise: Noise, read: Mapping[str, Tensor]) -> Tensor:
        return self.code.to(noise.device).expand(len(noise), *self.code.shape)


@dataclass(frozen=True, eq=False)
class PerRow(Intervention):
    """Row i is set to ``codes[i]``; codes of shape ``(n, *event_shape)``.

    Attributes:
        by_position: I is the row's place in the noise, not its row number.
    """

    codes: Tensor
    support: tuple[Value, ...] | None = None
    by_position: bool = False

    @property
    def token(self) -> Hashable:  # type: ignore[override]
        return ("rows", id(self.codes))

    def values(self, noise: Noise, read: Mapping[str, Tensor]) -> Tensor:
        return (self.codes if self.by_position else self.codes[noise.rows % ROUND]).to(noise.device)


@dataclass(frozen=True, eq=False)
class Drawn(Intervention):
    """A draw from a distribution, by its inverse distribution function at own uniform noise."""

    name: str
    inverse: Callable[[Tensor], Tensor] = field(repr=False)
    support: tuple[Value, ...] | None = None

    @property
    def token(self) -> Hashable:  # type: ignore[override]
        return ("drawn", id(self.inverse))

    def values(self, noise: Noise, read: Mapping[str, Tensor]) -> Tensor:
        return self.inverse(noise.draw(f"{self.name}/do", NoiseSpec((), "uniform")))


@dataclass(frozen=True, eq=False)
class Response(Intervention):
    """The value that a :class:`Policy` returns."""

    name: str
    policy: Policy
    variables: Mapping[str, Variable] = field(repr=False)

    @property
    def reads(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.policy.reads

    @property
    def token(self) -> Hashable:  # type: ignore[override]
        return ("policy", id(self.policy))

    def values(self, noise: Noise, read: Mapping[str, Tensor]) -> Tensor:
        arguments: list[Value] = [
            {name: self.variables[name].decode(read[name]) for name in self.reads}
        ]
        if self.policy.random:
            arguments.append(noise.draw(f"{self.name}/do", NoiseSpec((), "uniform")).cpu().numpy())
        returned = self.policy.function(*arguments)
        codes = self.variables[self.name].encode(returned, self.name)
        if len(codes) != len(noise):
            raise DataError(
                f"The policy for {self.name!r} returned {len(codes)} values for {len(noise)} rows: "
                "return one per row."
            )
        return codes.to(noise.device)


def is_per_row(variable: Variable, value: object) -> bool:
    """Whether ``value`` is a sequence with one entry per row, not a single value of
    ``variable``."""
    if isinstance(value, str | bytes | Mapping) or callable(value) or hasattr(value, "convert"):
        return False
    if variable.is_discrete and isinstance(value, Hashable) and value in variable.categories:
        return False
    if len(variable.event_shape) == 1:  # a vector is a list of numbers, rows are a list of vectors
        if not isinstance(value, Sequence | np.ndarray | torch.Tensor) or not len(value):
            return False
        return np.ndim(value[0]) > 0
    shape = getattr(value, "shape", None)
    if shape is not None:
        return len(shape) == 1 or len(shape) > len(
            variable.event_shape
        )  # a column of images has one dimension
    return isinstance(value, Sequence)


def compile_do(dcm: Model, do: Named | None, n: int) -> dict[str, Intervention]:
    """The interventions that a user wrote, checked against the model's variables.

    Args:
        dcm: The model.
        do: By variable a value; n values; a mapping from values to probabilities; a distribution of
            torch with an inverse distribution function; a function whose parameters are names of
            variables, from n values of each to n values; a function from n uniform numbers to n
            values; a :class:`Policy`; an intervention.
        n: Number of rows asked for.

    Raises:
        UnknownVariableError: An intervention on a variable, or a policy that reads one, that the
            graph does not have.
        DataError: A value outside the variable's declaration, or another number of values than n.
        QueryError: Probabilities that do not sum to one, or a distribution that cannot be drawn row
            by row.
    """
    if do is None:
        return {}
    if not isinstance(do, Mapping):
        raise QueryError(
            f"do={do!r} cannot be used: it has to map variables to values, for example "
            f"do={{'X': 1}}."
        )
    check_known(do, dcm.graph.index, "the intervention cannot be made")
    return {name: _compile(dcm, name, value, n) for name, value in do.items()}


def _compile(dcm: Model, name: str, value: object, n: int) -> Intervention:
    variable = dcm.variables[name]
    if isinstance(value, Intervention):
        return value
    if isinstance(value, Policy):
        check_known(value.reads, dcm.graph.index, f"the policy for {name!r} cannot be followed")
        return Response(name, value, dcm.variables)
    if isinstance(value, torch.distributions.Distribution):
        return _from_torch(name, variable, value)
    if isinstance(value, Mapping):
        return _from_mapping(name, variable, value)
    if callable(value):
        return Response(name, _policy(dcm, name, value), dcm.variables)
    if not is_per_row(variable, value):
        codes = variable.encode(_one(variable, value), name)
        if len(codes) != 1:
            raise DataError(
                f"do({name}) was given {len(codes)} values where one was read: give a list, one "
                "per row."
            )
        if variable.event_shape:
            shown = variable.decode(codes)[0]
        else:
            shown = variable.decode(codes).tolist()[0]
        return Constant(_scaled(variable, codes)[0], shown)
    codes = _scaled(variable, variable.encode(value, name))
    if len(codes) != n:
        raise DataError(
            f"do({name}) was given {len(codes)} values for {n} rows: give one value, or one per "
            "row."
            + (
                " For a draw from several values give their probabilities as a mapping."
                if len(codes) < n
                else ""
            )
        )
    return PerRow(codes, _support(variable, codes))


def _policy(dcm: Model, name: str, function: Callable[..., Value]) -> Policy:
    """A function whose parameters are names of variables reads these; any other takes n uniform
    numbers."""
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a function of a C extension
        parameters = []
    if parameters and all(parameter in dcm.variables for parameter in parameters):
        return Policy(
            lambda read: function(*(read[parameter] for parameter in parameters)),
            reads=tuple(parameters),
        )
    misspelt = [
        p for p in parameters if p != "u" and did_you_mean(p, dcm.graph.index)
    ]  # a typo must not read noise
    if len(parameters) > 1 or misspelt:
        check_known(parameters, dcm.graph.index, f"the policy for {name!r} cannot be followed")
    return Policy(lambda _, uniform: function(uniform), random=True)


def _one(variable: Variable, value: object) -> Value:
    if variable.is_discrete:
        return [value]
    return value


def _scaled(variable: Variable, codes: Tensor) -> Tensor:
    return variable.scale(codes)


def _support(variable: Variable, codes: Tensor) -> tuple[Value, ...] | None:
    if variable.event_shape:
        return None
    distinct = torch.unique(codes)
    if len(distinct) <= _MANY:
        return tuple(variable.decode(distinct).tolist())
    return None


def _from_mapping(name: str, variable: Variable, given: Mapping[Value, float]) -> Drawn:
    if variable.event_shape:
        raise QueryError(
            f"do({name}) cannot be drawn from a mapping: {variable.kind}s are no keys. Use a "
            "Policy with random=True."
        )
    codes = variable.encode(list(given), name)
    weights = torch.tensor(list(map(float, given.values())), dtype=torch.float64)
    if not len(weights) or bool((weights < 0).any()) or abs(float(weights.sum()) - 1) > 1e-6:
        raise QueryError(
            f"do({name}) cannot be drawn: the probabilities {listed(given.values())} have to be "
            "non-negative and sum to one."
        )
    cuts = weights.cumsum(0)[:-1].to(torch.float32)
    support = tuple(variable.decode(codes[weights > 0]).tolist())

    def inverse(uniform: Tensor) -> Tensor:
        return codes.to(uniform.device)[
            torch.bucketize(uniform, cuts.to(uniform.device), right=True)
        ]

    return Drawn(name, inverse, support if len(support) <= _MANY else None)


def _from_torch(name: str, variable: Variable, distribution: Value) -> Intervention:
    if distribution.batch_shape or distribution.event_shape:
        raise QueryError(
            f"do({name}) cannot be drawn from {distribution}: it has to be the distribution of one "
            "number."
        )
    if variable.is_discrete:
        if not distribution.has_enumerate_support:
            raise QueryError(
                f"do({name}) cannot be drawn from {distribution}: {name} has finitely many values."
            )
        points = distribution.enumerate_support()
        codes = list(map(int, points.tolist()))
        if codes and (min(codes) < 0 or max(codes) >= variable.size):
            raise DataError(
                f"do({name}) cannot be drawn from {distribution}: it leaves the {variable.size} "
                "categories."
            )
        weights = distribution.log_prob(points).double().exp()
        return _from_mapping(
            name,
            variable,
            {variable.categories[c]: float(p) for c, p in zip(codes, weights, strict=True)},
        )
    if not variable.is_number:
        raise QueryError(
            f"do({name}) cannot be drawn from {distribution}: its kind is {variable.kind}. Use a "
            "Policy with random=True."
        )
    try:
        distribution.icdf(torch.tensor([0.5]))
    except NotImplementedError:
        raise QueryError(
            f"do({name}) cannot be drawn from {type(distribution).__name__}: torch gives no "
            "inverse distribution function for it, so rows could not be drawn one by one. Give a "
            "function from uniform numbers to values."
        ) from None

    def inverse(uniform: Tensor) -> Tensor:
        values = distribution.icdf(uniform.cpu().clamp(1e-7, 1 - 1e-7)).float()
        variable.encode(values, name)
        return values.to(uniform.device)

    return Drawn(name, inverse)
