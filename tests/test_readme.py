"""The README's code runs as it is written, in an empty folder, and prints what the README shows."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
TRUTH = 0.2 + 0.4 * 0.8 + 0.3 * 0.5
NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")


@pytest.fixture(scope="module")
def page():
    return README.read_text(encoding="utf-8")


def test_the_first_example_runs_in_an_empty_folder_and_prints_what_is_shown(
    page, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    first, more = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    shown = re.search(r"It prints\n\n```\n(.*?)```", page, re.DOTALL)[1]
    scope = {}
    exec(first, scope)
    printed = capsys.readouterr().out
    assert _without_numbers(printed) == _without_numbers(shown)
    told, found = _answer(shown), _answer(printed)
    assert found[0] == pytest.approx(told[0], abs=0.03)  # another version of torch may differ
    assert found[1] < TRUTH < found[2]
    assert abs(found[0] - TRUTH) < 0.05 < abs(scope["A"][scope["D"] == 1].mean() - TRUTH)
    exec(more, scope)
    assert "P(A" in capsys.readouterr().out  # the refusal names the question
    assert scope["cp"].from_pretrained("frontdoor").estimate("P(A | do(D=1))", 500).n == 500


def _without_numbers(text):
    """Words alone, so that times and last digits may differ."""
    return NUMBER.sub("#", text).split()


def _answer(text):
    """Estimate and ends of its interval."""
    line = text.split("effective_sample_size\n")[1].partition("\n")[0]
    return [float(part) for part in line.split()[:3]]


def test_every_page_that_the_readme_names_is_there(page):
    links = re.findall(r"\]\(([^):#]+)\)", page)
    assert len(links) > 15
    assert not [link for link in links if not (README.parent / link).exists()]
