"""A run that is killed and resumed ends with the same bits as one that was not; nothing is lost
on the way."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import causalplug as cp
from causalplug.errors import TrainingError
from causalplug.training.learner import Learner
from causalplug.training.trainer import Trainer
from tests.training import work

EXHAUSTIVE = "CAUSALPLUG_EXHAUSTIVE" in os.environ
RUN = "tests.training.work:run"


def weights(folder):
    return load_file(folder / "weights-0.safetensors")


def same(one, other):
    return set(one) == set(other) and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, forks):
    """Weights of runs that nothing interrupted, by whether they have images."""
    found = {}
    for images in (False, True):
        folder = tmp_path_factory.mktemp("whole")
        status, told = forks.run(RUN, folder, images=images)
        assert status == 0, told
        found[images] = weights(folder)
    return found


def test_killed_at_random_moments_and_resumed_the_bits_are_the_same(tmp_path, forks, whole):
    """Three kills at moments of the clock, wherever the run happens to be."""
    rng = np.random.default_rng(int(os.environ.get("CAUSALPLUG_SEED", "1")))
    kills = 0
    for _ in range(3):
        pid = forks.start(RUN, tmp_path / "run", resume=True)
        time.sleep(rng.uniform(0.05, 0.8))
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            break
        kills += forks.wait(pid)[0] == -signal.SIGKILL
    assert kills
    status, told = forks.run(RUN, tmp_path / "run", resume=True)
    assert status == 0, told
    assert same(weights(tmp_path / "run"), whole[False])


MOMENTS = [
    (False, ["kill_in_step", 61]),  # a critic's update
    (False, ["kill_in_write", 0, "half"]),
    (False, ["kill_in_write", 9, "swap"]),
    (False, ["kill_in_write", 12, "swapped"]),
    *[(False, ["kill_in_step", number]) for number in range(2, 224, 10) if EXHAUSTIVE],
    *[(False, ["kill_in_write", number, "half"]) for number in range(1, 22) if EXHAUSTIVE],
    (True, ["kill_in_label_map"]),
    (True, ["kill_in_encoder"]),
    (True, ["kill_in_bank", 1]),
    (True, ["kill_in_step", 30]),
]


@pytest.mark.parametrize(("images", "fault"), MOMENTS, ids=lambda value: str(value))
def test_killed_in_the_middle_of_something_and_resumed_the_bits_are_the_same(
    tmp_path, forks, whole, images, fault
):
    status, told = forks.run(RUN, tmp_path / "run", images=images, fault=fault)
    assert status == -signal.SIGKILL, told
    assert not (tmp_path / "run" / "weights-0.safetensors").exists()
    status, told = forks.run(RUN, tmp_path / "run", images=images, resume=True)
    assert status == 0, told
    assert same(weights(tmp_path / "run"), whole[images])
    assert not [p for p in (tmp_path / "run").iterdir() if p.name.startswith(".checkpoint")]


def test_what_was_prepared_is_not_prepared_again(tmp_path, forks):
    """Nothing that would kill a resumed run is ever run by it; the encoder runs twice, for the
    projections."""
    status, _ = forks.run(RUN, tmp_path / "run", images=True, fault=["kill_in_step", 3])
    assert status == -signal.SIGKILL
    for fault in (["kill_in_bank", 0], ["kill_in_label_map"], ["kill_in_encoder"]):
        status, told = forks.run(RUN, tmp_path / "run", images=True, resume=True, fault=fault)
        assert status == 0, told


STOPS = [
    (["nan_loss", 100], "the loss is nan"),
    (["no_memory", 100], "ran out of memory"),
    (["interrupt", 100], "KeyboardInterrupt"),
]


@pytest.mark.parametrize(("fault", "message"), STOPS, ids=[name[0] for name, _ in STOPS])
def test_what_stops_a_run_leaves_the_checkpoint_and_says_where(
    tmp_path, forks, whole, fault, message
):
    status, told = forks.run(RUN, tmp_path / "run", fault=fault)
    assert status == 1
    assert message in told
    assert (
        f"The last checkpoint is in {tmp_path / 'run' / 'checkpoint'}; continue with "
        "resume_from_checkpoint" in told
    )
    status, told = forks.run(RUN, tmp_path / "run", resume=True)
    assert status == 0, told
    assert same(weights(tmp_path / "run"), whole[False])


def test_exhausted_memory_of_a_gpu_is_told_like_that_of_a_cpu(tmp_path, monkeypatch):
    """What torch raises on a GPU, raised by hand: there is none here."""

    def step(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Learner, "_update", step)
    with pytest.raises(
        TrainingError, match=r"ran out of memory: CUDA.*last checkpoint is in .*batch_size"
    ):
        work.run(tmp_path / "run")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no small disk can be mounted: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_leaves_the_last_checkpoint(small_disk, forks, whole):
    folder = small_disk / "run"
    status, _ = forks.run(RUN, folder, fault=["kill_in_step", 30])
    assert status == -signal.SIGKILL
    before = {p.name: p.read_bytes() for p in (folder / "checkpoint").iterdir()}
    ballast = small_disk / "ballast"
    with open(ballast, "wb") as file:
        file.write(b"\0" * (shutil.disk_usage(small_disk).free - 30_000))
    status, told = forks.run(RUN, folder, resume=True)
    assert status == 1
    assert "No space left on device" in told
    assert f"The last one stays in {folder / 'checkpoint'}" in told
    assert {p.name: p.read_bytes() for p in (folder / "checkpoint").iterdir()} == before
    ballast.unlink()
    status, told = forks.run(RUN, folder, resume=True)
    assert status == 0, told
    assert same(weights(folder), whole[False])


# -- checkpoints that are not to be resumed


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a short run."""
    folder = tmp_path_factory.mktemp("finished")
    work.run(folder, objective="likelihood", steps=8)
    return folder


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": 9}, r"settings: steps \(8 there, 9 here\)"),
        (
            {"steps": 8, "objective": "adversarial", "ema": 0.9},
            "settings: objective .*settings: ema",
        ),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused_by_their_names(finished, change, told):
    with pytest.raises(TrainingError, match=told):
        work.run(finished, resume=True, **{"objective": "likelihood"} | change)


