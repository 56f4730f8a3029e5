"""``from_pretrained``: whatever a repository holds, by the format that its ``config.json`` names."""

from __future__ import annotations

__all__ = ["from_pretrained"]

import importlib
from collections.abc import Mapping
from os import PathLike
from typing import Any

from causalplug.errors import RepositoryError
from causalplug.files.validation import read_json, short
from causalplug.hub.repository import resolve
from causalplug.hub.snapshot import Snapshot

_LOADERS = {
    "causalplug-dcm-1": ("causalplug.hub.dcm", "load_dcm"),
    "causalplug-mechanism-1": ("causalplug.hub.parts", "load_mechanism"),
    "causalplug-encoder-1": ("causalplug.hub.parts", "load_encoder"),
}
"""Format of a repository to the function that loads its snapshot."""


def from_pretrained(
    source: str | PathLike[str],
    *,
    label_map: Any = None,
    transform: str | list[str] | None = None,
    revision: str | None = None,
    subfolder: str = "",
    cache_dir: str | PathLike[str] | None = None,
    token: bool | str | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    **options: Any,
) -> Any:
    """Load a mechanism, an encoder or a model from a folder or a Hub repository.

    Args:
        source: a folder, or a Hub id such as ``"user/mnist-cgan"``.
        label_map: of a frozen generator, how its labels follow from its variable's parents: a table, a function, a
            :class:`~causalplug.LabelMap`, or ``"estimate"`` to estimate it from the data before training.
        transform: of a frozen generator, names of changes of shape, such as ``"resize"``.
        revision: branch, tag or commit on the Hub.
        subfolder: part of the repository.
        cache_dir, token, local_files_only, force_download: as in ``huggingface_hub``.
        options: handed to the loader of a model.

    Raises:
        RepositoryError: nothing is there, it is malformed, or it holds something else than the options are for.
    """
    snapshot = resolve(
        source,
        revision=revision,
        cache_dir=cache_dir,
        token=token,
        local_files_only=local_files_only,
        force_download=force_download,
        subfolder=subfolder,
    )
    module, function = _LOADERS[_format(snapshot)]
    loaded = getattr(importlib.import_module(module), function)(snapshot, **options)
    asked = {key: value for key, value in (("label_map", label_map), ("transform", transform)) if value is not None}
    if not asked:
        return loaded
    if not hasattr(loaded, "asked"):
        raise RepositoryError(
            f"cannot load {snapshot} with {' and '.join(asked)}: it holds a {type(loaded).__name__}, not a "
            "frozen generator. "
            "Leave the options out"
        )
    return loaded.asked(**asked)


def _format(snapshot: Snapshot) -> str:
    with snapshot.hold():
        config: Mapping[str, Any] = read_json(snapshot.file("config.json"), within=snapshot.boundary)
    found = config.get("format")
    if found not in _LOADERS:
        raise RepositoryError(
            f"cannot load {snapshot}: its config.json has the format {short(found)}; known are {', '.join(_LOADERS)}. "
            "Plug a generator of another library in through an adapter (docs/adapters.md)"
        )
    return str(found)
