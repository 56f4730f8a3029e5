"""The reader's table of results says what the recipes' own pages say."""

import re
from pathlib import Path

import pytest

from recipes.figures import FIGURES

HOME = Path(__file__).parents[2]
PAGE = HOME / "docs" / "results.md"
_NUMBER = re.compile(r"(?<![\d.])-?\.\d{2,4}\b")
_COMMAND = re.compile(r"`(\w+)\.\w+[^`]*`\s*$")


def rows():
    """Of every row of a table that ends with a command: the recipe, and the cells."""
    found, recipe = [], None
    for line in PAGE.read_text().splitlines():
        if not line.startswith("|"):
            continue
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        command = _COMMAND.search(cells[-1])
        if command:
            recipe = command[1]
        elif cells[-1] != "the same":
            continue
        found.append((recipe, cells[:-1]))
    return found


def shown(number, texts):
    """Whether a number stands on one of the pages, there perhaps with more digits."""
    digits = len(number.rpartition(".")[2])
    for other in texts:
        if len(other) >= len(number) and abs(float(other) - float(number)) <= 0.51 * 10**-digits:
            return True
    return False


def test_a_number_is_found_with_its_digits_or_more():
    assert shown(".01", [".0123"])
    assert not shown(".012", [".01"])
    assert not shown(".012", [".0131"])


@pytest.mark.parametrize(("recipe", "cells"), rows(), ids=lambda value: str(value)[:40])
def test_every_distance_stands_on_the_page_of_its_recipe(recipe, cells):
    page = HOME / "recipes" / recipe / "README.md"
    known = _NUMBER.findall(page.read_text())
    missing = []
    for cell in cells:
        missing += [number for number in _NUMBER.findall(cell) if not shown(number, known)]
    assert not missing, f"docs/results.md has {missing} of {recipe}, its README has not"


def test_every_command_is_among_the_figures():
    """``make figures`` runs all that the page says it runs."""
    run = {figure.script for figure in FIGURES}
    text = PAGE.read_text()
    named = set(re.findall(r"\| `(\w+\.\w+)[^`|]*`(?:, or [^|]*)? \|$", text, re.MULTILINE))
    assert len(named) > 10
    assert named <= run