def test_a_checkpoint_of_other_data_or_another_model_is_refused_by_name(finished):
    settings = {
        "objective": "likelihood",
        **{k: v for k, v in work.WARM.items() if k != "objective"},
        "steps": 8,
    }

    def resume(rows, dcm):
        cp.fit(
            dcm,
            cp.DataSource(rows),
            output_dir=finished,
            resume_from_checkpoint=True,
            progress=False,
            **settings,
        )

    rows = work.table()
    rows["A"] = 1 - rows["A"]
    with pytest.raises(TrainingError, match=r"other data: column 'A' of source '[^']+'\."):
        resume(rows, work.model())
    graph = cp.CausalGraph.parse("D -> I -> A; D -> A; D <-> A")
    with pytest.raises(TrainingError, match="graph"):
        resume(work.table(), cp.DCM(graph, {name: cp.Discrete(2) for name in "DIA"}))
    wider = cp.DCM(work.model().graph, {name: cp.Discrete(2) for name in "DIA"}, hidden=(8,))
    with pytest.raises(TrainingError, match="weights: "):
        resume(work.table(), wider)
    resume(work.table(), work.model())


def test_settings_that_decide_no_weight_may_change(finished):
    work.run(finished, resume=True, objective="likelihood", steps=8, save_every=3)


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("state.json", lambda path: path.write_text("{")),
        ("state.json", lambda path: path.unlink()),
        ("state.safetensors", cut),
        ("state.safetensors", flip),
        ("state.safetensors", lambda path: path.unlink()),
    ],
)
def test_a_damaged_checkpoint_is_named(finished, tmp_path, file, damage):
    shutil.copytree(finished, tmp_path / "run")
    damage(tmp_path / "run" / "checkpoint" / file)
    with pytest.raises(
        TrainingError,
        match=rf"checkpoint is damaged .*{file.replace('.', '[.]')}.*delete the folder",
    ):
        work.run(tmp_path / "run", resume=True, objective="likelihood", steps=8)


