"""Opening the files of a diffusers pipeline: safetensors only, classes of known libraries only."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from causalplug.errors import MechanismError, MissingDependencyError, RepositoryError
from causalplug.files.validation import read_json
from causalplug.hub.repository import resolve
from causalplug.hub.snapshot import Snapshot
from causalplug.values import Json, Named

__all__ = ["load_parts", "load_pipeline", "open_pipeline"]

_PATTERNS = ("model_index.json", "*/*.json", "*/*.safetensors", "*/*.txt", "*/*.model")
_LIBRARIES = ("diffusers", "transformers")
_POINTER = b"version https://git-lfs"


def open_pipeline(
    source: str | PathLike[str] | Snapshot,
    revision: str | None,
    subfolder: str,
    cache_dir: str | PathLike[str] | None,
    token: bool | str | None,
    local_files_only: bool,
) -> Snapshot:
    """The pipeline's files on the disk, pinned to a commit; a snapshot stays the one it is."""
    if isinstance(source, Snapshot):
        source.fetch(*_PATTERNS)
        return source
    snapshot = resolve(
        source,
        revision=revision,
        subfolder=subfolder or "",
        cache_dir=cache_dir,
        token=token,
        local_files_only=local_files_only,
    )
    snapshot.fetch(*_PATTERNS)
    return snapshot


def load_parts(
    snapshot: Snapshot,
    *,
    dtype: str = "float32",
    scheduler: str | None = None,
    text: bool = False,
    offload: bool = False,
    variant: str | None = None,
) -> Any:
    """Components by name for a class-conditional pipeline, the pipeline itself for a
    text-conditional one.

    Args:
        snapshot: The pipeline's files.
        dtype: Precision of the networks.
        scheduler: Class of another scheduler.
        text: Whether the pipeline is text-conditional.
        offload: Whether its parts are kept off the accelerator while they do not run.
        variant: Which files of weights are read, such as ``"fp16"``.

    Raises:
        MissingDependencyError: diffusers is not installed.
        RepositoryError: The pipeline needs code of its own, or files are missing.
        MechanismError: An unknown precision or scheduler.
    """
    if text:
        return load_pipeline(
            snapshot, dtype=dtype, scheduler=scheduler, offload=offload, variant=variant
        )
    library = _diffusers()
    precision = _precision(dtype)
    index = _checked_index(snapshot)
    with _opening(snapshot, variant):
        parts = {
            name: _component(snapshot, name, entry, precision, variant)
            for name, entry in index.items()
            if _is_component(entry)
        }
    if scheduler is not None:
        found = _scheduler(library, scheduler)
        parts["scheduler"] = found.from_config(parts["scheduler"].config)
    return parts


def load_pipeline(
    snapshot: Snapshot,
    *,
    dtype: str = "float32",
    scheduler: str | None = None,
    offload: bool = False,
    variant: str | None = None,
) -> Any:
    """A whole pipeline of diffusers.

    Args:
        snapshot, dtype, scheduler, offload, variant: As for :func:`load_parts`.

    Raises:
        MissingDependencyError: diffusers is not installed.
        RepositoryError: The pipeline needs code of its own, or files are missing.
        MechanismError: An unknown precision or scheduler.
    """
    library = _diffusers()
    precision = _precision(dtype)
    index = _checked_index(snapshot)
    name = index.get("_class_name")
    if not isinstance(name, str) or not hasattr(library, name):
        raise RepositoryError(
            f"cannot load {snapshot}: its pipeline {name} is not part of diffusers "
            f"{library.__version__}. Upgrade diffusers, or wrap the pipeline in "
            "causalplug.adapters.callable"
        )
    with _opening(snapshot, variant):
        pipeline = library.DiffusionPipeline.from_pretrained(
            snapshot.path,
            torch_dtype=precision,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            variant=variant,
        )
    if offload:
        pipeline.enable_model_cpu_offload()
    if scheduler is not None:
        found = _scheduler(library, scheduler)
        pipeline.scheduler = found.from_config(pipeline.scheduler.config)
    return pipeline


def _diffusers() -> Any:
    try:
        return importlib.import_module("diffusers")
    except ImportError:
        raise MissingDependencyError(
            "A diffusion pipeline cannot be loaded: diffusers is not installed. Run: pip install "
            "'causalplug[diffusers]'"
        ) from None


def _precision(dtype: str) -> torch.dtype:
    known = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if dtype not in known:
        raise MechanismError(
            f"dtype={dtype!r} is not known: give 'float32', 'float16' or 'bfloat16'."
        )
    return known[dtype]


