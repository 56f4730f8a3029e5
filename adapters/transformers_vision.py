"""A frozen vision backbone of the transformers library (ViT, DINO, CLIP's image tower, …) as an
encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from causalplug.adapters.reasons import first_line
from causalplug.adapters.row_seeds import own_randomness
from causalplug.adapters.transformers_backbone import BackboneEncoder
from causalplug.adapters.transformers_files import OpenedModel
from causalplug.adapters.transformers_numbers import pooled_states
from causalplug.adapters.transformers_pixels import PixelStatistics
from causalplug.encoders.encoders import register_encoder
from causalplug.errors import MechanismError
from causalplug.networks import freeze
from causalplug.variables import Variable

__all__ = ["TransformersEncoder"]

_POOLERS = ("pooler.", "vision_model.pooler.")


@register_encoder("transformers-vision")
class TransformersEncoder(BackboneEncoder):
    """Features of a frozen vision backbone, reduced to a projection by principal components and
    whitened.

    Args:
        variable: The image variable; images are resized to what the backbone reads, grey ones
            repeated.
        opened: A vision model of transformers and its files; a model with text and image towers
            gives its image tower.
        size: Numbers of one projection.

    Raises:
        MechanismError: The backbone does not say the width of its features, or its files lack
            weights other than the pooler's.
    """

    def __init__(self, variable: Variable, opened: OpenedModel, size: int = 16):
        self.check_variable(variable)
        towers = dict(opened.model.named_children())
        if opened.reads_text and "vision_model" not in towers:
            raise MechanismError(
                f"The model in {opened.folder} cannot encode {variable.describe()}: it reads "
                "texts. Load a vision model."
            )
        tower = towers.get("vision_model", opened.model)
        statistics = opened.statistics.whole()
        statistics.check_channels(variable.event_shape[0], "An image of this variable")
        found = _features(
            tower, statistics, not opened.missing, variable, torch.zeros(1, *variable.event_shape)
        )
        super().__init__(variable, opened, size, optional=_POOLERS, width=found.shape[1])
        self.backbone = tower
        self.has_pooler = not opened.missing
        self.statistics = statistics
        freeze(self)

    @staticmethod
    def check_variable(variable: Variable) -> None:
        if not variable.is_image:
            raise MechanismError(
                "An encoder reads images: its configuration's variable must be of kind 'image'."
            )

    def pooled(self, images: Tensor) -> Tensor:
        """The backbone's features ``(n, width)``: its pooled output where its weights hold one,
        else the mean over its last states."""
        pixels = self.statistics.pixels(images, self.variable.low, self.variable.high)
        with own_randomness():  # a masked autoencoder shuffles its patches
            found = self.backbone(pixel_values=pixels.to(next(self.backbone.parameters()).dtype))
        return pooled_states(found, self.has_pooler)


def _features(
    tower: Any, statistics: PixelStatistics, has_pooler: bool, variable: Any, images: Tensor
) -> Tensor:
    """Features ``(n, width)`` of a few images, by which the backbone's width is known.

    Raises:
        MechanismError: The backbone gives no features of images.
    """
    pixels = statistics.pixels(images + variable.low, variable.low, variable.high)
    try:
        with torch.no_grad(), own_randomness():
            return pooled_states(tower(pixel_values=pixels), has_pooler)
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:
        reason = first_line(error)
        raise MechanismError(
            f"{type(tower).__name__} cannot encode {variable.describe()}: it gives no features of "
            f"a first image ({type(error).__name__}: {reason}). Declare another size, or take "
            "another backbone."
        ) from error
