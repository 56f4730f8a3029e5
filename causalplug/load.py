"""``from_pretrained``: whatever a repository holds, by the format that its ``config.json``
names."""

from __future__ import annotations

__all__ = ["from_pretrained"]

import warnings
from os import PathLike
from typing import Any

from causalplug.errors import LicenseWarning, RepositoryError
from causalplug.files.validation import read_json
from causalplug.hub.formats import DCM_FORMATS, ENCODER_FORMAT, MECHANISM_FORMAT, unknown_format
from causalplug.hub.licenses import USES, objection
from causalplug.hub.repository import resolve
from causalplug.hub.snapshot import Snapshot


def from_pretrained(
    source: str | PathLike[str],
    *,
    revision: str | None = None,
    subfolder: str = "",
    cache_dir: str | PathLike[str] | None = None,
    token: bool | str | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    device: Any = None,
    dtype: Any = None,
    module: str | None = None,
    label_map: Any = None,
    transform: str | list[str] | None = None,
    trust_remote_code: bool = False,
    use: str | None = None,
) -> Any:
    """Load a model, a mechanism, an encoder or one module of a model from a folder or a Hub
    repository.

    A folder, a cached snapshot and a Hub id behave alike. A branch is resolved to a commit, which
    ``origin`` of what is returned remembers; what is on the disk needs no network. The frozen parts
    of a model are fetched when they are first needed.

    Args:
        source: a folder, or a Hub id such as ``"user/mnist-cgan"``.
        revision: branch, tag or commit on the Hub; the main branch if None.
        subfolder: part of the repository.
        cache_dir, token, local_files_only, force_download: as in ``huggingface_hub``.
        device: where the weights go; the CPU if None.
        dtype: of the weights, such as ``torch.bfloat16``; as they were saved if None. Of a model it
            is that of the trained weights: its frozen parts keep the precision that they were
            plugged in with, since what a generator paints was compared with the data in that
            precision. Values stay float32. Load a generator with ``dtype`` to have it frozen so; a
            model saved with it remembers.
        module: of a model, the variables of a trained module, as ``"C+N"``. The module alone is
            returned, to be plugged into another model with the same edges: ``DCM(graph, variables,
            mechanisms={"C+N": module})``.
        label_map: of a frozen generator, how its labels follow from its variable's parents: a
            table, a function, a :class:`~causalplug.LabelMap`, or ``"estimate"`` to estimate it
            from the data before training.
        transform: of a frozen generator, names of changes of shape, such as ``"resize"``.
        trust_remote_code: of a mechanism or an encoder whose kind is not installed: run the Python
            file in this repository that registers it. It may do anything on this computer; on the
            Hub a full commit hash is needed as ``revision``. It never reaches what a model refers
            to: load such a generator itself first.
        use: what it is for: ``"research"``, ``"commercial"``, ``"redistribution"`` or
            ``"modification"``. A licence that forbids it, of what is loaded or of a frozen part in
            it, is warned about.

    Raises:
        RepositoryError: nothing is there, it is malformed, or it holds something else than the
            options are for.
        UnknownVariableError, PlanError: the model has no such module.
    """
    access: dict[str, Any] = {
        "cache_dir": cache_dir,
        "token": token,
        "local_files_only": local_files_only,
        "force_download": force_download,
    }
    if use is not None and use not in USES:
        raise RepositoryError(
            f"cannot load {source} for use={use!r}: the uses known are {', '.join(USES)}"
        )
    snapshot = resolve(source, revision=revision, subfolder=subfolder, **access)
    kind = _kind(snapshot)
    given = {
        "module": module,
        "label_map": label_map,
        "transform": transform,
        "trust_remote_code": trust_remote_code or None,
    }
    suitable = {
        "model": ["module"],
        "mechanism": ["label_map", "transform", "trust_remote_code"],
        "encoder": ["trust_remote_code"],
    }[kind]
    if wrong := [key for key, value in given.items() if value is not None and key not in suitable]:
        raise RepositoryError(
            f"cannot load {snapshot} with {' and '.join(wrong)}: it holds "
            f"{'an' if kind == 'encoder' else 'a'} {kind}, which has no such option. Leave it out"
        )
    if kind == "model":
        from causalplug.model.files import load_dcm

        model = load_dcm(snapshot, device=device, dtype=dtype, module=module, **access)
        _object(model, snapshot, use)
        return model
    from causalplug.hub.parts import load_encoder, load_mechanism

    load = load_encoder if kind == "encoder" else load_mechanism
    loaded: Any = load(snapshot, trust_remote_code=trust_remote_code)
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


def _object(part: Any, snapshot: Snapshot, use: str | None) -> None:
    """Warn about every licence that forbids the use: that of a part, or those of a model's
    frozen parts."""
    if use is None:
        return
    held = [getattr(part, name, {}) for name in ("mechanisms", "encoders")]
    inside = [
        p
        for parts in held
        for p in getattr(parts, "unopened", lambda parts=parts: parts)().values()
    ]
    pulled = [getattr(p, "frozen_generator", None) or p for p in inside]
    frozen = [
        p for p in pulled if getattr(p, "frozen", False) or getattr(p, "origin", None) is not None
    ]
    for one in frozen or ([] if inside else [part]):
        origin = getattr(one, "origin", None) or snapshot
        known = (
            getattr(origin, "reference", None) or origin
        )  # what the model recorded needs no request
        why = objection(getattr(one, "license", None) or known.license, use)
        if why is not None:
            warnings.warn(
                f"{origin} is not for {use} use: {why}. Ask its author, or take another one.",
                LicenseWarning,
                stacklevel=3,
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
