"""The exogenous noise of a model: reproducible row by row, drawn only where it is read.

Row ``i`` of the noise named ``key`` is a function of ``(seed, key, i)`` alone. So the same seed
gives the same rows whatever the batch size or the number of processes, and the noise of the rows
that survive an abduction is kept as their row numbers.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from causalplug.arguments import MAPPING, SEED, instance, takes, whole
from causalplug.errors import SamplingError
from causalplug.selection import by_name, drop
from causalplug.tensors import rows_at
from causalplug.values import Json
from causalplug.wording import shortened

__all__ = ["Noise", "NoiseSpec", "Provenance", "Seen"]

_BLOCK = 2**14  # numbers per block; fixed for ever, because it decides which numbers a seed gives


@dataclass(frozen=True)
class NoiseSpec:
    """Shape and distribution of one noise of one row.

    Args:
        shape: Shape of one row.
        distribution: ``"normal"`` (standard), ``"uniform"`` on [0, 1) or ``"gumbel"`` (standard).
    """

    shape: tuple[int, ...] = ()
    distribution: str = "normal"

    def __post_init__(self) -> None:
        if self.distribution not in ("normal", "uniform", "gumbel"):
            raise SamplingError(
                f"Noise of distribution {self.distribution!r} cannot be drawn: use 'normal', "
                "'uniform' or 'gumbel'."
            )

    @property
    def rows_per_block(self) -> int:
        """Rows that are drawn together from one generator."""
        return max(1, _BLOCK // max(1, math.prod(self.shape)))

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """``(n, *shape)`` fresh draws on the generator's device: the same numbers, of 32 bits, in
        every default precision of torch."""
        return self._draw(n, generator).to(torch.get_default_dtype())

    def _draw(self, n: int, generator: torch.Generator) -> Tensor:
        drawn = torch.empty(n, *self.shape, device=generator.device, dtype=torch.float32)
        if self.distribution == "normal":
            return drawn.normal_(generator=generator)
        if self.distribution == "uniform":
            return drawn.uniform_(generator=generator)
        exponential = drawn.exponential_(generator=generator)
        return -exponential.clamp_min_(torch.finfo(torch.float32).tiny).log_()


@dataclass(frozen=True)
class Seen:
    """One event that rows of noise were chosen to agree with.

    Args:
        name: The variable.
        value: Its value in users' terms; None where it differs from row to row, or is no single
            one.
        do: What was set in the world where it was seen, by variable; None for every value.
        pins: Whether one value was seen in every row.
    """

    name: str
    value: Any = None
    do: tuple[tuple[str, object], ...] = ()
    pins: bool = True


@dataclass(frozen=True)
class Provenance:
    """Where rows of noise come from, which decides what they may be used for.

    Args:
        seen: What they were chosen to agree with.
        allowed: Answers that the data do not determine were allowed when they were chosen.
    """

    seen: tuple[Seen, ...] = ()
    allowed: bool = False

    def to_text(self) -> str:
        """The provenance as JSON."""
        return json.dumps([[[s.name, s.value, s.do, s.pins] for s in self.seen], self.allowed])

    @classmethod
    def from_text(cls, text: str) -> Provenance:
        """Inverse of :meth:`to_text`."""
        events, allowed = json.loads(text)
        found = []
        for name, value, do, pins in events:
            found.append(Seen(name, value, tuple((key, setting) for key, setting in do), pins))
        seen = tuple(found)
        return cls(seen, allowed)


def _block_seed(seed: int, key: str, block: int) -> int:
    digest = hashlib.blake2b(f"{seed}/{key}/{block}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") & (2**63 - 1)


class Noise:
    """Noise of ``n`` rows, addressed by name.

    Args:
        n: Number of rows, or their row numbers (a tensor of int64).
        seed: A whole number of at least 0.
        fixed: Tensors ``(n, *shape)`` by name that stand in place of a draw, for instance a
            recovered latent.
        provenance: What the rows were chosen to agree with.
        device: Where the draws are put; they are always made on the CPU, so that every device sees
            the same numbers.

    Raises:
        SamplingError: The seed is no whole number, or a fixed tensor has another number of rows.
    """

    @takes(
        SamplingError,
        n=instance("a tensor of row numbers", Tensor).or_else(whole(0, 2**40)),
        seed=SEED,
        fixed=MAPPING.or_none("none"),
    )
    def __init__(
        self,
        n: int | Tensor,
        seed: int = 0,
        *,
        fixed: Mapping[str, Tensor] | None = None,
        provenance: Provenance | None = None,
        device: torch.device | str = "cpu",
    ):
        if isinstance(n, Tensor):
            if n.is_floating_point():
                raise SamplingError(
                    f"Noise cannot have the row numbers {shortened(n.tolist())}: they have to be "
                    "whole numbers."
                )
            self.rows = n.to("cpu", torch.int64)
        else:
            self.rows = torch.arange(n)
        self.seed = seed
        self.device = torch.device(device)
        if provenance is None:
            self.provenance = Provenance()
        else:
            self.provenance = provenance
        self._fixed = dict(fixed or {})
        self._drawn: dict[str, Tensor] = {}
        wrong = [key for key, value in self._fixed.items() if len(value) != len(self.rows)]
        if wrong:
            raise SamplingError(
                f"Fixed noise {wrong} has another number of rows than the {len(self.rows)} of this "
                "noise."
            )

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Noise(n={len(self)}, seed={self.seed}, fixed={sorted(self._fixed)})"

    def draw(self, key: str, spec: NoiseSpec) -> Tensor:
        """The noise named ``key``: ``(n, *spec.shape)``, the same at every call."""
        if key in self._fixed:
            return self._fixed[key].to(self.device)
        if key not in self._drawn:
            self._drawn[key] = self._draw(key, spec).to(self.device)
        return self._drawn[key]

    def _draw(self, key: str, spec: NoiseSpec) -> Tensor:
        size = spec.rows_per_block
        blocks = torch.div(self.rows, size, rounding_mode="floor")
        steps = self.rows.diff()
        generator = torch.Generator()
        if len(self.rows) and bool((steps == 1).all()):  # consecutive rows, the usual case
            first, last = int(blocks[0]), int(blocks[-1])
            drawn = []
            for b in range(first, last + 1):
                drawn.append(spec.draw(size, generator.manual_seed(_block_seed(self.seed, key, b))))
            start = int(self.rows[0]) - first * size
            return torch.cat(drawn)[start : start + len(self.rows)]
        ordered = bool((steps >= 0).all())
        needed, inverse = (torch.unique_consecutive if ordered else torch.unique)(
            blocks, return_inverse=True
        )
        if (
            len(self.rows) * 4 >= len(needed) * size
        ):  # dense: draw the blocks side by side, then pick
            drawn = []
            for b in needed.tolist():
                drawn.append(spec.draw(size, generator.manual_seed(_block_seed(self.seed, key, b))))
            if drawn:
                return torch.cat(drawn)[inverse * size + self.rows % size]
            return torch.empty(0, *spec.shape)
        out = torch.empty(len(self.rows), *spec.shape)
        order = torch.argsort(inverse, stable=True)
        for block, index in zip(
            needed.tolist(), order.split(torch.bincount(inverse).tolist()), strict=True
        ):
            drawn_block = spec.draw(size, generator.manual_seed(_block_seed(self.seed, key, block)))
            out[index] = drawn_block[self.rows[index] % size]
        return out

    def select(self, index: Tensor) -> Noise:
        """The noise of some rows, by a mask or by positions; what is drawn later is what these
        rows would have had."""
        index = index.to("cpu")
        chosen = self._like(self.rows[index])
        chosen._fixed = rows_at(self._fixed, index)
        chosen._drawn = rows_at(self._drawn, index)
        return chosen

    def fix(self, values: Mapping[str, Tensor]) -> Noise:
        """The same noise with ``values`` in place of the draws of those names."""
        noise = self._like(self.rows, {**self._fixed, **values})
        noise._drawn = drop(self._drawn, values)
        return noise

    def renumbered(self, rows: Tensor) -> Noise:
        """The same fixed parts for rows of other numbers ``(n,)``; all else is drawn for those."""
        return self._like(rows, self._fixed)

    def _like(self, rows: Tensor, fixed: Mapping[str, Tensor] | None = None) -> Noise:
        return Noise(rows, self.seed, fixed=fixed, provenance=self.provenance, device=self.device)

    def chosen_for(self, provenance: Provenance) -> Noise:
        """The same noise, which says what its rows were chosen to agree with."""
        return Noise(
            self.rows, self.seed, fixed=self._fixed, provenance=provenance, device=self.device
        )

    def to(self, device: torch.device | str) -> Noise:
        """The same noise on another device."""
        return Noise(
            self.rows, self.seed, fixed=self._fixed, provenance=self.provenance, device=device
        )

    def chunks(self, size: int) -> Iterator[Noise]:
        """Consecutive parts of at most ``size`` rows."""
        for start in range(0, len(self), size):
            yield self.select(torch.arange(start, min(start + size, len(self))))

    @staticmethod
    def cat(parts: list[Noise]) -> Noise:
        """Join noises of one seed, row after row.

        Raises:
            SamplingError: The parts have different seeds, evidence or fixed names.
        """
        kinds = {(part.seed, part.provenance, frozenset(part._fixed)) for part in parts}
        if len(kinds) != 1:
            raise SamplingError(
                "Noise of different seeds, evidence or fixed parts cannot be joined: keep them "
                "apart."
            )
        first = parts[0]
        fixed = _joined([part._fixed for part in parts], first._fixed)
        joined = first._like(torch.cat([part.rows for part in parts]), fixed)
        drawn = set(first._drawn).intersection(*(part._drawn for part in parts))
        joined._drawn = _joined([part._drawn for part in parts], drawn)
        return joined

    def save(self, path: str | Path) -> None:
        """Write row numbers, seed and fixed parts to a safetensors file: a few bytes a row."""
        from safetensors.torch import save_file

        tensors: Json = {"rows": self.rows}
        tensors |= {f"fixed/{key}": value.cpu().contiguous() for key, value in self._fixed.items()}
        metadata = {"seed": str(self.seed), "format": "causalplug-noise-1"}
        if self.provenance != Provenance():
            metadata["provenance"] = self.provenance.to_text()
        save_file(tensors, path, metadata=metadata)

    @classmethod
    def load(cls, path: str | Path, *, device: torch.device | str = "cpu") -> Noise:
        """Read what :meth:`save` wrote.

        Raises:
            SamplingError: There is no such file, or it holds something else.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != "causalplug-noise-1":
                    raise SamplingError(
                        f"{path} is not a noise file of causalplug. Write one with Noise.save."
                    )
                tensors = by_name(file.get_tensor, file.keys())
        except (SafetensorError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                why = "there is no such file"
            else:
                why = str(error)
            raise SamplingError(
                f"{path} cannot be read: {why}. Check the path, or write it with Noise.save."
            ) from error
        try:
            rows = _row_numbers(tensors.pop("rows"))
            seed = int(metadata["seed"])
            provenance = None
            if "provenance" in metadata:
                provenance = Provenance.from_text(metadata["provenance"])
        except (KeyError, TypeError, ValueError) as error:
            raise SamplingError(
                f"{path} cannot be read: it is damaged ({type(error).__name__}: {error}). Write it "
                "again with Noise.save."
            ) from error
        fixed = {key.removeprefix("fixed/"): value for key, value in tensors.items()}
        return cls(rows, seed, fixed=fixed, provenance=provenance, device=device)


def _row_numbers(rows: Tensor) -> Tensor:
    """Row numbers, if they are such.

    Raises:
        ValueError: They are not whole numbers of at least 0 in a row.
    """
    whole_numbers = not (rows.is_floating_point() or rows.is_complex()) and rows.ndim == 1
    if not whole_numbers or bool((rows < 0).any()):
        raise ValueError("its row numbers are not whole numbers of at least 0")
    return rows


def _joined(parts: Sequence[Mapping[str, Tensor]], keys: Iterable[str]) -> dict[str, Tensor]:
    """The tensors under ``keys``, one part after the other."""
    found = {}
    for key in keys:
        found[key] = torch.cat([part[key] for part in parts])
    return found
