"""Publishing a folder on the Hub: one commit, which is there whole or not at all."""

from __future__ import annotations

__all__ = ["push_folder"]

import fnmatch
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from causalplug.errors import RepositoryError
from causalplug.files.storage import stable_copy
from causalplug.files.validation import regular_file, safe_relative, short
from causalplug.hub.client import hub_api, hub_errors, patiently, refuse_tokens

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
_TEXTS = (".json", ".jsonl", ".md", ".txt", ".yaml", ".yml", ".toml", ".py", ".csv")
_SECRET = re.compile(rb"\bhf_(?:oauth_)?[A-Za-z0-9]{30,}")


def push_folder(
    folder: str | os.PathLike,
    repo_id: str,
    *,
    kind: Literal["model", "space"] = "model",
    revision: str | None = None,
    private: bool | None = None,
    gated: Literal["auto", "manual", False] | None = None,
    create_pr: bool = False,
    commit_message: str = "Upload with causalplug",
    commit_description: str | None = None,
    parent_commit: str | None = None,
    token: bool | str | None = None,
    replaces: Sequence[str] = (),
    ignore_patterns: Sequence[str] = (),
) -> CommitInfo:
    """Publish a folder as one commit; create the repository and the branch if they do not exist.

    Large files are uploaded first, by the client's own way; the Hub stores them by their hash, so
    that a push that broke off goes on where it stopped, and files that the Hub has already are not
    sent again. Then one request makes the commit: it is there whole or not at all. If nothing
    changed there is no new commit.

    The folder may be written to meanwhile: what is pushed is its state at the start. Hidden files
        stay at home.

    Args:
        folder: What :func:`~causalplug.files.storage.write_folder` wrote.
        repo_id: "owner/name", or "name" for the logged-in user.
        kind: What the repository is: a model, or a Space of Gradio.
        revision: Branch; "main" if None.
        private: For a repository that is created now; None is the owner's default.
        gated: Whether readers must ask ("manual") or agree ("auto") first; None leaves it as it is.
        create_pr: Propose the commit as a pull request instead.
        commit_message: One line.
        commit_description: More, as Markdown.
        parent_commit: Refuse if the branch has moved on from this commit.
        token: A token, True for the logged-in one, None for the client's default.
        replaces: Patterns of files of the repository that are deleted if the folder does not have
            them, as for :func:`~causalplug.files.storage.write_folder`.
        ignore_patterns: Files of the folder that stay at home.

    Returns:
        the commit: ``oid``, ``commit_url``, ``pr_url``.

    Raises:
        RepositoryError: The folder is empty, holds a pickle, a token, or a link that leaves it;
            access is refused; someone else changed the repository; the Hub cannot be reached.
            Nothing was published then.
    """
    texts = {
        "repo_id": repo_id,
        "revision": revision,
        "commit_message": commit_message,
        "commit_description": commit_description,
    }
    refuse_tokens(texts, "publish the folder")
    api = hub_api(token)
    with (
        stable_copy(folder) as copy,
        hub_errors(f"push to {repo_id}", repo_id, revision, token=token),
    ):
        names = _choose(copy, str(folder), ignore_patterns)
        _check_contents(copy, names, str(folder), token)
        if not create_pr:
            repo_id = _created(api, repo_id, kind, private)
            if revision is not None and revision != "main" and not revision.startswith("refs/"):
                api.create_branch(repo_id, branch=revision, repo_type=kind, exist_ok=True)
            if gated is not None:
                api.update_repo_settings(repo_id, gated=gated, repo_type=kind)

        def commit() -> CommitInfo:
            return api.create_commit(
                repo_id,
                _operations(api, repo_id, kind, revision, copy, names, replaces),
                repo_type=kind,
                commit_message=commit_message,
                commit_description=commit_description,
                revision=revision,
                create_pr=create_pr,
                parent_commit=parent_commit,
            )

        # a pull request whose answer was lost would be opened twice
        return patiently(commit, f"push to {repo_id}", attempts=1 if create_pr else 3)


def _created(api: HfApi, repo_id: str, kind: str, private: bool | None) -> str:
    """The id of the repository, which is made if it does not exist."""
    sdk = None
    if kind == "space":
        sdk = "gradio"
    made = api.create_repo(repo_id, repo_type=kind, space_sdk=sdk, private=private, exist_ok=True)
    return str(made.repo_id)


def _choose(copy: Path, folder: str, ignore_patterns: Sequence[str]) -> list[str]:
    names = []
    for place, folders, files in os.walk(copy):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in files:
            name = (Path(place) / file).relative_to(copy).as_posix()
            ignored = any(fnmatch.fnmatchcase(name, pattern) for pattern in ignore_patterns)
            if not file.startswith(".") and not ignored:
                names.append(safe_relative(name, where=f"cannot push {folder}"))
    if not names:
        raise RepositoryError(
            f"cannot push {folder}: it has no files to publish; save the model into it first"
        )
    return sorted(names)


def _encoded(*tokens: object) -> list[bytes]:
    """The tokens that are text, as they would stand in a file."""
    return [token.encode() for token in tokens if isinstance(token, str) and token]


def _check_contents(copy: Path, names: list[str], folder: str, token: bool | str | None) -> None:
    from huggingface_hub import get_token

    secrets = _encoded(token, get_token())
    for name in names:
        if name.endswith(_PICKLES):
            raise RepositoryError(
                f"cannot push {folder}: {short(name)} is a pickle, which could run any code on the "
                "computers of those who load it. Save it as safetensors, move it away, or name it "
                "in ignore_patterns"
            )
        path = regular_file(copy / name, within=copy)
        if name.endswith(_TEXTS) and path.stat().st_size < 4 << 20:
            text = path.read_bytes()
            if _SECRET.search(text) or any(secret in text for secret in secrets):
                raise RepositoryError(
                    f"cannot push {folder}: {short(name)} contains a token for the Hub, which "
                    "everybody could then use. Remove it from the file, and revoke it if it was "
                    "published before"
                )


def _operations(
    api: HfApi,
    repo_id: str,
    kind: str,
    revision: str | None,
    copy: Path,
    names: list[str],
    replaces: Sequence[str],
) -> list[CommitOperationAdd | CommitOperationDelete]:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=copy / name) for name in names
    ]
    if replaces:
        for name in api.list_repo_files(repo_id, revision=revision, repo_type=kind):
            if name not in names and any(
                fnmatch.fnmatchcase(name, pattern) for pattern in replaces
            ):
                operations.append(CommitOperationDelete(path_in_repo=name, is_folder=False))
    return operations
