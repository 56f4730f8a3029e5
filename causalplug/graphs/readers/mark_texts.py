"""What labels, notes and names say: they may mean that a variable is hidden."""

from __future__ import annotations

import re

from causalplug.graphs.readers.mark_words import FILLERS, HIDDEN, NOT, OBSERVED, SELECTED

__all__ = ["is_suspect_name", "is_suspect_text", "mark_text", "words_of"]

_LONGEST_TEXT = 2000
_LONGEST = 200
_IN_BRACKETS = re.compile(r"[(\[{]([^()\[\]{}]*)[)\]}]")
_PARTS = re.compile(r"[:;,|\n\r]|\\[nlr]|<[^<>]*>|\s[-–—]+\s|[–—]")
_PLAINLY_HIDDEN = re.compile(
    r"\bun(?:observed|measured|recorded|observable|measurable)\b"
    r"|\b(?:not|never|non)[ -](?:observed|measured|recorded|observable|measurable)\b"
    r"|\b(?:latent|hidden)[ _-](?:variable|confounder|factor|cause|node|common)"
)
"""What hardly ever means anything else, in a sentence too; "latent heat" does."""


def is_suspect_text(value: object) -> bool:
    """Whether a text says that something is hidden, or selected on.

    It does if it, a part of it (``"genes: latent"``) or what it has in brackets
    (``"genes (latent)"``) says nothing else (``"Hidden"``), or if it says so plainly
    (``"an unmeasured genotype"``).
    """
    if not isinstance(value, str):
        return _says_hidden(value)
    text = value[:_LONGEST_TEXT].casefold()
    if _PLAINLY_HIDDEN.search(text):
        return True
    for inside in [*_IN_BRACKETS.findall(text), *_PARTS.split(text)]:
        if _says_hidden(inside):
            return True
    return _says_hidden(text)


def is_suspect_name(name: str) -> bool:
    """Whether a name of several words, or with a note in brackets, says that something is hidden.
    A single word may be a name (``latent``)."""
    return len(words_of(name)) > 1 and is_suspect_text(name)


def mark_text(value: object) -> str:
    """The text of a value, without quotes and case."""
    return str(value)[:_LONGEST].strip().strip("\"'").strip().casefold()


def words_of(value: object) -> list[str]:
    """The words of a text, or of the texts in a list."""
    if isinstance(value, list | tuple | set | frozenset):
        entries = value
    else:
        entries = [value]
    words = []
    for entry in entries:
        words.extend(re.findall(r"\w+", str(entry).casefold()))
    return words


def _says_hidden(value: object) -> bool:
    words = {word for word in words_of(value) if len(word) > 1}
    if words & NOT and words & OBSERVED:
        return words <= NOT | OBSERVED | FILLERS
    return bool(words & (HIDDEN | SELECTED)) and words <= HIDDEN | SELECTED | FILLERS