def _scheduler(library: Any, name: str) -> Any:
    found = vars(library).get(name) or _attribute(library, name)
    if found is None or not hasattr(found, "set_timesteps"):
        raise MechanismError(
            f"scheduler={name!r} is not a scheduler of diffusers {library.__version__}."
        )
    return found


def _attribute(library: Any, name: str) -> Any:
    """A name of a library that loads its names when they are first used; None if it has none."""
    try:
        return getattr(library, name)
    except AttributeError:
        return None


def _is_component(entry: object) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and all(entry)


def _checked_index(snapshot: Snapshot) -> Named:
    """``model_index.json``, once every part of the pipeline is known to be there and to need no
    code of the repository.

    Raises:
        RepositoryError: A part that is code of the repository's own, or whose files are missing or
            pointers to files.
    """
    index = read_json(snapshot.file("model_index.json"), within=snapshot.boundary)
    for name, entry in index.items():
        if not _is_component(entry):
            continue
        library, cls = entry
        if library not in _LIBRARIES and not _is_pipeline_part(library):
            raise RepositoryError(
                f"cannot load {snapshot}: its part {name!r} is a {cls} of {library!r}, code that "
                "diffusers does not have. Take a pipeline of known parts, or wrap it in "
                "causalplug.adapters.callable"
            )
        _check_folder(snapshot, name)
    return index


def _is_pipeline_part(library: object) -> bool:
    """Whether a part comes from a folder of diffusers' own pipelines, as safety checkers do."""
    return isinstance(library, str) and library.isidentifier() and _has_pipeline(library)


def _has_pipeline(library: str) -> bool:
    pipelines = importlib.import_module("diffusers.pipelines")
    return _attribute(pipelines, library) is not None


def _check_folder(snapshot: Snapshot, name: str) -> None:
    folder = snapshot.path / name
    if not folder.is_dir() or not any(folder.iterdir()):
        raise RepositoryError(
            f"cannot load {snapshot}: model_index.json names the part {name!r}, and there is no "
            f"folder {name}. Download the whole pipeline, or save it again with save_pretrained"
        )
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors" and _is_pointer(path):
            raise RepositoryError(
                f"cannot load {snapshot}: {name}/{path.name} is a Git LFS pointer, not the file "
                "itself. Run git lfs pull in the folder, or load the pipeline by its Hub id"
            )
    config = folder / "config.json"
    if config.is_file() and "auto_map" in read_json(config, within=snapshot.boundary):
        raise RepositoryError(
            f"cannot load {snapshot}: its part {name!r} needs code of the repository (auto_map), "
            "which is never run. Take a pipeline of known parts"
        )


def _is_pointer(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(_POINTER)) == _POINTER


@contextlib.contextmanager
def _opening(snapshot: Snapshot, variant: str | None) -> Iterator[None]:
    """Turn what diffusers raises about files into an error of ours, with the advice that fits."""
    try:
        with _quiet():
            yield
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise RepositoryError(
            f"cannot load {snapshot}: {lines[0].rstrip('.')}. {_advice(snapshot, variant)}"
        ) from error


def _advice(snapshot: Snapshot, variant: str | None) -> str:
    """What to do about weights that were not found."""
    files = [path.name for path in snapshot.path.rglob("*.safetensors")]
    variants = sorted({name.split(".")[-2] for name in files if name.count(".") > 1})
    others = [name for name in variants if name != variant and not name.isdigit()]
    if others and variant is None:
        return f"Its weights are of the variant {others[0]!r}: load it with variant={others[0]!r}"
    if variant is not None:
        return f"It has no weights of the variant {variant!r}: leave variant= out"
    pickles = [*snapshot.path.rglob("*.bin"), *snapshot.path.rglob("*.ckpt")]
    if pickles or not files:
        return "Save the pipeline again with safe_serialization=True"
    return "Check that all its files are there, and that diffusers and transformers are new enough"


def _component(
    snapshot: Snapshot, name: str, entry: list[str], precision: torch.dtype, variant: str | None
) -> Any:
    library, cls = entry
    found = _attribute(importlib.import_module(library), cls)
    if found is None or not hasattr(found, "from_pretrained"):
        raise RepositoryError(
            f"cannot load {snapshot}: {library} has no {cls} for its part {name!r}. Upgrade "
            f"{library}"
        )
    options: Json = {"subfolder": name, "local_files_only": True}
    if issubclass(found, torch.nn.Module):
        options |= {"use_safetensors": True, "torch_dtype": precision, "variant": variant}
    if library == "transformers":
        options["trust_remote_code"] = False
    return found.from_pretrained(snapshot.path, **options)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no advertisements while parts are loaded."""
    logger = logging.getLogger("diffusers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
