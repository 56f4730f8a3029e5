"""How long pages and sentences are: code, tables and marks of Markdown are not counted as
sentences."""

from __future__ import annotations

import re

__all__ = ["sentence_lengths", "sentences", "words"]

_FENCE = re.compile(r"^(`{3,}).*?^\1[ ]*$", re.DOTALL | re.MULTILINE)
_ABBREVIATED = re.compile(r"\b(e\.g|i\.e|etc|vs|cf|al|approx|no|fig|eq)\.", re.IGNORECASE)
_END = re.compile(r"(?<=[.!?])[\"')\]*_]*\s+")


def without_code(text: str) -> str:
    """The page without fenced blocks."""
    return _FENCE.sub("\n\n", text)


def words(text: str) -> int:
    """Words of a page, those in tables included, code not."""
    return len(re.findall(r"\b[\w'’-]+\b", without_code(text)))


def sentences(text: str) -> list[str]:
    """The sentences of the running text and of lists."""
    found = []
    for block in re.split(r"\n\s*\n", without_code(text)):
        lines = [
            line for line in block.splitlines() if not line.lstrip().startswith(("|", "#", "!"))
        ]
        items = re.split(r"\n(?=\s*(?:[-*]|\d+\.)\s)", "\n".join(lines))
        for item in items:
            found += _split(item)
    return [sentence for sentence in found if len(sentence.split()) > 2]


def _split(item: str) -> list[str]:
    plain = re.sub(r"`[^`]*`", "code", item)
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", plain)
    plain = _ABBREVIATED.sub(r"\1", plain)
    return [part.strip() for part in _END.split(" ".join(plain.split())) if part.strip()]


def sentence_lengths(text: str) -> list[int]:
    """Words of every sentence."""
    return [len(sentence.split()) for sentence in sentences(text)]
