"""The command as a process: what it loads, how fast it answers, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from causalplug.cli import app, main

LOADED = """
import sys
from causalplug.cli import main
code = main(sys.argv[1:])
heavy = {"torch", "pandas", "networkx", "matplotlib", "sklearn", "huggingface_hub", "numpy"}
heavy &= set(sys.modules)
print(f"LOADED {sorted(heavy)} {len(sys.modules)}", file=sys.stderr)
sys.exit(code)
"""


def process(home, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "causalplug", *arguments],
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@contextlib.contextmanager
def ended(child):
    """A process that does not outlive its test."""
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def step_of(state):
    """The step of a checkpoint; None where there is none, between two of them, or two modules."""
    try:
        return json.loads(state.read_text())["step"]
    except FileNotFoundError:
        return None


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--help"], set()),
        (["plan", "D -> I -> A; D <-> A", "--source", "run.toml:do=D"], set()),
        (["plan", "X -> Y; X <-> Y; X -> N", "--source", "run.toml", "--json"], set()),
        (["plan", "frontdoor.dot", "--md"], {"numpy", "networkx"}),
        (["identify", "D -> I -> A; D <-> A", "P(A | do(D=1))"], set()),
        (["identify", "X -> Y; X <-> Y", "P(Y | do(X=1))", "--suggest"], set()),
        (["info", "frontdoor"], {"numpy"}),
        (["train", "run.toml", "--dry-run"], {"numpy"}),
        (["plan", "--help"], set()),
        (["sample", "--help"], set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_needs_no_torch_loads_none_and_answers_at_once(home, arguments, allowed):
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    loaded, modules = re.search(r"LOADED \[(.*)\] (\S+)", done.stderr).groups()
    assert set(re.findall(r"\w+", loaded)) <= allowed
    assert int(modules) < 500  # torch brings over a thousand


def test_without_gradio_the_demo_is_refused_before_anything_is_loaded(home):
    absent = "import sys; sys.modules['gradio'] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", absent + LOADED, "demo", "frontdoor"],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "LOADED [] " in done.stderr
    assert "gradio is not installed; run `pip install causalplug[demo]`" in done.stderr


def test_whoever_stops_reading_gets_no_complaint(home):
    with process(home, "sample", "bow", "-n", "60000", "--batch-size", "6000") as child:
        assert child.stdout.readline() == "X,Y,N\n"
        child.stdout.close()
        assert child.wait(120) == 141
        assert child.stderr.read() == ""


def test_an_interruption_tells_of_the_checkpoint_and_no_bar_is_in_the_pipe(home):
    settings = ["--set", "steps=100000", "--set", "save_every=1", "--set", "objective=adversarial"]
    listens = partial(
        signal.signal, signal.SIGINT, signal.SIG_DFL
    )  # a suite in the background does not
    child = process(
        home, "train", "run.toml", *settings, start_new_session=True, preexec_fn=listens
    )
    state = home / "runs" / "a" / "checkpoint" / "state.json"
    with ended(child):
        deadline = time.monotonic() + 120
        while not step_of(state) and time.monotonic() < deadline:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=120)
    assert child.returncode == 130
    assert err == (
        "causalplug train: interrupted; the last checkpoint is in runs/a/checkpoint; go on with "
        "--resume\n"
    )
    step = step_of(state)
    assert step is None or step >= 1  # None between two modules


def test_an_interruption_at_any_other_time_is_a_line(monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("causalplug.planner.plan", stop)
    assert main(["plan", "A -> B"]) == 130
    assert capsys.readouterr().err == "causalplug plan: interrupted\n"


def test_a_bug_is_told_as_one_and_its_traceback_on_demand(monkeypatch, capsys):
    def broken(*_, **__):
        raise KeyError("a key that nobody\nasked for")

    monkeypatch.setattr("causalplug.planner.plan", broken)
    assert main(["plan", "A -> B"]) == 1
    line = capsys.readouterr().err
    assert line.startswith("causalplug plan: this is a bug in causalplug ")
    assert "KeyError" in line
    assert line.count("\n") == 1
    monkeypatch.setenv("CAUSALPLUG_DEBUG", "1")
    assert main(["plan", "A -> B"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            PermissionError(13, "Permission denied", "x.csv"),
            "causalplug plan: x.csv: Permission denied\n",
        ),
        (MemoryError(), "causalplug plan: memory is exhausted; ask for fewer rows"),
    ],
)
def test_what_the_machine_refuses_is_no_bug(monkeypatch, capsys, error, line):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr("causalplug.planner.plan", refuse)
    assert main(["plan", "A -> B"]) == 2
    assert capsys.readouterr().err.startswith(line)


def test_the_shell_completes_commands_and_options(home):
    def completed(words, place):
        asked = {
            "_CAUSALPLUG_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(place),
        }
        child = process(home, env={**os.environ, **asked})
        return child.communicate(timeout=60)[0]

    assert "plain,plan" in completed("causalplug pl", 1)
    assert "plain,--source" in completed("causalplug plan --so", 2)


def test_every_command_is_where_the_table_says():
    for name in app.COMMANDS:
        assert app.causalplug.get_command(None, name).name == name
