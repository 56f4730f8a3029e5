"""The text form of a causal graph: ``"D -> I -> A; D <-> A"``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from causalplug.errors import GraphError
from causalplug.wording import shortened

__all__ = ["parse_graph", "quoted", "unquoted"]

_MOST_EDGES = 2_000_000

Edges = list[tuple[str, str]]

_TOKEN = re.compile(
    r"""
      (?P<comment>(?:\#|//)[^\n]*)
    | (?P<quoted>"(?:[^"\\]|\\.)*"|'[^'\n]*'(?![\w']))
    | (?P<arrow><->|<-->|-->|<--|->|<-|↔|→|←)
    | (?P<refused>--|-(?!\w))
    | (?P<end>[;\n])
    | (?P<comma>,)
    | (?P<name>[\w.](?:[\w.':]|-(?=\w))*)
    | (?P<space>[^\S\n]+)
    """,
    re.VERBOSE,
)
_KIND = {"->": "->", "-->": "->", "→": "->", "<-": "<-", "<--": "<-", "←": "<-"}
_ADVICE = {
    "[": "; attributes belong into DOT (digraph { … }) or dagitty (dag { … }), and latents= "
    "names hidden variables",
    "(": "; name hidden variables in latents=, put names with brackets into quotes, and give the "
    "text of R code alone, as dag { … }",
    "{": "; several variables are separated by commas, as in U -> X, Y",
    "~": "; formulas are lavaan's: format='lavaan'",
}
_PLAIN = re.compile(r"[\w.](?:[\w.':]|-(?=\w))*\Z")


def quoted(name: str) -> str:
    """``name`` as the parser reads it back: bare if it can be, in double quotes otherwise."""
    if _PLAIN.match(name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquoted(token: str) -> str:
    """The name in a token in quotes of either kind."""
    inner = token[1:-1]
    if token[0] == '"':
        return re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL)
    return inner


def parse_graph(text: str) -> tuple[list[str], Edges, Edges]:
    """Names in order of appearance, directed edges and bidirected edges of ``text``.

    Statements end at ``;`` or at the end of a line. A statement is a chain ``A -> B <- C <-> D`` of
    names or of comma groups (``A, B -> C`` is two edges); a name alone declares an isolated
    variable. Names with other characters than letters, digits and ``_ . ' -`` go into
    quotes, double or single; ``#`` and ``//`` start a comment.

    Raises:
        GraphError: With the line and column of what cannot be read, and why for undirected and
            circle edges.
    """
    names: dict[str, None] = {}
    directed: Edges = []
    bidirected: Edges = []
    for statement in _statements(text):
        groups, arrows = _chain(statement, text)
        for group in groups:
            names.update(dict.fromkeys(group))
        for left, arrow, right in zip(groups, arrows, groups[1:], strict=False):
            _check_size(len(directed) + len(bidirected) + len(left) * len(right))
            pairs = [(a, b) for a in left for b in right]
            kind = _KIND.get(arrow)
            if kind is None:
                bidirected += pairs
            else:
                if kind == "->":
                    directed += pairs
                else:
                    directed += [(b, a) for a, b in pairs]
    return list(names), directed, bidirected


def _check_size(edges: int) -> None:
    if edges > _MOST_EDGES:
        raise GraphError(
            f"the graph cannot be read: it has more than {_MOST_EDGES:,} edges; leave out what the "
            "question does not need"
        )


Token = tuple[str, str, int]


def _is_complete(statement: list[Token], end: str) -> bool:
    """Whether a statement ends here: a line that ends in an arrow or a comma goes on in the next
    one."""
    return bool(statement) and (end == ";" or statement[-1][0] not in ("arrow", "comma"))


def _statements(text: str) -> Iterable[list[Token]]:
    statement: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise GraphError(
                f"the graph cannot be read: unexpected {text[position]!r} {_where(text, position)}"
                f"{_ADVICE.get(text[position], '')}"
            )
        kind, token = match.lastgroup or "", match.group()
        if kind == "refused":
            raise GraphError(
                f"the graph cannot be read: {token!r} {_where(text, position)} is an undirected "
                "edge, and a causal graph has only -> and <->; choose a direction, or write <-> "
                "for a hidden common cause"
            )
        if kind == "end":
            if _is_complete(statement, token):
                yield statement
                statement = []
        elif kind not in ("space", "comment"):
            statement.append((kind, token, position))
        position = match.end()
    if statement:
        yield statement


def _unexpected(token: str, where: str, wants_name: bool) -> GraphError:
    wanted = "a variable" if wants_name else "an arrow, a comma or the end of the statement"
    return GraphError(
        f"the graph cannot be read: {shortened(token)!r} {where} stands where {wanted} was "
        'expected; write chains such as "A -> B; A <-> B" and put names with spaces into double '
        "quotes"
    )


def _chain(statement: list[Token], text: str) -> tuple[list[list[str]], list[str]]:
    groups: list[list[str]] = [[]]
    arrows: list[str] = []
    wants_name = True
    before = ""
    for kind, token, position in statement:
        is_name = kind in ("name", "quoted")
        if is_name and not wants_name and {before, token} & {"o", "o-o"}:
            raise GraphError(
                f"the graph cannot be read: the edge {_where(text, position)} has a circle, as in "
                "a PAG, and a causal graph has only -> and <->; choose a direction, or write <-> "
                "for a hidden common cause"
            )
        if is_name != wants_name:
            raise _unexpected(token, _where(text, position), wants_name)
        if is_name:
            groups[-1].append(token if kind == "name" else unquoted(token))
        elif kind == "arrow":
            arrows.append(token)
            groups.append([])
        wants_name, before = not is_name, token
    if wants_name:
        _, token, position = statement[-1]
        raise GraphError(
            f"the graph cannot be read: no variable follows {shortened(token)!r} "
            f"{_where(text, position)}"
        )
    return groups, arrows


def _where(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"at line {line}, column {position - text.rfind(chr(10), 0, position)}"
