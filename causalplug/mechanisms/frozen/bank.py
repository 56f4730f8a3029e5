"""The sample bank: a frozen generator's images are drawn once per label, and training never
calls it again."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from os import PathLike

import numpy as np
import torch
from torch import Tensor

from causalplug.encoders.encoders import Encoder
from causalplug.errors import MechanismError
from causalplug.mechanisms.frozen.bank_files import BankFiles, Filling
from causalplug.mechanisms.frozen.generator import FrozenMechanism, state_hash
from causalplug.networks import is_out_of_memory
from causalplug.noise import Noise
from causalplug.selection import map_values
from causalplug.signals import ending_like_interrupts
from causalplug.variables import Variable
from causalplug.wording import add_note

__all__ = ["SampleBank"]

Progress = Callable[[int, int], None]
"""Called with the rows drawn so far and their total."""


class SampleBank:
    """Samples of a bound frozen generator for every joint label that its label map can ask for.

    Sample ``i`` of a label is a function of ``(seed, i)`` and the generator alone: it does not
    depend on the batch size or on how many labels there are, and two labels' sample ``i`` come from
    the same latent.

    Args:
        mechanism: Bound to its variable, with its label map resolved.
        encoder: What is kept of the images; without one the images themselves are.
        rows_per_label: Samples of each label.
        seed: Seed of the samples.
        keep_images: Keep the images as uint8 beside their projections.
        batch_size: Images at a time, at first; halved whenever memory does not hold them.
        progress: Told about the filling; a bool switches a progress bar on or off.
        folder: Keep the samples in memory-mapped files there. They are found again by whoever asks
            for the same ones, other processes included. Processes that ask for one bank at the
            same time, as those of ``accelerate launch`` do, draw it together, and an interrupted
            filling goes on where it stopped. A generator of another revision, another encoder, seed
            or number of rows gets files of its own.
        labels: Joint labels to be in the bank; by default all that the label map can ask for.
        max_bytes: Most bytes of all banks in ``folder``; those unused for longest are deleted to
            make room.

    Attributes:
        labels: Joint labels ``(u,)`` that are in the bank.
        projections: ``(u, rows_per_label, size)``, or None without an encoder.
        images: ``(u, rows_per_label, channels, height, width)`` uint8, or None.

    Raises:
        MechanismError: The generator is not bound, or its label map still has to be estimated.
        KeyboardInterrupt: Ctrl-C, SIGTERM or SIGHUP while it is filled; it says where the finished
            samples are kept, in a bank with a folder.
    """

    def __init__(
        self,
        mechanism: FrozenMechanism,
        encoder: Encoder | None = None,
        *,
        rows_per_label: int = 2000,
        seed: int = 0,
        keep_images: bool = False,
        batch_size: int = 500,
        progress: Progress | bool | None = None,
        folder: str | PathLike[str] | None = None,
        labels: Tensor | None = None,
        max_bytes: int = 4 << 30,
    ):
        if mechanism.label_map is None:
            why = "it is not bound to a variable"
            if mechanism.pending:
                why = "its label map is still to be estimated"
            raise MechanismError(
                f"{type(mechanism).__name__} cannot fill a sample bank: {why}. Call "
                "estimate_label_map(rows) or bind(…)."
            )
        if rows_per_label < 1:
            raise MechanismError(
                f"A sample bank needs at least one row per label; got {rows_per_label}."
            )
        self.mechanism, self.encoder = mechanism, encoder
        self.label_map = mechanism.label_map
        self.rows_per_label, self.seed = rows_per_label, seed
        if labels is None:
            self.labels = self.label_map.used
        else:
            self.labels = labels
        self._place = torch.full((self.label_map.size,), -1, dtype=torch.int64)
        self._place[self.labels] = torch.arange(len(self.labels))
        keep_images = keep_images or encoder is None
        variable = mechanism.variable
        arrays: dict[str, tuple[tuple[int, ...], type]] = {}
        if encoder is not None:
            arrays["projections"] = ((len(self.labels), rows_per_label, encoder.size), np.float32)
        if keep_images:
            arrays["images"] = ((len(self.labels), rows_per_label, *variable.event_shape), np.uint8)
        report = _reporter(progress, mechanism.name or "bank", len(self))
        with ending_like_interrupts():
            if folder is None:
                made = self._fill_memory(arrays, batch_size, report)
            else:
                files = BankFiles(folder, self.fingerprint(), arrays, max_bytes=max_bytes)
                made = self._fill_files(files, batch_size, report)
        kept = map_values(torch.from_numpy, made)
        self.projections, self.images = kept.get("projections"), kept.get("images")

    def __len__(self) -> int:
        return len(self.labels) * self.rows_per_label

    def __repr__(self) -> str:
        return (
            f"SampleBank({self.mechanism.name!r}, {len(self.labels)} labels x "
            f"{self.rows_per_label} rows)"
        )

    def fingerprint(self) -> str:
        """A hash of everything that decides the samples.

        Raises:
            MechanismError: The generator does not say which version it is.
        """
        encoder = self.encoder
        facts = [self.mechanism.fingerprint(), self.rows_per_label, self.seed, self.labels.tolist()]
        if encoder is not None:
            facts += [encoder.kind, encoder.config(), state_hash(encoder.state_dict())]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]

    def _fill_files(
        self, files: BankFiles, batch_size: int, report: Progress
    ) -> dict[str, np.ndarray]:
        if files.done < len(self):
            with files.filling() as filling, self._saying(files, filling):
                self._fill_shared(files, filling, batch_size, report)
                files.record(len(self))
        return dict(files.open(write=False))

    @contextlib.contextmanager
    def _saying(self, files: BankFiles, filling: Filling) -> Iterator[None]:
        """Add to an interruption where the finished batches are."""
        try:
            yield
        except KeyboardInterrupt as interrupt:
            add_note(
                interrupt,
                f"{filling.done:,} of {len(self):,} samples of the bank of "
                f"{self.mechanism.name!r} are kept in {files.path}; the next call with this "
                "folder goes on from there.",
            )
            raise

    def _fill_shared(
        self, files: BankFiles, filling: Filling, batch_size: int, report: Progress
    ) -> None:
        """Draw what no other process is drawing, then wait for what others draw; what a process
        leaves undone because it ends is drawn by those that wait for it."""
        left = list(self._blocks(batch_size))
        size = batch_size
        for wait in (False, True):
            others: list[range] = []
            for block in left:
                with filling.claimed(block, wait=wait) as mine:
                    if not mine:
                        others.append(block)
                        continue
                    missing = filling.missing(block)
                    if len(missing):
                        size = self._paint(filling.arrays, missing, size)
                        filling.mark(missing)
                        files.record(filling.done)
                        report(filling.done, len(self))
            left = others

    def _fill_memory(
        self,
        shapes: Mapping[str, tuple[tuple[int, ...], type]],
        batch_size: int,
        report: Progress,
    ) -> dict[str, np.ndarray]:
        """Draw all samples."""
        arrays: dict[str, np.ndarray] = {}
        for name, (shape, kind) in shapes.items():
            arrays[name] = np.empty(shape, kind)
        size = batch_size
        for block in self._blocks(batch_size):
            size = self._paint(arrays, np.arange(block.start, block.stop), size)
            report(block.stop, len(self))
        return arrays

    def _blocks(self, batch_size: int) -> Iterator[range]:
        """All samples in their order, in blocks of one label each."""
        for first in range(0, len(self), self.rows_per_label):
            end = first + self.rows_per_label
            for start in range(first, end, batch_size):
                yield range(start, min(start + batch_size, end))

    def _paint(self, arrays: Mapping[str, np.ndarray], samples: np.ndarray, size: int) -> int:
        """Draw some samples of one label, at most ``size`` at a time; returns the size that memory
        held."""
        place = int(samples[0]) // self.rows_per_label
        rows = torch.from_numpy(samples % self.rows_per_label)
        done = 0
        while done < len(rows):
            some = rows[done : done + size]
            noise = Noise(some, self.seed)
            own = {}
            for key, spec in self.mechanism.generator_noise.items():
                own[key] = noise.draw(f"bank/{key}", spec)
            labels = torch.full((len(some),), int(self.labels[place]))
            try:
                painted = self.mechanism.paint(labels, own)
                self._keep(arrays, place, some.numpy(), painted)
            except (RuntimeError, MemoryError) as error:
                size = _halved(len(some), error)
                continue
            done += len(some)
        return size

    def _keep(
        self, arrays: Mapping[str, np.ndarray], place: int, rows: np.ndarray, painted: Tensor
    ) -> None:
        variable = self.mechanism.variable
        if self.encoder is not None:
            with torch.no_grad():
                found = self.encoder.eval()(painted.to(self.encoder.loc.device))
            arrays["projections"][place, rows] = found.cpu().numpy()
        if "images" in arrays:
            unit = (painted - variable.low) / (variable.high - variable.low)
            arrays["images"][place, rows] = (
                (unit * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
            )

    def to(self, device: torch.device | str) -> SampleBank:
        """Move what is kept to a device; returns the bank itself."""
        self._place = self._place.to(device)
        if self.projections is None:
            self.projections = None
        else:
            self.projections = self.projections.to(device)
        if self.images is None:
            self.images = None
        else:
            self.images = self.images.to(device)
        return self

    # -- drawing

    @property
    def device(self) -> torch.device:
        """Where the samples are."""
        return self._place.device

    def _positions(self, uniform: Tensor) -> Tensor:
        return (uniform * self.rows_per_label).long().clamp_(max=self.rows_per_label - 1)

    @property
    def _variable(self) -> Variable:
        return self.mechanism.variable

    def _kept(self, index: tuple[Tensor | slice, Tensor]) -> Tensor:
        if self.projections is not None:
            return self.projections[index]
        assert self.images is not None
        return self._variable.scale(self.images[index])

    def draw(self, labels: Tensor, uniform: Tensor) -> Tensor:
        """Projections ``(n, size)`` (or images, in a bank without encoder).

        Args:
            labels: Joint labels ``(n,)``.
            uniform: ``(n,)`` in [0, 1): which of the label's samples.
        """
        return self._kept((self._place[labels], self._positions(uniform)))

    def sample(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        copies: int,
        n: int,
        generator: torch.Generator,
    ) -> Tensor:
        """Samples ``(copies * n, size)`` for values of the parents; all copies of a row share its
        latent.

        Args:
            parents: Codes ``(copies * n,)``; relaxed one-hot rows are mixed, straight-through, by
                the labels.
            noise: The mechanism's own noise; only ``"label"`` is read, ``(copies * n, joint
                labels)``.
            copies, n: Rows come copy by copy, ``n`` at a time.
            generator: Decides which samples.
        """
        uniform = (
            torch.rand(n, generator=generator, device=generator.device)
            .to(self.device)
            .repeat(copies)
        )
        gumbel = noise.get("label")
        if not any(parents[name].is_floating_point() for name in self.mechanism.parents):
            return self.draw(self.label_map.draw(parents, gumbel, copies * n), uniform)
        relaxed = self.label_map.relaxed(parents, gumbel)[:, self.labels]
        rows = self._kept((slice(None), self._positions(uniform)))  # (u, copies * n, …)
        weights = relaxed.T.reshape(*relaxed.T.shape, *[1] * (rows.ndim - 2))
        return (weights * rows).sum(0)


def _halved(tried: int, error: BaseException) -> int:
    """The next size of a batch that memory did not hold.

    Raises:
        MechanismError: One image alone does not fit.
        RuntimeError: The error says something else.
    """
    if not is_out_of_memory(error):
        raise error
    if tried == 1:
        raise MechanismError(
            "A sample bank cannot be filled: one image alone does not fit into memory. Free "
            "memory, load the generator in bfloat16 or with offload=True, or move it to a larger "
            "device."
        ) from error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return tried // 2


def _reporter(progress: Progress | bool | None, name: str, total: int) -> Progress:
    if callable(progress):
        return progress
    if not progress:
        return lambda done, total: None
    from causalplug.notebook import bar_type

    bar = bar_type()(total=total, desc=f"samples of {name}", unit="image", leave=False)

    def show(done: int, total: int) -> None:
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    return show
