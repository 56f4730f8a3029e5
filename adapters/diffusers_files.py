"""Opening the files of a diffusers pipeline: safetensors only, classes of known libraries only."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from causalplug.adapters.lazy_names import named
from causalplug.adapters.places import snapshot_of
from causalplug.adapters.reasons import first_line
from causalplug.errors import (
    CausalPlugError,
    MechanismError,
    MissingDependencyError,
    RepositoryError,
)
from causalplug.files.facts import is_pointer
from causalplug.files.validation import read_json
from causalplug.hub.snapshot import Snapshot
from causalplug.selection import names_of
from causalplug.values import Json, Named

__all__ = ["PipelineFacts", "load_parts", "load_pipeline", "open_pipeline", "pipeline_facts"]

_PATTERNS = (
    "model_index.json",
    "*/*.json",
    "*/*.safetensors",
    "*/*.txt",
    "*/*.model",
    "*/*.jinja",
    "LICEN*",
    "NOTICE*",
)
_LIBRARIES = ("diffusers", "transformers")
_OWN_LOOP = (
    "DDPMPipeline",
    "DDIMPipeline",
    "LDMPipeline",
    "DiTPipeline",
    "ConsistencyModelPipeline",
)


def open_pipeline(
    source: str | PathLike[str] | Snapshot,
    revision: str | None,
    subfolder: str,
    cache_dir: str | PathLike[str] | None,
    token: bool | str | None,
    local_files_only: bool,
) -> Snapshot:
    """The pipeline's files on the disk, pinned to a commit; a snapshot stays the one it is."""
    snapshot = snapshot_of(
        source,
        revision=revision,
        subfolder=subfolder,
        cache_dir=cache_dir,
        token=token,
        local_files_only=local_files_only,
    )
    snapshot.fetch(*_PATTERNS)
    return snapshot


@dataclass(frozen=True)
class PipelineFacts:
    """What ``model_index.json`` says of a pipeline.

    Attributes:
        name: Its class.
        text: Whether it reads prompts.
        own_loop: Whether its parts are those that our own sampling loop runs: a network, a
            scheduler and at most an autoencoder.
    """

    name: str
    text: bool
    own_loop: bool


def pipeline_facts(snapshot: Snapshot) -> PipelineFacts:
    """What a pipeline is, from its ``model_index.json`` alone."""
    index = read_json(snapshot.file("model_index.json"), within=snapshot.boundary)
    name = str(index.get("_class_name"))
    parts = {key for key, entry in index.items() if _is_component(entry)}
    plain = name in _OWN_LOOP and parts <= {"unet", "transformer", "vae", "vqvae", "scheduler"}
    return PipelineFacts(name, _takes_prompt(name, index), plain)


def _takes_prompt(name: str, index: Named) -> bool:
    found = named(_diffusers(), name)
    if found is None:
        return any(key.startswith(("tokenizer", "text_encoder")) for key in index)
    return "prompt" in inspect.signature(found.__call__).parameters


