"""Every command of ``docs/cli.md`` and ``cli_mistakes.md`` prints what is shown; bad ones a line,
exit code 2."""

import re
import shlex
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
GOOD = (DOCS / "cli.md").read_text(encoding="utf-8")
BAD = (DOCS / "cli_mistakes.md").read_text(encoding="utf-8")


def commands(text: str):
    """Pairs of a command and what the page shows below it."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            found.append((command, shown.rstrip("\n")))
    return found


@pytest.mark.parametrize(
    ("command", "shown"), commands(GOOD), ids=lambda value: value[:70].partition("\n")[0]
)
def test_a_good_command_prints_what_the_page_shows(shell, command, shown):
    code, out, err = shell(command)
    assert (code, err) == (0, "")
    pattern = re.escape(shown).replace("…", r"\S*")
    assert re.fullmatch(pattern, out.rstrip("\n")), out


def test_the_page_shows_at_least_thirty_mistakes():
    assert len({command for command, _ in commands(BAD)}) >= 30


@pytest.mark.parametrize(("command", "line"), commands(BAD), ids=lambda value: value[:70])
def test_a_bad_command_prints_one_line_and_does_nothing(shell, home, command, line):
    before = sorted(home.rglob("*"))
    code, out, err = shell(command)
    assert (code, out) == (2, "")
    assert err == line + "\n"
    assert "\n" not in line
    assert (
        line.startswith(f"causalplug {shlex.split(command)[1]}: ") or command == "causalplug plam"
    )
    assert sorted(home.rglob("*")) == before
