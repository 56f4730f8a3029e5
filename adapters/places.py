"""Where an adapter's files lie: found when it is loaded, written down when it is saved."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from causalplug.hub.repository import resolve
from causalplug.hub.snapshot import Snapshot
from causalplug.values import Json, Named

__all__ = ["place_of", "reference_of", "snapshot_of"]


def snapshot_of(
    source: str | PathLike[str] | Snapshot,
    *,
    revision: str | None = None,
    subfolder: str = "",
    cache_dir: str | PathLike[str] | None = None,
    token: bool | str | None = None,
    local_files_only: bool = False,
) -> Snapshot:
    """The files that a source names, pinned to a commit; a snapshot stays the one it is.

    Args:
        source: A folder, a Hub id or a snapshot.
        revision, subfolder, cache_dir, token, local_files_only: As in ``huggingface_hub``.
    """
    if isinstance(source, Snapshot):
        return source
    return resolve(
        source,
        revision=revision,
        subfolder=subfolder or "",
        cache_dir=cache_dir,
        token=token,
        local_files_only=local_files_only,
    )


def reference_of(snapshot: Snapshot) -> Json:
    """Repository, commit and subfolder of files on the Hub; empty for a folder."""
    if snapshot.repo_id is None:
        return {}
    return {
        "repo_id": snapshot.repo_id,
        "revision": snapshot.revision,
        "subfolder": snapshot.subfolder,
    }


def place_of(location: Named, snapshot: Snapshot, folder: str) -> tuple[str | Path, Json]:
    """What a saved adapter refers to, as a source and the options of its ``from_pretrained``.

    Args:
        location: What :func:`reference_of` gave, and further options.
        snapshot: The repository that names it.
        folder: Where the repository keeps a copy, if it refers to no other one.
    """
    options = dict(location)
    options.pop("requested_revision", None)
    if "repo_id" not in options:
        snapshot.fetch(f"{folder}/*")
        return snapshot.path / folder, options
    place = str(options.pop("repo_id"))
    return place, options | snapshot.access_to(place, options["revision"])
