"""The recipe's pictures: the plan, the training, the answers, and the images under each
intervention."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import causalplug as cp
from causalplug import plots
from causalplug.training.report import TrainingReport

__all__ = ["draw_pictures"]


def draw_pictures(
    dcm: cp.DCM,
    report: TrainingReport,
    rows: Mapping[str, np.ndarray],
    result: Mapping[str, Any],
    folder: Path,
) -> None:
    """Write ``plan.png``, ``training.png``, ``answers.png`` and ``images.png`` into a folder."""
    answers = {
        f"P(A | do(D={d}))": {name: answer[name] for name in ("truth", "model", "naive")}
        for d, answer in result["do"].items()
    }
    real = {f"rows with D={d}": rows["I"][rows["D"] == d] for d in (0, 1)}
    pictures = {
        "plan": dcm.plan.plot() if dcm.plan is not None else None,
        "training": plots.plot_training(report),
        "answers": plots.plot_distributions(answers),
        "images": plots.plot_interventions(dcm, "I", [{"D": 0}, {"D": 1}], n=10, seed=7, rows=real),
    }
    for name, figure in pictures.items():
        if figure is not None:
            figure.savefig(folder / f"{name}.png", dpi=200)
