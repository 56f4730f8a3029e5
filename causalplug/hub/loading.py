"""Loading by what a repository holds: a model, a mechanism or an encoder.

The loaders of the three kinds are handed in by their owners, so that nothing here knows them.
"""

from __future__ import annotations

__all__ = ["Access", "load_as"]

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any

from causalplug.errors import LicenseWarning, RepositoryError
from causalplug.files.validation import read_json
from causalplug.hub.formats import DCM_FORMATS, ENCODER_FORMAT, MECHANISM_FORMAT, unknown_format
from causalplug.hub.licenses import USES, objection
from causalplug.hub.repository import resolve
from causalplug.hub.snapshot import Snapshot

_OPTIONS = {
    "model": ("module",),
    "mechanism": ("label_map", "transform", "trust_remote_code"),
    "encoder": ("trust_remote_code",),
}
"""By what a repository holds the options of loading that apply to it alone."""


@dataclass(frozen=True)
class Access:
    """How files are fetched, as in ``huggingface_hub``."""

    cache_dir: str | PathLike[str] | None = None
    token: bool | str | None = None
    local_files_only: bool = False
    force_download: bool = False

    def options(self) -> dict[str, Any]:
        """The arguments of :func:`causalplug.hub.repository.resolve`."""
        return asdict(self)


def load_as(
    source: str | PathLike[str],
    loaders: Mapping[str, Callable[..., Any]],
    access: Access = Access(),
    *,
    wanted: str = "",
    revision: str | None = None,
    subfolder: str = "",
    device: Any = None,
    dtype: Any = None,
    module: str | None = None,
    label_map: Any = None,
    transform: str | list[str] | None = None,
    trust_remote_code: bool = False,
    use: str | None = None,
) -> Any:
    """Load what a folder or a Hub repository holds.

    Args:
        source: A folder, or a Hub id.
        loaders: The loader of each kind that may be loaded: ``"model"``, ``"mechanism"``,
            ``"encoder"``.
        access: How files are fetched.
        wanted: The name of what was asked for, for the message about another kind.
        revision, subfolder, device, dtype, module, label_map, transform, trust_remote_code, use:
            As for :func:`causalplug.from_pretrained`.

    Raises:
        RepositoryError: Nothing is there, it is malformed, or it holds something else than the
            options are for.
    """
    if use is not None and use not in USES:
        raise RepositoryError(
            f"cannot load {source} for use={use!r}: the uses known are {', '.join(USES)}"
        )
    snapshot = resolve(source, revision=revision, subfolder=subfolder, **access.options())
    kind = _kind(snapshot)
    if kind not in loaders:
        raise RepositoryError(
            f"cannot load {source} as {wanted}: it holds a {kind}. Use "
            "causalplug.from_pretrained, which tells them apart"
        )
    given = {
        "module": module,
        "label_map": label_map,
        "transform": transform,
        "trust_remote_code": trust_remote_code or None,
    }
    _check_options(snapshot, kind, given)
    if kind == "model":
        loaded = loaders[kind](
            snapshot, device=device, dtype=dtype, module=module, **access.options()
        )
        _object(loaded, snapshot, use)
        return loaded
    loaded = loaders[kind](snapshot, trust_remote_code=trust_remote_code)
    _object(loaded, snapshot, use)
    if dtype is not None:
        from causalplug.files.precision import cast

        cast(loaded, dtype)
    if device is not None:
        loaded = loaded.to(device)
    if label_map is None and transform is None:
        return loaded
    if not loaded.frozen:
        raise RepositoryError(
            f"cannot load {snapshot} with a label map or a transform: it holds a trained "
            f"{type(loaded).__name__}, not a frozen generator. Leave them out"
        )
    return loaded.asked(label_map=label_map, transform=transform)


def _check_options(snapshot: Snapshot, kind: str, given: Mapping[str, Any]) -> None:
    suitable = _OPTIONS[kind]
    wrong = [key for key, value in given.items() if value is not None and key not in suitable]
    if wrong:
        article = "an" if kind == "encoder" else "a"
        raise RepositoryError(
            f"cannot load {snapshot} with {' and '.join(wrong)}: it holds {article} {kind}, which "
            "has no such option. Leave it out"
        )


def _object(part: Any, snapshot: Snapshot, use: str | None) -> None:
    """Warn about every licence that forbids the use: that of a part, or those of a model's
    frozen parts."""
    if use is None:
        return
    for one in part.licensed_parts():
        origin = one.origin or snapshot
        known = origin.reference or origin  # what the model recorded needs no request
        why = objection(one.license or known.license, use)
        if why is not None:
            warnings.warn(
                f"{origin} is not for {use} use: {why}. Ask its author, or take another one.",
                LicenseWarning,
                stacklevel=4,
            )


def _kind(snapshot: Snapshot) -> str:
    """What the repository holds: "model", "mechanism" or "encoder"."""
    with snapshot.hold():
        found = read_json(snapshot.file("config.json"), within=snapshot.boundary).get("format")
    kinds = {
        **dict.fromkeys(DCM_FORMATS, "model"),
        MECHANISM_FORMAT: "mechanism",
        ENCODER_FORMAT: "encoder",
    }
    if not isinstance(found, str) or found not in kinds:
        raise unknown_format(found, kinds, where=f"{snapshot}/config.json")
    return kinds[found]
