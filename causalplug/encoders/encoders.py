"""Encoders: from an image to the few numbers by which critics and trainable mechanisms know it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from causalplug.arguments import COUNT, instance, read_argument, several, takes, whole
from causalplug.encoders.convolution import ImageTrunk
from causalplug.errors import MechanismError
from causalplug.hub.contract import declare
from causalplug.hub.formats import ENCODER_FORMAT
from causalplug.hub.loading import Loader, load_own
from causalplug.hub.part import Part
from causalplug.hub.parts import load_part
from causalplug.networks import freeze
from causalplug.registry import Registry
from causalplug.values import Json, Named
from causalplug.variables import Variable, variable_from_dict

if TYPE_CHECKING:
    from causalplug.hub.snapshot import Snapshot

__all__ = [
    "ENCODERS",
    "ConvEncoder",
    "Encoder",
    "PCAEncoder",
    "RandomProjection",
    "load_encoder",
    "project",
    "register_encoder",
]

_E = TypeVar("_E", bound=type["Encoder"])


class Encoder(Part):
    """From images to projections: a subclass implements :meth:`features`, :meth:`config` and
    perhaps :meth:`fit`.

    A projection is the features, moved and scaled so that each has mean 0 and deviation 1 over the
    images that it was fitted on. The deviation of a row's projection from another's does not depend
    on the rows beside it.

    Args:
        variable: The image variable that it reads.
        size: Numbers of one projection.

    Attributes:
        trained: Whether it has been fitted or loaded; training a model fits an encoder that has
            not.
        origin: The snapshot that it was loaded from, None for a local object.
        license, source: Licence and origin of pretrained weights.
        weights_license: Licence of all weights of its kind, for a class that serves one family
            alone.
        needs: Packages that it imports when it is used, beyond those that causalplug needs itself.

    Raises:
        MechanismError: ``size`` is below 1.
    """

    card_kind = "encoder"
    trained: bool = False
    loc: Tensor
    scale: Tensor

    def __init__(self, variable: Variable, size: int):
        super().__init__()
        read_argument("size", size, whole(1, 2**24), MechanismError, type(self).__name__)
        self.variable, self.size = variable, size
        self.register_buffer("loc", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    @classmethod
    def loaders(cls) -> dict[str, Loader]:
        return {"encoder": ENCODER_LOADER}

    def project_column(self, column: object) -> np.ndarray:
        """Projections ``(n, size)`` of a user's column of images: an array, PIL images or
        tensors."""
        return project(self, self.variable.encode(column)).cpu().numpy()

    def features(self, images: Tensor) -> Tensor:
        """Raw features ``(n, size)`` of float images in the variable's range."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Projections ``(n, size)`` of float images ``(n, channels, height, width)`` in the
        variable's range."""
        projections = (self.features(images.to(self.loc.dtype)) - self.loc) / self.scale
        return projections.to(images.dtype if images.is_floating_point() else self.loc.dtype)

    def fit(self, images: Tensor) -> Encoder:
        """Fit it to images, in place: here the scaling alone.

        Training calls it for an encoder without trainable parameters; one with parameters is
        trained by :func:`fit_encoder`.

        Args:
            images: ``(n, channels, height, width)``, uint8 or float in the variable's range.
        """
        self.whiten(images)
        self.trained = True
        return self

    def whiten(self, images: Tensor, *, max_rows: int = 5000, seed: int = 0) -> None:
        """Set the scaling so that the projections of ``images`` (uint8 or float) have mean 0 and
        deviation 1."""
        if len(images) > max_rows:
            images = images[
                torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[
                    :max_rows
                ]
            ]
        with torch.no_grad():
            self.loc.zero_()
            self.scale.fill_(1.0)
            rows = project(self, images)
            self.loc.copy_(rows.mean(0))
            self.scale.copy_(
                rows.std(0).clamp_min(1e-6) if len(rows) > 1 else torch.ones_like(self.scale)
            )

    def config(self) -> Json:
        """JSON values from which :meth:`from_config` rebuilds the encoder without its weights."""
        return {"variable": self.variable.to_dict(), "size": self.size}

    @classmethod
    def from_config(cls, config: Named) -> Encoder:
        """The encoder that :meth:`config` describes, with fresh weights.

        Raises:
            MechanismError: The configuration reads something else than images.
        """
        fields = dict(config)
        variable = variable_from_dict(fields.pop("variable"), "variable")
        if not variable.needs_encoder:
            raise MechanismError(
                "An encoder reads images or texts: its configuration's variable must be of kind "
                "'image' or 'text'."
            )
        return cls(variable, **fields)


declare(Encoder, {"variable": Variable, "size": int, "trained": bool})

ENCODERS: Registry[Encoder] = Registry(
    "encoder",
    {
        "conv-encoder": "causalplug.encoders.encoders",
        "pca": "causalplug.encoders.encoders",
        "random-projection": "causalplug.encoders.encoders",
        "hashed-text": "causalplug.encoders.text",
        "transformers-text": "causalplug.adapters.transformers_text_encoder",
        "transformers-vision": "causalplug.adapters.transformers_vision",
    },
)
"""Every encoder that a repository may name: built in, registered ones and entry points
``causalplug.encoders``."""


