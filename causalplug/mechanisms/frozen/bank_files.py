"""The files of a sample bank: memory-mapped arrays that are filled bit by bit, by one process or by
several together."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from causalplug.errors import MechanismError
from causalplug.selection import by_name

try:
    import fcntl
except (
    ImportError
):  # Windows has no flock: there, processes must not fill the same bank at the same time
    fcntl = None  # type: ignore[assignment]

__all__ = ["BankFiles", "Filling"]

_STATE, _DRAWN, _CLAIMS = "state.json", "drawn.npy", "claims"


@dataclass(frozen=True)
class Filling:
    """A bank that is being filled, by this process and perhaps by others.

    Samples are counted label by label. A process claims those that it draws, so that no other one
    draws them, too; a claim dies with its process. Which samples are there is marked after they
    have been written.

    Attributes:
        arrays: Name to array ``(labels, rows, …)``.
        drawn: One byte ``(labels * rows,)`` for each sample: 1 where it is there.
        claims: Descriptor of the file whose bytes are claimed; -1 where files cannot be locked.
    """

    arrays: Mapping[str, np.memmap]
    drawn: np.memmap
    claims: int

    @contextlib.contextmanager
    def claimed(self, samples: range, *, wait: bool) -> Iterator[bool]:
        """Hold samples against the other processes; says whether they are this process's own.

        Args:
            samples: Consecutive samples.
            wait: Wait for a process that has them, rather than leave them to it.
        """
        mine = self._lock(samples, wait)
        try:
            yield mine
        finally:
            if mine and fcntl is not None:
                fcntl.lockf(self.claims, fcntl.LOCK_UN, len(samples), samples.start)

    def _lock(self, samples: range, wait: bool) -> bool:
        if fcntl is None:
            return True
        mode = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
        try:
            fcntl.lockf(self.claims, mode, len(samples), samples.start)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def missing(self, samples: range) -> np.ndarray:
        """Those of some samples that are not there yet."""
        found = np.arange(samples.start, samples.stop)
        return found[self.drawn[samples.start : samples.stop] == 0]

    def mark(self, samples: np.ndarray) -> None:
        """Note that samples have been written."""
        for array in self.arrays.values():
            array.flush()
        self.drawn[samples] = 1
        self.drawn.flush()

    @property
    def done(self) -> int:
        """Samples that are there."""
        return int(self.drawn.sum())


class BankFiles:
    """Arrays of one bank in ``folder/fingerprint``.

    A bank that is complete is only read. One that is not is filled by all processes that ask for
    it, see :class:`Filling`; how many samples there are stands in ``state.json``.

    Args:
        folder: Holds the banks of several generators.
        fingerprint: Decides which samples: another generator, seed or encoder has another one.
        arrays: Name to shape and data type.
        max_bytes: Most bytes of all banks in the folder; banks that were not used for longest make
            room.

    Raises:
        MechanismError: This bank alone is larger than ``max_bytes``, or the disk is full.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        fingerprint: str,
        arrays: Mapping[str, tuple[tuple[int, ...], type]],
        *,
        max_bytes: int,
    ):
        self.root, self.path = Path(folder), Path(folder) / fingerprint
        self.arrays = dict(arrays)
        needed = sum(math.prod(shape) * np.dtype(kind).itemsize for shape, kind in arrays.values())
        if needed > max_bytes:
            raise MechanismError(
                f"The sample bank in {self.root} cannot be made: it needs {needed / 1e6:,.1f} MB "
                f"and may have {max_bytes / 1e6:,.1f} MB. Draw fewer rows per label, keep no "
                "images, or raise max_bytes."
            )
        self.path.mkdir(parents=True, exist_ok=True)
        os.utime(self.path)
        self._make_room(max_bytes - needed, needed)

    def _make_room(self, left: int, needed: int) -> None:
        others = [other for other in self.root.iterdir() if other.is_dir() and other != self.path]
        sizes = by_name(_size, others)
        for other in sorted(others, key=lambda item: item.stat().st_mtime):
            if sum(sizes.values()) <= left:
                break
            if (other / _STATE).is_file():  # nothing but banks is ever removed
                shutil.rmtree(other)
                sizes.pop(other)
        present = _size(self.path)
        free = shutil.disk_usage(self.root).free
        if needed - present > free:
            raise MechanismError(
                f"The sample bank in {self.root} cannot be made: it needs {needed / 1e6:,.1f} MB "
                f"and the disk has {free / 1e6:,.1f} MB free. Free some space or choose another "
                "folder."
            )

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the bank against other processes; the lock dies with the process."""
        descriptor = -1
        if fcntl is not None:
            descriptor = os.open(self.path, os.O_RDONLY)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    @property
    def done(self) -> int:
        """Samples that are complete, as far as is known without looking at each."""
        try:
            return int(json.loads((self.path / _STATE).read_text())["done"])
        except FileNotFoundError:
            return 0
        except (ValueError, KeyError, TypeError):
            return 0  # a state that cannot be read is no state: the samples are drawn again

    def record(self, done: int) -> None:
        """Note that ``done`` samples are complete."""
        temporary = self.path / f".{_STATE}.{os.getpid()}"
        temporary.write_text(json.dumps({"done": done}))
        os.replace(temporary, self.path / _STATE)

    @contextlib.contextmanager
    def filling(self) -> Iterator[Filling]:
        """The bank, to be filled."""
        with self.lock():
            arrays = self.open(write=True)
            drawn = self._marks()
        descriptor = -1
        if fcntl is not None:
            descriptor = os.open(self.path / _CLAIMS, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            yield Filling(arrays, drawn, descriptor)
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def _marks(self) -> np.memmap:
        """Which samples are there. Before there were marks, samples were drawn in their order."""
        path = self.path / _DRAWN
        labels, rows = next(iter(self.arrays.values()))[0][:2]
        if not path.is_file():
            made = np.zeros(labels * rows, np.uint8)
            made[: self.done] = 1
            temporary = self.path / f".{_DRAWN}.{os.getpid()}"
            with open(temporary, "wb") as file:
                np.save(file, made)
            os.replace(temporary, path)
        return np.lib.format.open_memmap(path, mode="r+")

    def open(self, *, write: bool) -> dict[str, np.memmap]:
        """The arrays by name; for reading they are copy-on-write, so that nobody changes what
        others read."""
        found = {}
        for name, (shape, kind) in self.arrays.items():
            path = self.path / f"{name}.npy"
            if not path.is_file():
                np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape).flush()
                (self.path / _DRAWN).unlink(missing_ok=True)
                self.record(0)
            array = np.lib.format.open_memmap(path, mode="r+" if write else "c")
            if array.shape != shape or array.dtype != np.dtype(kind):
                raise MechanismError(f"{path} holds another bank. Delete the folder {self.path}.")
            found[name] = array
        return found


def _size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
