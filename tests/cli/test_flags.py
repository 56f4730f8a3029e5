"""Every option of every command with values that it cannot have: an error that is understood, and
never a trace or a fault of the program's own."""

from __future__ import annotations

import contextlib
import io
import os
import random
from pathlib import Path

import click
import pytest

import causalplug as cp
from causalplug.cli import main
from causalplug.cli.app import causalplug

WRONG = [
    "",
    " ",
    "-",
    "-1",
    "nan",
    "inf",
    "1e400",
    "9" * 21,
    "a=b",
    "=",
    "a=",
    "=b",
    ",",
    "1..",
    "..",
    "X=1=2",
    "/nonexistent/x",
    "/dev/null",
    "{}",
    "[]",
    '"',
    "P(Y",
    "X->Y",
    "a/b@c",
]
GRAPH, BOW, QUERY = "X -> Y", "X -> Y; X <-> Y", "P(Y=1 | do(X=1))"
COMMANDS = {
    "plan": [GRAPH],
    "identify": [BOW, QUERY],
    "bounds": [BOW, QUERY, "--data", "rows.csv"],
    "check-graph": [GRAPH, "--data", "rows.csv"],
    "train": ["run.toml", "--dry-run"],
    "sample": ["model", "-n", "2"],
    "estimate": ["model", QUERY, "-n", "20"],
    "counterfactual": ["model", "--do", "X=0", "--evidence", "X=1", "-n", "2"],
    "check-fit": ["model"],
    "info": ["model"],
    "card": ["model"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flags")
    (folder / "rows.csv").write_text("X,Y\n" + "0,0\n0,1\n1,1\n1,1\n1,0\n0,0\n" * 10)
    (folder / "run.toml").write_text(
        'graph = "X -> Y"\noutput_dir = "run"\n[[sources]]\nfile = "rows.csv"\n'
        "[variables]\nX = 2\nY = 2\n"
    )
    dcm = cp.DCM(cp.CausalGraph.parse(GRAPH), {"X": cp.Discrete(2), "Y": cp.Discrete(2)})
    dcm.save_pretrained(folder / "model")
    return folder


def options(command: str) -> list[str]:
    context = click.Context(causalplug)
    found = causalplug.get_command(context, command)
    assert found is not None
    taken = [p for p in found.params if isinstance(p, click.Option) and not p.is_flag]
    return [option.opts[-1] for option in taken]


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_values_of_options(
    command: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three values of each option drawn by a seed; all of them if CAUSALPLUG_EXHAUSTIVE is set."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(place)
    drawn = random.Random(command)
    for option in options(command):
        values = WRONG if os.environ.get("CAUSALPLUG_EXHAUSTIVE") else drawn.sample(WRONG, 3)
        for value in values:
            if option in ("--out", "--output-dir", "--png"):
                value = str(tmp_path / "file" / value.replace("/", "")) + ".png"
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                code = main([command, *COMMANDS[command], option, value])
            text = said.getvalue()
            assert code in (0, 2), (option, value, text)
            assert "Traceback" not in text
            assert "bug in causalplug" not in text
