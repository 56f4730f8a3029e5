"""Loading by what a repository holds: a model, a mechanism or an encoder.

The loaders of the three kinds are handed in by their owners, so that nothing here knows them.
"""

from __future__ import annotations

__all__ = ["FETCHING", "Access", "Loader", "kind_of", "load_as", "load_own"]

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from causalplug.arguments import FLAG, NAME, PATH, TEXT, choice
from causalplug.errors import LicenseWarning, RepositoryError, warn_caller
from causalplug.files.precision import placed
from causalplug.hub.formats import DCM_FORMATS, ENCODER_FORMAT, MECHANISM_FORMAT, unknown_format
from causalplug.hub.licenses import USES, objection
from causalplug.hub.repository import resolve
from causalplug.hub.single_files import keras_file, refuse_file
from causalplug.hub.snapshot import Snapshot
from causalplug.selection import without, without_none
from causalplug.values import Json, Named


@dataclass(frozen=True)
class Access:
    """How files are fetched, as in ``huggingface_hub``."""

    cache_dir: str | PathLike[str] | None = None
    token: bool | str | None = None
    local_files_only: bool = False
    force_download: bool = False

    def options(self) -> Json:
        """The arguments of :func:`causalplug.hub.repository.resolve`."""
        return asdict(self)


_NAMED = NAME.or_none("none")
FETCHING = {
    "source": PATH,
    "revision": _NAMED,
    "subfolder": TEXT,
    "cache_dir": PATH.or_none("that of huggingface_hub"),
    "token": FLAG.or_else(NAME).or_none("that of the client"),
    "local_files_only": FLAG,
    "force_download": FLAG,
    "trust_remote_code": FLAG,
    "use": choice(*USES).or_none("no particular one"),
}
"""What the arguments may be by which a repository is named and fetched."""


@dataclass(frozen=True)
class Loader:
    """How one kind of repository is loaded.

    Attributes:
        load: Called with the snapshot and the options that were given.
        options: Names of the options that apply to this kind.
        what: The kind in words, for messages.
    """

    load: Callable[..., Any]
    options: tuple[str, ...]
    what: str


_OWN = ("model", "mechanism", "encoder")


def load_as(
    source: str | PathLike[str],
    loaders: Mapping[str, Loader],
    access: Access = Access(),
    *,
    options: Named,
    wanted: str = "",
    revision: str | None = None,
    subfolder: str = "",
    use: str | None = None,
) -> object:
    """Load what a folder or a Hub repository holds.

    Args:
        source: A folder, or a Hub id.
        loaders: The loader of each kind that may be loaded: ``"model"``, ``"mechanism"``,
            ``"encoder"``, ``"pipeline"``, ``"transformers"``.
        access: How files are fetched.
        options: Further options by name; None stands for one that was not given.
        wanted: The name of what was asked for, for the message about another kind.
        revision, subfolder, use: As for :func:`causalplug.from_pretrained`.

    Raises:
        RepositoryError: Nothing is there, it is malformed, or it holds something else than the
            options are for.
    """
    given = without_none(options)
    file = keras_file(source)
    if file is not None and "keras" in loaders:
        _check_options(file, loaders["keras"], given)
        loaded = loaders["keras"].load(file, **given)
        _object(loaded, file, use)
        return loaded
    refuse_file(source)
    snapshot = resolve(source, revision=revision, subfolder=subfolder, **access.options())
    with contextlib.ExitStack() as reading:
        reading.enter_context(snapshot.open())
        kind = kind_of(snapshot)
        if kind not in loaders:
            raise RepositoryError(
                f"cannot load {source} as {wanted}: it holds a {kind}. Use "
                "causalplug.from_pretrained, which tells them apart"
            )
        loader = loaders[kind]
        _check_options(snapshot, loader, given)
        if kind == "model":
            given |= access.options()
        if kind not in _OWN:  # libraries of others read the files by themselves
            reading.close()
        loaded = loader.load(snapshot, **given)
    _object(loaded, snapshot, use)
    return loaded


def load_own(
    load: Callable[..., Any],
    snapshot: Snapshot,
    *,
    device: object = None,
    dtype: Any = None,
    label_map: object = None,
    transform: str | list[str] | None = None,
    trust_remote_code: bool = False,
) -> object:
    """Load a mechanism or an encoder, and move, cast or bind it as asked.

    Args:
        load: The loader of the kind, called with the snapshot.
        snapshot: The repository.
        device, dtype, label_map, transform, trust_remote_code: As for
            :func:`causalplug.from_pretrained`.

    Raises:
        RepositoryError: A label map or a transform for what is not a frozen generator.
    """
    loaded = placed(load(snapshot, trust_remote_code=trust_remote_code), dtype, device)
    if label_map is None and transform is None:
        return loaded
    if not loaded.frozen:
        raise RepositoryError(
            f"cannot load {snapshot} with a label map or a transform: it holds a trained "
            f"{type(loaded).__name__}, not a frozen generator. Leave them out"
        )
    return loaded.asked(label_map=label_map, transform=transform)


def _check_options(snapshot: Snapshot | Path, loader: Loader, given: Named) -> None:
    wrong = without(given, loader.options)
    if wrong:
        raise RepositoryError(
            f"cannot load {snapshot} with {' and '.join(wrong)}: it holds {loader.what}, which has "
            f"no such option. Leave it out; its options are {', '.join(loader.options)}"
        )


def _object(part: Any, snapshot: Snapshot | Path, use: str | None) -> None:
    """Warn about every licence that forbids the use: that of a part, or those of a model's
    frozen parts."""
    if use is None:
        return
    for one in part.licensed_parts():
        origin = one.origin or snapshot
        license = one.license
        if license is None and not isinstance(origin, Path):
            known = origin.reference or origin  # what the model recorded needs no request
            license = known.license
        why = objection(license, use)
        if why is not None:
            warn_caller(
                f"{origin} is not for {use} use: {why}. Ask its author, or take another one.",
                LicenseWarning,
            )


def kind_of(snapshot: Snapshot) -> str:
    """What the repository holds, by the files that say so.

    Raises:
        RepositoryError: Nothing that is known.
    """
    kinds = {
        **dict.fromkeys(DCM_FORMATS, "model"),
        MECHANISM_FORMAT: "mechanism",
        ENCODER_FORMAT: "encoder",
    }
    with snapshot.open() as opened:
        if snapshot.has("model_index.json"):
            return "pipeline"
        config = opened.config
    found = config.get("format")
    if isinstance(found, str) and found in kinds:
        return kinds[found]
    if isinstance(config.get("model_type"), str):
        return "transformers"
    raise unknown_format(found, kinds, where=f"{snapshot}/config.json")
