"""Pages for users are short, their sentences too, and the table of settings is complete."""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
from pathlib import Path

import pytest

import causalplug as cp
from causalplug.sampling.options import SamplingOptions

sys.path.insert(0, str(Path(__file__).parent))
from prose import sentence_lengths, sentences, words

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
LONGEST = 1800
"""Words on a page for users."""
FOR_DEVELOPERS = {"hub_format.md", "writing_adapters.md"}


def test_sentences_are_counted_without_code_and_tables():
    text = "# A title\n\nOne two `a b c` four. Five [six seven](x.md) eight!\n\n| a | b |\n\n"
    text += "```py\nx\n```\n"
    assert sentences(text) == ["One two code four.", "Five six seven eight!"]
    assert sentence_lengths(text) == [4, 4]
    assert words("a `b` c\n\n```\nd e\n```\n| f |") == 4


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_short_and_so_are_its_sentences(name):
    text = (DOCS / name).read_text(encoding="utf-8")
    assert words(text) <= LONGEST or name in FOR_DEVELOPERS
    lengths = sentence_lengths(text)
    assert sum(lengths) <= 20 * max(len(lengths), 1)


@pytest.mark.parametrize(
    ("heading", "declared"), [("Training", cp.TrainingConfig), ("Questions", SamplingOptions)]
)
def test_the_table_of_settings_has_all_of_them(heading, declared):
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    part = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", part, re.MULTILINE))
    defaults = {field.name: field.default for field in dataclasses.fields(declared)}
    assert {name: ast.literal_eval(text) for name, text in told.items()} == defaults
