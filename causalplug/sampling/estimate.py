"""Estimates of causal questions from a model's samples, with their Monte-Carlo errors."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from causalplug.caveats import Caveat, unique_caveats
from causalplug.data.source import DataSource
from causalplug.errors import QueryError
from causalplug.identification.query import Query, as_query
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.model.asked_values import beyond_seen
from causalplug.sampling.accept import SMALL, evaluating
from causalplug.sampling.answers import ESTIMATED, Estimate, answer_table
from causalplug.sampling.compare import plug_in
from causalplug.sampling.condition import seen_numbers
from causalplug.sampling.estimation import Estimation
from causalplug.sampling.guard import clear
from causalplug.sampling.options import DEFAULTS, SamplingOptions
from causalplug.sampling.request import check_count
from causalplug.sampling.terms import (
    CompiledTerm,
    compile_query,
    normalised,
)

if TYPE_CHECKING:
    from causalplug.checks.overlap import Overlap
    from causalplug.model.model import Model

__all__ = ["estimate"]


def estimate(
    dcm: Model,
    query: str | Query,
    n: int | None = None,
    *,
    data: object = None,
    compare: str | None = None,
    pictures: int = 16,
    options: SamplingOptions = DEFAULTS,
) -> Estimate:
    """The answer to ``query``; documented at :meth:`causalplug.DCM.estimate`."""
    started = time.perf_counter()
    if n is not None:
        check_count(n)
    asked = as_query(query)
    data = _plain(dcm, data)
    _check_comparison(compare, data)
    asked.check(dcm.graph.variables)
    asked = normalised(dcm, asked)
    if not asked.terms:
        raise QueryError("the query asks nothing: its terms cancel each other.")
    terms = compile_query(dcm, asked)
    clearance = clear(
        dcm,
        asked,
        allow_unidentified=options.allow_unidentified,
        interpolate=options.interpolate,
        assume=options.assume,
    )
    before = _painted(dcm)
    work = Estimation(dcm, terms, n, options, pictures, asked.formula)
    work.run(options.progress)
    finished = [block.finished() for block in work.blocks]
    table, summaries, steps = answer_table(work.axes, finished)
    if not work.counts:
        table = next(
            iter(summaries.values()),
            table.drop(columns=list(ESTIMATED)),
        )
    if compare is not None:
        table["plug_in"] = plug_in(dcm, clearance.identification, table, data)
    overlap = None if data is None else _overlap(dcm, asked, data)
    return Estimate(
        query=str(asked.name or asked),
        table=table,
        summaries=summaries,
        quantile_functions=steps,
        pictures=work.pictures,
        n=min(block.accepted for block in work.blocks),
        candidates=work.at,
        seconds=time.perf_counter() - started,
        seed=options.seed,
        status=clearance.status,
        identification=clearance.identification,
        overlap=overlap,
        warnings=unique_caveats((*clearance.warnings, *_beyond(dcm, terms), *_weak(overlap))),
        images_painted=_painted(dcm) - before,
        images_reused=0 if work.bank is None else work.bank.reused,
    )


def _check_comparison(compare: str | None, data: object) -> None:
    if compare not in (None, "plug-in") or (compare is not None and data is None):
        raise QueryError(
            f"compare={compare!r} cannot be had: the one comparison is 'plug-in', and it needs "
            "data=."
        )


def _overlap(dcm: Model, asked: Query, data: object) -> Overlap:
    """Whether the rows support what the query compares."""
    from causalplug.checks.overlap import check_overlap

    encoders = {name: partial(_projections, dcm, name) for name in dcm.encoders}
    return check_overlap(dcm.graph, asked, data, encoders, sources=dcm.sources)


def _painted(dcm: Model) -> int:
    """Images that the model's pulled generators have painted so far."""
    return sum(one.images_painted for one in dcm.modules() if isinstance(one, FrozenMechanism))


def _beyond(dcm: Model, terms: Sequence[CompiledTerm]) -> Iterator[Caveat]:
    """Caveats of ranges in the evidence in which hardly a row lies."""
    for term in terms:
        for case in term.cases:
            yield from beyond_seen(dcm.history, seen_numbers(case.given))


def _weak(overlap: Overlap | None) -> tuple[Caveat, ...]:
    """What the rows say of the very question, as a caveat."""
    if overlap is None or not overlap.weak:
        return ()
    worst = max(overlap.findings, key=lambda finding: finding.share)
    figures = {"share": overlap.share, "standard_error": overlap.standard_error}
    text = worst.text[:1].upper() + worst.text[1:].rstrip(".") + "."
    return (Caveat("weak overlap", overlap.query, text, figures, worst.of),)


def _projections(dcm: Model, name: str, column: object) -> np.ndarray:
    """Projections ``(n, d)`` of a column of images as users have them."""
    images = dcm.variables[name].encode(column, name)
    with evaluating(dcm):
        parts = []
        for part in images.split(SMALL):
            parts.append(dcm.project(name, part.to(dcm.device)).cpu())
    return torch.cat(parts).numpy()


def _plain(dcm: Model, data: object) -> object:
    """Tables as they are, data sources as tables of users' values."""
    if isinstance(data, list | tuple):
        return [_plain(dcm, one) for one in data]
    if not isinstance(data, DataSource):
        return data
    rows = data.encode(dcm.variables).values
    return {name: dcm.variables[name].decode(values[:]) for name, values in rows.items()}
