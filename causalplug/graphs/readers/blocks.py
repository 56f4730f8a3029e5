"""Texts of blocks, ``header { body }``, as BIF and Hugin's NET write networks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from causalplug.errors import GraphError
from causalplug.wording import shortened

__all__ = ["Block", "blocks", "quoted_or_raw", "scope"]

_BIF = re.compile(r'(?P<line>(?<![^\s;{}])//)|(?P<block>/\*)|(?P<quote>")|(?P<mark>[{}])')
_NET = re.compile(r'(?P<line>%)|(?P<quote>")|(?P<mark>[{}])')
_MOST_WORDS = 20
_SEGMENT = re.compile(r'"[^"]*"|[^",|]+|[,|]')


class Block(NamedTuple):
    """The text before a ``{``, the text up to the matching ``}``, and the line of the header."""

    header: str
    body: str
    line: int


def blocks(text: str, *, percent: bool = False) -> Iterator[Block]:
    """The outer blocks of a text, without comments.

    Args:
        text: The text.
        percent: Whether comments start with ``%``, as in NET; BIF has those of C.

    Raises:
        GraphError: A quote, a comment or a block that is not closed, text after the last block.
    """
    pattern = _BIF
    if percent:
        pattern = _NET
    parts: list[str] = []
    header, depth, position, start = "", 0, 0, 0
    while match := pattern.search(text, position):
        parts.append(text[position : match.start()])
        kind, position = match.lastgroup, match.end()
        if kind != "mark":
            position = _closing(text, match)
            parts.append(text[match.start() : position] if kind == "quote" else " ")
            continue
        if match.group() == "{":
            depth += 1
        else:
            depth += -1
        if depth < 0:
            raise _broken("a '}' without a '{'", text, match.start())
        if match.group() == "{" and depth == 1:
            header, parts, start = "".join(parts).strip(" \t\r\n;"), [], match.start()
        elif depth:
            parts.append(match.group())
        else:
            yield Block(header, "".join(parts), text.count("\n", 0, start) + 1 if header else 1)
            parts = []
    rest = ("".join(parts) + text[position:]).strip(" \t\r\n;")
    if depth:
        raise _broken("a '}' is missing for the '{'", text, start)
    if rest:
        raise GraphError(
            f"the network cannot be read: {shortened(rest)!r} stands at its end, outside a block"
        )


def quoted_or_raw(text: str) -> str:
    """A name, without its quotes; blanks inside a bare name belong to it."""
    text = text.strip()
    inner = text[1:-1]
    if text[:1] == text[-1:] == '"' and '"' not in inner and inner:
        return inner
    return text


def scope(text: str, known: dict[str, None]) -> tuple[list[str], list[str]]:
    """The variables before and after the bar of ``child | parent, parent``.

    Commas and the bar are optional (BIF 0.15). Names without quotes may hold blanks: a part
    between separators is a name if it was declared as one, or a row of declared names otherwise.

    Raises:
        GraphError: A part can be read as several rows of declared names.
    """
    sides: list[list[str]] = [[]]
    blanks = max((name.count(" ") for name in known), default=0)
    longest = min(blanks + 1, _MOST_WORDS)
    for segment in _SEGMENT.findall(text):
        if segment == "|":
            sides.append([])
        elif segment.startswith('"'):
            sides[-1].append(segment[1:-1])
        elif segment != "," and segment.strip():
            sides[-1] += _names_in(segment.strip(), known, longest)
    if len(sides) > 2:
        raise GraphError(
            f"the network cannot be read: {shortened(text)!r} has more than one '|'; write child | "
            "parent, parent"
        )
    child, given = sides[0], sides[1] if len(sides) > 1 else []
    if len(sides) > 1:
        return (child, given)
    return (child[:1], child[1:])


def _names_in(segment: str, known: dict[str, None], longest: int) -> list[str]:
    if segment in known:
        return [segment]
    words = segment.split()
    if longest == 1:
        return words
    # ways[i]: in how many ways the first i words are names; last[i]: the words of the last one.
    ways, last = [1] + [0] * len(words), [0] * (len(words) + 1)
    for end in range(1, len(words) + 1):
        for size in range(1, min(longest, end) + 1):
            if ways[end - size] and " ".join(words[end - size : end]) in known:
                ways[end] = min(2, ways[end] + ways[end - size])
                last[end] = size
    if ways[-1] > 1:
        raise GraphError(
            f"the network cannot be read: {shortened(segment)!r} can be read as several rows of "
            "variables; separate them by commas, or put them into quotes"
        )
    if not ways[-1]:
        if " " in segment and len(words) <= longest:
            return [segment]
        return words
    found: list[str] = []
    end = len(words)
    while end:
        found.append(" ".join(words[end - last[end] : end]))
        end -= last[end]
    return found[::-1]


def _closing(text: str, match: re.Match[str]) -> int:
    sign = {"line": "\n", "block": "*/", "quote": '"'}[str(match.lastgroup)]
    end = text.find(sign, match.end())
    if end < 0 and sign != "\n":
        what = "comment"
        if sign == '"':
            what = "quote"
        raise _broken(f"a {what} that is not closed", text, match.start())
    if end < 0:
        return len(text)
    return end + (0 if sign == "\n" else len(sign))


def _broken(what: str, text: str, position: int) -> GraphError:
    line = text.count("\n", 0, position) + 1
    return GraphError(f"the network cannot be read: {what} in line {line}")
