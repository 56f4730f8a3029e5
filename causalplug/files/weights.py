"""Weights: safetensors files, written reproducibly and read only when every check has passed.

A file must agree with its own header, with the hash that was recorded when it was saved, and with
the model. Pickles are never opened.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "WeightsFile",
    "load_tensors",
    "read_header",
    "read_safetensors",
    "refuse_infinite",
    "safetensors_writer",
]

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from causalplug.errors import MechanismError, RepositoryError
from causalplug.files.facts import Facts, agrees
from causalplug.files.validation import check_keys, parse_json, regular_file, short
from causalplug.selection import without
from causalplug.values import Named

if TYPE_CHECKING:
    import torch

_MAX_HEADER = 16 << 20
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_TYPES = {  # name in the file: name in torch, bytes of one number
    "BOOL": ("bool", 1),
    "U8": ("uint8", 1),
    "I8": ("int8", 1),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 1),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 1),
    "F8_E8M0": ("float8_e8m0fnu", 1),
    "I16": ("int16", 2),
    "U16": ("uint16", 2),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I32": ("int32", 4),
    "U32": ("uint32", 4),
    "F32": ("float32", 4),
    "I64": ("int64", 8),
    "U64": ("uint64", 8),
    "F64": ("float64", 8),
    "C64": ("complex64", 8),
}


def safetensors_writer(tensors: Mapping[str, torch.Tensor]) -> Callable[[Path], None]:
    """Return a function that writes the tensors to a path, for
    :func:`~causalplug.files.storage.write_folder`.

    The same tensors give the same bytes. Tensors that share memory (tied weights) must be given
    once.
    """

    def write(path: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        held = {}
        for name, tensor in tensors.items():
            held[name] = tensor.detach().cpu().contiguous()
        try:
            save_file(held, path, {"format": "pt"})
        except SafetensorError as error:  # how the library reports a full disk
            raise OSError(None, str(error), str(path)) from error

    return write


def read_safetensors(
    path: str | os.PathLike,
    expected: Named | None = None,
    *,
    facts: Facts | None = None,
    device: str | torch.device = "cpu",
    within: str | os.PathLike | None = None,
) -> dict[str, torch.Tensor]:
    """Read the tensors of a safetensors file once its header, its hash and its agreement with the
    model are checked.

    Args:
        path: The file.
        expected: Name to what the tensor must look like: a tensor (or anything else with ``shape``
            and ``dtype``, such as the values of ``module.state_dict()``), or a shape alone, for
            which any data type will do.
        facts: ``{"size": …, "sha256": …}`` as :func:`~causalplug.files.facts.file_facts` gave them
            when the file was saved. With them every flipped bit is found.
        device: Where the tensors go.
        within: As for :func:`regular_file`.

    Raises:
        RepositoryError: The file is missing, cut short, changed, a pickle, or its header
            contradicts itself; or, all of them listed: tensors missing, unexpected, of another
            shape or type.
    """
    file = WeightsFile(path, within=within)
    if facts is not None and not agrees(file.real, facts):
        raise RepositoryError(
            f"cannot use {path}: its size or SHA-256 is not the recorded one, so it was changed or "
            "damaged; download it again"
        )
    return file.tensors(expected, device=device)


class WeightsFile:
    """A safetensors file whose header is read and checked once.

    Args:
        path: The file.
        within: As for :func:`regular_file`.

    Attributes:
        header: Shape and torch type of each tensor, which agree with the file's size.
        size: Bytes of the file.

    Raises:
        RepositoryError: The file is missing, cut short, a pickle, or its header contradicts itself.
    """

    def __init__(self, path: str | os.PathLike, *, within: str | os.PathLike | None = None):
        self.path, self.real = str(path), regular_file(path, within=within)
        self.header = _read_header(self.real, self.path)
        self.size = self.real.stat().st_size

    def tensors(
        self, expected: Named | None = None, *, device: str | torch.device = "cpu"
    ) -> dict[str, torch.Tensor]:
        """The tensors, once the header agrees with what is ``expected``; see
        :func:`read_safetensors`."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if expected is not None:
            _compare(self.header, expected, self.path)
        try:
            return load_file(self.real, device=str(device))
        except (SafetensorError, OSError) as error:
            raise RepositoryError(f"cannot read {self.path}: {error}; download it again") from error


