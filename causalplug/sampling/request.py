"""One answer to be computed: checked first, then streamed and read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from causalplug.caveats import unique_caveats
from causalplug.errors import SamplingError
from causalplug.model.asked_values import beyond_seen
from causalplug.sampling.accept import Stream
from causalplug.sampling.condition import Given, seen_numbers
from causalplug.sampling.guard import Clearance, clear, queries_of
from causalplug.sampling.options import SamplingOptions
from causalplug.sampling.result import Column, columns
from causalplug.sampling.worlds import Rows, World
from causalplug.values import Json
from causalplug.wording import as_names, check_known

if TYPE_CHECKING:
    import numpy as np

    from causalplug.model.model import Model

__all__ = ["Request", "check_count", "request"]


@dataclass(eq=False)
class Request:
    """One answer, checked and ready to be computed.

    Attributes:
        dcm: The model.
        n: Rows asked for.
        targets: Label, world and variables asked for in it; the label is None where there is one
            world.
        given: Conditions by world.
        clearance: Whether the data determine the answer.
        options: How it is computed.
    """

    dcm: Model
    n: int
    targets: list[tuple[str | None, World, list[str]]]
    given: list[Given]
    clearance: Clearance
    options: SamplingOptions

    def stream(self, rows: range | None = None) -> Stream:
        """The rows of noise of this answer, or those of some row numbers."""
        return Stream(
            self.dcm,
            self.n,
            given=self.given,
            targets=[(world, names) for _, world, names in self.targets],
            options=self.options,
            rows=rows,
        )

    def read(self, rows: Rows) -> tuple[dict[Column, np.ndarray], dict[str, float]]:
        """The columns of the table for some rows, and the sum of every error with which noise
        was recovered."""
        values: dict[Column, torch.Tensor] = {}
        for label, world, names in self.targets:
            values |= {(label, name): value for name, value in rows.values(world, names).items()}
        errors = {}
        for key, mark in rows.marks.items():
            errors[key.removeprefix("error of ")] = float(mark.sum())
        return columns(values, self.dcm.variables, self.options.images), errors

    def parts(self, stream: Stream) -> Iterator[tuple[dict[Column, np.ndarray], dict[str, float]]]:
        """Consecutive parts of the table, with a progress bar for long calls."""
        from causalplug.notebook import bar_type

        if self.options.progress is None:
            disable = None
        else:
            disable = not self.options.progress
        delay = 2.0
        if self.options.progress:
            delay = 0.0
        with bar_type()(
            total=len(stream.numbers), desc="sampling", unit="rows", disable=disable, delay=delay
        ) as bar:
            for n, part in stream.parts(self.read):
                bar.update(n)
                yield part

    def attributes(self, stream: Stream, started: float, errors: Mapping[str, float]) -> Json:
        """What is said beside the table."""
        found = stream.acceptance
        attributes = self.clearance.attributes() | {
            "acceptance_rate": found.rate,
            "candidates": found.candidates,
            "seed": self.options.seed,
            "seconds": time.perf_counter() - started,
        }
        if found.drawn:
            attributes["pool"] = round(stream.pool_size)
            attributes["effective_pool"] = found.effective / found.drawn
            attributes["pool_bias"] = found.drawn / found.effective
        if errors:
            by_name = {}
            for name, error in errors.items():
                by_name[name] = error / self.n
            attributes["reconstruction_error"] = by_name
        return attributes


def request(
    dcm: Model,
    n: int,
    *,
    worlds: Mapping[str | None, World],
    given: list[Given],
    variables: str | Iterable[str] | None,
    options: SamplingOptions,
) -> Request:
    """Check everything that can be checked before any work, identification last."""
    check_count(n)
    asked = list(dcm.graph.variables if variables is None else as_names(variables))
    check_known(asked, dcm.graph.index, "the variables cannot be sampled")
    if not asked:
        raise SamplingError(
            "nothing can be sampled: variables= is empty; leave it out for all of them."
        )
    targets = [(label, world, asked) for label, world in worlds.items()]
    plain: list[tuple[World, Sequence[str]]] = []
    for _, world, names in targets:
        plain.append((world, names))
    for i, part in enumerate(given):
        seen = [(g.world, g.names) for g in given[i + 1 :]]
        part.prepare(dcm, [*seen, *plain])
    clearance = clear(
        dcm,
        queries_of(dcm.graph, plain, given),
        allow_unidentified=options.allow_unidentified,
        interpolate=options.interpolate,
        assume=options.assume,
    )
    doubts = beyond_seen(dcm.history, seen_numbers(given))
    warnings = unique_caveats((*clearance.warnings, *doubts))
    return Request(dcm, n, targets, given, replace(clearance, warnings=warnings), options)


def check_count(n: int) -> None:
    """Raise unless ``n`` is a number of rows."""
    if isinstance(n, bool) or not hasattr(n, "__index__") or int(n) < 1:
        raise SamplingError(
            f"n={n!r} rows cannot be sampled: ask for a whole number of at least 1."
        )
