"""A trial before trust: a generator runs on a few rows before anything rests on it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from causalplug.errors import CausalPlugError, MechanismError
from causalplug.mechanisms.frozen.label import Label
from causalplug.noise import Noise, NoiseSpec
from causalplug.selection import without_none
from causalplug.tensors import first_rows
from causalplug.variables import Image, Variable

__all__ = ["Trial", "example_values", "try_generator", "try_mechanism"]

_ROWS = 3
_TOLERANCE = 1e-2  # of the range; what differs by more than rounding depends on the other rows


class Generator(Protocol):
    """What a trial runs."""

    @property
    def image(self) -> Image: ...
    @property
    def labels(self) -> Sequence[Label]: ...
    @property
    def generator_noise(self) -> Mapping[str, NoiseSpec]: ...
    def generate(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor: ...


@dataclass(frozen=True)
class Trial:
    """What a trial found.

    Attributes:
        seconds: Wall time of 64 rows, estimated from the rows of the trial.
        spread: Largest difference between a row alone and the same row in a batch, as a share of
            the range.
    """

    seconds: float
    spread: float


def try_generator(generator: Generator, *, seed: int = 0) -> Trial:
    """Run a generator on three rows and check what every use of it relies on.

    Args:
        generator: The generator, before it is bound.
        seed: Seed of the noise.

    Raises:
        MechanismError: Images of another shape than declared, values that are not finite or leave
            the declared range, another image from the same noise, or an image that depends on the
            other rows of its batch.
    """
    name = type(generator).__name__
    labels = _labels(generator.labels)
    noise = _noise(generator.generator_noise, seed)
    started = time.perf_counter()
    images = _run(generator, labels, noise)
    seconds = (time.perf_counter() - started) * 64 / _ROWS
    _check_images(name, generator.image, images)
    scale = generator.image.high - generator.image.low
    if not torch.equal(images, _run(generator, labels, noise)):
        raise MechanismError(
            f"{name} cannot be used: the same noise gives another image. All randomness of a "
            "mechanism has to come from its declared noise; switch dropout and caches off."
        )
    alone = _run(generator, labels[:1], first_rows(noise, 1))
    spread = float((alone[0] - images[0]).abs().max()) / scale
    if spread > _TOLERANCE:
        raise MechanismError(
            f"{name} cannot be used: an image depends on the other rows of its batch (it differs "
            f"by {spread:.2g} of the range when it is painted alone). Put batch normalisation into "
            "evaluation mode, or paint the rows one by one."
        )
    return Trial(seconds, spread)


def _labels(labels: Sequence[Label]) -> Tensor:
    """Codes ``(rows, labels)``, other values in other rows where there are several."""
    columns = [_spread_codes(_ROWS, label.size) for label in labels]
    if not columns:
        return torch.zeros(_ROWS, 0, dtype=torch.int64)
    return torch.stack(columns, 1)


def _spread_codes(rows: int, size: int) -> Tensor:
    """Codes ``(rows,)`` of categories from the first to the last: a model that knows fewer fails
    at the last."""
    if size <= rows:
        return torch.arange(rows) % size
    return torch.linspace(0, size - 1, rows, dtype=torch.float64).round().long()


def _noise(specs: Mapping[str, NoiseSpec], seed: int) -> dict[str, Tensor]:
    rows = Noise(_ROWS, seed)
    return {key: rows.draw(f"trial/{key}", spec) for key, spec in specs.items()}


def _run(generator: Generator, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
    """The images of some rows; whatever the generator raises is told as a refusal."""
    try:
        with torch.no_grad():
            return generator.generate(labels, noise)
    except CausalPlugError:
        raise
    except Exception as error:
        raise _failed(generator, "painting a few images", error) from error


def _check_images(name: str, image: Image, images: Tensor) -> None:
    expected = (_ROWS, *image.event_shape)
    if tuple(images.shape) != expected:
        raise MechanismError(
            f"{name} cannot be used: it is declared to paint images of shape {image.event_shape}, "
            f"and it gives a batch of shape {tuple(images.shape)} where {expected} is right. "
            f"Declare image=Image{tuple(images.shape[1:])}."
        )
    if not torch.isfinite(images).all():
        raise MechanismError(
            f"{name} cannot be used: its images have values that are not finite. Load it in "
            "float32, and check its weights."
        )
    low, high = float(images.min()), float(images.max())
    slack = 1e-3 * (image.high - image.low)
    if low < image.low - slack or high > image.high + slack:
        raise MechanismError(
            f"{name} cannot be used: its images have values from {low:.3g} to {high:.3g}, and the "
            f"declared range is [{image.low:g}, {image.high:g}]. Declare the range that it has, or "
            "clip its output where it is generated."
        )


class Conditional(Protocol):
    """A mechanism of any kind, before it is bound."""

    @property
    def generates(self) -> Variable: ...
    @property
    def model_noise(self) -> Mapping[str, NoiseSpec]: ...
    @property
    def probabilities(self) -> bool: ...
    def declared_inputs(self) -> Mapping[str, Variable | None]: ...
    def generate(self, conditions: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor: ...
    def class_logits(self, conditions: Mapping[str, Tensor]) -> Tensor: ...


def try_mechanism(mechanism: Conditional, *, seed: int = 0) -> None:
    """Run a mechanism of any kind on three rows and check what every use of it relies on.

    Args:
        mechanism: The mechanism, before it is bound.
        seed: Seed of the noise and of what it reads.

    Raises:
        MechanismError: Values of another shape than declared or not finite, other values from the
            same noise, or a row that depends on the other rows of its batch.
    """
    name = type(mechanism).__name__
    generator = torch.Generator().manual_seed(seed)
    kinds = without_none(mechanism.declared_inputs())
    read = {key: example_values(kind, _ROWS, generator) for key, kind in kinds.items()}
    noise = _noise(mechanism.model_noise, seed)
    made = _answers(mechanism, read, noise)
    expected = _shape(mechanism)
    if tuple(made.shape) != (_ROWS, *expected):
        raise MechanismError(
            f"{name} cannot be used: it gives values of shape {list(made.shape[1:])} per row, and "
            f"{mechanism.generates.describe()} has {list(expected)}. Declare the variable so."
        )
    if not bool(torch.isfinite(made.float()).all()):
        raise MechanismError(f"{name} cannot be used: it gives values that are not finite.")
    if not torch.equal(made, _answers(mechanism, read, noise)):
        raise MechanismError(
            f"{name} cannot be used: the same noise gives other values. All randomness of a "
            "mechanism has to come from its declared noise; switch dropout off."
        )
    first = first_rows(read, 1)
    alone = _answers(mechanism, first, first_rows(noise, 1))
    scale = float(made.float().abs().max().clamp_min(1.0))
    if float((alone.float() - made[:1].float()).abs().max()) > _TOLERANCE * scale:
        raise MechanismError(
            f"{name} cannot be used: a row depends on the rows beside it in its batch. Put batch "
            "normalisation into evaluation mode."
        )


def _answers(
    mechanism: Conditional, read: Mapping[str, Tensor], noise: Mapping[str, Tensor]
) -> Tensor:
    try:
        with torch.no_grad():
            if mechanism.probabilities:
                return mechanism.class_logits(read).float().softmax(-1)
            return mechanism.generate(read, noise)
    except CausalPlugError:
        raise
    except Exception as error:
        raise _failed(mechanism, "running it on a few rows", error) from error


def _failed(generator: object, what: str, error: Exception) -> MechanismError:
    """The refusal of a model that raises in its trial."""
    reason = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return MechanismError(
        f"{type(generator).__name__} cannot be used: {what} fails with "
        f"{type(error).__name__}: {reason}."
    )


def _shape(mechanism: Conditional) -> tuple[int, ...]:
    if mechanism.probabilities:
        return (mechanism.generates.cardinality or 0,)
    return mechanism.generates.event_shape


def example_values(kind: Variable, rows: int, generator: torch.Generator) -> Tensor:
    """Encoded values of a kind, for a trial run."""
    size = kind.cardinality
    if size is not None:
        return _spread_codes(rows, size)
    if kind.is_image:
        unit = torch.rand(rows, *kind.event_shape, generator=generator)
        return kind.low + (kind.high - kind.low) * unit
    if kind.is_countable:
        return torch.arange(rows).float()
    if not kind.needs_encoder:
        return torch.rand(rows, *kind.event_shape, generator=generator)
    longest = kind.event_shape[0]
    return kind.encode(["a b c d e f g h"[: min(longest, 1 + 2 * row)] for row in range(rows)])