def read_header(
    path: str | os.PathLike, *, within: str | os.PathLike | None = None
) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and torch type of each tensor of a safetensors file, which agree with the file's size.

    Raises:
        RepositoryError: As :func:`read_safetensors`.
    """
    return _read_header(regular_file(path, within=within), str(path))


def _read_header(real: Path, path: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return the shape and torch type of each tensor; the header and the file's size agree with
    each other."""

    try:
        with open(real, "rb") as file:
            total = os.fstat(file.fileno()).st_size
            header = _header_text(file, total, path)
    except OSError as error:
        raise RepositoryError(
            f"cannot read {path}: {error.strerror}; check its permissions"
        ) from error
    entries = parse_json(header, f"{path} (header)", max_depth=4)
    check_keys(entries.pop("__metadata__", {}), {str: str}, where=f"{path} (metadata)")
    check_keys(
        entries,
        {str: {"dtype": str, "shape": list[int], "data_offsets": list[int]}},
        where=f"{path} (header)",
    )
    found, position = {}, 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if dtype not in _TYPES:
            raise _refused(path, f"tensor {short(name)} has the unknown type {short(dtype)}")
        torch_name, width = _TYPES[dtype]
        size = width * math.prod(shape)
        sane = len(shape) <= 32 and all(0 <= length < 2**40 for length in shape)
        if not sane or offsets != [position, position + size]:
            raise _refused(path, f"the place of tensor {short(name)} does not agree with its shape")
        position = offsets[1]
        found[name] = (tuple(shape), torch_name)
    announced = 8 + len(header) + position
    if announced != total:
        raise _refused(path, f"it has {total:,} bytes where its header announces {announced:,}")
    return found


def _header_text(file: BinaryIO, total: int, path: str) -> bytes:
    """The header of a safetensors file of ``total`` bytes, as it is written."""
    start, text = file.read(8), file.read(1)
    if start.startswith(_PICKLES) and text != b"{":  # a header's length may begin like a pickle
        raise _refused(
            path, "it is a pickle, which could run any code when it is opened, not safetensors"
        )
    length = int.from_bytes(start, "little")
    if start == b"version " and b"git-lfs" in text + file.read(40):
        raise RepositoryError(
            f"cannot read {path}: it is a pointer of Git LFS, not the weights themselves; "
            "run git lfs pull in the folder that was cloned"
        )
    if len(start) < 8 or length < 2 or length + 8 > total:
        raise _refused(path, "it is cut short or no safetensors file")
    if length > _MAX_HEADER:
        raise _refused(path, f"its header of {length:,} bytes is longer than {_MAX_HEADER:,}")
    return text + file.read(length - 1)


def _refused(path: str, why: str) -> RepositoryError:
    return RepositoryError(
        f"cannot read {path}: {why}; download it again or ask its author for a valid file"
    )


def _compare(found: Mapping[str, tuple[tuple[int, ...], str]], expected: Named, path: str) -> None:
    problems = []
    if missing := without(expected, found):
        problems.append(f"missing: {_names(missing)}")
    if unexpected := without(found, expected):
        problems.append(f"unexpected: {_names(unexpected)}")
    for name, wanted in expected.items():
        if name not in found:
            continue
        shape, dtype = found[name]
        shown: Any = getattr(wanted, "shape", wanted)
        right = tuple(shown)
        if shape != right:
            problems.append(f'"{name}" has shape {list(shape)} instead of {list(right)}')
        elif hasattr(wanted, "dtype") and dtype != str(wanted.dtype).removeprefix("torch."):
            problems.append(
                f'"{name}" has type {dtype} instead of {str(wanted.dtype).removeprefix("torch.")}'
            )
    if problems:
        rest = ""
        if len(problems) > 8:
            rest = f"; and {len(problems) - 8} more"
        raise RepositoryError(
            f"cannot use {path}: its tensors are not those of the model: "
            f"{'; '.join(problems[:8])}{rest}. Load it with the configuration that it was saved "
            "with"
        )


