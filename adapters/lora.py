"""LoRA weights of a pipeline: found, loaded beside its networks, and referred to when it is
saved."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

from torch import nn

from causalplug.adapters.places import place_of, reference_of, snapshot_of
from causalplug.adapters.reasons import first_line
from causalplug.adapters.row_seeds import is_terms
from causalplug.arguments import NAME, PATH, TEXT, number, read_argument
from causalplug.errors import MechanismError, MissingDependencyError, RepositoryError
from causalplug.files.weights import read_header
from causalplug.hub.part import Content
from causalplug.hub.snapshot import Snapshot
from causalplug.values import Json
from causalplug.wording import did_you_mean

__all__ = ["Lora", "LoraSpec", "loras_of", "opened_with", "restored_loras"]

LoraSpec = str | PathLike[str] | Mapping[str, Any] | Sequence[Any] | None
"""LoRA weights: a Hub id, a folder or a file, a mapping with ``"source"``, ``"weight_name"``,
``"revision"``, ``"subfolder"`` and ``"scale"``, or a list of these."""

_KEYS = {
    "source": PATH,
    "weight_name": NAME.or_none("the only file"),
    "revision": NAME.or_none("the main branch"),
    "subfolder": TEXT,
    "scale": number(),
}
_FOLDER = "lora"
_MISFITS = ("unexpected keys", "missing keys")  # in what diffusers warns about


@dataclass(frozen=True)
class Lora:
    """One file of LoRA weights.

    Attributes:
        path: The file.
        scale: Factor of its weights.
        reference: Repository, commit and subfolder on the Hub; empty for a local file, which is
            copied when a pipeline is saved.
    """

    path: Path
    scale: float = 1.0
    reference: Json = field(default_factory=dict)

    def to_dict(self, place: int) -> Json:
        """JSON values: where the file is, at this place of the list."""
        found: Json = {"weight_name": self.path.name, "scale": self.scale}
        if self.reference:
            return found | self.reference
        return found | {"copy": place}

    def files(self, place: int) -> dict[str, Content]:
        """The file's copy in a saved mechanism, with its terms of use; none of one on the Hub."""
        if self.reference:
            return {}
        kept = [self.path, *(one for one in self.path.parent.iterdir() if is_terms(one))]
        return {f"{_FOLDER}/{place}/{one.name}": one for one in kept}


def loras_of(
    given: LoraSpec,
    *,
    cache_dir: str | PathLike[str] | None = None,
    token: bool | str | None = None,
    local_files_only: bool = False,
) -> tuple[Lora, ...]:
    """The files that a specification names, fetched and pinned.

    Args:
        given: What is asked for.
        cache_dir, token, local_files_only: As in ``huggingface_hub``.

    Raises:
        MechanismError: A key that is not known, or a value that does not fit.
        RepositoryError: A file that is missing, or is not safetensors.
    """
    if given is None:
        return ()
    if not isinstance(given, Sequence) or isinstance(given, str):
        given = [given]
    found = []
    for one in given:
        asked = one if isinstance(one, Mapping) else {"source": one}
        _check_keys(asked)
        options = {"cache_dir": cache_dir, "token": token, "local_files_only": local_files_only}
        found.append(_located(asked, options))
    return tuple(found)


def _check_keys(asked: Mapping[str, Any]) -> None:
    for key in asked:
        if key not in _KEYS:
            hint = did_you_mean(key, list(_KEYS))
            raise MechanismError(
                f"lora= has the unknown key {key!r}{hint}. It takes {', '.join(_KEYS)}."
            )
        read_argument(f"lora[{key!r}]", asked[key], _KEYS[key], MechanismError)
    if "source" not in asked:
        raise MechanismError(
            'lora= names no source. Give a Hub id, a folder or a file, as in lora="user/style".'
        )


def _located(asked: Mapping[str, Any], options: Json) -> Lora:
    source, name = asked["source"], asked.get("weight_name")
    scale = float(asked.get("scale", 1.0))
    path = Path(source).expanduser()
    if path.is_file():
        return Lora(_read(_safe(path)), scale)
    snapshot = snapshot_of(
        source,
        revision=asked.get("revision"),
        subfolder=asked.get("subfolder", ""),
        **options,
    )
    if name is None:
        name = _only_file(snapshot)
    _safe(Path(name))
    snapshot.fetch(name, "LICEN*", "NOTICE*")
    return Lora(_read(snapshot.file(name)), scale, reference_of(snapshot))


