"""A wrapped network that paints images, as a generator with labels: for a renderer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from causalplug.errors import MechanismError
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.mechanisms.frozen.wrapped import WrappedModule
from causalplug.values import Json, Named
from causalplug.variables import Image

__all__ = ["WrappedGenerator"]

_MOST_LABELS = 4096  # joint values that a code chooses among


@register_mechanism("wrapped-generator")
class WrappedGenerator(FrozenMechanism):
    """A network that :func:`causalplug.wrap` took, read by labels.

    Args:
        module: The wrapped network: it paints images, from discrete conditions and perhaps a
            latent.

    Raises:
        MechanismError: It paints no images, or reads something else than categories.
    """

    def __init__(self, module: WrappedModule):
        image = module.generates
        if not isinstance(image, Image):
            raise MechanismError(
                f"A renderer paints images: a network that gives {image.describe()} cannot be one."
            )
        other = [one for one in module.read_conditions if not one.kind.is_discrete]
        if other:
            raise MechanismError(
                f"The network cannot be a renderer: it reads {other[0].name!r}, "
                f"{other[0].kind.describe()}, and a code chooses among categories. Make it a part "
                "of the latent, or wrap the network with categories."
            )
        labels = []
        for one in module.read_conditions:
            kind: Any = one.kind
            labels.append(Label(one.name, kind))
        super().__init__(
            image,
            labels,
            module.model_noise,
            license=module.license,
            source=module.source,
        )
        if self._map.size > _MOST_LABELS:
            raise MechanismError(
                f"The network cannot be a renderer: its labels have {self._map.size:,} joint "
                f"values, and a code chooses among at most {_MOST_LABELS:,}."
            )
        self.wrapped: WrappedModule = module
        self.moves_by_latent = "latent" in module.smooth

    def generate(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        """The network's images for codes ``(n, number of labels)``."""
        given = {label.name: labels[:, place] for place, label in enumerate(self.labels)}
        return self.wrapped.generate(given, noise)

    def config(self) -> Json:
        return {"module": self.wrapped.config()}

    @classmethod
    def from_config(cls, config: Named) -> WrappedGenerator:
        """The generator that :meth:`config` describes, with weights of zero."""
        return cls(WrappedModule.from_config(config["module"]))
