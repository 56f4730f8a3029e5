"""Opening the files of a diffusers pipeline: safetensors only, classes of known libraries only."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
from collections.abc import Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any

import torch

from causalplug.errors import MechanismError, MissingDependencyError, RepositoryError
from causalplug.files.validation import read_json
from causalplug.hub.repository import resolve

if TYPE_CHECKING:
    from causalplug.hub.snapshot import Snapshot

__all__ = ["load_parts", "open_pipeline"]

_PATTERNS = ("model_index.json", "*/*.json", "*/*.safetensors", "*/*.txt", "*/*.model")
_LIBRARIES = ("diffusers", "transformers")


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
    text: bool = False,
    offload: bool = False,
) -> Any:
    """Components by name for a class-conditional pipeline, the pipeline itself for a
    text-conditional one.

    Raises:
        MissingDependencyError: diffusers is not installed.
        RepositoryError: the pipeline needs code of its own, or files are missing.
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
    try:
        with _quiet():
            if text:
                parts: Any = diffusers.DiffusionPipeline.from_pretrained(
                    snapshot.path,
                    torch_dtype=precision,
                    use_safetensors=True,
                    local_files_only=True,
                )
                if offload:
                    parts.enable_model_cpu_offload()
            else:
                parts = {
                    name: _component(snapshot, name, entry, precision)
                    for name, entry in index.items()
                    if isinstance(entry, list) and len(entry) == 2 and all(entry)
                }
    except (OSError, ValueError, RuntimeError) as error:
        raise RepositoryError(
            f"cannot load {snapshot}: {str(error).splitlines()[0]}. Save the pipeline again with "
            "safe_serialization=True"
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


def _component(snapshot: Snapshot, name: str, entry: list[str], precision: torch.dtype) -> Any:
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
        options |= {"use_safetensors": True, "torch_dtype": precision}
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
