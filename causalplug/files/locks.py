"""Advisory locks on folders that die with the process and leave no file behind."""

from __future__ import annotations

__all__ = ["is_locked", "locked"]

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

from causalplug.errors import RepositoryError

try:
    import fcntl
except (
    ImportError
):  # Windows has no flock: there, writers of the same folder must not run at the same time
    fcntl = None  # type: ignore[assignment]

_LOCK_SECONDS = 300.0
_NO_LOCKS = {errno.ENOLCK, errno.EBADF, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS}


@contextlib.contextmanager
def locked(folder: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold an advisory lock on a folder; it dies with the process and leaves no file behind.

    Where the file system knows no locks, or the folder may not be read, there is none, and
    concurrent writers must be avoided.
    """
    if fcntl is None:
        yield
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        yield
        return
    try:
        if exclusive:
            kind = fcntl.LOCK_EX
        else:
            kind = fcntl.LOCK_SH
        deadline, pause = time.monotonic() + _LOCK_SECONDS, 0.001
        while True:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RepositoryError(
                        f"cannot lock {folder}: another process has been reading or writing there "
                        f"for {_LOCK_SECONDS:.0f} s; wait for it, or write into another folder"
                    ) from None
                time.sleep(pause)
                pause = min(2 * pause, 0.05)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                break
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether a living process holds the folder; where there are no locks: whether it changed
    within a day."""
    if fcntl is None:
        return time.time() - folder.stat().st_mtime < 86_400
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
