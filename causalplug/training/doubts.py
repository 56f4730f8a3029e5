"""What is doubtful about a trained model beyond its modules, as caveats: its joint distribution,
tails that it does not follow, and modules that were trained on few rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from causalplug.caveats import Caveat
from causalplug.data.source import Rows
from causalplug.model.model import Model
from causalplug.planning.plan import Module
from causalplug.training.columns import heavy_tailed
from causalplug.training.prepared import source_name
from causalplug.training.report import ModuleReport, TrainingReport

__all__ = ["few_rows_doubts", "joint_doubts", "tail_doubts"]

_FEWEST = 50  # rows of a module, below which every answer that runs it rests on few


def joint_doubts(report: TrainingReport) -> Iterator[Caveat]:
    """A caveat for every source whose distribution the whole model does not have."""
    for distance in report.joint:
        if distance.converged(report.tolerance):
            continue
        text = (
            f"The whole model has not the distribution of the rows: {distance.describe()}. The "
            "graph may leave an edge out; check_graph(graph, data) tests it."
        )
        yield Caveat("joint distribution", distance.target, text, distance.figures)


def tail_doubts(
    model: Model, tables: Sequence[Rows], reports: Sequence[ModuleReport]
) -> Iterator[Caveat]:
    """A caveat for every column with heavy tails in a module whose moments are off."""
    for report in reports:
        off = [text for distance in report.distances for text in distance.off]
        if not off:
            continue
        for name in report.variables:
            if model.variables[name].is_number and _is_heavy(name, tables):
                text = f"{name} has heavy tails, and the model does not follow: {'; '.join(off)}."
                yield Caveat("heavy tails", name, text, {}, (name,))


def few_rows_doubts(modules: Sequence[Module], tables: Sequence[Rows]) -> Iterator[Caveat]:
    """A caveat for every module that few rows tell of."""
    lengths = {source_name(rows): len(rows) for rows in tables}
    for module in modules:
        sources = {target.source for target in module.targets}
        rows = sum(lengths.get(source, 0) for source in sources)
        if sources and rows < _FEWEST:
            name = "+".join(module.variables)
            text = f"{name} was trained on {rows} rows."
            yield Caveat("few rows", name, text, {"rows": float(rows)}, tuple(module.variables))


def _is_heavy(name: str, tables: Sequence[Rows]) -> bool:
    columns = [rows.values[name] for rows in tables if name in rows.values]
    if not columns or columns[0].ndim > 1:
        return False
    return heavy_tailed(torch.cat([column[:].double() for column in columns]))
