"""Weights of a generator from a file that holds more, or holds them in normalised form."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from causalplug.errors import MechanismError

__all__ = ["chosen", "plain_weights"]

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_PART = ".parametrizations."


def chosen(
    tensors: Mapping[str, Tensor], only: str | Sequence[str], ignore: str | Sequence[str]
) -> dict[str, Tensor]:
    """The tensors whose names match ``only`` and not ``ignore``.

    Args:
        tensors: Tensors by name.
        only: Patterns such as ``"generator.*"``; all tensors where there is none. What stands
            before the first ``*`` and ends in a dot is taken off the names.
        ignore: Patterns of names to be left out.

    Raises:
        MechanismError: A pattern that matches nothing.
    """
    wanted, unwanted = _patterns(only), _patterns(ignore)
    for pattern in (*wanted, *unwanted):
        if not fnmatch.filter(tensors, pattern):
            first = ", ".join(list(tensors)[:5])
            raise MechanismError(
                f"The pattern {pattern!r} of only= or ignore= matches no tensor; the first are "
                f"{first}."
            )
    found = {}
    for name, tensor in tensors.items():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in unwanted):
            continue
        if not wanted:
            found[name] = tensor
            continue
        for pattern in wanted:
            if fnmatch.fnmatchcase(name, pattern):
                found[name.removeprefix(_prefix(pattern))] = tensor
    return found


def _patterns(given: str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,) if given else ()
    return tuple(given)


def _prefix(pattern: str) -> str:
    before = pattern.partition("*")[0]
    return before[: before.rfind(".") + 1]


def plain_weights(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Tensors in which spectral and weight normalisation are folded into plain weights.

    Understood are both forms of torch: ``weight_orig`` with ``weight_u`` and ``weight_v``,
    ``weight_g`` with ``weight_v``, and ``parametrizations.weight``.

    Args:
        tensors: Tensors by name.
        network: The network that they are for, which says along which axis a kernel is normalised.
    """
    modules = dict(network.named_modules())
    found = dict(tensors)
    for name in tensors:
        if name.endswith(".weight_orig"):
            owner = name.removesuffix("_orig")
            u, v = found.pop(owner + "_u"), found.pop(owner + "_v")
            found[owner] = _spectral(found.pop(name), u, v, modules.get(owner.rpartition(".")[0]))
        elif name.endswith(".weight_g"):
            owner = name.removesuffix("_g")
            found[owner] = _weight(found.pop(name), found.pop(owner + "_v"))
        elif name.endswith((".weight.original", ".weight.original0")) and _PART in name:
            prefix = name.partition(_PART)[0]
            _fold(found, prefix, modules.get(prefix))
    return found


def _fold(found: dict[str, Tensor], prefix: str, module: nn.Module | None) -> None:
    """Replace one parametrised weight of ``found`` in place."""
    place = f"{prefix}{_PART}weight."
    if place + "original0" in found:
        size, direction = found.pop(place + "original0"), found.pop(place + "original1")
        found[prefix + ".weight"] = _weight(size, direction)
        return
    u, v = found.pop(place + "0._u", None), found.pop(place + "0._v", None)
    if u is None or v is None:
        raise MechanismError(
            f"The weight of {prefix!r} has a parametrisation that is not known: it is neither "
            "spectral nor weight normalisation. Save the generator's plain weights."
        )
    found[prefix + ".weight"] = _spectral(found.pop(place + "original"), u, v, module)


def _spectral(weight: Tensor, u: Tensor, v: Tensor, module: nn.Module | None) -> Tensor:
    """The weight over its largest singular value, as the last power iteration left it."""
    flat = weight
    if isinstance(module, _TRANSPOSED):
        flat = weight.transpose(0, 1)
    flat = flat.reshape(len(flat), -1)
    return weight / torch.dot(u, flat @ v)


def _weight(size: Tensor, direction: Tensor) -> Tensor:
    """``size * direction / |direction|``, the norm over the axes along which the size is one."""
    axes = [axis for axis, length in enumerate(size.shape) if length == 1]
    norm = torch.linalg.vector_norm(direction, dim=axes or None, keepdim=bool(axes))
    return size * direction / norm
