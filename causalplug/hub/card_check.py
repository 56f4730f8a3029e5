"""A check of cards: what the Hub and a reader need is there, and what must not be is not."""

from __future__ import annotations

__all__ = ["card_problems", "check_card"]

import re

from causalplug.errors import RepositoryError
from causalplug.hub.card import front_matter
from causalplug.selection import within

_SECTIONS = {
    "causalplug-dcm": [
        "Causal graph",
        "Assumptions",
        "How it was made",
        "Data",
        "How close it is to the data",
        "What it may be asked",
        "Parts and licences",
        "Intended use and limits",
        "How to load it",
    ],
    "causalplug-adapter": [
        "What it generates",
        "What it conditions on",
        "Origin and licence",
        "How good it is",
        "Intended use and limits",
        "How to load it",
    ],
    "causalplug-encoder": [
        "What it reads and gives",
        "Origin and licence",
        "How good it is",
        "Intended use and limits",
        "How to load it",
    ],
}
_RELATIONS = ("adapter", "finetune", "merge", "quantized")
_PRIVATE = {
    "a token": re.compile(r"\bhf_(?:oauth_)?[A-Za-z0-9]{20,}"),
    "a path of a computer": re.compile(r"(?:/home/|/Users/|/root/|[A-Z]:\\Users\\)\S*"),
    "a placeholder": re.compile(
        r"(?<!\\)\$\{?[a-z_]+\b\}?|\{\{.*?\}\}|\bTODO\b|\[More Information Needed\]"
    ),
}
_EDGE = re.compile(r"(v\d+) (?:-->|<-\.->) (v\d+)")


def check_card(card: str) -> None:
    """Raise unless a card has what the Hub and its readers need.

    Args:
        card: The text of a ``README.md``.

    Raises:
        RepositoryError: Lists all that is wrong.
    """
    if problems := card_problems(card):
        raise RepositoryError(
            f"cannot publish the card: {'; '.join(problems)}. Correct it, or render it anew"
        )


def card_problems(card: str) -> list[str]:
    """What is wrong with a card, in sentences; empty if nothing is.

    Checked are the metadata (library, licence, tags, lineage), the sections and their order, the
    graph, the tables, the Python code, and that no token, no path of a computer and no placeholder
    is left.
    """
    found = front_matter(card)
    if found is None:
        return ["it has no metadata between two lines --- at its head, or they are not YAML"]
    problems = _metadata_problems(found)
    kinds = within(_tags(found), _SECTIONS)
    if len(kinds) != 1:
        problems.append(f"its tags must name one of {', '.join(_SECTIONS)}")
    else:
        problems += _section_problems(card, _SECTIONS[kinds[0]])
        if kinds == ["causalplug-dcm"]:
            problems += _graph_problems(card)
    outside = re.sub(r"```.*?```", "", card, flags=re.DOTALL)
    problems += [
        f"it contains {what}: {match[0]!r}"
        for what, p in _PRIVATE.items()
        if (match := p.search(outside))
    ]
    return problems + _table_problems(card) + _code_problems(card)


def _tags(found: dict) -> list[str]:
    tags = found.get("tags")
    if isinstance(tags, list):
        return list(map(str, tags))
    return []


def _metadata_problems(found: dict) -> list[str]:
    problems = []
    if found.get("library_name") != "causalplug":
        problems.append("library_name is not causalplug")
    if not isinstance(found.get("license"), str):
        problems.append("license is missing")
    missing = []
    for tag in ("causalplug", "causal-inference"):
        if tag not in _tags(found):
            missing.append(f'the tag "{tag}" is missing')
    problems += missing
    bases = found.get("base_model")
    if bases is not None and found.get("base_model_relation") not in _RELATIONS:
        problems.append(f"base_model_relation is not one of {', '.join(_RELATIONS)}")
    for base in bases if isinstance(bases, list) else []:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(base)):
            problems.append(f"base_model {base!r} is not owner/name")
    return problems


def _section_problems(card: str, wanted: list[str]) -> list[str]:
    sections = re.findall(r"^## (.+?)\s*$", card, flags=re.MULTILINE)
    problems = [f'the section "{name}" is missing' for name in wanted if name not in sections]
    if not problems and within(sections, wanted) != wanted:
        problems.append("its sections are not in order, or one is there twice")
    for name, body in zip(
        sections, re.split(r"^## .+$", card, flags=re.MULTILINE)[1:], strict=True
    ):
        if not body.strip():
            problems.append(f'the section "{name}" is empty')
    if not re.search(r"^# \S", card, flags=re.MULTILINE):
        problems.append("it has no title")
    return problems


def _graph_problems(card: str) -> list[str]:
    match = re.search(r"```mermaid\nflowchart LR\n(.*?)\n```", card, flags=re.DOTALL)
    if match is None:
        return ["its graph is not drawn (a mermaid flowchart)"]
    nodes, problems = set(), []
    for line in match[1].splitlines():
        line = line.strip()
        if node := re.fullmatch(r'(v\d+)\["[^"\[\]]+"\]', line):
            nodes.add(node[1])
        elif edge := _EDGE.fullmatch(line):
            parts = []
            for end in edge.groups():
                if end not in nodes:
                    parts.append(f"its graph has an edge at {end}, no variable")
            problems += parts
        elif not line.startswith(("classDef ", "class ")):
            problems.append(f"its graph has a line that cannot be drawn: {line[:60]!r}")
    return problems


def _table_problems(card: str) -> list[str]:
    problems, width = [], 0
    for line in card.splitlines():
        cells = 0
        if line.startswith("|"):
            cells = len(re.split(r"(?<!\\)\|", line)) - 2
        if cells and width and cells != width:
            problems.append(f"a row of a table has {cells} cells instead of {width}: {line[:60]!r}")
        width = cells
    return problems


def _code_problems(card: str) -> list[str]:
    blocks = re.findall(r"```python\n(.*?)\n```", card, flags=re.DOTALL)
    if not any("from_pretrained(" in block for block in blocks):
        return ["it does not show how to load it"]
    problems = []
    for block in blocks:
        try:
            compile(block, "card", "exec")
        except SyntaxError as error:
            problems.append(
                f"its Python code is wrong: {error.msg} in {(error.text or '').strip()[:60]!r}"
            )
    return problems
