"""A folder is the old one or the new one, whenever its writer dies."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from causalplug.errors import RepositoryError
from causalplug.files import storage
from causalplug.files.storage import check_disk, read_folder, recover, write_folder

ROOT = Path(__file__).parents[2]
EXHAUSTIVE = os.environ.get("CAUSALPLUG_EXHAUSTIVE") == "1"

WRITER = textwrap.dedent(
    """
    import os, signal, sys
    from causalplug.files import storage

    folder, kill_at, exchange = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "exchange"
    if not exchange:
        storage._exchange = lambda one, other: False
    count = 0

    def watch(event, arguments):
        global count
        if event == "open" or event.startswith(("os.", "ctypes.dlopen")):
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    files = {"config.json": "new", "modules/b.bin": b"new" * 1000}
    files["copy.txt"] = lambda p: p.write_text("new")
    storage.write_folder(folder, files, replaces=["modules/*"])
    count = -10**9
    """
)
OLD = {
    "config.json": b"old",
    "modules/a.bin": b"old" * 1000,
    "notes/mine.txt": b"mine",
    "log.txt": b"log",
}
NEW = {
    "config.json": b"new",
    "modules/b.bin": b"new" * 1000,
    "copy.txt": b"new",
    "notes/mine.txt": b"mine",
    "log.txt": b"log",
}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def lay(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def start_writer(folder: Path, kill_at: int, way: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(kill_at), way], cwd=ROOT
    )


@pytest.mark.parametrize("way", ["exchange", "renames"])
def test_killed_at_every_step(tmp_path, way):
    """One child per step of the file system: each is killed there; the last one gets through."""
    outcomes, step = [], 1
    while True:
        batch = []
        for kill_at in range(step, step + 4):
            folder = tmp_path / f"{kill_at}" / "model"
            lay(folder, OLD)
            batch.append((folder, start_writer(folder, kill_at, way)))
        codes = [child.wait() for _, child in batch]
        for (folder, _), code in zip(batch, codes, strict=True):
            assert code in (0, -signal.SIGKILL)
            if way == "exchange":  # no reader of ours is needed to see one state or the other
                assert contents(folder) in (OLD, NEW)
            with read_folder(folder) as found:
                state = contents(found)
            assert state in (OLD, NEW)
            assert code != 0 or state == NEW
            outcomes.append(state == NEW)
            write_folder(folder, {"config.json": "newest"}, replaces=["modules/*", "copy.txt"])
            assert contents(folder) == {
                "config.json": b"newest",
                "notes/mine.txt": b"mine",
                "log.txt": b"log",
            }
            assert [p.name for p in folder.parent.iterdir()] == ["model"], (
                "what the killed writer left was not removed"
            )
        step += 4
        if 0 in codes:
            break
    assert outcomes == sorted(outcomes), "once the new state is there it stays"
    assert len(outcomes) > 20
    assert not outcomes[0]
    assert outcomes[-1]


def test_killed_at_random_times(tmp_path):
    """The same by the clock: a writer that goes on for ever is killed somewhere, again and
    again."""
    program = textwrap.dedent(
        """
        import sys
        from causalplug.files.storage import write_folder
        print("ready", flush=True)
        n = int(sys.argv[2])
        while True:
            n += 1
            text = str(n) * 2000
            files = {name: text for name in "abc"} | {f"modules/{n}": text}
            write_folder(sys.argv[1], files, replaces=["modules/*"])
        """
    )
    rng = random.Random(0)
    folder = tmp_path / "model"
    write_folder(folder, {**dict.fromkeys("abc", "0"), "modules/0": "0"})
    (folder / "mine.txt").write_text("mine")
    last = 0
    for _ in range(100 if EXHAUSTIVE else 15):
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(folder), str(last)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0, 0.1))
        child.kill()
        child.communicate()
        state = contents(folder)
        assert state.pop("mine.txt") == b"mine"
        (module,) = [name for name in state if name.startswith("modules/")]
        now = int(module.removeprefix("modules/"))
        assert now >= last
        assert set(state) == {"a", "b", "c", module}
        assert set(state.values()) == ({str(now).encode() * 2000} if now else {b"0"})
        last = now
    assert last > 0


def test_new_folder_and_kinds_of_content(tmp_path):
    (tmp_path / "source").write_bytes(b"copied")
    files = {
        "a.bin": b"bytes",
        "deep/er/b.txt": "täxt",
        "c": tmp_path / "source",
        "d.json": lambda path: path.write_bytes((path.parent / "a.bin").read_bytes() + b"!"),
    }
    folder = write_folder(tmp_path / "x" / "y", files)
    assert folder == tmp_path / "x" / "y"
    assert contents(folder) == {
        "a.bin": b"bytes",
        "deep/er/b.txt": "täxt".encode(),
        "c": b"copied",
        "d.json": b"bytes!",
    }


def test_keeps_what_is_not_ours(tmp_path):
    folder = write_folder(
        tmp_path / "model", {"config.json": "1", "modules/a": "1", "modules/b": "1"}
    )
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    (folder / "empty").mkdir(mode=0o700)
    (folder / "link").symlink_to("notes/mine.txt")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "modules" / "read.me").write_text("mine")
    folder.chmod(0o750)
    write_folder(folder, {"config.json": "2", "modules/a": "2"}, replaces=["modules/[ab]"])
    assert (folder / "config.json").read_text() == (folder / "modules" / "a").read_text() == "2"
    assert not (folder / "modules" / "b").exists()
    assert (folder / "modules" / "read.me").read_text() == "mine"
    assert (folder / "link").read_text() == "mine"
    assert os.readlink(folder / "dangling") == "nowhere"
    assert (folder / "empty").stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_mode & 0o777 == 0o750
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("links", [True, False])
def test_keeps_what_appears_meanwhile(tmp_path, monkeypatch, links):
    def refuse(*arguments, **options):
        raise OSError(95, "no hard links here")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    folder = write_folder(tmp_path / "model", {"config.json": "1"})
    (folder / "log.txt").write_text("one")
    swap = storage._swap

    def late(staging, target):
        (target / "late.txt").write_text("late")
        (target / "log.txt").unlink()
        (target / "log.txt").write_text("one and two")
        return swap(staging, target)

    monkeypatch.setattr(storage, "_swap", late)
    write_folder(folder, {"config.json": "2"})
    assert contents(folder) == {"config.json": b"2", "log.txt": b"one and two", "late.txt": b"late"}


@pytest.mark.parametrize("way", ["exchange", "renames"])
@pytest.mark.parametrize("place", ["content", "carry", "after the swap"])
def test_failure_leaves_the_old_state(tmp_path, monkeypatch, place, way):
    folder = tmp_path / "model"
    lay(folder, OLD)
    calls = 0
    carry = storage._carry_over

    def fail(*arguments):
        nonlocal calls
        calls += 1
        if (
            place == "content"
            or (place == "carry" and calls == 1)
            or (place == "after the swap" and calls == 2)
        ):
            raise OSError(28, "No space left on device")
        return carry(*arguments)

    if way == "renames":
        monkeypatch.setattr(storage, "_exchange", lambda one, other: False)
    files = {"config.json": "new", "x": "new"}
    if place == "content":
        files["y"] = fail
    else:
        monkeypatch.setattr(storage, "_carry_over", fail)
    with pytest.raises(
        RepositoryError, match=r"cannot write .*model: .*No space left on device.*unchanged"
    ):
        write_folder(folder, files)
    assert contents(folder) == OLD
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_interrupt_leaves_the_old_state(tmp_path):
    folder = tmp_path / "model"
    lay(folder, OLD)

    def interrupt(path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(folder, {"config.json": "new", "x": interrupt})
    assert contents(folder) == OLD
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_deleted_folder_stays_deleted(tmp_path, monkeypatch):
    """Leftovers of a finished write are never taken for a state to go back to."""
    monkeypatch.setattr(storage, "_exchange", lambda one, other: False)
    monkeypatch.setattr(storage.shutil, "rmtree", lambda *arguments, **options: None)
    folder = write_folder(tmp_path / "model", {"config.json": "1"})
    write_folder(folder, {"config.json": "2"})
    leftovers = [p for p in tmp_path.iterdir() if p != folder]
    assert len(leftovers) == 1
    (folder / "config.json").unlink()
    folder.rmdir()
    recover(folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"../x": "1"}, "leaves the folder"),
        ({"/etc/x": "1"}, "not a relative path"),
        ({"a": "1", "a/b": "1"}, '"a" would be a file and the folder of "a/b"'),
        (
            {"Readme.md": "1", "README.md": "1"},
            '"Readme.md" and "README.md" are one file on some systems',
        ),
        ({"folder": "1"}, "a folder has that name"),
        ({"file/x": "1"}, '"file" is not a folder'),
        ({"outside/x": "1"}, '"outside" is not a folder'),
    ],
)
def test_names_are_checked_before_any_work(tmp_path, files, message):
    folder = tmp_path / "model"
    lay(folder, {"file": b"1", "folder/x": b"1"})
    (tmp_path / "elsewhere").mkdir()
    (folder / "outside").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RepositoryError, match=message):
        write_folder(folder, {"first": lambda path: pytest.fail("work was done"), **files})
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (folder / "file").read_bytes() == b"1"


def test_places_that_cannot_be_replaced(tmp_path, monkeypatch):
    (tmp_path / "here" / "deeper").mkdir(parents=True)
    (tmp_path / "file").write_text("1")
    monkeypatch.chdir(tmp_path / "here" / "deeper")
    for place in (".", "..", tmp_path):
        with pytest.raises(
            RepositoryError, match=r"is or holds the current directory.*Give a folder inside it"
        ):
            write_folder(place, {"a": "1"})
    with pytest.raises(RepositoryError, match="a file has that name"):
        write_folder(tmp_path / "file", {"a": "1"})
    with pytest.raises(RepositoryError, match="is a mount point"):
        write_folder("/proc", {"a": "1"})
    with (
        pytest.raises(RepositoryError, match=r"cannot read the folder .*does not exist"),
        read_folder(tmp_path / "no"),
    ):
        pass
    with (
        pytest.raises(RepositoryError, match=r"cannot read the folder .*it is a file"),
        read_folder(tmp_path / "file"),
    ):
        pass


def test_a_link_to_a_folder_is_followed(tmp_path):
    write_folder(tmp_path / "real", {"a": "1"})
    (tmp_path / "link").symlink_to("real")
    write_folder(tmp_path / "link", {"a": "2"})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "2"


def test_readers_and_writers_at_once(tmp_path):
    """Whoever reads several files under :func:`read_folder` sees them all of one state."""
    folder = write_folder(tmp_path / "model", dict.fromkeys("abc", "0"))
    stop = threading.Event()
    failures: list[str] = []

    def write(first: int) -> None:
        number = first
        while not stop.is_set():
            number += 2
            write_folder(folder, dict.fromkeys("abc", str(number)))

    def read() -> None:
        while not stop.is_set():
            with read_folder(folder) as found:
                seen = {(found / name).read_text() for name in "abc"}
            if len(seen) != 1:
                failures.append(f"{seen}")
            time.sleep(0.001)

    threads = [threading.Thread(target=write, args=(n,)) for n in (0, 1)]
    threads += [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert int((folder / "a").read_text()) > 10
    assert list(tmp_path.iterdir()) == [folder]


def test_a_living_writer_is_not_swept(tmp_path):
    def nested(path):
        write_folder(tmp_path / "model", {"a": "inner"})
        path.write_text("outer")

    write_folder(tmp_path / "model", {"a": nested})
    assert contents(tmp_path / "model") == {"a": b"outer"}


def test_disk_space(tmp_path):
    check_disk(tmp_path / "not" / "yet", 1000, what="download me/model")
    with pytest.raises(
        RepositoryError, match=r"cannot download me/model: it needs .* MB free.*cache_dir"
    ):
        check_disk(tmp_path / "not" / "yet", 10**18, what="download me/model")
