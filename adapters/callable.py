"""Any Python function that paints images: it may call another process, an API or another
framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from causalplug.errors import MechanismError
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.generator import FrozenMechanism, LabelMapSpec
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.noise import NoiseSpec
from causalplug.values import Json, Named
from causalplug.variables import Image

__all__ = ["CallableGenerator"]


@register_mechanism("callable")
class CallableGenerator(FrozenMechanism):
    """A function ``paint(labels, latent) -> images`` as a frozen mechanism.

    The function gets numpy arrays: ``labels`` ``(n, number of labels)`` int64 and ``latent`` ``(n,
    *latent_shape)`` float32, and returns images ``(n, channels, height, width)`` in the range of
    ``image``, or uint8. Row i may depend on row i of the inputs alone; all its randomness must come
    from the latent (a seed can be made from it).

    Args:
        paint: The function.
        image: What it paints.
        labels: What it conditions on, in order.
        latent_shape: Latent shape of the noise of one row.
        distribution: Distribution of the noise, ``"normal"`` or ``"uniform"`` on [0, 1).
        batch_cost: Rough seconds for 64 rows.
        revision: Version of the function. Samples of it are kept, on the disk or for the next
            answer, only where it is given, because it tells when they are out of date.

    Raises:
        MechanismError: When it runs: the function returned another shape, type or range.
    """

    def __init__(
        self,
        paint: Callable[[np.ndarray, np.ndarray], Any],
        image: Image,
        labels: Sequence[Label],
        *,
        latent_shape: Sequence[int] = (16,),
        distribution: str = "normal",
        batch_cost: float = 0.0,
        revision: str | None = None,
        license: str | None = None,
        source: str | None = None,
        label_map: LabelMapSpec = None,
        transform: str | Sequence[str] = (),
    ):
        noise = {"latent": NoiseSpec(tuple(latent_shape), distribution)}
        super().__init__(
            image,
            labels,
            noise,
            license=license,
            source=source,
            label_map=label_map,
            transform=transform,
        )
        if not callable(paint):
            raise MechanismError(
                f"{paint!r} cannot paint images: give a function of labels and latent."
            )
        self.paint_rows = paint
        self.batch_cost = batch_cost
        self.revision = revision

    def generate(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        found = self.paint_rows(labels.cpu().numpy(), noise["latent"].cpu().numpy())
        return self._checked(found, len(labels)).to(labels.device)

    def _checked(self, found: object, n: int) -> Tensor:
        name = getattr(self.paint_rows, "__name__", type(self.paint_rows).__name__)
        if isinstance(found, Tensor):
            images = found.detach().cpu()
        else:
            images = torch.from_numpy(np.ascontiguousarray(found))
        if images.shape != (n, *self.image.event_shape):
            raise MechanismError(
                f"{name} returned an array of shape {tuple(images.shape)} for {n} rows instead of "
                f"{(n, *self.image.event_shape)}. Return one image, channels first, for each row."
            )
        if not (images.is_floating_point() or images.dtype == torch.uint8):
            raise MechanismError(
                f"{name} returned images of type {images.dtype}: return floats or uint8."
            )
        scaled = self.image.scale(images).float()
        slack = 1e-3 * (self.image.high - self.image.low)
        low, high = float(scaled.min()), float(scaled.max())
        if not (low >= self.image.low - slack and high <= self.image.high + slack):
            raise MechanismError(
                f"{name} returned values in [{low:.4g}, {high:.4g}], but image declares "
                f"[{self.image.low:g}, {self.image.high:g}]. Rescale them, or declare the range "
                "that it has."
            )
        return scaled

    @property
    def versioned(self) -> bool:
        return self.revision is not None

    def fingerprint(self) -> list[object]:
        if self.revision is None:
            raise MechanismError(
                "Samples of a Python function cannot be kept on the disk: nothing tells when the "
                "function changes. Give CallableGenerator(…, revision='1') and change it with the "
                "function."
            )
        transform = [*self.requested_transform, self.variable.to_dict()]
        return [self.kind, getattr(self.paint_rows, "__qualname__", ""), self.revision, transform]

    def config(self) -> Json:
        raise MechanismError(
            "A Python function cannot be saved in a repository: only data are loaded, never code. "
            "Save a bank of its samples with "
            "causalplug.adapters.image_bank.ImageBank.from_mechanism, or publish the weights "
            "behind an adapter."
        )

    @classmethod
    def from_config(cls, config: Named) -> CallableGenerator:
        raise MechanismError(
            "A repository cannot name a Python function to run. Build CallableGenerator(function, "
            "…) in your own code."
        )
