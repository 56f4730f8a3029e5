"""What every kind of variable offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from causalplug.values import Json

if TYPE_CHECKING:
    from collections.abc import Hashable

    import torch

__all__ = ["Variable"]


@dataclass(frozen=True)
class Variable:
    """Common face of all kinds; not used by itself.

    A kind of one's own is a subclass that is registered by :func:`register_variable`. Everything
    that the rest of the package asks of a variable is declared here.

    Attributes:
        kind: The name that it is registered under; declarations are saved with it.
        is_discrete: It has finitely many values, coded by the integers from 0, and ``categories``.
        is_number: A value is one number, so that it has a mean and lies in intervals.
        is_countable: Every value has a probability: discrete variables and counts.
        is_image: Values are images.
        needs_encoder: Networks and critics read a value as an encoder's projection.
        standardised: Networks and critics read features that are scaled on the data.
        has_density: The default mechanism has an explicit density, so that it is trained by its
            likelihood.
        default_encoder: Kind of the encoder that a variable gets where it needs one and none is
            given.
        default_mechanism: Kind of the trainable mechanism that a variable gets where none is given;
            None where it has to be pulled.
        counterfactual_mechanism: Kind of the one that it gets where its counterfactuals are wanted;
            None where the default mechanism recovers its noise.
    """

    kind: ClassVar[str] = ""
    is_discrete: ClassVar[bool] = False
    is_number: ClassVar[bool] = False
    is_countable: ClassVar[bool] = False
    is_image: ClassVar[bool] = False
    needs_encoder: ClassVar[bool] = False
    standardised: ClassVar[bool] = False
    has_density: ClassVar[bool] = True
    default_encoder: ClassVar[str | None] = None
    default_mechanism: ClassVar[str | None] = None
    counterfactual_mechanism: ClassVar[str | None] = None

    if TYPE_CHECKING:  # what only some kinds have, and what is asked of these alone

        @property
        def categories(self) -> tuple[Hashable, ...]:
            """The values of a discrete variable."""

        @property
        def plain(self) -> bool:
            """Whether the categories of a discrete variable are the integers from 0."""

        @property
        def size(self) -> int:
            """Number of categories of a discrete variable, or of the numbers in a vector."""

        @property
        def low(self) -> float:
            """The least number of a number, vector or image."""

        @property
        def high(self) -> float:
            """The greatest number of a number, vector or image."""

        @property
        def channels(self) -> int:
            """Channels of an image."""

        @property
        def height(self) -> int:
            """Rows of pixels of an image."""

        @property
        def width(self) -> int:
            """Pixels of a row of an image."""

        def to_pil(self, images: object) -> list[Any]:
            """Decoded images as pictures."""

        def code_of_text(self, text: str) -> int:
            """The code of the category of a discrete variable that is written so, or -1."""

        def code(self, value: Hashable, name: str = "value") -> int:
            """The integer code of one category of a discrete variable."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value inside the model: ``()`` for a code or a float, ``(channels, height,
        width)`` for an image.
        """
        return ()

    @property
    def feature_size(self) -> int:
        """Number of features of one value as the input of a network."""
        raise NotImplementedError

    @property
    def cardinality(self) -> int | None:
        """Number of values, or None where they cannot be counted off."""
        return None

    def scale(self, codes: torch.Tensor) -> torch.Tensor:
        """Encoded values as mechanisms make and read them: pixels in the range of an image
        variable, everything else as it is."""
        return codes

    def encode(
        self, values: object, name: str = "values", *, row: int | None = None
    ) -> torch.Tensor:
        """Check users' ``values`` (n of them, or one) and turn them into a tensor ``(n,
        *event_shape)``.

        Args:
            values: As users write them.
            name: Name of the column, for messages.
            row: Number of the first value in its table, so that messages can say where a wrong one
                is.

        Raises:
            DataError: Missing values, a wrong shape or a value outside the declaration; nothing is
                repaired.
        """
        raise NotImplementedError

    def decode(self, codes: torch.Tensor) -> np.ndarray:
        """Turn a tensor ``(n, *event_shape)`` back into users' values, an array of length n."""
        raise NotImplementedError

    def written(self, codes: torch.Tensor) -> list[Any]:
        """Users' values as Python writes them, to be compared and saved."""
        found: list[Any] = self.decode(codes).tolist()
        return found

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        """Float features ``(n, feature_size)`` of encoded values, as a network reads them."""
        raise NotImplementedError

    def to_dict(self) -> Json:
        """The declaration as JSON values."""
        raise NotImplementedError

    def describe(self) -> str:
        """The values in a few words, for cards and messages."""
        return self.kind
