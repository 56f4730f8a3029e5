"""Single files in place of repositories: what may be loaded, and which call is right for others."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

from causalplug.errors import RepositoryError

__all__ = ["keras_file", "refuse_file"]

_KERAS = (".keras", ".h5", ".hdf5")
_TORCH = (
    "Read its tensors by causalplug.adapters.read_torch_weights and give them to "
    "causalplug.adapters.ConditionalGAN(…, tensors=…)"
)
_PICKLE = (
    "It is a pickle, which could run any code, and is never opened. Fit the estimator in your own "
    "code and give it to causalplug.wrap"
)
_WAYS = {
    ".pkl": _PICKLE,
    ".pickle": _PICKLE,
    ".joblib": _PICKLE,
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".ckpt": _TORCH,
    ".bin": _TORCH,
    ".safetensors": (
        "Tensors alone do not say what they are for. Give the folder of a pipeline and "
        'single_file="checkpoint.safetensors", or the tensors to '
        "causalplug.adapters.ConditionalGAN(…, tensors=…)"
    ),
    ".pt2": "Load the network with torch.export.load and give its module to causalplug.wrap",
    ".onnx": "Wrap its session in causalplug.adapters.CallableGenerator",
    ".tflite": "Wrap its interpreter in causalplug.adapters.CallableGenerator",
    ".gguf": "Language models are loaded from the folder of transformers, in safetensors",
    ".csv": "It is a table, not a saved model. Give it to causalplug.DataSource",
    ".parquet": "It is a table, not a saved model. Give it to causalplug.DataSource",
    ".json": "Give the folder that it lies in",
}


def keras_file(source: str | PathLike[str]) -> Path | None:
    """The file that a source names where it is one of Keras; None where it is something else."""
    path = Path(os.fspath(source)).expanduser()
    if path.suffix.lower() in _KERAS and path.is_file():
        return path
    return None


def refuse_file(source: str | PathLike[str]) -> None:
    """Refuse a file that is no repository, naming the call that is right for it.

    Raises:
        RepositoryError: It is a file.
    """
    path = Path(os.fspath(source)).expanduser()
    if not path.is_file():
        return
    way = _WAYS.get(path.suffix.lower())
    if way is not None:
        raise RepositoryError(f"cannot load {path.name}: it is a file of its own. {way}")
