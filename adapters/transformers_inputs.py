"""How a frozen model of transformers is given what it reads: images as pixels, texts as tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from causalplug.adapters.transformers_files import OpenedModel
from causalplug.adapters.transformers_pixels import PixelStatistics
from causalplug.errors import MechanismError
from causalplug.selection import values_at
from causalplug.variables import Image, Text, Variable

__all__ = ["Reader", "TextReader", "by_length", "longest", "reader_of", "tokens_of"]

_LENGTH = 512  # bytes of a text, where nothing else is said
_SIDE = 32
_BATCH = 64

Pick = Callable[[Any], Tensor]
"""From what a model returns to one row of numbers for each row."""


class Reader(Protocol):
    """What a model reads, and how it is called with it.

    Attributes:
        name: Name of the condition.
    """

    @property
    def name(self) -> str: ...

    def default(self) -> Variable:
        """The declaration of what it reads, where none is given."""
        ...

    def check(self, kind: Variable, what: str) -> None:
        """Refuse what the model cannot read.

        Args:
            kind: The declaration of what is read.
            what: What it is, for the message.

        Raises:
            MechanismError: It cannot.
        """
        ...

    def run(self, model: object, value: Tensor, kind: Variable, pick: Pick) -> Tensor:
        """What ``pick`` takes of the model's answer on encoded values ``(n, …)``."""
        ...


def reader_of(opened: OpenedModel) -> Reader:
    """The reader of a model.

    Raises:
        MechanismError: It reads neither images nor texts, or its tokenizer is missing.
    """
    reads = opened.model.main_input_name
    towers = dict(opened.model.named_children())
    if reads == "pixel_values":
        return ImageReader(opened.statistics)
    if reads != "input_ids" or "vision_model" in towers:
        found = " and images" if "vision_model" in towers else ""
        raise MechanismError(
            f"The model in {opened.folder} cannot be used: it reads {reads}{found}, and a frozen "
            "mechanism reads one image or one text. Load one of its towers, or wrap it with "
            "causalplug.wrap."
        )
    if opened.tokenizer is None:
        raise MechanismError(
            f"The model in {opened.folder} cannot be used: it reads texts, and the folder holds no "
            "tokenizer. Save its tokenizer beside it (tokenizer.save_pretrained)."
        )
    return TextReader(opened.tokenizer)


class ImageReader:
    """Images, as the pixels that a vision model was trained on."""

    name = "image"

    def __init__(self, statistics: PixelStatistics):
        self.statistics = statistics

    def default(self) -> Variable:
        height, width = self.statistics.size or (_SIDE, _SIDE)
        return Image(self.statistics.channels, height, width)

    def check(self, kind: Variable, what: str) -> None:
        """Refuse images of other channels."""
        self.statistics.check_channels(kind.event_shape[0], what)

    def run(self, model: Any, value: Tensor, kind: Variable, pick: Pick) -> Tensor:
        pixels = self.statistics.pixels(value, kind.low, kind.high)
        weights = next(model.parameters())
        return pick(model(pixel_values=pixels.to(weights.dtype))).float()


class TextReader:
    """Texts, as tokens.

    Every different text is read once, in batches of equal length, so that no row is padded and
    none depends on the others.
    """

    name = "text"

    def __init__(self, tokenizer: object):
        self.tokenizer = tokenizer

    def default(self) -> Variable:
        return Text(_LENGTH)

    def check(self, kind: Variable, what: str) -> None:
        """Every text can be read; its length is known when it is."""

    def run(self, model: Any, value: Tensor, kind: Variable, pick: Pick) -> Tensor:
        texts = kind.decode(value.long()).tolist()
        different = list(dict.fromkeys(texts))
        tokens = tokens_of(self.tokenizer, different, model.config)
        alone = model.config.pad_token_id is None  # some heads then find no last token in a batch
        device = next(model.parameters()).device
        found: dict[str, Tensor] = {}
        for places, ids in by_length(tokens, 1 if alone else _BATCH):
            ids = ids.to(device)
            rows = pick(model(input_ids=ids, attention_mask=torch.ones_like(ids))).float()
            found |= dict(zip(values_at(different, places), rows, strict=True))
        return torch.stack(values_at(found, texts)).to(value.device)


def tokens_of(
    tokenizer: Any, texts: Sequence[str], config: object, *, room: int = 0
) -> list[list[int]]:
    """Tokens of each text.

    Args:
        tokenizer, texts: The tokenizer, and what it splits.
        config: Configuration of the model.
        room: Tokens that the model has to have room for beside them.

    Raises:
        MechanismError: A text without tokens, or with more than the model reads.
    """
    found: list[list[int]] = list(map(list, tokenizer(list(texts))["input_ids"]))
    most = longest(tokenizer, config) - room
    beside = ""
    if room:
        beside = f" beside the {room} that it may write (max_new_tokens)"
    for text, ids in zip(texts, found, strict=True):
        if len(ids) > most:
            raise MechanismError(
                f"A text of {len(ids)} tokens cannot be read: the model reads at most "
                f"{max(most, 0)}{beside} ({text[:40]!r}…). Shorten the texts, or take a model of "
                "longer ones."
            )
        if not ids and tokenizer.bos_token_id is None:
            raise MechanismError(
                "An empty text cannot be read by this model: its tokenizer gives it no token. "
                "Replace empty texts by a word that says so."
            )
        if not ids:
            ids.append(tokenizer.bos_token_id)
    return found


def longest(tokenizer: Any, config: Any) -> int:
    """Most tokens that a model reads."""
    known = config.to_dict()
    sizes = [known.get("max_position_embeddings"), known.get("n_positions")]
    return min([int(tokenizer.model_max_length), *[int(size) for size in sizes if size]])


def by_length(tokens: Sequence[Sequence[int]], batch: int) -> Iterator[tuple[list[int], Tensor]]:
    """Rows of equal length, in batches: their places, and their tokens ``(rows, length)``."""
    groups: dict[int, list[int]] = {}
    for place, ids in enumerate(tokens):
        groups.setdefault(len(ids), []).append(place)
    for places in groups.values():
        for start in range(0, len(places), batch):
            some = places[start : start + batch]
            yield some, torch.tensor([list(tokens[place]) for place in some])
