"""A snapshot: one state of a repository, whose files are fetched when they are first needed.

Every file comes from one commit, is checked against the hash that the Hub lists for it, and is read
from the disk ever after.
"""

from __future__ import annotations

__all__ = ["Referred", "Snapshot", "check_pinned", "check_trust", "refuse_users_keys"]

import contextlib
import difflib
import fnmatch
import functools
import glob
import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from causalplug.errors import RepositoryError
from causalplug.files.facts import Facts, agrees, is_pointer
from causalplug.files.storage import check_disk, read_folder
from causalplug.files.validation import regular_file, safe_relative, short
from causalplug.hub.client import bound_requests, hub_errors, patiently
from causalplug.hub.listing import Listing, list_commit, list_folder
from causalplug.hub.opened import Opened
from causalplug.selection import map_values
from causalplug.values import Json, Named

logger = logging.getLogger(__name__)

_PLACES = ("pipeline", "model", "backbone")  # where a configuration says where its files are
_USERS = frozenset(
    {
        "cache_dir",
        "code_revision",
        "custom_pipeline",
        "custom_revision",
        "device_map",
        "force_download",
        "local_dir",
        "local_files_only",
        "proxies",
        "token",
        "trust_remote_code",
        "use_auth_token",
    }
)


class Referred(Protocol):
    """What a snapshot knows of the reference that led to it."""

    @property
    def repo_id(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def subfolder(self) -> str: ...
    @property
    def license(self) -> str | None: ...
    def to_dict(self) -> Json: ...


def check_pinned(repo_id: str, revision: str) -> None:
    """Refuse what is not pinned.

    Raises:
        RepositoryError: ``revision`` is not the full hash of a commit, so that what it means may
            change.
    """
    if len(revision) != 40 or set(revision) - set("0123456789abcdef"):
        raise RepositoryError(
            f"cannot refer to {repo_id} at {short(revision)}: that is not the full hash of a "
            "commit, so what it means may change. Load it from the Hub, which finds the commit, "
            "and save the model again"
        )


@dataclass(frozen=True)
class Remote:
    """How files of a Hub repository are fetched."""

    cache_dir: str | None
    token: bool | str | None = field(repr=False)
    local_files_only: bool
    force_download: bool


@dataclass(frozen=True)
class Snapshot:
    """One state of a repository: a folder as it is, or one commit of a Hub repository.

    Attributes:
        path: The folder that holds what has been fetched; file names are relative to it.
        repo_id: The Hub id; None for a folder.
        requested_revision: What the user asked for; None for the main branch or a folder.
        revision: The commit, 40 hex digits; None for a folder.
        subfolder: The part of the repository that is looked at.
        boundary: The folder that symbolic links must not leave.
        recorded: Size and hash of the files, if this is a reference to those files alone.
        reference: What led here, or what these files are a copy of, if a model said so.
    """

    path: Path
    repo_id: str | None
    requested_revision: str | None
    revision: str | None
    subfolder: str
    boundary: Path
    recorded: Mapping[str, Facts] | None = field(default=None, repr=False)
    reference: Referred | None = field(default=None, repr=False)
    _remote: Remote | None = None
    _policy: Remote | None = None
    _passed: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    _opened: dict[int, Opened] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __str__(self) -> str:
        if self.repo_id:
            name = f"{self.repo_id}@{str(self.revision)[:8]}"
        else:
            name = str(self.boundary)
        if self.subfolder:
            return f"{name}/{self.subfolder}"
        return name

    @property
    def key(self) -> str:
        """A text that is the same for two snapshots only if they hold the same files."""
        if self.repo_id:
            return f"{self.repo_id}@{self.revision}/{self.subfolder}"
        return str(self.path)

    @property
    def is_online(self) -> bool:
        """Whether its files are fetched from the Hub."""
        return self._remote is not None

    @property
    def is_pinned(self) -> bool:
        """Whether the user gave a full commit hash, so that the repository's owner cannot change
        what is loaded."""
        return self.revision is not None and self.requested_revision == self.revision

    def access_to(self, repo_id: str, revision: str) -> Json:
        """How to resolve another repository that this one's configuration names: as this one was
        opened.

        Args:
            repo_id, revision: Repo id and revision of the other repository.

        Returns:
            ``cache_dir``, ``token`` and ``local_files_only``, as the user gave them.

        Raises:
            RepositoryError: The name is not that of a repository, or the revision is not the full
                hash of a commit.
        """
        check_pinned(repo_id, revision)
        if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repo_id):
            raise RepositoryError(
                f"cannot load {self}: {short(repo_id)} is not the name of a Hub repository"
            )
        keys = ("cache_dir", "token", "local_files_only")
        policy = self._remote or self._policy
        if policy is None:
            return {}
        return {key: vars(policy)[key] for key in keys}

    @functools.cached_property
    def license(self) -> str | None:
        """The licence that the repository's card declares, such as "apache-2.0"; None if it
        declares none."""
        from causalplug.hub.card import card_data

        depth = len(Path(self.subfolder).parts)
        whole = replace(
            self, path=(self.path, *self.path.parents)[depth], subfolder="", recorded=None
        )
        try:
            found = None
            if whole.has("README.md"):
                data = card_data(whole.file("README.md"))
                found = data.get("license")
                if found == "other":  # the Hub's word for one without an identifier of its own
                    found = data.get("license_name") or found
        except RepositoryError as error:  # without network; a model must load all the same
            logger.warning("the licence of %s cannot be read: %s", self, error)
            return None
        if isinstance(found, str):
            return found
        return None

    @property
    def used(self) -> tuple[str, ...]:
        """The files that loading needs, in order of their names: those recorded, or those asked
        for so far."""
        return tuple(sorted(self.recorded or self._passed))

    def files(self) -> dict[str, Json]:
        """List the files: relative name to size and hash (``sha256`` or ``blob``; for a folder the
        size alone).

        On the Hub this is one request, made once; none if the client has fetched from this commit
        before. A reference lists what it recorded.

        Raises:
            RepositoryError: The Hub cannot be reached; the list is too long, or has names that
                leave the folder.
        """
        return dict(self._listing)

    @functools.cached_property
    def _listing(self) -> Listing:
        if self.recorded is not None:
            return map_values(dict, self.recorded)
        found = None
        if self._remote is not None and self.repo_id is not None and self.revision is not None:
            online = not self._remote.local_files_only
            found = list_commit(
                self.repo_id, self.revision, self.boundary, self._remote.token, online=online
            )
        if found is None:
            return list_folder(self.path)
        prefix = ""
        if self.subfolder:
            prefix = f"{self.subfolder}/"
        by_name = {}
        for name, facts in found.items():
            if name.startswith(prefix):
                by_name[name.removeprefix(prefix)] = facts
        return by_name

    def has(self, name: str) -> bool:
        """Whether the repository has this file; a file on the disk costs no request."""
        safe_relative(name, where=f"cannot load {self}")
        return (self.recorded is None and os.path.isfile(self.path / name)) or name in self._listing

    def file(self, name: str, *, facts: Facts | None = None) -> Path:
        """Return the path of one file on the disk, fetched if need be.

        Args:
            name: Relative name, with ``/``.
            facts: Size and hash that it must have, if they were recorded.

        Raises:
            RepositoryError: As :meth:`fetch`; or the file is a link that leaves the repository, or
                not a plain file.
        """
        self.fetch(name, facts=None if facts is None else {name: facts})
        return self.path / name

    def fetch(self, *patterns: str, facts: Mapping[str, Facts] | None = None) -> Path:
        """Bring files to the disk and return the folder.

        Files that are there already cost no request. New ones are checked against the hashes that
        the Hub lists, the room on the disk before any is downloaded. A download that breaks is
        taken up again where it stopped.

        Args:
            patterns: Names, or patterns as of :mod:`fnmatch` (which need the list of files, one
                request).
            facts: Name to recorded size and hash. A file in the cache that disagrees is fetched
                again, once.

        Raises:
            RepositoryError: A file is missing, damaged, or does not have the recorded hash; the
                disk is too small; or what the Hub's client reports.
        """
        facts = {**(self.recorded or {}), **(facts or {})}
        names = self._expand(patterns)
        by_state: dict[str, list[str]] = {"absent": [], "again": []}
        for name in names:
            by_state.setdefault(self._state(name, facts.get(name)), []).append(name)
        if by_state["absent"] or by_state["again"]:
            self._bring(by_state["absent"], by_state["again"], facts)
        for name in names:
            regular_file(self.path / name, within=self.boundary)
        self._passed.update(names)
        return self.path

    def _bring(self, absent: list[str], again: list[str], facts: Mapping[str, Facts]) -> None:
        """Download what is absent, and again what is on the disk but must not be used."""
        missing = absent + again
        if self._remote is None:
            if absent:
                raise self._lacks(absent[0])
            raise self._disagrees(again[0], "save or copy it again")
        if self._remote.local_files_only:
            raise RepositoryError(
                f"cannot load {self}: {short(missing[0])} is not in the cache ({self.path}) or is "
                "damaged there, and the network may not be used. Load it once with "
                "local_files_only=False"
            )
        for name in missing:
            self._check_listed(name, facts)
        size = sum(self._listing[name]["size"] for name in missing)
        check_disk(self.path, size, what=f"download {self}")
        self._download(absent, force=False)
        self._download(again, force=True)
        for name in missing:
            self._check_brought(name, facts)

    def _check_listed(self, name: str, facts: Mapping[str, Facts]) -> None:
        """Refuse a file that the repository lacks, or lists with other facts."""
        if name not in self._listing:
            raise self._lacks(name)
        if name in facts and not _compatible(facts[name], self._listing[name]):
            raise self._disagrees(name, "the repository does not hold what was recorded")

    def _check_brought(self, name: str, facts: Mapping[str, Facts]) -> None:
        """Remove a file that came otherwise than it was listed, and refuse it."""
        if agrees(self.path / name, {**self._listing[name], **facts.get(name, {})}):
            return
        for place in (Path(os.path.realpath(self.path / name)), self.path / name):
            place.unlink(missing_ok=True)
        raise self._disagrees(name, "it was removed from the cache, try again")

    @contextlib.contextmanager
    def hold(self) -> Iterator[Path]:
        """Hold a folder still while several files are read (see
        :func:`~causalplug.files.storage.read_folder`)."""
        with (
            read_folder(self.boundary)
            if self._remote is None and self.revision is None
            else contextlib.nullcontext()
        ):
            yield self.path

    @contextlib.contextmanager
    def open(self) -> Iterator[Opened]:
        """Hold the repository still and read its configuration and its weights, each once: what
        the same thread opens inside is what is open already."""
        thread = threading.get_ident()
        if thread in self._opened:
            yield self._opened[thread]
            return
        with self.hold():
            self._opened[thread] = Opened(self)
            try:
                yield self._opened[thread]
            finally:
                del self._opened[thread]

    def _expand(self, patterns: tuple[str, ...]) -> list[str]:
        names: dict[str, None] = {}
        for pattern in patterns:
            if glob.has_magic(pattern):
                matching = []
                for n in sorted(self._listing):
                    if fnmatch.fnmatchcase(n, pattern):
                        matching.append(n)
                names.update(dict.fromkeys(matching))
            else:
                names[pattern] = None
        for name in names:
            safe_relative(name, where=f"cannot load {self}")
        return list(names)

    def _state(self, name: str, facts: Facts | None) -> str:
        """Whether a file is "here", "absent", or has to be fetched "again"."""
        if name in self._passed and facts == (self.recorded or {}).get(name):
            return "here"
        path = self.path / name
        if not os.path.isfile(path):
            return "absent"
        if self._remote is not None and self._remote.force_download and name not in self._passed:
            return "again"
        right = facts is None or agrees(regular_file(path, within=self.boundary), facts)
        if right:
            return "here"
        return "again"

    def _download(self, names: list[str], *, force: bool) -> None:
        if not names:
            return
        from huggingface_hub import snapshot_download

        from causalplug import __version__

        remote, repo_id = self._remote, self.repo_id
        assert remote is not None
        assert repo_id is not None
        prefix = ""
        if self.subfolder:
            prefix = f"{self.subfolder}/"

        bound_requests()

        def download() -> None:
            snapshot_download(
                repo_id,
                revision=self.revision,
                cache_dir=remote.cache_dir,
                allow_patterns=[glob.escape(prefix + name) for name in names],
                force_download=force,
                token=remote.token,
                library_name="causalplug",
                library_version=__version__,
            )

        with hub_errors(f"download {self}", repo_id, self.revision, token=remote.token):
            patiently(download, f"download of {self}")

    def _lacks(self, name: str) -> RepositoryError:
        names = list(self._listing)
        near = difflib.get_close_matches(name, names, n=1)
        pickled = []
        for n in names:
            if n.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")):
                pickled.append(n)
        hint = "check the name, revision=… and subfolder=…"
        if near:
            hint = f"did you mean {short(near[0])}?"
        if name.endswith(".safetensors") and pickled:
            hint = (
                f"{short(pickled[0])} is a pickle, which is never opened; ask its owner for "
                "safetensors"
            )
        return RepositoryError(f"cannot load {self}: it has no file {short(name)}; {hint}")

    def _disagrees(self, name: str, way_out: str) -> RepositoryError:
        if is_pointer(self.path / name):
            return RepositoryError(
                f"cannot load {self}: {short(name)} is a pointer of Git LFS, not the file itself; "
                "run git lfs pull in the folder that was cloned"
            )
        return RepositoryError(
            f"cannot load {self}: {short(name)} does not have the recorded size and hash; {way_out}"
        )