def register_encoder(kind: str) -> Callable[[_E], _E]:
    """Class decorator: register an encoder under ``kind``, the name that a repository's
    ``config.json`` gives.

    Raises:
        MechanismError: The name is taken by another class.
    """
    return ENCODERS.register(kind)


@register_encoder("conv-encoder")
class ConvEncoder(Encoder):
    """A small convolutional encoder, to be trained by :func:`fit_encoder` on what the image should
    tell.

    Args:
        variable: The image variable.
        size: Numbers of one projection.
        channels: Widths of the convolutions; each halves the image.
        hidden: Width of the layer before the projection.
    """

    @takes(
        MechanismError,
        variable=instance("the declaration of an image variable", Variable),
        channels=several(whole(1, 2**24), least=1),
        hidden=COUNT,
    )
    def __init__(
        self,
        variable: Variable,
        size: int = 16,
        *,
        channels: Sequence[int] = (8, 16, 32, 64),
        hidden: int = 64,
    ):
        super().__init__(variable, size)
        self.channels, self.hidden = tuple(channels), hidden
        self.trunk = ImageTrunk(variable, self.channels)
        self.head = nn.Sequential(
            nn.Linear(self.trunk.size, hidden), nn.SiLU(), nn.Linear(hidden, size)
        )

    def features(self, images: Tensor) -> Tensor:
        return self.head(self.trunk(images))

    def config(self) -> Json:
        return super().config() | {"channels": list(self.channels), "hidden": self.hidden}


@register_encoder("random-projection")
class RandomProjection(Encoder):
    """A fixed random linear map of the pixels: a baseline that was trained on nothing.

    Args:
        variable: The image variable.
        size: Numbers of one projection.
        seed: Seed of the map.
    """

    basis: Tensor

    def __init__(self, variable: Variable, size: int = 16, *, seed: int = 0):
        super().__init__(variable, size)
        self.seed = seed
        generator = torch.Generator().manual_seed(seed)
        pixels = variable.feature_size
        self.register_buffer("basis", torch.randn(pixels, size, generator=generator) / pixels**0.5)

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.basis

    def config(self) -> Json:
        return super().config() | {"seed": self.seed}


@register_encoder("pca")
class PCAEncoder(Encoder):
    """Principal components of the pixels, whitened: a baseline that knows nothing of the other
    variables."""

    basis: Tensor
    centre: Tensor

    def __init__(self, variable: Variable, size: int = 16):
        super().__init__(variable, size)
        if size > variable.feature_size:
            raise MechanismError(
                f"{size} principal components cannot be had from {variable.feature_size} pixels. "
                "Give a smaller size."
            )
        self.register_buffer("basis", torch.eye(variable.feature_size, size))
        self.register_buffer("centre", torch.zeros(variable.feature_size))

    def features(self, images: Tensor) -> Tensor:
        return (images.flatten(1) - self.centre) @ self.basis

    def fit(self, images: Tensor, *, max_rows: int = 5000, seed: int = 0) -> PCAEncoder:
        """Find the components on at most ``max_rows`` of the images (uint8 or float)."""
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randperm(len(images), generator=generator)[:max_rows]
        pixels = self.variable.scale(images[rows]).flatten(1)
        if len(pixels) <= self.size:
            raise MechanismError(
                f"{self.size} principal components need more than {len(pixels)} images."
            )
        self.centre.copy_(pixels.mean(0))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            _, _, basis = torch.svd_lowrank(
                pixels - self.centre, q=min(self.size + 8, *pixels.shape), niter=4
            )
        self.basis.copy_(basis[:, : self.size])
        self.whiten(images)
        self.trained = True
        return self


def project(
    encoder: Encoder,
    images: Tensor,
    *,
    batch_size: int = 500,
    device: torch.device | str | None = None,
) -> Tensor:
    """Projections ``(n, size)`` of encoded images (uint8 or float), in batches and without
    gradients.

    Args:
        encoder: Used in evaluation mode, left in the mode that it was in.
        images: ``(n, channels, height, width)``.
        batch_size: Images at a time.
        device: Where the work is done and the result is put; where the encoder is by default.
    """
    if device is None:
        where = encoder.loc.device
    else:
        where = torch.device(device)
    training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            parts = []
            for part in images.split(batch_size):
                parts.append(encoder(encoder.variable.scale(part.to(where))))
    finally:
        encoder.train(training)
    if parts:
        return torch.cat(parts)
    return torch.empty(0, encoder.size, device=where)


def load_encoder(snapshot: Snapshot, *, trust_remote_code: bool = False) -> Encoder:
    """Load an encoder from a repository, with its gradients off.

    Args:
        snapshot: The repository.
        trust_remote_code: Whether code of the repository may run.

    Raises:
        RepositoryError: As for :func:`causalplug.hub.parts.load_part`.
    """
    encoder: Encoder = load_part(
        snapshot, ENCODER_FORMAT, ENCODERS, trust_remote_code=trust_remote_code
    )
    encoder.trained = True
    return freeze(encoder)


ENCODER_LOADER = Loader(
    partial(load_own, load_encoder), ("device", "dtype", "trust_remote_code"), "an encoder"
)
"""How :func:`causalplug.from_pretrained` loads an encoder."""
