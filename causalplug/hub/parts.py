"""Mechanisms and encoders as repositories: ``config.json`` says what to build, ``model.safetensors`` holds its weights.

A configuration names a registered kind and JSON values, never code.
"""

from __future__ import annotations

__all__ = ["ENCODER_FORMAT", "MECHANISM_FORMAT", "load_encoder", "load_mechanism", "part_files"]

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from causalplug.errors import CausalPlugError, RepositoryError
from causalplug.files.facts import Facts
from causalplug.files.storage import Content
from causalplug.files.validation import check_keys, read_json
from causalplug.files.weights import read_safetensors, safetensors_writer

if TYPE_CHECKING:
    from torch import nn

    from causalplug.hub.snapshot import Snapshot
    from causalplug.mechanisms.base import Mechanism
    from causalplug.mechanisms.encoders import Encoder

MECHANISM_FORMAT = "causalplug-mechanism-1"
ENCODER_FORMAT = "causalplug-encoder-1"
_FACTS = {"size": int, "sha256": str}
_SCHEMA = {
    "format": str,
    "kind": str,
    "config": dict[str, object],
    "license?": str | None,
    "source?": str | None,
    "weights?": _FACTS,
    "card?": _FACTS,
}
_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


def part_files(part: Any) -> tuple[dict[str, Content], dict[str, Any]]:
    """The files of a mechanism (a generator without its binding to a variable) or an encoder, and its configuration.

    Raises:
        MechanismError: it cannot be described by JSON values.
    """
    config = {"format": ENCODER_FORMAT if part.card_kind == "encoder" else MECHANISM_FORMAT, "kind": part.kind}
    config |= {"config": part.config(), "license": part.license, "source": part.source}
    tensors = part.weights() if hasattr(part, "weights") else part.state_dict()
    files: dict[str, Content] = dict(part.files()) if hasattr(part, "files") else {}
    if tensors:
        files[_WEIGHTS] = safetensors_writer(tensors)
    return files, config


def load_mechanism(snapshot: Snapshot) -> Mechanism:
    """Load a mechanism from a repository.

    Raises:
        RepositoryError: files are missing or malformed, keys are unknown, the kind is not registered, or the weights do
            not fit the configuration.
    """
    from causalplug.mechanisms.base import MECHANISMS, freeze

    mechanism = _load(snapshot, MECHANISM_FORMAT, MECHANISMS)
    return freeze(mechanism) if mechanism.frozen else mechanism  # type: ignore[return-value]


def load_encoder(snapshot: Snapshot) -> Encoder:
    """Load an encoder from a repository; raises as :func:`load_mechanism`."""
    from causalplug.mechanisms.base import freeze
    from causalplug.mechanisms.encoders import ENCODERS

    encoder = _load(snapshot, ENCODER_FORMAT, ENCODERS)
    encoder.trained = True
    return freeze(encoder)  # type: ignore[return-value]


def _load(snapshot: Snapshot, format_name: str, registry: Any) -> Any:
    with snapshot.hold():
        where = f"{snapshot}/{_CONFIG}"
        config = check_keys(read_json(snapshot.file(_CONFIG), within=snapshot.boundary), _SCHEMA, where=where)
        if config["format"] != format_name:
            raise RepositoryError(
                f'cannot use {where}: its format is "{config["format"]}" instead of "{format_name}". '
                "Load it by causalplug.from_pretrained, which tells the formats apart"
            )
        part = _build(registry, config, where, snapshot)
        if expects_weights(part):
            _fill(part, snapshot, config.get("weights"))
    for key in ("license", "source"):
        setattr(part, key, config.get(key) or getattr(part, key))
    part.origin = snapshot
    return part


def expects_weights(part: nn.Module) -> bool:
    """Whether a repository of this part has a file of weights."""
    weights = getattr(part, "weights", part.state_dict)
    return bool(weights())


def _build(registry: Any, config: Mapping[str, Any], where: str, snapshot: Snapshot) -> Any:
    try:
        cls = registry.resolve(config["kind"])
        if hasattr(cls, "from_snapshot"):
            return cls.from_snapshot(config["config"], snapshot)
        return cls.from_config(config["config"])
    except RepositoryError:
        raise
    except CausalPlugError as error:
        raise RepositoryError(f"cannot use {where}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"its config lacks {error}" if isinstance(error, KeyError) else f"its config is wrong: {error}"
        raise RepositoryError(f"cannot use {where}: {why}. Correct it, or save the part again") from error


def _fill(part: Any, snapshot: Snapshot, facts: Facts | None) -> None:
    tensors = read_safetensors(snapshot.file(_WEIGHTS), facts=facts, within=snapshot.boundary)
    where = f"{snapshot}/{_WEIGHTS}"
    try:
        if hasattr(part, "load_weights"):
            part.load_weights(tensors, where)
        else:
            from causalplug.mechanisms.layers import load_tensors

            load_tensors(part, tensors, where)
    except CausalPlugError as error:
        raise RepositoryError(f"cannot use {where}: {error}") from error
