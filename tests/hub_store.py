"""What the Hub on loopback remembers: repositories with branches, commits and files, and a
folder of large objects."""

from __future__ import annotations

__all__ = ["Commit", "Entry", "Failure", "Repo", "Store"]

import base64
import hashlib
import re
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".onnx", ".h5", ".png")
LFS_SIZE = 10 << 20


class Failure(Exception):
    """An answer that is an error: the status, and the headers from which the client tells what
    happened."""

    def __init__(self, status: int, message: str, code: str | None = None, **headers: str):
        super().__init__(message)
        self.status = status
        self.more: dict[str, str] = {}
        self.headers = {
            "X-Error-Message": message,
            **({"X-Error-Code": code} if code else {}),
            **headers,
        }


@dataclass(frozen=True)
class Entry:
    """A file of a commit: the git hash of its content (or LFS pointer), and where its bytes are."""

    blob: str
    size: int
    content: bytes | None = None
    sha256: str | None = None

    @classmethod
    def regular(cls, content: bytes) -> Entry:
        return cls(git_blob(content), len(content), content)

    @classmethod
    def lfs(cls, sha256: str, size: int) -> Entry:
        return cls(git_blob(pointer(sha256, size)), size, sha256=sha256)

    def to_dict(self, path: str) -> dict:
        lfs = (
            {"lfs": {"oid": self.sha256, "size": self.size, "pointerSize": 134}}
            if self.sha256
            else {}
        )
        return {"type": "file", "path": path, "size": self.size, "oid": self.blob, **lfs}


@dataclass(frozen=True)
class Commit:
    """A state of a repository and what led to it."""

    sha: str
    files: dict[str, Entry]
    title: str
    message: str
    parent: str | None
    author: str


@dataclass
class Repo:
    """A repository: its branches and tags, and who may read it."""

    id: str
    kind: str
    owner: str
    private: bool = False
    gated: str | bool = False
    disabled: bool = False
    readers: set[str] = field(default_factory=set)
    refs: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)

    def commit(self, revision: str) -> Commit:
        for ref in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            if ref in self.refs:
                return self.commits[self.refs[ref]]
        if revision in self.commits:
            return self.commits[revision]
        raise Failure(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def add_commit(
        self,
        ref: str,
        files: dict[str, Entry],
        title: str,
        message: str,
        author: str,
        parent: str | None,
    ) -> Commit:
        text = repr(
            (
                self.id,
                ref,
                sorted((p, e.blob) for p, e in files.items()),
                title,
                parent,
                len(self.commits),
            )
        )
        commit = Commit(
            hashlib.sha1(text.encode()).hexdigest(), dict(files), title, message, parent, author
        )
        self.commits[commit.sha] = commit
        self.refs[ref] = commit.sha
        return commit

    def info(self, revision: str, blobs: bool) -> dict:
        commit = self.commit(revision)
        siblings = []
        for path, entry in sorted(commit.files.items()):
            more = {"size": entry.size, "blobId": entry.blob} if blobs else {}
            if blobs and entry.sha256:
                more["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": 134}
            siblings.append({"rfilename": path, **more})
        return {
            "_id": self.id,
            "id": self.id,
            "modelId": self.id,
            "author": self.owner,
            "sha": commit.sha,
            "siblings": siblings,
            "private": self.private,
            "gated": self.gated,
            "disabled": self.disabled,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "lastModified": "2025-01-01T00:00:00.000Z",
            "createdAt": "2025-01-01T00:00:00.000Z",
        }


class Store:
    """All repositories, the users by token, and the large objects by SHA-256."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.repos: dict[tuple[str, str], Repo] = {}
        self.users = {"hf_alicealicealice": "alice", "hf_bobbobbob": "bob"}
        self._folder = tempfile.TemporaryDirectory(prefix="hub-")
        self.parts: dict[tuple[str, int], bytes] = {}

    def object_path(self, sha256: str) -> Path:
        return Path(self._folder.name) / sha256

    def add_object(self, sha256: str, content: bytes) -> None:
        if hashlib.sha256(content).hexdigest() != sha256:
            raise Failure(422, "the content does not have this hash")
        temporary = self.object_path(f"{sha256}.{threading.get_ident()}")
        temporary.write_bytes(content)
        temporary.rename(self.object_path(sha256))

    def create(self, name: str, owner: str, kind: str, private: bool, url: str) -> Repo:
        repo_id = f"{owner}/{name}"
        if not re.fullmatch(r"[\w.-]{1,96}", name):
            raise Failure(400, f"Invalid repository name: {name}")
        if (kind, repo_id) in self.repos:
            failure = Failure(409, "You already created this model repo")
            failure.more["url"] = url
            raise failure
        repo = Repo(repo_id, kind, owner, private)
        attributes = "".join(
            f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES
        )
        files = {".gitattributes": Entry.regular(attributes.encode())}
        repo.add_commit("refs/heads/main", files, "initial commit", "", owner, None)
        self.repos[kind, repo_id] = repo
        return repo

    def find(self, kind: str, repo_id: str, user: str | None, *, write: bool = False) -> Repo:
        repo = self.repos.get((kind, repo_id))
        if repo is None or (repo.private and user != repo.owner and user not in repo.readers):
            raise Failure(401 if user is None else 404, "Repository not found", "RepoNotFound")
        if repo.disabled:
            raise Failure(403, "Access to this resource is disabled.")
        if write and user != repo.owner:
            raise Failure(
                401 if user is None else 403, f"You do not have the right to write to {repo_id}"
            )
        return repo

    def apply(
        self, repo: Repo, revision: str, lines: list[dict], user: str, create_pr: bool
    ) -> tuple[Commit, str]:
        """Make a commit out of the lines of a commit request; return it with the name of its
        ref."""
        header, *operations = lines
        base = repo.commit(revision)
        if (parent := header["value"].get("parentCommit")) not in (None, base.sha):
            raise Failure(
                412, f"A commit has happened since {parent[:8]}. Please refresh and try again."
            )
        if not create_pr and revision in repo.commits:
            raise Failure(400, "a commit hash is not a branch")
        files = dict(base.files)
        for operation in operations:
            self._operate(files, operation["key"], operation["value"])
        ref = revision if revision in repo.refs else f"refs/heads/{revision}"
        if create_pr:
            ref = f"refs/pr/{1 + sum(name.startswith('refs/pr/') for name in repo.refs)}"
        title, message = header["value"]["summary"], header["value"].get("description", "")
        return repo.add_commit(ref, files, title, message, user, base.sha), ref

    def _operate(self, files: dict[str, Entry], key: str, value: dict) -> None:
        path = value["path"]
        if key == "file":
            files[path] = Entry.regular(base64.b64decode(value["content"], validate=True))
        elif key == "lfsFile":
            stored = self.object_path(value["oid"])
            if not stored.exists():
                raise Failure(400, f"the object of {path} was not uploaded")
            files[path] = Entry.lfs(value["oid"], stored.stat().st_size)
        elif key == "deletedFile":
            if files.pop(path, None) is None:
                raise Failure(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
        elif key == "deletedFolder":
            for name in [name for name in files if name.startswith(path.rstrip("/") + "/")]:
                del files[name]
        else:
            raise Failure(400, f"unknown operation {key}")


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def pointer(sha256: str, size: int) -> bytes:
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    )
