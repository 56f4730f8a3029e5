"""Samples under conditions and interventions (layers 1 and 2), and the machinery that layer 3
shares."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from causalplug.identification.assumptions import Assume
from causalplug.noise import Noise
from causalplug.sampling.accept import Stream, evaluating
from causalplug.sampling.distributed import distributed_answer
from causalplug.sampling.evidence import compile_given
from causalplug.sampling.guard import Clearance, clear, known_sources, queries_of
from causalplug.sampling.interventions import Constant, Intervention, PerRow, compile_do
from causalplug.sampling.memory import Batches, check_room
from causalplug.sampling.options import DEFAULTS, SamplingOptions
from causalplug.sampling.request import Request, check_count, request
from causalplug.sampling.result import Column, columns, table
from causalplug.sampling.worlds import Rows, World
from causalplug.values import Named
from causalplug.wording import as_names, check_known

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from causalplug.model.model import Model

__all__ = ["replay", "run", "sample", "sample_batches"]


def sample(
    dcm: Model,
    n: int,
    *,
    do: Named | None = None,
    given: Named | None = None,
    variables: str | Iterable[str] | None = None,
    options: SamplingOptions = DEFAULTS,
) -> pd.DataFrame:
    """``n`` rows of P(variables | do, given); documented at :meth:`causalplug.DCM.sample`."""
    started = time.perf_counter()
    check_count(n)
    world = World(dcm.graph, compile_do(dcm, do, n))
    condition = compile_given(dcm, given, world, n)
    asked = request(
        dcm,
        n,
        worlds={None: world},
        given=[condition] if condition.conditions or condition.points else [],
        variables=variables,
        options=options,
    )
    return answer(asked, started)


def answer(asked: Request, started: float) -> pd.DataFrame:
    """The table of a request, computed by this process or by all of them."""
    if asked.options.distributed:
        return distributed_answer(asked, started)
    shown = []
    for _, _, names in asked.targets:
        for name in names:
            shown.append(asked.dcm.variables[name])
    check_room(
        asked.n, sum(8 if not v.event_shape else 4 * math.prod(v.event_shape) for v in shown)
    )
    stream = asked.stream()
    parts: list[dict[Column, np.ndarray]] = []
    errors: dict[str, float] = {}
    for part, recovered in asked.parts(stream):
        parts.append(part)
        errors = {name: errors.get(name, 0.0) + error for name, error in recovered.items()}
    return table(parts, asked.attributes(stream, started, errors))


def sample_batches(
    dcm: Model,
    n: int,
    *,
    do: Named | None = None,
    given: Named | None = None,
    variables: str | Iterable[str] | None = None,
    options: SamplingOptions = DEFAULTS,
) -> Iterator[pd.DataFrame]:
    """The table of :func:`sample` part by part; documented at
    :meth:`causalplug.DCM.sample_batches`."""
    check_count(n)
    world = World(dcm.graph, compile_do(dcm, do, n))
    condition = compile_given(dcm, given, world, n)
    asked = request(
        dcm,
        n,
        worlds={None: world},
        given=[condition] if condition.conditions or condition.points else [],
        variables=variables,
        options=options,
    )
    return _streamed(asked)


def _streamed(asked: Request) -> Iterator[pd.DataFrame]:
    stream, started, first = asked.stream(), time.perf_counter(), 0
    for part, _ in asked.parts(stream):
        frame = table([part], asked.attributes(stream, started, {}))
        frame.index = range(first, first + len(frame))  # type: ignore[assignment]
        first += len(frame)
        yield frame


def replay(
    dcm: Model,
    noise: Noise,
    *,
    do: Named | None = None,
    variables: str | Iterable[str] | None = None,
    options: SamplingOptions = DEFAULTS,
) -> pd.DataFrame:
    """The rows of ``noise`` under ``do``; documented at :meth:`causalplug.DCM.replay`."""
    started = time.perf_counter()
    check_count(len(noise))
    interventions = compile_do(dcm, do, len(noise))
    world = World(dcm.graph, interventions)
    asked = list(dcm.graph.variables if variables is None else as_names(variables))
    check_known(asked, dcm.graph.index, "the variables cannot be computed")
    allowed, smooth = options.allow_unidentified, options.interpolate
    clearance = clear_noise(
        dcm, noise, world, asked, allowed, interpolate=smooth, assume=options.assume
    )
    size = Stream(dcm, len(noise), targets=[(world, asked)], options=options).finishing.size
    on_device = noise.to(dcm.device)

    def part(a: int, b: int) -> dict[Column, np.ndarray]:
        here = {}
        for name, i in interventions.items():
            here[name] = PerRow(i.codes[a:b], by_position=True) if isinstance(i, PerRow) else i
        with evaluating(dcm):
            rows = Rows(dcm, on_device.select(torch.arange(a, b)))
            values = rows.values(World(dcm.graph, here), asked)
            return columns(
                {(None, name): value for name, value in values.items()},
                dcm.variables,
                options.images,
            )

    parts = [result for _, _, result in Batches(size).run(0, len(noise), part)]
    attributes = clearance.attributes() | {"seconds": time.perf_counter() - started}
    return table(parts, attributes)


def clear_noise(
    dcm: Model,
    noise: Noise,
    world: World,
    names: Sequence[str],
    allow_unidentified: bool,
    *,
    interpolate: str | Iterable[str] = (),
    assume: Assume | Iterable[Assume] = (),
) -> Clearance:
    """Decide whether the values of ``names`` in ``world`` may be computed from rows of noise that
    were chosen by what was seen.

    Raises:
        NotIdentifiableError: A counterfactual of the same rows would be refused.
    """
    known = noise.provenance
    queries = queries_of(dcm.graph, [(world, names)], seen=known.seen)
    allowed = allow_unidentified or known.allowed
    return clear(dcm, queries, allow_unidentified=allowed, interpolate=interpolate, assume=assume)


def run(
    dcm: Model,
    noise: Noise,
    do: Mapping[str, torch.Tensor] | None,
    variables: Iterable[str] | None,
    allow_unidentified: bool,
) -> dict[str, torch.Tensor]:
    """Encoded values from noise under interventions, where they may be computed; documented at
    :meth:`causalplug.DCM.forward`."""
    asked = list(dcm.graph.variables if variables is None else variables)
    chosen = do or noise.provenance.seen
    if chosen and known_sources(dcm) is not None:
        check_known([*asked, *(do or {})], dcm.graph.index, "the values cannot be computed")
        world = World(dcm.graph, {name: _set_to(dcm, name, v) for name, v in (do or {}).items()})
        clear_noise(dcm, noise, world, asked, allow_unidentified)
    return dcm.generate(noise, do, asked)


def _set_to(dcm: Model, name: str, codes: torch.Tensor) -> Intervention:
    """Encoded values as an intervention that says which value it is, where it is one."""
    variable = dcm.variables[name]
    one = len(codes) > 0 and codes.ndim == 1 and bool((codes == codes[0]).all())
    if one and not variable.needs_encoder:
        return Constant(codes[0], variable.decode(codes[:1].cpu()).tolist()[0])
    return PerRow(codes)
