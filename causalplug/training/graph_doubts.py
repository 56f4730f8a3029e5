"""Before training: do the rows contradict the graph that is trained on?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from causalplug.caveats import Caveat
from causalplug.checks.graph_check import check_graph
from causalplug.checks.graph_report import GraphCheck
from causalplug.data.source import Rows
from causalplug.errors import GraphWarning, warn_caller
from causalplug.graphs.graph import CausalGraph
from causalplug.variables import Variable

__all__ = ["graph_doubts"]

_LEVEL = 0.001  # a fit is no place for false alarms
_ROWS = 2000
_MOST = 100_000  # rows of a source that any test reads
_FEWEST = 30
# With discrete columns only, whose tests are quick, and with others.
_TESTS = {True: 300, False: 30}
_VARIABLES = {True: 30, False: 12}


def graph_doubts(
    graph: CausalGraph, variables: Mapping[str, Variable], tables: Sequence[Rows], *, seed: int
) -> list[Caveat]:
    """What the rows contradict in ``graph``, as caveats; a warning tells of them.

    Images are projected out, sources with clusters are left out, and constraints are few where they
    take time: :func:`causalplug.check_graph` tests all of them.

    Args:
        graph: The graph.
        variables: Declarations.
        tables: The encoded rows of every source.
        seed: Seed of the tests.
    """
    used = [rows for rows in tables if len(rows) >= _FEWEST and rows.clusters is None]
    columns = [_columns(rows, variables, seed) for rows in used]
    pairs = [(rows, found) for rows, found in zip(used, columns, strict=True) if len(found) > 1]
    names = {name for _, found in pairs for name in found}
    discrete = all(variables[name].is_discrete for name in names)
    if not pairs or len(graph.variables) > _VARIABLES[discrete]:
        return []
    found = check_graph(
        graph,
        [columns for _, columns in pairs],
        sources=[rows.source for rows, _ in pairs],
        level=_LEVEL,
        most_rows=_ROWS,
        most_tests=_TESTS[discrete],
        seed=seed,
    )
    if found:
        return []
    warn_caller(
        f"The rows contradict the graph: {'; '.join(map(str, found.failed[:3]))}. Answers rest on "
        "the graph. See causalplug.check_graph, and the page on wrong graphs in the documentation.",
        GraphWarning,
    )
    return [_caveat(found)]


def _columns(rows: Rows, variables: Mapping[str, Variable], seed: int) -> dict[str, np.ndarray]:
    """The low-dimensional columns, of some thousand rows; names of categories stay names."""
    found = {}
    some: slice | torch.Tensor = slice(None)
    if len(rows) > _MOST:
        draw = np.random.default_rng(seed)
        some = torch.as_tensor(draw.choice(len(rows), _MOST, replace=False, shuffle=False))
    for name, values in rows.values.items():
        variable = variables[name]
        if variable.is_image or values.ndim != 1:
            continue
        plain = values[some].cpu().numpy()
        if variable.is_discrete and not variable.is_number:
            plain = plain.astype(str)
        found[name] = plain
    return found


def _caveat(found: GraphCheck) -> Caveat:
    failed = found.failed
    sentences = "; ".join(map(str, failed[:3]))
    more = ""
    if len(failed) > 3:
        more = f" and {len(failed) - 3} more"
    return Caveat(
        "contradicted graph",
        "graph",
        f"The rows contradict what the graph implies: {sentences}{more}.",
        {"rejected": float(len(failed)), "tested": float(len(found.results))},
    )
