"""Folders that are written whole or not at all, also when the process is killed in the middle.

A folder is built beside its place under a hidden name, flushed to the disk and then swapped in by
one system call, so that every reader and every crash finds the old folder or the new one.
``docs/hub_format.md`` tells the states one by one.
"""

from __future__ import annotations

__all__ = ["Content", "check_disk", "read_folder", "recover", "stable_copy", "write_folder"]

import contextlib
import ctypes
import errno
import fnmatch
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from causalplug.errors import RepositoryError
from causalplug.files.locks import is_locked, locked
from causalplug.files.validation import safe_relative
from causalplug.selection import without

Content = bytes | str | os.PathLike | Callable[[Path], object]
"""What a file is written from: its bytes, its text (as UTF-8), a file to copy, or a function
that writes to a path."""

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def write_folder(
    path: str | os.PathLike, files: Mapping[str, Content], *, replaces: Sequence[str] = ()
) -> Path:
    """Make the folder hold exactly these files, atomically; return its path.

    If the process dies at any point, the folder is as it was before or complete and on the disk,
    never in between. Files are written in the order of ``files``, into a hidden folder next to
    ``path``, so that a function may read those written before it (``target.parent /
    "model.safetensors"``, to note its hash in a configuration).

    What else the folder holds is the user's and stays, also what appears there while this function
    runs; the exception are the leftovers of earlier writes, which the caller names by ``replaces``:
    patterns of relative names, such as ``"modules/*"``.

    Args:
        path: The folder; need not exist. A symbolic link to a folder is followed.
        files: Relative name, with ``/`` between its parts, to content.
        replaces: Patterns (:mod:`fnmatch`) of files that are removed if they are not among
            ``files``.

    Raises:
        RepositoryError: A name leaves the folder; something of the user's is in the way of a name;
            the folder is, or holds, the current directory or a mount point; the disk refuses. The
            old state is intact in every case.
    """
    target = Path(os.path.realpath(path))
    recover(target)
    for name in files:
        safe_relative(name, where=f"cannot write {target}")
    _check_names(target, files)
    _check_place(target)
    _check_obstacles(target, files)
    staging: Path | None = None
    try:
        with _disk_errors(f"write {target}"), contextlib.ExitStack() as held:
            target.parent.mkdir(parents=True, exist_ok=True)
            with locked(target.parent, exclusive=True):
                _sweep(target)
                staging = target.parent / f".{target.name}.new-{secrets.token_hex(4)}"
                staging.mkdir()
                held.enter_context(
                    locked(staging, exclusive=True)
                )  # tells a sweep that the owner is alive
            for name, content in files.items():
                _write_file(staging / name, content)
            if target.is_dir():
                _carry_over(target, staging, files, replaces)
            for folder, _, _ in _walk(staging):
                _sync(folder)
            with locked(target.parent, exclusive=True):
                old = _swap(staging, target)
                _sync(target.parent)
                if old is not None:
                    try:
                        _carry_over(old, target, files, replaces)  # what appeared since
                    except BaseException:
                        _swap_back(staging, target, old)
                        raise
                    shutil.rmtree(old, ignore_errors=True)
    finally:
        if staging is not None and staging.exists():
            shutil.rmtree(staging, ignore_errors=True)
    return target