def _safe(path: Path) -> Path:
    if path.suffix != ".safetensors":
        raise RepositoryError(
            f"cannot load the LoRA weights {path.name}: they are not safetensors, and opening "
            "others could run any code. Save them with safe_serialization=True"
        )
    return path


def _read(path: Path) -> Path:
    """The path of a file whose header can be read."""
    read_header(path)
    return path


def _only_file(snapshot: Snapshot) -> str:
    snapshot.fetch("*.safetensors")
    names = sorted(path.name for path in snapshot.path.glob("*.safetensors"))
    if len(names) != 1:
        raise RepositoryError(
            f"cannot tell which LoRA weights of {snapshot} are meant: it holds "
            f'{", ".join(names) or "no safetensors"}. Name one, as in lora={{"source": …, '
            '"weight_name": …}'
        )
    return names[0]


def restored_loras(saved: Sequence[Json], snapshot: Snapshot) -> list[Json]:
    """What :meth:`Lora.to_dict` wrote, as a specification."""
    found = []
    for one in saved:
        options = dict(one)
        copy = options.pop("copy", None)
        if copy is not None:
            folder = f"{_FOLDER}/{int(copy)}"
            name = PurePosixPath(str(options["weight_name"])).name
            snapshot.fetch(f"{folder}/*")
            found.append({"source": snapshot.path / folder / name, "scale": options["scale"]})
            continue
        place, location = place_of(options, snapshot, _FOLDER)
        known = {key: value for key, value in location.items() if key in _KEYS}
        found.append({"source": place, **known})
    return found


def opened_with(pipeline: Any, loras: Sequence[Lora]) -> Any:
    """The pipeline with LoRA weights beside those of its networks.

    Raises:
        MissingDependencyError: peft is not installed.
        MechanismError: The pipeline takes no LoRA weights, or does not understand some of these.
    """
    name = type(pipeline).__name__
    if not loras:
        return pipeline
    if not _takes_lora(pipeline):
        raise MechanismError(f"{name} takes no LoRA weights: leave lora= out.")
    names = []
    for place, lora in enumerate(loras):
        names.append(f"lora_{place}")
        before = _lora_count(pipeline)
        with _heard() as complaints:
            _load(pipeline, lora, names[-1])
        wrong = [text for text in complaints if any(one in text for one in _MISFITS)]
        if wrong or _lora_count(pipeline) == before:
            reason = wrong[0].splitlines()[0][:200] if wrong else "none of its names is a layer"
            raise MechanismError(
                f"The LoRA weights {lora.path.name} do not fit {name}: {reason}. Take weights that "
                "were trained for this pipeline."
            )
    pipeline.set_adapters(names, adapter_weights=[lora.scale for lora in loras])
    return pipeline


def _takes_lora(pipeline: Any) -> bool:
    return any("load_lora_weights" in vars(cls) for cls in type(pipeline).__mro__)


def _load(pipeline: Any, lora: Lora, name: str) -> None:
    try:
        pipeline.load_lora_weights(
            str(lora.path.parent),
            weight_name=lora.path.name,
            adapter_name=name,
            use_safetensors=True,
            local_files_only=True,
        )
    except (ValueError, KeyError, RuntimeError, OSError, TypeError, ImportError) as error:
        reason = first_line(error)[:200]
        if "PEFT" in reason:
            raise MissingDependencyError(
                "LoRA weights cannot be loaded: peft is not installed. Run: pip install "
                "'causalplug[lora]'"
            ) from None
        raise MechanismError(
            f"The LoRA weights {lora.path.name} do not fit {type(pipeline).__name__}: {reason}. "
            "Take weights that were trained for this pipeline."
        ) from error


def _lora_count(pipeline: Any) -> int:
    """How many tensors of LoRA weights the networks have."""
    count = 0
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            count += sum(".lora_" in key for key, _ in part.named_parameters())
    return count


class _Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What diffusers warns about meanwhile, which is not printed."""
    logger = logging.getLogger("diffusers")
    ear = _Ear()
    level, handlers, propagate = logger.level, logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [ear], False
    logger.setLevel(logging.WARNING)
    try:
        yield ear.heard
    finally:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
