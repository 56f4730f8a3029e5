"""What trainable mechanisms have in common: they read parents and confounder noise through one
conditioner, and are saved as their arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from causalplug.mechanisms.base import Mechanism
from causalplug.mechanisms.trainable.conditioner import (
    Conditioner,
    parents_from_config,
    parents_to_config,
)
from causalplug.values import Json, Named
from causalplug.variables import Image, Variable, variable_from_dict

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Conditioned", "ConditionedImage"]


class Conditioned(Mechanism):
    """A trainable mechanism that reads parents and confounder noise through a conditioner.

    A subclass says what its :attr:`conditioner` is and gives its further arguments as
    :meth:`settings`; scaling of the parents, saving and loading follow from these.
    """

    @property
    def conditioner(self) -> Conditioner:
        """The network that reads the parents and the confounder noise."""
        raise NotImplementedError

    def settings(self) -> Json:
        """Its arguments beside variable, parents and confounder size, as JSON values."""
        raise NotImplementedError

    @property
    def confounder_numbers(self) -> int:
        return self.conditioner.confounder_size

    def standardise_parents(self, rows: Mapping[str, Tensor]) -> None:
        self.conditioner.standardise(rows)

    def config(self) -> Json:
        """Its arguments as JSON values."""
        return {
            "variable": self.variable.to_dict(),
            "parents": parents_to_config(self.conditioner.parents),
            "confounder_size": self.conditioner.confounder_size,
            **self.settings(),
        }

    @classmethod
    def from_config(cls, config: Named) -> Self:
        """The mechanism that :meth:`config` describes, with fresh weights."""
        arguments = dict(config)
        variable = variable_from_dict(arguments.pop("variable"))
        parents = parents_from_config(arguments.pop("parents"))
        return cls(variable, parents, **arguments)


class ConditionedImage(Conditioned):
    """A trainable mechanism of an image, whose conditioner is called ``conditions``."""

    variable: Image
    conditions: Conditioner

    @classmethod
    def default_for(
        cls,
        variable: Variable,
        parents: Named,
        confounder_size: int,
        hidden: Sequence[int],
    ) -> Self:
        return cls(variable, parents, confounder_size=confounder_size)

    @property
    def conditioner(self) -> Conditioner:
        return self.conditions

    def unit(self, images: Tensor) -> Tensor:
        """Pixels in the variable's range as shares of it, in [0, 1]."""
        return (images - self.variable.low) / (self.variable.high - self.variable.low)

    def ranged(self, unit: Tensor) -> Tensor:
        """Pixels in [0, 1] in the variable's range."""
        return self.variable.low + (self.variable.high - self.variable.low) * unit