@contextlib.contextmanager
def read_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Hold a folder still while several of its files are read: no :func:`write_folder` swaps it in
    between.

    Finishes first what a killed writer left half done. Many readers may hold the same folder. Do
    not write the folder inside.

    Raises:
        RepositoryError: There is no such folder.
    """
    target = Path(os.path.realpath(path))
    if not target.is_dir():
        recover(target)
    if not target.is_dir():
        what = "it does not exist"
        if target.exists():
            what = "it is a file"
        raise RepositoryError(
            f"cannot read the folder {target}: {what}; give the folder that save_pretrained wrote"
        )
    with locked(target.parent, exclusive=False):
        yield target


@contextlib.contextmanager
def stable_copy(path: str | os.PathLike) -> Iterator[Path]:
    """Give a private copy of a folder that no writer changes, for as long as a slow upload takes.

    It is made of hard links where the file system has them, lies beside the folder and is removed
    at the end; if the process is killed, the next :func:`write_folder` of the folder removes it.

    Raises:
        RepositoryError: There is no such folder, or the disk refuses.
    """
    with contextlib.ExitStack() as held:
        with read_folder(path) as target, _disk_errors(f"copy {target}"):
            copy = target.parent / f".{target.name}.new-{secrets.token_hex(4)}"
            try:
                copy.mkdir()
            except OSError:  # nothing may be written beside it
                copy = Path(tempfile.mkdtemp(prefix="causalplug-"))
            held.callback(shutil.rmtree, copy, ignore_errors=True)
            held.enter_context(locked(copy, exclusive=True))
            _carry_over(target, copy, {}, ())
        yield copy


def recover(path: str | os.PathLike) -> None:
    """Finish the work of a writer that was killed between two renames; do nothing in any other
    case.

    Only file systems that cannot exchange two folders in one call ever need it.
    """
    target = Path(os.path.realpath(path))
    if target.exists() or not target.parent.is_dir() or not _siblings(target, "old"):
        return
    with locked(target.parent, exclusive=True):
        for old in _siblings(target, "old"):
            new = old.with_name(old.name.replace(".old-", ".new-"))
            if (
                new.exists() and not target.exists()
            ):  # both exist only between the two renames, when the new is complete
                os.rename(new, target)


def check_disk(path: str | os.PathLike, needed: int, *, what: str) -> None:
    """Raise a RepositoryError unless the disk of ``path`` has room for ``needed`` bytes and a
    reserve of 64 MiB.

    Args:
        path: Where the bytes will go; the nearest folder that exists is asked.
        needed: Bytes.
        what: What cannot be done without them, for the message ("download me/model").
    """
    place = Path(os.path.abspath(path))
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed + (64 << 20) > free:
        raise RepositoryError(
            f"cannot {what}: it needs {needed / 1e6:,.1f} MB and {place} has {free / 1e6:,.1f} MB "
            "free, 64 MiB of which stay in reserve. Free some space or choose another folder "
            "(cache_dir=…)"
        )


@contextlib.contextmanager
def _disk_errors(action: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        at = ""
        if error.filename:
            at = f"{error.filename}: "
        raise RepositoryError(
            f"cannot {action}: {at}{error.strerror or error}. What was there before is unchanged; "
            "free some space or choose another folder"
        ) from error


def _check_names(target: Path, files: Mapping[str, Content]) -> None:
    seen: dict[str, str] = {}
    for name in files:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise RepositoryError(
                f'cannot write {target}: "{other}" and "{name}" are one file on some systems; '
                "rename one"
            )
    for name in files:
        for parent in Path(name).parents:
            if (clash := seen.get(parent.as_posix().casefold())) is not None:
                raise RepositoryError(
                    f'cannot write {target}: "{clash}" would be a file and the folder of '
                    f'"{name}"; rename one'
                )


def _check_place(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise RepositoryError(
            f"cannot write the folder {target}: a file has that name; choose another folder"
        )
    here = Path(os.path.realpath(os.curdir))
    if target in (here, *here.parents):
        raise RepositoryError(
            f"cannot write {target}: it is or holds the current directory, and the folder is "
            f'replaced as a whole. Give a folder inside it, such as "{target / "model"}"'
        )
    if target.is_dir() and os.path.ismount(target):
        raise RepositoryError(
            f"cannot write {target}: it is a mount point, which cannot be replaced as a whole. "
            f'Give a folder inside it, such as "{target / "model"}"'
        )


def _check_obstacles(target: Path, files: Mapping[str, Content]) -> None:
    """Refuse to write a file where the user has a folder, or a folder where the user has
    something else."""
    for name in files:
        place = target / name
        if place.is_dir() and not place.is_symlink():
            raise RepositoryError(f"cannot write {place}: a folder has that name; move it away")
        for parent in Path(name).parents:
            folder = target / parent
            if (
                parent.name
                and os.path.lexists(folder)
                and (folder.is_symlink() or not folder.is_dir())
            ):
                raise RepositoryError(
                    f'cannot write {target / name}: "{parent}" is not a folder there; move it away'
                )


def _write_file(path: Path, content: Content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_bytes(content.encode())
    elif isinstance(content, os.PathLike):
        shutil.copyfile(content, path)
    else:
        content(path)
        if not path.is_file():
            raise RepositoryError(
                f'cannot write "{path.name}": the function that should write it wrote nothing'
            )
        path.chmod(
            stat.S_IMODE(path.parent.stat().st_mode) & 0o666
        )  # some writers leave files that only they can read
    _sync(path)


def _carry_over(
    old: Path, new: Path, files: Mapping[str, Content], replaces: Sequence[str]
) -> None:
    """Bring what is the user's from the old folder into the new one, by hard links where the
    file system has them."""
    taken = {name.casefold() for name in files}
    modes: list[tuple[Path, Path]] = []
    for folder, folders, names in _walk(old):
        if os.path.ismount(folder):
            raise RepositoryError(
                f"cannot write {old}: {folder} is a mount point, which cannot be carried over; "
                "unmount it"
            )
        place = new / folder.relative_to(old)
        if not folders and not names:
            place.mkdir(parents=True, exist_ok=True)
        for name in names:
            here = (folder / name).relative_to(old).as_posix()
            if here in files or any(fnmatch.fnmatchcase(here, pattern) for pattern in replaces):
                continue
            if here.casefold() in taken and os.path.lexists(
                place / name
            ):  # the file system takes the two for one
                continue
            _link(folder / name, place / name)
        if place.is_dir():
            modes.append((folder, place))
    for folder, place in reversed(modes):
        shutil.copymode(folder, place)


def _walk(top: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Like :func:`os.walk`, but a symbolic link to a folder counts as a file and an unreadable
    folder is an error."""

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(top, onerror=fail):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = without(folders, links)
        yield Path(folder), folders, names + links