def load_parts(
    snapshot: Snapshot,
    *,
    dtype: str = "float32",
    scheduler: str | Mapping[str, object] | None = None,
    text: bool = False,
    offload: bool = False,
    variant: str | None = None,
) -> object:
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
        MechanismError: An unknown precision or scheduler; ``offload`` of a class-conditional
            pipeline, whose parts are run one by one here.
    """
    if text:
        return load_pipeline(
            snapshot, dtype=dtype, scheduler=scheduler, offload=offload, variant=variant
        )
    if offload:
        raise MechanismError(
            f"offload=True cannot be used: {snapshot} holds a class-conditional pipeline, whose "
            "parts are run one by one. Leave it out."
        )
    library = _diffusers()
    precision = _precision(dtype)
    index = _checked_index(snapshot)
    with _opening(snapshot, variant):
        parts = {}
        for name, entry in index.items():
            if _is_component(entry):
                parts[name] = _component(snapshot, name, entry, precision, variant)
    if scheduler is not None:
        parts["scheduler"] = _other_scheduler(library, parts["scheduler"], scheduler)
    return parts


def load_pipeline(
    snapshot: Snapshot,
    *,
    dtype: str = "float32",
    scheduler: str | Mapping[str, object] | None = None,
    offload: bool = False,
    variant: str | None = None,
    checked: bool = True,
    single_file: str | None = None,
) -> object:
    """A whole pipeline of diffusers.

    Args:
        snapshot, dtype, offload, variant: As for :func:`load_parts`.
        scheduler: Class of another scheduler, or a mapping with its ``"class"`` and settings.
        checked: Whether it keeps its safety checker, if it has one.
        single_file: A checkpoint in the folder that holds the weights of its parts.

    Raises:
        MissingDependencyError: diffusers, or a library that a part needs, is not installed.
        RepositoryError: The pipeline needs code of its own, or files are missing.
        MechanismError: An unknown precision or scheduler.
    """
    library = _diffusers()
    precision = _precision(dtype)
    index = _checked_index(snapshot)
    name = index.get("_class_name")
    if not isinstance(name, str) or named(library, name) is None:
        raise RepositoryError(
            f"cannot load {snapshot}: its pipeline {name} is not part of diffusers "
            f"{library.__version__}. Upgrade diffusers, or wrap the pipeline in "
            "causalplug.adapters.callable"
        )
    without: Json = {}
    if not checked and _is_component(index.get("safety_checker")):
        without = {"safety_checker": None, "requires_safety_checker": False}
    with _opening(snapshot, variant):
        if single_file is not None:
            checkpoint = _checkpoint(snapshot, single_file)
            with _complete(snapshot, single_file):
                pipeline = _from_checkpoint(
                    library, index, snapshot, checkpoint, precision, without
                )
            _refuse_empty(snapshot, pipeline, single_file)
        else:
            pipeline = library.DiffusionPipeline.from_pretrained(
                snapshot.path,
                torch_dtype=precision,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                variant=variant,
                **without,
            )
    if offload:
        _offload(pipeline)
    if scheduler is not None:
        pipeline.scheduler = _other_scheduler(library, pipeline.scheduler, scheduler)
    return pipeline


def _from_checkpoint(
    library: Any,
    index: Named,
    snapshot: Snapshot,
    checkpoint: Path,
    precision: torch.dtype,
    without: Named,
) -> Any:
    """A pipeline whose weights, or whose network's weights, lie in one checkpoint.

    Raises:
        ValueError: diffusers reads no such checkpoints of this class.
    """
    options: Json = {"torch_dtype": precision, "local_files_only": True}
    whole = named(named(library, str(index["_class_name"])), "from_single_file")
    if whole is not None:
        return whole(str(checkpoint), config=str(snapshot.path), **options, **without)
    for name in ("transformer", "unet"):
        entry: Any = index.get(name)
        if not _is_component(entry):
            continue
        one = named(named(library, entry[1]), "from_single_file")
        if one is not None:
            part = one(str(checkpoint), config=str(snapshot.path), subfolder=name, **options)
            return library.DiffusionPipeline.from_pretrained(
                snapshot.path,
                use_safetensors=True,
                trust_remote_code=False,
                **options,
                **{name: part},
                **without,
            )
    raise ValueError(f"diffusers reads no single checkpoint of {index['_class_name']}")


def _checkpoint(snapshot: Snapshot, name: str) -> Path:
    """A checkpoint in the pipeline's folder.

    Raises:
        RepositoryError: It is not safetensors, or lies elsewhere.
    """
    path = Path(name)
    if path.is_absolute() and path.is_relative_to(snapshot.path):
        path = path.relative_to(snapshot.path)
    if path.suffix != ".safetensors":
        raise RepositoryError(
            f"cannot load {snapshot} with single_file={name!r}: it is not safetensors, and opening "
            "another checkpoint could run any code. Convert it first"
        )
    if path.is_absolute() or ".." in path.parts:
        raise RepositoryError(
            f"cannot load {snapshot} with single_file={name!r}: the checkpoint has to lie in the "
            "folder of the pipeline, whose configurations it is read with. Copy it there"
        )
    snapshot.fetch(path.as_posix())
    return snapshot.file(path.as_posix())


@contextlib.contextmanager
def _complete(snapshot: Snapshot, name: str) -> Iterator[None]:
    """Say that a checkpoint lacks weights, in whatever words diffusers and torch say it."""
    from diffusers.loaders.single_file_utils import SingleFileComponentError

    try:
        yield
    except SingleFileComponentError as error:
        raise RepositoryError(
            f"cannot load {snapshot} with single_file={name!r}: the checkpoint lacks a part "
            f"({first_line(error)}). Take a checkpoint that holds all parts of this pipeline"
        ) from error
    except NotImplementedError as error:  # torch moves a weight that nothing has filled
        raise RepositoryError(
            f"cannot load {snapshot} with single_file={name!r}: the checkpoint lacks weights of a "
            "layer. Take a checkpoint of this pipeline, whose sizes are those of the folder"
        ) from error


def _refuse_empty(snapshot: Snapshot, pipeline: Any, name: str) -> None:
    """Refuse a checkpoint that lacks weights of a part."""
    for part, module in pipeline.components.items():
        if not isinstance(module, torch.nn.Module):
            continue
        lacking = [key for key, value in module.named_parameters() if value.is_meta]
        if lacking:
            raise RepositoryError(
                f"cannot load {snapshot} with single_file={name!r}: the checkpoint lacks weights "
                f"of {part!r}, such as {lacking[0]}. Take a checkpoint of this pipeline"
            )


def _offload(pipeline: Any) -> None:
    try:
        pipeline.enable_model_cpu_offload()
    except RuntimeError as error:
        raise MechanismError(
            f"offload=True cannot be used: {first_line(error)}. Leave it out."
        ) from error


def _other_scheduler(library: object, own: Any, wanted: str | Mapping[str, object]) -> object:
    """The scheduler that was asked for, with the settings that the pipeline's own one has.

    Raises:
        MechanismError: A class or a setting that diffusers does not have.
    """
    settings: Json = {"class": wanted} if isinstance(wanted, str) else dict(wanted)
    name = settings.pop("class", None)
    if not isinstance(name, str):
        raise MechanismError(
            f"scheduler={wanted!r} does not name a class: give its name, or a mapping such as "
            '{"class": "DPMSolverMultistepScheduler", "use_karras_sigmas": True}.'
        )
    found = _scheduler(library, name)
    known = inspect.signature(found.__init__).parameters
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise MechanismError(
            f"{name} has no setting {', '.join(unknown)}; its settings are "
            f"{', '.join(key for key in known if key != 'self')}."
        )
    return found.from_config(own.config, **settings)


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
    found = named(library, name)
    if found is None or not hasattr(found, "set_timesteps"):
        raise MechanismError(
            f"scheduler={name!r} is not a scheduler of diffusers {library.__version__}."
        )
    return found


def _is_component(entry: object) -> bool:
    """Whether an entry is a library and a class of it; a list of two numbers is a setting."""
    if not isinstance(entry, list) or len(entry) != 2:
        return False
    return all(isinstance(name, str) and name for name in entry)


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
    return named(pipelines, library) is not None


def _check_folder(snapshot: Snapshot, name: str) -> None:
    folder = snapshot.path / name
    if not folder.is_dir() or not any(folder.iterdir()):
        raise RepositoryError(
            f"cannot load {snapshot}: model_index.json names the part {name!r}, and there is no "
            f"folder {name}. Download the whole pipeline, or save it again with save_pretrained"
        )
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors" and is_pointer(path):
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


@contextlib.contextmanager
def _opening(snapshot: Snapshot, variant: str | None) -> Iterator[None]:
    """Turn what diffusers raises about files into an error of ours, with the advice that fits."""
    try:
        with _quiet():
            yield
    except CausalPlugError:
        raise
    except ImportError as error:
        raise MissingDependencyError(
            f"cannot load {snapshot}: {first_line(error)}. Install what it needs"
        ) from error
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise RepositoryError(
            f"cannot load {snapshot}: {first_line(error)}. {_advice(snapshot, variant)}"
        ) from error


def _advice(snapshot: Snapshot, variant: str | None) -> str:
    """What to do about weights that were not found."""
    files = names_of(snapshot.path.rglob("*.safetensors"))
    others = _variants(files) - {variant}
    if others and variant is None:
        other = min(others)
        return f"Its weights are of the variant {other!r}: load it with variant={other!r}"
    if variant is not None:
        return f"It has no weights of the variant {variant!r}: leave variant= out"
    pickles = [*snapshot.path.rglob("*.bin"), *snapshot.path.rglob("*.ckpt")]
    if pickles or not files:
        return "Save the pipeline again with safe_serialization=True"
    return "Check that all its files are there, and that diffusers and transformers are new enough"


def _variants(files: list[str]) -> set[str]:
    """The variants that names such as ``model.fp16.safetensors`` speak of."""
    parts = [name.split(".") for name in files]
    found = {part[-2] for part in parts if len(part) > 2}
    return {name for name in found if not name.isdigit()}


def _component(
    snapshot: Snapshot, name: str, entry: list[str], precision: torch.dtype, variant: str | None
) -> Any:
    library, cls = entry
    found = named(importlib.import_module(library), cls)
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
