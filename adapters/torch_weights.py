"""State dicts of PyTorch (``.pt``, ``.pth``, ``.ckpt``), read without running anything that they
contain."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from causalplug.errors import RepositoryError

__all__ = ["read_torch_weights"]

_WRAPPERS = ("state_dict", "model_state_dict", "generator", "model", "netG", "G", "params")


def read_torch_weights(
    path: str | PathLike[str], *, key: str | None = None, prefix: str = ""
) -> dict[str, Tensor]:
    """The tensors of a state dict by name, read with ``weights_only=True``; save them as
    safetensors before sharing.

    ``ConditionalGAN(…, tensors=read_torch_weights("G.pth")).save_pretrained("folder")`` converts a
    generator.

    Args:
        path: the file.
        key: where the state dict lies in a checkpoint with several parts; common names are tried
            without it.
        prefix: taken off the names, such as ``"module."``; names without it are left out.

    Raises:
        RepositoryError: the file is missing, damaged, holds objects that only code could rebuild,
            or no state dict.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # about unusual pickle protocols: what cannot be read is refused anyway
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise RepositoryError(
            f"cannot read {path}: it is a pickle of whole objects (or no PyTorch file at all), and "
            "opening those could run any code. Ask its author for torch.save(model.state_dict(), "
            "…) or safetensors"
        ) from None
    except (OSError, EOFError, RuntimeError, ValueError) as error:
        raise RepositoryError(
            f"cannot read {path}: {str(error).splitlines()[0]}. Download it again"
        ) from error
    if key is not None:
        if not isinstance(found, Mapping) or key not in found:
            parts = (
                ", ".join(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
            )
            raise RepositoryError(
                f"cannot read {path}: it has no part {key!r}; it holds {parts[:200]}"
            )
        found = found[key]
    elif isinstance(found, Mapping) and not _is_state_dict(found):
        inside = [name for name in _WRAPPERS if _is_state_dict(found.get(name))]
        found = found[inside[0]] if len(inside) == 1 else found
    if not _is_state_dict(found):
        parts = (
            ", ".join(map(str, found))[:200]
            if isinstance(found, Mapping)
            else f"a {type(found).__name__}"
        )
        raise RepositoryError(
            f"cannot read {path}: it is no state dict of tensors but holds {parts}. Give key=…"
        )
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in found.items()
        if name.startswith(prefix)
    }


def _is_state_dict(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(
            isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items()
        )
    )
