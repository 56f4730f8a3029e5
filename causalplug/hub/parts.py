"""Mechanisms and encoders as repositories: ``config.json`` says what to build,
``model.safetensors`` holds its weights.

A configuration names a registered kind and JSON values. Where the kind is not installed it may name
a Python file of the repository, which runs for those alone who say that they trust it.
"""

from __future__ import annotations

__all__ = ["load_part", "part_files"]

import hashlib
import sys
import types
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalplug.errors import RepositoryError
from causalplug.files.storage import Content
from causalplug.files.validation import check_keys, configured, read_json, regular_file
from causalplug.files.weights import read_safetensors, safetensors_writer
from causalplug.hub.formats import ENCODER_FORMAT, MECHANISM_FORMAT, unknown_format
from causalplug.hub.snapshot import check_trust

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
_CONFIG, _WEIGHTS = "config.json", "model.safetensors"
_MOST_CODE = 4 << 20  # bytes


def part_files(
    part: Part, code: str | PathLike[str] | None = None
) -> tuple[dict[str, Content], dict[str, Any]]:
    """The files of a mechanism (a generator without its binding to a variable) or an encoder, and
    its configuration.

    Args:
        part: what is described.
        code: a Python file that registers its kind, for those who have not installed it. It runs
            only for those who say that they trust it. None: the file that the part was loaded with,
            if there was one.

    Raises:
        MechanismError: it cannot be described by JSON values.
        RepositoryError: there is no such file, it is too large, or it is not called ``.py``.
    """
    config = {
        "format": ENCODER_FORMAT if part.card_kind == "encoder" else MECHANISM_FORMAT,
        "kind": part.kind,
    }
    config |= {"config": part.config(), "license": part.license, "source": part.source}
    tensors = part.saved_tensors()
    files: dict[str, Content] = dict(part.saved_files())
    if tensors:
        files[_WEIGHTS] = safetensors_writer(tensors)
    brought = part.brought_code if code is None else (Path(code).name, _code(Path(code)))
    if brought is not None:
        config["code"], files[brought[0]] = brought
    return files, config


def _code(path: Path, within: Path | None = None) -> bytes:
    if path.suffix != ".py":
        raise RepositoryError(
            f"cannot use {path} as code: give a file of Python, with a name that ends in .py"
        )
    with open(regular_file(path, within=within), "rb") as file:
        text = file.read(_MOST_CODE + 1)
    if len(text) > _MOST_CODE:
        raise RepositoryError(
            f"cannot use {path}: it has more than {_MOST_CODE:,} bytes, too many for a file of code"
        )
    return text


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
    with snapshot.hold():
        where = f"{snapshot}/{_CONFIG}"
        config = check_keys(
            read_json(snapshot.file(_CONFIG), within=snapshot.boundary), _SCHEMA, where=where
        )
        if config["format"] != format_name:
            raise unknown_format(config["format"], [format_name], where=where)
        if snapshot.has(_WEIGHTS):
            snapshot.file(_WEIGHTS, facts=config.get("weights"))
        code = None
        if "code" in config:
            code = config["code"], _code(snapshot.file(config["code"]), snapshot.boundary)
            if config["kind"] not in registry.kinds():
                _run_code(snapshot, *code, trust_remote_code)
        with configured(where):
            cls = registry.resolve(config["kind"])
            part = cls.from_snapshot(config["config"], snapshot)
        if expects_weights(part):
            _fill(part, snapshot)
    part.license = config.get("license") or part.license
    part.source = config.get("source") or part.source
    part.origin, part.brought_code = snapshot, code
    return part


def _run_code(snapshot: Snapshot, name: str, source: bytes, trusted: bool) -> None:
    """Run a Python file of the repository, which registers kinds, if the user trusts it.

    Raises:
        RepositoryError: the user does not, or it fails.
    """
    check_trust(snapshot, trusted, needs=name)
    module = types.ModuleType(f"causalplug_remote_{hashlib.sha256(source).hexdigest()[:16]}")
    sys.modules[module.__name__] = module  # where pickles and dataclasses look classes up
    try:
        exec(compile(source, str(snapshot.path / name), "exec"), module.__dict__)
    except Exception as error:
        raise RepositoryError(
            f"cannot load {snapshot}: its code {name} fails: {type(error).__name__}: {error}. Ask its author"
        ) from error


def expects_weights(part: Part) -> bool:
    """Whether a repository of this part has a file of weights."""
    return bool(part.saved_tensors())


def _fill(part: Part, snapshot: Snapshot) -> None:
    tensors = read_safetensors(snapshot.file(_WEIGHTS), within=snapshot.boundary)
    where = f"{snapshot}/{_WEIGHTS}"
    with configured(where):
        part.load_saved(tensors, where)
