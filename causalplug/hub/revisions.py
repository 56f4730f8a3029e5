"""The commit that a branch or a tag is at, remembered in the client's cache for when there is no
network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from causalplug.hub.client import is_transient

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["resolved_commit"]

_COMMIT = re.compile(r"[0-9a-f]{40}")


def resolved_commit(
    api: HfApi, repo_id: str, revision: str | None, cache: Path, *, local_files_only: bool
) -> str:
    """The commit of a revision, by the client's own way where it has one.

    Args:
        api: The client.
        repo_id: The repository.
        revision: Branch, tag or commit; the main branch if None.
        cache: The client's cache.
        local_files_only: Ask no server.

    Raises:
        OSError, HfHubHTTPError, LocalEntryNotFoundError: As the client does.
    """
    if "resolve_revision" in dir(api):
        found = api.resolve_revision(
            repo_id, revision=revision, cache_dir=cache, local_files_only=local_files_only
        )
        return str(found.resolved)
    return _by_hand(api, repo_id, revision or "main", cache, local_files_only)


def _by_hand(api: HfApi, repo_id: str, revision: str, cache: Path, local: bool) -> str:
    """What ``resolve_revision`` does, for clients that do not have it."""
    from huggingface_hub import constants, errors

    if _COMMIT.fullmatch(revision):
        return revision
    reference = cache / f"models--{repo_id.replace('/', '--')}" / "refs" / revision
    cause: Exception | None = None
    if not (local or constants.HF_HUB_OFFLINE):
        try:
            commit = str(api.model_info(repo_id, revision=revision).sha)
            reference.parent.mkdir(parents=True, exist_ok=True)
            reference.write_text(commit, encoding="utf-8")
            return commit
        except (OSError, RuntimeError) as error:
            if not is_transient(error):
                raise
            cause = error
    if reference.is_file():
        return reference.read_text(encoding="utf-8").strip()
    raise errors.LocalEntryNotFoundError(f"{repo_id} is not in the cache") from cause
