"""The words, quotes, arrows and marks of DOT and dagitty texts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

from causalplug.errors import GraphError
from causalplug.wording import shortened

__all__ = ["DotTokens"]

_TOKEN = re.compile(
    r"""
      (?P<skip>\s+|//[^\n]*|\#[^\n]*)
    | (?P<comment>/\*)
    | (?P<quoted>"(?:[^"\\]|\\.)*"|'[^'\n]*')
    | (?P<edge><->|->|<-|--|@->|<-@|@-@|--@|@--)
    | (?P<mark>[{}\[\];,=:+])
    | (?P<html><(?:[^<>]|<[^<>]*>)*>)
    | (?P<name>(?:[^\W]|[.%])(?:[\w.%']|-(?![->@]))*|-?(?:\d+(?:\.\d*)?|\.\d+))
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r'\\(["\\\n])')


@dataclass
class DotTokens:
    """The tokens of a text and the place that has been reached; positions are kept for the
    messages."""

    text: str
    tokens: list[tuple[str, str, int]] = field(default_factory=list)
    at: int = 0

    def __post_init__(self) -> None:
        position = 0
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None:
                self.fail(f"unexpected {self.text[position]!r}", position)
            kind = str(match.lastgroup)
            if kind == "comment":
                end = self.text.find("*/", position + 2)
                if end < 0:
                    self.fail("the comment /* is not closed", position)
                position = end + 2
                continue
            if kind != "skip":
                self.tokens.append((kind, match.group(), position))
            position = match.end()

    def fail(self, problem: str, position: int | None = None) -> NoReturn:
        """Raise a GraphError with the line of ``position``, or of the next token."""
        if position is None:
            if self.at < len(self.tokens):
                position = self.tokens[self.at][2]
            else:
                position = len(self.text)
        line = self.text.count("\n", 0, position) + 1
        raise GraphError(
            f"the graph cannot be read: {problem} in line {line}; expected DOT or dagitty text"
        )

    @property
    def ended(self) -> bool:
        """Whether all tokens have been read."""
        return self.at >= len(self.tokens)

    def kind(self, ahead: int = 0) -> str:
        """The kind of a token; nothing after the end."""
        place = self.at + ahead
        if place < len(self.tokens):
            return self.tokens[place][0]
        return ""

    def peek(self, *marks: str, ahead: int = 0) -> bool:
        """Whether the token ``ahead`` is one of ``marks``, and not in quotes."""
        kind = self.kind(ahead)
        return kind not in ("", "quoted") and self.tokens[self.at + ahead][1] in marks

    def take(self, *marks: str) -> bool:
        """Go past the next token if it is one of ``marks``."""
        found = self.peek(*marks)
        self.at += found
        return found

    def same_line(self) -> bool:
        """Whether a name or a block follows the next token on its line."""
        if self.kind(1) not in ("name", "quoted") and not self.peek("{", ahead=1):
            return False
        here, there = self.tokens[self.at][2], self.tokens[self.at + 1][2]
        return "\n" not in self.text[here:there]

    def take_arrow(self) -> str:
        """The next token if it is an edge; nothing otherwise."""
        if self.kind() != "edge":
            return ""
        self.at += 1
        return self.tokens[self.at - 1][1]

    def word(self) -> str:
        """A name or a value, without its quotes; quoted parts may be joined by ``+``."""
        kind = self.kind()
        if kind not in ("name", "quoted", "html"):
            if self.ended:
                token = "the end"
            else:
                token = self.tokens[self.at][1]
            self.fail(f"{shortened(token, 40)!r} stands where a name was expected")
        token = self.tokens[self.at][1]
        self.at += 1
        if kind != "quoted":
            return token
        if token[0] == "'":
            return token[1:-1]
        parts = [token[1:-1]]
        while self.peek("+") and self.kind(1) == "quoted":
            parts.append(self.tokens[self.at + 1][1][1:-1])
            self.at += 2
        return _ESCAPED.sub(lambda escaped: escaped[1].replace("\n", ""), "".join(parts))