def _names(names: list[str]) -> str:
    shown = ", ".join(map(short, names[:5]))
    if len(names) > 5:
        return f"{shown} and {len(names) - 5} more"
    return shown


def load_tensors(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], where: str) -> None:
    """Copy tensors into a module whose own names, shapes and kinds of number they must match
    exactly.

    Counters of batch normalisation may be absent; floats of another precision are converted.

    Raises:
        MechanismError: Lists what is missing, unexpected or of another shape.
    """
    import torch

    expected = module.state_dict()
    problems = [*_other_names(expected, tensors), *_other_shapes(expected, tensors)]
    if problems:
        rest = ""
        if len(problems) > 8:
            rest = f"; and {len(problems) - 8} more"
        prefix = _shared_prefix(expected, tensors)
        way = "Correct the configuration's layers and names, or use the weights that belong to it."
        if prefix:
            way = (
                f"All names begin with {prefix!r}, which training put before them: take it off, as "
                f"read_torch_weights(path, prefix={prefix!r}) does."
            )
        raise MechanismError(
            f"The weights in {where} do not fit the configuration: "
            f"{'; '.join(problems[:8])}{rest}. {way}"
        )
    refuse_infinite(tensors, where)
    with torch.no_grad():
        for name, wanted in expected.items():
            if name in tensors:
                wanted.copy_(tensors[name])


def _other_names(expected: Named, tensors: Named) -> Iterator[str]:
    """Names that are missing and names that do not belong; counters of batch normalisation may
    be either."""
    counted = "num_batches_tracked"
    for word, names, known in (
        ("missing", expected, tensors),
        ("unexpected", tensors, expected),
    ):
        odd = [name for name in names if name not in known and not name.endswith(counted)]
        if odd:
            yield f"{word}: {_listed(odd)}"


def _other_shapes(
    expected: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor]
) -> Iterator[str]:
    for name, wanted in expected.items():
        if name not in tensors:
            continue
        found = tensors[name]
        if found.shape != wanted.shape:
            yield f"{name!r} has shape {list(found.shape)} instead of {list(wanted.shape)}"
        elif found.is_floating_point() != wanted.is_floating_point():
            yield f"{name!r} has type {found.dtype} instead of {wanted.dtype}"


def _shared_prefix(expected: Named, tensors: Named) -> str:
    """What every name has before the name that is expected, empty where that is not so."""
    first = next(iter(expected), None)
    if first is None or first in tensors:
        return ""
    ends = [name for name in tensors if name.endswith("." + first)]
    prefix = ""
    if len(ends) == 1:
        prefix = ends[0].removesuffix(first)
    if all(prefix + name in tensors for name in expected):
        return prefix
    return ""


def refuse_infinite(tensors: Mapping[str, torch.Tensor], where: str) -> None:
    """Refuse weights that are NaN or infinite; logarithms of probabilities may be infinite.

    Args:
        tensors: Weights by name.
        where: Where they come from, for the message.

    Raises:
        MechanismError: Some are; they are named.
    """
    wrong = [name for name, tensor in tensors.items() if not _finite(name, tensor)]
    if wrong:
        raise MechanismError(
            f"The weights in {where} cannot be used: {_listed(wrong)} "
            f"{'is' if len(wrong) == 1 else 'are'} not finite (NaN or infinite), so every answer "
            "would be. Take weights from before training diverged, or train again with a smaller "
            "step."
        )


def _finite(name: str, tensor: torch.Tensor) -> bool:
    import torch

    if not tensor.is_floating_point() or not tensor.numel():
        return True
    if name.rpartition(".")[2].startswith("log_"):
        return not bool(tensor.isnan().any())
    total = tensor.float().sum()  # cheap: infinite where any number is, or where it overflows
    return bool(torch.isfinite(total)) or bool(torch.isfinite(tensor.float()).all())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:6])) + (
        f" and {len(names) - 6} more" if len(names) > 6 else ""
    )
