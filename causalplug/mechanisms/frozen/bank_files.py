"""The files of a sample bank: memory-mapped arrays that can be filled bit by bit, by one process
for all."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
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

__all__ = ["BankFiles"]

_STATE = "state.json"


class BankFiles:
    """Arrays of one bank in ``folder/fingerprint``.

    A bank that is complete is only read. One that is not is filled under a lock, so that other
    processes wait and then find it complete; how far it is stands in ``state.json``, which is
    written after the samples themselves.

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
        """Samples that are complete, counted in the order of filling."""
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

    def open(self, *, write: bool) -> dict[str, np.memmap]:
        """The arrays by name; for reading they are copy-on-write, so that nobody changes what
        others read."""
        found = {}
        for name, (shape, kind) in self.arrays.items():
            path = self.path / f"{name}.npy"
            if not path.is_file():
                np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape).flush()
                self.record(0)
            array = np.lib.format.open_memmap(path, mode="r+" if write else "c")
            if array.shape != shape or array.dtype != np.dtype(kind):
                raise MechanismError(f"{path} holds another bank. Delete the folder {self.path}.")
            found[name] = array
        return found


def _size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
