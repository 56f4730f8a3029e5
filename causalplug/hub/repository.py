"""Repositories to read from: a folder, a cached snapshot and a Hub id behave alike.

A name is resolved to a commit first; from then on every file comes from that commit.
"""

from __future__ import annotations

__all__ = ["resolve", "resolve_id"]

import logging
import os
import re
import time
from dataclasses import replace
from pathlib import Path

from causalplug.errors import RepositoryError
from causalplug.files.storage import recover
from causalplug.files.validation import safe_relative, short
from causalplug.hub.client import hub_api, hub_errors, is_transient, refused_for_now
from causalplug.hub.revisions import resolved_commit
from causalplug.hub.snapshot import Remote, Snapshot
from causalplug.selection import without

logger = logging.getLogger(__name__)

_REFUSALS = 2  # that are waited for
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPO_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")
_CACHED = re.compile(r"models--(?P<id>.+)")


def resolve(
    source: str | os.PathLike,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike | None = None,
    token: bool | str | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    subfolder: str = "",
) -> Snapshot:
    """Find a repository and fix the commit that will be read.

    A folder that exists is taken as it is. Anything else is the id of a Hub repository: its branch
    or tag is resolved to a commit with one request, which the cache remembers for when there is no
    network; a full commit hash costs none. No file is downloaded yet.

    Args:
        source: A folder, or a Hub id such as "me/frontdoor".
        revision: Branch, tag, pull request ("refs/pr/1") or commit hash; the main branch if None.
            Not for folders.
        cache_dir: Where downloads are kept; the client's cache if None.
        token: A token, True for the logged-in one, False for none, None for the client's default.
        local_files_only: Use no network.
        force_download: Fetch files again even if they are in the cache.
        subfolder: The part of the repository that names are relative to, with ``/``.

    Raises:
        RepositoryError: There is no such folder, repository or revision, access is refused, or
            there is no network and nothing in the cache.
    """
    text = os.fspath(source)
    if not text:
        raise RepositoryError(
            "cannot load a model: its name is empty. Write owner/name, or the path of a folder"
        )
    if subfolder:
        safe_relative(subfolder, where=f"cannot load {short(text)}")
    folder = Path(text).expanduser()
    recover(folder)
    if folder.is_dir():
        policy = Remote(_text(cache_dir), token, local_files_only, force_download)
        return replace(_local(folder, text, revision, subfolder), _policy=policy)
    if folder.exists():
        raise RepositoryError(
            f"cannot load {short(text)}: it is a file. Give the folder that it lies in"
        )
    if not isinstance(source, str):
        raise RepositoryError(f"cannot load {short(text)}: there is no such folder. Check the path")
    try:
        return resolve_id(
            text,
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
            force_download=force_download,
            subfolder=subfolder,
        )
    except RepositoryError as error:
        if not _REPO_ID.fullmatch(text):
            raise
        message = f"{str(error).rstrip('.')}. There is no folder of that name either"
        raise RepositoryError(message) from error.__cause__


def resolve_id(
    repo_id: str,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike | None = None,
    token: bool | str | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    subfolder: str = "",
) -> Snapshot:
    """Like :func:`resolve`, for the id of a Hub repository alone: a folder of that name is not
    looked at."""
    if not _REPO_ID.fullmatch(repo_id) or ".." in repo_id or "--" in repo_id or len(repo_id) > 96:
        raise RepositoryError(f"cannot load {short(repo_id)}: {_misread(repo_id)}")
    if subfolder:
        safe_relative(subfolder, where=f"cannot load {repo_id}")
    from huggingface_hub import constants

    cache = Path(os.path.realpath(Path(cache_dir or constants.HF_HUB_CACHE).expanduser()))
    sha = _commit(repo_id, revision, cache, token, local_files_only)
    if not _COMMIT.fullmatch(sha):
        raise RepositoryError(
            f"cannot load {repo_id}: {short(sha)} is not the hash of a commit; resolve it online "
            "again"
        )
    storage = cache / f"models--{repo_id.replace('/', '--')}"
    return Snapshot(
        path=storage / "snapshots" / sha / subfolder,
        repo_id=repo_id,
        requested_revision=revision,
        revision=sha,
        subfolder=subfolder,
        boundary=storage,
        _remote=Remote(str(cache), token, local_files_only, force_download),
    )


def _commit(
    repo_id: str,
    revision: str | None,
    cache: Path,
    token: bool | str | None,
    local_files_only: bool,
) -> str:
    """The commit that a revision means: asked of the Hub, again where it refuses for now, and of
    the cache where it does not answer."""

    def asked(offline: bool) -> str:
        return resolved_commit(hub_api(token), repo_id, revision, cache, local_files_only=offline)

    def asked_again() -> str:
        for _ in range(_REFUSALS):
            try:
                return asked(local_files_only)
            except Exception as error:
                wait = refused_for_now(error)
                if wait is None:
                    raise
                logger.warning("%s is refused for now, asking again in %g s", repo_id, wait)
                time.sleep(wait)
        return asked(local_files_only)

    with hub_errors(f"load {repo_id}", repo_id, revision, token=token):
        try:
            return asked_again()
        except Exception as error:
            if local_files_only or not is_transient(error):
                raise
            try:
                return asked(offline=True)
            except Exception:
                raise error from error.__cause__


def _text(path: str | os.PathLike | None) -> str | None:
    """A path as text."""
    return None if path is None else os.fspath(path)


def _local(folder: Path, text: str, revision: str | None, subfolder: str) -> Snapshot:
    real = Path(os.path.realpath(folder))
    if not (real / subfolder).is_dir():
        raise RepositoryError(
            f"cannot load {short(text)}: it has no folder {short(subfolder)}; check subfolder=…"
        )
    for at in (real, *real.parents):
        cached = _CACHED.fullmatch(at.parent.parent.name)
        if at.parent.name == "snapshots" and cached and _COMMIT.fullmatch(at.name):
            if revision not in (None, at.name):
                raise RepositoryError(
                    f"cannot load {short(text)} at {short(revision)}: this folder is commit "
                    f"{at.name}"
                )
            inner = "/".join(without((real.relative_to(at).as_posix(), subfolder), ("", ".")))
            repo_id = cached["id"].replace("--", "/")
            return Snapshot(
                real / subfolder, repo_id, at.name, at.name, inner, boundary=at.parent.parent
            )
    if revision is not None:
        raise RepositoryError(
            f"cannot load {short(text)} at revision {short(revision)}: it is a folder here, which "
            "has no revisions. Leave revision=… out, or rename the folder if you mean the Hub "
            "repository of that name"
        )
    return Snapshot(real / subfolder, None, None, None, subfolder, boundary=real)


def _misread(text: str) -> str:
    address = re.fullmatch(r"https?://[^/]+/([\w.-]+/[\w.-]+?)(?:/.*)?", text)
    if address:
        return f'that is an address, not the name of a repository. Give "{address[1]}"'
    if text.startswith(("/", ".", "~")) or text.count("/") > 1 or not text or "\\" in text:
        return (
            "there is no such folder, and it is not the name of a Hub repository (owner/name). "
            "Check the path"
        )
    return (
        "it is neither a folder that exists nor the name of a Hub repository. Write owner/name, "
        "or the path of a folder"
    )
