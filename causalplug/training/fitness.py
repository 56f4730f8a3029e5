"""Are the frozen generators fit for the rows? Asked once, before the first module trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from causalplug.checks.fit import FitReport, check_fit
from causalplug.data.source import Rows
from causalplug.errors import FitWarning, warn_caller
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.model.model import Model
from causalplug.tensors import rows_at

__all__ = ["check_generators"]

_PER_CONFIGURATION = 200  # images of each kind for one value of the parents
_CONFIGURATIONS = 6  # values of the parents that are looked at, those with the most rows
_SECONDS = 10.0  # what the generator itself may cost
_ROWS = 5000  # real rows that are looked at


def check_generators(
    dcm: Model, tables: Sequence[Rows], *, minimum_rows: int = 40, seed: int = 0
) -> list[FitReport]:
    """Check every frozen image mechanism against the largest source that records it with its
    parents.

    A generator that the rows cannot judge gets the verdict ``"unknown"`` with the reason. One that
    is unfit is warned about; training goes on, because a user may know better.

    Args:
        dcm: The model; its label maps are estimated and its encoders trained.
        tables: Encoded rows by source, images as pixels.
        minimum_rows: Minimum rows of one value of the parents.
        seed: Seed of samples and classifiers.
    """
    found = []
    for name, mechanism in dcm.mechanisms.items():
        if isinstance(mechanism, FrozenMechanism):
            report = _check(dcm, name, mechanism, tables, minimum_rows, seed)
            if report.verdict == "unfit":
                warn_caller(
                    f"The generator of {name!r} is unfit for the rows: "
                    f"{'; '.join(report.reasons)}. Answers that run through it inherit the "
                    "difference. Take another generator or label map, or train the mechanism; "
                    "check_fit=False leaves the check out.",
                    FitWarning,
                )
            found.append(report)
    return found


def _check(
    dcm: Model,
    name: str,
    mechanism: FrozenMechanism,
    tables: Sequence[Rows],
    minimum_rows: int,
    seed: int,
) -> FitReport:
    needed = (name, *mechanism.parents)
    having = [
        rows for rows in tables if set(needed) <= set(rows.values) and name not in rows.source.do
    ]
    if not having:
        together = ""
        if mechanism.parents:
            together = f" together with {', '.join(mechanism.parents)}"
        return FitReport(name, "unknown", (f"no source records {name}{together}",), ())
    rows = max(having, key=len)
    draw = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(rows), generator=draw)[:_ROWS]
    values = _most_frequent(mechanism, {key: rows.values[key][chosen] for key in needed}, name)
    counts = 1
    if mechanism.label_map is not None:
        counts = min(_CONFIGURATIONS, len(mechanism.label_map.probabilities))
    affordable = int(64 * _SECONDS / max(mechanism.batch_cost, 1e-9) / counts)
    try:
        return check_fit(
            mechanism,
            values,
            encoder=dcm.encoders.get(name),
            per_configuration=max(minimum_rows, min(_PER_CONFIGURATION, affordable)),
            minimum_rows=minimum_rows,
            seed=seed,
        )
    except ValueError as error:  # too few rows of every value of the parents
        return FitReport(name, "unknown", (str(error).rstrip("."),), ())


def _most_frequent(
    mechanism: FrozenMechanism, values: Mapping[str, Tensor], name: str
) -> dict[str, Tensor]:
    """Only the rows with the most frequent values of the parents."""
    if mechanism.label_map is None or not mechanism.parents:
        return dict(values)
    index = mechanism.label_map.index(values)
    counts = torch.bincount(index, minlength=len(mechanism.label_map.probabilities))
    kept = torch.isin(index, counts.argsort(descending=True)[:_CONFIGURATIONS])
    return rows_at(values, kept)
