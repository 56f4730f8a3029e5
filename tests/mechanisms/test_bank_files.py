"""Sample banks on the disk: resumed, shared, bounded, invalidated."""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from causalplug.adapters.callable import CallableGenerator
from causalplug.encoders.encoders import RandomProjection
from causalplug.errors import MechanismError
from causalplug.mechanisms.frozen.bank import SampleBank
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.variables import Discrete, Image

IMAGE = Image(1, 4, 4)


class Counted:
    """Paints label and latent into the pixels; counts rows, and breaks off after a number of
    them."""

    def __init__(self, limit: int = 10**9):
        self.rows, self.limit = 0, limit

    def __call__(self, labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
        if self.rows + len(labels) > self.limit:
            raise KeyboardInterrupt
        self.rows += len(labels)
        level = labels[:, 0] / 4 + latent[:, 0] / 5
        return np.broadcast_to(level[:, None, None, None], (len(labels), 1, 4, 4)).astype(
            np.float32
        )


def bound(paint: Counted, revision: str | None = "1") -> FrozenMechanism:
    made = CallableGenerator(
        paint, IMAGE, [Label("d", 3)], latent_shape=(1,), distribution="uniform", revision=revision
    )
    return made.bind("I", IMAGE, {"d": Discrete(3)})


def bank(folder: Path | None, paint: Counted, revision: str = "1", **options: object) -> SampleBank:
    encoder = RandomProjection(IMAGE, 2)
    given = {"rows_per_label": 20, "keep_images": True, "batch_size": 6} | options
    return SampleBank(bound(paint, revision), encoder, folder=folder, **given)  # type: ignore[arg-type]


def test_files_hold_what_memory_would_and_are_found_again(tmp_path: Path) -> None:
    memory, first, second = Counted(), Counted(), Counted()
    plain, made, again = bank(None, memory), bank(tmp_path, first), bank(tmp_path, second)
    assert (memory.rows, first.rows, second.rows) == (60, 60, 0)
    assert torch.equal(plain.images, made.images)
    assert torch.equal(plain.projections, again.projections)


@pytest.mark.parametrize("limit", [0, 5, 6, 23, 47, 59])
def test_an_interrupted_filling_goes_on_where_it_stopped(tmp_path: Path, limit: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        bank(tmp_path, Counted(limit))
    rest = Counted()
    resumed = bank(tmp_path, rest, batch_size=4)
    assert torch.equal(resumed.images, bank(None, Counted()).images)
    assert torch.equal(resumed.projections, bank(None, Counted()).projections)
    assert 60 - limit <= rest.rows < 60 - limit + 6


class Signalled(Counted):
    """Sends its own process a signal after a number of rows."""

    def __init__(self, limit: int, number: int):
        super().__init__()
        self.stop, self.number = limit, number

    def __call__(self, labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
        if self.rows >= self.stop:
            os.kill(os.getpid(), self.number)
        return super().__call__(labels, latent)


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Signals as a shell hands them to a command; those of ``nohup`` and of jobs in the background
    are ignored."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    usual[signal.SIGHUP] = signal.SIG_DFL
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_end_a_filling_as_ctrl_c_does_and_say_what_is_kept(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        bank(tmp_path, Signalled(30, signal.Signals[name]))
    told = "".join(traceback.format_exception(caught.value))
    rest = Counted()
    resumed = bank(tmp_path, rest)
    assert 0 < rest.rows < 60
    assert f"{60 - rest.rows} of 60 samples of the bank of 'I' are kept in {tmp_path}" in told
    assert torch.equal(resumed.images, bank(None, Counted()).images)


@pytest.mark.usefixtures("own_signals")
def test_signals_end_a_filling_in_memory_as_ctrl_c_does() -> None:
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        bank(None, Signalled(30, signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_reported_progress_counts_what_was_there_before(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        bank(tmp_path, Counted(30))
    seen: list[tuple[int, int]] = []
    bank(tmp_path, Counted(), progress=lambda done, total: seen.append((done, total)))
    assert seen[0][0] > 20
    assert seen[-1] == (60, 60)


@pytest.mark.parametrize("change", ["revision", "seed", "rows", "range"])
def test_other_samples_have_other_files(tmp_path: Path, change: str) -> None:
    bank(tmp_path, Counted())
    paint = Counted()
    if change == "revision":
        bank(tmp_path, paint, revision="2")
    elif change == "seed":
        bank(tmp_path, paint, seed=1)
    elif change == "rows":
        bank(tmp_path, paint, rows_per_label=21)
    else:
        wider = Image(1, 4, 4, low=-1.0)
        other = bound(paint).asked().bind("I", wider, {"d": Discrete(3)})
        SampleBank(other, RandomProjection(wider, 2), rows_per_label=20, folder=tmp_path)
    assert paint.rows >= 60


def test_a_function_without_a_revision_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(MechanismError, match="revision"):
        SampleBank(bound(Counted(), None), rows_per_label=2, folder=tmp_path)


def test_the_size_is_bounded_and_old_banks_make_room(tmp_path: Path) -> None:
    with pytest.raises(MechanismError, match="max_bytes"):
        bank(tmp_path, Counted(), max_bytes=100)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("kept")
    one = 60 * (16 + 8)
    bank(tmp_path, Counted(), seed=1, max_bytes=3 * one)
    for seed in (2, 3, 4):
        bank(tmp_path, Counted(), seed=seed, max_bytes=3 * one)
    assert len(list(tmp_path.glob("*/state.json"))) <= 3
    assert (tmp_path / "notes" / "mine.txt").read_text() == "kept"
    paint = Counted()
    bank(tmp_path, paint, seed=4, max_bytes=3 * one)
    assert paint.rows == 0


def test_banks_without_marks_go_on_where_they_stopped(tmp_path: Path) -> None:
    """As the versions before left them: a count, and samples in their order."""
    with pytest.raises(KeyboardInterrupt):
        bank(tmp_path, Counted(30))
    for marks in tmp_path.glob("*/drawn.npy"):
        marks.unlink()
    rest = Counted()
    resumed = bank(tmp_path, rest)
    assert rest.rows < 40
    assert torch.equal(resumed.images, bank(None, Counted()).images)


def _count(folder: Path, queue: object) -> None:
    torch.set_num_threads(1)
    paint = Counted()
    made = bank(folder, paint)
    queue.put((paint.rows, float(made.images.float().sum())))  # type: ignore[attr-defined]


def test_processes_that_know_nothing_of_each_other_draw_nothing_twice(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=_count, args=(tmp_path, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [queue.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    assert sum(rows for rows, _ in found) == 60
    assert found[0][1] == found[1][1] == float(bank(None, Counted()).images.float().sum())


class Narrow(Counted):
    """Runs out of memory with more than a few rows."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def __call__(self, labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
        if len(labels) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().__call__(labels, latent)


def test_batches_that_memory_does_not_hold_are_halved() -> None:
    wide, narrow = Counted(), Narrow(2)
    assert torch.equal(bank(None, wide).images, bank(None, narrow, batch_size=16).images)
    assert narrow.rows == wide.rows
    with pytest.raises(MechanismError, match="one image alone does not fit"):
        bank(None, Narrow(0))
