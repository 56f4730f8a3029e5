"""How far a model of discrete variables is from an exact one: no rows are drawn, the model's
tables are computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch

import causalplug as cp
from causalplug.training.factors import Cells, ConfounderDraws, confounders_of
from tests.scm import SCM, random_scm

__all__ = ["REFERENCES", "do_gaps", "joint", "sampling_floor", "tvd"]

_SEVEN = "X0 -> W0; X0, X1, X2 -> W1; W0, W1 -> Y0; W1 -> Y1; X0 <-> Y0; X1 <-> X2; X2 <-> Y1"

_CELLS = 2**22  # cells times draws at a time


def joint(
    dcm: cp.DCM,
    do: Mapping[str, int] | None = None,
    keep: Sequence[str] | None = None,
    *,
    draws: int = 4096,
) -> np.ndarray:
    """P(``keep`` | do(``do``)) of a model of discrete variables with explicit mechanisms, one axis
    per variable.

    The confounders are integrated over by quasi-random draws, some thousand of which are right to
    about .001.
    """
    do, keep = dict(do or {}), list(dcm.graph.variables if keep is None else keep)
    needed = dcm.graph.do(do).ancestors(keep)
    names = [name for name in dcm.graph.variables if name in needed]
    sizes = [1 if name in do else dcm.variables[name].size for name in names]
    grid = torch.unravel_index(torch.arange(math.prod(sizes)), sizes)
    codes = dict(zip(names, grid, strict=True))
    codes |= {name: torch.full_like(grid[0], value) for name, value in do.items() if name in codes}
    free = [name for name in names if name not in do]
    cells = Cells(dcm, free, codes)
    drawn = ConfounderDraws(confounders_of(dcm, free), dcm.confounder_size, draws)(
        torch.Generator().manual_seed(0)
    )
    parts = max(1, draws * len(grid[0]) // _CELLS) if drawn else 1
    with torch.no_grad():
        pieces = (
            {edge: value[part::parts] for edge, value in drawn.items()} for part in range(parts)
        )
        found = sum(cells.log_prob(piece).exp().sum(0) for piece in pieces)
    table = (found / found.sum()).double().numpy().reshape(sizes)  # type: ignore[union-attr, operator]
    return np.einsum(table, list(range(len(names))), [names.index(name) for name in keep])


def tvd(p: np.ndarray, q: np.ndarray) -> float:
    """Total variation distance of two tables of one shape."""
    return 0.5 * float(np.abs(p - q).sum())


def sampling_floor(p: np.ndarray, rows: int) -> float:
    """Expected TVD of a distribution from a sample of ``rows`` of it, by the normal limit of
    every cell."""
    p = p.ravel()
    return 0.5 * float(np.sqrt(2 / np.pi * p * (1 - p) / rows).sum())


def do_gaps(
    dcm: cp.DCM,
    exact: Callable[[dict[str, int], list[str]], np.ndarray],
    sources: Iterable[cp.Source] | None = None,
    *,
    draws: int = 4096,
) -> dict[str, float]:
    """TVD of every identifiable P(y | do(x)) over single variables, by the query's text.

    Args:
        dcm: the model.
        exact: the true P(keep | do) from what is set and what is kept.
        sources: what the model was trained on; one observational source of everything by default.
        draws: of the confounders.
    """
    found = {}
    graph, known = dcm.graph, None if sources is None else list(sources)
    for x in graph.variables:
        below = [y for y in graph.variables if y != x and x in graph.ancestors([y])]
        asked = [y for y in below if cp.identify(graph, f"P({y} | do({x}))", sources=known)]
        for value in range(dcm.variables[x].size) if asked else ():
            model, names = joint(dcm, {x: value}, asked, draws=draws), list(range(len(asked)))
            for place, y in enumerate(asked):
                answer = np.einsum(model, names, [place])
                found[f"P({y} | do({x}={value}))"] = tvd(answer, exact({x: value}, [y]))
    return found


def _binary(edges: str, **ones: object) -> SCM:
    """Binary variables with one even confounder per bidirected edge; ``ones`` gives P(V=1) with
    the axes of a table."""
    graph = cp.CausalGraph.parse(edges)
    tables = {
        name: np.stack([1 - np.array(p), np.array(p)], -1)[..., None, :] for name, p in ones.items()
    }
    confounders = {edge: np.array([0.5, 0.5]) for edge in graph.bidirected}
    return SCM(
        graph,
        dict.fromkeys(graph.variables, 2),
        confounders,
        dict.fromkeys(graph.variables, np.ones(1)),
        tables,
    )


REFERENCES = {
    "front-door": _binary(
        "D -> I -> A; D <-> A", D=[0.2, 0.8], I=[0.25, 0.75], A=[[0.1, 0.55], [0.5, 0.815]]
    ),  # P(A | D) is .11 from P(A | do(D))
    "napkin": _binary(
        "W -> Z -> X -> Y; W <-> X; W <-> Y",
        W=[[0.05, 0.75], [0.25, 0.95]],
        Z=[0.1, 0.9],
        X=[[0.1, 0.3], [0.7, 0.9]],
        Y=[[0.1, 0.55], [0.45, 0.9]],
    ),
    "seven": random_scm(cp.CausalGraph.parse(_SEVEN), 2, seed=117),
}
"""The models that speed is measured on: three and four binary variables, and the graph of the
paper's F.7."""
