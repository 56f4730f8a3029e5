"""A mechanism that the toolkit itself trained, frozen: the generator of one model plugged into
another."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from causalplug.errors import MechanismError
from causalplug.mechanisms.base import MECHANISMS, Mechanism, register_mechanism
from causalplug.mechanisms.frozen.generator import FrozenMechanism, LabelMapSpec
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.selection import dicts_by_name, pick
from causalplug.values import Json, Named
from causalplug.variables import Image, Variable

__all__ = ["TrainedGenerator"]


@register_mechanism("trained-generator")
class TrainedGenerator(FrozenMechanism):
    """A trained image mechanism with discrete parents as a frozen generator; its parents become the
    labels.

    Args:
        mechanism: An unconfounded image mechanism, such as a
            :class:`~causalplug.mechanisms.trainable.image.ConvGenerator`.
        parents: Declarations of its parents.
        license, source: Licence and origin of the weights.

    Raises:
        MechanismError: It does not generate images, reads confounder noise, or has parents that are
            not discrete.
    """

    def __init__(
        self,
        mechanism: Mechanism,
        parents: Mapping[str, Variable],
        *,
        license: str | None = None,
        source: str | None = None,
        label_map: LabelMapSpec = None,
    ):
        if not isinstance(mechanism.variable, Image) or mechanism.frozen:
            raise MechanismError(
                f"{type(mechanism).__name__} is not a trained mechanism of an image: nothing to "
                "freeze."
            )
        if mechanism.config().get("confounder_size"):
            raise MechanismError(
                f"{type(mechanism).__name__} reads confounder noise and cannot be plugged in by "
                "itself. Pull its whole module."
            )
        other = [n for n in mechanism.parents if not (n in parents and parents[n].is_discrete)]
        if other:
            raise MechanismError(
                f"Parents {other} of {type(mechanism).__name__} are not discrete: they cannot be "
                "labels."
            )
        labels = [Label(name, parents[name].categories) for name in mechanism.parents]
        super().__init__(
            mechanism.variable,
            labels,
            mechanism.noise,
            license=license,
            source=source,
            label_map=label_map,
        )
        self.mechanism = mechanism.requires_grad_(False).eval()
        self.label_variables = pick(parents, mechanism.parents)

    def generate(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        values = dict(zip(self.mechanism.parents, labels.unbind(-1), strict=True))
        return self.mechanism(values, noise)

    def weights(self) -> dict[str, Tensor]:
        return dict(self.mechanism.state_dict())

    def load_weights(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """Copy the tensors of a weights file into the mechanism.

        Raises:
            MechanismError: Tensors are missing, unexpected or of another shape.
        """
        from causalplug.files.weights import load_tensors

        with torch.no_grad():
            load_tensors(self.mechanism, tensors, where)

    def config(self) -> Json:
        labels = dicts_by_name(self.label_variables)
        return {"kind": self.mechanism.kind, "mechanism": self.mechanism.config(), "labels": labels}

    @classmethod
    def from_config(cls, config: Named) -> TrainedGenerator:
        from causalplug.variables import variable_from_dict

        parents = {}
        for name, item in config["labels"].items():
            parents[name] = variable_from_dict(item, name)
        mechanism = MECHANISMS.resolve(config["kind"]).from_config(config["mechanism"])
        return cls(mechanism, parents)
