"""Mechanisms and encoders as repositories: ``config.json`` says what to build,
``model.safetensors`` holds its weights.

A configuration names a registered kind and JSON values. Where the kind is not installed it may name
a Python file of the repository, which runs for those alone who say that they trust it.
"""

from __future__ import annotations

__all__ = ["load_part"]

import hashlib
import sys
import types
from typing import TYPE_CHECKING, Any

from causalplug.errors import RepositoryError
from causalplug.files.validation import check_keys, configured
from causalplug.hub.code_file import read_code
from causalplug.hub.formats import unknown_format
from causalplug.hub.opened import Opened
from causalplug.hub.snapshot import check_trust, refuse_users_keys
from causalplug.values import Json

if TYPE_CHECKING:
    from causalplug.hub.part import Part
    from causalplug.hub.snapshot import Snapshot
    from causalplug.registry import Registry

_FACTS = {"size": int, "sha256": str}
_SCHEMA = {
    "format": str,
    "kind": str,
    "config": dict[str, object],
    "license?": str | None,
    "source?": str | None,
    "code?": str,
    "weights?": _FACTS,
    "card?": _FACTS,
}
_BROUGHT = "causalplug_remote_"
_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


def load_part(
    snapshot: Snapshot,
    format_name: str,
    registry: Registry[Any],
    *,
    trust_remote_code: bool = False,
) -> Any:
    """Load a mechanism or an encoder from a repository.

    Args:
        snapshot: The repository.
        format_name: The format that its configuration has to name.
        registry: The kinds that the configuration may name.
        trust_remote_code: Whether code of the repository may run; see
            :func:`~causalplug.hub.snapshot.check_trust`.

    Raises:
        RepositoryError: Files are missing or malformed, keys are unknown, the kind is not
            registered, or the weights do not fit the configuration.
    """
    with snapshot.open() as opened:
        where = f"{snapshot}/{_CONFIG}"
        config = check_keys(opened.config, _SCHEMA, where=where)
        if config["format"] != format_name:
            raise unknown_format(config["format"], [format_name], where=where)
        if opened.has_weights:
            opened.weights(config.get("weights"))
        code = None
        if "code" in config:
            code = _code(snapshot, config, registry, trust_remote_code)
        refuse_users_keys(config["config"], where)
        with configured(where):
            cls = registry.resolve(config["kind"])
            part = cls.from_snapshot(config["config"], snapshot)
        if expects_weights(part):
            _fill(part, opened)
    part.license = config.get("license") or part.license
    part.source = config.get("source") or part.source
    part.origin, part.brought_code = snapshot, code
    return part


def _code(
    snapshot: Snapshot, config: Json, registry: Registry[Any], trusted: bool
) -> tuple[str, bytes] | None:
    """Name and text of the repository's Python file, run where its kind is not registered; not
    even downloaded unless it may run, or has run before.

    Raises:
        RepositoryError: It is needed, and the user does not trust it.
    """
    name, kind = config["code"], config["kind"]
    known = kind in registry.kinds()
    if not known:
        check_trust(snapshot, trusted, needs=name)
    elif snapshot.is_online and not trusted and not _brought(registry.module(kind)):
        return None
    code = name, read_code(snapshot.file(name), snapshot.boundary)
    if not known:
        _run_code(snapshot, *code)
    return code


def _brought(module: str) -> bool:
    """Whether a module is the Python file of a repository."""
    return module.startswith(_BROUGHT)


def _run_code(snapshot: Snapshot, name: str, source: bytes) -> None:
    """Run a Python file of the repository, which registers kinds.

    Raises:
        RepositoryError: It fails.
    """
    module = types.ModuleType(f"{_BROUGHT}{hashlib.sha256(source).hexdigest()[:16]}")
    sys.modules[module.__name__] = module  # where pickles and dataclasses look classes up
    try:
        exec(compile(source, str(snapshot.path / name), "exec"), module.__dict__)
    except Exception as error:
        raise RepositoryError(
            f"cannot load {snapshot}: its code {name} fails: {type(error).__name__}: {error}. Ask "
            "its author"
        ) from error


def expects_weights(part: Part) -> bool:
    """Whether a repository of this part has a file of weights."""
    return bool(part.saved_tensors())


def _fill(part: Part, opened: Opened) -> None:
    tensors = opened.tensors()
    where = f"{opened.snapshot}/{_WEIGHTS}"
    with configured(where):
        part.load_saved(tensors, where)
