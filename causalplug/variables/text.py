"""Variables whose values are texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from causalplug.arguments import read_fields, setting, whole
from causalplug.errors import DataError, VariableError
from causalplug.values import Json
from causalplug.variables.base import Variable
from causalplug.variables.columns import TextColumn, as_array, refuse_missing, where_first
from causalplug.variables.kinds import register_variable

if TYPE_CHECKING:
    import torch

__all__ = ["Text"]


@register_variable("text")
@dataclass(frozen=True)
class Text(Variable):
    """A text: a report, a review, a prompt.

    Inside the model a text is the bytes of its UTF-8, plus one, followed by zeros. Networks and
    critics read it as the projection of a frozen encoder. No mechanism of texts is trained here: a
    pretrained one has to be given.

    Args:
        length: Bytes of the longest text.

    Raises:
        VariableError: The length is below 1.

    Example:
        >>> import causalplug as cp
        >>> cp.Text().decode(cp.Text().encode(["no finding"])).tolist()
        ['no finding']
    """

    needs_encoder: ClassVar[bool] = True
    has_density: ClassVar[bool] = False
    default_encoder: ClassVar[str | None] = "hashed-text"
    length: int = setting(512, whole(1, 2**24))

    def __post_init__(self) -> None:
        read_fields(self, VariableError)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (int(self.length),)

    @property
    def feature_size(self) -> int:
        return int(self.length)

    def encode(
        self, values: object, name: str = "values", *, row: int | None = None
    ) -> torch.Tensor:
        """Codes ``(n, length)`` of int16 from texts, or from one text.

        Raises:
            DataError: Missing values, values that are not texts, or texts that are too long.
        """
        import torch

        array = as_array(_column(values), name)
        refuse_missing(array, name)
        if array.ndim != 1:
            raise DataError(
                f"{name!r} must be one text per row; got an array of shape {array.shape}."
            )
        texts = array.tolist()
        wrong = np.array([not isinstance(text, str) for text in texts], bool)
        if wrong.any():
            raise DataError(
                f"{name!r} has {int(wrong.sum())} values that are not texts. Convert them with "
                f"str, or declare it otherwise.{where_first(wrong, array, row)}"
            )
        try:
            encoded = [text.encode() for text in texts]
        except UnicodeEncodeError as error:
            raise DataError(
                f"{name!r} has texts that UTF-8 cannot hold, such as {error.object[:40]!r}. Read "
                'the file in its own encoding, or replace such characters with errors="replace".'
            ) from None
        long = np.array([len(text) > self.length for text in encoded], bool)
        if long.any():
            most = max(map(len, encoded))
            raise DataError(
                f"{name!r} has {int(long.sum())} texts of more than {self.length} bytes, the "
                f"longest {most}. Shorten them, or declare Text({most})."
            )
        codes = np.zeros((len(encoded), self.length), np.int16)
        for place, text in enumerate(encoded):
            codes[place, : len(text)] = np.frombuffer(text, np.uint8).astype(np.int16) + 1
        return torch.from_numpy(codes)

    def decode(self, codes: torch.Tensor) -> np.ndarray:
        rows = codes.detach().cpu().numpy().astype(np.int16)
        texts = np.empty(len(rows), dtype=object)
        for place, row in enumerate(rows):
            texts[place] = (row[row > 0] - 1).astype(np.uint8).tobytes().decode(errors="replace")
        return texts

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        return codes.float()

    def to_dict(self) -> Json:
        return {"kind": self.kind, "length": int(self.length)}

    def describe(self) -> str:
        return "text"


def _column(values: object) -> object:
    """One text as a column, and a list of texts as they are: numpy would cut zeros off their ends,
    and give each the room of the longest."""
    if isinstance(values, str):
        values = [values]
    if isinstance(values, TextColumn):
        return values.to_numpy()
    if not isinstance(values, list | tuple) or any(isinstance(v, list | tuple) for v in values):
        return values
    return np.fromiter(values, object, len(values))
