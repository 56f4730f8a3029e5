"""The recipe's pictures: the plan, the training curve, and what the images look like under each intervention."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

import causalplug as cp
from causalplug.training.report import TrainingReport

__all__ = ["draw_pictures"]

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#666666"
_COLUMNS = 12


def draw_pictures(dcm: cp.DCM, report: TrainingReport, rows: Mapping[str, np.ndarray], folder: Path) -> None:
    """Write ``plan.png``, ``training.png`` and ``images.png`` into a folder."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    if dcm.plan is not None:
        dcm.plan.plot().savefig(folder / "plan.png", dpi=150, bbox_inches="tight")
    _curve(report).savefig(folder / "training.png", dpi=150, bbox_inches="tight")
    _grid(dcm, rows).savefig(folder / "images.png", dpi=150, bbox_inches="tight")
    plt.close("all")


def _curve(report: TrainingReport):  # type: ignore[no-untyped-def]
    """Validation against steps, one line per module, with the sampling floor of the held-out rows."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(3.5, 2.4))
    for module, colour in zip(report.modules, (_BLUE, _ORANGE), strict=False):
        key = "tvd" if any("tvd" in point for point in module.curve) else "nll"
        points = [(point["step"], point[key]) for point in module.curve if key in point]
        axes.plot(*zip(*points, strict=True), color=colour, label=f"module {module.name}")
        axes.set_ylabel("TVD on held-out rows" if key == "tvd" else "held-out negative log likelihood")
        if key == "tvd":
            axes.axhline(module.distances[0].floor, color=_GREY, linestyle=":", label="sampling floor")
            axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.legend(frameon=False, fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _grid(dcm: cp.DCM, rows: Mapping[str, np.ndarray]):  # type: ignore[no-untyped-def]
    """Real images beside images under do(D=0) and do(D=1): in a column of the model's rows all noise is the same."""
    import matplotlib.pyplot as plt

    image: cp.Image = dcm.variables["I"]  # type: ignore[assignment]
    lines = [
        (f"rows with D={d}", image.decode(image.encode(rows["I"][rows["D"] == d][:_COLUMNS]))) for d in (0, 1)
    ] + [
        (f"do(D={d})", np.stack(list(dcm.sample(_COLUMNS, do={"D": d}, variables=["I"], seed=7)["I"]))) for d in (0, 1)
    ]  # fmt: skip
    figure, grid = plt.subplots(len(lines), _COLUMNS, figsize=(7, 0.62 * len(lines)))
    for line, (label, pictures) in zip(grid, lines, strict=True):
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
        for axes, picture in zip(line, pictures, strict=True):
            unit = (picture - image.low) / (image.high - image.low)
            axes.imshow(unit[0] if image.channels == 1 else unit.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
    figure.subplots_adjust(wspace=0.05, hspace=0.05)
    return figure
