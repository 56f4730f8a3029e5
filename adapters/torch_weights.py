"""State dicts of PyTorch (``.pt``, ``.pth``, ``.ckpt``), read without running anything that they
contain."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from causalplug.errors import RepositoryError
from causalplug.files.facts import is_pointer

__all__ = ["read_torch_weights"]

_WRAPPERS = ("state_dict", "model_state_dict", "generator", "model", "netG", "G", "params")
_AVERAGED = re.compile(r"(^|_)(ema|swa|avg|averaged?|shadow)($|_|\d)|ema$", re.IGNORECASE)


def read_torch_weights(
    path: str | PathLike[str], *, key: str | None = None, prefix: str = ""
) -> dict[str, Tensor]:
    """The tensors of a state dict by name, read with ``weights_only=True``; save them as
    safetensors before sharing.

    ``ConditionalGAN(…, tensors=read_torch_weights("G.pth")).save_pretrained("folder")`` converts a
    generator.

    Args:
        path: The file.
        key: Where the state dict lies in a checkpoint with several parts; common names are tried
            without it.
        prefix: Taken off the names, such as ``"module."``; names without it are left out.

    Raises:
        RepositoryError: The file is missing, damaged, a program (TorchScript), a pointer of Git
            LFS, holds objects that only code could rebuild, several sets of weights, or no state
            dict.
    """
    found = _loaded(path)
    if key is not None:
        if not isinstance(found, Mapping) or key not in found:
            raise RepositoryError(
                f"cannot read {path}: it has no part {key!r}; it holds {_parts(found)}"
            )
        found = found[key]
    elif not _is_state_dict(found) and isinstance(found, Mapping):
        found = _only_part(found, path)
    if not _is_state_dict(found):
        raise RepositoryError(
            f"cannot read {path}: it is no state dict of tensors but holds {_parts(found)}. Give "
            "key=…"
        )
    _refuse_unusual(found, path)
    taken = {}
    for n, tensor in found.items():
        if n.startswith(prefix):
            taken[n.removeprefix(prefix)] = tensor
    if not taken:
        raise RepositoryError(
            f"cannot read {path}: no tensor's name begins with {prefix!r}; the first is "
            f"{next(iter(found))!r}"
        )
    return taken


def _loaded(path: str | PathLike[str]) -> Any:
    """What the file holds, tensors and plain values alone.

    Raises:
        RepositoryError: As :func:`read_torch_weights`.
    """
    _refuse_other_files(Path(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # about unusual pickle protocols: what cannot be read is refused anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise RepositoryError(
            f"cannot read {path}: it is a pickle of whole objects (or no PyTorch file at all), and "
            "opening those could run any code. Ask its author for torch.save(model.state_dict(), "
            "…) or safetensors"
        ) from None
    except Exception as error:  # a damaged file ends in any of a dozen kinds of exception
        raise RepositoryError(
            f"cannot read {path}: it is damaged or no PyTorch file ({type(error).__name__}). "
            "Download it again"
        ) from error


def _refuse_other_files(path: Path) -> None:
    """Name what is known to be something else, before it is opened."""
    if not path.is_file():
        raise RepositoryError(f"cannot read {path}: there is no such file. Check the path")
    try:
        program = zipfile.is_zipfile(path) and any(
            "/code/" in name for name in zipfile.ZipFile(path).namelist()
        )
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise RepositoryError(f"cannot read {path}: {error}. Download it again") from error
    if is_pointer(path):
        raise RepositoryError(
            f"cannot read {path}: it is a pointer of Git LFS, not the weights themselves. Run: git "
            "lfs pull"
        )
    if program:
        raise RepositoryError(
            f"cannot read {path}: it is a TorchScript program, and opening it runs code. Save the "
            "weights alone: torch.save(module.state_dict(), …), or safetensors"
        )


def _only_part(found: Mapping[Any, Any], path: str | PathLike[str]) -> object:
    """The one part of a checkpoint that can be meant.

    Raises:
        RepositoryError: There are several: averaged weights beside those of the last step, say.
    """
    inside = [name for name in _WRAPPERS if _is_state_dict(found.get(name))]
    averaged = [name for name, part in found.items() if _AVERAGED.search(str(name)) and part]
    if averaged:  # whatever the others are called, as "g" beside "g_ema"
        inside = [name for name, part in found.items() if _is_state_dict(part)]
    choices = list(dict.fromkeys([*inside, *averaged]))
    if len(choices) > 1:
        usual = (averaged or choices)[0]
        hint = ", say"
        if averaged:
            hint = " for the averaged ones, the usual choice"
        raise RepositoryError(
            f"cannot read {path}: it holds several sets of weights ({_parts(found)}). Say which is "
            f"meant: key={usual!r}{hint}"
        )
    if not choices:
        return found
    part = found[choices[0]]
    nested = []
    if part:
        nested = [item for item in part.values() if _is_state_dict(item)]
    if len(nested) == 1 and not _is_state_dict(part):
        return nested[0]
    return part


def _refuse_unusual(tensors: Mapping[str, Tensor], path: str | PathLike[str]) -> None:
    """Refuse tensors that are not plain arrays of numbers which the file holds."""
    size = Path(path).stat().st_size
    for name, tensor in tensors.items():
        plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
        if not plain or tensor.is_quantized:
            raise RepositoryError(
                f"cannot read {path}: {name!r} is not a plain tensor (sparse, quantized or without "
                "numbers). Save it as a dense one"
            )
        if tensor.numel() * tensor.element_size() > size:
            raise RepositoryError(
                f"cannot read {path}: {name!r} claims {tensor.numel():,} numbers, more than the "
                "file holds. Ask its author for a valid file"
            )


def _parts(found: object) -> str:
    if isinstance(found, Mapping):
        return ", ".join(map(str, found))[:200]
    return f"a {type(found).__name__}"


def _is_state_dict(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(
            isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items()
        )
    )
