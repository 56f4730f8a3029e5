"""A frozen text backbone of the transformers library (BERT, a sentence transformer, …) as an
encoder."""

from __future__ import annotations

from torch import Tensor

from causalplug.adapters.transformers_backbone import BackboneEncoder
from causalplug.adapters.transformers_files import OpenedModel
from causalplug.adapters.transformers_inputs import TextReader, reader_of
from causalplug.adapters.transformers_numbers import pooled_states
from causalplug.encoders.encoders import register_encoder
from causalplug.errors import MechanismError
from causalplug.networks import freeze
from causalplug.variables import Variable

__all__ = ["TransformersTextEncoder"]


@register_encoder("transformers-text")
class TransformersTextEncoder(BackboneEncoder):
    """The mean of a frozen text backbone's last states over the tokens of a text, reduced to a
    projection by principal components and whitened.

    Trainable mechanisms and critics know texts by it, as they know images by
    :class:`TransformersEncoder`.

    Args:
        variable: The text.
        opened: A text model of transformers, its tokenizer and its files.
        size: Numbers of one projection.

    Raises:
        MechanismError: The model does not read texts alone, or weights are missing.
    """

    def __init__(self, variable: Variable, opened: OpenedModel, size: int = 16):
        super().__init__(variable, opened, size, optional=("pooler.",))
        reader = reader_of(opened)
        if not isinstance(reader, TextReader):
            raise MechanismError(
                f"The model in {opened.folder} cannot encode {variable.describe()}: it reads "
                "images. Declare an image, or load a text model."
            )
        self.reader = reader
        self.backbone = opened.model
        if opened.model.config.is_encoder_decoder:
            self.backbone = opened.model.get_encoder()
        freeze(self)

    @staticmethod
    def check_variable(variable: Variable) -> None:
        if variable.is_image or not variable.needs_encoder:
            raise MechanismError(
                "An encoder of texts cannot be used: its configuration's variable must be of kind "
                "'text'."
            )

    def pooled(self, images: Tensor) -> Tensor:
        """The backbone's features ``(n, width)`` of encoded texts."""
        found = self.reader.run(
            self.backbone, images, self.variable, lambda answer: pooled_states(answer, False)
        )
        return found.to(self.basis.dtype)
