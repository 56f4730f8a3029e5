"""Two models that no data source can tell apart and that answer a query differently.

Such a pair proves that the query is not identifiable. Starting at a random model, its parameters
(logits of all probability tables) are moved in the direction in which the query changes most while,
to first order, nothing that the sources show does; Newton steps bring the sources back exactly. The
derivatives are exact (complex steps).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from causalplug.graphs.source import Source
from causalplug.identification.query import Query
from tests.scm import SCM

__all__ = ["shown", "twin"]


def shown(scm: SCM, sources: Sequence[Source]) -> np.ndarray:
    """Everything that ``sources`` show of ``scm``, as one vector of probabilities."""
    parts = []
    for source in sources:
        observed = [v for v in scm.graph.variables if v in source.observed]
        intervened = [v for v in scm.graph.variables if v in source.do]
        for setting in product(
            *(source.values.get(v, range(scm.cardinalities[v])) for v in intervened)
        ):
            parts.append(scm.joint(dict(zip(intervened, setting, strict=True)), observed).ravel())
    return np.concatenate(parts)


def twin(
    scm: SCM, sources: Sequence[Source], query: Query, *, gap: float = 0.01, steps: int = 100
) -> SCM | None:
    """A model that shows the same as ``scm`` and answers ``query`` differently by at least ``gap``
    somewhere.

    Returns None if no direction is left in which the answer changes, as for an identifiable query.
    """
    start = _logits(scm)
    wanted = shown(scm, sources)
    answer = np.ravel(scm.probability(query))
    at, stride, entry = start, 1.0, -1
    for _ in range(steps):
        jacobian, gradient = _derivatives(scm, at, sources, query)
        silent = gradient - gradient @ np.linalg.pinv(jacobian, rcond=1e-9) @ jacobian
        if entry < 0:
            entry = int(
                np.argmax(np.linalg.norm(silent, axis=1))
            )  # the cell of the answer that moves most
        size = np.linalg.norm(silent[entry])
        if size < 1e-8:
            return None
        moved = None
        while moved is None and stride > 1e-4:
            moved = _restored(scm, at + stride * silent[entry] / size, sources, wanted)
            stride *= 1.5 if moved is not None else 0.3
        if moved is None:
            return None
        at = moved
        found = _model(scm, at)
        if np.abs(np.ravel(found.probability(query)) - answer).max() >= gap:
            return found
    return None


def _restored(
    scm: SCM, at: np.ndarray, sources: Sequence[Source], wanted: np.ndarray
) -> np.ndarray | None:
    """The nearest parameters that show ``wanted``, by Gauss-Newton."""
    for _ in range(12):
        error = shown(_model(scm, at), sources) - wanted
        if np.abs(error).max() < 1e-13:
            return at
        at = at - np.linalg.pinv(_jacobian(scm, at, sources), rcond=1e-9) @ error
    return None


def _derivatives(
    scm: SCM, at: np.ndarray, sources: Sequence[Source], query: Query
) -> tuple[np.ndarray, np.ndarray]:
    gradient = _complex_steps(at, lambda x: np.ravel(_model(scm, x).probability(query)))
    return _jacobian(scm, at, sources), gradient


def _jacobian(scm: SCM, at: np.ndarray, sources: Sequence[Source]) -> np.ndarray:
    return _complex_steps(at, lambda x: shown(_model(scm, x), sources))


def _complex_steps(at: np.ndarray, function: Any) -> np.ndarray:
    columns = []
    for i in range(len(at)):
        moved = at.astype(complex)
        moved[i] += 1e-30j
        columns.append(function(moved).imag / 1e-30)
    return np.stack(columns, 1)


def _arrays(scm: SCM) -> list[np.ndarray]:
    return [*scm.confounders.values(), *scm.types.values(), *scm.tables.values()]


def _logits(scm: SCM) -> np.ndarray:
    return np.concatenate([np.log(array).ravel() for array in _arrays(scm)])


def _model(scm: SCM, logits: np.ndarray) -> SCM:
    """``scm`` with other parameters."""
    arrays, position = [], 0
    for array in _arrays(scm):
        raw = logits[position : position + array.size].reshape(array.shape)
        weights = np.exp(raw - raw.real.max(-1, keepdims=True))
        arrays.append(weights / weights.sum(-1, keepdims=True))
        position += array.size
    pieces = iter(arrays)
    return replace(
        scm,
        confounders={key: next(pieces) for key in scm.confounders},
        types={key: next(pieces) for key in scm.types},
        tables={key: next(pieces) for key in scm.tables},
    )