def _link(source: Path, place: Path) -> None:
    before = source.lstat()
    if os.path.lexists(place) and _is_carried(before, place.lstat()):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{secrets.token_hex(8)}")
    if stat.S_ISLNK(before.st_mode):
        os.symlink(os.readlink(source), temporary)
    else:
        try:
            os.link(source, temporary)
        except OSError:  # no hard links on this file system, or too many of this file
            shutil.copy2(source, temporary)
            _sync(temporary)
    os.replace(temporary, place)


def _is_carried(before: os.stat_result, after: os.stat_result) -> bool:
    if stat.S_ISLNK(before.st_mode):
        return stat.S_ISLNK(after.st_mode)
    is_copy = (before.st_size, before.st_mtime_ns) == (
        after.st_size,
        after.st_mtime_ns,
    ) and stat.S_ISREG(after.st_mode)
    return os.path.samestat(before, after) or is_copy


def _swap(staging: Path, target: Path) -> Path | None:
    """Put ``staging`` in the place of ``target``; return where the old folder now is, if there
    was one."""
    if not target.exists():
        os.rename(staging, target)
        return None
    if _exchange(staging, target):
        return staging
    old = staging.with_name(staging.name.replace(".new-", ".old-"))
    os.rename(target, old)
    os.rename(staging, target)
    return old


def _swap_back(staging: Path, target: Path, old: Path) -> None:
    if old == staging:
        _exchange(staging, target)
    else:
        os.rename(target, staging)
        os.rename(old, target)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one system call; False where the system or the file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def _sweep(target: Path) -> None:
    """Remove what killed writers of this folder left beside it; the folders of living ones are
    locked."""
    for folder in (*_siblings(target, "new"), *_siblings(target, "old")):
        if not is_locked(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _siblings(target: Path, kind: str) -> list[Path]:
    pattern = re.compile(re.escape(f".{target.name}.{kind}-") + "[0-9a-f]{8}")
    found = []
    for name in os.listdir(target.parent):
        if pattern.fullmatch(name):
            found.append(target.parent / name)
    return sorted(found)


def _sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (
            errno.EINVAL,
            errno.ENOTSUP,
        ):  # file systems that cannot flush a folder
            raise
    finally:
        os.close(descriptor)
