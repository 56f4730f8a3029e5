"""Opening the files of a diffusers pipeline: safetensors only, classes of known libraries only."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import re
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import torch

from causalplug.errors import MechanismError, MissingDependencyError, RepositoryError
from causalplug.files.facts import is_pointer
from causalplug.files.validation import read_json
from causalplug.hub.repository import resolve

if TYPE_CHECKING:
    from causalplug.hub.snapshot import Snapshot

__all__ = ["load_parts", "open_pipeline"]

_PATTERNS = ("model_index.json", "*/*.json", "*/*.safetensors", "*/*.txt", "*/*.model")
_LIBRARIES = ("diffusers", "transformers")
_VARIANT = re.compile(r"\.(?!index)([A-Za-z]\w*)(?:-\d+-of-\d+)?\.safetensors$")


def open_pipeline(
    source: str | PathLike[str],
    revision: str | None,
    subfolder: str,
    cache_dir: str | PathLike[str] | None,
    token: bool | str | None,
    local_files_only: bool,
) -> Snapshot:
    """The pipeline's files on the disk, pinned to a commit."""
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
    variant: str | None = None,
    text: bool = False,
    offload: bool = False,
) -> Any:
    """Components by name for a class-conditional pipeline, the pipeline itself for a
    text-conditional one.

    Raises:
        MissingDependencyError: diffusers is not installed.
        RepositoryError: the pipeline needs code of its own, files are missing or pointers of Git
            LFS, or its weights exist in a variant only.
        MechanismError: an unknown precision or scheduler.
    """
    try:
        import diffusers
    except ImportError:
        raise MissingDependencyError(
            "A diffusion pipeline cannot be loaded: diffusers is not installed. Run: pip install "
            "'causalplug[diffusers]'"
        ) from None
    precision = getattr(torch, dtype, None)
    if not isinstance(precision, torch.dtype):
        raise MechanismError(
            f"dtype={dtype!r} is not known: give 'float32', 'float16' or 'bfloat16'."
        )
    index = read_json(snapshot.file("model_index.json"), within=snapshot.boundary)
    _check_files(snapshot, index, variant)
    try:
        with _quiet():
            if text:
                parts: Any = diffusers.DiffusionPipeline.from_pretrained(
                    snapshot.path,
                    torch_dtype=precision,
                    use_safetensors=True,
                    local_files_only=True,
                    variant=variant,
                )
                if offload:
                    parts.enable_model_cpu_offload()
            else:
                parts = {
                    name: _component(snapshot, name, entry, precision, variant)
                    for name, entry in index.items()
                    if isinstance(entry, list) and len(entry) == 2 and all(entry)
                }
    except (OSError, ValueError, RuntimeError) as error:
        raise RepositoryError(
            f"cannot load {snapshot}: {str(error).splitlines()[0].rstrip('.')}. Save the pipeline "
            "again, or download it again"
        ) from error
    if scheduler is not None:
        found = getattr(diffusers, scheduler, None)
        if found is None or not hasattr(found, "set_timesteps"):
            raise MechanismError(
                f"scheduler={scheduler!r} is no scheduler of diffusers {diffusers.__version__}."
            )
        if text:
            parts.scheduler = found.from_config(parts.scheduler.config)
        else:
            parts["scheduler"] = found.from_config(parts["scheduler"].config)
    return parts


def _check_files(snapshot: Snapshot, index: Mapping[str, Any], variant: str | None) -> None:
    """Say what is missing in terms of the files that are there, before diffusers looks.

    Raises:
        RepositoryError: a part has no folder or no configuration, its weights are pickles or exist
            in another variant only, or a file is a pointer of Git LFS.
    """
    parts = [n for n, e in index.items() if isinstance(e, list) and len(e) == 2 and all(e)]
    for name in parts:
        folder = snapshot.path / name
        if not folder.is_dir() or not any(folder.iterdir()):
            raise RepositoryError(
                f"cannot load {snapshot}: its part {name!r}, which model_index.json names, has no "
                "files. Download the whole pipeline"
            )
        weights = sorted(folder.glob("*.safetensors"))
        for path in weights:
            if is_pointer(path):
                raise RepositoryError(
                    f"cannot load {snapshot}: {name}/{path.name} is a pointer of Git LFS, not the "
                    "weights themselves. Run git lfs pull in the folder"
                )
        _check_weights(snapshot, name, [path.name for path in weights], variant)


def _check_weights(snapshot: Snapshot, name: str, weights: list[str], variant: str | None) -> None:
    pickles = sorted(path.name for path in (snapshot.path / name).glob("*.bin"))
    if pickles and not weights:
        raise RepositoryError(
            f"cannot load {snapshot}: the weights of {name!r} are a pickle ({pickles[0]}), which "
            "could run any code. Save the pipeline again with safe_serialization=True"
        )
    variants = {found[1] if (found := _VARIANT.search(file)) else None for file in weights}
    if weights and variant not in variants:
        there = sorted(v for v in variants if v)
        raise RepositoryError(
            f"cannot load {snapshot}: the weights of {name!r} are there as "
            f"{', '.join(there) or 'the plain variant'} only. Load it with "
            + (f"variant={there[0]!r}" if there else "variant=None")
        )


def _component(
    snapshot: Snapshot, name: str, entry: list[str], precision: torch.dtype, variant: str | None
) -> Any:
    library, cls = entry
    if library not in _LIBRARIES:
        raise RepositoryError(
            f"cannot load {snapshot}: its part {name!r} is a {cls} of {library!r}, code that "
            "diffusers does not have. Take a pipeline of known parts, or wrap it in "
            "causalplug.adapters.callable"
        )
    found = getattr(importlib.import_module(library), cls, None)
    if found is None or not hasattr(found, "from_pretrained"):
        raise RepositoryError(
            f"cannot load {snapshot}: {library} has no {cls} for its part {name!r}. Upgrade {library}"
        )
    options: dict[str, Any] = {"subfolder": name, "local_files_only": True}
    if issubclass(found, torch.nn.Module):
        options |= {"use_safetensors": True, "torch_dtype": precision, "variant": variant}
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
