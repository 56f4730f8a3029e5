"""Opening a model of transformers: safetensors only, no code of the repository, nothing random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causalplug.adapters.places import reference_of
from causalplug.adapters.reasons import first_line
from causalplug.adapters.row_seeds import is_terms
from causalplug.adapters.transformers_pixels import PixelStatistics, pixel_statistics
from causalplug.errors import MissingDependencyError, RepositoryError
from causalplug.files.validation import read_json
from causalplug.hub.part import Content
from causalplug.hub.snapshot import Snapshot, refuse_users_keys
from causalplug.values import Json, Named

__all__ = [
    "OpenedModel",
    "architecture_of",
    "model_files",
    "open_model",
    "open_tokenizer",
]

_WEIGHTS = "*.safetensors"
_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
_KEPT = (".json", ".safetensors", ".txt", ".model")


@dataclass(frozen=True)
class OpenedModel:
    """A model of transformers and where it came from.

    Attributes:
        model: The model, in evaluation mode.
        missing: Names of weights that its files do not hold, which are random.
        statistics: How it wants its pixels.
        folder: Where its files are.
        location: Repository, commit and subfolder; empty for a folder.
        tokenizer: Its tokenizer where it reads texts, else None.
    """

    model: Any
    missing: tuple[str, ...]
    statistics: PixelStatistics
    folder: Path
    location: Json
    tokenizer: Any = None

    @property
    def reads_text(self) -> bool:
        """Whether it reads tokens rather than pixels."""
        return bool(self.model.main_input_name == "input_ids")


def _refuse_other_weights(snapshot: Snapshot, config: Named) -> None:
    """Raise where a configuration would have weights of another repository downloaded.

    Raises:
        RepositoryError: It asks for a pretrained backbone by its name.
    """
    asks = [config, *(value for value in config.values() if isinstance(value, Mapping))]
    if any(part.get("use_pretrained_backbone") for part in asks):
        raise RepositoryError(
            f"cannot load {snapshot}: its configuration asks for the weights of another repository "
            "(use_pretrained_backbone), which nobody has pinned. Save the model with its backbone"
        )


def architecture_of(snapshot: Snapshot) -> tuple[str, str]:
    """The class of a model, such as ``"BertForSequenceClassification"``, and its family, such as
    ``"bert"``; the class is empty where the configuration does not say."""
    snapshot.fetch("config.json")
    config = read_json(snapshot.file("config.json"), within=snapshot.boundary)
    named = config.get("architectures") or [""]
    return str(named[0]), str(config.get("model_type", ""))


def open_model(snapshot: Snapshot, head: str) -> OpenedModel:
    """Open a model of transformers, and its tokenizer where it reads texts.

    Args:
        snapshot: Its repository.
        head: Which class of transformers opens it, such as ``"AutoModel"``.

    Raises:
        MissingDependencyError: transformers, or a library that the model needs, is not installed.
        RepositoryError: Files are missing, not safetensors, or need code of the repository.
    """
    transformers = _library()
    snapshot.fetch("config.json", _WEIGHTS)
    config = read_json(snapshot.file("config.json"), within=snapshot.boundary)
    if "auto_map" in config:
        raise RepositoryError(
            f"cannot load {snapshot}: it needs code of the repository (auto_map), which is never "
            "run. Take a model of a known class"
        )
    refuse_users_keys(config, f"{snapshot}/config.json")
    _refuse_other_weights(snapshot, config)
    try:
        model, info = getattr(transformers, head).from_pretrained(
            snapshot.path,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except ImportError as error:
        name = "timm" if "timm" in str(error) else error.name
        raise MissingDependencyError(
            f"The backbone in {snapshot} cannot be loaded: it needs {name or 'a library'}, "
            f"which is not installed. Run: pip install {name or 'what its page names'}"
        ) from None
    except (OSError, ValueError) as error:
        raise RepositoryError(f"cannot load {snapshot}: {first_line(error)}") from error
    if "mask_ratio" in config:
        model.config.mask_ratio = 0.0  # a masked autoencoder hides patches at random
    missing = tuple(sorted(info["missing_keys"]))
    statistics = pixel_statistics(snapshot, config)
    tokenizer = None
    if model.main_input_name == "input_ids":
        tokenizer = open_tokenizer(snapshot)
    return OpenedModel(
        model.eval(), missing, statistics, snapshot.path, reference_of(snapshot), tokenizer
    )


def _library() -> Any:
    try:
        import transformers
    except ImportError:
        raise MissingDependencyError(
            "A model of transformers cannot be loaded: transformers is not installed. Run: pip "
            "install 'causalplug[transformers]'"
        ) from None
    return transformers


def open_tokenizer(snapshot: Snapshot) -> object:
    """The tokenizer of a model that reads texts; None for one of texts and images without it.

    Raises:
        RepositoryError: Its files are missing, or it needs code of the repository.
    """
    found = [name for name in _TOKENIZER if snapshot.has(name)]
    if not found:
        return None
    snapshot.fetch(*found)
    if snapshot.has("tokenizer_config.json"):
        settings = read_json(snapshot.file("tokenizer_config.json"), within=snapshot.boundary)
        if "auto_map" in settings:
            raise RepositoryError(
                f"cannot load {snapshot}: its tokenizer needs code of the repository (auto_map), "
                "which is never run. Take a model whose tokenizer has a known class"
            )
    try:
        return _library().AutoTokenizer.from_pretrained(
            snapshot.path, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, ImportError) as error:
        first = first_line(error)
        raise RepositoryError(
            f"cannot load the tokenizer of {snapshot}: {first}. Save it with its fast tokenizer "
            "(tokenizer.json)"
        ) from error


def model_files(folder: Path, place: str) -> dict[str, Content]:
    """The files of a model in a folder, by their place under ``place``."""
    found = [path for path in sorted(folder.iterdir()) if path.is_file()]
    kept = [path for path in found if path.suffix in _KEPT or is_terms(path)]
    return {f"{place}/{path.name}": path for path in kept}
