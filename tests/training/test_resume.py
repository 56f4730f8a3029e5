"""A run that is killed and resumed ends with the same bits as one that was not; nothing is lost on the way."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.errors import CausalPlugError, ConvergenceWarning, TrainingError
from causalplug.training.learner import AdversarialLearner
from causalplug.training.trainer import Trainer

ROOT = Path(__file__).parents[2]
RUN = """
import sys, warnings
sys.path.insert(0, {root!r})
warnings.simplefilter("ignore")
from tests.training.test_resume import run
from pathlib import Path
run(Path(sys.argv[1]), resume=sys.argv[2] == "resume")
"""
SETTINGS = {"objective": "warm", "steps": 60, "save_every": 7, "validate_every": 20, "progress": False}


def rows(n=800):
    rng = np.random.default_rng(0)
    return {name: rng.integers(2, size=n) for name in "DIA"}


def model():
    return cp.DCM(cp.CausalGraph.parse("D -> I -> A; D <-> A"), {name: cp.Discrete(2) for name in "DIA"})


def run(folder, *, resume=False, **settings):
    dcm = model()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cp.fit(dcm, cp.DataSource(rows()), output_dir=folder, resume_from_checkpoint=resume, **SETTINGS | settings)
    dcm.save_pretrained(folder / "dcm")
    return dcm.trained_tensors()


def child(folder, resume):
    code = RUN.format(root=str(ROOT))
    return subprocess.Popen([sys.executable, "-c", code, str(folder), "resume" if resume else "new"])


def test_killed_at_random_moments_and_resumed_the_bits_are_the_same(tmp_path):
    expected = run(tmp_path / "whole")
    folder, rng = tmp_path / "killed", np.random.default_rng(1)
    kills = 0
    process = child(folder, resume=False)
    deadline = time.monotonic() + 120
    while kills < 2 and time.monotonic() < deadline:
        while not (folder / "checkpoint").exists() and process.poll() is None:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.05, 0.6))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        process = child(folder, resume=True)
        time.sleep(1.5)
    assert process.wait(timeout=120) == 0
    assert kills >= 1
    found = cp.from_pretrained(folder / "dcm").trained_tensors()
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def interrupted_after(steps, error, monkeypatch):
    """Make the ``steps``-th adversarial step raise."""
    done = iter(range(10_000))
    original = AdversarialLearner.step

    def step(self, index, generator):
        if next(done) == steps:
            raise error
        return original(self, index, generator)

    monkeypatch.setattr(AdversarialLearner, "step", step)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no memory"), KeyboardInterrupt()])
def test_what_stops_a_run_leaves_the_checkpoint_and_says_where(tmp_path, monkeypatch, error):
    expected = run(tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupted_after(40, error, patch)
        with pytest.raises((TrainingError, KeyboardInterrupt)) as caught:
            run(tmp_path / "broken")
    told = str(caught.value) + "".join(getattr(caught.value, "__notes__", []))
    assert str(tmp_path / "broken" / "checkpoint") in told
    found = run(tmp_path / "broken", resume=True)
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(AdversarialLearner, "step", lambda self, index, generator: float("nan"))
    with pytest.raises(TrainingError, match="the loss is nan"):
        run(tmp_path / "run")


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    """The child may write no file beyond a size that a checkpoint in the middle of a module exceeds."""
    run(tmp_path / "run", steps=8, objective="likelihood")
    before = {p.name: p.read_bytes() for p in (tmp_path / "run" / "checkpoint").iterdir()}
    limit = max(len(content) for content in before.values()) // 2
    code = RUN.format(root=str(ROOT)).replace("run(Path", f"import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\nrun(Path")  # fmt: skip  # noqa: E501
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run"), "new"], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode != 0
    assert "checkpoint" in done.stderr.splitlines()[-1]
    assert {p.name: p.read_bytes() for p in (tmp_path / "run" / "checkpoint").iterdir()} == before


def test_a_checkpoint_of_another_run_is_not_resumed(tmp_path):
    run(tmp_path / "run", steps=8, objective="likelihood")
    with pytest.raises(TrainingError, match="other settings"):
        run(tmp_path / "run", resume=True, steps=9, objective="likelihood")


def test_a_damaged_checkpoint_is_named(tmp_path):
    run(tmp_path / "run", steps=8, objective="likelihood")
    (tmp_path / "run" / "checkpoint" / "state.json").write_text("{")
    with pytest.raises(CausalPlugError, match=r"state\.json"):
        run(tmp_path / "run", resume=True, steps=8, objective="likelihood")


def test_the_plan_can_be_seen_before_anything_is_trained():
    trainer = Trainer(model(), [cp.DataSource(rows())])
    assert [module.variables for module in trainer.plan.modules] == [("I",), ("D", "A")]