def refuse_users_keys(config: Named, where: str) -> None:
    """Refuse a configuration that says what its user alone decides: how repositories are fetched,
    and whether their code may run.

    Args:
        config: The configuration of a mechanism or an encoder.
        where: The file, for the message.

    Raises:
        RepositoryError: It has such a key, or the place of its files has.
    """
    places = [config[name] for name in _PLACES if isinstance(config.get(name), Mapping)]
    found = []
    for place in (config, *places):
        for key in place:
            if key in _USERS:
                found.append(key)
    if found:
        raise RepositoryError(
            f"cannot use {where}: it sets {', '.join(found)}, which whoever loads it decides. Take "
            "the key out of the file"
        )


def check_trust(snapshot: Snapshot, trust_remote_code: bool, *, needs: str) -> None:
    """Raise unless the user allowed code of this repository to run and fixed the commit that it is
    taken from.

    Args:
        snapshot: The repository whose code would run.
        trust_remote_code: What the user said.
        needs: The file with the code, for the message.

    Raises:
        RepositoryError: The user did not allow it, or the revision may change under them.
    """
    if not trust_remote_code:
        raise RepositoryError(
            f"cannot load {snapshot}: it needs code of its own ({short(needs)}), which may do "
            "anything on this computer. Read it, then pass trust_remote_code=True and its commit "
            "hash as revision=…"
        )
    if snapshot.repo_id is not None and not snapshot.is_pinned:
        raise RepositoryError(
            f"cannot load {snapshot}: trust_remote_code=True needs a pinned revision, since a "
            f'branch may change after you read its code. Pass revision="{snapshot.revision}"'
        )


def _compatible(recorded: Facts, listed: Facts) -> bool:
    return all(
        recorded[key] == listed[key]
        for key in ("size", "sha256", "blob")
        if key in recorded and key in listed
    )
