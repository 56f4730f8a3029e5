"""Pieces of Markdown that cards are put together from. Text from elsewhere is escaped, so that
it stays text."""

from __future__ import annotations

__all__ = ["bullets", "code", "literal", "mermaid", "number", "picture", "table", "text"]

import json
import re
import urllib.parse
from collections.abc import Collection, Iterable, Mapping, Sequence

from causalplug.selection import values_at

_SPECIAL = re.compile(r"([\\`*\[\]<>|$])")


def text(value: object) -> str:
    """One line of plain text, with what Markdown or HTML would interpret escaped."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def number(value: float | None, digits: int = 3) -> str:
    """A measured number with so many decimals; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}"


def bullets(items: Iterable[object], otherwise: str) -> str:
    """A list, or a sentence that says that there is nothing to list."""
    return "\n".join(f"- {text(item)}" for item in items) or otherwise


def table(head: Sequence[str], rows: Iterable[Sequence[object]], otherwise: str) -> str:
    """A table, or a sentence that says that there is nothing to tell. Cells that are all dashes
    lose their column."""
    cells = []
    for row in rows:
        cells.append([text(cell) if cell not in (None, "") else "–" for cell in row])
    if not cells:
        return otherwise
    kept = []
    for i in range(len(head)):
        if any(row[i] != "–" for row in cells):
            kept.append(i)
    lines = [
        values_at(head, kept),
        ["---"] * len(kept),
        *[values_at(row, kept) for row in cells],
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def literal(value: object) -> str:
    """A value as Python code, text in double quotes."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{literal(key)}: {literal(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)


def picture(caption: str, name: str) -> str:
    """A picture of the repository with its caption."""
    return f"![{text(caption)}](<{urllib.parse.quote(name)}>)"


def code(lines: Sequence[str]) -> str:
    """A block of Python."""
    return "\n".join(["```python", *lines, "```"])


def mermaid(
    variables: Iterable[str],
    directed: Iterable[Sequence[str]],
    bidirected: Iterable[Sequence[str]],
    pulled: Collection[str] = (),
) -> str:
    """The graph as the Hub draws it: arrows, dotted double arrows for confounders, dashed boxes
    for what is pulled."""
    ids: Mapping[str, str] = {name: f"v{number}" for number, name in enumerate(variables)}
    lines = ["flowchart LR", *(f'    {ids[name]}["{_label(name)}"]' for name in ids)]
    lines += [f"    {ids[a]} --> {ids[b]}" for a, b in directed]
    lines += [f"    {ids[a]} <-.-> {ids[b]}" for a, b in bidirected]
    if dashed := [ids[name] for name in ids if name in pulled]:
        lines += [
            "    classDef pulled stroke-dasharray: 5 4",
            f"    class {','.join(dashed)} pulled",
        ]
    return "\n".join(["```mermaid", *lines, "```"])


def _label(name: str) -> str:
    safe = "".join(
        c if c.isalnum() or c in " _.-+()" else f"#{ord(c)};" for c in " ".join(name.split())
    )
    return safe or "#8203;"