EDITS = [
    {"tensors": -1},
    {"tensors": {}},
    {"tensors": None},
    {"facts": []},
    {"reports": None},
    {"reports": {"0": {}}},
    {"reports": {"first": {"variables": ["I"], "distances": []}}},
    {"bindings": "x"},
    {"bindings": {"nobody": {}}},
    {"step": "x"},
    {"step": []},
    {"phase": 1.5},
    {"unknown": 1},
]


@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_an_edited_record_with_a_hash_of_its_own_is_refused(finished, tmp_path, edit):
    """Whoever edits it may write the hash anew: what no run writes is an error of ours."""
    shutil.copytree(finished, tmp_path / "run")
    state = tmp_path / "run" / "checkpoint" / "state.json"
    record = json.loads(state.read_text()) | edit
    del record["sha256"]
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    record["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    state.write_text(json.dumps(record))
    with pytest.raises(cp.CausalPlugError, match="checkpoint"):
        work.run(tmp_path / "run", resume=True, objective="likelihood", steps=8)


def test_a_run_goes_on_from_the_checkpoint_of_another_place(tmp_path, forks, whole):
    assert forks.run(RUN, tmp_path / "first", fault=["kill_in_step", 30])[0] == -signal.SIGKILL
    before = (tmp_path / "first" / "checkpoint" / "state.json").read_bytes()
    for name, place in (("second", "first"), ("third", "first/checkpoint")):
        found = work.run(tmp_path / name, resume=tmp_path / place)
        assert same(found, whole[False])
    assert (tmp_path / "first" / "checkpoint" / "state.json").read_bytes() == before
    with pytest.raises(TrainingError, match="nowhere: there is no checkpoint"):
        work.run(tmp_path / "fourth", resume=tmp_path / "nowhere")


def test_the_plan_can_be_seen_before_anything_is_trained():
    trainer = Trainer(work.model(), [cp.DataSource(work.table())])
    assert [module.variables for module in trainer.plan.modules] == [("I",), ("D", "A")]


def test_a_report_that_cannot_be_written_is_told_with_the_checkpoint(tmp_path):
    (tmp_path / "run" / "report.json" / "in the way").mkdir(parents=True)
    with pytest.raises(
        TrainingError,
        match=r"report could not be written .*The model is trained\. The last checkpoint",
    ):
        work.run(tmp_path / "run", objective="likelihood", steps=2)


def test_an_edited_state_is_refused(tmp_path, forks):
    """A number in the record is changed: everything else still agrees with the run."""
    status, _ = forks.run(RUN, tmp_path / "run", fault=["kill_in_step", 61])
    assert status == -signal.SIGKILL
    state = tmp_path / "run" / "checkpoint" / "state.json"
    record = json.loads(state.read_text())
    record["step"] += 1
    state.write_text(json.dumps(record))
    status, told = forks.run(RUN, tmp_path / "run", resume=True)
    assert status == 1
    assert "the checkpoint is damaged" in told
    assert "its hash differs" in told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
def test_signals_that_end_a_process_keep_the_checkpoint_and_say_where(
    tmp_path, forks, whole, number
):
    status, told = forks.run(RUN, tmp_path / "run", fault=["signal_in_step", 100, int(number)])
    assert status == 1
    assert f"KeyboardInterrupt: stopped by {number.name}" in told
    assert f"The last checkpoint is in {tmp_path / 'run' / 'checkpoint'}" in told
    status, told = forks.run(RUN, tmp_path / "run", resume=True)
    assert status == 0, told
    assert same(weights(tmp_path / "run"), whole[False])
