"""Response types of a c-component: what each of its variables would do at every setting of its
parents (Balke & Pearl 1997; Tian & Pearl 2000).

Their joint distribution is free, except for what the data and the declared assumptions say. Types
that no equation and no part of the query tells apart are one unknown: the canonical partition.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import cached_property, reduce

import numpy as np

from causalplug.errors import QueryError
from causalplug.identification.assumptions import Assume
from causalplug.identification.factors import Model, Response

__all__ = ["ResponseTypes"]

MAX_COEFFICIENTS = 1 << 27


class ResponseTypes:
    """The response types of one c-component.

    Args:
        model: The graph and the values of its variables.
        number: Which component.
        assumptions: Those that concern variables of the component rule types out.
        most: The largest number of types to work with.

    Raises:
        QueryError: If there are more types than ``most``; nothing is allocated before.
    """

    def __init__(self, model: Model, number: int, assumptions: Iterable[Assume], most: int):
        self.model = model
        self.variables = model.components[number]
        self.assumptions = tuple(a for a in assumptions if a.effect in self.variables)
        counts = [model.size(v) ** model.settings(v) for v in self.variables]
        limited = {a.effect for a in self.assumptions if a.kind != "additive"}
        free = reduce(
            lambda n, i: n * i,
            (c for v, c in zip(self.variables, counts, strict=True) if v not in limited),
            1,
        )
        self._refuse_beyond(most, max(free, *counts))
        self._refuse_beyond(most, self.size)

    def _refuse_beyond(self, most: int, count: int) -> None:
        if count <= most:
            return
        if count < 10**15:
            shown = f"{count:,}"
        else:
            shown = f"10^{len(str(count)) - 1}"
        raise QueryError(
            f"the bounds cannot be computed: the component of {', '.join(self.variables)} has "
            f"{shown} response types, which are the unknowns of the linear program, and at most "
            f"{most:,} are allowed; merge values of its variables or of their parents, take "
            "parents out with latent_projection, or raise most_unknowns="
        )

    def check_memory(self, lines: int) -> None:
        """Refuse a program whose coefficients would take more than a gigabyte.

        Raises:
            QueryError: With the number of unknowns.
        """
        if lines * self.size > MAX_COEFFICIENTS:
            raise QueryError(
                f"the bounds cannot be computed: the component of {', '.join(self.variables)} has "
                f"{self.size:,} response types and {lines:,} equations on them; merge values of "
                "its variables or of their parents"
            )

    @cached_property
    def functions(self) -> tuple[np.ndarray, ...]:
        """Per variable, its possible functions: codes ``(functions, settings)``."""
        return tuple(map(self._functions, self.variables))

    @property
    def size(self) -> int:
        """The number of types."""
        return reduce(lambda n, table: n * len(table), self.functions, 1)

    def indicator(self, responses: Iterable[Response]) -> np.ndarray:
        """Per type, 1 where all ``responses`` of the component hold, else 0."""
        held = [np.ones(len(table), bool) for table in self.functions]
        for name, setting, code in responses:
            at = self.variables.index(name)
            held[at] &= self.functions[at][:, setting] == code
        joint = reduce(np.logical_and.outer, held)
        return np.asarray(joint).reshape(-1)

    def steps(self, assumption: Assume) -> list[tuple[int, int]]:
        """Pairs of settings of the parents of the effect that differ by one value of the cause."""
        return list(_steps(self.model, assumption.effect, assumption.cause))

    def difference(self, name: str, step: tuple[int, int]) -> np.ndarray:
        """Per type, how much the value of ``name`` changes over a step.

        Raises:
            QueryError: If the values are not numbers.
        """
        try:
            numbers = np.array(list(map(float, self.model.domains[name])))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise QueryError(
                f"an additive effect on {name} cannot be assumed: its values are not numbers"
            ) from None
        at = self.variables.index(name)
        table = numbers[self.functions[at]]
        change = table[:, step[1]] - table[:, step[0]]
        shape = [1] * len(self.variables)
        shape[at] = len(change)
        whole = list(map(len, self.functions))
        return np.broadcast_to(change.reshape(shape), whole).reshape(-1)

    def others(self, name: str) -> list[Response]:
        """All single responses of the other variables of the component."""
        found = []
        for other in self.variables:
            if other != name:
                for setting in range(self.model.settings(other)):
                    for code in range(self.model.size(other)):
                        found.append((other, setting, code))
        return found

    def _functions(self, name: str) -> np.ndarray:
        size, settings = self.model.size(name), self.model.settings(name)
        flat = np.arange(size**settings)
        digits = [flat // size**place % size for place in range(settings)]
        table = np.stack(digits, 1).astype(np.int16)
        for assumption in self.assumptions:
            if assumption.effect == name and assumption.kind in ("monotone", "antitone"):
                sign = -1
                if assumption.kind == "monotone":
                    sign = 1
                table = table[self._ordered(name, assumption.cause, sign, table)]
        return table

    def _ordered(self, name: str, cause: str, sign: int, table: np.ndarray) -> np.ndarray:
        """Which functions move one way only when ``cause`` rises and all else stays."""
        keep = np.ones(len(table), bool)
        for low, high in _steps(self.model, name, cause):
            keep &= sign * (table[:, high] - table[:, low]) >= 0
        return keep


def _steps(model: Model, name: str, cause: str) -> Iterable[tuple[int, int]]:
    """Pairs of settings of the parents of ``name`` in which ``cause`` is one value higher."""
    parents: Sequence[str] = model.parents[name]
    for codes in itertools.product(*(range(model.size(p)) for p in parents)):
        case = dict(zip(parents, codes, strict=True))
        if case[cause] + 1 < model.size(cause):
            higher = {**case, cause: case[cause] + 1}
            yield model.setting(name, case), model.setting(name, higher)
