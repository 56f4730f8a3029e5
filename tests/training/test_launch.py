"""Training started as a user starts it: the commands of docs/training_runs.md, on CPUs.

A start costs three seconds of CPU for every process and every launcher; what can be tested in
forked children is in ``test_processes.py``.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

import pytest
from safetensors.torch import load_file

from tests.training.forks import ROOT, free_port
from tests.training.test_processes import RUN, same, weights

EXHAUSTIVE = pytest.mark.skipif(
    "CAUSALPLUG_EXHAUSTIVE" not in os.environ, reason="CAUSALPLUG_EXHAUSTIVE is not set"
)
PROGRAMS = {
    ("accelerate", "launch"): "accelerate.commands.launch",
    ("torchrun",): "torch.distributed.run",
}
SCRIPT = """
import json
import sys
from pathlib import Path

from tests.training import work

work.run(Path(sys.argv[1]), **json.loads(sys.argv[2]))
"""
SECONDS = 120  # a launcher that takes longer hangs


def command(start):
    """The documented command that starts so, as a list of words."""
    page = (ROOT / "docs" / "training_runs.md").read_text(encoding="utf-8")
    section = re.search(r"## Several processes.*?\n## ", page, re.DOTALL)[0]
    blocks = "".join(re.findall(r"```bash\n(.*?)```", section, re.DOTALL)).replace("\\\n", " ")
    words = [shlex.split(line, comments=True) for line in blocks.splitlines()]
    (found,) = [line for line in words if " ".join(line).startswith(start)]
    return found


class Launched:
    """Launchers at work, as the documentation has them, in one folder; all of it is killed at the
    end.

    Args:
        folder: of the script, and of the run.
        words: a command that ends with the script.
        machines: on which it is given, by rank, all of them this one.
        extra: further options of the launcher.
        arguments: of the run.
    """

    def __init__(self, folder, words, *, machines=1, extra=(), **arguments):
        (folder / "train.py").write_text(SCRIPT)
        assert words[-1] == "train.py"
        changed = {"10.0.0.1": "127.0.0.1", "29500": str(free_port())}
        words = [changed.get(word, word) for word in words]
        env = os.environ | {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            "GLOO_SOCKET_IFNAME": "lo",
        }
        self.started = []
        program = next(name for name in PROGRAMS if tuple(words[: len(name)]) == name)
        for rank in range(machines):
            here = [
                str(rank) if words[k - 1] == "--machine_rank" else word
                for k, word in enumerate(words)
            ]
            line = [
                sys.executable,
                "-m",
                PROGRAMS[program],
                *here[len(program) : -1],
                *extra,
                "train.py",
                "run",
            ]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
            line.append(json.dumps(arguments))
            self.started.append(
                subprocess.Popen(line, cwd=folder, env=env, start_new_session=True, **pipes)
            )

    def ended(self):
        """Exit status and output of every launcher."""
        try:
            told = [process.communicate(timeout=SECONDS)[0] for process in self.started]
            return [
                (process.returncode, text) for process, text in zip(self.started, told, strict=True)
            ]
        finally:
            for process in self.started:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


TWO_MACHINES = "accelerate launch --multi_gpu --num_processes 2 --num_machines 2 --machine_rank 0"


def test_accelerate_starts_the_processes_and_half_precision(forks, tmp_path):
    words = command("accelerate launch --multi_gpu --num_processes 2 train.py")
    extra = ["--mixed_precision", "bf16", "--main_process_port", "0"]
    for status, told in Launched(tmp_path, words, extra=extra, steps=3).ended():
        assert status == 0, told
    for rank, precision in enumerate(("bf16", "no")):
        for status, told in forks.together(RUN, tmp_path / precision, precision=precision, steps=3):
            assert status == 0, told
        assert same(weights(tmp_path / "run", rank), weights(tmp_path / precision)) == (
            precision == "bf16"
        )
    assert {value.dtype.itemsize for value in weights(tmp_path / "run").values()} == {4}


def test_a_machine_that_is_killed_stops_the_other_and_both_can_go_on(forks, tmp_path):
    """The launchers of both machines end by themselves; what they left behind is gone on with to
    the same bits."""
    launched = Launched(
        tmp_path, command(TWO_MACHINES), machines=2, steps=6, fault=["kill_in_step", 30, 1]
    )
    (first, told), (second, killed) = launched.ended()
    assert "another process has ended or does not answer" in told
    assert "SIGKILL" in killed
    assert first != 0 != second
    assert (
        "The last checkpoint is in run/checkpoint; continue with resume_from_checkpoint=True"
        in told
    )
    state = json.loads((tmp_path / "run" / "checkpoint" / "state.json").read_text())
    assert state["step"] > 0
    for status, told in forks.together(RUN, tmp_path / "run", machines=2, resume=True, steps=6):
        assert status == 0, told
    for status, told in forks.together(RUN, tmp_path / "whole", steps=6):
        assert status == 0, told
    for rank in range(2):
        assert same(weights(tmp_path / "run", rank), weights(tmp_path / "whole"))


@EXHAUSTIVE
@pytest.mark.parametrize("program", ["torchrun", "mpirun"])
def test_other_programs_start_the_processes(forks, tmp_path, program):
    if program == "mpirun" and shutil.which("mpirun") is None:
        pytest.skip("mpirun is not installed")
    (tmp_path / "hosts").write_text("127.0.0.1\n")
    words = command("torchrun" if program == "torchrun" else "accelerate launch --cpu")
    for status, told in Launched(tmp_path, words).ended():
        assert status == 0, told
    for status, told in forks.together(RUN, tmp_path / "forked"):
        assert status == 0, told
    for rank in range(2):
        assert same(weights(tmp_path / "run", rank), weights(tmp_path / "forked"))


@EXHAUSTIVE
@pytest.mark.parametrize(
    "apart", [{}, {"processes": "modules", "wide": True}], ids=["batches", "modules"]
)
@pytest.mark.parametrize("each", [1, 2])
def test_two_machines_make_what_one_makes_and_go_on_after_a_kill(forks, tmp_path, each, apart):
    """Whole, and killed and started again by the same line, with a process or two on each of two
    machines."""
    words = command(TWO_MACHINES)
    words[words.index("--num_processes") + 1] = str(2 * each)
    folders = {name: tmp_path / name for name in ("whole", "killed")}
    for folder in folders.values():
        folder.mkdir()
    for status, told in Launched(folders["whole"], words, machines=2, **apart).ended():
        assert status == 0, told
    fault = ["kill_in_step", 60, each]
    assert all(
        status
        for status, _ in Launched(
            folders["killed"], words, machines=2, fault=fault, **apart
        ).ended()
    )
    for status, told in Launched(
        folders["killed"], words, machines=2, resume=True, **apart
    ).ended():
        assert status == 0, told
    if apart:
        status, told = forks.run(RUN, tmp_path / "one", wide=True)
        assert status == 0, told
    else:
        for status, told in forks.together(RUN, tmp_path / "one", count=2 * each):
            assert status == 0, told
    expected = load_file(tmp_path / "one" / "weights-0.safetensors")
    for folder in folders.values():
        for rank in range(2 * each):
            assert same(weights(folder / "run", rank), expected)
