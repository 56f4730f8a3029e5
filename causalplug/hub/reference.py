"""References: the frozen parts of a model, by repository and commit instead of by value."""

from __future__ import annotations

__all__ = ["REFERENCE_SCHEMA", "Reference", "follow"]

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from causalplug.errors import RepositoryError
from causalplug.files.facts import file_facts
from causalplug.files.validation import check_keys, safe_relative, short
from causalplug.hub.repository import resolve_id
from causalplug.hub.snapshot import Snapshot, check_pinned
from causalplug.selection import map_values
from causalplug.values import Json, Named

REFERENCE_SCHEMA = {
    "repo_id": str,
    "revision": str,
    "requested_revision?": str | None,
    "subfolder?": str,
    "license?": str | None,
    "files?": {str: {"size": int, "sha256?": str, "blob?": str}},
}
"""What a reference looks like in a configuration, for
:func:`~causalplug.files.validation.check_keys`."""

_MAX_CHAIN = 8


@dataclass(frozen=True)
class Reference:
    """A frozen part that stays where it is: which commit of which repository, and the hashes of its
    files.

    Attributes:
        repo_id: The Hub id.
        revision: The commit, 40 hex digits.
        requested_revision: The branch or tag that was asked for when the reference was made; for
            information.
        subfolder: The part of the repository.
        license: What its card declared when the reference was made.
        files: Relative name to size and hash; only these are ever fetched.
    """

    repo_id: str
    revision: str
    requested_revision: str | None = None
    subfolder: str = ""
    license: str | None = None
    files: Mapping[str, Named] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is not pinned.

        Raises:
            RepositoryError: ``revision`` is not the full hash of a commit, so that what it means
                may change.
        """
        check_pinned(self.repo_id, self.revision)

    @classmethod
    def to(cls, snapshot: Snapshot, *names: str) -> Reference:
        """Refer to files of a snapshot.

        Args:
            snapshot: The repository, as it was loaded.
            names: The files that loading it needs; those that were used since the snapshot was
                made, if none is given.

        Raises:
            RepositoryError: The snapshot is a folder, which nobody else could find, or not pinned.
        """
        if snapshot.repo_id is None or snapshot.revision is None:
            raise RepositoryError(
                f"cannot refer to {snapshot}: it is a folder of this computer, which nobody else "
                "could load. Push it to the Hub and plug it in from there, or save with "
                'frozen="copy"'
            )
        names, known = names or snapshot.used, snapshot.recorded or {}
        snapshot.fetch(*(name for name in names if name not in known))
        by_name = {}
        for name in sorted(names):
            by_name[name] = known.get(name) or file_facts(snapshot.path / name)
        return cls(
            repo_id=snapshot.repo_id,
            revision=snapshot.revision,
            requested_revision=snapshot.requested_revision,
            subfolder=snapshot.subfolder,
            license=snapshot.license,
            files=by_name,
        )

    @property
    def key(self) -> str:
        """As :attr:`Snapshot.key` of what is referred to."""
        return f"{self.repo_id}@{self.revision}/{self.subfolder}"

    def to_dict(self) -> Json:
        """Return what :meth:`from_dict` reads; JSON can hold it."""
        return {
            "repo_id": self.repo_id,
            "revision": self.revision,
            "requested_revision": self.requested_revision,
            "subfolder": self.subfolder,
            "license": self.license,
            "files": map_values(dict, self.files),
        }

    @classmethod
    def from_dict(cls, value: object, *, where: str) -> Reference:
        """Read a reference from a configuration.

        Args:
            value: What :meth:`to_dict` gave.
            where: The file and key, for messages.

        Raises:
            RepositoryError: Keys are unknown, missing or of a wrong type; the commit is not a full
                hash; a name leaves the repository.
        """
        found = check_keys(value, REFERENCE_SCHEMA, where=where)
        for name in found.get("files", {}):
            safe_relative(name, where=f"cannot use {where}")
        if found.get("subfolder"):
            safe_relative(found["subfolder"], where=f"cannot use {where}")
        try:
            return cls(**found)
        except RepositoryError as error:
            raise RepositoryError(f"cannot use {where}: {error}") from None

    def open(
        self,
        *,
        cache_dir: str | os.PathLike | None = None,
        token: bool | str | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
        chain: tuple[str, ...] = (),
    ) -> Snapshot:
        """Return the snapshot that is referred to, without a request. It has the recorded files and
        no others, and checks their hashes when they are fetched.

        Args:
            cache_dir, token, local_files_only, force_download: As for
                :func:`~causalplug.hub.repository.resolve`.
            chain: The keys of the snapshots whose references led here; see :func:`follow`.

        Raises:
            RepositoryError: The reference leads back to where it came from, or the chain is too
                long.
        """
        follow(chain, self.key)
        found = resolve_id(
            self.repo_id,
            revision=self.revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
            force_download=force_download,
            subfolder=self.subfolder,
        )
        return replace(found, recorded=self.files or None, reference=self)


def follow(chain: tuple[str, ...], key: str) -> tuple[str, ...]:
    """Return the chain with one more snapshot at its end, to hand to what is loaded through it.

    Args:
        chain: The keys of the snapshots whose references led here.
        key: Key of the next one.

    Raises:
        RepositoryError: That snapshot is in the chain already, or the chain is longer than eight.
    """
    if key in chain or len(chain) >= _MAX_CHAIN:
        if key in chain:
            why = "leads back to itself"
        else:
            why = f"is longer than {_MAX_CHAIN}"
        raise RepositoryError(
            f"cannot load {short(chain[0])}: the chain of its references {why}: "
            f"{' -> '.join(map(short, (*chain, key)))}. Ask its owner to refer to the generator "
            "itself"
        )
    return (*chain, key)
