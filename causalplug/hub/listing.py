"""Lists of a repository's files, with the sizes and hashes that downloads are checked against."""

from __future__ import annotations

__all__ = ["Listing", "list_commit", "list_folder"]

import os
from pathlib import Path

from causalplug.errors import RepositoryError
from causalplug.files.validation import check_keys, read_json
from causalplug.hub.client import hub_api, hub_errors, patiently
from causalplug.values import Json

Listing = dict[str, Json]
"""Relative name to ``size``, and ``sha256`` or ``blob`` where they are known."""

_MAX_FILES = 20_000
_TREE = {
    "format_version": int,
    "files": {
        str: {
            "size": int,
            "blob_id": str,
            "lfs_sha256?": str | None,
            "lfs_size?": int | None,
            "xet_hash?": str | None,
        }
    },
}


def list_folder(folder: Path) -> Listing:
    """List a folder; the hashes are not computed.

    Raises:
        RepositoryError: There are more than 20,000 files.
    """
    found: Listing = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        for name in names:
            path = Path(place) / name
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = {"size": path.stat().st_size}
        _check_count(len(found), str(folder))
    return dict(sorted(found.items()))


def list_commit(
    repo_id: str, commit: str, storage: Path, token: bool | str | None, *, online: bool
) -> Listing | None:
    """List a commit: as the client remembers it in its cache, or else by asking the Hub.

    Args:
        repo_id, commit: What is listed.
        storage: The repository's folder in the cache.
        token: For the Hub.
        online: Whether the Hub may be asked.

    Returns:
        the list; None if the Hub would have to be asked and may not be.

    Raises:
        RepositoryError: The Hub cannot be reached, or there are more than 20,000 files.
    """
    found = _remembered(storage / "trees" / f"{commit}.json")
    if found is None and online:
        with hub_errors(f"list the files of {repo_id}@{commit[:8]}", repo_id, commit, token=token):
            found = patiently(lambda: _asked(repo_id, commit, token), f"list of {repo_id}")
    if found is None:
        return None
    return dict(sorted(found.items()))


def _asked(repo_id: str, commit: str, token: bool | str | None) -> Listing:
    from huggingface_hub.hf_api import RepoFile

    found: Listing = {}
    for entry in hub_api(token).list_repo_tree(repo_id, recursive=True, revision=commit):
        if isinstance(entry, RepoFile):
            found[entry.path] = _facts(
                entry.size, entry.blob_id, None if entry.lfs is None else entry.lfs.sha256
            )
            _check_count(len(found), repo_id)
    return found


def _remembered(path: Path) -> Listing | None:
    """The list that the client keeps since it downloaded from this commit; None if there is none
    that can be read."""
    try:
        tree = check_keys(read_json(path, max_bytes=16 << 20), _TREE, where=str(path))
    except RepositoryError:
        return None
    if tree["format_version"] != 1:
        return None
    found = {}
    for n, f in tree["files"].items():
        found[n] = _facts(f["size"], f["blob_id"], f.get("lfs_sha256"))
    return found


def _facts(size: int, blob: str, sha256: str | None) -> Json:
    if sha256:
        return {"size": size, "sha256": sha256}
    return {"size": size, "blob": blob}


def _check_count(count: int, name: str) -> None:
    if count > _MAX_FILES:
        raise RepositoryError(
            f"cannot load {name}: it has more than {_MAX_FILES:,} files; give the model a place of "
            "its own"
        )
